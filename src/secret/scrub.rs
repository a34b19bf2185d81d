//! Finds known secrets in a text from elsewhere: whole or in pieces, as they are or encoded. No I/O.
//!
//! A program that quotes what it was given may cut it (a column limit, `tail`), wrap it, or write it in the notation of its own
//! (JSON, a shell's, a URL's, base64). So not the value is looked for, but every run of [`WINDOW`] bytes of it and of what common
//! notations make of it; what is found is joined, and nothing depends on the order of names or on one secret being inside another.
//! Of these runs only hashes are kept, under keys of this process.

use std::collections::{HashMap, HashSet, hash_map::RandomState};
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

mod bare;
mod views;

use self::views::View;
use super::Secret;
use super::forms::{encoded, escaped, lines, parts};

/// Texts of so many bytes are long to look through.
const LONG: usize = 1024;
/// Bytes in a row that must not be shown. Fewer are in ordinary words, too.
const WINDOW: usize = 12;
/// Bytes in a row that must not be shown of what others print, where no word of a language looks like that.
const FRAGMENT: usize = 8;
/// Shorter values, down to [`SHORTEST`], are hidden where they stand alone, for as parts of words they mean nothing.
const WORD: usize = 6;
/// Shorter values cannot be hidden without making riddles of all texts.
pub const SHORTEST: usize = 4;
/// Bytes at the edge of a line that may be the rest of a secret that was cut there.
const EDGE: usize = 8;
/// The same before a mark of a cut.
const BEFORE_CUT: usize = 4;
/// Longer values are not encoded: nobody quotes them so, and the memory is better spent.
const ENCODED: usize = 64 << 10;
/// Bytes of a text that are read in other ways at once: each way takes some twenty bytes for one, and a host may print much.
const PIECE: usize = 64 << 10;
/// Bytes that one piece and the next have in common: the runs that are looked for, however they are written and broken, are shorter.
const OVERLAP: usize = 8 << 10;
/// What stands for a secret.
const INSTEAD: &str = "(secret)";

/// What is looked for.
#[derive(Default)]
pub(super) struct Scrubber {
    /// Hashes of all windows.
    windows: HashSet<u64>,
    keys: RandomState,
    /// Which first bytes any window has: most places of a text need no hash.
    first: First,
    /// Hashes of all windows of [`FRAGMENT`] bytes.
    fragments: HashSet<u64>,
    /// Hashes of windows of letters and digits alone, in small letters.
    squeezed: HashSet<u64>,
    /// The letters and digits of those that are words or numbers, in small letters: no run of them is hidden, but all of them in a row.
    spelled: Vec<Secret>,
    /// Short ones that can be found in another reading of a text, where nothing is escaped.
    short: Vec<Secret>,
    /// Whole texts that are shorter than a window, or parts of which may be shown.
    whole: Vec<Secret>,
    /// Short ones.
    words: Vec<Secret>,
    /// How texts begin, and how they end.
    heads: Vec<Secret>,
    tails: Vec<Secret>,
    /// What is shown all the same.
    open: Option<Arc<Open>>,
    /// Whether something is in long texts, by their digests: a plan asks it of the same text several times.
    known: Mutex<HashMap<[u8; 32], bool>>,
}

/// A text of which nothing is hidden wherever it stands.
#[derive(Debug)]
pub(super) struct Open {
    text: String,
    /// The same as text is looked through otherwise.
    joined: String,
}

impl Open {
    pub(super) fn new(text: String) -> Self {
        let joined = joined(&bare::bare(&text).map_or_else(|| text.clone(), |(bare, _)| bare)).0;
        Self { text, joined }
    }

    /// Shows again what of a text's hidden runs stands in this one. A whole run: of a secret that others say, a piece that is written
    /// here does not open the rest.
    fn show(&self, text: &str, hidden: &mut [bool]) {
        let mut known: HashMap<&str, bool> = HashMap::new();
        let mut at = 0;
        while at < text.len() {
            let Some(start) = hidden[at..].iter().position(|hide| *hide).map(|start| at + start) else { return };
            let end = hidden[start..].iter().position(|hide| !*hide).map_or(text.len(), |length| start + length);
            at = end;
            let (mut from, mut to) = (start, end);
            while !text.is_char_boundary(from) {
                from -= 1;
            }
            while !text.is_char_boundary(to) {
                to += 1;
            }
            let run = text[from..to].trim();
            if *known.entry(run).or_insert_with(|| self.text.contains(run) || self.joined.contains(run)) {
                hidden[start..end].fill(false);
            }
        }
    }
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrubber")
    }
}

