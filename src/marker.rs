//! The mark in a runner's maintenance note in GitLab that says which host and runner spec it belongs to. Text in, text
//! out: no I/O.
//!
//! The note is the user's text and, on a last line of its own, `[rprov host=NAME runner=SPEC inventory=NAME token=DIGEST
//! obtained=TIME]`; only host and runner are always there.
//! People edit notes by hand, so reading is lenient: the mark may stand anywhere, be wrapped, or have text around it.
//! If a note holds several marks, the last one counts, for that is the one that [`compose`] wrote; earlier ones are text
//! of the user's (a note pasted from another runner) and stay in it.

use std::fmt::Write as _;

/// The most characters that GitLab takes as a maintenance note.
pub const MAX_NOTE: usize = 1024;

const OPEN: &str = "[rprov ";

/// Whose a runner is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marker {
    /// The host's name in the inventory. Never empty.
    pub host: String,
    /// The runner spec's name. Never empty.
    pub runner: String,
    /// The inventory's own name (`gitlab.inventory`), where it has one.
    pub inventory: Option<String>,
    /// Digest (`Secret::digest`) of the token that was last handed out for it.
    pub token: Option<String>,
    /// When that was, in seconds since 1970.
    pub obtained: Option<i64>,
}

/// Stands for the digest while a runner gets another token: no token has it, so that whatever a host has then is wrong.
const RESET: &str = "reset";

impl Marker {
    /// A mark without a token.
    #[must_use]
    pub fn new(host: impl Into<String>, runner: impl Into<String>) -> Self {
        Self { host: host.into(), runner: runner.into(), inventory: None, token: None, obtained: None }
    }

    /// The same for the inventory of this name.
    #[must_use]
    pub fn of_inventory(self, inventory: Option<&str>) -> Self {
        Self { inventory: inventory.map(str::to_owned), ..self }
    }

    /// The mark of a runner whose token is void from now on, `now` in seconds since 1970: no token that a host may still
    /// have is the right one, not even one that comes back from a backup.
    #[must_use]
    pub fn reset(self, now: i64) -> Self {
        Self { token: Some(RESET.to_owned()), obtained: Some(now), ..self }
    }

    /// Whether it is the mark of this host and runner spec.
    #[must_use]
    pub fn is_of(&self, host: &str, runner: &str) -> bool {
        self.host == host && self.runner == runner
    }

    /// Whether it is a mark of the inventory of this name; `None`: of one that has no name.
    #[must_use]
    pub fn is_of_inventory(&self, own: Option<&str>) -> bool {
        self.inventory.as_deref() == own
    }

    /// Whether it names an inventory, and another one than `own`. A mark that names none may be anybody's.
    #[must_use]
    pub fn is_foreign(&self, own: Option<&str>) -> bool {
        self.inventory.is_some() && self.inventory.as_deref() != own
    }
}

/// The user's text as notes hold it and as [`parse`] gives it back: `\n` as line break, nothing blank at the end.
/// Compare notes in this form.
#[must_use]
pub fn tidy(note: &str) -> String {
    note.replace("\r\n", "\n").replace('\r', "\n").trim_end().to_owned()
}

/// Splits a note into the user's text, in the form of [`tidy`], and the mark.
#[must_use]
pub fn parse(note: &str) -> (String, Option<Marker>) {
    let note = tidy(note);
    for (open, _) in note.rmatch_indices(OPEN) {
        let body = &note[open + OPEN.len()..];
        // Neither is in a mark unescaped. To look no further keeps the time for a long note in proportion to its length.
        let Some(close) = body.find(['[', ']']).filter(|at| body[*at..].starts_with(']')) else { continue };
        let Some(marker) = read(&body[..close]) else { continue };
        let (before, after) = (note[..open].trim_end(), body[close + 1..].trim());
        let gap = if before.is_empty() || after.is_empty() { "" } else { "\n" };
        return (format!("{before}{gap}{after}"), Some(marker));
    }
    (note, None)
}

/// Puts a note together. The user's text is tidied (see [`tidy`]), so that parsing gives back exactly what went in.
#[must_use]
pub fn compose(note: &str, marker: &Marker) -> String {
    let mut out = tidy(note);
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(OPEN);
    out.push_str("host=");
    encode(&marker.host, &mut out);
    out.push_str(" runner=");
    encode(&marker.runner, &mut out);
    if let Some(inventory) = &marker.inventory {
        out.push_str(" inventory=");
        encode(inventory, &mut out);
    }
    if let Some(token) = &marker.token {
        out.push_str(" token=");
        encode(token, &mut out);
    }
    if let Some(obtained) = marker.obtained {
        // Writing to a String cannot fail.
        let _ = write!(out, " obtained={obtained}");
    }
    out.push(']');
    out
}

/// How many characters of [`MAX_NOTE`] are left for the user's text beside the mark of this host and runner spec.
#[must_use]
pub fn room(host: &str, runner: &str) -> usize {
    let longest = Marker { token: Some("0".repeat(12)), obtained: Some(99_999_999_999), ..Marker::new(host, runner) };
    MAX_NOTE.saturating_sub(1 + compose("", &longest).chars().count())
}

