//! Reads a file of this machine in bounded time and memory: a regular one, up to a length, and if so asked only below one
//! directory. A pipe that nobody writes to, a device and an endless file are errors, never a wait. The one place that
//! opens a file whose path somebody wrote down.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// What OpenSSH's own users have in their files at most, many times over.
pub const MAX_SSH_FILE: u64 = 4 << 20;

/// Why a file was not read.
#[derive(Debug)]
pub enum Unreadable {
    /// The system's reason.
    Io(std::io::Error),
    /// It is a directory.
    Directory,
    /// It is a pipe, a socket or a device: reading it could take for ever.
    NotRegular,
    /// It is longer than this many bytes.
    TooLong(u64),
    /// It may not be read here, and why.
    Refused(String),
}

impl Unreadable {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == std::io::ErrorKind::NotFound)
    }

    /// The reason in one line, with the system's own words where it is the system that refuses.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Io(error) if error.kind() != std::io::ErrorKind::WouldBlock => crate::diagnostic::said(error),
            other => other.to_string(),
        }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => f.write_str(&said(error)),
            Self::Directory => f.write_str("it is a directory"),
            Self::NotRegular => f.write_str("it is not a regular file"),
            Self::TooLong(most) if *most >= 1 << 20 => write!(f, "it is longer than {} MiB", most >> 20),
            Self::TooLong(most) => write!(f, "it is longer than {most} bytes"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

/// The system's reason without its number.
pub fn said(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        // What has nothing to say yet, of all things that look like a file: `/proc/kmsg`.
        std::io::ErrorKind::WouldBlock => "it is not a regular file".to_owned(),
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase(),
    }
}

/// A file's bytes and what the system says of the file.
///
/// # Errors
/// When it is no regular file, is longer, or cannot be read.
pub fn read(path: &Path, most: u64) -> Result<(Vec<u8>, Metadata), Unreadable> {
    // Before it is opened: opening some devices does something.
    regular(&std::fs::metadata(path).map_err(Unreadable::Io)?)?;
    contents(open(path)?, most)
}

/// The same of a file that ssh may name: the null device is an empty file, as which ssh_config names it.
///
/// # Errors
/// As [`read`].
pub fn read_for_ssh(path: &Path) -> Result<Vec<u8>, Unreadable> {
    /// Its device number on Linux: major 1, minor 3.
    const NULL: u64 = 1 << 8 | 3;
    let about = std::fs::metadata(path).map_err(Unreadable::Io)?;
    if about.file_type().is_char_device() && (about.rdev() == NULL || path == Path::new("/dev/null")) {
        return Ok(Vec::new());
    }
    read(path, MAX_SSH_FILE).map(|(bytes, _)| bytes)
}

/// As [`read`], or from a pipe that the user of this program opened himself and named: `/dev/stdin`, `<(…)`. Bounded by length; how long
/// it takes is his own affair.
///
/// # Errors
/// As [`read`].
pub fn read_or_stream(path: &Path, most: u64) -> Result<(Vec<u8>, Option<Metadata>), Unreadable> {
    let is_stream = is_own_stream(path) && std::fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo());
    if !is_stream {
        return read(path, most).map(|(bytes, about)| (bytes, Some(about)));
    }
    let file = open(path)?;
    // Opened so that a pipe nobody writes to any more does not wait; read so that one that is still written to does.
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(|error| Unreadable::Io(error.into()))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    if bytes.len() as u64 > most { Err(Unreadable::TooLong(most)) } else { Ok((bytes, None)) }
}

/// Whether a path names what this process has open already.
fn is_own_stream(path: &Path) -> bool {
    let number = |rest: &Path| rest.to_str().is_some_and(|rest| rest.parse::<u16>().is_ok());
    path == Path::new("/dev/stdin")
        || ["/dev/fd", "/proc/self/fd"].iter().any(|of| path.strip_prefix(of).is_ok_and(number))
}

fn regular(about: &Metadata) -> Result<(), Unreadable> {
    if about.is_dir() {
        return Err(Unreadable::Directory);
    }
    if about.is_file() { Ok(()) } else { Err(Unreadable::NotRegular) }
}

fn open(path: &Path) -> Result<File, Unreadable> {
    // What became a pipe or a terminal since it was looked at keeps nobody waiting.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(Unreadable::Io)
}

