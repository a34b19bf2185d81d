//! A text read in other ways: escapes undone, lines put together again, dumps and base64 decoded. Of each byte it is known where in the
//! text it came from. No I/O.

/// What a run of base64 or base32 must have before it is decoded.
const RUN: usize = 12;

/// A text made of another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// Where each byte came from: from here up to there.
    pub(super) places: Vec<(usize, usize)>,
}

/// What stands before the rest of a text that was broken into lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// So many words, such as a number, a time, a name.
    Words(usize),
    /// Everything up to the first of these.
    Mark,
    /// What the lines have in common.
    Same,
}

/// The text in all the ways in which a secret can be found by what it is itself, one after the other: none is kept longer than it is
/// looked at. The first one, which is reported, is the text as it is.
pub(super) fn each(text: &str, look: &mut dyn FnMut(&View, bool)) {
    let before: &[Before] = if text.trim_end().contains('\n') {
        &[Before::Words(0), Before::Words(1), Before::Words(2), Before::Words(3), Before::Mark, Before::Same]
    } else {
        &[]
    };
    let views = std::iter::once(None).chain(before.iter().copied().map(Some));
    let mut last = View::default();
    for (number, before) in views.enumerate() {
        let next = before.map_or_else(|| View::of(text), |before| joined(text, before));
        // Often they are the same.
        if number > 0 && next == last {
            continue;
        }
        last = next;
        let view = &last;
        look(view, number == 0);
        for quoted_printable in [false, true] {
            let Some(once) = view.unescaped(quoted_printable) else { continue };
            once.unescaped(quoted_printable).iter().for_each(|twice| look(twice, false));
            look(&once, false);
        }
        view.base64(look, true);
        view.base32(look);
    }
    dumps(text, look);
}

fn joined(text: &str, before: Before) -> View {
    let mut view = View::default();
    let mut at = 0;
    let mut last = "";
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r', ' ', '\t']);
        let body = body.strip_suffix('\\').unwrap_or(body);
        let blank = |text: &str| text.len() - text.trim_start_matches([' ', '\t']).len();
        let skipped = match before {
            Before::Words(0) if at == 0 => 0,
            Before::Words(count) => (0..count).fold(blank(body), |from, _| {
                let rest = &body[from..];
                let word = rest.find([' ', '\t']).unwrap_or(rest.len());
                from + word + blank(&rest[word..])
            }),
            Before::Mark => {
                let from = body.find([':', '|', '>', ']', ')', '#', '=']).map_or(0, |mark| mark + 1);
                from + blank(&body[from..])
            }
            Before::Same => {
                let same = body.char_indices().zip(last.chars()).find(|((_, one), other)| one != other);
                same.map_or(0, |((from, _), _)| from)
            }
        };
        // The first of the lines that begin alike is not known as one yet: all of it stays.
        view.extend(&body.as_bytes()[skipped..], at + skipped);
        last = body;
        at += line.len();
    }
    view
}

fn hex(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

/// The number that so many digits say.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.is_empty() && !text.starts_with('+'))?;
    u32::from_str_radix(text, radix).ok()
}

impl View {
    fn of(text: &str) -> Self {
        let mut view = Self::default();
        view.extend(text.as_bytes(), 0);
        view
    }

    fn extend(&mut self, bytes: &[u8], from: usize) {
        self.bytes.extend_from_slice(bytes);
        self.places.extend((from..from + bytes.len()).map(|at| (at, at + 1)));
    }

    fn push(&mut self, byte: u8, place: (usize, usize)) {
        self.bytes.push(byte);
        self.places.push(place);
    }