/// The mark between `[rprov ` and `]`; `None` if it is not whole. Keys of later releases are passed over.
fn read(body: &str) -> Option<Marker> {
    let (mut host, mut runner, mut inventory, mut token, mut obtained) = (None, None, None, None, None);
    for word in body.split_whitespace() {
        let (key, value) = word.split_once('=')?;
        let value = decode(value)?;
        let slot = match key {
            "host" => &mut host,
            "runner" => &mut runner,
            "inventory" => &mut inventory,
            "token" => &mut token,
            "obtained" => &mut obtained,
            _ => continue,
        };
        if value.is_empty() || slot.replace(value).is_some() {
            return None;
        }
    }
    // An unreadable time is no reason to lose a runner.
    let obtained = obtained.and_then(|time| time.parse().ok());
    Some(Marker { host: host?, runner: runner?, inventory, token, obtained })
}

/// Percent-encodes what would end a value or the mark.
fn encode(value: &str, out: &mut String) {
    for c in value.chars() {
        if c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '%') {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
}

fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marked(host: &str, runner: &str) -> Marker {
        Marker { token: Some("0123456789ab".to_owned()), obtained: Some(1_790_000_000), ..Marker::new(host, runner) }
    }

    #[test]
    fn written_as_documented() {
        let note = compose("Ask ops first.\r\n\r\n", &marked("ci.example.com", "docker big"));
        let mark = "[rprov host=ci.example.com runner=docker%20big token=0123456789ab obtained=1790000000]";
        assert_eq!(note, format!("Ask ops first.\n{mark}"));
        assert_eq!(compose(" \n", &Marker::new("a", "b")), "[rprov host=a runner=b]");
        let named = marked("a", "b").of_inventory(Some("prod"));
        assert_eq!(
            compose("", &named),
            "[rprov host=a runner=b inventory=prod token=0123456789ab obtained=1790000000]"
        );
    }

    /// Each beginning is looked at once, however many there are: a server may say anything.
    #[test]
    fn a_note_of_nothing_but_beginnings_is_read_once() {
        let note = OPEN.repeat(1_000_000);
        assert_eq!(parse(&note), (note.trim_end().to_owned(), None));
        let last = compose(&note, &marked("a", "b"));
        assert_eq!(parse(&last).1, Some(marked("a", "b")));
    }

    #[test]
    fn survives_edits_around_it() {
        let marker = Some(Marker::new("a", "b"));
        let parsed = |note: &str| parse(note);
        assert_eq!(parsed("x\r\n[rprov host=a runner=b]  \r\n\r\n"), ("x".to_owned(), marker.clone()));
        assert_eq!(
            parsed("[rprov host=a runner=b]\nbroken since May"),
            ("broken since May".to_owned(), marker.clone())
        );
        assert_eq!(parsed("x [rprov host=a\n  runner=b] y"), ("x\ny".to_owned(), marker.clone()));
        assert_eq!(parsed("[rprov runner=b later=1 host=a]"), (String::new(), marker.clone()));
        assert_eq!(parsed("[rprov host=a runner=b obtained=soon]"), (String::new(), marker));
    }

    #[test]
    fn what_is_no_mark_stays_text() {
        for note in [
            "",
            "hello",
            "[rprov host=a runner=b",
            "[rprov host=a]",
            "[rprov host= runner=b]",
            "[rprov host=a host=c runner=b]",
            "[rprov host=%zz runner=b]",
            "[rprov host=%ff runner=b]",
            "[rprov is nice]",
        ] {
            assert_eq!(parse(note), (note.to_owned(), None));
        }
    }

    #[test]
    fn the_last_mark_counts() {
        let pasted = "[rprov host=other runner=x]";
        assert_eq!(parse(&compose(pasted, &Marker::new("a", "b"))), (pasted.to_owned(), Some(Marker::new("a", "b"))));
        // A broken one after it does not hide it.
        let note = "[rprov host=a runner=b]\n[rprov host=c]";
        assert_eq!(parse(note), ("[rprov host=c]".to_owned(), Some(Marker::new("a", "b"))));
    }

    #[test]
    fn whose_inventory() {
        let (none, prod) = (Marker::new("a", "b"), Marker::new("a", "b").of_inventory(Some("prod")));
        assert!(!none.is_foreign(None) && !none.is_foreign(Some("prod")), "old marks stay valid");
        assert!(!prod.is_foreign(Some("prod")));
        assert!(prod.is_foreign(Some("test")) && prod.is_foreign(None));
    }

    #[test]
    fn room_is_exact() {
        let note = "x".repeat(room("häst", "b c"));
        assert_eq!(
            compose(&note, &Marker { obtained: Some(99_999_999_999), ..marked("häst", "b c") }).chars().count(),
            MAX_NOTE
        );
        assert_eq!(room(&"h".repeat(2000), "b"), 0);
    }

    proptest! {
        #[test]
        fn parse_undoes_compose(
            note in "(?s).{0,60}|(\\[rprov (host=.)?( runner=.)?\\]?\r?\n?){0,3}",
            host in "(?s).{1,20}",
            runner in "(?s).{1,20}",
            inventory in proptest::option::of("(?s).{1,20}"),
            token in proptest::option::of("[0-9a-f]{12}"),
            obtained in proptest::option::of(any::<i64>()),
        ) {
            let marker = Marker { host, runner, inventory, token, obtained };
            prop_assert_eq!(parse(&compose(&note, &marker)), (tidy(&note), Some(marker)));
        }

        #[test]
        fn any_note_can_be_parsed(note in "(?s)(.|\\[rprov |host=|runner=|\\]|%|é){0,40}") {
            let (text, marker) = parse(&note);
            prop_assert_eq!(&text, &tidy(&text));
            if marker.is_none() {
                prop_assert_eq!(text, tidy(&note));
            }
        }
    }
}