impl Scrubber {
    pub(super) fn new<'a>(values: impl Iterator<Item = &'a Secret>, open: Option<Arc<Open>>) -> Self {
        let mut scrubber = Self { open, ..Self::default() };
        for value in values {
            scrubber.add(value.expose());
        }
        for list in
            [&mut scrubber.whole, &mut scrubber.words, &mut scrubber.spelled, &mut scrubber.heads, &mut scrubber.tails]
        {
            list.sort_by(|one, other| (other.expose().len(), one.expose()).cmp(&(one.expose().len(), other.expose())));
            list.dedup_by(|one, other| one.same_as(other));
        }
        scrubber
    }

    fn add(&mut self, value: &str) {
        let value = value.trim_matches(['\n', '\r']);
        if value.len() < WORD && value.len() >= SHORTEST {
            self.words.push(Secret::new(value.to_owned()));
        }
        let short = value.len() <= ENCODED;
        let escapes = |text: &str| if short { escaped(text) } else { Vec::new() };
        let many = value.contains('\n');
        for part in parts(value) {
            self.piece(part);
            self.plain(part, if many { is_random } else { is_rare });
            if short {
                let backwards: String = part.chars().rev().collect();
                self.piece(&backwards);
            }
            escapes(part).iter().for_each(|form| self.piece(form));
        }
        for text in lines(value).chain([value]) {
            let forms = escapes(text).into_iter().chain([text.to_owned()]);
            self.whole.extend(forms.filter(|form| form.len() >= WORD).map(Secret::new));
        }
        if short {
            encoded(value).iter().for_each(|form| self.piece(form));
        }
    }

    /// What may be found when a text is read in other ways.
    fn plain(&mut self, text: &str, rare: fn(&[u8]) -> bool) {
        if text.len() > ENCODED {
            return;
        }
        let bytes = text.as_bytes();
        for window in bytes.windows(FRAGMENT).filter(|window| rare(window)) {
            self.fragments.insert(self.keys.hash_one(window));
            self.first.add(window);
        }
        let squeezed: Vec<u8> =
            bytes.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
        let mut all_rare = true;
        for window in squeezed.windows(WINDOW) {
            if !is_rare(window) {
                all_rare = false;
                continue;
            }
            self.squeezed.insert(self.keys.hash_one(window));
            self.first.add(window);
        }
        // Words that are written as such may well be in a text.
        let in_one = squeezed.len() >= WINDOW && squeezed.len() <= 200 && squeezed.len() == bytes.len();
        let one_case = !(bytes.iter().any(u8::is_ascii_uppercase) && bytes.iter().any(u8::is_ascii_lowercase));
        if !all_rare
            && in_one
            && one_case
            && let Ok(squeezed) = String::from_utf8(squeezed)
        {
            self.spelled.push(Secret::new(squeezed));
        }
        if (WORD..WINDOW).contains(&text.len()) {
            self.short.push(Secret::new(text.to_owned()));
        }
    }

    /// A text of which no run may be shown.
    fn piece(&mut self, text: &str) {
        if text.len() < WORD {
            return;
        }
        if text.len() < WINDOW {
            self.whole.push(Secret::new(text.to_owned()));
        }
        for window in text.as_bytes().windows(WINDOW) {
            self.windows.insert(self.keys.hash_one(window));
            self.first.add(window);
        }
        let (mut head, mut tail) = (text.len().min(WINDOW), text.len().saturating_sub(WINDOW));
        while !text.is_char_boundary(head) {
            head -= 1;
        }
        while !text.is_char_boundary(tail) {
            tail += 1;
        }
        self.heads.push(Secret::new(text[..head].to_owned()));
        self.tails.push(Secret::new(text[tail..].to_owned()));
    }

    /// Whether the text holds one, or a run of one.
    pub(super) fn finds(&self, text: &str) -> bool {
        let look = || self.ranges(text, false).contains(&true);
        if text.len() < LONG {
            return look();
        }
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let digest: [u8; 32] = Sha256::digest(text).into();
        let known = lock().get(&digest).copied();
        known.unwrap_or_else(|| {
            let found = look();
            lock().insert(digest, found);
            found
        })
    }

    /// The text without what was found. `cut`: somebody may have cut it at the edges of its lines.
    pub(super) fn scrub(&self, text: &str, cut: bool) -> String {
        let mut hidden = self.ranges(text, cut);
        if cut {
            let mut edges = vec![false; text.len()];
            self.edges(text, &mut edges);
            self.leave(text, &mut edges);
            hidden.iter_mut().zip(edges).for_each(|(hide, edge)| *hide |= edge);
        }
        let mut out = String::with_capacity(text.len());
        let mut inside = false;
        for (at, c) in text.char_indices() {
            let hide = hidden[at..at + c.len_utf8()].contains(&true);
            match (hide, c) {
                // One that goes over lines is hidden in each of them: how many there are stays.
                (true, '\n' | '\r') => {
                    out.push(c);
                    inside = false;
                }
                (true, _) if !inside => {
                    out.push_str(INSTEAD);
                    inside = true;
                }
                (true, _) => {}
                (false, _) => {
                    out.push(c);
                    inside = false;
                }
            }
        }
        out
    }

    /// Of each byte whether it is a secret's.
    fn ranges(&self, text: &str, said: bool) -> Vec<bool> {
        let mut hidden = vec![false; text.len()];
        if self.windows.is_empty() && self.whole.is_empty() && self.words.is_empty() {
            return hidden;
        }
        self.runs(text, |range| hidden[range].fill(true));
        for word in &self.words {
            let word = word.expose();
            for (at, _) in text.match_indices(word) {
                let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                if !joins(text[..at].chars().next_back()) && !joins(text[at + word.len()..].chars().next()) {
                    hidden[at..at + word.len()].fill(true);
                }
            }
        }
        self.leave(text, &mut hidden);
        for piece in pieces(text) {
            self.in_a_piece(&text[piece.clone()], said, &mut hidden[piece]);
        }
        hidden
    }

    /// Hides what is found when a text is read in other ways.
    fn in_a_piece(&self, text: &str, said: bool, hidden: &mut [bool]) {
        // What colours a match, what is struck over and what takes no place stands between the characters that are seen.
        let bare = bare::bare(text);
        if let Some((bare, places)) = &bare {
            self.in_another_form(text, bare, places, hidden);
        }
        // What was broken into lines is one text again without the breaks and what indents the next line.
        let whole = text;
        let (text, outer) = bare.as_ref().map_or((text, None), |(bare, places)| (bare.as_str(), Some(places)));
        if text.trim_end().contains('\n') {
            let (joined, mut places) = joined(text);
            if let Some(outer) = outer {
                places.iter_mut().for_each(|at| *at = outer[*at]);
            }
            self.in_another_form(whole, &joined, &places, hidden);
        }
        self.in_other_readings(whole, text, outer, said, hidden);
    }

    /// Hides what is found in a text made of another, where each of its bytes was in that one.
    fn in_another_form(&self, whole: &str, text: &str, places: &[usize], hidden: &mut [bool]) {
        let mut found = vec![false; text.len()];
        self.runs(text, |range| found[range].fill(true));
        self.leave(text, &mut found);
        let mut fresh = vec![false; whole.len()];
        let mut last = None;
        for at in (0..text.len()).filter(|at| found[*at]) {
            // What was taken out between two bytes of a line goes with them.
            let from = last.filter(|last: &usize| last + 1 == at).map_or(places[at], |last| places[last]);
            if whole.as_bytes()[from..places[at]].contains(&b'\n') {
                fresh[places[at]] = true;
            } else {
                fresh[from.min(places[at])..=places[at]].fill(true);
            }
            last = Some(at);
        }
        if fresh.contains(&true) {
            self.leave(whole, &mut fresh);
            hidden.iter_mut().zip(fresh).for_each(|(hide, fresh)| *hide |= fresh);
        }
    }

    /// Hides what is found when escapes are undone, lines put together, dumps and base64 decoded. `places`: where the bytes of the text were in
    /// the whole one.
    fn in_other_readings(&self, whole: &str, text: &str, places: Option<&Vec<usize>>, said: bool, hidden: &mut [bool]) {
        if text.len() < WORD || (self.windows.is_empty() && self.short.is_empty()) {
            return;
        }
        let place = |at: usize| places.map_or(at, |places| places.get(at).copied().unwrap_or(whole.len()));
        views::each(text, &mut |view, plain| {
            // The text as it is was looked through: there only pieces are new.
            let mut found = vec![Mark::No; view.bytes.len()];
            self.mark(view, said, !plain, &mut found);
            let squeezed = if said { view.squeezed() } else { View::default() };
            let mut inner = vec![Mark::No; squeezed.bytes.len()];
            if said {
                self.windows_in(&squeezed.bytes, WINDOW, &self.squeezed, &mut inner);
                let spelled = std::str::from_utf8(&squeezed.bytes).unwrap_or_default();
                for value in &self.spelled {
                    let value = value.expose();
                    spelled.match_indices(value).for_each(|(at, _)| mark_run(&mut inner[at..at + value.len()]));
                }
            }
            // Most readings hold nothing, and there may be many short ones.
            let mut fresh = Vec::new();
            for (view, mut found) in [(view, found), (&squeezed, inner)] {
                if found.iter().all(|mark| *mark == Mark::No) {
                    continue;
                }
                if let (Some(_), Ok(text)) = (&self.open, std::str::from_utf8(&view.bytes)) {
                    let mut hidden: Vec<bool> = found.iter().map(|mark| *mark != Mark::No).collect();
                    self.leave(text, &mut hidden);
                    found.iter_mut().zip(hidden).filter(|(_, hide)| !hide).for_each(|(mark, _)| *mark = Mark::No);
                }
                fresh.resize(whole.len(), false);
                let mut last: Option<usize> = None;
                for at in (0..found.len()).filter(|at| found[*at] != Mark::No) {
                    let (from, to) = (place(view.places[at].0), place(view.places[at].1 - 1) + 1);
                    // What stands between two bytes of one find goes with them.
                    let joins = |last: &usize| last + 1 == at && found[at] == Mark::GoesOn;
                    let before = last.filter(joins).map(|last| place(view.places[last].1 - 1) + 1);
                    let from = match before {
                        Some(before) if before <= from && !whole.as_bytes()[before..from].contains(&b'\n') => before,
                        _ => from,
                    };
                    fresh[from.min(to)..to].fill(true);
                    last = Some(at);
                }
            }
            if fresh.contains(&true) {
                self.leave(whole, &mut fresh);
                hidden.iter_mut().zip(fresh).for_each(|(hide, fresh)| *hide |= fresh);
            }
        });
    }

    /// Marks what is found in another reading of a text.
    fn mark(&self, view: &View, said: bool, other: bool, found: &mut [Mark]) {
        if other {
            self.windows_in(&view.bytes, WINDOW, &self.windows, found);
            for value in &self.short {
                let value = value.expose().as_bytes();
                for at in (0..view.bytes.len()).filter(|at| view.bytes[*at..].starts_with(value)) {
                    mark_run(&mut found[at..at + value.len()]);
                }
            }
        }
        if said {
            self.windows_in(&view.bytes, FRAGMENT, &self.fragments, found);
        }
    }

    fn windows_in(&self, bytes: &[u8], length: usize, known: &HashSet<u64>, found: &mut [Mark]) {
        if known.is_empty() {
            return;
        }
        for (at, window) in bytes.windows(length).enumerate() {
            if self.first.may_begin(window) && known.contains(&self.keys.hash_one(window)) {
                mark_run(&mut found[at..at + length]);
            }
        }
    }

    fn leave(&self, text: &str, hidden: &mut [bool]) {
        if let Some(open) = &self.open {
            open.show(text, hidden);
        }
    }

    fn runs(&self, text: &str, mut hide: impl FnMut(Range<usize>)) {
        if !self.windows.is_empty() {
            for (at, window) in text.as_bytes().windows(WINDOW).enumerate() {
                if self.first.may_begin(window) && self.windows.contains(&self.keys.hash_one(window)) {
                    hide(at..at + WINDOW);
                }
            }
        }
        for value in &self.whole {
            let value = value.expose();
            text.match_indices(value).for_each(|(at, _)| hide(at..at + value.len()));
        }
    }

    /// What is left of a secret that was cut at the end or at the beginning of a line.
    fn edges(&self, text: &str, hidden: &mut [bool]) {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end();
            let lead = bare.len() - bare.trim_start().len();
            for (end, least) in ends(bare) {
                for head in &self.heads {
                    let head = head.expose();
                    let fits = (least..=head.len())
                        .rev()
                        .find(|length| head.is_char_boundary(*length) && bare[..end].ends_with(&head[..*length]));
                    if let Some(length) = fits {
                        hidden[start + end - length..start + end].fill(true);
                    }
                }
            }
            for tail in &self.tails {
                let tail = tail.expose();
                let fits = (EDGE..=tail.len()).rev().find(|length| {
                    let from = tail.len() - length;
                    tail.is_char_boundary(from) && bare[lead..].starts_with(&tail[from..])
                });
                if let Some(length) = fits {
                    hidden[start + lead..start + lead + length].fill(true);
                }
            }
            start += line.len();
        }
    }
}

