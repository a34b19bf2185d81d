//! Passwords in command lines: which program takes one where. No I/O.
//!
//! A command line is taken apart into words as a shell does it, so that a password is recognized by the word that it is and not by what looks
//! alike elsewhere: `-p` is a password of MySQL's and a port of ssh's. Lists of words (YAML, JSON, a Dockerfile's `CMD`) and lines that
//! a backslash joins are one command.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::is_value;

/// Where a program takes a password.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// In the word of the option: `-pX`, and not in the next.
    Joined(&'static str),
    /// Behind the option: `-a X`, `-aX`; `--pass X`, `--pass=X`; `-pw X`.
    Option(&'static str),
    /// The same with a name before it: `-u NAME:X`.
    Login(&'static str, char),
    /// In a word that begins so: `pass:X`.
    Begins(&'static str),
    /// In each word `NAME=X` that is no option; behind such a beginning, if there is one: `--from-literal=NAME=X`.
    Pairs(&'static str, char),
    /// In the word right behind this one, or so many places behind it, options left out: `password X`.
    Behind(&'static str, usize),
    /// In the last word that is no option, if one of the options has this letter.
    Last(char),
}
use Way::{Begins, Behind, Joined, Last, Login, Option as Opt, Pairs};

/// Programs (`*`: whatever follows), the word that must be among their arguments, and where their passwords are.
type Row = (&'static [&'static str], &'static str, &'static [Way]);

const ROWS: &[Row] = &[
    // Databases.
    (&["mysql*", "mariadb*", "mycli", "xtrabackup", "mariabackup", "innobackupex"], "", &[Joined("-p")]),
    (&["mysqladmin", "mariadb-admin"], "password", &[Behind("password", 1)]),
    (&["mydumper", "myloader", "check_mysql*", "check_pgsql"], "", &[Opt("-p")]),
    (
        &["redis-cli", "valkey-cli", "keydb-cli", "redis-benchmark", "memtier_benchmark"],
        "",
        &[
            Opt("-a"),
            Opt("--pass"),
            Behind("auth", 1),
            Behind("AUTH", 1),
            Behind("requirepass", 1),
            Behind("masterauth", 1),
        ],
    ),
    (&["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport", "mongostat"], "", &[Opt("-p")]),
    (&["sqlcmd", "osql", "bcp", "tsql", "mssql-cli"], "", &[Opt("-P")]),
    (&["sqlplus", "expdp", "impdp", "sqlldr", "rman"], "", &[Pairs("", '/')]),
    (&["cqlsh", "cypher-shell", "rabbitmqadmin"], "", &[Opt("-p")]),
    (&["rabbitmqctl"], "", &[Behind("add_user", 2), Behind("change_password", 2), Behind("authenticate_user", 2)]),
    (&["etcdctl"], "", &[Login("--user", ':')]),
    // The web and files of others.
    (
        &["curl"],
        "",
        &[
            Login("-u", ':'),
            Login("-U", ':'),
            Login("--user", ':'),
            Login("--proxy-user", ':'),
            Login("-E", ':'),
            Login("--cert", ':'),
            Opt("--pass"),
            Opt("--oauth2-bearer"),
        ],
    ),
    (&["http", "https", "xh", "xhs"], "", &[Login("-a", ':'), Login("--auth", ':'), Opt("--auth")]),
    (&["ab"], "", &[Login("-A", ':'), Login("-P", ':')]),
    (&["check_http", "check_curl"], "", &[Login("-a", ':')]),
    (&["wget", "aria2c"], "", &[Opt("--http-passwd"), Opt("--ftp-passwd")]),
    (&["lftp"], "", &[Login("-u", ',')]),
    (&["ncftp*"], "", &[Opt("-p")]),
    (
        &["smbclient", "smbget", "smbmap", "rpcclient", "smbcacls", "smbtree", "net", "mount.cifs"],
        "",
        &[Login("-U", '%'), Login("--user", '%'), Opt("--password"), Behind("//*", 1)],
    ),
    (&["net"], "use", &[Behind("\\\\*", 1)]),
    (&["net"], "/add", &[Behind("user", 2)]),
    (&["rclone"], "obscure", &[Behind("obscure", 1)]),
    (&["mc", "mcli"], "set", &[Behind("set", 3), Behind("set", 4)]),
    // Directories, mail, messages.
    (&["ldap*", "dsconf", "dsidm"], "", &[Opt("-w")]),
    (&["ldappasswd"], "", &[Opt("-s"), Opt("-a")]),
    (&["slappasswd"], "", &[Opt("-s")]),
    (&["kadmin", "kadmin.local"], "", &[Opt("-w"), Opt("-pw")]),
    (&["mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "mqttx"], "", &[Opt("-P"), Opt("--pw")]),
    (&["swaks"], "", &[Opt("-ap"), Opt("--ap")]),
    (&["sendemail", "sendEmail"], "", &[Opt("-xp")]),
    (
        &["snmpwalk", "snmpget*", "snmpset", "snmpbulk*", "snmptrap", "snmptable", "snmpinform"],
        "",
        &[Opt("-c"), Opt("-A"), Opt("-X")],
    ),
    (&["check_snmp"], "", &[Opt("-C")]),
    (&["dig", "nsupdate"], "", &[Login("-y", ':')]),
    // Other machines.
    (&["sshpass"], "", &[Opt("-p")]),
    (&["plink", "pscp", "psftp", "putty"], "", &[Opt("-pw")]),
    (&["ipmitool"], "", &[Opt("-P"), Behind("password", 2)]),
    (&["ipmipower", "ipmi-*", "racadm", "redfishtool", "ilorest", "fence_*", "rdesktop"], "", &[Opt("-p")]),
    (&["xfreerdp*", "wlfreerdp*"], "", &[Begins("/p:")]),
    (&["x11vnc"], "", &[Opt("-passwd")]),
    // Networks.
    (&["wpa_passphrase"], "", &[Behind("wpa_passphrase", 2)]),
    (&["nmcli"], "", &[Behind("password", 1), Behind("wifi-sec.psk", 1), Behind("802-11-wireless-security.psk", 1)]),
    (&["ss-server", "ss-local", "ss-redir"], "", &[Opt("-k")]),
    (&["consul", "serf", "nomad"], "", &[Opt("-encrypt")]),
    (&["cloudflared"], "install", &[Behind("install", 1)]),
    // Keys, archives, accounts.
    (&["openssl"], "", &[Begins("pass:"), Begins("key:"), Begins("hexkey:"), Opt("-hmac"), Opt("-psk"), Opt("-K")]),
    (&["openssl"], "enc", &[Opt("-k")]),
    (&["openssl"], "passwd", &[Opt("-1"), Opt("-5"), Opt("-6"), Opt("-apr1")]),
    (&["gpg*"], "", &[Opt("--passphrase")]),
    (&["gpg-preset-passphrase"], "", &[Opt("-P")]),
    (
        &["keytool", "jarsigner"],
        "",
        &[
            Opt("-storepass"),
            Opt("-keypass"),
            Opt("-srcstorepass"),
            Opt("-deststorepass"),
            Opt("-srckeypass"),
            Opt("-destkeypass"),
        ],
    ),
    (&["htpasswd", "mosquitto_passwd"], "", &[Last('b')]),
    (&["useradd", "usermod"], "", &[Opt("-p")]),
    (
        &["mkpasswd"],
        "",
        &[Behind("mkpasswd", 1), Behind("sha*", 1), Behind("yescrypt", 1), Behind("md5*", 1), Behind("bcrypt*", 1)],
    ),
    (&["zip", "unzip", "zipcloak"], "", &[Opt("-P")]),
    (&["7z", "7za", "7zr", "7zz", "rar", "unrar"], "", &[Joined("-p"), Joined("-hp")]),
    (&["pdftk"], "", &[Behind("user_pw", 1), Behind("owner_pw", 1), Behind("input_pw", 1)]),
    (&["pdftotext", "pdfimages", "pdfinfo", "pdftoppm"], "", &[Opt("-upw"), Opt("-opw")]),
    (&["security"], "", &[Opt("-w"), Opt("-p")]),
    // Containers, packages, clouds, GitLab.
    (
        &[
            "docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras", "crane", "regctl", "cosign", "az",
            "oc", "cf", "ibmcloud", "rancher",
        ],
        "login",
        &[Opt("-p")],
    ),
    (&["kubectl", "oc"], "", &[Pairs("--from-literal", '=')]),
    (&["vault", "bao"], "put", &[Pairs("", '=')]),
    (&["vault", "bao"], "write", &[Pairs("", '=')]),
    (&["vault", "bao"], "", &[Behind("login", 1), Behind("unseal", 1)]),
    (&["gh"], "secret", &[Opt("-b"), Opt("--body")]),
    (&["twine"], "", &[Opt("-p")]),
    (&["cargo"], "login", &[Behind("login", 1)]),
    (&["nuget", "dotnet"], "push", &[Opt("-k"), Opt("-ApiKey")]),
    (&["nuget"], "setapikey", &[Behind("setapikey", 1)]),
    (&["gitlab-runner", "gitlab-ci-multi-runner"], "register", &[Opt("-t"), Opt("-r")]),
    (&["gitlab-runner", "gitlab-ci-multi-runner"], "verify", &[Opt("-t")]),
    (&["gitlab-runner", "gitlab-ci-multi-runner"], "unregister", &[Opt("-t")]),
    (&["glab"], "login", &[Opt("-t")]),
    (&["sonar-scanner"], "", &[Begins("-Dsonar.login=")]),
];

/// Programs that read a password from their standard input, and the word that makes them do so.
const READERS: &[(&[&str], &str)] = &[
    (&["chpasswd"], ""),
    (&["passwd"], "--stdin"),
    (&["sudo"], "-S"),
    (&["docker", "podman", "nerdctl", "skopeo", "buildah", "helm", "oras", "crane"], "--password-stdin"),
    (&["docker", "podman"], "secret"),
    (&["cryptsetup", "kinit", "su"], ""),
    (&["smbpasswd"], "-s"),
    (&["gpg", "gpg2"], "--passphrase-fd"),
    (&["htpasswd"], "-i"),
    (&["gh"], "--with-token"),
    (&["glab"], "--stdin"),
];

/// Words of sentences that speak of an option.
const PROSE: [&str; 15] = [
    "with",
    "option",
    "options",
    "flag",
    "argument",
    "instead",
    "that",
    "this",
    "your",
    "when",
    "which",
    "from",
    "then",
    "switch",
    "parameter",
];

/// Any of the programs.
static ANY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = ROWS.iter().flat_map(|row| row.0).chain(READERS.iter().flat_map(|row| row.0));
    let pattern = |name: &&str| match name.strip_suffix('*') {
        Some(start) => format!(r"{}[\w.-]*", regex::escape(start)),
        None => format!(r"{}(?:\.exe)?", regex::escape(name)),
    };
    let names: Vec<String> = names.map(pattern).collect();
    // What stands before a name is no letter of ours; see `compiled` for the others.
    super::compiled(&format!(r#"(?m)(?:^|[^0-9A-Za-z_.-])(?:{})(?:[\s"',;|&)\]\\]|$)"#, names.join("|")))
});

/// Words of one command that are looked at: more are no command's, but a long list's.
const WORDS: usize = 200;

/// A word and where it is, without the quotes around it.
type Word<'a> = (&'a str, usize);

/// The passwords of a text that stand in command lines.
pub(super) fn find(text: &str, push: &mut dyn FnMut(Range<usize>)) {
    let any = |text: &str| ANY.as_ref().is_some_and(|any| any.is_match(text));
    if !any(text) {
        return;
    }
    units(text, &mut |unit, start| {
        if any(unit) {
            in_unit(unit, start, 0, push);
        }
    });
}

/// The lines of a text, those together that make one command; and where they begin.
fn units<'a>(text: &'a str, each: &mut dyn FnMut(&'a str, usize)) {
    const LINES: usize = 64;
    let (mut from, mut at, mut last, mut count) = (0, 0, None, 0);
    for line in text.split_inclusive('\n') {
        let item = item_of(line);
        let joins = text[from..at].trim_end_matches(['\n', '\r']).ends_with('\\') || (item.is_some() && item == last);
        if at > from && (!joins || count == LINES) {
            each(&text[from..at], from);
            (from, count) = (at, 0);
        }
        (last, count) = (item, count + 1);
        at += line.len();
    }
    each(&text[from..], from);
}

/// How far a line of a list of words is indented: `- word`, `"word",`.
fn item_of(line: &str) -> Option<usize> {
    let bare = line.trim();
    let quoted = bare.trim_end_matches(',');
    let is_item = match bare.strip_prefix("- ") {
        Some(rest) => !rest.contains(": ") && !rest.ends_with(':'),
        None => quoted.len() > 1 && quoted.starts_with(['"', '\'']) && quoted.ends_with(['"', '\'']),
    };
    is_item.then(|| line.len() - line.trim_start().len())
}

fn in_unit(unit: &str, start: usize, depth: usize, push: &mut dyn FnMut(Range<usize>)) {
    let mut piped: Vec<Word<'_>> = Vec::new();
    for command in commands(unit) {
        for (at, (word, _)) in command.words.iter().enumerate() {
            let name = word.rsplit('/').next().unwrap_or(word).trim_end_matches(".exe");
            let all = &command.words[at..command.words.len().min(at + WORDS)];
            let rest = &all[1..];
            for (names, sub, ways) in ROWS {
                if names.iter().any(|one| fits(one, name)) && (sub.is_empty() || has(rest, sub)) {
                    ways.iter().for_each(|way| take(*way, all, start, push));
                }
            }
            let reads = READERS.iter().any(|(names, sub)| names.contains(&name) && (sub.is_empty() || has(rest, sub)));
            if reads {
                // Of `name:password` only what is behind the colon.
                for (word, place) in piped.iter().chain(&command.here) {
                    let skipped = if name == "chpasswd" { word.find(':').map_or(0, |at| at + 1) } else { 0 };
                    value(&word[skipped..], start + place + skipped, push);
                }
            }
            if depth < 3 && word.contains(char::is_whitespace) {
                in_unit(word, start + command.words[at].1, depth + 1, push);
            }
        }
        piped = match command.words.first() {
            Some((word, _)) if command.pipes && matches!(*word, "echo" | "printf" | "/bin/echo") => {
                command.words[1..].iter().filter(|(word, _)| !word.starts_with(['-', '%'])).copied().collect()
            }
            _ => Vec::new(),
        };
    }
}

fn fits(pattern: &str, word: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == word, |start| word.starts_with(start))
}

fn has(words: &[Word<'_>], wanted: &str) -> bool {
    words.iter().any(|(word, _)| *word == wanted || word.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('=')))
}

/// Takes the passwords of one kind. The first of the words is the program.
fn take(way: Way, words: &[Word<'_>], start: usize, push: &mut dyn FnMut(Range<usize>)) {
    let behind = |prefix: usize, (word, at): Word<'_>, push: &mut dyn FnMut(Range<usize>)| {
        value(&word[prefix..], start + at + prefix, push);
    };
    for (number, word) in words.iter().enumerate() {
        match way {
            Joined(option) => {
                if word.0.strip_prefix(option).is_some_and(|rest| !rest.starts_with(['=', '-'])) {
                    behind(option.len(), *word, push);
                }
            }
            Opt(option) => {
                if let Some((found, skipped)) = of_option(option, words, number, false) {
                    behind(skipped, found, push);
                }
            }
            Login(option, sign) => {
                if let Some((found, skipped)) = of_option(option, words, number, true)
                    && let Some(at) = found.0[skipped..].find(sign)
                {
                    behind(skipped + at + 1, found, push);
                }
            }
            Begins(with) => {
                if word.0.starts_with(with) {
                    behind(with.len(), *word, push);
                }
            }
            Pairs(before, sign) => {
                let found = if before.is_empty() {
                    (number > 0 && !word.0.starts_with(['-', '/', '.', '@'])).then_some((*word, 0))
                } else {
                    of_option(before, words, number, false)
                };
                if let Some((found, skipped)) = found
                    && let Some(at) = found.0[skipped..].find(sign)
                {
                    behind(skipped + at + 1, found, push);
                }
            }
            Behind(key, place) => {
                let is_key = fits(key, word.0) || (number == 0 && word.0.rsplit('/').next() == Some(key));
                let plain = |one: &&Word<'_>| !one.0.starts_with('-');
                let found = match place {
                    1 => words.get(number + 1).filter(plain),
                    _ => words[number + 1..].iter().filter(plain).nth(place - 1),
                };
                if let Some(found) = found.filter(|(word, _)| is_key && !word.starts_with('/')) {
                    behind(0, *found, push);
                }
            }
            Last(_) => {}
        }
    }
    if let Last(letter) = way {
        let is_asked = |(word, _): &Word<'_>| {
            word.strip_prefix('-').is_some_and(|rest| !rest.starts_with('-') && rest.contains(letter))
        };
        let plain: Vec<&Word<'_>> = words[1..].iter().filter(|(word, _)| !word.starts_with('-')).collect();
        if let (true, Some(last)) = (words.iter().any(is_asked) && plain.len() > 1, plain.last()) {
            behind(0, **last, push);
        }
    }
}

/// The word in which the value of an option is, and where it begins there. `login`: a sign in it tells it from further options.
fn of_option<'a>(option: &str, words: &[Word<'a>], number: usize, login: bool) -> Option<(Word<'a>, usize)> {
    let word = words[number].0;
    let next = || words.get(number + 1).filter(|(next, _)| !next.starts_with('-')).map(|next| (*next, 0));
    if word == option {
        return next();
    }
    if let Some(rest) = word.strip_prefix(option) {
        if rest.starts_with('=') {
            return Some((words[number], option.len() + 1));
        }
        // `-aX`; no option of several letters takes its value so.
        return (option.len() == 2 && option.starts_with('-')).then_some((words[number], option.len()));
    }
    // `-fsSu X`: the last one of several.
    let letter = option.strip_prefix('-').filter(|letter| letter.len() == 1)?;
    let several = word.strip_prefix('-').filter(|several| !several.is_empty())?;
    let (all, at) = (several.bytes().all(|c| c.is_ascii_alphabetic()), several.find(letter)?);
    match several.len() == at + 1 {
        true if all => next(),
        // `-sSuNAME:X`: what stands behind it is no further option.
        false if login && !all && several[..at].bytes().all(|c| c.is_ascii_alphabetic()) => {
            Some((words[number], at + 2))
        }
        _ => None,
    }
}

fn value(word: &str, start: usize, push: &mut dyn FnMut(Range<usize>)) {
    let bare = word.trim_start_matches(['"', '\'', '\\']);
    let start = start + word.len() - bare.len();
    let bare = bare.trim_end_matches(['"', '\'', '\\']);
    if is_value(bare) && !PROSE.contains(&bare) {
        push(start..start + bare.len());
    }
}

/// A command, as far as it is of use here.
#[derive(Debug, Default)]
struct Command<'a> {
    words: Vec<Word<'a>>,
    /// What it gets by `<<<`.
    here: Vec<Word<'a>>,
    /// Its output is the next one's input.
    pipes: bool,
}

