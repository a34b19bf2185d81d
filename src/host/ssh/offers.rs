//! What there is to log in with, in which order it is shown, and what became of it in words. No I/O but reading key files.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::{Certificate, PrivateKey, PublicKey};

use super::certificate;
use super::key_file::{self, KeyFile};
use super::key_ring::KeyRing;

/// What is shown to a host.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    /// A key.
    Key(PublicKey),
    /// A certificate of one.
    Certificate(Box<Certificate>),
}

/// Who signs.
#[derive(Debug, Clone)]
pub(super) enum Signer {
    /// We do.
    File(Arc<PrivateKey>),
    /// The agent, which knows the key by this.
    Agent(Box<AgentIdentity>),
}

/// Something to log in with.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) credential: Credential,
    /// The file that it comes from, if not from the agent alone.
    pub(super) path: Option<PathBuf>,
    pub(super) signer: Signer,
}

impl Offer {
    fn same(&self, other: &Self) -> bool {
        match (&self.credential, &other.credential) {
            (Credential::Key(one), Credential::Key(other)) => one.key_data() == other.key_data(),
            (Credential::Certificate(one), Credential::Certificate(other)) => one == other,
            _ => false,
        }
    }
}

/// Which keys there are, and what became of them.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Certificates, which are shown before keys.
    certificates: VecDeque<Offer>,
    keys: VecDeque<Offer>,
    /// What was shown.
    pub(super) shown: Vec<Offer>,
    /// Files that are no use, and why.
    pub(super) unusable: Vec<(PathBuf, String)>,
    /// Why there is no agent to ask.
    pub(super) no_agent: Option<String>,
    /// Who can sign for which key.
    signers: Vec<(PublicKey, Signer)>,
    /// Certificates whose keys were not seen yet.
    waiting: Vec<(PathBuf, Certificate)>,
}

impl Offers {
    /// Learns what the agent can sign with.
    pub(super) fn learn_agent(&mut self, held: &[AgentIdentity]) {
        for identity in held {
            if let AgentIdentity::PublicKey { key, .. } = identity {
                self.signers.push((key.clone(), Signer::Agent(Box::new(identity.clone()))));
            }
        }
    }

    /// Reads key files and the certificates beside them. A key that the agent holds is left to the agent.
    pub(super) fn read_files(&mut self, paths: &[PathBuf], ring: &KeyRing) {
        for path in paths {
            let file = match ring.get(path) {
                Some(key) => Ok(KeyFile::Private(Arc::clone(key))),
                None => key_file::read(path),
            };
            self.add_file(path, file);
            let beside = certificate::beside(path);
            if beside.exists() {
                self.add_certificate(&beside, certificate::read(&beside));
            }
        }
    }

    /// Reads certificate files. To be asked for again once more keys are known.
    pub(super) fn read_certificates(&mut self, paths: &[PathBuf]) {
        for path in paths {
            self.add_certificate(path, certificate::read(path));
        }
    }

    pub(super) fn add_file(&mut self, path: &Path, file: Result<KeyFile, String>) {
        let public = file.as_ref().ok().and_then(KeyFile::public).cloned();
        let known = public.as_ref().and_then(|public| self.signer(public));
        match (file, known, public) {
            (_, Some(signer), Some(public)) => self.add_key(public, Some(path), signer),
            (Ok(KeyFile::Private(key)), _, _) => {
                let (public, signer) = (key.public_key().clone(), Signer::File(key));
                self.signers.push((public.clone(), signer.clone()));
                self.add_key(public, Some(path), signer);
            }
            (Ok(KeyFile::Locked { .. }), ..) => self.unusable.push((path.to_owned(), key_file::LOCKED.to_owned())),
            (Ok(KeyFile::Public { why, .. }) | Err(why), ..) => self.unusable.push((path.to_owned(), why)),
        }
    }

    pub(super) fn add_certificate(&mut self, path: &Path, read: Result<Certificate, String>) {
        let unfit = |certificate: &Certificate| certificate::unfit_for_login(certificate, certificate::now());
        match read.and_then(|certificate| unfit(&certificate).map_or(Ok(certificate), Err)) {
            Ok(certificate) => self.waiting.push((path.to_owned(), certificate)),
            Err(why) => self.unusable.push((path.to_owned(), why)),
        }
    }

