//! What is said of many hosts, reported once: texts that are the same but for a host's own name, number and addresses, and the
//! names of those that are meant. Pure.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use crate::ui::style::sanitize;

/// So many hosts of which the same is said are reported once; fewer save little.
pub const FOLDED: usize = 3;
/// So many of them are named.
const NAMES: usize = 3;
/// Stands for a host's own name.
pub const NAME: &str = "HOST";
/// Stands for an address.
const ADDRESS: &str = "ADDRESS";

/// Says what the words stand for.
pub const STAND_FOR: &str = "HOST and ADDRESS stand for each one's own (-v shows them)";

/// A text without what is a host's own: its name, and addresses.
#[must_use]
pub fn mask(text: &str, host: &str) -> String {
    let named = replace_name(text, host);
    let mut out = String::with_capacity(named.len());
    for word in named.split_inclusive(char::is_whitespace) {
        let (before, address, after) = trimmed(word);
        let is_address = address.parse::<SocketAddr>().is_ok() || address.parse::<IpAddr>().is_ok();
        if is_address {
            out.extend([before, ADDRESS, after]);
        } else {
            out.push_str(word);
        }
    }
    out
}

/// The text with `#12` as `#…`.
#[must_use]
pub fn mask_id(text: &str, id: u64) -> String {
    replace_whole(text, &format!("#{id}"), "#…")
}

/// The text with a host's name replaced where it stands for itself.
#[must_use]
pub fn replace_name<'a>(text: &'a str, host: &str) -> Cow<'a, str> {
    if host.is_empty() || !text.contains(host) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(replace_whole(text, host, NAME))
}

fn replace_whole(text: &str, from: &str, to: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices(from) {
        let before = text[..at].chars().next_back();
        let mut after = text[at + from.len()..].chars();
        let next = after.next();
        // A name that goes on behind a dot is another one; a dot at the end of a sentence is none of its.
        let goes_on = next.is_some_and(is_part) || (next == Some('.') && after.next().is_some_and(is_part));
        let begins_before = before.is_some_and(|c| is_part(c) || c == '.');
        if at >= done && !goes_on && !begins_before {
            out.push_str(&text[done..at]);
            out.push_str(to);
            done = at + from.len();
        }
    }
    out + &text[done..]
}

/// A word without the signs around it.
fn trimmed(word: &str) -> (&str, &str, &str) {
    let start = word.len() - word.trim_start_matches(['(', '`', '"', '\'']).len();
    let inner = word[start..].trim_end_matches(|c: char| c.is_whitespace() || "),:;.`\"'".contains(c));
    (&word[..start], inner, &word[start + inner.len()..])
}

/// Some of the names, and how many more there are.
#[must_use]
pub fn names(hosts: &[&str], all: bool) -> String {
    let shown = if all || hosts.len() <= NAMES + 1 { hosts.len() } else { NAMES };
    let names: Vec<_> = hosts[..shown].iter().map(|host| sanitize(host)).collect();
    match hosts.len() - shown {
        0 => names.join(", "),
        rest => format!("{} and {rest} more hosts", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_replaced_where_it_is_one() {
        let masked = |text: &str| mask(text, "ci-1.example.com");
        assert_eq!(masked("\"ci-1.example.com docker\" at ci-1.example.com."), "\"HOST docker\" at HOST.");
        for other in ["ci-1.example.com.au", "x.ci-1.example.com", "ci-1.example.community", "ci-11.example.com"] {
            assert_eq!(masked(other), other);
        }
        assert_eq!(mask("run the runner", "run"), "HOST the runner");
        assert_eq!(mask("", ""), "");
        assert_eq!(mask_id("record #1 docker, #12, (#1)", 1), "record #… docker, #12, (#…)");
    }

    #[test]
    fn addresses_are_replaced() {
        let masked = |text: &str| mask(text, "ci.example.com");
        assert_eq!(
            masked("cannot connect to 127.0.0.1:2201: Connection refused"),
            "cannot connect to ADDRESS: Connection refused"
        );
        assert_eq!(masked("from (2001:db8::1), to [2001:db8::1]:22."), "from (ADDRESS), to ADDRESS.");
        assert_eq!(masked("version 1.2.3 at 12:30, 10.0.0.0/8"), "version 1.2.3 at 12:30, 10.0.0.0/8");
    }

    #[test]
    fn names_are_counted() {
        assert_eq!(names(&["a", "b", "c", "d"], false), "a, b, c, d");
        assert_eq!(names(&["a", "b", "c", "d", "e"], false), "a, b, c and 2 more hosts");
        assert_eq!(names(&["a", "b", "c", "d", "e"], true), "a, b, c, d, e");
    }
}
