//! What no trial may touch, since the undoing itself stands on it: the shell, the programs that it starts, the libraries and
//! the loader, systemd; and the system's directories, which everybody must be able to pass and which are nobody's but root's. Also
//! what would be given away through a link, and units that end sshd as soon as they start. Such changes are refused. Pure.

use crate::facts::{Facts, Known, PathFact};
use crate::name::RemotePath;
use crate::plan::{HostPlan, Problem};
use crate::script::environment::PROGRAMS;
use crate::step::{Step, WriteFile};

use super::paths::{UNITS, is_below, usual};
use super::{links, problem};

/// Refuses what would leave nothing to put back with. `declared`: the files and directories that the inventory names.
pub(in crate::desired) fn refuse(plan: &mut HostPlan, facts: &Facts, declared: &[RemotePath]) {
    let mut found = Vec::new();
    for step in plan.changes.iter().flat_map(|change| &change.steps) {
        found.extend(refused(step, facts, declared));
    }
    found.dedup();
    plan.problems.extend(found);
}

fn refused(step: &Step, facts: &Facts, declared: &[RemotePath]) -> Option<Problem> {
    match step {
        Step::WriteFile(write) => stands(&write.path, facts)
            .or_else(|| ends_sshd(write, facts))
            .or_else(|| through_a_link(&write.path, write.mode, &write.owner.user, facts, declared)),
        Step::Attributes { path, mode, owner, .. } => {
            stands(path, facts).or_else(|| through_a_link(path, *mode, &owner.user, facts, declared))
        }
        Step::RemoveFile(path) | Step::RemoveDirectory(path) => stands(path, facts),
        Step::Directory { path, mode, owner } => system(path, *mode, &owner.user, facts)
            .or_else(|| through_a_link(path, *mode, &owner.user, facts, declared)),
        _ => None,
    }
}

/// The path as it is written, and where links lead.
fn names(path: &RemotePath, facts: &Facts) -> Vec<String> {
    links::names(path, facts).iter().map(|name| usual(name.as_str()).to_owned()).collect()
}

/// Beside those that scripts start by name.
const MORE: [&str; 22] = [
    "bash",
    "busybox",
    "cmp",
    "coreutils",
    "dash",
    "dbus-daemon",
    "init",
    "ld.so",
    "ldconfig",
    "login",
    "nologin",
    "rbash",
    "sh",
    "sshd",
    "su",
    "sudo",
    "sudoedit",
    "systemd",
    "systemd-tmpfiles",
    "tar",
    "test",
    "unix_chkpwd",
];

/// Programs of scripts that people do put in place by hand, and without which the undoing works.
const NOT_NEEDED: [&str; 7] = ["curl", "docker", "dockerd", "logger", "update-ca-certificates", "wg", "wget"];

/// Beginnings of names: libraries that the programs above load, wherever the loader finds them first.
const LIBRARIES: [&str; 34] = [
    "ld-",
    "libacl.so",
    "libattr.so",
    "libaudit.so",
    "libblkid.so",
    "libc.so",
    "libc-",
    "libcap-ng.so",
    "libcap.so",
    "libcom_err.so",
    "libcrypt.so",
    "libcrypto.so",
    "libdl.so",
    "libgcrypt.so",
    "libgpg-error.so",
    "libgssapi_krb5.so",
    "libk5crypto.so",
    "libkmod.so",
    "libkrb5",
    "liblz4.so",
    "liblzma.so",
    "libm.so",
    "libmount.so",
    "libpam.so",
    "libpcre2-8.so",
    "libpthread.so",
    "libreadline.so",
    "libresolv.so",
    "libseccomp.so",
    "libselinux.so",
    "libsystemd",
    "libtinfo.so",
    "libwrap.so",
    "libzstd.so",
];

/// Files that the undoing, or every login, cannot do without.
fn stands(path: &RemotePath, facts: &Facts) -> Option<Problem> {
    let login = &facts.system.login;
    let searched = |path: &str| login.libraries.iter().any(|own| is_library(path) && is_below(path, usual(own)));
    let what = names(path, facts).into_iter().find(|name| is_foundation(name) || searched(name))?;
    let by = if what == usual(path.as_str()) { String::new() } else { format!(", which leads to {what}") };
    let message = format!(
        "{path}{by}: the host itself stands on it, and so does what would put it back if nobody could log in any more"
    );
    let help = "take it out of the inventory: a package owns it (`dpkg -S` says which), and `packages` installs another version; \
                what must be changed by hand is changed on the host's own console";
    Some(problem(message, help))
}

