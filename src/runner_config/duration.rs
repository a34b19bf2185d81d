//! Durations as Go reads and compares them. Pure.

/// Nanoseconds of a Go duration such as `1h30m`, `1.5s`, `-2us`, `0`; `None` if Go would refuse the text.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let (mut total, mut rest) = (0_u128, unsigned);
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let unit = unit(&after[..end])?;
        // More than 18 digits of a fraction are below a nanosecond in every unit.
        let fraction = &fraction[..fraction.len().min(18)];
        let part = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok().map(u128::from) };
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        total += part(whole)? * unit + part(fraction)? * unit / scale;
        rest = &after[end..];
    }
    let total = i128::try_from(total).ok()?;
    i64::try_from(if negative { -total } else { total }).ok()
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit(name: &str) -> Option<u128> {
    Some(match name {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        let minutes = |n: i64| Some(n * 60_000_000_000);
        assert_eq!(parse("5m"), minutes(5));
        assert_eq!(parse("5m0s"), minutes(5));
        assert_eq!(parse("1h30m"), minutes(90));
        assert_eq!(parse("1.5h"), minutes(90));
        assert_eq!(parse(".5m"), Some(30_000_000_000));
        assert_eq!(parse("-1.s"), Some(-1_000_000_000));
        assert_eq!(parse("+1µs1ns"), Some(1_001));
        assert_eq!(parse("0.9999999999999999999999s"), Some(999_999_999));
        assert_eq!(parse("0"), Some(0));
        for text in ["", "-", "5", "5 m", "m", ".s", "5d", "1e3s", "9223372036855s", "99999999999999999999h", "5m "] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
