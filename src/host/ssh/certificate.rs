//! OpenSSH certificates: a user's own, from files; whether one is valid for a name at a time. Pure but for reading files.

use std::path::{Path, PathBuf};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate};

use crate::local_file::read_for_ssh;

/// Reads a certificate file, `TYPE BASE64 [COMMENT]`.
///
/// # Errors
/// Why it is none, in words.
pub(super) fn read(path: &Path) -> Result<Certificate, String> {
    let bytes = read_for_ssh(path).map_err(|error| error.words())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is no certificate".to_owned())?;
    Certificate::from_openssh(text.trim()).map_err(|_| "it is no certificate".to_owned())
}

/// Where the certificate of a key lies: `KEY-cert.pub`, also beside `KEY.pub`.
pub(super) fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    if key.extension().is_some_and(|extension| extension == "pub") {
        name = key.with_extension("").into_os_string();
    }
    name.push("-cert.pub");
    PathBuf::from(name)
}

/// Why a certificate of a user's is no use now (seconds since 1970).
pub(super) fn unfit_for_login(certificate: &Certificate, now: u64) -> Option<String> {
    if certificate.cert_type() != CertType::User {
        return Some("it is a host's certificate, not a user's".to_owned());
    }
    out_of_time(certificate, now)
}

/// Why a certificate does not prove that a host has this name; which authority signed it is another matter.
pub(super) fn unfit_for_host(certificate: &Certificate, name: &str, now: u64) -> Option<String> {
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user's certificate, not a host's".to_owned());
    }
    if let Some(why) = out_of_time(certificate, now) {
        return Some(why);
    }
    if !certificate.critical_options().is_empty() {
        return Some("it demands something that is not known here (critical options)".to_owned());
    }
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !principals.iter().any(|pattern| super::known_hosts::glob(pattern, name)) {
        return Some(format!("it is for {}, not for {name}", principals.join(", ")));
    }
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Some("it is signed with SHA-1".to_owned());
    }
    certificate.verify_signature().is_err().then(|| "its signature is wrong".to_owned())
}

fn out_of_time(certificate: &Certificate, now: u64) -> Option<String> {
    if now < certificate.valid_after() {
        return Some(format!("it is valid from {} on", date(certificate.valid_after())));
    }
    (now >= certificate.valid_before()).then(|| format!("it expired on {}", date(certificate.valid_before())))
}

fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "a day that never comes".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_beside_a_key() {
        assert_eq!(beside(Path::new("/k/id_ed25519")), Path::new("/k/id_ed25519-cert.pub"));
        assert_eq!(beside(Path::new("/k/id_ed25519.pub")), Path::new("/k/id_ed25519-cert.pub"));
    }

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(u64::MAX), "a day that never comes");
    }
}
