//! Which changes are guarded, and which are refused.

use super::*;
use crate::facts::access::LoginFact;
use crate::facts::{Content, Known, PackageFact, PathFact, PathKind, SystemFacts, Way};
use crate::inventory::model::Owner;
use crate::plan::{Action, Effect};
use crate::secret::Secret;
use crate::step::WriteFile;
use crate::text::Text;

mod foundation;
mod links;
mod taken;

fn path(text: &str) -> RemotePath {
    RemotePath::new(text).unwrap()
}

fn login() -> LoginFact {
    let line = |key: &str, words: &str| (key.to_owned(), words.to_owned());
    LoginFact {
        user: "deploy".to_owned(),
        home: Some(path("/home/deploy")),
        sudo: true,
        sshd: vec![
            line("authorizedkeysfile", "keys/%u /srv/keys/%u/authorized \"%h/.more keys\""),
            line("TrustedUserCAKeys", "/srv/ca.pub"),
            line("HostKey", "/srv/host/%U/key"),
            line("Banner", "none"),
            line("AuthorizedKeysCommand", "/opt/keys.sh %u"),
            line("Include", "/opt/ssh.d/*.conf more.conf"),
            line("SSHD_OPTS", "\"-f /opt/sshd/config -o Banner=/srv/banner\""),
        ],
        others: vec![
            "auth required pam_listfile.so item=user sense=allow file=/etc/login-allowed".to_owned(),
            "session optional pam_exec.so /opt/hook".to_owned(),
            "sshd: /etc/blocked-nets".to_owned(),
            "sshd:/etc/more-nets".to_owned(),
            "shell /opt/shells/fish".to_owned(),
        ],
        sudoers: vec!["/opt/sudoers".to_owned(), "sudoers.local".to_owned()],
        libraries: vec!["/usr/local/lib".to_owned(), "/opt/searched/lib".to_owned()],
        wrapped: false,
        ..LoginFact::default()
    }
}

fn logins() -> Logins {
    Logins::of(&login())
}

