//! Which host keys are known: the text of known_hosts files, read as OpenSSH reads it. Pure: no I/O, no russh.
//!
//! Keys are compared as the bytes that the server sends, so a key type that this program cannot use is still matched.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// The name that known_hosts has for a host: `ADDRESS`, or `[ADDRESS]:PORT` for a port other than 22. In lower case, as
/// OpenSSH writes it.
pub(super) fn host_name(address: &str, port: u16) -> String {
    let address = address.to_lowercase();
    if port == 22 { address } else { format!("[{address}]:{port}") }
}

/// The known keys of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownKeys(Vec<Line>);

/// A line that concerns the host.
#[derive(Debug, Clone)]
struct Line {
    mark: Mark,
    algorithm: String,
    key: Vec<u8>,
    /// `FILE:LINE`
    place: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A key of this host.
    Known,
    /// A key of the same address without the port: good if it is the same, says nothing if it differs.
    OtherPort,
    /// `@revoked`
    Revoked,
    /// `@cert-authority`: signs certificates of this host.
    Authority,
}

/// What the known keys say about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is known.
    Known,
    /// The host is not known.
    Unknown,
    /// The host is known with other keys.
    Changed {
        /// `FILE:LINE` of one of them.
        known_at: String,
    },
    /// It is marked `@revoked`.
    Revoked {
        /// `FILE:LINE`
        known_at: String,
    },
}

impl KnownKeys {
    /// Takes the lines of a file that concern the host. Lines that cannot be understood are passed over, as OpenSSH does.
    pub(super) fn read(&mut self, address: &str, port: u16, file: &str, text: &str) {
        let name = host_name(address, port);
        let bare = (port != 22).then(|| address.to_lowercase());
        for (number, line) in text.lines().enumerate() {
            let Some((marked, hosts, rest)) = split(line) else { continue };
            let exact = matches(hosts, &name);
            let loose = !exact && bare.as_ref().is_some_and(|bare| matches(hosts, bare));
            if !exact && !loose {
                continue;
            }
            let Some((algorithm, key)) = parse_key(rest) else { continue };
            let mark = match (marked, exact) {
                (Some(mark), _) => mark,
                (None, true) => Mark::Known,
                (None, false) => Mark::OtherPort,
            };
            self.0.push(Line { mark, algorithm, key, place: format!("{file}:{}", number + 1) });
        }
    }

    /// Whether a key, as the server sends it, is this host's.
    pub(super) fn check(&self, key: &[u8]) -> Verdict {
        if let Some(known_at) = self.revoked(key) {
            return Verdict::Revoked { known_at };
        }
        if self.line(Mark::Known, key).or_else(|| self.line(Mark::OtherPort, key)).is_some() {
            return Verdict::Known;
        }
        // Types that are known are asked for first, so a server that comes with another type has none of those keys any
        // more: that is a change, too.
        match self.0.iter().find(|line| line.mark == Mark::Known) {
            Some(line) => Verdict::Changed { known_at: line.place.clone() },
            None => Verdict::Unknown,
        }
    }

    fn line(&self, mark: Mark, key: &[u8]) -> Option<&Line> {
        self.0.iter().find(|line| line.mark == mark && line.key == key)
    }

    /// `FILE:LINE` of the line that revokes a key, be it a host's or an authority's.
    pub(super) fn revoked(&self, key: &[u8]) -> Option<String> {
        self.line(Mark::Revoked, key).map(|line| line.place.clone())
    }

    /// Whether this key may sign certificates of the host.
    pub(super) fn is_authority(&self, key: &[u8]) -> bool {
        self.line(Mark::Authority, key).is_some()
    }

    /// Whether any key may.
    pub(super) fn has_authority(&self) -> bool {
        self.0.iter().any(|line| line.mark == Mark::Authority)
    }

    /// The types of the known keys, best known first.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = &str> {
        let of = |mark| self.0.iter().filter(move |line| line.mark == mark).map(|line| line.algorithm.as_str());
        of(Mark::Known).chain(of(Mark::OtherPort))
    }
}

/// Splits a line into its mark, host patterns, and the rest. `None`: a comment, blank, or an unknown mark.
fn split(line: &str) -> Option<(Option<Mark>, &str, &str)> {
    let line = line.trim_matches(BLANK);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (first, rest) = line.split_once(BLANK)?;
    let mark = match first {
        "@revoked" => Mark::Revoked,
        "@cert-authority" => Mark::Authority,
        _ if first.starts_with('@') => return None,
        _ => return Some((None, first, rest)),
    };
    let (hosts, rest) = rest.trim_start_matches(BLANK).split_once(BLANK)?;
    Some((Some(mark), hosts, rest))
}

const BLANK: [char; 3] = [' ', '\t', '\r'];

/// `TYPE BASE64 [COMMENT]`; the type must be the one that the key itself names.
fn parse_key(text: &str) -> Option<(String, Vec<u8>)> {
    let mut words = text.split(BLANK).filter(|word| !word.is_empty());
    let algorithm = words.next()?;
    let key = STANDARD.decode(words.next()?).ok()?;
    let length = u32::from_be_bytes(key.get(..4)?.try_into().ok()?);
    let named = key.get(4..4_usize.checked_add(usize::try_from(length).ok()?)?)?;
    (named == algorithm.as_bytes()).then(|| (algorithm.to_owned(), key))
}

/// Whether the first field of a line means this name (which is in lower case).
fn matches(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return matches_hash(hashed, name).unwrap_or(false);
    }
    let mut found = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            // One negated match excludes the host, wherever it stands.
            Some(pattern) if glob(pattern, name) => return false,
            Some(_) => {}
            None => found |= glob(pattern, name),
        }
    }
    found
}

/// `SALT|HASH`: base64 of an HMAC-SHA1 over the name.
fn matches_hash(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &STANDARD.decode(salt).ok()?);
    Some(hmac::verify(&key, name.as_bytes(), &STANDARD.decode(hash).ok()?).is_ok())
}

/// `*`: any characters, also none; `?`: any one character. Takes time proportional to the product of both lengths at
/// worst, whatever the pattern.
pub(super) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stood, and how much of the name it has been given.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c.eq_ignore_ascii_case(&name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests;
