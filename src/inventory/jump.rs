//! The form of jump hosts: `[USER@]HOST[:PORT]` or `ssh://[USER@]HOST[:PORT]`, several separated by commas, or `none`.
//! Pure: the inventory and ssh_config write them alike.

use super::model::JumpSpec;

/// The hosts in order, the first one first; none for `none`.
///
/// # Errors
/// What is wrong, to be put after the text itself.
pub fn parse(text: &str) -> Result<Vec<JumpSpec>, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    text.split(',').map(|part| one(part.trim())).collect()
}

fn one(text: &str) -> Result<JumpSpec, String> {
    if text.is_empty() {
        return Err("names an empty jump host".to_owned());
    }
    let (rest, uri) = match text.get(..6) {
        Some(scheme) if scheme.eq_ignore_ascii_case("ssh://") => (text[6..].trim_end_matches('/'), true),
        _ => (text, false),
    };
    let (user, host) = match rest.rsplit_once('@') {
        None => (None, rest),
        Some(("", _)) => return Err("has nothing before the `@`".to_owned()),
        // The parameters of a URI's user part say nothing here.
        Some((user, host)) if uri => (Some(decode(user.split(';').next().unwrap_or(user))?), host),
        Some((user, host)) => (Some(user.to_owned()), host),
    };
    let (host, port) = match host.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or("has `[` without `]`")?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err("has something other than a port after `]`".to_owned()),
            }
        }
        None if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, None),
        None => match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    if host.is_empty() || host.starts_with('-') {
        return Err("names no host".to_owned());
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/\"'`$;&|<>(){}\\,*?!#@".contains(c);
    if host.contains(odd) {
        return Err("is not a jump host".to_owned());
    }
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|&port: &u16| port > 0).ok_or_else(|| match port {
            "" => "has nothing after the `:`".to_owned(),
            port => format!("has no port `{port}`: a number from 1 to 65535"),
        })?),
        None => None,
    };
    Ok(JumpSpec { user, host: host.to_owned(), port })
}

/// `%40` and the like.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err("has `%` without two hexadecimal digits".to_owned());
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
    }
    String::from_utf8(bytes).map_err(|_| "has a user name that is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(user: Option<&str>, host: &str, port: Option<u16>) -> JumpSpec {
        JumpSpec { user: user.map(str::to_owned), host: host.to_owned(), port }
    }

    #[test]
    fn forms() {
        for (text, wanted) in [
            ("none", vec![]),
            ("NONE", vec![]),
            ("bastion", vec![hop(None, "bastion", None)]),
            ("me@bastion:2222", vec![hop(Some("me"), "bastion", Some(2222))]),
            ("me@corp@bastion", vec![hop(Some("me@corp"), "bastion", None)]),
            ("a, me@b:22", vec![hop(None, "a", None), hop(Some("me"), "b", Some(22))]),
            ("[2001:db8::1]:2222", vec![hop(None, "2001:db8::1", Some(2222))]),
            ("[2001:db8::1]", vec![hop(None, "2001:db8::1", None)]),
            ("2001:db8::1", vec![hop(None, "2001:db8::1", None)]),
            ("ssh://me@bastion:22/", vec![hop(Some("me"), "bastion", Some(22))]),
            ("ssh://me%40corp;x=y@bastion", vec![hop(Some("me@corp"), "bastion", None)]),
            ("%r@jump-%h", vec![hop(Some("%r"), "jump-%h", None)]),
        ] {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
        for text in [
            "",
            "a,",
            ",",
            "@a",
            "a:",
            "a:0",
            "a:65536",
            "a:x",
            "[::1",
            "[::1]x",
            "-oProxyCommand=x",
            "a b",
            "a;b",
            "a$(b)",
            "ssh://a/b",
            "me@",
            "ssh://%4@a",
            "a,none/",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
