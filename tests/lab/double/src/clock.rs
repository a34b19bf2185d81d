//! Time as GitLab prints it (UTC, milliseconds, `Z`). Nothing here reads anything but the system clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds after which a contacted runner no longer counts as online.
pub(crate) const ONLINE: i64 = 2 * 3600;
/// Seconds after which a silent runner counts as stale.
pub(crate) const STALE: i64 = 7 * 24 * 3600;

/// Seconds for which a contact is not written down again.
pub(crate) const CONTACT: i64 = 40 * 60;

/// Milliseconds since the epoch.
fn millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// Seconds since the epoch.
pub(crate) fn seconds() -> i64 {
    millis() / 1000
}

/// The present moment.
pub(crate) fn now() -> String {
    format(millis())
}

/// The moment `seconds` from now.
pub(crate) fn after(seconds: u64) -> String {
    format(millis().saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000)))
}

/// Formats milliseconds since the epoch.
fn format(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Civil date from a day count, with the year starting in March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (s, milli) = (rest / 1000, rest % 1000);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{milli:03}Z", s / 3600, s / 60 % 60, s % 60)
}

/// Seconds since the epoch of a moment written as above (fractions optional).
pub(crate) fn parse(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Some((era * 146_097 + doe - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn known_moments() {
        assert_eq!(format(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        for ms in [0, 951_782_400_000, 1_709_210_096_000, 4_102_444_799_000] {
            assert_eq!(parse(&format(ms)), Some(ms / 1000));
        }
        assert_eq!(parse("never"), None);
    }
}
