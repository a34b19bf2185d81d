//! The only shell text in the program: questions and steps as POSIX sh, and answers back as values. Pure: no I/O.
//!
//! Every script is one function that runs with its standard input closed, so that no command in it can swallow the rest
//! of the script, and so that a script cut short is a syntax error which does nothing. [`environment`] says what it runs in.
//! Values enter only through [`quote`], file contents as base64 (never in an argument: `printf` is a built-in of the shell).

use base64::Engine as _;
use serde_json::json;

use crate::inventory::model::Login;
use crate::secret::SecretBook;
use crate::text::{Text, Unbound};

pub mod advice;
pub mod applied;
pub mod environment;
pub mod exam;
pub mod guard;
pub mod lock;
pub mod obstacle;
pub mod owned;
mod paths;
pub mod probe;
pub mod reply;
pub mod step;

/// A POSIX sh script on its way to a host. May hold secrets, so it cannot be printed.
#[derive(Clone)]
pub struct Script {
    text: String,
    opening: Option<String>,
}

impl Script {
    /// Takes the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { text, opening: None }
    }

    /// What it prints before anything else, if it does.
    #[must_use]
    pub fn opening(&self) -> Option<&str> {
        self.opening.as_deref()
    }

    /// The text, for the standard input of `sh -s`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Script({} bytes)", self.text.len())
    }
}

/// One shell word that means exactly `text`, whatever it holds. A NUL cannot pass through a shell at all and becomes
/// U+FFFD, so that it is seen rather than cut off.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// A name as part of a URL's path: slashes and colons stay, whatever else could end or change the path does not.
fn path_part(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"/:._-@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// An image's name, and its digest or else its tag, as Docker's API takes them in a query.
fn image_url(image: &str) -> (String, String) {
    let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest)));
    let after_slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[after_slash..].find(':') {
        Some(at) => (&rest[..after_slash + at], &rest[after_slash + at + 1..]),
        None => (rest, "latest"),
    };
    (path_part(name), path_part(digest.unwrap_or(tag)))
}

/// A line of curl's configuration that tells Docker who asks a registry. It holds a secret: never for an argument.
fn docker_login(login: &Login, book: &SecretBook) -> Result<String, Unbound> {
    let address = match login.registry.as_str() {
        "docker.io" => "https://index.docker.io/v1/",
        registry => registry,
    };
    let password = Text::secret(login.password.clone()).reveal(book)?;
    let auth = json!({ "username": login.username, "password": password, "serveraddress": address }).to_string();
    let auth = base64::engine::general_purpose::URL_SAFE.encode(auth);
    Ok(format!("header = \"X-Registry-Auth: {auth}\""))
}

/// A whole script around a body. `nonce` opens the answer, so that what a login shell prints before it is told apart.
#[must_use]
pub fn wrap(body: &str, nonce: &str) -> Script {
    let text = format!(
        "rprov_main() {{\n{clean}nonce={nonce}\nprintf '\\n@%s begin\\n' \"$nonce\"\n{programs}{body}\nprintf '@%s end\\n' \"$nonce\"\n}}\nrprov_main \"$@\" </dev/null\n",
        clean = environment::clean(),
        programs = environment::programs(),
        nonce = quote(nonce)
    );
    Script { text, opening: Some(format!("\n@{nonce} begin\n")) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Runs a script as a host does: on the standard input of `sh -s`.
    pub(super) fn run(shell: &[&str], script: &super::Script) -> std::process::Output {
        use std::io::Write as _;
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .arg("-s")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.expose().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Tells a thread of a test to end, also where the test fails: its scope would wait for the thread for ever.
    pub(super) struct Ends<'a>(pub(super) &'a std::sync::atomic::AtomicBool);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// The shells that are here, of those that hosts have.
    pub(super) fn shells() -> Vec<Vec<&'static str>> {
        let all: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "sh"]];
        let found: Vec<_> = all
            .into_iter()
            .filter(|shell| {
                Command::new(shell[0]).arg(if shell[0] == "busybox" { "true" } else { "-c" }).arg(":").output().is_ok()
            })
            .map(<[&str]>::to_vec)
            .collect();
        assert!(!found.is_empty(), "no shell to test with");
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn any_text_survives_the_shell(text in "[^\0]{0,40}") {
            for shell in shells() {
                let out = Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(format!("printf %s {}", quote(&text))).output().unwrap();
                prop_assert_eq!(String::from_utf8(out.stdout).unwrap(), text.clone());
            }
        }
    }

    #[test]
    fn a_script_cut_short_does_nothing() {
        let script = wrap("echo did-something", "n");
        let text = script.expose();
        for shell in shells() {
            for cut in (1..text.len() - 20).step_by(7) {
                let out = Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(&text[..cut]).output().unwrap();
                assert!(!String::from_utf8_lossy(&out.stdout).contains("did-something"), "cut at {cut}");
            }
        }
    }
}