pub(super) fn is_foundation(path: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    // Links, where systemd is; their removal leaves no program.
    if TOP.contains(&path)
        || LIBS.contains(&path)
        || ["/bin", "/sbin", "/etc/systemd/system", "/etc/alternatives"].contains(&path)
        // Without it the next boot is systemd's first: it enables every unit there is.
        || ["/etc/machine-id", "/var/lib/dbus/machine-id"].contains(&path)
    {
        return true;
    }
    let in_libs = LIBS.iter().any(|own| is_below(directory, own));
    match directory {
        "/bin" | "/sbin" => {
            let needed = PROGRAMS.split_ascii_whitespace().filter(|name| !NOT_NEEDED.contains(name));
            needed.chain(MORE).any(|needed| needed == name)
                || name.starts_with("systemctl")
                || name.starts_with("systemd-")
        }
        "/lib/systemd" => name.starts_with("systemd") || name.starts_with("libsystemd"),
        "/lib/openssh" | "/libexec/openssh" => name.starts_with("sshd"),
        // One that an application has for itself is no library of the host's.
        _ => is_library(path) && (in_libs || is_below(directory, "/local/lib") || is_below(directory, "/local/lib64")),
    }
}

/// Whether it has the name of a library that programs of the host load.
fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.contains(".so") && LIBRARIES.iter().any(|own| name.starts_with(own))
}

/// Directories that must stay root's and open to everybody, themselves.
const TOP: [&str; 14] = [
    "/",
    "/etc",
    "/usr",
    "/var",
    "/run",
    "/dev",
    "/proc",
    "/sys",
    "/boot",
    "/root",
    "/local",
    "/var/lib",
    "/var/log",
    "/usr/local",
];

/// Where programs and libraries lie.
const LIBS: [&str; 5] = ["/lib", "/lib32", "/lib64", "/libx32", "/libexec"];

/// Whether it is one of the system's own directories, which other programs and logins find their files in.
pub(super) fn is_system(path: &str) -> bool {
    const MORE: [&str; 16] = [
        "/bin",
        "/sbin",
        "/local/bin",
        "/local/sbin",
        "/local/lib",
        "/share",
        "/etc/ssh",
        "/etc/pam.d",
        "/etc/security",
        "/etc/sudoers.d",
        "/etc/systemd",
        "/etc/profile.d",
        "/etc/ld.so.conf.d",
        "/etc/cron.d",
        "/etc/alternatives",
        "/etc/apt",
    ];
    if TOP.contains(&path) || LIBS.contains(&path) || MORE.contains(&path) || UNITS.contains(&path) {
        return true;
    }
    // Of a package's own directories in there, only those that logins and the loader use.
    LIBS.iter().any(|own| {
        path.strip_prefix(own).and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| {
            let first = rest.split('/').next().unwrap_or_default();
            let parts = rest.split('/').count();
            let used = ["systemd", "security", "openssh", "sudo", "pam.d"];
            (first.contains("-linux-") && (parts == 1 || rest.ends_with("/security") || rest.ends_with("/systemd")))
                || used.contains(&first)
        })
    })
}

/// Directories of the system that are to be somebody else's, open for others to write, or closed to everybody.
fn system(path: &RemotePath, mode: u32, user: &str, facts: &Facts) -> Option<Problem> {
    let at = names(path, facts).into_iter().find(|name| is_system(name))?;
    let root = ["root", "0"].contains(&user);
    // Debian has these closed.
    let closed = mode & 0o005 != 0o005
        && !["/root", "/etc/sudoers.d", "/etc/ssh", "/proc", "/sys", "/boot", "/var/log", "/etc/cron.d"]
            .contains(&at.as_str());
    let opened = mode & 0o022 != 0 && at != "/var/log" && !at.starts_with("/local");
    let why = if !root {
        format!("it would belong to {user}, who could put anything in the place of what root runs")
    } else if mode & 0o002 != 0 || opened {
        "others than root could put anything in the place of what root runs".to_owned()
    } else if closed {
        "nobody but root could find programs, libraries and configuration any more, and no login would work".to_owned()
    } else {
        return None;
    };
    let by = if at == usual(path.as_str()) { String::new() } else { format!(", which leads to {at}") };
    let message = format!("{path}{by}: a directory of the system: with mode {mode:04o} and owner {user}, {why}");
    Some(problem(
        message,
        "leave it as the system has it: take it out of `directories`, or declare one of your own below it",
    ))
}

