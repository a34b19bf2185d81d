//! Directories that all programs of a host share, and how the system has them. Pure.

use crate::inventory::model::Owner;
use crate::name::RemotePath;

use super::paths::usual;

/// Their modes; all of them are root's.
const SHARED: [(&str, u32); 19] = [
    ("/tmp", 0o1777),
    ("/var/tmp", 0o1777),
    ("/dev/shm", 0o1777),
    ("/dev/mqueue", 0o1777),
    ("/run/lock", 0o1777),
    ("/dev/pts", 0o755),
    ("/run/user", 0o755),
    ("/run/systemd", 0o755),
    ("/run/dbus", 0o755),
    ("/home", 0o755),
    ("/opt", 0o755),
    ("/srv", 0o755),
    ("/mnt", 0o755),
    ("/media", 0o755),
    ("/var/cache", 0o755),
    ("/var/lib/dpkg", 0o755),
    ("/var/lib/systemd", 0o755),
    ("/var/lib/apt", 0o755),
    ("/var/spool", 0o755),
];

/// What to say of one that is to be otherwise than the system has it.
pub(super) fn note(names: &[RemotePath], mode: u32, owner: &Owner) -> Option<String> {
    let shared = |name: &RemotePath| SHARED.iter().find(|(own, _)| *own == usual(name.as_str()));
    let (at, usually) = names.iter().find_map(shared)?;
    let root = ["root", "0"].contains(&owner.user.as_str());
    (mode != *usually || !root).then(|| {
        format!("every program on the host shares {at}, which the system has as root's with mode {usually:04o}: some may fail")
    })
}