/// Whether bytes are no part of what people write: letters together with digits, large ones behind small ones, signs that join no words.
fn is_rare(bytes: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| bytes.iter().any(is);
    let mixed = bytes.iter().skip(1).any(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let capitals = mixed && !has(|byte| *byte == b' ');
    let letters = has(u8::is_ascii_alphabetic);
    (letters && has(u8::is_ascii_digit)) || capitals || (letters && has(|byte| b"!$%&*+;<=>?@^~|{}".contains(byte)))
}

/// The same in a text of several lines, of which most is no secret.
fn is_random(bytes: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| bytes.iter().any(is);
    has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// What is known of a byte: nothing, a find begins with it, or it goes on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    No,
    Begins,
    GoesOn,
}

fn mark_run(found: &mut [Mark]) {
    for (at, mark) in found.iter_mut().enumerate() {
        *mark = (*mark).max(if at == 0 { Mark::Begins } else { Mark::GoesOn });
    }
}

/// The first three bytes of windows, in the form of a few thousand bits.
#[derive(Clone, Default)]
struct First(Vec<u64>);

impl First {
    fn place(window: &[u8]) -> (usize, u64) {
        let [one, two, three] = [window[0], window[1], window[2]].map(u32::from);
        let hash = (one | two << 8 | three << 16).wrapping_mul(0x9E37_79B1) >> 16;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    fn add(&mut self, window: &[u8]) {
        self.0.resize(1024, 0);
        let (at, bit) = Self::place(window);
        self.0[at] |= bit;
    }

    fn may_begin(&self, window: &[u8]) -> bool {
        let (at, bit) = Self::place(window);
        self.0.get(at).is_some_and(|bits| bits & bit != 0)
    }
}

/// Where a line may have been cut, and how many bytes before it are suspicious: at its end, within quotes or not, and at each mark of
/// a cut.
fn ends(line: &str) -> Vec<(usize, usize)> {
    let mut ends = vec![(line.len(), EDGE), (line.trim_end_matches(['"', '\'', '`', ')', '.', ',']).len(), EDGE)];
    for mark in ["…", "..."] {
        ends.extend(line.match_indices(mark).map(|(at, _)| (at, BEFORE_CUT)));
    }
    ends
}

/// The parts of a text that are read one after the other, the end of one being the beginning of the next.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    loop {
        let mut end = text.len().min(from + PIECE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        pieces.push(from..end);
        if end == text.len() {
            return pieces;
        }
        let mut next = end - OVERLAP;
        while !text.is_char_boundary(next) {
            next += 1;
        }
        // A line that is not much longer than others is read whole.
        let before = &text.as_bytes()[next - OVERLAP / 2..next];
        from = before.iter().rposition(|byte| *byte == b'\n').map_or(next, |line| next - OVERLAP / 2 + line + 1);
    }
}

/// The text without line breaks, blanks after them and a backslash before them; and where each byte was.
fn joined(text: &str) -> (String, Vec<usize>) {
    let (mut out, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        let bare = body.strip_suffix('\\').unwrap_or(body);
        let bare = if at > 0 { bare.trim_start_matches([' ', '\t']) } else { bare };
        let from = at + (body.len() - body.trim_start_matches([' ', '\t']).len()) * usize::from(at > 0);
        out.push_str(bare);
        places.extend(from..from + bare.len());
        at += line.len();
    }
    (out, places)
}

#[cfg(test)]
mod tests;