#[test]
fn files_that_logins_depend_on() {
    use Depends::*;
    let table = [
        ("/etc/ssh/sshd_config", Some(Sshd)),
        ("/etc/ssh/sshd_config.d/50-x.conf", Some(Sshd)),
        ("/etc/ssh/ssh_host_ed25519_key", Some(Sshd)),
        ("/etc/default/ssh", Some(SshdUnit)),
        ("/etc/sshx", None),
        ("/home/deploy/.ssh/authorized_keys", Some(Login)),
        ("/home/deploy/.ssh/rc", Some(Login)),
        ("/home/deploy/.bashrc", Some(Login)),
        ("/home/deploy/.config/fish/config.fish", Some(Login)),
        ("/home/deploy/project/.bashrc", None),
        // What sshd's configuration names, wherever that is.
        ("/home/deploy/keys/deploy", Some(Sshd)),
        ("/srv/keys/deploy/authorized", Some(Sshd)),
        ("/srv/keys/other/authorized", Some(OtherUser)),
        ("/srv/keys/other/notes", None),
        ("/opt/ssh.d/new.conf", Some(Sshd)),
        ("/opt/sshd/config", Some(Sshd)),
        ("/srv/banner", Some(Sshd)),
        ("/etc/login-allowed", Some(Login)),
        ("/opt/hook", Some(Login)),
        ("/etc/blocked-nets", Some(Login)),
        ("/etc/more-nets", Some(Login)),
        ("/opt/sudoers", Some(Sudo)),
        ("/etc/sudoers.local", Some(Sudo)),
        ("/etc/update-motd.d/20-info", Some(Login)),
        // No name of a host says who may come.
        ("/etc/hosts", None),
        ("/home/deploy/.more", Some(Sshd)),
        ("/srv/ca.pub", Some(Sshd)),
        ("/opt/keys.sh", Some(Sshd)),
        ("/srv/host/7/key", Some(Sshd)),
        ("/srv/www/index.html", None),
        ("/etc/sudoers", Some(Sudo)),
        ("/etc/sudoers.d/deploy", Some(Sudo)),
        ("/etc/sudo.conf", Some(Sudo)),
        ("/etc/pam.d/common-auth", Some(Login)),
        ("/etc/pam.d/sshd", Some(Login)),
        ("/etc/security/access.conf", Some(Login)),
        ("/usr/lib/x86_64-linux-gnu/security/pam_unix.so", Some(Login)),
        ("/lib/x86_64-linux-gnu/libnss_files.so.2", Some(Login)),
        ("/etc/hosts.deny", Some(Login)),
        ("/etc/nologin", Some(Login)),
        ("/var/run/nologin", Some(Login)),
        ("/etc/passwd", Some(Login)),
        ("/etc/shells", Some(Login)),
        ("/etc/profile.d/x.sh", Some(Login)),
        ("/etc/ld.so.preload", Some(Login)),
        ("/usr/bin/sudo", Some(Login)),
        ("/bin/bash", Some(Login)),
        ("/usr/sbin/sshd", Some(Login)),
        ("/usr/lib/openssh/sftp-server", Some(Login)),
        ("/etc/systemd/system/ssh.service", Some(SshdUnit)),
        ("/etc/systemd/system/ssh.socket.d/port.conf", Some(SshdUnit)),
        ("/etc/systemd/system/sshd@.service", Some(SshdUnit)),
        ("/usr/lib/systemd/system/ssh.service", Some(SshdUnit)),
        ("/etc/systemd/system/service.d/all.conf", Some(SshdUnit)),
        ("/etc/systemd/system/multi-user.target.wants/ssh.service", Some(AtBoot)),
        ("/etc/systemd/system/docker.service.d/x.conf", None),
        ("/etc/systemd/system/rprov-firewall.service", None),
        ("/etc/nftables.conf", Some(AtBoot)),
        ("/etc/iptables/rules.v4", Some(AtBoot)),
        ("/etc/network/interfaces", Some(AtBoot)),
        ("/etc/netplan/50-cloud.yaml", Some(AtBoot)),
        ("/etc/wireguard/wg0.conf", Some(AtBoot)),
        ("/etc/sysctl.d/99-x.conf", Some(AtBoot)),
        ("/home/alice/.ssh/authorized_keys", Some(OtherUser)),
        ("/etc/docker/daemon.json", None),
        ("/etc/gitlab-runner/config.toml", None),
        ("/etc/rprov/firewall.nft", None),
        ("/etc/cron.d/rprov-cleanup", None),
        ("/usr/local/sbin/rprov-cleanup", None),
        ("/etc/motd", None),
        // What the loader finds before the system's own, and what a boot depends on.
        ("/usr/local/lib/libcrypto.so.3", Some(Login)),
        ("/usr/local/lib/x86_64-linux-gnu/libwrap.so", Some(Login)),
        ("/opt/lib/library.sofa", None),
        ("/opt/searched/lib/libnss_x.so.2", Some(Login)),
        ("/opt/searched/lib/README", None),
        // Only a program that knows where they are finds these.
        ("/opt/app/lib/libz.so.1", None),
        ("/srv/gitlab-runner/lib/libgit2.so", None),
        ("/opt/searched/libz.so.1", None),
        ("/var/run/faillock/deploy", Some(Login)),
        ("/etc/systemd/system/default.target", Some(AtBoot)),
        ("/etc/systemd/system/multi-user.target.d/x.conf", Some(AtBoot)),
        ("/etc/systemd/system/home.mount", Some(AtBoot)),
        ("/etc/udev/rules.d/70-names.rules", Some(AtBoot)),
        ("/etc/tmpfiles.d/x.conf", Some(AtBoot)),
        ("/boot/grub/grub.cfg", Some(AtBoot)),
        ("/etc/systemd/system/targets.service", None),
        ("/opt/shells/fish", Some(Login)),
    ];
    let logins = logins();
    for (file, depends) in table {
        assert_eq!(logins.file(&path(file)), depends, "{file}");
    }
}