    fn push_char(&mut self, c: char, place: (usize, usize)) {
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            self.push(byte, place);
        }
    }

    /// Letters and digits alone, in small letters.
    pub(super) fn squeezed(&self) -> Self {
        let kept = self.bytes.iter().zip(&self.places).filter(|(byte, _)| byte.is_ascii_alphanumeric());
        let (bytes, places) = kept.map(|(byte, place)| (byte.to_ascii_lowercase(), *place)).unzip();
        Self { bytes, places }
    }

    /// Without the zeros that two bytes a character put between them.
    pub(super) fn without_zeros(self) -> Self {
        if !self.bytes.contains(&0) {
            return self;
        }
        let (bytes, places) = self.bytes.into_iter().zip(self.places).filter(|(byte, _)| *byte != 0).unzip();
        Self { bytes, places }
    }

    fn place(&self, from: usize, to: usize) -> (usize, usize) {
        (self.places[from].0, self.places[to - 1].1)
    }

    /// With escapes undone: `\u002d`, `\x2d`, `\055`, `%2D`, `&#45;`, `&quot;`, or instead `=2D`. `None`: there are none.
    fn unescaped(&self, quoted_printable: bool) -> Option<Self> {
        let signs: &[u8] = if quoted_printable { b"=" } else { b"\\%&" };
        if !self.bytes.iter().any(|byte| signs.contains(byte)) {
            return None;
        }
        let mut out = Self::default();
        let (mut at, mut high) = (0, None);
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            let found = match rest[0] {
                byte if !signs.contains(&byte) => None,
                b'\\' => backslash(rest, &mut high),
                b'&' => entity(rest),
                _ => match (rest.get(1).copied().and_then(hex), rest.get(2).copied().and_then(hex)) {
                    (Some(high), Some(low)) => Some((Made::Byte(u8::try_from(high * 16 + low).unwrap_or(0)), 3)),
                    _ if rest[0] == b'=' && rest.get(1) == Some(&b'\n') => Some((Made::Nothing, 2)),
                    _ => None,
                },
            };
            match found {
                Some((made, length)) => {
                    let place = self.place(at, at + length);
                    match made {
                        Made::Byte(byte) => out.push(byte, place),
                        Made::Char(c) => out.push_char(c, place),
                        Made::Nothing => {}
                    }
                    at += length;
                }
                None => {
                    out.push(rest[0], self.places[at]);
                    at += 1;
                }
            }
        }
        (out.bytes.len() < self.bytes.len()).then_some(out)
    }

    /// The maximal runs of what is among these.
    fn runs(&self, is: impl Fn(u8) -> bool) -> Vec<(usize, usize)> {
        let (mut all, mut start) = (Vec::new(), None);
        for at in 0..=self.bytes.len() {
            match (self.bytes.get(at).is_some_and(|byte| is(*byte)), start) {
                (true, None) => start = Some(at),
                (false, Some(from)) => {
                    if at - from >= RUN {
                        all.push((from, at));
                    }
                    start = None;
                }
                _ => {}
            }
        }
        all
    }

    /// What runs of digits of so many bits each are, beginning at each place that a group can have.
    fn digits(&self, bits: u32, group: usize, value: impl Fn(u8) -> Option<u32>, look: &mut dyn FnMut(&Self)) {
        for (from, to) in self.runs(|byte| value(byte).is_some()) {
            for skipped in 0..group.min(to - from) {
                let mut view = Self::default();
                let (mut held, mut count, mut begin) = (0_u32, 0, from + skipped);
                for at in from + skipped..to {
                    held = (held << bits) | value(self.bytes[at]).unwrap_or_default();
                    count += bits;
                    if count >= 8 {
                        count -= 8;
                        view.push(u8::try_from((held >> count) & 0xff).unwrap_or_default(), self.place(begin, at + 1));
                        held &= (1 << count) - 1;
                        begin = if count > 0 { at } else { at + 1 };
                    }
                }
                look(&view.without_zeros());
            }
        }
    }

    fn base64(&self, look: &mut dyn FnMut(&Self, bool), again: bool) {
        let value = |byte: u8| {
            Some(u32::from(match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            }))
        };
        self.digits(6, 4, value, &mut |view| {
            if again && view.bytes.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_control() || *byte == b'\n') {
                view.base64(look, false);
            }
            look(view, false);
        });
    }

    fn base32(&self, look: &mut dyn FnMut(&Self, bool)) {
        let value = |byte: u8| {
            Some(u32::from(match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a',
                b'2'..=b'7' => byte - b'2' + 26,
                _ => return None,
            }))
        };
        self.digits(5, 8, value, &mut |view| look(view, false));
    }
}

