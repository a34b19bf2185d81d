//! Secrets in formats of their own, where no name stands before the value: lists of users, ACLs, keys as JSON, tables, blocks of
//! Terraform. No I/O.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::is_value;
use crate::secret::looks::names::speaks;

// `userlist.txt` of PgBouncer: "NAME" "VALUE"
pattern!(USERLIST, r#"(?m)^[ \t]*"[^"\s]+"[ \t]+"(?P<value>[^"\s]{4,})"[ \t]*(?:"[^"\n]*"[ \t]*)?\r?$"#);
// HAProxy: stats auth NAME:VALUE, user NAME insecure-password VALUE
pattern!(HAPROXY, r"(?i)\b(?:stats[ \t]+auth[ \t]+[^\s:]+:|insecure-password[ \t]+)(?P<value>\S+)");
// Tor: what protects its control port, and keys of clients of onion services.
pattern!(TOR, r"(?i)(?:\bHashedControlPassword[ \t]+|\bdescriptor:x25519:)(?P<value>[^\s#]+)");
// Dovecot, LDAP: a scheme that keeps the password as it is.
pattern!(SCHEME, r"(?i)\{(?:plain|clear|cleartext|cram-md5|digest-md5)(?:\.\w+)?\}(?P<value>[^\s:,]+)");
// Samba's smbpasswd: NAME:NUMBER:LM:NT:[FLAGS]:
pattern!(SMBPASSWD, r"(?im)^[^:\s]+:\d+:(?P<value>[0-9A-FX]{32}:[0-9A-F]{32}):\[");
// Asterisk: register => NAME:VALUE@host
pattern!(REGISTER, r"(?i)\bregister[ \t]*=>?[ \t]*[^\s:@]+:(?P<value>[^\s:@/]+)");
// strongSwan's ipsec.secrets: ADDRESS : PSK "VALUE", NAME : EAP "VALUE"
pattern!(IPSEC, r##"(?im)^[^\n"#]*:[ \t]*(?:PSK|EAP|XAUTH|NTLM|PIN)[ \t]+(?P<value>"[^"\n]+"|\S+)"##);
// wpa_supplicant, hostapd, NetworkManager
pattern!(WEP, r"(?im)^[ \t]*wep[_-]key\d[ \t]*=[ \t]*(?P<value>\S+)");
// The private members of a key as JSON (JWK).
pattern!(JWK, r#"\\*"(?:d|k|p|q|dp|dq|qi)\\*"\s*:\s*\\*"(?P<value>[A-Za-z0-9_=-]{4,})\\*""#);
// user NAME on >VALUE ~* +@all, ACL SETUSER NAME >VALUE
pattern!(ACL, r"(?im)^[^\n#]*?\b(?:user|setuser)[ \t]+\S+[ \t]+(?P<rules>[^\n]*)$");
// variable "NAME" {, output "NAME" {
pattern!(BLOCK, r#"(?m)^[ \t]*(?:variable|output|locals)\b[ \t]*(?:"(?P<name>[^"\n]*)")?[ \t]*\{"#);
pattern!(SENSITIVE, r"(?m)^[ \t]*sensitive[ \t]*=[ \t]*true\b");
pattern!(ARGUMENT, r"^[ \t]*(?P<name>[a-z_]+)[ \t]*(?:=|\{)");
pattern!(STRING, r#""(?P<value>(?:[^"\\\n]|\\.)*)""#);

/// Everything of these kinds in a text.
pub(super) fn find(text: &str, push: &mut dyn FnMut(Range<usize>)) {
    let alone = [&USERLIST, &HAPROXY, &TOR, &SCHEME, &SMBPASSWD, &REGISTER, &IPSEC, &WEP];
    let keys = text.contains("\"kty").then_some(&JWK).or_else(|| text.contains("kty\\\"").then_some(&JWK));
    for pattern in alone.into_iter().chain(keys) {
        for found in pattern.iter_values(text) {
            push(found);
        }
    }
    acl(text, push);
    blocks(text, push);
    tables(text, push);
}

/// What a pattern finds as `value`.
trait Values {
    fn iter_values(&self, text: &str) -> Vec<Range<usize>>;
}

impl Values for LazyLock<Option<Regex>> {
    fn iter_values(&self, text: &str) -> Vec<Range<usize>> {
        let Some(pattern) = self.as_ref() else { return std::iter::once(0..text.len()).collect() };
        let values = pattern.captures_iter(text).filter_map(|captures| captures.name("value"));
        values.filter(|value| is_value(value.as_str())).map(|value| value.range()).collect()
    }
}

/// Rules of Redis for a user: `>` adds a password, `#` the digest of one, `<` and `!` take them away.
fn acl(text: &str, push: &mut dyn FnMut(Range<usize>)) {
    let Some(pattern) = ACL.as_ref() else { return };
    for rules in pattern.captures_iter(text).filter_map(|captures| captures.name("rules")) {
        let words = || rules.as_str().split([' ', '\t', '\r', '"', '\'']).filter(|word| !word.is_empty());
        let is_rule = |word: &str| {
            ["on", "off", "resetpass", "reset", "allkeys", "allcommands", "nocommands"].contains(&word)
                || ["~", "+@", "-@", "&", "%R"].iter().any(|start| word.starts_with(start))
        };
        if !words().any(is_rule) {
            continue;
        }
        for word in words() {
            let value = word.strip_prefix(['>', '<']).filter(|value| is_value(value));
            let digest = || {
                word.strip_prefix(['#', '!'])
                    .filter(|hex| hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit()))
            };
            if let Some(value) = value.or_else(digest) {
                let start = rules.start() + (value.as_ptr() as usize - rules.as_str().as_ptr() as usize);
                push(start..start + value.len());
            }
        }
    }
}

/// Blocks of Terraform whose name, or `sensitive = true`, says that what they hold is secret: the texts of `default` and `value`.
fn blocks(text: &str, push: &mut dyn FnMut(Range<usize>)) {
    let (Some(block), Some(sensitive)) = (BLOCK.as_ref(), SENSITIVE.as_ref()) else { return };
    let (Some(argument), Some(string)) = (ARGUMENT.as_ref(), STRING.as_ref()) else { return };
    for captures in block.captures_iter(text) {
        let Some(head) = captures.get(0) else { continue };
        let indent = head.as_str().len() - head.as_str().trim_start().len();
        let body = &text[head.end()..];
        let lines = || {
            let mut at = 0;
            body.split_inclusive('\n').map(move |line| {
                at += line.len();
                (at - line.len(), line)
            })
        };
        let is_end = |line: &str| line.trim_start().starts_with('}') && line.len() - line.trim_start().len() <= indent;
        // All of it may stand in one line.
        let first = lines().next().map_or("", |(_, line)| line);
        let end = match first.trim_end().ends_with('}') {
            true => first.len(),
            false => lines().find(|(_, line)| is_end(line)).map_or(body.len(), |(at, _)| at),
        };
        let named = captures.name("name").is_some_and(|name| speaks(name.as_str()));
        if !named && !sensitive.is_match(&body[..end]) {
            continue;
        }
        let (mut holds, mut heredoc): (bool, Option<String>) = (false, None);
        for (at, line) in lines().take_while(|(at, _)| *at < end) {
            let base = head.end() + at;
            if let Some(mark) = &heredoc {
                if line.trim() == mark {
                    heredoc = None;
                } else if holds && !line.trim().is_empty() {
                    push(base..base + line.trim_end().len());
                }
                continue;
            }
            if let Some(name) = argument.captures(line).and_then(|captures| captures.name("name")) {
                const ABOUT: [&str; 7] =
                    ["description", "type", "sensitive", "nullable", "ephemeral", "validation", "depends_on"];
                holds = match name.as_str() {
                    "default" | "value" => true,
                    name => holds && !ABOUT.contains(&name),
                };
            }
            if !holds {
                continue;
            }
            let mark = line.split_once("<<").map(|(_, mark)| mark.trim().trim_start_matches('-').to_owned());
            heredoc =
                mark.filter(|mark| !mark.is_empty() && mark.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'));
            for value in string.captures_iter(line).filter_map(|captures| captures.name("value")) {
                if is_value(value.as_str()) && !value.as_str().starts_with("${") {
                    push(base + value.start()..base + value.end());
                }
            }
        }
    }
}

/// Tables with a line of names: `user,password` and lines with as many parts.
fn tables(text: &str, push: &mut dyn FnMut(Range<usize>)) {
    let mut header: Option<(char, usize, Vec<usize>)> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let (at, bare) = (start, line.trim_end_matches(['\n', '\r']));
        start += line.len();
        if let Some((separator, columns, secret)) = &header {
            let parts = divided(bare, *separator);
            if parts.len() == *columns {
                for part in secret.iter().filter_map(|column| parts.get(*column)) {
                    if is_value(&bare[part.clone()]) {
                        push(at + part.start..at + part.end);
                    }
                }
                continue;
            }
        }
        header = [',', ';', '\t'].into_iter().find_map(|separator| heads(bare, separator));
    }
}

/// If a line is one of names that `separator` divides: how many there are, and which are of secrets.
fn heads(line: &str, separator: char) -> Option<(char, usize, Vec<usize>)> {
    // Most lines are none, and are not taken apart. Behind a comma, sentences have a blank.
    if !line.contains(separator) || line.len() > 2000 || line.contains(", ") {
        return None;
    }
    let parts = divided(line, separator);
    let name = |part: &Range<usize>| line[part.clone()].trim_matches(['"', '\'', ' ', '\u{feff}']).to_owned();
    let is_name = |name: &String| {
        name.len() <= 40
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || " _.-".contains(c))
    };
    let names: Vec<String> = parts.iter().map(name).collect();
    let secret: Vec<usize> = (0..names.len()).filter(|at| speaks(&names[*at].replace(' ', "_"))).collect();
    (names.len() > 1 && !secret.is_empty() && names.iter().all(is_name)).then_some((separator, names.len(), secret))
}

/// The parts of a line of a table; quotes keep a separator in one.
fn divided(line: &str, separator: char) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in line.char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if c == separator && !quoted {
            parts.push(start..at);
            start = at + c.len_utf8();
        }
    }
    parts.push(start..line.len());
    parts
}
