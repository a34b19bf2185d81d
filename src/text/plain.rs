//! Plain text of which much may be alike on many hosts: what long texts have in common is held once. No I/O.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Shorter texts are held as they are, in bytes.
const LONG: usize = 1024;
/// A part is no longer than this, unless a character ends later.
const LONGEST_PART: usize = 4096;
/// One line in so many ends a part.
const LINES: u64 = 16;

/// A text that may be shown. Long ones lie in parts that clones share, and equal parts of different texts are one: a thousand hosts may
/// each have a script that differs in a line from all others.
#[derive(Clone)]
pub struct Plain(Form);

#[derive(Clone)]
enum Form {
    Whole(String),
    /// Cut where [`ends`] says, which depends on nothing but the text around.
    Parts(Arc<[Arc<str>]>),
}

impl Plain {
    /// The text in one piece.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            Form::Whole(text) => Cow::Borrowed(text),
            Form::Parts(parts) => match &**parts {
                [part] => Cow::Borrowed(part),
                parts => Cow::Owned(parts.concat()),
            },
        }
    }

    /// Its pieces one after the other.
    pub fn pieces(&self) -> impl Iterator<Item = &str> {
        let (whole, parts): (Option<&str>, &[Arc<str>]) = match &self.0 {
            Form::Whole(text) => (Some(text), &[]),
            Form::Parts(parts) => (None, parts),
        };
        whole.into_iter().chain(parts.iter().map(AsRef::as_ref))
    }

    /// Its SHA-256, in hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut digest = Sha256::new();
        self.pieces().for_each(|piece| digest.update(piece));
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces().all(str::is_empty)
    }

    /// Adds text at the end. A text that grows is shared once it is [settled](Self::settle).
    pub(super) fn push(&mut self, more: &str) {
        if let Form::Parts(_) = self.0 {
            self.0 = Form::Whole(self.text().into_owned());
        }
        if let Form::Whole(text) = &mut self.0 {
            text.push_str(more);
        }
    }

    /// Shares what others have, too.
    pub(super) fn settle(&mut self) {
        if let Form::Whole(text) = &self.0
            && text.len() >= LONG
        {
            self.0 = Form::Parts(parts(text));
        }
    }
}

impl From<String> for Plain {
    fn from(text: String) -> Self {
        let mut plain = Self(Form::Whole(text));
        plain.settle();
        plain
    }
}

impl From<&str> for Plain {
    fn from(text: &str) -> Self {
        if text.len() < LONG { Self(Form::Whole(text.to_owned())) } else { Self(Form::Parts(parts(text))) }
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            // Equal texts have equal parts.
            (Form::Parts(one), Form::Parts(two)) => {
                let same = |(one, two): (&Arc<str>, &Arc<str>)| Arc::ptr_eq(one, two) || one == two;
                one.len() == two.len() && one.iter().zip(two.iter()).all(same)
            }
            _ => self.text() == other.text(),
        }
    }
}

impl Eq for Plain {}

impl PartialEq<str> for Plain {
    fn eq(&self, other: &str) -> bool {
        self.text() == other
    }
}

impl PartialEq<&str> for Plain {
    fn eq(&self, other: &&str) -> bool {
        self.text() == *other
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text(), f)
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().try_for_each(|piece| f.write_str(piece))
    }
}

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::from)
    }
}

/// The parts of a text, each the one that other texts have.
fn parts(text: &str) -> Arc<[Arc<str>]> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut from = 0;
    let part = |end: usize| {
        let part = pool.part(&text[from..end]);
        from = end;
        part
    };
    ends(text).map(part).collect()
}

/// Where parts end: behind lines that are chosen by what they say, so that a line that differs changes the part that it lies in and no
/// other; and before a part becomes too long.
fn ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        if from == text.len() {
            return None;
        }
        // Not all that is left is looked at for each part: a line may be as long as the text.
        let mut most = text.len().min(from + LONGEST_PART);
        while !text.is_char_boundary(most) {
            most += 1;
        }
        let mut at = from;
        for line in text[from..most].split_inclusive('\n') {
            let is_whole = line.ends_with('\n') || most == text.len();
            if !is_whole && at > from {
                break;
            }
            at += line.len();
            if is_whole && CHOICE.hash_one(line) % LINES == 0 {
                break;
            }
        }
        from = at;
        Some(at)
    })
}

