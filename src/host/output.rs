//! What a command prints, as it comes in: bounded, standard error also line by line. Pure: no I/O.

use super::sudo::{has_begun, is_sudo};
use super::{HostError, OnLine, Reply, Script};
use crate::text::shorten;

/// Both streams of one command.
#[derive(Debug)]
pub(super) struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// How much of standard error has been given out as lines.
    shown: usize,
    /// How many lines may still be given out.
    lines_left: usize,
    limit: usize,
}

/// Lines that are given out while a command runs: who shows them is slower than a host that floods.
const MOST_LINES: usize = 20_000;
/// Bytes of a line that are given out: more than is shown, so that what is shown holds no half of a secret.
const LONGEST_LINE: usize = 8192;

impl Output {
    /// Takes at most `limit` bytes of both streams together.
    pub(super) fn new(limit: usize) -> Self {
        Self { stdout: Vec::new(), stderr: Vec::new(), shown: 0, lines_left: MOST_LINES, limit }
    }

    /// Adds standard output.
    pub(super) fn stdout(&mut self, data: &[u8]) -> Result<(), HostError> {
        self.admit(data)?;
        self.stdout.extend_from_slice(data);
        Ok(())
    }

    /// Adds standard error and gives out the lines that are complete by now.
    pub(super) fn stderr(&mut self, data: &[u8], on_line: OnLine<'_>) -> Result<(), HostError> {
        self.admit(data)?;
        let searched = self.stderr.len();
        self.stderr.extend_from_slice(data);
        let Some(last) = data.iter().rposition(|&byte| byte == b'\n') else { return Ok(()) };
        let end = searched + last;
        for line in self.stderr[self.shown..end].split(|&byte| byte == b'\n').take(self.lines_left) {
            self.lines_left -= 1;
            show(line, &mut *on_line);
        }
        self.shown = end + 1;
        Ok(())
    }

    /// The command has ended.
    pub(super) fn finish(self, status: Option<i32>, on_line: OnLine<'_>) -> Reply {
        if self.shown < self.stderr.len() && self.lines_left > 0 {
            show(&self.stderr[self.shown..], on_line);
        }
        Reply { stdout: self.stdout, stderr: self.stderr, status }
    }

    fn admit(&self, data: &[u8]) -> Result<(), HostError> {
        if self.stdout.len() + self.stderr.len() + data.len() > self.limit {
            return Err(HostError::TooMuch { bytes: self.limit });
        }
        Ok(())
    }
}

fn show(line: &[u8], on_line: OnLine<'_>) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = &line[..line.len().min(LONGEST_LINE)];
    on_line(&String::from_utf8_lossy(line));
}

/// What came instead of a script's answer, in one line: the last lines, which say why, rather than a greeting.
pub(super) fn said(stdout: &[u8], stderr: &[u8]) -> String {
    let last = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        // From the end: there may be millions.
        let lines = text.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(3);
        let mut lines: Vec<String> = lines.map(|line| shorten(line, 200)).collect();
        lines.reverse();
        lines.join("; ")
    };
    let words = [last(stdout), last(stderr)];
    words.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ")
}