#[test]
fn where_names_say_who_may_come_their_files_count() {
    let sshd = |key: &str, words: &str| LoginFact { sshd: vec![(key.to_owned(), words.to_owned())], ..login() };
    for login in [sshd("UseDNS", "yes"), sshd("Match", "Host *.lab.test"), LoginFact { wrapped: true, ..login() }] {
        for file in ["/etc/hosts", "/etc/resolv.conf"] {
            assert_eq!(Logins::of(&login).file(&path(file)), Some(Depends::Login), "{login:?}");
        }
    }
    assert_eq!(Logins::of(&sshd("UseDNS", "no")).file(&path("/etc/hosts")), None);
}

#[test]
fn what_the_own_login_cannot_try_is_said() {
    let mut facts = facts();
    facts.system.login = LoginFact { user: "root".to_owned(), home: Some(path("/root")), ..login() };
    for file in ["/etc/nologin", "/run/nologin", "/srv/keys/deploy/authorized"] {
        let plan = guarded(vec![write(file)], &facts);
        assert_eq!(plan.changes[0].steps.len(), 1, "{file}");
        assert!(plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("another user")), "{file}");
    }
    assert_eq!(guarded(vec![write("/srv/keys/root/authorized")], &facts).changes[0].steps.len(), 3);
}

/// Where others are reached through the host, they are: by that login, maybe.
#[test]
fn what_the_logins_of_hosts_behind_depend_on_is_guarded() {
    let facts = Facts { passes_on: true, ..facts() };
    for file in ["/home/jump/.ssh/authorized_keys", "/srv/keys/jump/authorized"] {
        let plan = guarded(vec![write(file)], &facts);
        let steps = &plan.changes[0].steps;
        assert_eq!(steps[0], kept(file, 60), "{file}");
        assert_eq!(steps[2], attempt(None, false, TriedBy::Connection), "{file}");
        assert!(plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("hosts behind this one are tried")));
    }
    assert_eq!(guarded(vec![write("/etc/wireguard/wg0.conf")], &facts).changes[0].steps.len(), 1);
}

#[test]
fn directories_above_what_logins_depend_on() {
    let logins = logins();
    for directory in
        ["/", "/etc", "/home", "/home/deploy", "/home/deploy/.ssh", "/etc/ssh", "/usr", "/bin", "/run", "/srv/keys"]
    {
        assert!(logins.directory(&path(directory)).is_some(), "{directory}");
    }
    for directory in
        ["/builds", "/cache", "/tmp", "/srv/gitlab-runner", "/home/gitlab-runner", "/home/deploy/work", "/var/lib"]
    {
        assert_eq!(logins.directory(&path(directory)), None, "{directory}");
    }
}

fn facts() -> Facts {
    let system =
        SystemFacts { peer: Some("203.0.113.9".to_owned()), systemd: true, login: login(), ..SystemFacts::default() };
    Facts { system, ..Facts::default() }
}

fn change(steps: Vec<Step>) -> Change {
    Change {
        kind: "file".to_owned(),
        name: "x".to_owned(),
        action: Action::Change,
        reason: None,
        attrs: Vec::new(),
        text: None,
        effect: Effect::None,
        service: None,
        origin: None,
        steps,
    }
}

fn write(at: &str) -> Step {
    Step::WriteFile(WriteFile {
        path: path(at),
        content: Text::plain("x"),
        mode: 0o644,
        owner: Owner::default(),
        keep_previous: false,
        check: None,
        replaces: None,
        restarts: None,
        displaces: None,
    })
}

fn guarded(steps: Vec<Step>, facts: &Facts) -> HostPlan {
    let mut plan = HostPlan { changes: vec![change(steps)], ..HostPlan::default() };
    guard(&mut plan, facts);
    plan
}

