//! Whether to trust a host's key: reads the known_hosts files and judges the key that the host sends.

use std::path::{Path, PathBuf};

use russh::keys::{Certificate, HashAlg, PublicKey, PublicKeyBase64 as _};

use super::certificate;
use super::known_hosts::{KnownKeys, Verdict, host_name};
use super::settings::Settings;
use crate::host::HostError;
use crate::local_file::read_for_ssh;
use crate::script::quote;

/// What is known about the keys of one host, and where a new one would be written down.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    name: String,
    /// The name that a certificate must be for, without a port.
    principal: String,
    keys: KnownKeys,
    accept_into: Option<AcceptInto>,
}

/// The file that a new key would be added to.
#[derive(Debug, Clone)]
struct AcceptInto {
    path: PathBuf,
    /// Its directory, if that does not exist.
    missing_directory: Option<PathBuf>,
    /// Its last line has no end.
    open_line: bool,
}

impl Trust {
    /// Reads the files. A file that does not exist is empty; one that cannot be read is an error, since it may revoke
    /// the very key.
    pub(super) fn load(settings: &Settings, home: Option<&Path>) -> Result<Self, HostError> {
        let files = if settings.known_hosts.is_empty() {
            let own = home.map(|home| home.join(".ssh/known_hosts"));
            own.into_iter().chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]).collect()
        } else {
            settings.known_hosts.clone()
        };
        let (address, port) = settings.known_as();
        let mut keys = KnownKeys::default();
        let mut accept_into = None;
        for path in files {
            let content = match read_for_ssh(&path) {
                Ok(content) => content,
                Err(error) if error.is_absent() => Vec::new(),
                Err(error) => {
                    return Err(HostError::KnownHosts { path: path.display().to_string(), why: error.words() });
                }
            };
            let file = path.display().to_string();
            keys.read(address, port, &file, &String::from_utf8_lossy(&content));
            if accept_into.is_none() && may_be_added_to(&path, &content) {
                let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
                let missing_directory = directory.filter(|directory| !directory.exists()).map(Path::to_owned);
                let open_line = content.last().is_some_and(|&byte| byte != b'\n');
                accept_into = Some(AcceptInto { path, missing_directory, open_line });
            }
        }
        Ok(Self { name: host_name(address, port), principal: address.to_lowercase(), keys, accept_into })
    }

    /// The types of the known keys, best known first.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = &str> {
        self.keys.algorithms()
    }

    /// Whether a certificate of the host would be of use.
    pub(super) fn has_authority(&self) -> bool {
        self.keys.has_authority()
    }

    /// Whether the certificate that the host sent proves that it is this host. One that does not is no worse than none:
    /// its key may be known by itself.
    pub(super) fn judge_certificate(&self, certificate: &Certificate) -> Result<(), HostError> {
        let address = self.name.clone();
        let key = PublicKey::new(certificate.public_key().clone(), "");
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        for one in [&key, &authority] {
            if let Some(known_at) = self.keys.revoked(&one.public_key_bytes()) {
                return Err(HostError::RevokedKey { address, known_at });
            }
        }
        let why = if self.keys.is_authority(&authority.public_key_bytes()) {
            match certificate::unfit_for_host(certificate, &self.principal, certificate::now()) {
                Some(why) => why,
                None => return Ok(()),
            }
        } else {
            let fingerprint = authority.fingerprint(HashAlg::Sha256);
            format!("the authority that signed it ({} {fingerprint}) is not known for this host", authority.algorithm())
        };
        match self.judge(&key) {
            Err(HostError::UnknownKey { .. }) => Err(HostError::HostCertificate { address, why }),
            other => other,
        }
    }

    /// Whether the key that the host sent is this host's.
    pub(super) fn judge(&self, key: &PublicKey) -> Result<(), HostError> {
        let address = self.name.clone();
        let fingerprint = || key.fingerprint(HashAlg::Sha256).to_string();
        Err(match self.keys.check(&key.public_key_bytes()) {
            Verdict::Known => return Ok(()),
            Verdict::Revoked { known_at } => HostError::RevokedKey { address, known_at },
            Verdict::Changed { known_at } => HostError::ChangedKey { address, fingerprint: fingerprint(), known_at },
            Verdict::Unknown => HostError::UnknownKey {
                algorithm: key.algorithm().to_string(),
                fingerprint: fingerprint(),
                accept: self.accept(&format!("{address} {} {}", key.algorithm(), key.public_key_base64())),
                address,
            },
        })
    }

    /// The command that adds a line; empty: there is no file that it would be right to add it to. It holds the very key whose
    /// fingerprint is shown: a second look at the host, as by ssh-keyscan, could be answered by somebody else.
    fn accept(&self, line: &str) -> String {
        let Some(into) = &self.accept_into else { return String::new() };
        let directory = into.missing_directory.as_ref().map_or(String::new(), |directory| {
            format!("mkdir -p -m 700 {} && ", quote(&directory.display().to_string()))
        });
        let file = quote(&into.path.display().to_string());
        if into.open_line {
            format!("{directory}printf '\\n%s\\n' {} >> {file}", quote(line))
        } else {
            format!("{directory}echo {} >> {file}", quote(line))
        }
    }
}

/// Whether a line may be added to this file: it is called a known_hosts, or holds nothing but what one holds. Whoever wrote the
/// inventory may have named any file of the system's.
fn may_be_added_to(path: &Path, content: &[u8]) -> bool {
    const OF_THE_SYSTEM: [&str; 10] =
        ["/etc", "/usr", "/bin", "/sbin", "/lib", "/boot", "/dev", "/proc", "/sys", "/var/spool"];
    if OF_THE_SYSTEM.iter().any(|directory| path.starts_with(directory)) && !path.starts_with("/etc/ssh") {
        return false;
    }
    if path.starts_with("/etc/ssh") || content.is_empty() {
        return path.file_name().is_some_and(|name| name.to_string_lossy().contains("known_hosts"));
    }
    let is_key = |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start));
    let text = String::from_utf8_lossy(content);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.all(|line| line.split_whitespace().skip(1).take(2).any(is_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_known_hosts_is_added_to() {
        let key =
            b"example.com ssh-ed25519 AAAA\n@cert-authority *.example.com ecdsa-sha2-nistp256 AAAA\n# x\n".as_slice();
        let shadow = b"root:$y$j9T$abc:19000:0:99999:7:::\n".as_slice();
        for (path, content) in [
            ("/home/me/.ssh/known_hosts", b"".as_slice()),
            ("/home/me/.ssh/known_hosts", key),
            ("/root/.ssh/known_hosts", key),
            ("ssh/known_hosts_ci", b""),
            ("ssh/hosts", key),
            ("/etc/ssh/ssh_known_hosts", b""),
        ] {
            assert!(may_be_added_to(Path::new(path), content), "{path}");
        }
        for (path, content) in [
            ("/etc/shadow", shadow),
            ("/etc/shadow", b"".as_slice()),
            ("/etc/known_hosts", key),
            ("/etc/ssh/sshd_config", key),
            ("/home/me/.bashrc", b""),
            ("/home/me/.bashrc", b"alias ls=ls\n"),
            ("/home/me/.ssh/authorized_keys", b""),
            ("/home/me/.ssh/known_hosts", shadow),
            ("/dev/null", b""),
            ("notes", shadow),
        ] {
            assert!(!may_be_added_to(Path::new(path), content), "{path}");
        }
    }
}
