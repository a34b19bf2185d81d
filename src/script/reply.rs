//! Answers of a script, told apart from noise around them. Pure: no I/O.

use base64::Engine as _;

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// The script never started: a login shell said something else.
    #[error("the host did not run the script{}", said(.0))]
    NotStarted(String),
    /// It started and did not end.
    #[error("the answer was cut short")]
    CutShort,
    /// It holds something unexpected.
    #[error("the answer makes no sense: {0}")]
    Garbled(String),
}

fn said(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map(|line| format!("; it said: {}", crate::text::shorten(line, 200))).unwrap_or_default()
}

/// The lines between `@NONCE begin` and `@NONCE end`.
///
/// # Errors
/// When either is missing.
pub fn body<'a>(stdout: &'a str, nonce: &str) -> Result<&'a str, BadReply> {
    let rest = after_begin(stdout, nonce).ok_or_else(|| BadReply::NotStarted(stdout.to_owned()))?;
    let end = format!("@{nonce} end\n");
    if let Some(body) = rest.strip_suffix(&end) {
        return Ok(body);
    }
    // A logout script may print after us.
    rest.rfind(&format!("\n{end}")).map(|at| &rest[..=at]).ok_or(BadReply::CutShort)
}

/// What follows `@NONCE begin`, ended or not.
#[must_use]
pub fn after_begin<'a>(stdout: &'a str, nonce: &str) -> Option<&'a str> {
    let begin = format!("\n@{nonce} begin\n");
    let at = stdout.find(&begin)?;
    Some(&stdout[at + begin.len()..])
}

/// Decodes base64 that may be broken into lines.
///
/// # Errors
/// When it is not base64.
pub fn base64(text: &str) -> Result<Vec<u8>, BadReply> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD
        .decode(compact)
        .map_err(|error| BadReply::Garbled(format!("base64: {error}")))
}

/// Encodes for a script.
#[must_use]
pub fn to_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_before_and_after_is_dropped() {
        let out = "Welcome to host!\nmail\n@abc begin\na 1\nb 2\n@abc end\nbye\n";
        assert_eq!(body(out, "abc"), Ok("a 1\nb 2\n"));
        assert_eq!(body("\n@abc begin\n@abc end\n", "abc"), Ok(""));
        assert_eq!(body("\n@abc begin\na 1\n", "abc"), Err(BadReply::CutShort));
        assert_eq!(body("sorry\n", "abc"), Err(BadReply::NotStarted("sorry\n".to_owned())));
        let flood = body(&"x".repeat(1_000_000), "abc").unwrap_err().to_string();
        assert!(flood.len() < 300 && flood.contains("it said: xxx"), "{} bytes", flood.len());
    }
}