enum Made {
    Byte(u8),
    Char(char),
    Nothing,
}

/// What a backslash and what is behind it stand for, and how long that is.
fn backslash(rest: &[u8], high: &mut Option<u32>) -> Option<(Made, usize)> {
    let digits = |from: usize, most: usize, radix: u32| {
        let count = rest.iter().skip(from).take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count();
        (count > 0).then(|| (number(&rest[from..from + count], radix), from + count))
    };
    let byte = |value: Option<u32>| Made::Byte(u8::try_from(value.unwrap_or_default() & 0xff).unwrap_or_default());
    let next = *rest.get(1)?;
    match next {
        b'u' | b'U' | b'x' if rest.get(2) == Some(&b'{') => {
            let (value, end) = digits(3, 8, 16)?;
            let end = if rest.get(end) == Some(&b'}') { end + 1 } else { end };
            Some((value.and_then(char::from_u32).map_or(Made::Nothing, Made::Char), end))
        }
        b'u' | b'U' => {
            let (value, end) = digits(2, if next == b'u' { 4 } else { 8 }, 16)?;
            let value = value?;
            let made = match (value, high.take()) {
                (0xd800..=0xdbff, _) => {
                    *high = Some(value);
                    Made::Nothing
                }
                (0xdc00..=0xdfff, Some(first)) => char::from_u32(0x10000 + ((first - 0xd800) << 10) + (value - 0xdc00))
                    .map_or(Made::Nothing, Made::Char),
                _ => char::from_u32(value).map_or(Made::Nothing, Made::Char),
            };
            Some((made, end))
        }
        b'x' => digits(2, 2, 16).map(|(value, end)| (byte(value), end)),
        b'0' => digits(1, 4, 8).map(|(value, end)| (byte(value), end)),
        b'1'..=b'7' => digits(1, 3, 8).map(|(value, end)| (byte(value), end)),
        b'n' => Some((Made::Byte(b'\n'), 2)),
        b't' => Some((Made::Byte(b'\t'), 2)),
        b'r' => Some((Made::Byte(b'\r'), 2)),
        b'\n' => Some((Made::Nothing, 2)),
        byte if byte.is_ascii() => Some((Made::Byte(byte), 2)),
        _ => None,
    }
}

/// What a reference of markup stands for.
fn entity(rest: &[u8]) -> Option<(Made, usize)> {
    const NAMED: &[(&str, char)] = &[
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("dollar", '$'),
        ("excl", '!'),
        ("num", '#'),
        ("percnt", '%'),
        ("lpar", '('),
        ("rpar", ')'),
        ("ast", '*'),
        ("plus", '+'),
        ("comma", ','),
        ("hyphen", '-'),
        ("dash", '-'),
        ("period", '.'),
        ("sol", '/'),
        ("colon", ':'),
        ("semi", ';'),
        ("equals", '='),
        ("quest", '?'),
        ("commat", '@'),
        ("lsqb", '['),
        ("lbrack", '['),
        ("bsol", '\\'),
        ("rsqb", ']'),
        ("rbrack", ']'),
        ("Hat", '^'),
        ("lowbar", '_'),
        ("grave", '`'),
        ("lcub", '{'),
        ("lbrace", '{'),
        ("verbar", '|'),
        ("vert", '|'),
        ("rcub", '}'),
        ("rbrace", '}'),
        ("tilde", '~'),
    ];
    let end = |at: usize| if rest.get(at) == Some(&b';') { at + 1 } else { at };
    if rest.get(1) == Some(&b'#') {
        let is_hex = matches!(rest.get(2), Some(b'x' | b'X'));
        let (from, radix) = if is_hex { (3, 16) } else { (2, 10) };
        let count = rest.iter().skip(from).take(8).take_while(|byte| char::from(**byte).is_digit(radix)).count();
        let value = number(&rest[from..from + count], radix)?;
        return Some((char::from_u32(value).map_or(Made::Nothing, Made::Char), end(from + count)));
    }
    let named = NAMED.iter().find(|(name, _)| rest[1..].starts_with(name.as_bytes()))?;
    Some((Made::Char(named.1), end(1 + named.0.len())))
}

