//! Which paths logins depend on. Pure.

use crate::facts::access::LoginFact;
use crate::name::RemotePath;

/// How a login depends on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::desired) enum Depends {
    /// sshd reads it when it starts or reloads.
    Sshd,
    /// systemd starts sshd by it.
    SshdUnit,
    /// sudo reads it.
    Sudo,
    /// Each login reads it, or runs it.
    Login,
    /// systemd reads it with its units, at any `daemon-reload`, and sshd or each login stands on the unit.
    Units,
    /// It counts only when the host boots, or its network or firewall starts anew: no login can try it now.
    AtBoot,
    /// A user logs in by it who is not rprov's.
    OtherUser,
}

use Depends::{AtBoot, Login, OtherUser, Sshd, SshdUnit, Sudo, Units};

/// A path and all below it. Without `/usr` in front, where that is the same.
pub(super) const BELOW: &[(&str, Depends)] = &[
    // A start looks at these, and a reload does not.
    ("/etc/ssh/sshd_not_to_be_run", SshdUnit),
    ("/etc/default/ssh", SshdUnit),
    ("/etc/sysconfig/sshd", SshdUnit),
    ("/etc/ssh", Sshd),
    ("/etc/dropbear", Sshd),
    ("/etc/crypto-policies", Sshd),
    ("/etc/hosts.allow", Login),
    ("/etc/hosts.deny", Login),
    ("/run/sshd", Login),
    ("/etc/sudoers", Sudo),
    ("/etc/sudoers.d", Sudo),
    ("/etc/sudo.conf", Sudo),
    ("/etc/sudo-ldap.conf", Sudo),
    ("/etc/sudo_logsrvd.conf", Sudo),
    ("/etc/pam.d", Login),
    ("/etc/pam.conf", Login),
    ("/lib/pam.d", Login),
    ("/etc/security", Login),
    ("/etc/nologin", Login),
    ("/run/nologin", Login),
    ("/etc/passwd", Login),
    ("/etc/shadow", Login),
    ("/etc/group", Login),
    ("/etc/gshadow", Login),
    ("/etc/update-motd.d", Login),
    ("/etc/nsswitch.conf", Login),
    ("/etc/login.defs", Login),
    ("/etc/shells", Login),
    ("/etc/securetty", Login),
    ("/etc/environment", Login),
    ("/etc/profile", Login),
    ("/etc/profile.d", Login),
    ("/etc/bash.bashrc", Login),
    ("/etc/bashrc", Login),
    ("/etc/zsh", Login),
    ("/etc/zshenv", Login),
    ("/etc/fish", Login),
    ("/etc/csh.cshrc", Login),
    ("/etc/csh.login", Login),
    ("/etc/sssd", Login),
    ("/etc/nslcd.conf", Login),
    ("/etc/ldap", Login),
    ("/etc/ldap.conf", Login),
    ("/etc/krb5.conf", Login),
    ("/etc/krb5.conf.d", Login),
    ("/etc/krb5.keytab", Login),
    ("/etc/pam_ldap.conf", Login),
    ("/etc/libnss-ldap.conf", Login),
    ("/etc/ssl/openssl.cnf", Login),
    ("/etc/ld.so.preload", Login),
    ("/etc/ld.so.conf", Login),
    ("/etc/ld.so.conf.d", Login),
    ("/etc/ld.so.cache", Login),
    ("/etc/fail2ban", Login),
    ("/run/faillock", Login),
    ("/etc/selinux", AtBoot),
    ("/etc/apparmor.d", AtBoot),
    ("/sbin/sshd", Login),
    ("/sbin/nologin", Login),
    ("/sbin/dropbear", Login),
    ("/bin/sudo", Login),
    ("/bin/sh", Login),
    ("/bin/bash", Login),
    ("/bin/rbash", Login),
    ("/bin/dash", Login),
    ("/bin/zsh", Login),
    ("/bin/fish", Login),
    ("/bin/ksh", Login),
    ("/bin/busybox", Login),
    ("/bin/env", Login),
    ("/lib/openssh", Login),
    ("/libexec/openssh", Login),
    ("/lib/sudo", Login),
    ("/libexec/sudo", Login),
    ("/lib/security", Login),
    ("/etc/nftables.conf", AtBoot),
    ("/etc/nftables.d", AtBoot),
    ("/etc/nftables", AtBoot),
    ("/etc/iptables", AtBoot),
    ("/etc/ufw", AtBoot),
    ("/etc/default/ufw", AtBoot),
    ("/etc/firewalld", AtBoot),
    ("/etc/shorewall", AtBoot),
    ("/etc/shorewall6", AtBoot),
    ("/etc/ferm", AtBoot),
    ("/etc/csf", AtBoot),
    ("/etc/network", AtBoot),
    ("/etc/netplan", AtBoot),
    ("/etc/systemd/network", AtBoot),
    ("/etc/NetworkManager", AtBoot),
    ("/etc/dhcpcd.conf", AtBoot),
    ("/etc/dhcp", AtBoot),
    ("/etc/cloud", AtBoot),
    ("/etc/wireguard", AtBoot),
    ("/etc/openvpn", AtBoot),
    ("/etc/ipsec.conf", AtBoot),
    ("/etc/ipsec.secrets", AtBoot),
    ("/etc/ipsec.d", AtBoot),
    ("/etc/swanctl", AtBoot),
    ("/etc/strongswan.conf", AtBoot),
    ("/etc/strongswan.d", AtBoot),
    ("/etc/iproute2", AtBoot),
    ("/etc/fstab", AtBoot),
    ("/etc/crypttab", AtBoot),
    ("/etc/sysctl.conf", AtBoot),
    ("/etc/sysctl.d", AtBoot),
    ("/etc/modprobe.d", AtBoot),
    ("/etc/modules", AtBoot),
    ("/etc/modules-load.d", AtBoot),
    ("/etc/default/grub", AtBoot),
    ("/etc/systemd/system.conf", AtBoot),
    ("/etc/systemd/system.conf.d", AtBoot),
    ("/lib/systemd/system.conf.d", AtBoot),
    ("/run/systemd/system.conf.d", AtBoot),
    ("/etc/systemd/user.conf", AtBoot),
    ("/etc/systemd/user.conf.d", AtBoot),
    ("/etc/systemd/logind.conf", AtBoot),
    ("/etc/systemd/logind.conf.d", AtBoot),
    ("/etc/systemd/networkd.conf", AtBoot),
    ("/etc/systemd/networkd.conf.d", AtBoot),
    ("/etc/systemd/resolved.conf", AtBoot),
    ("/etc/systemd/resolved.conf.d", AtBoot),
    ("/etc/systemd/system-preset", AtBoot),
    ("/lib/systemd/system-preset", AtBoot),
    // They run at each `daemon-reload`.
    ("/lib/systemd/system-generators", Units),
    ("/local/lib/systemd/system-generators", Units),
    ("/run/systemd/system-generators", Units),
    ("/lib/systemd/system-environment-generators", Units),
    ("/etc/systemd/system-environment-generators", Units),
    ("/run/systemd/system-environment-generators", Units),
    ("/lib/systemd/logind.conf.d", AtBoot),
    ("/run/systemd/logind.conf.d", AtBoot),
    ("/run/systemd/networkd.conf.d", AtBoot),
    ("/lib/systemd/networkd.conf.d", AtBoot),
    ("/local/lib/systemd/network", AtBoot),
    ("/lib/systemd/network", AtBoot),
    ("/run/systemd/network", AtBoot),
    ("/lib/netplan", AtBoot),
    ("/run/netplan", AtBoot),
    ("/run/NetworkManager", AtBoot),
    ("/lib/NetworkManager", AtBoot),
    ("/lib/sysctl.d", AtBoot),
    ("/local/lib/sysctl.d", AtBoot),
    ("/run/sysctl.d", AtBoot),
    ("/lib/tmpfiles.d", AtBoot),
    ("/local/lib/tmpfiles.d", AtBoot),
    ("/run/tmpfiles.d", AtBoot),
    ("/lib/udev", AtBoot),
    ("/run/udev/rules.d", AtBoot),
    ("/lib/modprobe.d", AtBoot),
    ("/run/modprobe.d", AtBoot),
    ("/lib/modules-load.d", AtBoot),
    ("/run/modules-load.d", AtBoot),
    ("/etc/init.d", AtBoot),
    ("/etc/rc2.d", AtBoot),
    ("/etc/sysusers.d", AtBoot),
    ("/etc/hostname", AtBoot),
    ("/etc/rc.local", AtBoot),
    ("/etc/tmpfiles.d", AtBoot),
    ("/etc/udev", AtBoot),
    ("/etc/ppp", AtBoot),
    ("/etc/default/networking", AtBoot),
    ("/etc/initramfs-tools", AtBoot),
    ("/etc/dracut.conf.d", AtBoot),
    ("/etc/systemd/system-generators", Units),
    ("/boot", AtBoot),
];