/// Takes a text apart as a shell does it.
fn commands(text: &str) -> Vec<Command<'_>> {
    let mut all = vec![Command::default()];
    let (mut at, mut here) = (0, false);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            c if c.is_ascii_whitespace() => at += 1,
            b'\\' if bytes.get(at + 1).is_none_or(u8::is_ascii_whitespace) => at += 1,
            b'<' if text[at..].starts_with("<<<") => {
                at += 3;
                here = true;
            }
            c @ (b';' | b'|' | b'&' | b'(' | b')' | b'`') => {
                let pipes = c == b'|' && bytes.get(at + 1) != Some(&b'|') && (at == 0 || bytes[at - 1] != b'|');
                if let Some(last) = all.last_mut() {
                    last.pipes |= pipes;
                }
                all.push(Command::default());
                at += 1;
            }
            // Where it reads and writes: the file is no word of it.
            b'<' | b'>' => {
                at += bytes[at..].iter().take_while(|c| b"<>&| \t".contains(c)).count();
                at = if at < bytes.len() { word(text, at).1.max(at + 1) } else { at };
            }
            b',' => at += 1,
            b'[' | b']' => at += 1,
            _ => {
                let (word, end) = word(text, at);
                if let Some(last) = all.last_mut().filter(|_| word.0 != "-") {
                    if here { &mut last.here } else { &mut last.words }.push(word);
                }
                (at, here) = (end, false);
            }
        }
    }
    all
}