/// A script that ran to its end; or, where the login shell or sudo ended it before it began, the error. `sudo`: it should
/// have gone through sudo.
pub(super) fn begun(script: &Script, reply: Reply, address: &str, sudo: bool) -> Result<Reply, HostError> {
    if has_begun(script, &reply.stdout) {
        return Ok(reply);
    }
    let address = address.to_owned();
    if sudo && is_sudo(reply.status, &reply.stderr) {
        return Err(HostError::Sudo { address, why: said(&[], &reply.stderr) });
    }
    if script.opening().is_some() && reply.status.is_some() {
        return Err(HostError::NotStarted { address, said: said(&reply.stdout, &reply.stderr) });
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole() {
        let mut lines = Vec::new();
        let mut on_line = |line: &str| lines.push(line.to_owned());
        let mut output = Output::new(100);
        for part in ["on", "e\ntwo\r\nth", "ree", "\n\nfour"] {
            output.stderr(part.as_bytes(), &mut on_line).unwrap();
        }
        output.stdout(b"out").unwrap();
        let reply = output.finish(Some(0), &mut on_line);
        assert_eq!(lines, ["one", "two", "three", "", "four"]);
        assert_eq!(reply.stderr, b"one\ntwo\r\nthree\n\nfour");
        assert_eq!(reply.stdout, b"out");
    }

    #[test]
    fn the_limit_is_for_both_together() {
        let mut output = Output::new(5);
        output.stdout(b"123").unwrap();
        output.stderr(b"45", &mut |_| {}).unwrap();
        assert!(matches!(output.stdout(b"6"), Err(HostError::TooMuch { bytes: 5 })));
    }

    #[test]
    fn a_flood_of_lines_is_shown_in_part_and_kept_whole() {
        let (mut lines, mut longest) = (0, 0);
        let mut on_line = |line: &str| {
            lines += 1;
            longest = longest.max(line.len());
        };
        let mut output = Output::new(32 << 20);
        for _ in 0..100 {
            output.stderr(&[b'\n'; 10_000], &mut on_line).unwrap();
        }
        assert_eq!(output.finish(Some(0), &mut on_line).stderr.len(), 1_000_000);
        let mut output = Output::new(32 << 20);
        output.stderr(&[b'x'; 100_000], &mut on_line).unwrap();
        output.stderr(b"\n", &mut on_line).unwrap();
        output.stderr(&[b'x'; 100_000], &mut on_line).unwrap();
        output.finish(Some(0), &mut on_line);
        assert_eq!((lines, longest), (MOST_LINES + 2, LONGEST_LINE));
    }

    fn reply(status: i32, stdout: &str, stderr: &str) -> Reply {
        Reply { stdout: stdout.into(), stderr: stderr.into(), status: Some(status) }
    }

    #[test]
    fn sudo_is_told_from_the_script() {
        let refused = |status, stdout: &str, stderr: &str| {
            let script = Script::new(String::new());
            begun(&script, reply(status, stdout, stderr), "a@b", true).err().map(|error| error.to_string())
        };
        let words = "sudo on a@b refused: sudo: a password is required";
        assert_eq!(refused(1, "", "sudo: a password is required\n").unwrap(), words);
        assert!(refused(127, "", "sh: 1: sudo: not found\n").is_some());
        assert_eq!(refused(1, "nonce", "sudo: a password is required\n"), None);
        assert_eq!(refused(1, "", "cat: x: No such file\n"), None);
        assert_eq!(refused(0, "", "sudo: unable to resolve host x\n"), None);
    }

    #[test]
    fn what_is_quoted_of_a_host_is_short() {
        let lines = "y\n".repeat(1_000_000);
        assert_eq!(said(lines.as_bytes(), b""), "y; y; y");
        let long = said(&[b'x'; 1_000_000], &[b'z'; 1_000_000]);
        assert_eq!(long.chars().count(), 201 + 2 + 201);
    }

    #[test]
    fn a_script_that_says_so_is_known_to_have_begun() {
        let script = crate::script::wrap("", "n0");
        let ends = |status, stdout: &str, stderr: &str| begun(&script, reply(status, stdout, stderr), "a@b", true);
        assert!(ends(1, "Welcome\n\n@n0 begin\n", "sudo: inside\n").is_ok());
        let noisy = ends(1, "Welcome\n", "+ echo\nsudo: a password is required\n").unwrap_err();
        assert!(matches!(noisy, HostError::Sudo { .. }), "{noisy:?}");
        let HostError::NotStarted { said, .. } =
            ends(1, "Last login\nThis account is currently not available.\n", "").unwrap_err()
        else {
            panic!()
        };
        assert_eq!(said, "Last login; This account is currently not available.");
        // A shell that took the script and did nothing with it.
        assert!(matches!(ends(0, "", "").unwrap_err(), HostError::NotStarted { .. }));
    }
}