/// Where systemd reads units.
pub(super) const UNITS: [&str; 12] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/local/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// What the shell of a login reads of its home, or sshd does.
pub(super) const HOME: [&str; 23] = [
    ".ssh",
    ".bashrc",
    ".bash_aliases",
    ".bash_logout",
    ".hushlogin",
    ".bash_profile",
    ".bash_login",
    ".profile",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".kshrc",
    ".mkshrc",
    ".config/fish",
    ".pam_environment",
    ".k5login",
    ".k5users",
    ".rhosts",
    ".shosts",
];

/// What the logins of a host depend on.
#[derive(Debug)]
pub(in crate::desired) struct Logins {
    home: Option<String>,
    /// Other names of the home, where links lead.
    pub(super) homes: Vec<String>,
    /// Other names of directories of units.
    pub(super) units: Vec<String>,
    /// Root may log in where others may not.
    root: bool,
    /// Paths that a configuration names, and where links of what logins depend on lead.
    pub(super) named: Vec<(String, Depends)>,
    /// What comes before and behind another user's name, in paths of authorized keys.
    pub(super) of_others: Vec<(String, String)>,
    /// Whether somebody may be let in or not by a name that is looked up.
    by_name: bool,
    /// Where the loader is to look besides.
    pub(super) libraries: Vec<String>,
}