/// What numbers of a dump stand for: `xxd`, `hexdump`, `od` in its kinds, lists of bytes; and characters one by one.
fn dumps(text: &str, look: &mut dyn FnMut(&View, bool)) {
    let mut hexadecimal = [View::default(), View::default(), View::default(), View::default()];
    let [mut octal, mut decimal, mut letters] = [(); 3].map(|()| [View::default(), View::default()]);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        for first in [0, 1] {
            let is_sign = |c: char| !(c.is_ascii_alphanumeric());
            for (word, place) in words(line, at, is_sign).skip(first) {
                let digits = word.trim_start_matches("0x").as_bytes();
                let digits = digits.strip_prefix(b"x").unwrap_or(digits);
                if digits.len() % 2 == 0 && (2..=16).contains(&digits.len()) && digits.iter().all(|c| hex(*c).is_some())
                {
                    let bytes: Vec<u8> = digits
                        .chunks(2)
                        .filter_map(|two| u8::try_from(hex(two[0])? * 16 + hex(two[1])?).ok())
                        .collect();
                    bytes.iter().for_each(|byte| hexadecimal[first].push(*byte, place));
                    bytes.iter().rev().for_each(|byte| hexadecimal[2 + first].push(*byte, place));
                }
                let all_digits = word.bytes().all(|c| c.is_ascii_digit());
                let value = |radix| number(word.as_bytes(), radix).unwrap_or(u32::MAX);
                match word.len() {
                    3 if all_digits && value(8) < 256 => {
                        octal[first].push(u8::try_from(value(8)).unwrap_or_default(), place);
                    }
                    6 if all_digits && value(8) < 65536 => {
                        let [low, high] = u16::try_from(value(8)).unwrap_or_default().to_le_bytes();
                        octal[first].push(low, place);
                        octal[first].push(high, place);
                    }
                    _ => {}
                }
                if word.len() <= 3 && all_digits && value(10) < 256 {
                    decimal[first].push(u8::try_from(value(10)).unwrap_or_default(), place);
                }
            }
            for (word, place) in words(line, at, char::is_whitespace).skip(first) {
                let mut chars = word.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => letters[first].push_char(c, place),
                    // `'a',`, `"a"`.
                    (Some('\'' | '"'), Some(c)) if word.len() <= 4 => letters[first].push_char(c, place),
                    _ => {}
                }
            }
        }
        at += line.len();
    }
    let views = hexadecimal.into_iter().chain(octal).chain(decimal).chain(letters);
    let views = views.map(View::without_zeros).filter(|view| view.bytes.len() >= RUN / 2);
    views.for_each(|view| look(&view, false));
}

/// The words of a line, and where in the text they are.
fn words(
    line: &str,
    at: usize,
    is_between: impl Fn(char) -> bool + Copy,
) -> impl Iterator<Item = (&str, (usize, usize))> {
    let mut from = 0;
    line.split(is_between).filter_map(move |word| {
        let start = from;
        let behind = line[start + word.len()..].chars().next().map_or(0, char::len_utf8);
        from = start + word.len() + behind;
        (!word.is_empty()).then_some((word, (at + start, at + start + word.len())))
    })
}