/// The word that begins here, and where it ends.
fn word(text: &str, start: usize) -> (Word<'_>, usize) {
    let bytes = text.as_bytes();
    let (mut at, mut quote, mut quotes) = (start, None, 0);
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"') | None, b'\\') if bytes.get(at + 1).is_some_and(|next| !next.is_ascii_whitespace()) => at += 1,
            (Some(open), c) if c == open => {
                quote = None;
                quotes += 1;
                // `"word",` is an item of a list.
                if bytes.get(at + 1) == Some(&b',') && bytes[start] == open {
                    at += 1;
                    break;
                }
            }
            (Some(_), _) => {}
            (None, c @ (b'"' | b'\'')) => quote = Some(c),
            (None, c) if c.is_ascii_whitespace() || b";|&()`<>".contains(&c) => break,
            // What ends an item of a list, or the list.
            (None, b',' | b']') if bytes.get(at + 1).is_none_or(|next| b", \t\r\n]".contains(next)) => break,
            (None, _) => {}
        }
        at += 1;
    }
    let at = at.min(bytes.len());
    let end = (at..=bytes.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(bytes.len());
    let whole = &text[start..end];
    let inner = whole.strip_prefix(['"', '\'']).and_then(|rest| rest.strip_suffix(['"', '\'']));
    match inner {
        Some(inner) if quotes == 1 => ((inner, start + 1), end),
        // A quote that is open to the end: the rest is words like any.
        _ if quote.is_some() && matches!(bytes[start], b'"' | b'\'') => (("", start), start + 1),
        _ => ((whole, start), end),
    }
}
