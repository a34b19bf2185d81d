//! What looks like a secret in the text of a file: keys, tokens, passwords in the notations of many programs. No I/O.
//!
//! Rather too much than too little, but for what only says where a secret is: a variable, a path, a place in a template.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine as _;
use regex::{Captures, Regex};

use super::names::speaks;

/// A part of a text that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it looks like: `a private key`.
    pub what: &'static str,
    /// Its bytes.
    pub range: Range<usize>,
}

/// Words of which one is in every line that is looked at closely.
const HINTS: [&str; 11] =
    ["pass", "pwd", "pw", "token", "secret", "key", "auth", "credential", "psk", "cookie", "login"];

/// Values that are none.
const NOTHING: [&str; 22] = [
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "none",
    "null",
    "nil",
    "undefined",
    "required",
    "optional",
    "sufficient",
    "requisite",
    "default",
    "prompt",
    "string",
    "str",
    "file",
    "env",
    "redacted",
    "hidden",
];

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| crate::secret::looks::content::compiled($text));
    };
}

/// A pattern, made when it is first needed: all of them together take longer than a host does. Letters and digits of other alphabets all
/// count as letters, since the tables that say which they are would be most of it; so would be those of their large and small forms.
fn compiled(pattern: &str) -> Option<Regex> {
    if pattern.starts_with("(?-u)") {
        return Regex::new(pattern).ok();
    }
    let pattern = pattern.replace(r"\d", "[0-9]");
    let (mut out, mut rest) = (String::new(), pattern.as_str());
    while let Some(at) = rest.find(r"\w") {
        let (before, behind) = (&rest[..at], &rest[at + 2..]);
        // A class, or a class by itself.
        let (before, others, behind) = match (before.strip_suffix('['), behind.split_once(']')) {
            (Some(before), Some((others, behind))) => (before, others, behind),
            _ => (before, "", behind),
        };
        out += &format!(r"{before}(?-i:[0-9A-Za-z_\x{{80}}-\x{{10FFFF}}{others}])");
        rest = behind;
    }
    Regex::new(&(out + rest)).ok()
}

mod formats;
mod known;
mod lines;
mod programs;