/// Where the loader looks in any case, and what lies below in directories of the architecture's.
const LIBRARIES: [&str; 6] = ["/lib", "/lib32", "/lib64", "/libx32", "/local/lib", "/local/lib64"];

/// Which files say which name an address has.
const NAMES: [&str; 5] = ["/etc/hosts", "/etc/resolv.conf", "/etc/host.conf", "/etc/gai.conf", "/run/systemd/resolve"];

impl Logins {
    /// Those of a host as it was read.
    pub(in crate::desired) fn of(login: &LoginFact) -> Self {
        let home = login.home.as_ref().map(|home| usual(home.as_str()).to_owned()).filter(|home| home != "/");
        let mut logins = Self {
            homes: home.iter().cloned().collect(),
            home,
            units: Vec::new(),
            root: login.user == "root",
            named: Vec::new(),
            of_others: Vec::new(),
            by_name: login.wrapped,
            libraries: login.libraries.iter().map(|path| usual(path).to_owned()).collect(),
        };
        for (key, words) in &login.sshd {
            logins.sshd(key, words, &login.user);
        }
        for words in &login.others {
            for word in words_of(words).flat_map(|word| word.split([':', ','])) {
                logins.name(word.trim_start_matches(['-', '!']), Login);
            }
        }
        for word in login.sudoers.iter().flat_map(|words| words_of(words)) {
            let path = if word.starts_with('/') { word.to_owned() } else { format!("/etc/{word}") };
            logins.name(&path, Sudo);
        }
        logins.follow(login);
        logins
    }

    /// A line of sshd's configuration.
    fn sshd(&mut self, key: &str, words: &str, user: &str) {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        let lower = words.to_ascii_lowercase();
        self.by_name |= (is("UseDNS") && lower.contains("yes")) || (is("Match") && lower.contains("host"));
        if is("Unit") {
            let units = UNITS.iter().flat_map(|base| [format!("{base}/{words}"), format!("{base}/{words}.d")]);
            return self.named.extend(units.map(|path| (path, SshdUnit)));
        }
        // What fails takes sshd's unit along, at the next boot.
        let (first, more) = key.split_once('=').unwrap_or((key, ""));
        if ["Requires", "BindsTo", "Requisite"].contains(&first) {
            for needed in words_of(more).chain(words_of(words)).filter(|word| word.contains('.')) {
                let places = |base: &&str| [format!("{base}/{needed}"), format!("{base}/{needed}.d")];
                self.named.extend(UNITS.iter().flat_map(places).map(|path| (path, SshdUnit)));
            }
            return;
        }
        // Of its units: what only a start looks at.
        let start = ["Condition", "Assert", "EnvironmentFile"].iter().any(|begin| key.starts_with(begin));
        let depends = if start { SshdUnit } else { Sshd };
        let keys = is("AuthorizedKeysFile");
        for word in words_of(words) {
            if keys && let Some((before, behind)) = word.split_once("%u").filter(|(before, _)| before.starts_with('/'))
            {
                self.of_others.push((usual(before).to_owned(), behind.to_owned()));
            }
            let word = if start || key.starts_with("Exec") {
                word.trim_start_matches(['-', '!', '|', '+', '@', ':'])
            } else {
                word
            };
            let word = word.replace("%h", self.home.as_deref().unwrap_or("%h")).replace("%u", user);
            match (word.starts_with('/'), keys, &self.home) {
                (true, ..) => self.name(&word, depends),
                (false, true, Some(home)) if word != "none" => self.name(&format!("{home}/{word}"), Sshd),
                _ => {}
            }
        }
    }

