//! Files that the program writes where it runs. Whoever may write to the directory too can neither guess the name under which
//! a file is made nor lead it elsewhere with a link.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Error, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use ring::rand::SecureRandom as _;

use crate::diagnostic::Diagnostic;
use crate::local_file::said;
use crate::ui::style::sanitize;

/// What to do where something else than a file is named.
const NO_FILE: &str = "name a file: rprov makes a new one and puts it in the place of the old one, which a stream, a pipe or a device \
                       has not; what a command prints goes where the shell leads it (`> FILE`, `| PROGRAM`), for a program with \
                       `--format json`";

/// Why a file was not written, and what to do.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// What is wrong.
    why: String,
    /// What to do, where that is not plain.
    help: Option<String>,
}

impl Unwritten {
    /// As a problem: `what` says what could not be written where.
    pub(super) fn problem(self, what: &str) -> Diagnostic {
        let problem = Diagnostic::error(sanitize(&format!("{what}: {}", self.why)).into_owned());
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), help: None }
    }

    fn of(error: &Error) -> Self {
        Self::new(match error.kind() {
            ErrorKind::NotFound => "there is no such directory".to_owned(),
            _ => said(error),
        })
    }
}

/// Writes a file in one instant: whoever reads it finds the old one or the whole new one. What is made is a new file with a
/// random name, which takes the place of the old one: a link at that place, and other names of the old file, are not written
/// through. Others may read it as far as the umask lets them; they may never write to it.
///
/// # Errors
/// When there is something other than a regular file at its place, or the directory cannot be written to.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), Unwritten> {
    replace_by(path, |file| file.write_all(content))
}

/// The same of what is long, written piece by piece.
///
/// # Errors
/// As [`replace`], and when `write` fails.
pub(super) fn replace_by(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Unwritten> {
    let (Some(_), Some(directory)) = (path.file_name(), path.parent()) else {
        return Err(Unwritten::new("it is no name of a file"));
    };
    refuse_what_is_no_file(path)?;
    let mut random = [0; 8];
    let drawn = ring::rand::SystemRandom::new().fill(&mut random);
    drawn.map_err(|_| Unwritten::new("there are no random numbers on this machine"))?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let temporary = directory.join(format!(".rprov-{name}"));
    // `create_new` makes a file or fails: it opens nothing that is there, and follows no link.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary);
    let mut file = made.map_err(|error| Unwritten::of(&error))?;
    let written = fill(&mut file, write).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        // It was made above, so it is this run's own.
        let _ = std::fs::remove_file(&temporary);
        Unwritten::of(&error)
    })
}

fn fill(file: &mut File, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut out = BufWriter::new(&mut *file);
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.sync_all()
}

/// The same, or onto a standard stream if that is what the path names.
pub(super) fn replace_or_stream(path: &Path, content: &[u8]) -> Result<(), Unwritten> {
    const STREAMS: [&str; 7] =
        ["/dev/stdout", "/dev/stderr", "/dev/null", "/dev/fd/1", "/dev/fd/2", "/proc/self/fd/1", "/proc/self/fd/2"];
    if !STREAMS.iter().any(|stream| path == Path::new(stream)) {
        return replace(path, content);
    }
    // /dev is root's and /proc the kernel's, so these links are the system's.
    let opened = OpenOptions::new().append(true).open(path);
    opened.and_then(|mut stream| stream.write_all(content)).map_err(|error| Unwritten::new(said(&error)))
}

/// Makes a directory with those above it.
///
/// # Errors
/// When something else is at its place, such as a link that leads to nothing, or it may not be made.
pub(super) fn directory(path: &Path) -> Result<(), Unwritten> {
    if path.is_dir() {
        return Ok(());
    }
    let Ok(there) = path.symlink_metadata() else {
        return std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(|error| {
            match error.kind() {
                ErrorKind::PermissionDenied => {
                    Unwritten { why: said(&error), help: Some("name a directory that you may write to".to_owned()) }
                }
                ErrorKind::AlreadyExists | ErrorKind::NotADirectory => Unwritten {
                    why: "a part of its path is there and no directory, or a link that leads to none".to_owned(),
                    help: Some("name a directory".to_owned()),
                },
                _ => Unwritten::of(&error),
            }
        });
    };
    let target = std::fs::read_link(path).map(|target| target.display().to_string()).unwrap_or_default();
    Err(match (there.is_symlink(), path.exists()) {
        (true, false) => Unwritten {
            why: format!("it is a link to {target}, which is not there"),
            help: Some(format!("make the directory that it leads to ({target}), or name another one")),
        },
        (true, true) => Unwritten {
            why: format!("it is a link to {target}, which is no directory"),
            help: Some("name a directory".to_owned()),
        },
        (false, _) => Unwritten { why: "it is no directory".to_owned(), help: Some("name a directory".to_owned()) },
    })
}

/// A rename would put the new file in the place of a link or a device, which whoever named it does not want.
fn refuse_what_is_no_file(path: &Path) -> Result<(), Unwritten> {
    let Ok(there) = path.symlink_metadata() else { return Ok(()) };
    // /dev/stdout, /dev/fd/1, /proc/self/fd/1, a link of somebody's to one of them: none that should be removed.
    let directory = path.parent().and_then(|directory| directory.canonicalize().ok()).unwrap_or_default();
    let is_of_system =
        |place: &Path| (place.starts_with("/dev") && !place.starts_with("/dev/shm")) || place.starts_with("/proc");
    let target = std::fs::read_link(path).unwrap_or_default();
    if !there.is_file() && !there.is_dir() && (is_of_system(&directory) || is_of_system(path) || is_of_system(&target))
    {
        return Err(Unwritten {
            why: "it is a stream or a device, not a file".to_owned(),
            help: Some(NO_FILE.to_owned()),
        });
    }
    if there.is_symlink() {
        return Err(Unwritten {
            why: format!("it is a link to {}", target.display()),
            help: Some("rprov writes through no link: name the file that it leads to, or remove the link".to_owned()),
        });
    }
    match there {
        there if there.is_dir() => Err(Unwritten::new("it is a directory")),
        there if there.is_file() => Ok(()),
        there => {
            let kind = there.file_type();
            let what = if kind.is_fifo() {
                "a named pipe"
            } else if kind.is_socket() {
                "a socket"
            } else {
                "a device"
            };
            Err(Unwritten { why: format!("it is not a regular file but {what}"), help: Some(NO_FILE.to_owned()) })
        }
    }
}