// NAME = VALUE, "NAME": "VALUE", NAME: VALUE, export NAME=VALUE.
pattern!(
    ASSIGNED,
    r#"(?i)(?P<name>[a-z_][a-z0-9_.-]*)\\*["']?[\]}]?(?:\s*(?:=>|::?=|[?+]=|[=:])\s*)(?:!![a-z]+\s+|&[\w-]+\s+)?(?P<value>\\"(?:[^"\\]|\\\\\\"|\\\\\\\\|\\\\[^"\\]|\\[^"\\])*|\\{3,}"(?:[^"\\]|\\+[^"\\])*|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"',;&)}\]]+)"#
);
// --NAME VALUE
pattern!(OPTION, r#"(?i)--?(?P<name>[a-z][a-z0-9._-]*)\s+(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'-][^\s"']*)"#);
// <NAME>VALUE</NAME>, <x:NAME TYPE="…"><![CDATA[VALUE]]></x:NAME>, <NAME><VALUE>…
pattern!(
    ELEMENT,
    r"(?i)<(?:[\w.-]+:)?(?P<name>[a-z][\w.-]*)[^>]*>(?:\s*<[a-z][^>]*>)*\s*(?:<!\[CDATA\[)?(?P<value>[^<\]]+)(?:</|\]\])"
);
// <entry key="NAME">VALUE, <name>NAME</name><value>VALUE
pattern!(
    ENTRY,
    r#"(?i)<[^<>]*\b(?:key|name|id)=["'](?P<name>[\w.-]+)["'][^<>]*>(?:\s*<[a-z][^>]*>)*\s*(?:<!\[CDATA\[)?(?P<value>[^<\]]+)(?:</|\]\])"#
);
pattern!(
    NAMED_ELEMENT,
    r"(?i)<(?:name|key|id)>\s*(?P<name>[\w.-]+)\s*</(?:name|key|id)>(?:\s*<[a-z][^>]*>)+\s*(?:<!\[CDATA\[)?(?P<value>[^<\]]+)(?:</|\]\])"
);
// set(NAME "VALUE"), (NAME . "VALUE"), {NAME, <<"VALUE">>}, NAME | default('VALUE'), | NAME | VALUE |
pattern!(
    CALLED,
    r#"(?i)(?:\bset\(\s*(?P<name>[a-z][\w.-]*)\s+|\(\s*(?P<dotted>[a-z][\w.-]*)\s+\.\s+|\{\s*(?P<tuple>[a-z]\w*)\s*,\s*(?:<<)?|\b(?P<piped>[a-z][\w.-]*)\s*\|\s*default\(\s*)(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'(){}]+)"#
);
pattern!(CELL, r"(?i)\|\s*(?P<name>[a-z][\w.-]*)\s*\|\s*(?P<value>[^|\s]+)\s*(?:\||$)");
// neighbor 10.0.0.1 password VALUE, enable password 7 VALUE, user u pass VALUE, rootpw --plaintext VALUE
pattern!(
    TOLD,
    r"(?i)(?:^|\s)(?P<name>[a-z_]+(?:[_./-][a-z_]+)*)\s+(?:(?:\d|--(?:plaintext|iscrypted)|is)\s+)?(?P<value>[^\s=:]\S*)\s*$"
);
pattern!(
    SPACED,
    r"(?i)^\s*(?P<name>(?:[a-z]+[_-])*(?:password|passwd|passphrase|requirepass|masterauth|auth_pass|secret|token|api[_-]?key)|bindpw|rootpw)\s+(?P<value>\S+)\s*$"
);
// [{"name": NAME, "value": VALUE}], <add key=NAME value=VALUE/>
pattern!(
    PAIR,
    r#"(?i)\b(?:name|key|id)\\*["']?\s*[:=]\s*\\*["']?(?P<name>[\w.-]+)\\*["']?\s*,?\s*\\*["']?value\\*["']?\s*[:=]\s*(?P<value>\\+"[^"\\]*|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"',;}\]]+)"#
);
// [{"value": VALUE, …, "name": NAME}]
pattern!(
    REVERSED,
    r#"(?i)\bvalue\\*["']?\s*[:=]\s*(?P<value>\\+"[^"\\]*\\*"?|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"',;}\]]+)\s*,?\s*(?:\\*["']?[\w.-]+\\*["']?\s*[:=]\s*[^,;{}\]]*,\s*)*\\*["']?\b(?:name|key|id)\\*["']?\s*[:=]\s*\\*["']?(?P<name>[\w.-]+)"#
);
// define('NAME', 'VALUE'), ["--NAME", "VALUE"]
pattern!(PASSED, r#"(?i)(?:\(\s*["']|["']--?)(?P<name>[a-z][\w.-]*)["']\s*,\s*(?P<value>"(?:[^"\\]|\\.)*"|'[^']*')"#);
// ENV NAME VALUE
pattern!(
    SET,
    r#"(?i)^\s*(?:env|setenv|setenv\s+-g|(?:fastcgi|uwsgi|scgi)_param|passenger_env_var|proxy_set_header|requestheader\s+set)\s+["']?(?P<name>[a-z][\w.-]*)["']?\s+(?P<value>"[^"]*"|'[^']*'|[^\s;]+)"#
);
pattern!(SQL, r#"(?i)\b(?:password|identified\s+(?:with\s+\S+\s+)?by)\s+(?P<value>'[^']+'|"[^"]+")"#);
pattern!(
    NETRC,
    r#"(?i)(?:\bmachine\s+[^\s"']+|\bdefault|^\s*(?:login|account)\s+\S+)\s+(?:(?:login|account)\s+\S+\s+)*password\s+(?P<value>[^\s"']+)"#
);
pattern!(PGPASS, r"^(?:[^\s:#\\]|\\.)+:(?:\d{1,5}|\*):(?:[^:\s\\]|\\.)*:(?:[^:\s\\]|\\.)+:(?P<value>\S.*?)\s*$");
// What sets a key of a program's configuration: `config set NAME VALUE`, `config NAME VALUE`.
pattern!(
    CONFIG,
    r#"(?i)\b(?:config(?:ure)?|set)\s+(?:(?:set|--?[\w.-]+)\s+)*["']?(?:[^\s"']*[/:])?(?P<name>[a-z_][\w.-]*)["']?\s+(?P<value>"[^"]*"|'[^']*'|[^\s"';]+)"#
);
pattern!(
    HEADER,
    r#"(?i)\b(?:proxy-)?authorization["']?\s*[:=]?\s*["']?(?:basic\s|bearer\s|token\s|digest\s|negotiate\s)\s*(?P<value>[^\s"']{6,})"#
);
pattern!(BARE_HEADER, r#"(?i)\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?(?P<value>[^\s"']{6,})["']?\s*$"#);
pattern!(COOKIE, r#"(?i)\b(?:set-)?cookie["']?\s*:\s*(?P<value>[^\s"']{8,})"#);
pattern!(WIREGUARD, r"(?i)^\s*(?:PrivateKey|PresharedKey)\s*=\s*(?P<value>[A-Za-z0-9+/]{43}=)");
pattern!(URL, r#"(?i)\b[a-z][a-z0-9+.-]*://(?P<user>[^\s/?#"'<>@:]*)(?P<value>:[^\s/?#"'<>]*)?@"#);
// secret "VALUE", as name servers and DHCP have it; Ceph's keys; /etc/ppp/chap-secrets; SNMP; what `chpasswd` and Postfix read.
pattern!(QUOTED, r#"(?i)\b(?:secret|password|passphrase)\s+(?P<value>"[^"\s]{4,}"|'[^'\s]{4,}')"#);
pattern!(CEPH, r"(?i)\bkey\s*=\s*(?P<value>AQ[A-Za-z0-9+/]{20,}={0,2})");
pattern!(
    CHAP,
    r##"^\s*(?:"[^"]+"|[^\s"#]+)\s+(?:"?\*"?|pptpd|x?l2tpd)\s+(?P<value>"[^"]+"|[^\s"]+)\s+(?:"?\*"?|\d+\.\d+\.\d+\.\d+|-)\s*$"##
);
pattern!(SNMP, r"(?i)^\s*(?:r[ow]community6?\s+|com2sec6?\s+(?:-Cn\s+\S+\s+)?\S+\s+\S+\s+)(?P<value>\S+)");
pattern!(ACCOUNT, r"^(?P<name>[a-z_][a-z0-9_-]*):(?P<value>[^\s:/,]{6,})\s*$");
pattern!(RELAY, r"^\s*(?:\[[\w.:-]+\](?::\w+)?\s+[^\s:]+|[\w.-]+(?::\d+)?\s+[^\s:@]+@[^\s:@]+):(?P<value>\S+)\s*$");
// Addresses that are good for whoever has them.
pattern!(SIGNED, r"(?i)[?&](?:sig|x-(?:amz|goog)-signature|signature)=(?P<value>[A-Za-z0-9%+/=_-]{16,})");
// Tokens of others by how they begin, keys in one word, hashes of passwords.
pattern!(
    KNOWN,
    concat!(
        r"(?-u)\b(?:AKIA|ASIA)[A-Z0-9]{16}(?:\b:[A-Za-z0-9/+]{30,}|\b)|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bxox[abeprs]-[A-Za-z0-9-]{10,}",
        r"|\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[\w-]{40,}|\bdckr_pat_[\w-]{20,}|\bhv[sb]\.[\w-]{20,}",
        r"|\bdop_v1_[a-f0-9]{40,}|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bsk-[\w-]{20,}|\btskey-[\w-]{16,}",
        r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}|\beyJ[\w-]{16,}\.[\w-]*(?:\.[\w-]{8,}){2,3}|\bAGE-SECRET-KEY-[A-Z0-9-]{20,}",
        // Addresses that are good for whoever knows them.
        r"|\bhooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]{16,}|\bdiscord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/[\w-]{16,}",
        r"|\b(?:hc-ping\.com|hchk\.io|healthchecks\.io/ping)/[\w-]{20,}(?:/[\w-]+)?|\bapi\.telegram\.org/bot\d+:[\w-]{20,}",
        r"|\bGOCSPX-[\w-]{20,}|\bgl(?:sa|c)_[\w+/=]{20,}|\bshp(?:at|ca|pa|ss)_[A-Za-z0-9]{20,}|\bhf_[A-Za-z0-9]{20,}",
        r"|\b\d{6,12}:AA[\w-]{20,}|\{(?:S?SHA\d*|S?MD5|CRYPT|PBKDF2[\w-]*)\}[A-Za-z0-9+/=$.]{8,}",
        r"|\bwebhook\.office\.com/webhookb2/[\w@-]{16,}[\w/@-]*",
        r"|\$(?:1|2[abxy]|5|6|7|y|gy|apr1|argon2id?|scrypt|yescrypt)\$[./A-Za-z0-9$,=+-]{16,}"
    )
);

const NAMED: &str = "a password, a key or a token";

/// Everything in a text that looks like a secret, in order, apart from each other.
#[must_use]
pub fn find(text: &str) -> Vec<Found> {
    known::find(text, &look)
}

fn look(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> =
        super::tokens(text).into_iter().map(|range| Found { what: "a token of GitLab's", range }).collect();
    found.extend(private_keys(text).into_iter().map(|range| Found { what: "a private key", range }));
    programs::find(text, &mut |range| found.push(Found { what: "a password in a command line", range }));
    formats::find(text, &mut |range| found.push(Found { what: NAMED, range }));
    let mut start = 0;
    let mut before = lines::Before::default();
    for line in text.split_inclusive('\n') {
        for range in before.next(line.trim_end_matches(['\n', '\r']), start) {
            found.push(Found { what: NAMED, range });
        }
        in_line(line.trim_end_matches(['\n', '\r']), &mut |what, range| {
            found.push(Found { what, range: start + range.start..start + range.end });
        });
        start += line.len();
    }
    found.retain(|one| !text[one.range.clone()].trim().is_empty());
    found.sort_by_key(|one| (one.range.start, one.range.end));
    found.dedup_by(|next, last| {
        let joins = next.range.start < last.range.end;
        if joins {
            last.range.end = last.range.end.max(next.range.end);
        }
        joins
    });
    found
}

fn in_line(line: &str, push: &mut dyn FnMut(&'static str, Range<usize>)) {
    let mut every = |pattern: &LazyLock<Option<Regex>>, what: &'static str, fits: &dyn Fn(&Captures<'_>) -> bool| {
        // Without its pattern, all of the line is hidden: a test sees that first.
        let Some(pattern) = pattern.as_ref() else { return push(what, 0..line.len()) };
        let mut at = 0;
        while let Some(captures) = pattern.captures_at(line, at) {
            let end = captures.get(0).map_or(line.len(), |all| all.end());
            let value = captures.name("value").or_else(|| captures.name("user")).or_else(|| captures.get(0));
            let Some(value) = value else { break };
            // What has no value in it is known by how it begins.
            let known = captures.name("value").or_else(|| captures.name("user")).is_none();
            if fits(&captures) && (known || is_value(value.as_str())) {
                push(what, value.range());
                at = end;
            } else {
                // In a value that is none there may be a name and a value.
                at = if value.start() > at { value.start() } else { end.max(at + 1) };
            }
            if at >= line.len() || !line.is_char_boundary(at) {
                break;
            }
        }
    };
    let name = |captures: &Captures<'_>| {
        let names = ["name", "dotted", "tuple", "piped"];
        names.into_iter().filter_map(|name| captures.name(name)).any(|name| speaks(name.as_str()))
    };
    let any = |_: &Captures<'_>| true;
    if line.contains("://") {
        // A name alone is a token if nobody would call himself so.
        let fits = |captures: &Captures<'_>| {
            let user = captures.name("user").map_or("", |user| user.as_str());
            let value = captures.name("value").map(|value| value.as_str().trim_start_matches(':'));
            value.map_or(user.len() >= 16 && is_value(user), |value| !value.is_empty() && !is_place(value))
        };
        every(&URL, "a password in a URL", &fits);
    }
    if line.contains(['-', '_', '.', '$', '/', 'A', '{']) {
        every(&KNOWN, "a token, a key or a password's hash", &any);
    }
    let lower = line.to_ascii_lowercase();
    // A pattern is tried where a word or a sign of its own is. Letters of other alphabets may be other forms of those of a word.
    let other = !line.is_ascii();
    let word = |words: &[&str]| other || words.iter().any(|word| lower.contains(word));
    let quote = line.contains(['"', '\'']);
    if HINTS.iter().any(|hint| lower.contains(hint)) {
        let tried = [
            (&ASSIGNED, line.contains(['=', ':'])),
            (&ELEMENT, line.contains('<')),
            (&OPTION, line.contains('-')),
            (&PAIR, word(&["value"])),
            (&REVERSED, word(&["value"])),
            (&PASSED, quote && line.contains(',')),
            (&SET, word(&["env", "_param", "proxy_set_header", "requestheader"])),
            (&CONFIG, word(&["config", "set"])),
            (&CALLED, line.contains(['(', '{', '|'])),
            (&CELL, line.contains('|')),
        ];
        for (pattern, _) in tried.into_iter().filter(|(_, tried)| *tried) {
            every(pattern, NAMED, &name);
        }
        if line.contains('<') {
            every(&ENTRY, NAMED, &name);
            every(&NAMED_ELEMENT, NAMED, &name);
        }
        // Behind a bare word only what nobody would write in a sentence.
        every(&TOLD, NAMED, &|captures: &Captures<'_>| {
            let value = captures.name("value").map_or("", |value| value.as_str().trim_matches(['"', '\'', ';']));
            name(captures) && is_chosen(value)
        });
        every(&SPACED, NAMED, &any);
        let tried = [
            (&QUOTED, NAMED, quote),
            (&CEPH, "a key of Ceph's", word(&["aq"])),
            (&NETRC, "a password of a .netrc", word(&["password"])),
            (&HEADER, "an Authorization header", word(&["authorization"])),
            (&BARE_HEADER, "an Authorization header", word(&["authorization"])),
            (&COOKIE, "a cookie", word(&["cookie"])),
            (&WIREGUARD, "a private key", word(&["privatekey", "presharedkey"])),
            (&SQL, NAMED, quote),
        ];
        for (pattern, what, _) in tried.into_iter().filter(|(_, _, tried)| *tried) {
            every(pattern, what, &any);
        }
    }
    if quote && lower.contains("identified") {
        every(&SQL, NAMED, &any);
    }
    if lower.contains("community") || lower.contains("com2sec") {
        every(&SNMP, "a community of SNMP", &any);
    }
    if lower.contains("sig=") || lower.contains("signature=") {
        every(&SIGNED, "a signed address", &any);
    }
    if line.contains('*') {
        every(&CHAP, "a password of chap-secrets", &any);
    }
    if line.contains(':') && !line.contains("://") {
        every(&ACCOUNT, "a password of an account", &|captures: &Captures<'_>| {
            let of = |name| captures.name(name).map_or("", |found| found.as_str());
            is_password_of(of("name"), of("value"))
        });
        every(&RELAY, "a password for a mail server", &any);
    }
    if line.matches(':').count() >= 4 {
        // The address of a network card or one of IPv6 has colons only between digits.
        every(&PGPASS, "a password of a .pgpass", &|captures: &Captures<'_>| {
            let value = captures.name("value").map_or("", |value| value.as_str());
            !value.contains(':') || !value.chars().all(|c| c.is_ascii_hexdigit() || c == ':')
        });
    }
}

/// Whether what stands behind `name:` on a line of its own is a password rather than a version, a port, a group or a word of YAML's.
fn is_password_of(name: &str, value: &str) -> bool {
    let has = |what: fn(char) -> bool| value.chars().any(what);
    let mixed = has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_lowercase()) && has(|c| c.is_ascii_digit());
    let signs = value.len() >= 8 && has(|c| "!#%^&*?+".contains(c)) && has(char::is_alphabetic);
    mixed || signs || (name == "root" && !value.chars().all(|c| c.is_ascii_lowercase() || "-_*!".contains(c)))
}

