//! Steps run by real shells on this machine, in a directory of their own.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::*;
use crate::inventory::model::Owner;
use crate::name::RemotePath;
use crate::script::tests::{run, shells};
use crate::text::Text;

mod hostile;

/// Step functions without the lock, which needs /run.
fn without_lock(step: &Step) -> Script {
    let book = SecretBook::default();
    wrap(&format!("{}{{ {}; }} >&2 || exit\n", functions(), command(step, &book).unwrap()), "n0")
}

/// The current user, so that the tests need no root.
fn me(dir: &Path) -> Owner {
    let meta = std::fs::metadata(dir).unwrap();
    Owner { user: meta.uid().to_string(), group: meta.gid().to_string() }
}

/// Where all may write, and where root alone may.
fn places() -> impl Iterator<Item = tempfile::TempDir> {
    std::iter::once(tempfile::tempdir_in("/tmp").unwrap()).chain(hostile::trusted())
}

fn write(dir: &Path, name: &str, content: &str, replaces: Option<String>) -> Step {
    Step::WriteFile(WriteFile {
        path: RemotePath::new(dir.join(name).to_str().unwrap()).unwrap(),
        content: Text::plain(content),
        mode: 0o640,
        owner: me(dir),
        check: None,
        keep_previous: false,
        replaces,
        restarts: None,
        displaces: None,
    })
}

#[test]
fn a_directory_goes_only_if_nothing_lies_in_it() {
    for shell in shells() {
        for dir in places() {
            std::fs::create_dir(dir.path().join("it's d")).unwrap();
            std::fs::write(dir.path().join("it's d/.theirs"), "x").unwrap();
            let path = RemotePath::new(dir.path().join("it's d").to_str().unwrap()).unwrap();
            let go = || run(&shell, &without_lock(&Step::RemoveDirectory(path.clone())));
            let out = go();
            assert!(!out.status.success() && dir.path().join("it's d/.theirs").exists(), "{shell:?}: {out:?}");
            std::fs::remove_file(dir.path().join("it's d/.theirs")).unwrap();
            assert!(go().status.success() && !dir.path().join("it's d").exists(), "{shell:?}");
            // A run that died may have done it.
            assert!(go().status.success(), "{shell:?}");
        }
    }
}

#[test]
fn a_file_is_written_whole_with_its_mode() {
    let content = "line\n'quotes' \"$x\" `y` \\ ü\n\n".repeat(3000);
    for (shell, dir) in shells().into_iter().flat_map(|shell| places().map(move |dir| (shell.clone(), dir))) {
        let out = run(&shell, &without_lock(&write(dir.path(), "new/sub dir/it's", &content, None)));
        assert!(out.status.success(), "{shell:?}: {}", String::from_utf8_lossy(&out.stderr));
        let path = dir.path().join("new/sub dir/it's");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a temporary file is left");
    }
}

/// Gives a directory a default access control list: all for the user 4242, as far as the group's bits let him.
fn give_default_list(dir: &Path) {
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in
        [(1_u16, 7_u16, u32::MAX), (2, 7, 4242), (4, 5, u32::MAX), (0x10, 7, u32::MAX), (0x20, 0, u32::MAX)]
    {
        list.extend(tag.to_le_bytes().into_iter().chain(bits.to_le_bytes()));
        list.extend(id.to_le_bytes());
    }
    rustix::fs::setxattr(dir, "system.posix_acl_default", &list, rustix::fs::XattrFlags::empty()).unwrap();
}

/// Whether it has entries of further users.
fn has_list(path: &Path) -> bool {
    rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 256][..]).is_ok()
}

#[test]
fn a_default_access_control_list_opens_no_file() {
    for (shell, dir) in shells().into_iter().flat_map(|shell| places().map(move |dir| (shell.clone(), dir))) {
        give_default_list(dir.path());
        let file = dir.path().join("f");
        std::fs::write(dir.path().join("control"), "").unwrap();
        assert!(has_list(&dir.path().join("control")), "the test is none");
        // Until its mode is set it is closed.
        let Step::WriteFile(step) = write(dir.path(), "f", "a secret", None) else { unreachable!() };
        let open = "chown() { case $(stat -L -c %a -- \"$new\") in *00) ;; *) echo \"open at first\" >&2;; esac; command chown \"$@\"; }\n";
        let book = SecretBook::default();
        let step = Step::WriteFile(step);
        let text = format!("{open}{}{{ {}; }} >&2 || exit\n", functions(), command(&step, &book).unwrap());
        let out = run(&shell, &wrap(&text, "n0"));
        assert!(out.status.success() && !format!("{out:?}").contains("open at first"), "{shell:?}: {out:?}");
        assert!(!has_list(&file), "{shell:?}: others may read it");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        // The same where the file is replaced, and where only its mode and owner change.
        let planned = Some(crate::resource::file::sha256("a secret"));
        assert!(run(&shell, &without_lock(&write(dir.path(), "f", "another", planned))).status.success());
        assert!(!has_list(&file), "{shell:?}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "another");
        // A directory is closed before its mode is set.
        let made = Step::Directory {
            path: RemotePath::new(dir.path().join("made/below").to_str().unwrap()).unwrap(),
            mode: 0o700,
            owner: me(dir.path()),
        };
        let out = run(&shell, &without_lock(&made));
        assert!(out.status.success(), "{shell:?}: {out:?}");
        let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("made") & 0o022, mode("made/below")), (0, 0o700), "{shell:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "{shell:?}: a file is left");
    }
}

