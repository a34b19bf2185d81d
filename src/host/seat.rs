//! This process, named so that others on its machine can find out whether it still lives: a run writes that beside its
//! lock, and the next one need not wait for the end of a lock whose run has died.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Boot, namespace of process numbers, user, number, start. Empty where the system does not tell: then nobody can look.
#[must_use]
pub fn own() -> String {
    own_at(Path::new("/proc")).unwrap_or_default()
}

/// Whether the process of this name is known to have ended. What another machine, container or user runs is not known.
#[must_use]
pub fn is_over(seat: &str) -> bool {
    is_over_at(Path::new("/proc"), seat)
}

fn own_at(proc: &Path) -> Option<String> {
    let (place, user) = here(proc)?;
    let pid = std::fs::read_link(proc.join("self")).ok()?;
    let pid: u32 = pid.to_str()?.parse().ok()?;
    let (_, start) = stat(&std::fs::read_to_string(proc.join("self/stat")).ok()?)?;
    Some(format!("{place}.{user}.{pid}.{start}"))
}

/// The boot and the namespace, and the user: of other users' processes a system may show nothing (`hidepid`).
fn here(proc: &Path) -> Option<(String, u32)> {
    let boot = std::fs::read_to_string(proc.join("sys/kernel/random/boot_id")).ok()?;
    let space = std::fs::read_link(proc.join("self/ns/pid")).ok()?;
    let digits = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>();
    let (boot, space) = (digits(&boot), space.to_str()?.chars().filter(char::is_ascii_digit).collect::<String>());
    let user = std::fs::metadata(proc.join("self")).ok()?.uid();
    (boot.len() == 32 && !space.is_empty()).then(|| (format!("{boot}.{space}"), user))
}

/// State and start of a process. Its name may hold anything.
fn stat(text: &str) -> Option<(char, u64)> {
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn is_over_at(proc: &Path, seat: &str) -> bool {
    let parts: Vec<&str> = seat.split('.').collect();
    let [boot, space, user, pid, start] = parts.as_slice() else { return false };
    let Some((place, me)) = here(proc) else { return false };
    let (Ok(user), Ok(pid), Ok(start)) = (user.parse::<u32>(), pid.parse::<u32>(), start.parse::<u64>()) else {
        return false;
    };
    if format!("{boot}.{space}") != place || user != me {
        return false;
    }
    match std::fs::read_to_string(proc.join(pid.to_string()).join("stat")) {
        Ok(text) => stat(&text).is_some_and(|(state, since)| since != start || matches!(state, 'Z' | 'X')),
        // ESRCH: it ended while it was looked at.
        Err(error) => error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_lives_is_not_over_and_one_that_ended_is() {
        let own = own();
        assert_eq!(own.split('.').count(), 5, "{own}");
        assert!(own.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!is_over(&own));
        let (before, start) = own.rsplit_once('.').unwrap();
        let (place, _) = before.rsplit_once('.').unwrap();
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pid = child.id();
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let seat = format!("{place}.{pid}.{}", stat(&text).unwrap().1);
        assert!(!is_over(&seat), "{seat} lives");
        assert!(is_over(&format!("{place}.{pid}.1")), "another process had this number before");
        child.kill().unwrap();
        // Dead, although nobody has asked how it ended.
        for _ in 0..200 {
            if is_over(&seat) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(is_over(&seat), "{seat} was killed");
        child.wait().unwrap();
        assert!(is_over(&seat), "{seat} is gone");
        assert!(start.parse::<u64>().is_ok());
    }

    #[test]
    fn what_is_elsewhere_or_makes_no_sense_is_not_known_to_be_over() {
        let own = own();
        let parts: Vec<&str> = own.split('.').collect();
        let with = |at: usize, other: &str| {
            let mut parts = parts.clone();
            parts[at] = other;
            parts[3] = if at == 3 { other } else { "4194304" };
            parts.join(".")
        };
        // No process has that number, so only what stands before it keeps it from being over.
        assert!(is_over(&with(4, "7")));
        for seat in [
            with(0, "00000000000000000000000000000000"),
            with(1, "1"),
            with(2, "77777"),
            with(3, "x"),
            with(3, "../1"),
            with(4, ""),
            String::new(),
            "-".to_owned(),
            "1.2.3.4.5".to_owned(),
            format!("{own}.1"),
        ] {
            assert!(!is_over(&seat), "{seat}");
        }
    }
}
