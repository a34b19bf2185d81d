//! Forms of limits of a container, and their values. Pure.

use super::{Bad, all, bad};

/// Docker starts no container with less memory.
pub(in crate::inventory) const LEAST_MEMORY: u64 = 6 << 20;
/// The smallest /dev/shm that is one.
pub(in crate::inventory) const LEAST_SHM: u64 = 1 << 20;

const BYTES: &str = "a number with a unit: 512m, 2g";

/// `512m`, `2g`, `1073741824`, at least so many.
pub(in crate::inventory) fn bytes(text: &str, least: u64) -> Result<u64, Bad> {
    let lower = text.to_ascii_lowercase();
    let short = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (number, shift) = match short.char_indices().last() {
        Some((at, 'k')) => (&short[..at], 10),
        Some((at, 'm')) => (&short[..at], 20),
        Some((at, 'g')) => (&short[..at], 30),
        Some((at, 't')) => (&short[..at], 40),
        _ => (short, 0),
    };
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return bad("is not an amount of memory", BYTES);
    }
    let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    match value {
        Some(value) if value < least => {
            bad("is less than Docker takes", &format!("at least {}m", least.div_ceil(1 << 20)))
        }
        Some(value) if value <= 1 << 50 => Ok(value),
        _ => bad("is out of range", BYTES),
    }
}

/// The same, or -1.
pub(in crate::inventory) fn swap(text: &str) -> Result<i64, Bad> {
    if text == "-1" {
        return Ok(-1);
    }
    bytes(text, LEAST_MEMORY).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// `2`, `1.5`, `.25`, in billionths.
pub(in crate::inventory) fn nano_cpus(text: &str) -> Result<u64, Bad> {
    let help = "a number of processors, such as 2 or 1.5";
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.is_empty() || fraction.len() > 9 || whole.len() > 5 {
        return bad("is not a number of processors", help);
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(0) };
    let fraction: u64 = format!("{fraction:0<9}").parse().unwrap_or(0);
    match whole * 1_000_000_000 + fraction {
        // The kernel's smallest share.
        nano if nano < 10_000_000 => bad("is too little to run with", "at least 0.01"),
        nano => Ok(nano),
    }
}

/// `0-3,6`
pub(super) fn cpuset(text: &str) -> Result<(), Bad> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
    };
    if text.split(',').all(range) { Ok(()) } else { bad("is no list of processors", "such as 0-3 or 0,2,4-7") }
}

/// Names of the kernel's, as Docker spells them.
pub(in crate::inventory) const ULIMITS: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One of [`ULIMITS`].
pub(super) fn ulimit_name(text: &str) -> Result<(), Bad> {
    if ULIMITS.contains(&text) {
        return Ok(());
    }
    all(text, "", "is not a limit", "")?;
    bad("is no limit that Docker knows", &ULIMITS.join(", "))
}

/// Soft and hard limit; -1 is none.
pub(in crate::inventory) fn ulimit(text: &str) -> Result<(i64, i64), Bad> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    match (soft.parse::<i64>(), hard.parse::<i64>()) {
        (Ok(soft), Ok(hard)) if soft < -1 || hard < -1 => bad("is out of range", "-1 is no limit"),
        (Ok(soft), Ok(hard)) if hard != -1 && (soft > hard || soft == -1) => {
            bad("has a soft limit above the hard one", "SOFT:HARD, such as 1024:65536")
        }
        (Ok(soft), Ok(hard)) => Ok((soft, hard)),
        _ => bad("is not a limit", "a number, or SOFT:HARD, such as 1024:65536"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_values() {
        assert_eq!(bytes("512m", 1), Ok(512 << 20));
        assert_eq!(bytes("2GiB", 1), Ok(2 << 30));
        assert_eq!(bytes("1073741824", 1), Ok(1 << 30));
        for wrong in ["", "m", "1.5g", "-1", "5m", "99999999t", "1x"] {
            assert!(bytes(wrong, LEAST_MEMORY).is_err(), "{wrong}");
        }
        assert_eq!((swap("-1"), swap("1g")), (Ok(-1), Ok(1 << 30)));
        assert_eq!(nano_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!((nano_cpus(".25"), nano_cpus("2")), (Ok(250_000_000), Ok(2_000_000_000)));
        assert!(["", ".", "x", "-1", "0", "1.", "1e3"].iter().all(|wrong| nano_cpus(wrong).is_err()));
        assert!(cpuset("0-3,6").is_ok() && cpuset("3-0").is_err() && cpuset("0,").is_err());
        assert_eq!((ulimit("65536"), ulimit("-1")), (Ok((65536, 65536)), Ok((-1, -1))));
        assert_eq!((ulimit("1024:2048"), ulimit("1024:-1")), (Ok((1024, 2048)), Ok((1024, -1))));
        assert!(ulimit("2:1").is_err() && ulimit("-1:5").is_err() && ulimit("a").is_err());
        assert!(ulimit_name("nofile").is_ok() && ulimit_name("files").is_err());
    }
}