static CHOICE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

/// The parts of all long texts of this process.
#[derive(Default)]
struct Pool {
    known: HashMap<u64, Weak<str>>,
    keys: RandomState,
    /// Bytes that were added since those that nobody has any more were given back.
    fresh: usize,
    /// Bytes that were left then.
    kept: usize,
}

impl Pool {
    /// As many bytes are added before it is looked for what nobody has any more.
    const PATIENCE: usize = 1 << 20;

    fn part(&mut self, text: &str) -> Arc<str> {
        let key = self.keys.hash_one(text);
        let known = self.known.get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| **known == *text) {
            return known;
        }
        if self.fresh > Self::PATIENCE + self.kept / 4 {
            self.known.retain(|_, part| part.strong_count() > 0);
            self.kept = self.known.values().filter_map(Weak::upgrade).map(|part| part.len()).sum();
            self.fresh = 0;
        }
        let part: Arc<str> = text.into();
        self.known.insert(key, Arc::downgrade(&part));
        self.fresh += text.len();
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(of: &str) -> String {
        (0..1000).map(|n| format!("{n}: {}\n", if n == 500 { of } else { "the same everywhere" })).collect()
    }

    fn addresses(text: &Plain) -> Vec<*const str> {
        match &text.0 {
            Form::Parts(parts) => parts.iter().map(Arc::as_ptr).collect(),
            Form::Whole(_) => Vec::new(),
        }
    }

    #[test]
    fn a_text_stays_what_it_is() {
        let one_line = "ä".repeat(10_000);
        for text in ["", "a", "a\nb", &long("x"), &one_line, &"\n".repeat(5000), &format!("{one_line}\n{}", long("y"))]
        {
            let plain = Plain::from(text);
            assert_eq!(plain, text);
            assert_eq!(plain, Plain::from(text.to_owned()));
            assert_eq!(plain.to_string(), text);
            assert_eq!(plain.is_empty(), text.is_empty());
            assert_eq!(format!("{plain:?}"), format!("{text:?}"));
            let json = serde_json::to_string(&plain).unwrap();
            assert_eq!(json, serde_json::to_string(text).unwrap());
            assert_eq!(serde_json::from_str::<Plain>(&json).unwrap(), plain);
            let mut more = plain.clone();
            more.push("more");
            assert_eq!(more, &*format!("{text}more"));
            more.settle();
            assert_eq!(more, &*format!("{text}more"));
            assert_eq!(plain, text);
        }
    }

    #[test]
    fn texts_that_differ_in_a_line_share_the_others() {
        let (one, two) = (Plain::from(long("one")), Plain::from(long("two")));
        assert_ne!(one, two);
        let (first, second) = (addresses(&one), addresses(&two));
        let shared = first.iter().filter(|part| second.contains(part)).count();
        assert!(first.len() > 10 && shared + 3 >= first.len(), "{shared} of {}", first.len());
        assert_eq!(addresses(&Plain::from(long("one"))), first);
    }

    #[test]
    fn a_thousand_scripts_that_differ_take_little() {
        let all: Vec<Plain> = (0..1000).map(|n| Plain::from(long(&format!("script {n}")))).collect();
        let whole: usize = all.iter().flat_map(Plain::pieces).map(str::len).sum();
        let parts = all.iter().flat_map(|text| addresses(text).into_iter().zip(text.pieces()));
        let held: HashMap<*const str, usize> = parts.map(|(address, part)| (address, part.len())).collect();
        let held: usize = held.values().sum();
        assert!(held * 4 < whole, "{held} bytes are held of {whole}");
    }

    #[test]
    fn what_nobody_has_any_more_is_given_back() {
        let mut pool = Pool::default();
        let kept = pool.part("kept");
        for n in 0..10_000 {
            pool.part(&format!("{n:01000}"));
        }
        assert!(pool.known.len() < 2000, "{}", pool.known.len());
        assert!(Arc::ptr_eq(&kept, &pool.part("kept")));
    }
}
