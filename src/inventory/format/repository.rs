//! Forms of what names a package repository and its key. Pure.

use super::{Bad, all, bad};
use crate::openpgp;

/// apt reads no file with another name.
pub(super) fn file_name(text: &str) -> Result<(), Bad> {
    let help = "letters, digits, `_` and `-`, beginning with a letter or a digit";
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || text.len() > 60 {
        return bad("is not a usable name", help);
    }
    all(text, "_-", "is not a usable name", help)
}

pub(super) fn uri(text: &str) -> Result<(), Bad> {
    web_url(&text.replace("{os}", "debian"))
}

pub(super) fn web_url(text: &str) -> Result<(), Bad> {
    let help = "such as https://packages.example.com/debian";
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return bad("is not an address that apt and rprov could use", help);
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return bad(
            "holds a user name or password",
            "everybody on a host can read it; apt takes them from a file in /etc/apt/auth.conf.d, which `files` can write",
        );
    }
    let odd = |c: char| c.is_control() || c.is_whitespace() || "\"'`<>\\^|#".contains(c);
    if authority.is_empty() || authority.starts_with(['-', '.', ':']) || text.replace("{os}", "").contains(odd) {
        return bad("is not an address that apt and rprov could use", help);
    }
    if text.replace("{os}", "").contains(['{', '}']) {
        return bad("holds a name in braces that rprov does not know", "only {os}, for debian or ubuntu");
    }
    Ok(())
}

pub(super) fn suite(text: &str) -> Result<(), Bad> {
    if text.starts_with('-') {
        return bad("is not the name of a part of a repository", "such as bookworm, or main");
    }
    all(text, "._-/+~", "is not the name of a part of a repository", "such as bookworm, or main")
}

pub(super) fn fingerprint(text: &str) -> Result<(), Bad> {
    match openpgp::fingerprint(text) {
        Some(_) => Ok(()),
        None => bad(
            "is not the fingerprint of a key",
            "40 hexadecimal digits, in quotes, as `gpg --show-keys --with-fingerprint FILE` prints them",
        ),
    }
}

pub(super) fn runner_version(text: &str) -> Result<(), Bad> {
    let help = "a version such as 17.9.0; `apt-cache madison gitlab-runner` on a host lists them";
    let mut parts = text.split(['-', '~']).next().unwrap_or_default().split('.');
    let number =
        |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if number(parts.next()) && number(parts.next()) && number(parts.next()) && parts.next().is_none() {
        return all(text, "+.~-", "is not a version of GitLab Runner", help);
    }
    bad("is not a version of GitLab Runner", help)
}