/// Whether a word is no word of a sentence: digits among its letters, or capitals among small ones.
fn is_chosen(word: &str) -> bool {
    let has = |what: fn(char) -> bool| word.chars().any(what);
    let inner = word.chars().skip(1).any(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_lowercase());
    word.len() >= 6 && !word.contains('/') && has(char::is_alphabetic) && (has(|c| c.is_ascii_digit()) || inner)
}

/// Whether a value only says where the value is: a variable, a file, a place in a template.
fn is_place(value: &str) -> bool {
    const PLACES: [&str; 15] = [
        "%(",
        "%{",
        "{{",
        "{%",
        "<(",
        "<<",
        "</",
        "<%",
        "vault:",
        "file:",
        "env:",
        "secret:",
        "(hidden",
        "(secret",
        "(not shown",
    ];
    let word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || "._/-: ".contains(c));
    let rest = value.get(1..).unwrap_or_default();
    PLACES.iter().any(|start| value.starts_with(start))
        || is_reference(value)
        || match value.chars().next() {
            // `<password>`, `@password@`, `@file.json`, `(none)`, a tag of YAML, a path.
            Some('<') => value.ends_with('>'),
            Some('@') => rest.ends_with('@') || rest.starts_with(['/', '.', '~', '$', '{']) || word(rest),
            Some('(') => word(rest.trim_end_matches(')')),
            Some('!') => rest.trim_start_matches('!').chars().all(|c| c.is_ascii_alphabetic()),
            Some('.' | '~') => value.trim_start_matches(['.', '~']).strip_prefix('/').is_some_and(|path| {
                path.contains('/') || path.chars().all(|c| c.is_ascii_lowercase() || "._-".contains(c))
            }),
            _ => false,
        }
}

