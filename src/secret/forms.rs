//! What common notations make of a value: JSON, shells, URLs, base64, hexadecimal, markup. Pure.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Longer values are encoded once, not twice.
const TWICE: usize = 4096;
/// Lines of a value that are looked for one by one.
const MOST_LINES: usize = 2000;
/// A line or a word of a longer value is one of its own from this length on.
const LINE: usize = 12;

/// The parts of a value of which no run may be shown: all of it, but for what is no secret in it. Of a URL that is where it leads, of
/// several lines what frames them, and what is in many files.
pub(super) fn parts(value: &str) -> Vec<&str> {
    if value.trim_end().contains('\n') {
        let lines = value.lines().map(str::trim).filter(|line| line.len() >= LINE && !line.starts_with("-----"));
        // A line of a configuration is looked for as a whole elsewhere; here, what nobody would use as a word.
        return lines.take(MOST_LINES).flat_map(words).collect();
    }
    let Some((_, rest)) =
        value.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric()))
    else {
        return vec![value];
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    authority.rsplit_once('@').map(|(user, _)| user).into_iter().chain([path]).collect()
}

/// A line without blanks, or the long words of one.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let least = if line.contains([' ', '\t']) { LINE + 4 } else { LINE };
    line.split([' ', '\t', '"', '\'']).filter(move |word| word.len() >= least)
}

/// The whole lines of a value that has several.
pub(super) fn lines(value: &str) -> impl Iterator<Item = &str> {
    let many = value.trim_end().contains('\n');
    let lines = value.lines().map(str::trim).filter(|line| line.len() >= LINE && !line.starts_with("-----"));
    lines.take(if many { MOST_LINES } else { 0 })
}

/// What a value is in base64 and in hexadecimal.
pub(super) fn encoded(value: &str) -> Vec<String> {
    let mut all: Vec<String> = ["", " ", ":", "\\x", "%"].map(|between| hex(value, between)).into();
    let upper: Vec<String> = all.iter().map(|form| form.to_uppercase().replace("\\X", "\\x")).collect();
    all.extend(upper);
    let once = base64(value);
    if value.len() <= TWICE {
        all.extend(once.iter().flat_map(|form| base64(form)));
    }
    all.extend(once);
    all
}

/// What a value is where some characters are written in another way; only where that makes a difference.
pub(super) fn escaped(value: &str) -> Vec<String> {
    let mut all = vec![json(value, false), json(value, true), json(value, false).replace('/', "\\/")];
    all.extend([markup(value, "&#39;"), markup(value, "&apos;")]);
    all.extend(shell(value));
    for keep in ["-_.~", "-_.~/", "-_.~!*'()", "-_.~:/?#[]@!$&'()*+,;="] {
        let encoded = percent(value, keep);
        all.extend([encoded.replace("%20", "+"), lower_escapes(&encoded), encoded]);
    }
    all.retain(|form| form != value);
    all.sort_unstable();
    all.dedup();
    all
}

/// In base64 of both alphabets, at each of the three places that a value can have in a longer text, without the digits that it shares
/// with what is before and behind it.
fn base64(value: &str) -> Vec<String> {
    let mut all = Vec::new();
    for before in 0..3_usize {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value.as_bytes());
        // Six bits a digit: `before` bytes fill so many digits, the last of them in part.
        let (from, bits) = ((before * 8).div_ceil(6), bytes.len() * 8);
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            all.extend(text.get(from..bits / 6).map(str::to_owned));
        }
    }
    all
}

fn hex(value: &str, between: &str) -> String {
    let bytes: Vec<String> = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(between)
}

/// Between double quotes of JSON, TOML, Go and the like. `ascii`: with nothing else than ASCII, and without what browsers may take for
/// markup.
fn json(value: &str, ascii: bool) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || (ascii && (!c.is_ascii() || "<>&".contains(c))) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // A String takes every write.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

fn markup(value: &str, apostrophe: &str) -> String {
    let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    value.replace('"', "&quot;").replace('\'', apostrophe)
}

/// Between single quotes, between double quotes, and with backslashes, as shells print it.
fn shell(value: &str) -> Vec<String> {
    let escaped = |special: &dyn Fn(char) -> bool| -> String {
        let mut out = String::with_capacity(value.len());
        for c in value.chars() {
            if special(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    vec![
        value.replace('\'', "'\\''"),
        value.replace('\'', "'\"'\"'"),
        value.replace('\'', "''"),
        escaped(&|c| "\"\\$`".contains(c)),
        escaped(&|c| "\"\\$`!".contains(c)),
        escaped(&|c| "\\'".contains(c)).replace('\n', "\\n").replace('\t', "\\t"),
        escaped(&|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,".contains(c)),
        escaped(&|c| c.is_ascii_punctuation() && !"_-./".contains(c)),
    ]
}

fn percent(value: &str, keep: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || keep.contains(c) {
            out.push(c);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `%2F` as `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut digits = 0;
    for c in text.chars() {
        out.push(if digits > 0 { c.to_ascii_lowercase() } else { c });
        digits = if c == '%' { 2_usize } else { digits.saturating_sub(1) };
    }
    out
}
