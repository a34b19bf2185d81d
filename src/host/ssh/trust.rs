//! Whether to trust a host's key: reads the known_hosts files and judges the key that the host sends.

use std::path::{Path, PathBuf};

use russh::keys::{HashAlg, PublicKey, PublicKeyBase64 as _};

use super::known_hosts::{KnownKeys, Verdict, host_name};
use super::settings::Settings;
use crate::host::HostError;
use crate::script::quote;

/// What is known about the keys of one host, and where a new one would be written down.
#[derive(Debug)]
pub(super) struct Trust {
    name: String,
    keys: KnownKeys,
    accept_into: Option<AcceptInto>,
}

/// The file that a new key would be added to.
#[derive(Debug)]
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
            let content = match std::fs::read(&path) {
                Ok(content) => content,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                Err(error) => {
                    return Err(HostError::KnownHosts { path: path.display().to_string(), why: error.to_string() });
                }
            };
            let file = path.display().to_string();
            keys.read(address, port, &file, &String::from_utf8_lossy(&content));
            if accept_into.is_none() {
                let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
                let missing_directory = directory.filter(|directory| !directory.exists()).map(Path::to_owned);
                let open_line = content.last().is_some_and(|&byte| byte != b'\n');
                accept_into = Some(AcceptInto { path, missing_directory, open_line });
            }
        }
        Ok(Self { name: host_name(address, port), keys, accept_into })
    }

    /// The types of the known keys, best known first.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = &str> {
        self.keys.algorithms()
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

    /// The command that adds a line. It holds the very key whose fingerprint is shown: a second look at the host, as by
    /// ssh-keyscan, could be answered by somebody else.
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