    /// Adds what the agent holds.
    pub(super) fn add_agent(&mut self, held: &[AgentIdentity]) {
        if held.is_empty() {
            self.no_agent = Some("the agent holds no key".to_owned());
        }
        for identity in held {
            let signer = Signer::Agent(Box::new(identity.clone()));
            match identity {
                AgentIdentity::PublicKey { key, .. } => self.add_key(key.clone(), None, signer),
                AgentIdentity::Certificate { certificate, .. } => {
                    let fit = certificate::unfit_for_login(certificate, certificate::now()).is_none();
                    let credential = Credential::Certificate(Box::new(certificate.clone()));
                    if fit {
                        self.add(Offer { credential, path: None, signer });
                    }
                }
            }
        }
    }

    fn signer(&self, public: &PublicKey) -> Option<Signer> {
        let same = |known: &&(PublicKey, Signer)| known.0.key_data() == public.key_data();
        self.signers.iter().find(same).map(|(_, signer)| signer.clone())
    }

    fn add_key(&mut self, public: PublicKey, path: Option<&Path>, signer: Signer) {
        self.add(Offer { credential: Credential::Key(public), path: path.map(Path::to_owned), signer });
    }

    fn add(&mut self, offer: Offer) {
        let line = match offer.credential {
            Credential::Key(_) => &mut self.keys,
            Credential::Certificate(_) => &mut self.certificates,
        };
        if !line.iter().chain(&self.shown).any(|other| other.same(&offer)) {
            line.push_back(offer);
        }
    }

    /// Puts certificates in line whose keys are known by now.
    pub(super) fn match_certificates(&mut self) {
        for (path, certificate) in std::mem::take(&mut self.waiting) {
            match self.signer(&PublicKey::new(certificate.public_key().clone(), "")) {
                Some(signer) => {
                    let credential = Credential::Certificate(Box::new(certificate));
                    self.add(Offer { credential, path: Some(path), signer });
                }
                None => self.waiting.push((path, certificate)),
            }
        }
    }

    /// Takes the next one.
    pub(super) fn next(&mut self) -> Option<Offer> {
        let offer = self.certificates.pop_front().or_else(|| self.keys.pop_front())?;
        self.shown.push(offer.clone());
        Some(offer)
    }

    /// How many wait.
    pub(super) fn left(&self) -> usize {
        self.certificates.len() + self.keys.len()
    }

    /// `agent: 2 keys; /home/me/.ssh/id_ed25519`. `over`: why no further key was shown.
    pub(super) fn in_words(&self, over: Option<String>) -> String {
        let mut parts = Vec::new();
        let of_agent = |wanted: fn(&Credential) -> bool| {
            self.shown.iter().filter(|offer| offer.path.is_none() && wanted(&offer.credential)).count()
        };
        let certificates = of_agent(|credential| matches!(credential, Credential::Certificate(_)));
        let keys = of_agent(|credential| matches!(credential, Credential::Key(_)));
        let counted = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            more => Some(format!("{more} {word}s")),
        };
        let counts: Vec<String> =
            [counted(keys, "key"), counted(certificates, "certificate")].into_iter().flatten().collect();
        if !counts.is_empty() {
            parts.push(format!("agent: {}", counts.join(", ")));
        }
        for offer in &self.shown {
            let Some(path) = &offer.path else { continue };
            let through = if matches!(offer.signer, Signer::Agent(_)) { " (through the agent)" } else { "" };
            parts.push(match &offer.credential {
                Credential::Key(_) => format!("{}{through}", path.display()),
                Credential::Certificate(one) if one.valid_principals().is_empty() => {
                    format!("{} (certificate){through}", path.display())
                }
                Credential::Certificate(one) => {
                    format!("{} (certificate for {}){through}", path.display(), one.valid_principals().join(", "))
                }
            });
        }
        if self.shown.is_empty() && self.left() == 0 {
            parts.push("no key at all".to_owned());
        }
        parts.extend(self.no_agent.clone());
        parts.extend(self.unusable.iter().map(|(path, why)| format!("{} ({why})", path.display())));
        parts.extend(self.waiting.iter().map(|(path, _)| format!("{} (its private key is not here)", path.display())));
        if self.left() > 0 {
            parts.push(format!("{} more not shown", self.left()));
        }
        parts.extend(over);
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests;
