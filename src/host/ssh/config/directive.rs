//! What a line of ssh_config asks for, as a value. Pure. Keywords that have no meaning here are passed over.

use crate::inventory::jump;
use crate::inventory::model::JumpSpec;

/// One line's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Directive {
    Host(Vec<String>),
    Match(Vec<Criterion>),
    Include(Vec<String>),
    Set(Setting),
}

/// One condition of a `Match` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Criterion {
    pub(super) negated: bool,
    pub(super) test: Test,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    All,
    /// `canonical` and `final`; only the second asks for the second reading.
    Again {
        wanted: bool,
    },
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    /// Only `ssh` itself can tell.
    Foreign(String),
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    HostName(String),
    Port(u16),
    User(String),
    IdentityFile(String),
    CertificateFile(String),
    IdentitiesOnly(bool),
    IdentityAgent(String),
    /// No host: `none`.
    ProxyJump(Vec<JumpSpec>),
    /// `none` is a value like others.
    ProxyCommand(String),
    ProxyUseFdpass(bool),
    UserKnownHosts(Vec<String>),
    GlobalKnownHosts(Vec<String>),
    HostKeyAlias(String),
    RevokedHostKeys(Vec<String>),
    /// Seconds; `None`: no bound.
    ConnectTimeout(Option<u64>),
    AddressFamily(Family),
    BindAddress(String),
    Canonicalize(bool),
    Algorithms(Kind, String),
}

/// `AddressFamily`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(in super::super) enum Family {
    #[default]
    Any,
    V4,
    V6,
}

/// What a list of algorithms is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) enum Kind {
    Kex,
    Cipher,
    Mac,
    HostKey,
}

/// The arguments of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arguments<'a> {
    /// As written after the keyword.
    pub(super) text: &'a str,
    /// Written by `ssh -G`, which quotes nothing.
    pub(super) bare: bool,
}

impl Arguments<'_> {
    fn words(&self) -> Result<Vec<String>, String> {
        if self.bare {
            return Ok(self.text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect());
        }
        super::line::words(self.text)
    }

    /// The one word that there must be.
    fn one(&self) -> Result<String, String> {
        if self.bare {
            return Ok(self.text.to_owned());
        }
        let mut words = self.words()?.into_iter();
        let first = words.next().filter(|word| !word.is_empty()).ok_or("has no value")?;
        match words.next() {
            None => Ok(first),
            Some(more) => Err(format!("has one value too many: `{more}`")),
        }
    }

    /// At least one word, and none empty.
    fn many(&self) -> Result<Vec<String>, String> {
        let words = self.words()?;
        if words.is_empty() || words.iter().any(String::is_empty) {
            return Err("has no value".to_owned());
        }
        Ok(words)
    }

    /// The line as it stands; what reads it has its own rules.
    fn whole(&self) -> Result<String, String> {
        let text = self.text.trim_start_matches([' ', '\t', '=']);
        if text.is_empty() { Err("has no value".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn flag(&self) -> Result<bool, String> {
        match self.one()?.to_ascii_lowercase().as_str() {
            "yes" | "true" => Ok(true),
            "no" | "false" => Ok(false),
            other => Err(format!("must be yes or no, not `{other}`")),
        }
    }
}

/// Reads a line. `Ok(None)`: nothing that matters here.
pub(super) fn read(keyword: &str, arguments: Arguments<'_>) -> Result<Option<Directive>, String> {
    let setting = match keyword {
        "host" => return Ok(Some(Directive::Host(arguments.many()?))),
        "match" => return criteria(&arguments.words()?).map(|all| Some(Directive::Match(all))),
        "include" => return Ok(Some(Directive::Include(arguments.many()?))),
        "hostname" => Setting::HostName(arguments.one()?),
        "port" => Setting::Port(port(&arguments.one()?)?),
        "user" => Setting::User(arguments.one()?),
        "identityfile" => Setting::IdentityFile(arguments.one()?),
        "certificatefile" => Setting::CertificateFile(arguments.one()?),
        "identitiesonly" => Setting::IdentitiesOnly(arguments.flag()?),
        "identityagent" => Setting::IdentityAgent(arguments.one()?),
        "proxyjump" => {
            let text = arguments.whole()?;
            // A comment may follow.
            let text = text.split(" #").next().unwrap_or(&text).trim().trim_matches('"');
            Setting::ProxyJump(jump::parse(text).map_err(|why| format!("`{text}` {why}"))?)
        }
        "proxycommand" => Setting::ProxyCommand(arguments.whole()?),
        "proxyusefdpass" => Setting::ProxyUseFdpass(arguments.flag()?),
        "userknownhostsfile" => Setting::UserKnownHosts(arguments.many()?),
        "globalknownhostsfile" => Setting::GlobalKnownHosts(arguments.many()?),
        "hostkeyalias" => Setting::HostKeyAlias(arguments.one()?.to_lowercase()),
        "revokedhostkeys" => Setting::RevokedHostKeys(arguments.many()?),
        "connecttimeout" => Setting::ConnectTimeout(seconds(&arguments.one()?)?),
        "addressfamily" => Setting::AddressFamily(match arguments.one()?.to_ascii_lowercase().as_str() {
            "any" => Family::Any,
            "inet" => Family::V4,
            "inet6" => Family::V6,
            other => return Err(format!("must be any, inet or inet6, not `{other}`")),
        }),
        "bindaddress" => Setting::BindAddress(arguments.one()?),
        "canonicalizehostname" => Setting::Canonicalize(match arguments.one()?.to_ascii_lowercase().as_str() {
            "always" => true,
            _ => arguments.flag()?,
        }),
        "kexalgorithms" => Setting::Algorithms(Kind::Kex, arguments.one()?),
        "ciphers" => Setting::Algorithms(Kind::Cipher, arguments.one()?),
        "macs" => Setting::Algorithms(Kind::Mac, arguments.one()?),
        "hostkeyalgorithms" => Setting::Algorithms(Kind::HostKey, arguments.one()?),
        _ => return Ok(None),
    };
    Ok(Some(Directive::Set(setting)))
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ if text == "ssh" => Ok(22),
        _ => Err(format!("has no port `{text}`: a number from 1 to 65535")),
    }
}

/// `30`, `1m30s`, `none`.
fn seconds(text: &str) -> Result<Option<u64>, String> {
    let wrong = || format!("has no time `{text}`: seconds, or numbers with units as in 1m30s");
    if text == "none" {
        return Ok(None);
    }
    let (mut total, mut number) = (0_u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        let value: u64 = number.parse().map_err(|_| wrong())?;
        total = value.checked_mul(unit).and_then(|value| total.checked_add(value)).ok_or_else(wrong)?;
        number.clear();
    }
    if !number.is_empty() {
        total = number.parse().ok().and_then(|value: u64| total.checked_add(value)).ok_or_else(wrong)?;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Some(total)) }
}

