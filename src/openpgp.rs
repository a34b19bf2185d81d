//! OpenPGP public keys as apt takes them: which key a file holds, and the file as text. Values only: no I/O.
//!
//! Only what RFC 4880 needs for a fingerprint (§4.2 packet headers, §6.2 armor, §12.2 fingerprints). Whether a signature is
//! good is for apt to tell, on the host.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Packet tags.
const SIGNATURE: u8 = 2;
const SECRET_KEY: u8 = 5;
const PUBLIC_KEY: u8 = 6;
const SECRET_SUBKEY: u8 = 7;
/// What else a key is made of: trust, user id, subkey, user attribute. Others could hold a second key, compressed, say.
const PARTS: [u8; 5] = [SIGNATURE, 12, 13, 14, 17];

/// A file with one public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Of the primary key: 40 hexadecimal digits, capital letters.
    pub fingerprint: String,
    /// The key in ASCII armor, always made here: programs disagree on which block of a text counts, and a host must get no
    /// other key than the one that was looked at.
    pub armored: String,
}

/// Why a file is no key that apt could be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Neither armored nor binary.
    #[error("it is no OpenPGP public key")]
    NoKey,
    /// The armor is damaged.
    #[error("its ASCII armor is damaged")]
    Armor,
    /// A packet is damaged or cut short.
    #[error("it is damaged or cut short")]
    Damaged,
    /// Somebody gave the wrong half.
    #[error("it holds a private key")]
    Secret,
    /// With one fingerprint only one key can be meant: any other would be trusted unseen.
    #[error("it holds {0} keys, and one is expected")]
    Several(usize),
    /// Its fingerprint is not known.
    #[error("it is a key of version {0}, and apt takes version 4")]
    Version(u8),
}

/// A fingerprint as users write it, `F640 3F65 …` or with colons, as 40 capital digits.
#[must_use]
pub fn fingerprint(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    let digits = digits.strip_prefix("0x").unwrap_or(&digits);
    (digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits.to_ascii_uppercase())
}

/// A fingerprint as users read it: groups of four.
#[must_use]
pub fn shown(fingerprint: &str) -> String {
    let groups: Vec<&str> =
        fingerprint.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

/// Reads a key file, armored or binary.
///
/// # Errors
/// When it does not hold exactly one public key.
pub fn read(file: &[u8]) -> Result<Key, BadKey> {
    let decoded;
    let bytes = match std::str::from_utf8(file).ok().filter(|text| text.contains("-----BEGIN PGP")) {
        Some(text) => {
            decoded = dearmor(text)?;
            decoded.as_slice()
        }
        None => file,
    };
    Ok(Key { fingerprint: primary(bytes)?, armored: armor(bytes) })
}

fn dearmor(text: &str) -> Result<Vec<u8>, BadKey> {
    if text.contains("-----BEGIN PGP PRIVATE KEY") {
        return Err(BadKey::Secret);
    }
    let blocks = text.matches(BEGIN).count();
    if blocks > 1 {
        return Err(BadKey::Several(blocks));
    }
    let (_, after) = text.split_once(BEGIN).ok_or(BadKey::NoKey)?;
    let (inside, _) = after.split_once(END).ok_or(BadKey::Armor)?;
    // Headers such as `Version: …` end at an empty line; a checksum begins with `=`.
    let lines = inside.lines().map(str::trim).skip(1).skip_while(|line| line.contains(": ") || line.ends_with(':'));
    let body: String = lines.take_while(|line| !line.starts_with('=')).collect();
    STANDARD.decode(body).map_err(|_| BadKey::Armor)
}

fn armor(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut text = format!("{BEGIN}\n\n");
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    let sum = crc24(bytes).to_be_bytes();
    text.push_str(&format!("={}\n{END}\n", STANDARD.encode(&sum[1..])));
    text
}

/// RFC 4880 §6.1.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc: u32 = 0x00b7_04ce;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc & 0x00ff_ffff
}

/// The fingerprint of the one primary key.
fn primary(mut rest: &[u8]) -> Result<String, BadKey> {
    let mut found = None;
    let mut count = 0;
    while !rest.is_empty() {
        let (tag, body, after) = packet(rest, count == 0)?;
        match tag {
            PUBLIC_KEY => {
                count += 1;
                found = Some(body);
            }
            SECRET_KEY | SECRET_SUBKEY => return Err(BadKey::Secret),
            _ if count == 0 => return Err(BadKey::NoKey),
            part if PARTS.contains(&part) => {}
            _ => return Err(BadKey::Damaged),
        }
        rest = after;
    }
    match (found, count) {
        (Some(body), 1) => match body.first() {
            Some(4) => Ok(hash(body)),
            Some(version) => Err(BadKey::Version(*version)),
            None => Err(BadKey::Damaged),
        },
        (None, _) => Err(BadKey::NoKey),
        (Some(_), count) => Err(BadKey::Several(count)),
    }
}

