//! `%` tokens, `~` and `${NAME}` in values of ssh_config. Pure: who asks says what they stand for.

use std::path::{Path, PathBuf};

use ring::digest;

/// This machine and its user, as far as values may name them.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Here {
    /// `%u`
    pub(in super::super) user: String,
    /// `%d` and `~`
    pub(in super::super) home: Option<PathBuf>,
    /// `%i`
    pub(in super::super) uid: Option<u32>,
    /// `%l`
    pub(in super::super) host: Option<String>,
}

/// The host that is meant, as far as values may name it.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct There {
    /// `%n`: as on the command line of `ssh`.
    pub(in super::super) original: String,
    /// `%h`
    pub(in super::super) host: String,
    /// `%p`
    pub(in super::super) port: u16,
    /// `%r`
    pub(in super::super) user: String,
    /// `%k`, if it is not `%n`.
    pub(in super::super) alias: Option<String>,
    /// `%j`: the jump hosts as written.
    pub(in super::super) jump: String,
}

/// An environment.
pub(in super::super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the tokens for which `value` has a value.
fn percent(text: &str, value: impl Fn(char) -> Result<Option<String>, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => out.push('%'),
            Some(token) => match value(token)? {
                Some(text) => out.push_str(&text),
                None => return Err(format!("`%{token}` means nothing here")),
            },
            None => return Err("ends with `%` (a literal one is `%%`)".to_owned()),
        }
    }
    Ok(out)
}

/// HostName: `%h` is the name that is being looked up.
pub(super) fn host_name(text: &str, host: &str) -> Result<String, String> {
    percent(text, |token| Ok((token == 'h').then(|| host.to_owned())))
}

/// A part of ProxyJump, which is read by `ssh`, not by a shell.
pub(in super::super) fn jump(text: &str, there: &There) -> Result<String, String> {
    percent(text, |token| Ok(of_there(token, there)))
}

/// ProxyCommand. A shell reads what comes out, so values that could mean something to it are refused.
pub(in super::super) fn command(text: &str, there: &There) -> Result<String, String> {
    percent(text, |token| {
        let Some(value) = of_there(token, there) else { return Ok(None) };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-@+:".contains(c);
        if value.is_empty() || value.starts_with('-') || !value.chars().all(plain) {
            return Err(format!("`%{token}` would put `{value}` into a shell command"));
        }
        Ok(Some(value))
    })
}

fn of_there(token: char, there: &There) -> Option<String> {
    Some(match token {
        'h' => there.host.clone(),
        'n' => there.original.clone(),
        'p' => there.port.to_string(),
        'r' => there.user.clone(),
        _ => return None,
    })
}

/// A file: `~`, `${NAME}` and tokens. Without `there`, only what is the same for every host.
pub(in super::super) fn path(
    text: &str,
    here: &Here,
    there: Option<&There>,
    env: Environment<'_>,
) -> Result<PathBuf, String> {
    let text = tilde(text, here.home.as_deref())?;
    let text = dollar(&text, env)?;
    let text = percent(&text, |token| {
        Ok(match token {
            'd' => Some(home(here.home.as_deref())?),
            'u' => Some(here.user.clone()),
            'i' => Some(here.uid.map(|uid| uid.to_string()).ok_or("cannot tell the local user's number for `%i`")?),
            'l' => Some(local_host(here)?),
            'L' => Some(local_host(here)?.split('.').next().unwrap_or_default().to_owned()),
            'T' => Some("NONE".to_owned()),
            _ => match there {
                None => None,
                Some(there) => match token {
                    'k' => Some(there.alias.clone().unwrap_or_else(|| there.original.clone())),
                    'j' => Some(there.jump.clone()),
                    'C' => Some(connection_hash(&local_host(here)?, there)),
                    _ => of_there(token, there),
                },
            },
        })
    })?;
    Ok(PathBuf::from(text))
}

fn local_host(here: &Here) -> Result<String, String> {
    here.host.clone().ok_or_else(|| "cannot tell this machine's name for `%l`, `%L` or `%C`".to_owned())
}

fn home(home: Option<&Path>) -> Result<String, String> {
    let home = home.ok_or("the local user has no home directory")?;
    home.to_str().map(str::to_owned).ok_or_else(|| "the home directory's name is not UTF-8".to_owned())
}

/// A leading `~`.
fn tilde(text: &str, here: Option<&Path>) -> Result<String, String> {
    match text.strip_prefix('~') {
        None => Ok(text.to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok(format!("{}{rest}", home(here)?)),
        Some(_) => Err("another user's home directory is not looked up: write the whole path".to_owned()),
    }
}

/// `${NAME}`
fn dollar(text: &str, env: Environment<'_>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (name, after) = after.split_once('}').ok_or("has `${` without `}`")?;
        out.push_str(&env(name).ok_or_else(|| format!("the environment has no {name}"))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// `%C`
fn connection_hash(local_host: &str, there: &There) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for part in [local_host, &there.host, &there.port.to_string(), &there.user, &there.jump] {
        hash.update(part.as_bytes());
    }
    hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Here {
        Here { user: "me".to_owned(), home: Some("/home/me".into()), uid: Some(7), host: Some("lap.lan".to_owned()) }
    }

    fn there() -> There {
        There {
            original: "ci".to_owned(),
            host: "10.0.0.7".to_owned(),
            port: 2222,
            user: "deploy".to_owned(),
            ..There::default()
        }
    }

    fn of(text: &str) -> Result<String, String> {
        let env = |name: &str| (name == "KEYS").then(|| "/keys".to_owned());
        path(text, &here(), Some(&there()), &env).map(|path| path.display().to_string())
    }

    #[test]
    fn paths() {
        for (text, wanted) in [
            ("~/.ssh/id_%h_%p", "/home/me/.ssh/id_10.0.0.7_2222"),
            ("%d/%u/%i/%n/%r/%k", "/home/me/me/7/ci/deploy/ci"),
            ("/%l/%L/%%/%T", "/lap.lan/lap/%/NONE"),
            ("${KEYS}/a~b", "/keys/a~b"),
            ("~", "/home/me"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(wanted), "{text}");
        }
        for text in ["%x", "%", "~other/x", "${NOT_SET}", "${KEYS"] {
            assert!(of(text).is_err(), "{text}");
        }
        assert!(path("%h", &here(), None, &|_| None).is_err(), "differs from host to host");
    }

    #[test]
    fn commands() {
        assert_eq!(command("nc %h %p # %n %r %%", &there()).as_deref(), Ok("nc 10.0.0.7 2222 # ci deploy %"));
        assert!(command("nc %d", &there()).is_err());
        for user in ["a;b", "$(id)", "-x", "a b", "", "a'b"] {
            let there = There { user: user.to_owned(), ..there() };
            assert!(command("x %r", &there).is_err(), "{user}");
            assert_eq!(command("x %h", &there).as_deref(), Ok("x 10.0.0.7"));
        }
    }
}