fn kept(at: &str, seconds: u64) -> Step {
    Step::GuardAccess { paths: vec![path(at)], seconds }
}

fn attempt(sshd: Option<UnitAction>, sudo: bool, by: TriedBy) -> Step {
    Step::TryAccess { sshd, sudo, by }
}

#[test]
fn each_kind_of_step_is_guarded() {
    let conf = "/etc/ssh/sshd_config.d/a.conf";
    let keys = "/home/deploy/.ssh/authorized_keys";
    let reload = Some(UnitAction::Reload);
    let attributes = Step::Attributes { path: path(keys), mode: 0o666, owner: Owner::default(), holds: None };
    let home = Step::Directory { path: path("/home/deploy"), mode: 0o777, owner: Owner::default() };
    let unit = "/etc/systemd/system/ssh.service.d/a.conf";
    for (step, at, sshd, sudo) in [
        (write(conf), conf, reload, false),
        (Step::RemoveFile(path("/etc/sudoers.d/deploy")), "/etc/sudoers.d/deploy", None, true),
        (attributes, keys, None, false),
        (home, "/home/deploy", None, false),
        (write(unit), unit, Some(UnitAction::Restart), false),
    ] {
        let plan = guarded(vec![step.clone()], &facts());
        let expected = vec![kept(at, 60), step, attempt(sshd, sudo, TriedBy::Connection)];
        assert_eq!(plan.changes[0].steps, expected);
        assert!(plan.problems.is_empty());
    }
    let plan = guarded(vec![write("/etc/motd")], &facts());
    assert_eq!(plan.changes[0].steps, [write("/etc/motd")]);
    let plan = guarded(vec![write("/etc/nftables.conf")], &facts());
    assert_eq!(plan.changes[0].steps.len(), 1);
    assert!(plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("next boot")));
}

/// A link of root's own is followed, so what counts is where it leads.
#[test]
fn a_path_by_another_name_is_guarded() {
    let mut facts = facts();
    let way =
        crate::facts::Way { link: true, real: Some("/etc/ssh/sshd_config".to_owned()), ..crate::facts::Way::default() };
    let fact = crate::facts::PathFact {
        kind: crate::facts::PathKind::File,
        mode: 0o644,
        user: "root".to_owned(),
        group: "root".to_owned(),
        mtime_ns: 0,
        content: None,
        way,
    };
    facts.paths.insert(path("/srv/conf/sshd"), Known::Present(fact));
    let plan = guarded(vec![write("/srv/conf/sshd")], &facts);
    assert_eq!(plan.changes[0].steps.len(), 3);
    assert_eq!(plan.changes[0].steps[0], kept("/srv/conf/sshd", 60));
}

#[test]
fn on_the_host_itself_a_shell_proves_nothing() {
    let mut facts = facts();
    facts.local = true;
    let conf = "/etc/ssh/sshd_config";
    let steps = |facts: &Facts| guarded(vec![write(conf)], facts).changes.remove(0).steps;
    let reload = Some(UnitAction::Reload);
    assert_eq!(steps(&facts), [kept(conf, 180), write(conf), attempt(reload, false, TriedBy::Person)]);
    facts.system.peer = None;
    assert_eq!(steps(&facts), [kept(conf, 60), write(conf), attempt(reload, false, TriedBy::Nobody)]);
    // In a container nothing can put it back, and nothing is cut off.
    facts.system.systemd = false;
    assert_eq!(steps(&facts), [write(conf), attempt(reload, false, TriedBy::Nobody)]);
}