fn criteria(words: &[String]) -> Result<Vec<Criterion>, String> {
    let mut criteria = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (negated, word) = match word.strip_prefix('!') {
            Some(word) => (true, word),
            None => (false, word.as_str()),
        };
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let name = name.to_ascii_lowercase();
        let mut value = || {
            let value = joined.clone().or_else(|| words.next().cloned());
            value.filter(|value| !value.is_empty()).ok_or(format!("has nothing after `{name}`"))
        };
        let test = match name.as_str() {
            "all" => Test::All,
            "canonical" => Test::Again { wanted: false },
            "final" => Test::Again { wanted: true },
            "host" => Test::Host(value()?),
            "originalhost" => Test::OriginalHost(value()?),
            "user" => Test::User(value()?),
            "localuser" => Test::LocalUser(value()?),
            // Kinds that a later ssh may know, too. Whether they take a value is not known, nor what follows them.
            _ => {
                criteria.push(Criterion { negated, test: Test::Foreign(name) });
                return Ok(criteria);
            }
        };
        criteria.push(Criterion { negated, test });
    }
    match criteria.iter().position(|one| one.test == Test::All) {
        _ if criteria.is_empty() => Err("has no condition".to_owned()),
        // As OpenSSH has it, meant for `final all`: one other may stand before.
        Some(at) if at > 1 || at + 1 != criteria.len() => Err("has `all` beside other conditions".to_owned()),
        _ => Ok(criteria),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Option<Directive>, String> {
        let (keyword, text) = super::super::line::split(line).unwrap();
        read(&keyword, Arguments { text, bare: false })
    }

    #[test]
    fn values() {
        for (line, wanted) in [
            ("HOSTNAME \"ci\" # x", Setting::HostName("ci".to_owned())),
            ("port=2222", Setting::Port(2222)),
            ("IdentitiesOnly YES", Setting::IdentitiesOnly(true)),
            ("ConnectTimeout 1m30", Setting::ConnectTimeout(Some(90))),
            ("ConnectTimeout none", Setting::ConnectTimeout(None)),
            ("ProxyCommand = nc \"%h\" %p # all of it", Setting::ProxyCommand("nc \"%h\" %p # all of it".to_owned())),
            ("ProxyJump none", Setting::ProxyJump(Vec::new())),
            ("UserKnownHostsFile a \"b c\"", Setting::UserKnownHosts(vec!["a".to_owned(), "b c".to_owned()])),
        ] {
            assert_eq!(of(line), Ok(Some(Directive::Set(wanted))), "{line}");
        }
        for line in ["ControlMaster auto", "UseKeychain yes", "ForwardAgent", "SendEnv LANG LC_*"] {
            assert_eq!(of(line), Ok(None), "{line}");
        }
    }

    #[test]
    fn wrong_lines() {
        for line in [
            "HostName",
            "HostName a b",
            "HostName \"a",
            "Port x",
            "Port 0",
            "Port 65536",
            "IdentitiesOnly perhaps",
            "ConnectTimeout 5x",
            "ConnectTimeout",
            "ProxyJump a:b",
            "ProxyCommand",
            "Host",
            "Include",
            "Match",
            "Match host",
            "Match all host x",
            "Match user a host b all",
            "AddressFamily 4",
            "Match host \"\"",
        ] {
            assert!(of(line).is_err(), "{line}: {:?}", of(line));
        }
    }

    #[test]
    fn conditions() {
        let Ok(Some(Directive::Match(all))) = of("Match !host=a,b FINAL exec \"x y\" user z") else { panic!() };
        let host = Criterion { negated: true, test: Test::Host("a,b".to_owned()) };
        let last = Criterion { negated: false, test: Test::Again { wanted: true } };
        assert_eq!(all, [host, last, Criterion { negated: false, test: Test::Foreign("exec".to_owned()) }]);
        assert!(of("Match final all").is_ok());
    }
}
