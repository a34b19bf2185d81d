//! Files that the program writes where it runs. Whoever may write to the directory too can neither guess the name under which
//! a file is made nor lead it elsewhere with a link.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::rand::SecureRandom as _;

use crate::diagnostic::Diagnostic;
use crate::local_file::said;
use crate::ui::style::sanitize;

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
    let written = fill(&mut file, content).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        // It was made above, so it is this run's own.
        let _ = std::fs::remove_file(&temporary);
        Unwritten::of(&error)
    })
}

fn fill(file: &mut File, content: &[u8]) -> std::io::Result<()> {
    file.write_all(content)?;
    file.sync_all()
}

/// The same, or onto a standard stream if that is what the path names.
pub(super) fn replace_or_stream(path: &Path, content: &[u8]) -> Result<(), Unwritten> {
    const STREAMS: [&str; 3] = ["/dev/stdout", "/dev/stderr", "/dev/null"];
    if !STREAMS.iter().any(|stream| path == Path::new(stream)) {
        return replace(path, content);
    }
    // /dev is root's, so these links are the system's.
    let opened = OpenOptions::new().append(true).open(path);
    opened.and_then(|mut stream| stream.write_all(content)).map_err(|error| Unwritten::new(said(&error)))
}

/// A rename would put the new file in the place of a link or a device, which whoever named it does not want.
fn refuse_what_is_no_file(path: &Path) -> Result<(), Unwritten> {
    let Ok(there) = path.symlink_metadata() else { return Ok(()) };
    if there.is_symlink() {
        let target = std::fs::read_link(path).map(|target| target.display().to_string()).unwrap_or_default();
        return Err(Unwritten {
            why: format!("it is a link to {target}"),
            help: Some("rprov writes through no link: name the file that it leads to, or remove the link".to_owned()),
        });
    }
    match there {
        there if there.is_dir() => Err(Unwritten::new("it is a directory")),
        there if there.is_file() => Ok(()),
        _ => Err(Unwritten::new("it is not a regular file")),
    }
}