#[test]
fn another_content_than_planned_is_not_overwritten() {
    for (shell, dir) in shells().into_iter().flat_map(|shell| places().map(move |dir| (shell.clone(), dir))) {
        std::fs::write(dir.path().join("f"), "theirs").unwrap();
        for replaces in [None, Some(crate::resource::file::sha256("planned"))] {
            let out = run(&shell, &without_lock(&write(dir.path(), "f", "ours", replaces)));
            assert_eq!(out.status.code(), Some(MOVED));
            assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "theirs");
        }
        let planned = Some(crate::resource::file::sha256("theirs"));
        assert!(run(&shell, &without_lock(&write(dir.path(), "f", "ours", planned))).status.success());
        assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "ours");
        // Gone in the meantime is a difference too.
        std::fs::remove_file(dir.path().join("f")).unwrap();
        let planned = Some(crate::resource::file::sha256("ours"));
        assert_eq!(run(&shell, &without_lock(&write(dir.path(), "f", "x", planned))).status.code(), Some(MOVED));
    }
}

#[test]
fn the_time_of_a_file_always_advances() {
    for (shell, dir) in shells().into_iter().flat_map(|shell| places().map(move |dir| (shell.clone(), dir))) {
        let path = dir.path().join("f");
        std::fs::write(&path, "old").unwrap();
        let future = std::time::SystemTime::now() + std::time::Duration::from_secs(5000);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(future).unwrap();
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        let planned = Some(crate::resource::file::sha256("old"));
        let out = run(&shell, &without_lock(&write(dir.path(), "f", "new", planned)));
        assert!(out.status.success(), "{shell:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(std::fs::metadata(&path).unwrap().modified().unwrap() > before, "{shell:?}");
    }
}

/// A program that writes the file in place, as gitlab-runner does, in the moment when `command` is called.
fn with_a_writer(command_name: &str, step: &Step) -> Script {
    let book = SecretBook::default();
    let writer = format!("{command_name}() {{ printf theirs >\"$at/$leaf\"; command {command_name} \"$@\"; }}\n");
    wrap(&format!("{writer}{}{{ {}; }} >&2 || exit\n", functions(), command(step, &book).unwrap()), "n0")
}

#[test]
fn what_another_program_writes_meanwhile_is_not_lost() {
    for shell in shells() {
        for (moment, dir) in ["base64", "mv"].into_iter().flat_map(|moment| places().map(move |dir| (moment, dir))) {
            let path = dir.path().join("f");
            std::fs::write(&path, "planned").unwrap();
            let planned = Some(crate::resource::file::sha256("planned"));
            let out = run(&shell, &with_a_writer(moment, &write(dir.path(), "f", "ours", planned)));
            assert_eq!(out.status.code(), Some(MOVED), "{shell:?}, {moment}: {}", String::from_utf8_lossy(&out.stderr));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs", "{shell:?}, {moment}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{shell:?}, {moment}: a file is left");
        }
        // Another program has made the file.
        for dir in places() {
            let out = run(&shell, &with_a_writer("base64", &write(dir.path(), "f", "ours", None)));
            assert_eq!(out.status.code(), Some(MOVED), "{shell:?}");
            assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "theirs");
        }
    }
}

#[test]
fn a_link_is_written_through() {
    for shell in shells() {
        // Where others may write it is not: see `hostile`.
        let Some(dir) = hostile::trusted() else { return };
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/f"), "old").unwrap();
        std::os::unix::fs::symlink("real/f", dir.path().join("f")).unwrap();
        let planned = Some(crate::resource::file::sha256("old"));
        assert!(run(&shell, &without_lock(&write(dir.path(), "f", "new", planned))).status.success());
        assert!(std::fs::symlink_metadata(dir.path().join("f")).unwrap().file_type().is_symlink());
        assert_eq!(std::fs::read_to_string(dir.path().join("real/f")).unwrap(), "new");
    }
}

#[test]
fn a_file_that_its_program_refuses_stays_as_it_was() {
    for shell in shells() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "echo old\n").unwrap();
        let Step::WriteFile(mut file) =
            write(dir.path(), "f", "if then (\n", Some(crate::resource::file::sha256("echo old\n")))
        else {
            panic!()
        };
        file.check = Some(Check::Shell);
        assert!(!run(&shell, &without_lock(&Step::WriteFile(file))).status.success());
        assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "echo old\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn no_secret_in_what_is_shown() {
    let id = crate::secret::SecretId::new("env:X");
    let mut book = SecretBook::default();
    book.bind(id.clone(), crate::secret::Secret::new("canary-canary".to_owned()));
    let step = Step::WriteFile(WriteFile {
        path: RemotePath::new("/x").unwrap(),
        content: Text::secret(id),
        mode: 0o600,
        owner: Owner::default(),
        check: None,
        keep_previous: false,
        replaces: None,
        restarts: None,
        displaces: None,
    });
    assert!(!shown(&step).contains("canary"));
    assert!(!format!("{step:?}").contains("canary"));
    let script = script(&[&step], &lock::Holder { run: "run", host: "ci", who: "me", seat: "" }, &book, "n0").unwrap();
    assert!(!format!("{script:?}").contains("canary"));
    // Encoded, it is in the script, and nowhere in clear.
    assert!(script.expose().contains(&to_base64(b"canary-canary")) && !script.expose().contains("canary-canary"));
}

