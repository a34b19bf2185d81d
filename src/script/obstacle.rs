//! What lies in the way of a read or a step, as the host tells it for a program: fields, not a sentence. A plan and an apply make
//! the same words of it. Pure: no I/O.

use crate::facts::Why;
use crate::name::RemotePath;

/// Begins a line of a step's standard error that is for rprov alone; the nonce of the script comes first.
const MET: &str = "met";

/// Which kind of thing. The numbers are what `reach` in [`super::paths`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NoEntry,
    LeadsNowhere,
    Link,
    Swapped,
    NoDirectory,
    HardLinks,
    NoFile,
}

/// Something in the way, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    kind: Kind,
    /// What is there: kind, owner and mode; "" if it cannot be looked at.
    what: String,
    /// The first directory on the way that others than root may write to, and whose it is.
    directory: String,
    whose: String,
    path: String,
    /// Where the link leads.
    goal: String,
}

impl Obstacle {
    /// Of a status and the fields that go with it, as base64; `None`: the status is of no obstacle, or it goes without.
    pub(super) fn of(status: &str, fields: &str) -> Option<Self> {
        let kind = match status {
            "13" => Kind::NoEntry,
            "40" => Kind::LeadsNowhere,
            "41" => Kind::Link,
            "42" => Kind::Swapped,
            "45" => Kind::NoDirectory,
            "46" => Kind::HardLinks,
            "47" => Kind::NoFile,
            _ => return None,
        };
        let fields = super::reply::base64(fields).ok().filter(|fields| !fields.is_empty())?;
        let text = String::from_utf8_lossy(&fields);
        // Only where a link leads may hold line breaks.
        let mut fields = text.splitn(5, '\n').map(shown);
        let mut next = || fields.next().unwrap_or_default();
        let (what, directory, whose, path, goal) = (next(), next(), next(), next(), next());
        Some(Self { kind, what, directory, whose, path, goal })
    }

    /// The last one that a script with this nonce has reported on standard error.
    #[must_use]
    pub fn told(stderr: &[u8], nonce: &str) -> Option<Self> {
        let text = String::from_utf8_lossy(stderr);
        let opening = opening(nonce);
        let line = text.lines().rev().find_map(|line| line.strip_prefix(&opening))?;
        let (status, fields) = line.split_once(' ')?;
        Self::of(status, fields)
    }

    /// Whether a line of a script with this nonce is for rprov alone.
    #[must_use]
    pub fn is_told_by(line: &str, nonce: &str) -> bool {
        line.starts_with(&opening(nonce))
    }

    /// In words: for what was asked for, which is named beside them if it is given.
    #[must_use]
    pub fn why(&self, asked: Option<&RemotePath>) -> Why {
        let path = if asked.is_some_and(|asked| asked.as_str() == self.path) { "it" } else { &self.path };
        let what = match self.what.as_str() {
            "" => String::new(),
            what => format!(" ({what})"),
        };
        let (directory, whose) = (&self.directory, &self.whose);
        let why = match self.kind {
            Kind::Link => Why::from(format!(
                "{path} is a symbolic link to {}, and not only root may write to {directory} ({whose}): rprov does not follow it",
                self.goal
            ))
            .help(
                "see on the host who made it, and put a real directory or file in its place, or name the path that it leads to in \
                 the inventory",
            ),
            Kind::LeadsNowhere => {
                Why::from(format!("{path} is a symbolic link that leads nowhere (to {})", self.goal))
                    .help("is a disk not mounted?")
            }
            Kind::NoEntry => Why::from(format!("{path}{what} cannot be entered"))
                .help("it may be on a file system that keeps root out; see on the host what it is"),
            Kind::Swapped => Why::from(format!(
                "{path} was swapped for something else meanwhile, by somebody who may write to {directory} ({whose})"
            ))
            .help("nothing was done to it. See on the host what runs as that user, then run rprov again"),
            Kind::NoDirectory => Why::from(format!("{path}{what} is there, where a directory must be")).help(
                "see on the host who made it and whether somebody needs it; move it to another name, or name another path in the \
                 inventory",
            ),
            Kind::HardLinks => {
                Why::from(format!("{path}{what} has further names (hard links), so it may be somebody else's file")).help(
                    "see on the host which (`find / -xdev -samefile`), and put a file of its own in its place, or name another \
                     path in the inventory",
                )
            }
            Kind::NoFile => Why::from(format!("{path}{what} is there, where a file must be")).help(
                "see on the host who made it and whether somebody needs it; move it to another name, or name another path in the \
                 inventory",
            ),
        };
        why.in_the_way()
    }
}

/// How a line of a script with this nonce begins that tells an obstacle.
fn opening(nonce: &str) -> String {
    format!("@{nonce} {MET} ")
}

/// Names that others chose may hold anything.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::reply::to_base64;

    #[test]
    fn a_program_cannot_tell_an_obstacle_and_a_name_cannot_give_advice() {
        let fields = "regular file, jobs:jobs, mode 644\n/home/jobs\njobs:jobs, mode 755\n/home/jobs/x\nto; run rm -r /\nat once";
        let line = |nonce: &str| format!("noise\n@{nonce} met 41 {}\nmore\n", to_base64(fields.as_bytes()));
        assert_eq!(Obstacle::told(line("other").as_bytes(), "n0"), None);
        let told = Obstacle::told(line("n0").as_bytes(), "n0").unwrap();
        let why = told.why(None);
        assert_eq!(
            why.reason(),
            "/home/jobs/x is a symbolic link to to; run rm -r /\\nat once, and not only root may write to /home/jobs (jobs:jobs, \
             mode 755): rprov does not follow it"
        );
        assert!(why.to_do().unwrap().starts_with("see on the host who made it"));
        let path = RemotePath::new("/home/jobs/x").unwrap();
        assert!(told.why(Some(&path)).reason().starts_with("it is a symbolic link"));
        assert!(Obstacle::is_told_by("@n0 met 41 x", "n0") && !Obstacle::is_told_by("@n1 met 41 x", "n0"));
        assert_eq!((Obstacle::of("0", "bm8="), Obstacle::of("41", "")), (None, None));
    }
}