/// Whether a value is made of variables: `$NAME`, `${NAME}`, `$(…)`, `$USER:$PASS`, `$HOME/x`. A dollar alone makes none: `$tr0ng!`.
fn is_reference(value: &str) -> bool {
    let mut rest = value;
    let mut any = false;
    while let Some(behind) = rest.strip_prefix('$') {
        any = true;
        let behind = behind.strip_prefix('$').unwrap_or(behind);
        if behind.starts_with('(') {
            return true;
        }
        rest = if let Some(inside) = behind.strip_prefix('{') {
            let (name, after) = inside.split_once('}').unwrap_or((inside, ""));
            let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
            // What counts if the variable is not set is a value like any other.
            let instead = name[end..].trim_start_matches(':');
            if instead.strip_prefix(['-', '=']).is_some_and(|instead| !instead.is_empty() && is_value(instead)) {
                return false;
            }
            after
        } else {
            let behind = behind.strip_prefix("env:").unwrap_or(behind);
            let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(behind.len());
            let (name, after) = behind.split_at(end);
            if !is_variable(name) {
                return false;
            }
            after
        };
        if rest.starts_with('/') {
            return true;
        }
        rest = rest.trim_start_matches(['.', ':', ',', ';', '@', '-', '_', '/', ' ', '\\', '"', '\'']);
    }
    any && rest.is_empty()
}