#[test]
fn packages_that_logins_stand_on_are_not_removed() {
    let remove = |names: &[&str]| vec![Step::RemovePackages(names.iter().map(|name| (*name).to_owned()).collect())];
    let problem =
        |names: &[&str], facts: &Facts| guarded(remove(names), facts).problems.first().map(|one| one.message.clone());
    for name in ["openssh-server", "openssh-server:amd64", "openssh-sftp-server", "dropbear"] {
        let why = problem(&["jq", name], &facts()).unwrap_or_else(|| panic!("{name} would go"));
        assert!(why.contains("would end every login by SSH"), "{why}");
    }
    for name in ["libwrap0", "zlib1g", "libssl3t64", "libkrb5-3:amd64"] {
        let why = problem(&["jq", name], &facts()).unwrap_or_else(|| panic!("{name} would go"));
        assert!(why.contains("openssh-server stands on it"), "{why}");
    }
    assert!(problem(&["sudo"], &facts()).unwrap().contains("deploy becomes root by it"));
    assert_eq!(problem(&["jq"], &facts()), None);
    let mut console = facts();
    (console.local, console.system.peer) = (true, None);
    for name in [
        "dbus",
        "procps",
        "adduser",
        "systemd",
        "iproute2",
        "login",
        "passwd",
        "libpam-modules",
        "libpam0g:amd64",
        "coreutils",
    ] {
        for facts in [&facts(), &console] {
            let why = problem(&["jq", name], facts).unwrap_or_else(|| panic!("{name} would go"));
            assert!(why.contains("the host itself stands on it"), "{why}");
        }
    }
    for name in ["libpam-ldapd", "libnss-sss", "sssd"] {
        let plan = guarded(remove(&[name]), &facts());
        assert!(
            plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("logins depend on what goes")),
            "{name}"
        );
        assert_eq!(plan.changes[0].steps.len(), 2, "{name}: a login is tried");
    }
    let mut as_root = facts();
    as_root.system.login.sudo = false;
    assert_eq!(problem(&["sudo"], &as_root), None);
    assert_eq!(guarded(remove(&["sudo"]), &as_root).changes[0].steps.len(), 2, "a login is tried all the same");
    let mut local = facts();
    local.local = true;
    assert!(problem(&["openssh-server"], &local).is_some(), "somebody came here by it");
    local.system.peer = None;
    assert_eq!(problem(&["openssh-server"], &local), None);
}

#[test]
fn no_container_takes_the_port_of_sshd() {
    let create = |ports: &[&str]| {
        let ports = ports.iter().map(|port| (*port).to_owned()).collect();
        let create = crate::step::CreateContainer {
            name: "gitlab-runner".to_owned(),
            beside: false,
            image: "x".to_owned(),
            mounts: Vec::new(),
            env: Default::default(),
            labels: Default::default(),
            networks: Vec::new(),
            ports,
            extra_hosts: Vec::new(),
            restart: "always".to_owned(),
            stop_timeout: 1,
            options: Default::default(),
        };
        Step::CreateContainer(Box::new(create))
    };
    let mut facts = facts();
    let said = |ports: &[&str], facts: &Facts| guarded(vec![create(ports)], facts).problems.len();
    assert_eq!(said(&["2022:22"], &facts), 0, "the port is not known");
    // What sshd listens on, whatever the inventory calls.
    facts.system.sshd_port = Some(2022);
    for port in ["2022:22", "0.0.0.0:2022:22", "2000-2100:2000-2100", "[::]:2022:2022/tcp"] {
        assert_eq!(said(&["9252:9252", port], &facts), 1, "{port}");
    }
    for port in ["22:22", "127.0.0.1:2022:22", "2022:22/udp", "2022"] {
        assert_eq!(said(&[port], &facts), 0, "{port}");
    }
}

#[test]
fn another_version_of_what_logins_stand_on_is_tried() {
    let mut facts = facts();
    let fact = PackageFact { version: "2".to_owned(), installed: true, status: "install ok installed".to_owned() };
    facts.packages.insert("openssh-server".to_owned(), Known::Present(fact));
    facts.packages.insert("bash".to_owned(), Known::Absent);
    let steps =
        |word: &str| guarded(vec![Step::InstallPackages(vec![word.to_owned()])], &facts).changes.remove(0).steps;
    assert_eq!(steps("openssh-server=1")[1], attempt(None, true, TriedBy::Connection));
    assert_eq!(steps("firewalld").len(), 2);
    for word in ["bash", "bash-completion", "git", "loginctl-x"] {
        assert_eq!(steps(word).len(), 1, "{word}");
    }
}

