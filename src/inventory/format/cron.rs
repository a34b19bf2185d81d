//! Cron expressions as the cron of Debian reads them in /etc/cron.d. Pure.

use jiff::Span;
use jiff::civil::{Date, DateTime};

use super::{Bad, bad};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The longest each month can be.
const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of the month", min: 1, max: 31, names: &[] },
    Field { name: "month", min: 1, max: 12, names: &MONTHS },
    Field { name: "day of the week", min: 0, max: 7, names: &DAYS },
];

/// Checks the five fields and that the expression ever comes due.
pub(super) fn check(text: &str) -> Result<(), Bad> {
    let parts: Vec<&str> = text.split([' ', '\t']).filter(|part| !part.is_empty()).collect();
    if text.starts_with('@') {
        let help = match text {
            "@hourly" => "write \"0 * * * *\"",
            "@daily" | "@midnight" => "write \"0 0 * * *\"",
            "@weekly" => "write \"0 0 * * 0\"",
            "@monthly" => "write \"0 0 1 * *\"",
            _ => "write minute, hour, day of the month, month, day of the week, such as \"0 4 * * *\"",
        };
        return bad("is not a cron expression of five fields", help);
    }
    if parts.len() != 5 || text.contains(['\n', '\r']) {
        let help = "minute, hour, day of the month, month, day of the week, such as \"0 4 * * *\"";
        return bad(format!("is not a cron expression: it needs five fields, and has {}", parts.len()), help);
    }
    let mut days = 0;
    let mut months = 0;
    for (index, (part, field)) in parts.iter().zip(&FIELDS).enumerate() {
        let set = field.parse(part)?;
        match index {
            2 => days = set,
            3 => months = set,
            _ => {}
        }
    }
    // With both day fields restricted either suffices; with only the day of the month, some month must have it.
    let comes_due = parts[4] != "*"
        || LENGTHS
            .iter()
            .zip(1..)
            .any(|(length, month)| months & (1u64 << month) != 0 && (1..=*length).any(|day| days & (1u64 << day) != 0));
    if comes_due { Ok(()) } else { bad("never comes due", "no month in it has that day") }
}

/// The first moment after this one at which cron starts an entry, in the host's local time; `None`: not within eight years,
/// or this is no cron expression. As Debian's cron has it, with both day fields restricted either suffices.
pub(crate) fn next(expression: &str, after: DateTime) -> Option<DateTime> {
    let parts: Vec<&str> = expression.split_whitespace().collect();
    if parts.len() != 5 {
        return None;
    }
    let mut sets = [0; 5];
    for ((set, part), field) in sets.iter_mut().zip(&parts).zip(&FIELDS) {
        *set = field.parse(part).ok()?;
    }
    let [minutes, hours, days, months, weekdays] = sets;
    let has = |set: u64, value: i8| u32::try_from(value).is_ok_and(|value| set & (1 << value) != 0);
    let either = !parts[2].starts_with('*') && !parts[4].starts_with('*');
    let comes_due = |date: Date| {
        let weekday = date.weekday().to_sunday_zero_offset();
        let day = has(days, date.day());
        let weekday = has(weekdays, weekday) || (weekday == 0 && has(weekdays, 7));
        has(months, date.month()) && if either { day || weekday } else { day && weekday }
    };
    let now = (after.hour(), after.minute());
    for (number, date) in after.date().series(Span::new().days(1)).take(8 * 366).enumerate() {
        if !comes_due(date) {
            continue;
        }
        for hour in (0..24).filter(|hour| has(hours, *hour)) {
            let mut minute = (0..60).filter(|minute| has(minutes, *minute));
            if let Some(minute) = minute.find(|minute| number > 0 || (hour, *minute) > now) {
                return Some(date.at(hour, minute, 0, 0));
            }
        }
    }
    None
}

impl Field {
    /// The values as bits.
    fn parse(&self, text: &str) -> Result<u64, Bad> {
        let mut set = 0;
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (item, None),
            };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (self.min, self.max),
                Some((first, last)) => (self.value(first)?, self.value(last)?),
                None if step.is_some() => {
                    return self.no(format!("`{item}` gives a step to a single value"));
                }
                None => (self.value(range)?, self.value(range)?),
            };
            if first > last {
                return self.no(format!("`{range}` runs backwards"));
            }
            let step = match step.map(str::parse::<u32>) {
                None => 1,
                Some(Ok(step)) if step >= 1 && step <= self.max - self.min => step,
                Some(_) => return self.no(format!("the step of `{item}` is out of range")),
            };
            let mut value = first;
            while value <= last {
                set |= 1u64 << value;
                value += step;
            }
        }
        Ok(set)
    }

    fn value(&self, text: &str) -> Result<u32, Bad> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.names.iter().position(|name| *name == lower) {
            return Ok(u32::try_from(at).unwrap_or(0) + self.min);
        }
        match text.parse::<u32>() {
            Ok(value) if (self.min..=self.max).contains(&value) && text.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(value)
            }
            Ok(value) => self.no(format!("{value} is out of range")),
            Err(_) => self.no(format!("`{text}` is not a value")),
        }
    }

    fn no<T>(&self, why: String) -> Result<T, Bad> {
        let help = format!("the {} is {} to {}, `*`, or a list, range or step of these", self.name, self.min, self.max);
        bad(format!("is not a cron expression: {why} (the {})", self.name), &help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(expression: &str, time: &str) -> Option<String> {
        next(expression, time.parse().unwrap()).map(|time| time.to_string())
    }

    #[test]
    fn the_next_time() {
        // A Thursday.
        let now = "2026-11-26T07:30:20";
        for (expression, expected) in [
            ("37 4 * * *", "2026-11-27T04:37:00"),
            ("31 7 * * *", "2026-11-26T07:31:00"),
            ("30 7 * * *", "2026-11-27T07:30:00"),
            ("*/15 * * * *", "2026-11-26T07:45:00"),
            ("0 4 * * sun", "2026-11-29T04:00:00"),
            ("0 4 * * 7", "2026-11-29T04:00:00"),
            ("0 4 1 * *", "2026-12-01T04:00:00"),
            ("0 4 1 * mon", "2026-11-30T04:00:00"),
            ("0 4 */2 * mon", "2026-12-07T04:00:00"),
            ("0 4 29 2 *", "2028-02-29T04:00:00"),
            ("59 23 31 12 *", "2026-12-31T23:59:00"),
        ] {
            assert_eq!(after(expression, now).as_deref(), Some(expected), "{expression}");
        }
        for never in ["0 4 31 2 *", "", "0 4 * *", "@daily", "0 4 * * x"] {
            assert_eq!(after(never, now), None, "{never}");
        }
    }
}