fn contents(file: File, most: u64) -> Result<(Vec<u8>, Metadata), Unreadable> {
    let about = file.metadata().map_err(Unreadable::Io)?;
    regular(&about)?;
    if about.len() > most {
        return Err(Unreadable::TooLong(most));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    if bytes.len() as u64 > most { Err(Unreadable::TooLong(most)) } else { Ok((bytes, about)) }
}

/// A directory that files must lie in.
#[derive(Debug, Clone)]
pub struct Within(PathBuf);

impl Within {
    /// The directory of this file, where that really is. A directory that is named by a relative path must lie where it
    /// seems to: a link on the way there would lead out as well as one below it.
    ///
    /// # Errors
    /// When there is no such directory, or a link leads away from it.
    pub fn directory_of(file: &Path) -> Result<Self, Unreadable> {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let real = std::fs::canonicalize(parent).map_err(Unreadable::Io)?;
        let plain = parent.components().all(|part| !matches!(part, std::path::Component::ParentDir));
        if parent.is_relative() && plain {
            let here = std::fs::canonicalize(".").map_err(Unreadable::Io)?;
            if !real.starts_with(&here) {
                let why = format!("a symbolic link leads from {} to {}", parent.display(), real.display());
                return Err(Unreadable::Refused(why));
            }
        }
        Ok(Self(real))
    }

    /// Whether a path, all links followed, is below the directory. What is not there is not.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        std::fs::canonicalize(path).is_ok_and(|real| real.starts_with(&self.0))
    }

    /// The path as seen from the directory, if it is below it.
    #[must_use]
    pub fn relative(&self, path: &Path) -> Option<PathBuf> {
        let real = std::fs::canonicalize(path).ok()?;
        real.strip_prefix(&self.0).ok().map(Path::to_owned)
    }

    fn check(&self, real: &Path) -> Result<(), Unreadable> {
        let Ok(below) = real.strip_prefix(&self.0) else {
            return Err(Unreadable::Refused("it lies outside the inventory's directory".to_owned()));
        };
        // Its configuration holds the job's token in a pipeline.
        let git = |part: std::path::Component<'_>| part.as_os_str().eq_ignore_ascii_case(".git");
        if below.components().any(git) {
            return Err(Unreadable::Refused("it belongs to Git and not to the inventory".to_owned()));
        }
        Ok(())
    }

    /// As [`read`], of a file in this directory. Links may lead from place to place in it, not out of it.
    ///
    /// # Errors
    /// As [`read`], and when it lies elsewhere.
    pub fn read(&self, path: &Path, most: u64) -> Result<(Vec<u8>, Metadata), Unreadable> {
        // The path is looked at first, so that nothing outside is even opened; then what was opened, whatever a link has
        // become in between.
        let outside = |error: std::io::Error| match error.kind() {
            // Whether there is something outside is nobody's business.
            _ if !self.may_be_inside(path) => {
                Unreadable::Refused("it lies outside the inventory's directory".to_owned())
            }
            _ => Unreadable::Io(error),
        };
        let real = std::fs::canonicalize(path).map_err(outside)?;
        self.check(&real)?;
        regular(&std::fs::symlink_metadata(&real).map_err(Unreadable::Io)?)?;
        let file = open(&real)?;
        let about = file.metadata().map_err(Unreadable::Io)?;
        let now = match std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
            Ok(now) => now,
            // Without /proc: the path again, if it still is the same file.
            Err(_) => std::fs::canonicalize(&real).map_err(Unreadable::Io)?,
        };
        self.check(&now)?;
        let same = std::fs::symlink_metadata(&now).map_err(Unreadable::Io)?;
        if (same.dev(), same.ino()) != (about.dev(), about.ino()) {
            return Err(Unreadable::Refused("it changed while it was opened".to_owned()));
        }
        contents(file, most)
    }

    /// Whether a path that leads nowhere would be below the directory: as far as it is there.
    fn may_be_inside(&self, path: &Path) -> bool {
        let existing = path.ancestors().skip(1).find_map(|ancestor| {
            let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
            std::fs::canonicalize(ancestor).ok()
        });
        existing.is_some_and(|real| real.starts_with(&self.0))
            && std::fs::symlink_metadata(path).map_or(true, |about| !about.is_symlink())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn directory() -> (tempfile::TempDir, Within) {
        let all = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(all.path().join("in/side")).unwrap();
        std::fs::write(all.path().join("in/side/a"), "a").unwrap();
        std::fs::write(all.path().join("secret"), "s3cret").unwrap();
        let within = Within::directory_of(&all.path().join("in/inventory.yml")).unwrap();
        (all, within)
    }

    #[test]
    fn what_has_no_end_is_an_error_at_once() {
        let (all, within) = directory();
        let fifo = all.path().join("in/fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for why in [read(&fifo, 10).unwrap_err(), read_for_ssh(&fifo).unwrap_err(), within.read(&fifo, 10).unwrap_err()]
        {
            assert_eq!(why.to_string(), "it is not a regular file");
        }
        for endless in ["/dev/zero", "/dev/urandom", "/dev/ptmx", "/dev"] {
            assert!(read(Path::new(endless), 10).is_err(), "{endless}");
            assert!(read_for_ssh(Path::new(endless)).is_err(), "{endless}");
        }
        assert_eq!(read_for_ssh(Path::new("/dev/null")).unwrap(), b"");
        let huge = all.path().join("in/huge");
        File::create(&huge).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_for_ssh(&huge).unwrap_err().to_string(), "it is longer than 4 MiB");
    }

    #[test]
    fn links_may_not_lead_out() {
        let (all, within) = directory();
        let inside = |name: &str| all.path().join("in").join(name);
        symlink("side/a", inside("good")).unwrap();
        symlink(inside("side"), inside("round")).unwrap();
        symlink("../secret", inside("bad")).unwrap();
        symlink("..", inside("up")).unwrap();
        symlink("/proc/self/environ", inside("environ")).unwrap();
        symlink("../nowhere", inside("gone")).unwrap();
        assert_eq!(within.read(&inside("good"), 9).unwrap().0, b"a");
        assert_eq!(within.read(&inside("round/a"), 9).unwrap().0, b"a");
        for bad in ["bad", "up/secret", "environ", "gone", "../secret", "up/nothing", "/etc/passwd", "/dev/fd/0"] {
            let why = within.read(&inside(bad), 9).unwrap_err();
            assert!(matches!(why, Unreadable::Refused(_)), "{bad}: {why:?}");
        }
        assert!(within.read(&inside("nothing"), 9).unwrap_err().is_absent());
    }

    #[test]
    fn what_belongs_to_git_is_not_the_inventorys() {
        let (all, within) = directory();
        std::fs::create_dir(all.path().join("in/.git")).unwrap();
        std::fs::write(all.path().join("in/.git/config"), "token").unwrap();
        symlink(".git", all.path().join("in/x")).unwrap();
        for way in ["in/.git/config", "in/x/config"] {
            assert!(matches!(within.read(&all.path().join(way), 9), Err(Unreadable::Refused(_))), "{way}");
        }
    }
}