#[test]
fn dockers_own_network_does_not_swallow_the_way() {
    let install = |name: &str| vec![change(vec![Step::InstallPackages(vec![name.to_owned()])])];
    let problem = |changes: Vec<Change>, facts: &Facts| {
        let mut plan = HostPlan { changes, ..HostPlan::default() };
        guard(&mut plan, facts);
        plan.problems.first().map(|one| one.message.clone())
    };
    let mut from_there = facts();
    from_there.system.peer = Some("::ffff:172.17.9.9".to_owned());
    from_there.system.sshd_address = Some("192.0.2.5".parse().unwrap());
    for name in ["docker.io", "docker-ce=5:27", "moby-engine"] {
        let why = problem(install(name), &from_there).unwrap_or_else(|| panic!("{name}"));
        assert!(why.contains("172.17.0.0/16") && why.contains("172.17.9.9"), "{why}");
        assert_eq!(problem(install(name), &facts()), None, "from elsewhere");
    }
    assert_eq!(problem(install("docker-cli"), &from_there), None);
    // It was told another one before.
    let Step::WriteFile(mut file) = write("/etc/docker/daemon.json") else { panic!() };
    file.content = Text::plain("{ \"bip\": \"10.201.0.1/24\" }");
    let mut changes = vec![change(vec![Step::WriteFile(file)])];
    changes.extend(install("docker.io"));
    assert_eq!(problem(changes.clone(), &from_there), None);
    changes.reverse();
    assert!(problem(changes, &from_there).is_some(), "told too late");
    let mut near = from_there.clone();
    near.system.sshd_address = Some("172.17.0.5".parse().unwrap());
    assert_eq!(problem(install("docker.io"), &near), None, "Docker sees that the host is in it");
    let fact = PackageFact { version: "2".to_owned(), installed: true, status: "install ok installed".to_owned() };
    from_there.packages.insert("docker.io".to_owned(), Known::Present(fact));
    assert_eq!(problem(install("docker.io=2"), &from_there), None, "it runs already");
}

#[test]
fn a_file_of_kernel_parameters_counts_by_what_it_sets() {
    let at = "/etc/sysctl.d/60-x.conf";
    let said = |step: Step, old: Option<&str>| {
        let mut facts = facts();
        let known = match old {
            None => Known::Absent,
            Some(text) => {
                let (user, group) = ("root".to_owned(), "root".to_owned());
                let content = Some(Known::Present(Content::Text(Secret::new(text.to_owned()))));
                Known::Present(PathFact {
                    kind: PathKind::File,
                    mode: 0o644,
                    user,
                    group,
                    mtime_ns: 0,
                    content,
                    way: Way::default(),
                })
            }
        };
        facts.paths.insert(path(at), known);
        guarded(vec![step], &facts).changes[0].reason.is_some()
    };
    let set = |text: &str| match write(at) {
        Step::WriteFile(file) => Step::WriteFile(WriteFile { content: Text::plain(text), ..file }),
        other => other,
    };
    let (tame, forwards) = ("vm.max_map_count = 262144\n", "net.ipv4.ip_forward = 1\n");
    assert!(!said(set(tame), None));
    assert!(!said(set(tame), Some("vm.swappiness = 1\n")));
    assert!(!said(Step::RemoveFile(path(at)), Some(tame)));
    // What it sets no longer counts as well.
    assert!(said(set(tame), Some(forwards)));
    assert!(said(set(forwards), None));
    assert!(said(Step::RemoveFile(path(at)), Some(forwards)));
    // Not read.
    assert!(guarded(vec![set(tame)], &facts()).changes[0].reason.is_some());
}