    /// The rest of a name that depends on what only its reader knows, or is a pattern, may be anything.
    fn name(&mut self, path: &str, depends: Depends) {
        let known = path.split_once(['%', '*', '?', '[']).map_or(path, |(known, _)| known);
        let known = if known.len() < path.len() { known.rsplit_once('/').map_or("", |(up, _)| up) } else { known };
        // A list in a configuration may end a word so.
        let known = known.trim_end_matches([',', ':', ';', ']']);
        self.add(known, depends);
    }

    /// One path more; none that stands for all and everything.
    pub(super) fn add(&mut self, path: &str, depends: Depends) {
        const ALL: [&str; 9] = ["/", "/dev/null", "/etc", "/usr", "/var", "/run", "/bin", "/sbin", "/lib"];
        let Ok(path) = RemotePath::new(path) else { return };
        let found = (usual(path.as_str()).to_owned(), depends);
        if !ALL.contains(&path.as_str()) && !ALL.contains(&found.0.as_str()) && !self.named.contains(&found) {
            self.named.push(found);
        }
    }

    /// How logins depend on a file.
    pub(in crate::desired) fn file(&self, path: &RemotePath) -> Option<Depends> {
        let path = usual(path.as_str());
        // root may come in all the same, so its login would show nothing.
        if self.root && ["/etc/nologin", "/run/nologin"].contains(&path) {
            return Some(OtherUser);
        }
        if self.named.iter().any(|(named, depends)| *depends == SshdUnit && is_below(path, named)) {
            return Some(SshdUnit);
        }
        if let Some((_, depends)) = BELOW.iter().find(|(own, _)| is_below(path, own)) {
            return Some(*depends);
        }
        let bases = UNITS.iter().copied().chain(self.units.iter().map(String::as_str));
        if let Some(depends) = bases.filter_map(|base| path.strip_prefix(base)?.strip_prefix('/')).find_map(unit) {
            return Some(depends);
        }
        if let Some((_, depends)) = self.named.iter().find(|(named, _)| is_below(path, named)) {
            return Some(*depends);
        }
        if self.by_name && NAMES.iter().any(|own| is_below(path, own)) {
            return Some(Login);
        }
        let in_home = |home: &String| HOME.iter().any(|name| is_below(path, &format!("{home}/{name}")));
        if self.homes.iter().any(in_home) {
            return Some(Login);
        }
        // Modules of PAM lie in a directory of the architecture's, and libraries wherever the loader looks first: in
        // /usr/local/lib, on Debian. Others are found only by programs that know where they are.
        let name = path.rsplit('/').next().unwrap_or_default();
        let searched = LIBRARIES.iter().copied().chain(self.libraries.iter().map(String::as_str));
        let library = name.starts_with("lib")
            && (name.ends_with(".so") || name.contains(".so."))
            && searched.into_iter().any(|own| is_below(path, own));
        if path.contains("/security/pam_") || library || name.starts_with("ld-linux") {
            return Some(Login);
        }
        let of_another = |(before, behind): &(String, String)| {
            path.strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(behind.as_str()))
                .is_some_and(|user| !user.is_empty() && !user.contains('/'))
        };
        if self.of_others.iter().any(of_another) {
            return Some(OtherUser);
        }
        (path.contains("/.ssh/authorized_keys") || path.ends_with("/.k5login")).then_some(OtherUser)
    }

    /// How logins depend on a directory: also on those above what they read. sshd wants them closed to others, and everybody
    /// must be able to pass.
    pub(in crate::desired) fn directory(&self, path: &RemotePath) -> Option<Depends> {
        if let Some(depends) = self.file(path) {
            return Some(depends);
        }
        let path = usual(path.as_str());
        let above = |below: &str| path == "/" || is_below(below, path);
        // Directories of the system are above programs, libraries and devices that no list names.
        const SYSTEM: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/dev"];
        let known = BELOW.iter().filter(|(_, depends)| *depends != AtBoot).map(|(own, _)| *own);
        // And below them: in a directory of the architecture's, say.
        let below =
            ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libexec"].iter().any(|own| is_below(path, own));
        let fixed = below || known.chain(UNITS).chain(SYSTEM).any(above);
        let named = self.named.iter().filter(|(_, depends)| !matches!(depends, AtBoot | OtherUser)).map(|(own, _)| own);
        let named = named.chain(&self.homes).chain(&self.libraries).any(|own| above(own));
        (fixed || named).then_some(Login)
    }
}

