//! How scripts get through sudo: the command lines, and what sudo's answers mean. Pure: no I/O.
//!
//! With a password at hand sudo is started once, with a prompt that no host can guess, around a shell that says when it
//! is root. Only after the prompt is the password sent, only after root's own word the script: so a sudo that does not
//! ask never sees the password, no shell takes it for a command, and no line of a script is taken for a password.

use ring::rand::SecureRandom as _;

use super::access::SudoPassword;
use super::output::said;
use super::{HostError, Script};
use crate::script::environment::SHELL;

/// sudo without a password, as words of a command line.
pub(super) const WITHOUT_PASSWORD: [&str; 3] = ["sudo", "-n", "--"];

/// More than this before root's word is no login any more.
const LONGEST: usize = 1 << 20;

/// What was seen on the way to root.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing that asks for an answer.
    Nothing,
    /// sudo asks for the password.
    Prompt,
    /// sudo asks again: the password was wrong.
    PromptAgain,
    /// The shell is root's and waits for the script. What it printed after that.
    Root(Vec<u8>),
}

/// The way through one sudo that may ask for a password.
#[derive(Debug)]
pub(super) struct Gate {
    nonce: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    prompts: usize,
    /// `USER@ADDRESS`
    address: String,
}

impl Gate {
    /// A gate of a host, with a nonce of its own.
    pub(super) fn new(address: &str) -> Result<Self, HostError> {
        let mut bytes = [0; 12];
        let random = ring::rand::SystemRandom::new().fill(&mut bytes);
        random
            .map_err(|_| HostError::Sudo { address: address.to_owned(), why: "no random numbers here".to_owned() })?;
        let nonce = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { nonce, stdout: Vec::new(), stderr: Vec::new(), prompts: 0, address: address.to_owned() })
    }

    /// What sudo prints. On the command line it stands in another form (`%%` is one `%` to sudo): a login shell that
    /// shows what it runs (`set -x`) must not look like sudo asking.
    fn prompt(&self) -> String {
        self.prompt_argument().replace("%%", "%")
    }

    fn prompt_argument(&self) -> String {
        format!("@{}%%password: ", self.nonce)
    }

    /// sudo with everything up to the script's own arguments, as words. None holds a quote or a backslash, which shells
    /// of users read in different ways.
    pub(super) fn words(&self) -> [String; 9] {
        let shell = format!("echo; echo @{} root; exec {SHELL} -s -- \"$1\"", self.nonce);
        ["sudo", "-S", "-p", &self.prompt_argument(), "--", SHELL, "-c", &shell, "sh"].map(str::to_owned)
    }

    /// Standard output.
    pub(super) fn stdout(&mut self, data: &[u8]) -> Result<Seen, HostError> {
        self.stdout.extend_from_slice(data);
        let word = format!("\n@{} root\n", self.nonce);
        if let Some(at) = find(&self.stdout, word.as_bytes()) {
            return Ok(Seen::Root(self.stdout.split_off(at + word.len())));
        }
        self.bounded()
    }

    /// Standard error.
    pub(super) fn stderr(&mut self, data: &[u8]) -> Result<Seen, HostError> {
        self.stderr.extend_from_slice(data);
        let prompt = self.prompt();
        let Some(at) = find(&self.stderr, prompt.as_bytes()) else { return self.bounded() };
        // What a login shell or sudo's lecture said before does not matter any more.
        self.stderr.drain(..at + prompt.len());
        self.prompts += 1;
        Ok(if self.prompts == 1 { Seen::Prompt } else { Seen::PromptAgain })
    }

    fn bounded(&self) -> Result<Seen, HostError> {
        if self.stdout.len() + self.stderr.len() > LONGEST {
            return Err(HostError::TooMuch { bytes: LONGEST });
        }
        Ok(Seen::Nothing)
    }

    /// Why there was no root: the command has ended, or sudo asks again.
    pub(super) fn refusal(&self, status: Option<i32>) -> HostError {
        let (address, why) = (self.address.clone(), said(&[], &self.stderr));
        if self.prompts > 1 || (self.prompts == 1 && why.contains("incorrect password")) {
            return HostError::SudoPassword { address };
        }
        if self.prompts == 1 || is_sudo(status, &self.stderr) {
            return HostError::Sudo { address, why };
        }
        HostError::NotStarted { address, said: said(&self.stdout, &self.stderr) }
    }
}

/// What is written after the prompt.
pub(super) fn line(password: &SudoPassword) -> Vec<u8> {
    format!("{}\n", password.value().expose()).into_bytes()
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

/// Whether it is sudo, or the lack of it, that ended a command.
pub(super) fn is_sudo(status: Option<i32>, stderr: &[u8]) -> bool {
    let words = String::from_utf8_lossy(stderr);
    match status {
        // `sudo: …`, and `Sorry, user deploy is not allowed to …`.
        Some(1) => words.lines().any(|line| {
            let line = line.trim_start().to_lowercase();
            line.starts_with("sudo:") || line.starts_with("sorry, ") || line.contains("is not in the sudoers file")
        }),
        // The login shell's words for "no such program".
        Some(127) => words.contains("sudo"),
        _ => false,
    }
}

/// Whether a script that ended did begin. Scripts say so first of all; of one that does not, nothing is known.
pub(super) fn has_begun(script: &Script, stdout: &[u8]) -> bool {
    match script.opening() {
        Some(opening) => find(stdout, opening.as_bytes()).is_some(),
        None => !stdout.is_empty(),
    }
}

/// What to do about a sudo that refuses.
pub(super) fn help(address: &str, why: &str) -> String {
    let user = address.split_once('@').map_or("deploy", |(user, _)| user);
    if why.contains("must have a tty") {
        return format!(
            "sudo there wants a terminal (requiretty), which a program has not; allow it in sudoers with:\nDefaults:{user} !requiretty"
        );
    }
    if why.contains("password is required") {
        return format!(
            "give the password with `ssh.become_password` or `--ask-become-pass`, or allow sudo without one by a sudoers line:\n\
             {user} ALL=(ALL) NOPASSWD: ALL"
        );
    }
    if why.contains("not found") || why.contains("No such file") {
        return "install sudo there, or connect as root (`ssh.user: root`, `ssh.become: none`)".to_owned();
    }
    format!("allow it with a sudoers line such as `{user} ALL=(ALL) NOPASSWD: ALL`, or connect as root")
}

#[cfg(test)]
mod tests;
