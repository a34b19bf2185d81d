//! What a command prints, as it comes in: bounded, standard error also line by line. Pure: no I/O.

use super::{HostError, OnLine, Reply};

/// Both streams of one command.
#[derive(Debug)]
pub(super) struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// How much of standard error has been given out as lines.
    shown: usize,
    limit: usize,
}

impl Output {
    /// Takes at most `limit` bytes of both streams together.
    pub(super) fn new(limit: usize) -> Self {
        Self { stdout: Vec::new(), stderr: Vec::new(), shown: 0, limit }
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
        for line in self.stderr[self.shown..end].split(|&byte| byte == b'\n') {
            show(line, &mut *on_line);
        }
        self.shown = end + 1;
        Ok(())
    }

    /// The command has ended.
    pub(super) fn finish(self, status: Option<i32>, on_line: OnLine<'_>) -> Reply {
        if self.shown < self.stderr.len() {
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
    on_line(&String::from_utf8_lossy(line));
}

/// sudo's own words, if it did not start the script. Every script of ours prints first of all, so a script that started
/// has standard output.
pub(super) fn sudo_refusal(reply: &Reply) -> Option<String> {
    if !reply.stdout.is_empty() {
        return None;
    }
    let words = String::from_utf8_lossy(&reply.stderr);
    let words = words.trim();
    match reply.status {
        Some(1) if words.starts_with("sudo:") => Some(words.to_owned()),
        // The login shell's words for "no such program".
        Some(127) if words.contains("sudo") => Some(words.to_owned()),
        _ => None,
    }
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
    fn sudo_is_told_from_the_script() {
        let reply = |status, stdout: &str, stderr: &str| Reply {
            stdout: stdout.into(),
            stderr: stderr.into(),
            status: Some(status),
        };
        let words = "sudo: a password is required";
        assert_eq!(sudo_refusal(&reply(1, "", "sudo: a password is required\n")).unwrap(), words);
        assert!(sudo_refusal(&reply(127, "", "sh: 1: sudo: not found\n")).is_some());
        assert_eq!(sudo_refusal(&reply(1, "nonce", "sudo: a password is required\n")), None);
        assert_eq!(sudo_refusal(&reply(1, "", "cat: x: No such file\n")), None);
        assert_eq!(sudo_refusal(&reply(0, "", "sudo: unable to resolve host x\n")), None);
    }
}