/// One packet: its tag, its body, and what follows it. Partial and indeterminate lengths are for data, not for keys.
fn packet(bytes: &[u8], first: bool) -> Result<(u8, &[u8], &[u8]), BadKey> {
    let cut = if first { BadKey::NoKey } else { BadKey::Damaged };
    let (head, rest) = bytes.split_first().ok_or(BadKey::Damaged)?;
    if head & 0x80 == 0 {
        return Err(cut);
    }
    let number = |count: usize| -> Option<usize> {
        Some(rest.get(..count)?.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    };
    let (tag, length, skip) = if head & 0x40 == 0 {
        let width = match head & 3 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return Err(cut),
        };
        ((head >> 2) & 0x0f, number(width), width)
    } else {
        match rest.first() {
            Some(one @ 0..=191) => (head & 0x3f, Some(usize::from(*one)), 1),
            Some(192..=223) => (head & 0x3f, number(2).map(|both| both - (192 << 8) + 192), 2),
            Some(255) => (head & 0x3f, number(5).map(|all| all & 0xffff_ffff), 5),
            _ => return Err(cut),
        }
    };
    let length = length.ok_or(BadKey::Damaged)?;
    let end = skip.checked_add(length).ok_or(BadKey::Damaged)?;
    match (rest.get(skip..end), rest.get(end..)) {
        (Some(body), Some(after)) => Ok((tag, body, after)),
        _ if first && tag == SIGNATURE => Err(BadKey::NoKey),
        _ => Err(BadKey::Damaged),
    }
}

/// RFC 4880 §12.2: SHA-1 of 0x99, the length in two bytes, and the packet. SHA-1 is what the format has; rprov compares the
/// whole of it with what the user wrote down.
fn hash(body: &[u8]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    context.update(&[0x99]);
    context.update(&length.to_be_bytes());
    context.update(body);
    context.finish().as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by GnuPG; the fingerprint is what it prints.
    const ARMORED: &str = include_str!("../tests/data/openpgp/key.asc");
    const OTHER: &str = include_str!("../tests/data/openpgp/other.asc");
    const PRINT: &str = include_str!("../tests/data/openpgp/fingerprint");

    #[test]
    fn a_key_has_the_fingerprint_that_gnupg_prints() {
        let key = read(ARMORED.as_bytes()).unwrap();
        assert_eq!(key.fingerprint, PRINT.trim());
        assert_eq!(key.armored, ARMORED);
        assert_ne!(read(OTHER.as_bytes()).unwrap().fingerprint, key.fingerprint);
    }

    #[test]
    fn a_binary_key_is_armored_as_gnupg_does() {
        let binary = dearmor(ARMORED).unwrap();
        let key = read(&binary).unwrap();
        assert_eq!(key.fingerprint, PRINT.trim());
        assert_eq!(key.armored, ARMORED);
    }

    #[test]
    fn a_second_key_is_never_trusted_unseen() {
        let mut both = dearmor(ARMORED).unwrap();
        both.extend(dearmor(OTHER).unwrap());
        assert_eq!(read(&both), Err(BadKey::Several(2)));
        assert_eq!(read(armor(&both).as_bytes()), Err(BadKey::Several(2)));
        assert_eq!(read(format!("{ARMORED}{OTHER}").as_bytes()), Err(BadKey::Several(2)));
    }

    /// apt's own reader takes the first block, whatever its name is; others take all of them.
    #[test]
    fn a_key_in_a_block_of_another_name_does_not_reach_the_host() {
        let other = OTHER.replace("PUBLIC KEY BLOCK", "MESSAGE");
        for text in [format!("{other}{ARMORED}"), format!("{ARMORED}{other}"), format!("{OTHER} \n{other}")] {
            let key = read(text.as_bytes()).unwrap();
            assert_eq!(read(key.armored.as_bytes()).unwrap().fingerprint, key.fingerprint);
            assert_eq!(key.armored.matches("-----BEGIN").count(), 1);
        }
        assert_eq!(read(format!("{other}{ARMORED}").as_bytes()).unwrap().armored, ARMORED);
        // apt's reader begins behind the first empty line, which here is in the midst of it.
        let base64 = |text: &str| text.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("\n");
        let two = format!("{BEGIN}{}\n\n{}\n{END}\n", base64(ARMORED).trim_end(), base64(OTHER).trim());
        assert_eq!(read(two.as_bytes()).unwrap().armored, ARMORED);
        let mut compressed = dearmor(ARMORED).unwrap();
        compressed.extend([0xc8, 1, 0]);
        assert_eq!(read(&compressed), Err(BadKey::Damaged));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(read(b""), Err(BadKey::NoKey));
        assert_eq!(read(b"<html><title>Sign in</title>"), Err(BadKey::NoKey));
        assert_eq!(read(b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n"), Err(BadKey::Secret));
        assert_eq!(read(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ"), Err(BadKey::Armor));
        let binary = dearmor(ARMORED).unwrap();
        for cut in 1..binary.len() {
            // Cut between two packets it is a key still.
            if let Ok(key) = read(&binary[..cut]) {
                assert_eq!(key.fingerprint, PRINT.trim());
            }
        }
        assert_eq!(read(&binary[..100]), Err(BadKey::Damaged));
    }

    #[test]
    fn fingerprints_are_read_as_they_are_written() {
        let plain = "F6403F6544A38863DAA0B6E03F01618A51312F3F";
        assert_eq!(fingerprint("F640 3F65 44A3 8863 DAA0  B6E0 3F01 618A 5131 2F3F").as_deref(), Some(plain));
        assert_eq!(fingerprint(&plain.to_lowercase()).as_deref(), Some(plain));
        assert_eq!(fingerprint("3F01618A51312F3F"), None, "a short id names no key");
        assert_eq!(shown(plain), "F640 3F65 44A3 8863 DAA0 B6E0 3F01 618A 5131 2F3F");
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