#[test]
fn no_package_goes_that_was_not_asked_for() {
    let go = |shell: &[&str], names: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join("apt-get");
        let text = "#!/bin/sh\ncase $1 in -s) printf 'Reading...\\nRemv docker.io [20.10]\\nRemv iptables:amd64 [1.8]\\n';; *) echo removed;; esac\n";
        std::fs::write(&fake, text).unwrap();
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
        let step = Step::RemovePackages(names.iter().map(|name| (*name).to_owned()).collect());
        let command = command(&step, &SecretBook::default()).unwrap();
        let path = quote(dir.path().to_str().unwrap());
        let out = run(shell, &wrap(&format!("PATH={path}:$PATH\n{FUNCTIONS}{{ {command}; }} >&2 || exit\n"), "n0"));
        (out.status.success(), String::from_utf8(out.stderr).unwrap())
    };
    for shell in shells() {
        let (done, said) = go(&shell, &["iptables"]);
        assert!(!done && said.contains("too: docker.io\n") && !said.contains("removed\n"), "{shell:?}: {said}");
        let (done, said) = go(&shell, &["docker.io", "iptables"]);
        assert!(done && said.contains("removed"), "{shell:?}: {said}");
    }
}

#[test]
fn no_package_comes_on_which_logins_depend_unless_it_is_named() {
    let go = |shell: &[&str], step: &Step, would: &str| {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("apt-get", format!("case $1 in -s) printf 'Reading...\\n{would}';; *) echo \"did $*\";; esac")),
            ("apt-cache", "echo yes".to_owned()),
            ("dpkg", ":".to_owned()),
        ] {
            let fake = dir.path().join(name);
            std::fs::write(&fake, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let command = command(step, &SecretBook::default()).unwrap();
        let path = quote(dir.path().to_str().unwrap());
        let out = run(shell, &wrap(&format!("PATH={path}:$PATH\n{}{{ {command}; }} >&2 || exit\n", functions()), "n0"));
        (out.status.success(), String::from_utf8(out.stderr).unwrap())
    };
    let install = |names: &[&str]| Step::InstallPackages(names.iter().map(|name| (*name).to_owned()).collect());
    let replace =
        |remove: &str| Step::ReplacePackages { install: vec!["tool".to_owned()], remove: vec![remove.to_owned()] };
    for shell in shells() {
        for (step, would, who) in [
            (
                install(&["firewall-config"]),
                "Inst firewalld (1.3 Debian [all])\\nInst firewall-config (1.3)\\n",
                "firewalld",
            ),
            (install(&["gui=2"]), "Inst network-manager:amd64 (1.42)\\nInst gui (2)\\n", "network-manager"),
            (install(&["a", "b?"]), "Inst libpam-fprintd (1)\\nInst a (1)\\n", "libpam-fprintd"),
            (
                install(&["iptables"]),
                "Inst iptables-persistent (1)\\nConf iptables-persistent (1)\\n",
                "iptables-persistent",
            ),
            (
                replace("old"),
                "Remv old [1]\\nRemv openssh-server [9]\\nInst tool (1)\\n",
                "openssh-server (would be removed)",
            ),
            (Step::FetchPackages(vec!["x".to_owned()]), "Inst sssd-common (1)\\n", "sssd-common"),
        ] {
            let (done, said) = go(&shell, &step, would);
            assert!(!done && !said.contains("did "), "{shell:?}: {said}");
            assert!(
                said.contains(&format!("does not name: {who}\n")) && said.contains("name them in packages"),
                "{said}"
            );
        }
        for (step, would) in [
            (install(&["firewall-config", "firewalld"]), "Inst firewalld (1.3)\\nInst firewall-config (1.3)\\n"),
            (install(&["firewalld:amd64=1.3"]), "Inst firewalld (1.3)\\n"),
            (install(&["firewalld?"]), "Inst firewalld (1.3)\\n"),
            // Another version of what is there.
            (install(&["gcc"]), "Inst libpam-systemd [252] (253)\\nInst libc6 (3)\\n"),
            (
                install(&["docker.io"]),
                "Inst iptables (1)\\nInst libnftables1 (1)\\nInst libnss3 (1)\\nInst nftables (1)\\n",
            ),
            (replace("ufw"), "Remv ufw [1]\\nInst tool (1)\\n"),
        ] {
            let (done, said) = go(&shell, &step, would);
            assert!(done && said.contains("did "), "{shell:?}: {said}");
        }
    }
}

/// `docker` and `systemctl` of a runner that ends its jobs in a while; `did` gets what they were told to do.
fn a_runner_with_jobs(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let dir_text = dir.to_str().unwrap();
    let asked = format!("n=$(cat {dir_text}/asked 2>/dev/null || echo 0); n=$((n + 1)); echo $n >{dir_text}/asked");
    for (name, text) in [
        ("sleep", "exit 0".to_owned()),
        (
            "docker",
            format!(
                "case $* in *Paused*) echo false;; *Running*) {asked}; if [ $n -lt 4 ]; then echo true; else echo false; fi;; \
                 *) echo \"$1\" >>{dir_text}/did;; esac"
            ),
        ),
        (
            "systemctl",
            format!(
                "case $* in *KillSignal*) printf 'KillSignal=3\\nKillMode=mixed\\nTimeoutStopUSec=1h\\n';; \
                 *ActiveState*) {asked}; if [ $n -lt 4 ]; then echo active; else echo inactive; fi;; \
                 *) echo \"$1\" >>{dir_text}/did;; esac"
            ),
        ),
    ] {
        let fake = dir.join(name);
        std::fs::write(&fake, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_runner_that_was_told_to_stop_is_started_again_though_nobody_listens() {
    use std::io::Write as _;
    let container = Step::RestartContainer { name: "runner".to_owned(), stop_timeout: 9 };
    let unit = Step::RestartUnit { unit: "gitlab-runner.service".to_owned(), stop_timeout: 9 };
    // And one that the next step starts.
    let remove = Step::RemoveContainer { name: "runner".to_owned(), stop_timeout: 9, volumes: true };
    let promote = Step::PromoteContainer { name: "runner".to_owned(), restart: "always".to_owned() };
    let stop = Step::StopUnit { unit: "gitlab-runner.service".to_owned(), stop_timeout: 9 };
    let start = Step::Unit { unit: "gitlab-runner.service".to_owned(), action: UnitAction::Start };
    for shell in shells() {
        for (steps, wanted) in [
            (&[&container][..], "kill\nstart\n"),
            (&[&unit], "daemon-reload\nstop\nreset-failed\nstart\n"),
            (&[&remove, &promote], "container\nupdate\nkill\nrm\nrename\nupdate\nstart\n"),
            (&[&stop, &start], "daemon-reload\nstop\nreset-failed\nis-active\nstart\n"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            a_runner_with_jobs(dir.path());
            let path = dir.path().to_str().unwrap();
            // As sshd leaves a script whose client died: nobody reads what it says.
            let body = body(steps, &[], &SecretBook::default()).unwrap();
            let body = body.replace("/run/rprov-due.", &format!("{path}/due."));
            let text = format!("PATH={path}:$PATH\nkeep_lock() {{ :; }}\nexec >&2\n{body}");
            // The first mark may still find a reader.
            let text = text.replacen("printf 'step %s\\n' 0\n", "", 1);
            let mut child = std::process::Command::new(shell[0]);
            child.args(&shell[1..]).arg("-s").stdin(std::process::Stdio::piped());
            let mut child =
                child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
            drop(child.stderr.take());
            child.stdin.take().unwrap().write_all(wrap(&text, "n0").expose().as_bytes()).unwrap();
            child.wait().unwrap();
            let did = std::fs::read_to_string(dir.path().join("did")).unwrap_or_default();
            assert_eq!(did, wanted, "{shell:?}");
            assert_eq!(due_in(dir.path()), Vec::<String>::new(), "{shell:?}: it was restarted");
        }
    }
}

/// Programs that say what is told, in a directory that comes first.
fn fakes(dir: &Path, all: &[(&str, &str)]) {
    use std::os::unix::fs::PermissionsExt as _;
    for (name, text) in all {
        let fake = dir.join(name);
        std::fs::write(&fake, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Whichever file says so: what systemd has in force when it is told to stop the service decides whether jobs are killed.
#[test]
fn a_service_that_would_kill_its_jobs_is_not_stopped() {
    let stop = Step::StopUnit { unit: "gitlab-runner.service".to_owned(), stop_timeout: 600 };
    for shell in shells() {
        for (force, why) in [
            ("KillMode=mixed\nTimeoutStopUSec=10min\nKillSignal=3", None),
            ("TimeoutStopUSec=1h 30min\nKillMode=process\nKillSignal=3", None),
            ("TimeoutStopUSec=infinity\nKillMode=mixed\nKillSignal=3", None),
            ("TimeoutStopUSec=1month 1d\nKillMode=mixed\nKillSignal=3", None),
            ("TimeoutStopUSec=8s\nKillMode=mixed\nKillSignal=3", Some("no more than 8s to end")),
            ("TimeoutStopUSec=9min 59s\nKillMode=mixed\nKillSignal=3", Some("no more than 9min 59s to end")),
            ("TimeoutStopUSec=900ms\nKillMode=mixed\nKillSignal=3", Some("no more than 900ms to end")),
            ("TimeoutStopUSec=1h\nKillMode=control-group\nKillSignal=3", Some("KillMode=control-group")),
            ("TimeoutStopUSec=1h\nKillMode=none\nKillSignal=3", Some("KillMode=none")),
            ("TimeoutStopUSec=1h\nKillMode=mixed\nKillSignal=15", Some("another signal than SIGQUIT")),
            ("", Some("settings that systemd does not tell")),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().to_str().unwrap();
            let systemctl = format!(
                "case $* in *KillSignal*) printf '{}\\n';; *ActiveState*) [ -e {path}/did ] && echo inactive || echo active;; \
                 stop*) : >{path}/did;; esac",
                force.replace('\n', "\\n")
            );
            fakes(dir.path(), &[("systemctl", &systemctl), ("sleep", ":")]);
            let body = body(&[&stop], &[], &SecretBook::default()).unwrap();
            let text = format!("PATH={path}:$PATH\nkeep_lock() {{ :; }}\n{body}");
            let out = run(&shell, &wrap(&text, "n0"));
            let said = String::from_utf8(out.stderr).unwrap();
            assert_eq!(dir.path().join("did").exists(), why.is_none(), "{shell:?}: {force}: {said}");
            assert_eq!(out.status.success(), why.is_none(), "{shell:?}: {force}: {said}");
            if let Some(why) = why {
                assert!(
                    said.contains(&format!("would be stopped with {why}, which kills its jobs")),
                    "{shell:?}: {said}"
                );
            }
        }
    }
}

/// Docker 23 and later can say what is wrong with a file before it is there; then neither the old file nor Docker is touched.
#[test]
fn a_file_that_dockerd_refuses_changes_nothing() {
    let old = "{ \"debug\": true }\n";
    for shell in shells() {
        for (dockerd, written) in [
            (
                "case $* in --help) echo ' --validate ';; *) echo 'the following directives are wrong: x' >&2; exit 1;; esac",
                false,
            ),
            (
                "case $* in --help) echo ' --validate ';; --validate\\ --config-file\\ *) grep -q new \"$3\";; esac",
                true,
            ),
            // Docker before 23.0 has no such option, and would start with it.
            ("case $* in --help) echo ' --version ';; *) exit 1;; esac", true),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().to_str().unwrap();
            std::fs::create_dir(dir.path().join("bin")).unwrap();
            fakes(&dir.path().join("bin"), &[("dockerd", dockerd), ("systemctl", &format!(": >{path}/did"))]);
            std::fs::write(dir.path().join("daemon.json"), old).unwrap();
            let mut step = write(dir.path(), "daemon.json", "{ \"new\": 1 }\n", Some(sha256(old)));
            let Step::WriteFile(file) = &mut step else { unreachable!() };
            file.check = Some(Check::Dockerd);
            let restart = Step::RestartWith { unit: "docker.service".to_owned(), path: file.path.clone() };
            let body = body(&[&step, &restart], &[], &SecretBook::default()).unwrap();
            let out = run(&shell, &wrap(&format!("PATH={path}/bin:$PATH\nkeep_lock() {{ :; }}\n{body}"), "n0"));
            let said = String::from_utf8(out.stderr).unwrap();
            assert_eq!(dir.path().join("did").exists(), written, "{shell:?}: {dockerd}: {said}");
            let text = std::fs::read_to_string(dir.path().join("daemon.json")).unwrap();
            assert_eq!(text == old, !written, "{shell:?}: {dockerd}: {said}");
            assert_eq!(said.contains("the following directives are wrong: x"), !written, "{shell:?}: {said}");
            assert_eq!(
                std::fs::read_dir(dir.path()).unwrap().count(),
                2 + usize::from(written),
                "{shell:?}: nothing is left"
            );
        }
    }
}

/// The notes of restarts that are due.
fn due_in(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_prefix("due.").map(str::to_owned)).collect()
}

#[test]
fn a_restart_that_is_due_is_noted_until_it_is_done() {
    let container = Step::RestartContainer { name: "runner".to_owned(), stop_timeout: 9 };
    let unit = Step::RestartUnit { unit: "gitlab-runner.service".to_owned(), stop_timeout: 9 };
    for shell in shells() {
        let dir = tempfile::tempdir().unwrap();
        a_runner_with_jobs(dir.path());
        let path = dir.path().to_str().unwrap();
        let go = |step: &Step, more: &str| {
            let functions = functions() + super::container::FUNCTIONS;
            let functions = functions.replace("/run/rprov-due.", &format!("{path}/due."));
            let command = command(step, &SecretBook::default()).unwrap();
            let text =
                format!("PATH={path}:$PATH\nkeep_lock() {{ :; }}\n{functions}{more}\n{{ {command}; }} >&2 || exit\n");
            run(&shell, &wrap(&text, "n0"))
        };
        // Killed while it waits, and where the restart fails.
        for (step, name) in [(&container, "runner"), (&unit, "gitlab-runner.service")] {
            for more in [
                "tell() { kill -9 $$; }",
                "tell() { :; }\ndocker() { case $1 in start) return 1;; *) command docker \"$@\";; esac; }\nsystemctl() { case $1 in start) return 1;; *) command systemctl \"$@\";; esac; }",
            ] {
                let _ = std::fs::remove_file(dir.path().join("asked"));
                assert!(!go(step, more).status.success());
                assert_eq!(due_in(dir.path()), [name], "{shell:?} {more}");
            }
            let _ = std::fs::remove_file(dir.path().join("asked"));
            assert!(go(step, "").status.success());
            assert_eq!(due_in(dir.path()), Vec::<String>::new(), "{shell:?}");
        }
        // Started anew for another reason, it has read everything; one that runs has not.
        let starts = Step::StartContainer("runner".to_owned());
        for (status, stays) in [("exited", false), ("created", false), ("running", true), ("paused", true)] {
            std::fs::write(dir.path().join("due.runner"), "").unwrap();
            let docker = format!("docker() {{ case $* in *State.Status*) echo {status};; esac; }}");
            assert!(go(&starts, &docker).status.success());
            assert_eq!(due_in(dir.path()).is_empty(), !stays, "{shell:?} {status}");
        }
        let starts = Step::Unit { unit: "gitlab-runner.service".to_owned(), action: UnitAction::Start };
        for (active, stays) in [("false", false), ("true", true)] {
            let _ = std::fs::remove_file(dir.path().join("due.runner"));
            std::fs::write(dir.path().join("due.gitlab-runner.service"), "").unwrap();
            assert!(go(&starts, &format!("systemctl() {{ case $1 in is-active) {active};; esac; }}")).status.success());
            assert_eq!(due_in(dir.path()).is_empty(), !stays, "{shell:?} {active}");
        }
        let _ = std::fs::remove_file(dir.path().join("due.gitlab-runner.service"));
        // A reload takes away what is noted of it, and no more than that.
        let reload = Step::Unit { unit: "docker.service".to_owned(), action: UnitAction::Reload };
        for name in ["due.docker.service", "due.docker.service.reload"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert!(!go(&reload, "systemctl() { return 1; }").status.success());
        assert_eq!(due_in(dir.path()).len(), 2, "{shell:?}");
        assert!(go(&reload, "systemctl() { :; }").status.success());
        assert_eq!(due_in(dir.path()), ["docker.service"], "{shell:?}");
        // A restart does all that is due.
        std::fs::write(dir.path().join("due.docker.service.reload"), "").unwrap();
        let restart = Step::Unit { unit: "docker.service".to_owned(), action: UnitAction::Restart };
        assert!(go(&restart, "systemctl() { :; }").status.success());
        assert_eq!(due_in(dir.path()), Vec::<String>::new(), "{shell:?}");
        // A file that is read at the start only: noted before the file is there, and not where it is refused.
        let write = |replaces| match write(dir.path(), "config.toml", "x", replaces) {
            Step::WriteFile(file) => Step::WriteFile(WriteFile { restarts: Some("runner".to_owned()), ..file }),
            other => other,
        };
        assert!(!go(&write(Some("0".repeat(64))), "").status.success());
        assert_eq!(due_in(dir.path()), Vec::<String>::new(), "{shell:?}");
        assert!(!go(&write(None), "mv() { exit 9; }").status.success());
        assert!(!dir.path().join("config.toml").exists());
        assert_eq!(due_in(dir.path()), ["runner"], "{shell:?}: the file would be there without a note");
    }
}

/// Docker takes the volumes that nobody has named away with a container, if it is asked to; also where a removal comes late.
#[test]
fn a_container_goes_with_its_volumes_only_where_that_was_planned() {
    for shell in shells() {
        for (volumes, wanted) in [(true, "rm -v -- runner\n"), (false, "rm -- runner\n")] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().to_str().unwrap();
            let step = Step::RemoveContainer { name: "runner".to_owned(), stop_timeout: 9, volumes };
            let fake = format!(
                "docker() {{ case $* in *Running*) echo false;; rm*) echo \"$*\" >>{path}/did; [ -e {path}/late ] || {{ : >{path}/late; \
                 return 1; }};; esac; }}\nsleep() {{ :; }}"
            );
            let functions = functions() + super::container::FUNCTIONS;
            let command = command(&step, &SecretBook::default()).unwrap();
            let out = run(&shell, &wrap(&format!("{functions}{fake}\n{{ {command}; }} >&2 || exit\n"), "n0"));
            assert!(out.status.success(), "{shell:?}");
            let did = std::fs::read_to_string(dir.path().join("did")).unwrap();
            assert_eq!(did, wanted.repeat(2), "{shell:?}");
        }
    }
}

/// `apt-get` and `apt-cache` that answer as if docker.io needed more than is asked for, and say what they were given.
#[test]
fn a_transaction_removes_only_what_goes_by_name() {
    let go = |shell: &[&str], step: &Step| {
        let dir = tempfile::tempdir().unwrap();
        let fake = |name: &str, text: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        fake(
            "apt-get",
            "case $1 in -s) printf 'Reading...\\nRemv docker.io [20.10]\\nRemv other:amd64 [1]\\n';; *) echo \"did $*\";; esac",
        );
        fake("apt-cache", "case $* in *known*) echo Package;; esac");
        fake("dpkg", ":");
        let command = command(step, &SecretBook::default()).unwrap();
        let path = quote(dir.path().to_str().unwrap());
        let out = run(shell, &wrap(&format!("PATH={path}:$PATH\n{}{{ {command}; }} >&2 || exit\n", functions()), "n0"));
        (out.status.success(), String::from_utf8(out.stderr).unwrap())
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for shell in shells() {
        let replace = |remove: &[&str]| Step::ReplacePackages { install: words(&["docker-ce"]), remove: words(remove) };
        let (done, said) = go(&shell, &replace(&["docker.io"]));
        assert!(!done && said.contains("too: other:amd64\n") && !said.contains("did"), "{shell:?}: {said}");
        let (done, said) = go(&shell, &replace(&["docker.io", "other"]));
        assert!(done && said.contains("install -- docker-ce docker.io- other-\n"), "{shell:?}: {said}");
        let (done, said) = go(&shell, &Step::InstallPackages(words(&["a=1*", "unheard-of?", "known?"])));
        assert!(done && said.contains("--no-remove install -- a=1* known\n"), "{shell:?}: {said}");
    }
}

#[test]
fn a_mirror_that_goes_silent_does_not_keep_the_run() {
    let go = |shell: &[&str], silent: u32| {
        let dir = tempfile::tempdir().unwrap();
        let tries = dir.path().join("tries");
        let file = dir.path().join("apt-get");
        std::fs::write(&file, "#!/bin/sh\necho \"did $*\"\nexit 7\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        // As if the first so many had not ended.
        let timeout = format!(
            "timeout() {{ echo >>{0}; [ $(wc -l <{0}) -gt {silent} ] || return 124; shift; \"$@\"; }}",
            tries.display()
        );
        let step = Step::RefreshLists(RemotePath::new("/etc/apt/sources.list.d/acme.sources").unwrap());
        let command = command(&step, &SecretBook::default()).unwrap();
        let path = quote(dir.path().to_str().unwrap());
        let out = run(
            shell,
            &wrap(&format!("PATH={path}:$PATH\n{timeout}\n{FUNCTIONS}{{ {command}; }} >&2 || exit\n"), "n0"),
        );
        let tries = std::fs::read_to_string(&tries).unwrap().lines().count();
        (out.status.code(), tries, String::from_utf8(out.stderr).unwrap())
    };
    for shell in shells() {
        let (status, tries, said) = go(&shell, 0);
        assert!(said.contains("acme.sources") && said.contains(" update\n"), "{shell:?}: {said}");
        assert_eq!((status, tries), (Some(7), 1), "{shell:?}: what fails by itself is not tried again: {said}");
        let (status, tries, said) = go(&shell, 1);
        assert_eq!((status, tries, said.contains("did")), (Some(7), 2, true), "{shell:?}: {said}");
        let (status, tries, said) = go(&shell, 2);
        assert_eq!((status, tries, said.contains("did")), (Some(124), 2, false), "{shell:?}: {said}");
        assert!(said.contains("apt-get update has not ended"), "{shell:?}: {said}");
    }
}

/// A step beside whose script a lock lies; `programs` stand for the host's. It is asked to stop as soon as the file `begun` is
/// there. Status and output.
fn asked_to_stop(shell: &[&str], step: &Step, programs: &[(&str, &str)]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in programs {
        let file = dir.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\nhere={}\n{text}\n", dir.path().display())).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let command = command(step, &SecretBook::default()).unwrap();
    let path = quote(dir.path().to_str().unwrap());
    let lock = dir.path().join("lock");
    std::fs::create_dir(&lock).unwrap();
    let due = format!("{}/due.", dir.path().display());
    let text = format!(
        "PATH={path}:$PATH lock={}\nkeep_lock() {{ :; }}\n{}{}{{ {command}; }} >&2 || exit\n",
        quote(lock.to_str().unwrap()),
        functions().replace("/run/rprov-due.", &due),
        container::FUNCTIONS
    );
    let (begun, done) = (dir.path().join("begun"), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _ends = crate::script::tests::Ends(&done);
        scope.spawn(|| {
            while !begun.exists() {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            std::fs::write(lock.join("stop"), "").unwrap();
        });
        let out = run(shell, &wrap(&text, "n0"));
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    })
}

const HANGS: &str = ": >\"$here/begun\"; exec sleep 600";

#[test]
fn what_hangs_on_the_network_ends_when_the_run_is_asked_to_stop() {
    let image = "registry.example.com/a:1".to_owned();
    let refresh = Step::RefreshLists(RemotePath::new("/etc/apt/sources.list.d/acme.sources").unwrap());
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let no_list = format!("case $* in -s*) exit 1;; *update) {HANGS};; *) exit 1;; esac");
    let slow_download = format!("case $* in *--download-only*) {HANGS};; esac");
    let all: [(Step, Vec<(&str, &str)>); 5] = [
        (refresh, vec![("apt-get", HANGS)]),
        (Step::InstallPackages(words(&["git"])), vec![("apt-get", &no_list), ("dpkg", ":")]),
        (Step::FetchPackages(words(&["git"])), vec![("apt-get", &slow_download), ("dpkg", ":")]),
        (Step::InstallPackages(words(&["git"])), vec![("apt-get", &slow_download), ("dpkg", ":")]),
        (Step::PullImage(image), vec![("docker", HANGS)]),
    ];
    // The programs would hang for ten minutes.
    std::thread::scope(|scope| {
        for (shell, (step, programs)) in
            shells().into_iter().flat_map(|shell| all.iter().map(move |one| (shell.clone(), one)))
        {
            scope.spawn(move || {
                let (status, said) = asked_to_stop(&shell, step, programs);
                assert_eq!(status, Some(STOPPED), "{shell:?}: {}: {said}", shown(step));
                assert!(said.ends_with("stopped, as asked\n"), "{shell:?}: {}: {said}", shown(step));
            });
        }
    });
}

/// An image that is pulled through Docker's API gets its credentials as ever, and ends too.
#[test]
fn a_pull_with_credentials_ends_as_well() {
    let pull = |shell: &[&str], curl: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("curl");
        std::fs::write(&file, format!("#!/bin/sh\n{curl}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (path, lock) = (dir.path().to_str().unwrap(), dir.path().join("lock"));
        std::fs::create_dir(&lock).unwrap();
        let text = format!(
            "PATH={}:$PATH lock={}\n{}{}{{ pull_as 'header = \"x\"' q; }} >&2 || exit\n",
            quote(path),
            quote(lock.to_str().unwrap()),
            functions(),
            container::FUNCTIONS
        );
        let out = run(shell, &wrap(&text, "n0"));
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    for shell in shells() {
        let well = "read -r said; [ \"$said\" = 'header = \"x\"' ] && echo && echo '@http 200'";
        assert_eq!(pull(&shell, well), (Some(0), String::new()), "{shell:?}");
        let (status, said) = pull(&shell, "echo '{\"message\":\"denied\"}'; echo '@http 403'");
        assert!(status == Some(1) && said.contains("denied"), "{shell:?}: {said}");
        let (status, said) = pull(&shell, ": >\"${0%/*}/lock/stop\"; exec sleep 600");
        assert_eq!(status, Some(STOPPED), "{shell:?}: {said}");
    }
}

/// dpkg that is ended in the middle leaves packages that do not work.
#[test]
fn what_installs_comes_to_its_end() {
    let step = Step::InstallPackages(vec!["git".to_owned()]);
    let apt = "case $* in -s* | *--download-only*) ;; *) : >\"$here/begun\"; sleep 3; echo installed >&2;; esac";
    for shell in shells() {
        let (status, said) = asked_to_stop(&shell, &step, &[("apt-get", apt), ("dpkg", ":")]);
        assert_eq!((status, said.contains("installed")), (Some(0), true), "{shell:?}: {said}");
    }
    // A runner that was told to stop is started again; it is said why that is waited for.
    let step = Step::RestartUnit { unit: "gitlab-runner.service".to_owned(), stop_timeout: 60 };
    let systemctl = "case $* in
      *ActiveState*) if [ -e \"$here/lock/stop\" ] && [ -e \"$here/seen\" ]; then echo inactive; else [ ! -e \"$here/lock/stop\" ] || : >\"$here/seen\"; echo active; fi;;
      *KillSignal*) printf 'KillSignal=3\nKillMode=mixed\nTimeoutStopUSec=1min\n';;
      'stop '*) : >\"$here/begun\";;
      'start '*) echo started;;
    esac";
    for shell in shells() {
        let text = [("systemctl", systemctl)];
        let (status, said) = asked_to_stop(&shell, &step, &text);
        assert!(said.contains("asked to stop: gitlab-runner.service is started again"), "{shell:?}: {status:?} {said}");
        assert!(said.contains("started\n"), "{shell:?}: {status:?} {said}");
    }
}

#[test]
fn what_moved_just_before_its_step_stops_it() {
    use crate::plan::precondition::{PathIs, Precondition};
    for shell in shells() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ours");
        let path = RemotePath::new(file.to_str().unwrap()).unwrap();
        let first = write(dir.path(), "first", "x", None);
        let second = Step::RemoveFile(path.clone());
        let go = |seen: &str| {
            let sha256 = sha256(seen);
            let needs = Precondition::Path { path: path.clone(), is: PathIs::File(sha256) };
            let body = body(&[&first, &second], &[(1, &needs)], &SecretBook::default()).unwrap();
            run(&shell, &wrap(&body, "n0"))
        };
        std::fs::write(&file, "somebody else's").unwrap();
        let out = go("as planned");
        assert_eq!(out.status.code(), Some(MOVED), "{shell:?}: {out:?}");
        assert!(dir.path().join("first").exists(), "the step before has nothing to do with it");
        assert!(file.exists(), "{shell:?}: it was removed all the same");
        std::fs::remove_file(dir.path().join("first")).unwrap();
        let out = go("somebody else's");
        assert!(out.status.success(), "{shell:?}: {out:?}");
        assert!(!file.exists());
    }
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn authorities_that_are_not_roots_are_not_collected() {
    if hostile::trusted().is_none() {
        eprintln!("SKIPPED: only root has files that are root's");
        return;
    }
    for shell in shells() {
        let dir = hostile::trusted().unwrap();
        let go = || {
            let text = format!("{}authorities_are_roots '{}' || exit\n", functions(), dir.path().display());
            run(&shell, &wrap(&text, "n0"))
        };
        let refuses = |theirs: &Path| {
            let out = go();
            assert!(!out.status.success(), "{shell:?} {}", theirs.display());
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(said.contains(&format!("others than root may change {}:", theirs.display())), "{shell:?}: {said}");
        };
        std::fs::write(dir.path().join("company.crt"), "x").unwrap();
        std::os::unix::fs::symlink("company.crt", dir.path().join("of-roots.crt")).unwrap();
        assert!(go().status.success(), "{shell:?}");
        for name in ["link.crt", "below/link.crt"] {
            let theirs = dir.path().join(name);
            std::fs::create_dir_all(theirs.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/etc/shadow", &theirs).unwrap();
            std::os::unix::fs::lchown(&theirs, Some(65_534), Some(65_534)).unwrap();
            refuses(&theirs);
            std::fs::remove_file(theirs).unwrap();
        }
        // A file, where a link of root's leads, and a directory that is written to by others.
        let theirs = dir.path().join("office.crt");
        std::fs::write(&theirs, "x").unwrap();
        for mode in [0o666, 0o664] {
            std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(mode)).unwrap();
            refuses(&theirs);
        }
        std::fs::remove_file(theirs).unwrap();
        let elsewhere = tempfile::tempdir_in("/run").unwrap();
        std::fs::write(elsewhere.path().join("a"), "x").unwrap();
        std::os::unix::fs::chown(elsewhere.path(), Some(65_534), Some(65_534)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("a"), dir.path().join("linked.crt")).unwrap();
        refuses(elsewhere.path());
        std::fs::remove_file(dir.path().join("linked.crt")).unwrap();
        assert!(go().status.success(), "{shell:?}");
        std::fs::set_permissions(dir.path().join("below"), std::fs::Permissions::from_mode(0o775)).unwrap();
        std::fs::write(dir.path().join("below/a.crt"), "x").unwrap();
        refuses(&dir.path().join("below"));
    }
}