/// Whether somebody would call a variable so: digits stand behind a word of it, not within.
fn is_variable(name: &str) -> bool {
    let is_word =
        |word: &str| word.trim_end_matches(|c: char| c.is_ascii_digit()).bytes().all(|c| c.is_ascii_alphabetic());
    let is_loud = name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
    !name.is_empty() && (is_loud || name.split('_').all(is_word))
}

/// Whether a value is one, and not the place of one.
pub(crate) fn is_value(value: &str) -> bool {
    let bare = value.trim_start_matches(':').trim_start_matches('\\').trim_matches(['"', '\'']);
    let is_path = bare.strip_prefix('/').is_some_and(|rest| rest.contains('/'));
    let stands_for_nothing = NOTHING.iter().any(|nothing| bare.eq_ignore_ascii_case(nothing));
    let is_blank = bare.chars().all(|c| "*.x-_#".contains(c));
    bare.chars().count() >= 4 && !is_place(bare) && !is_path && !stands_for_nothing && !is_blank
}

/// The blocks of private keys.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    const WHOLE: [&str; 3] = [
        "PuTTY-User-Key-File-",
        "untrusted comment: signify secret key",
        "untrusted comment: minisign encrypted secret key",
    ];
    let mut found = Vec::new();
    for (at, begin) in text.match_indices("-----BEGIN ") {
        let rest = &text[at + begin.len()..];
        let label = rest.split("-----").next().unwrap_or_default();
        if label.len() < 60 && (label.contains("PRIVATE KEY") || label.contains("OpenVPN Static key")) {
            let line_end = |from: usize| rest[from..].find('\n').map_or(rest.len(), |line| from + line);
            let end = rest.find("-----END ").map_or(rest.len(), line_end);
            found.push(at..at + begin.len() + end);
        }
    }
    for start in WHOLE {
        found.extend(text.match_indices(start).map(|(at, _)| at..text.len()));
    }
    // The body of OpenSSH's without its frame: as many lines as are as long as the one before.
    for (at, _) in text.match_indices("b3BlbnNzaC1rZXktdjE") {
        let (mut end, mut last) = (at, usize::MAX);
        for line in text[at..].split_inclusive('\n') {
            let length = line.trim().len();
            let digits =
                line.trim().find(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c))).unwrap_or(length);
            if digits == 0 || (end > at && digits < length) {
                break;
            }
            end += line.len() - line.trim_start().len() + digits;
            if digits < length || length < last.min(60) {
                break;
            }
            last = length;
            end += line.len() - line.trim_end().len();
        }
        found.push(at..end);
    }
    // The same in base64, as a kubeconfig has it.
    for (at, start) in text.match_indices("LS0tLS1CRUdJTi") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+/=_-".contains(c))).unwrap_or(rest.len());
        let head = rest.get(..end.min(64) / 4 * 4).unwrap_or(start);
        let head = base64::engine::general_purpose::STANDARD.decode(head).unwrap_or_default();
        if String::from_utf8_lossy(&head).contains("PRIVATE KEY") {
            found.push(at..at + end);
        }
    }
    found
}

#[cfg(test)]
mod tests;