/// What somebody else gets by a link, whoever made the link: it may be root of a job's container.
fn through_a_link(path: &RemotePath, mode: u32, user: &str, facts: &Facts, declared: &[RemotePath]) -> Option<Problem> {
    let Some(Known::Present(PathFact { mode: now, user: owner, way, .. })) = facts.paths.get(path) else { return None };
    let goal = way.real.as_deref()?;
    let given = user != owner && !["root", "0"].contains(&user);
    if (!given && mode & !now & 0o077 == 0) || declared.iter().any(|own| own.as_str() == goal) {
        return None;
    }
    let what = if given { format!("would be given to {user}") } else { format!("would be opened ({mode:04o})") };
    let message = format!(
        "{path}: a symbolic link on the way leads to {goal}, which {what}: whoever made the link chose that, and the inventory \
         does not name it"
    );
    let help = format!(
        "if the link is yours, declare {goal} itself, with this owner and mode; if not, see on the host who made it (containers \
         of jobs with `/builds` mounted are root there), and remove it"
    );
    Some(problem(message, &help))
}

/// Lines of a unit that end another one, or put themselves in its place.
const ENDS: [&str; 6] = ["Conflicts", "PropagatesStopTo", "Alias", "RequiredBy", "RequisiteOf", "BoundBy"];

/// Beginnings of the names of units that logins need.
const NEEDED: [&str; 14] = [
    "ssh.",
    "ssh@",
    "sshd.",
    "sshd@",
    "dropbear.",
    "network.",
    "network-",
    "networking.",
    "systemd-networkd.",
    "NetworkManager.",
    "systemd-logind.",
    "multi-user.",
    "basic.",
    "sysinit.",
];

/// The lines of a unit file as systemd joins them: one that ends with a backslash goes on in the next that is no comment.
fn settings(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
        match lines.last_mut().filter(|_| open) {
            Some(last) => {
                last.push(' ');
                last.push_str(line);
            }
            None => lines.push(line.to_owned()),
        }
        open = goes_on;
    }
    lines
}

/// Words of a unit with the parts of its own name that systemd puts in: `a-b@c.service` is `%n`, `a-b@c` is `%N`, `a-b` is `%p`, `c` is
/// `%i` and `%I`, `b` is `%j` and `%J`.
fn specified(words: &str, unit: &str) -> String {
    let whole = unit.rsplit_once('.').map_or(unit, |(name, _)| name);
    let (prefix, instance) = whole.split_once('@').unwrap_or((whole, ""));
    let last = prefix.rsplit('-').next().unwrap_or_default();
    let parts = [
        ("%n", unit),
        ("%N", whole),
        ("%p", prefix),
        ("%P", prefix),
        ("%i", instance),
        ("%I", instance),
        ("%j", last),
        ("%J", last),
    ];
    parts.into_iter().fold(words.to_owned(), |words, (sign, part)| words.replace(sign, part))
}

/// A unit that ends sshd or the network when it starts, at the next boot or with something else.
fn ends_sshd(write: &WriteFile, facts: &Facts) -> Option<Problem> {
    let unit = names(&write.path, facts).into_iter().find(|name| UNITS.iter().any(|base| is_below(name, base)))?;
    let first = unit.rsplit('/').find(|part| part.contains('.') && !part.ends_with(".conf")).unwrap_or_default();
    // They may say of themselves how they are enabled.
    let own = NEEDED.iter().any(|name| first.starts_with(name));
    for line in settings(&write.content.redacted()) {
        let Some((key, words)) = line.split_once('=') else { continue };
        let key = key.trim();
        if !ENDS.contains(&key) || (own && key != "Conflicts") {
            continue;
        }
        let ends = |word: &&str| NEEDED.iter().any(|name| word.starts_with(name));
        // systemd takes quotes away, wherever they stand, and puts parts of the unit's own name in place of some words.
        let words = specified(&words.replace(['"', '\''], ""), first);
        if let Some(word) = words.split_ascii_whitespace().find(ends) {
            let message = format!(
                "{}: `{key}={word}` would end {word}, or start in its stead, when this unit starts: maybe only at the next boot, \
                 where no login can try it and nothing puts it back",
                write.path
            );
            return Some(problem(message, "take this line out of the unit"));
        }
    }
    None
}