/// The words of a line, as sshd, sudo and PAM divide it, nearly.
fn words_of(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t', '=', '"', '\'']).filter(|word| !word.is_empty())
}

pub(super) fn is_below(path: &str, own: &str) -> bool {
    path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The same place by its shorter name: `/usr/lib` is `/lib` wherever systemd is, and `/var/run` is `/run`.
pub(super) fn usual(path: &str) -> &str {
    if let Some(run) = path.strip_prefix("/var").filter(|rest| is_below(rest, "/run")) {
        return run;
    }
    match path.strip_prefix("/usr") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// Units of sshd, and what they stand on: a drop-in for all services is one for sshd too, and what is said of a slice holds for
/// all below it.
fn unit(rest: &str) -> Option<Depends> {
    let first = rest.split('/').next().unwrap_or_default();
    let ssh = |name: &str| name.starts_with("ssh") || name.starts_with("dropbear");
    if ssh(first) || ["service.d", "socket.d"].contains(&first) || (first.ends_with("-.service.d") && ssh(first)) {
        return Some(SshdUnit);
    }
    // Slices, scopes and what each login is started in.
    let login = [
        "slice.d",
        "scope.d",
        "-.slice",
        "-.slice.d",
        "system.slice",
        "system.slice.d",
        "user.slice",
        "user.slice.d",
        "systemd-.service.d",
        "systemd-user-.service.d",
    ];
    let logins = [
        "user-",
        "user@",
        "session-",
        "systemd-logind.",
        "systemd-user-sessions.",
        "systemd-userdb",
        "systemd-homed",
        "dbus.",
        "dbus-",
        "nss-",
        "nscd.",
        "unscd.",
        "sssd",
        "nslcd",
        "winbind",
    ];
    if login.contains(&first) || logins.iter().any(|name| first.starts_with(name)) {
        return Some(Units);
    }
    let network = [
        "networking.",
        "network-",
        "network.",
        "ifup@",
        "ifup.",
        "systemd-network",
        "NetworkManager",
        "wpa_supplicant",
        "dhcpcd",
        "dhclient",
        "cloud-",
        "nftables.",
        "netfilter-persistent.",
        "iptables.",
        "ip6tables.",
        "ufw.",
        "firewalld.",
        "wg-quick@",
        "openvpn",
        "strongswan",
        "ipsec.",
    ];
    let last = rest.rsplit('/').next().unwrap_or_default();
    let wanted = rest.contains(".wants/") || rest.contains(".requires/");
    if network.iter().any(|name| first.starts_with(name))
        || (wanted && (ssh(last) || network.iter().any(|name| last.starts_with(name))))
    {
        return Some(AtBoot);
    }
    // What a boot comes to, and what it must have mounted for that.
    let rescue =
        ["rescue.", "emergency.", "getty", "systemd-tmpfiles", "systemd-sysctl", "systemd-udevd", "systemd-resolved"];
    if rescue.iter().any(|name| first.starts_with(name)) {
        return Some(AtBoot);
    }
    let goal = [".target", ".target.d", ".mount", ".mount.d", ".automount", ".swap"];
    if goal.iter().any(|end| first.ends_with(end)) {
        return Some(AtBoot);
    }
    ["target.d", "mount.d", "automount.d", "swap.d", "device.d"].contains(&first).then_some(AtBoot)
}
