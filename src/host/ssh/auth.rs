//! Logs in with keys, one after the other: those that the inventory names, those of the agent, the usual files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;

use super::client::{Client, words};
use super::key_file::{self, KeyFile};
use super::local_user::LocalUser;
use crate::host::HostError;

/// How many keys are shown. sshd ends the connection after the sixth refusal by default (`MaxAuthTries`).
const KEYS_AT_MOST: usize = 6;

/// The private keys that ssh looks for, in the directory `.ssh`.
const USUAL_FILES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Logs in.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    user: &str,
    address: &str,
    named: &[PathBuf],
    local: &LocalUser,
) -> Result<(), HostError> {
    let (mut agent, held) = match Agent::open(local.agent.as_deref(), handle).await {
        Ok((agent, held)) => (Some(agent), held),
        Err(why) => (None, Err(why)),
    };
    let mut login = Login { handle, user, ended: None, rsa: None };

    let mut choice = Choice::default();
    choice.add_files(named.iter().map(|path| (path.clone(), key_file::read(path))), held.as_deref().unwrap_or(&[]));
    let first_unusable = choice.unusable.first().cloned();
    choice.add_agent(held);
    if login.try_all(&mut choice, agent.as_mut()).await {
        return Ok(());
    }
    // Only read now: most logins never need them.
    if named.is_empty() && login.ended.is_none() {
        let usual = USUAL_FILES.iter().filter_map(|name| Some(local.home.as_ref()?.join(".ssh").join(name)));
        choice.add_files(usual.filter(|path| path.exists()).map(|path| (path.clone(), key_file::read(&path))), &[]);
        if login.try_all(&mut choice, agent.as_mut()).await {
            return Ok(());
        }
    }
    Err(match (first_unusable, login.ended) {
        // A key that was asked for by name and is no use is the likeliest reason.
        (Some((path, why)), None) => HostError::Key { path: path.display().to_string(), why },
        (_, ended) => {
            let tried = choice.in_words(ended);
            HostError::Auth { user: user.to_owned(), address: address.to_owned(), tried }
        }
    })
}

/// A key to show.
#[derive(Debug, Clone)]
struct Offer {
    public: PublicKey,
    /// The file that it comes from, if not from the agent alone.
    path: Option<PathBuf>,
    /// Signs; without it, the agent does.
    private: Option<Arc<PrivateKey>>,
}

/// Which keys there are, and what became of them.
#[derive(Debug, Default)]
struct Choice {
    waiting: Vec<Offer>,
    shown: Vec<Offer>,
    /// Files that are no use, and why.
    unusable: Vec<(PathBuf, String)>,
    /// Why the agent is no use.
    agent: Option<String>,
}

impl Choice {
    /// Adds key files. A key that the agent holds is left to the agent.
    fn add_files(&mut self, files: impl Iterator<Item = (PathBuf, Result<KeyFile, String>)>, held: &[PublicKey]) {
        for (path, file) in files {
            match file {
                Ok(file) if held.iter().any(|key| key.key_data() == file.public().key_data()) => {
                    self.add(Offer { public: file.public().clone(), path: Some(path), private: None });
                }
                Ok(KeyFile::Private(key)) => {
                    self.add(Offer { public: key.public_key().clone(), path: Some(path), private: Some(key) });
                }
                Ok(KeyFile::Public { why, .. }) | Err(why) => self.unusable.push((path, why)),
            }
        }
    }

    /// Adds what the agent holds.
    fn add_agent(&mut self, held: Result<Vec<PublicKey>, String>) {
        match held {
            Ok(keys) if keys.is_empty() => self.agent = Some("the agent holds no key".to_owned()),
            Ok(keys) => {
                for public in keys {
                    self.add(Offer { public, path: None, private: None });
                }
            }
            Err(why) => self.agent = Some(why),
        }
    }

    fn add(&mut self, offer: Offer) {
        let same = |other: &Offer| other.public.key_data() == offer.public.key_data();
        if !self.shown.iter().any(same) && !self.waiting.iter().any(same) {
            self.waiting.push(offer);
        }
    }

    /// `agent: 2 keys; /home/me/.ssh/id_ed25519`
    fn in_words(&self, ended: Option<String>) -> String {
        let mut parts = Vec::new();
        let of_agent = |offers: &[Offer]| offers.iter().filter(|offer| offer.path.is_none()).count();
        let count = of_agent(&self.shown);
        if count > 0 {
            parts.push(format!("agent: {count} key{}", if count == 1 { "" } else { "s" }));
        }
        parts.extend(self.agent.clone());
        for offer in &self.shown {
            let Some(path) = &offer.path else { continue };
            let how = if offer.private.is_some() { "" } else { " (through the agent)" };
            parts.push(format!("{}{how}", path.display()));
        }
        parts.extend(self.unusable.iter().map(|(path, why)| format!("{} ({why})", path.display())));
        if self.shown.is_empty() && self.unusable.is_empty() && parts.len() < 2 {
            parts.push("no key file in ~/.ssh".to_owned());
        }
        if !self.waiting.is_empty() {
            parts.push(format!("{} more not shown", self.waiting.len()));
        }
        parts.extend(ended);
        parts.join("; ")
    }
}

/// One login, key after key.
struct Login<'a> {
    handle: &'a mut Handle<Client>,
    user: &'a str,
    /// Why no further key is of use.
    ended: Option<String>,
    /// How the host wants RSA keys to sign, once asked.
    rsa: Option<Option<HashAlg>>,
}

impl Login<'_> {
    /// Shows every waiting key until one is accepted.
    async fn try_all(&mut self, choice: &mut Choice, mut agent: Option<&mut Agent>) -> bool {
        while self.ended.is_none() && !choice.waiting.is_empty() {
            if choice.shown.len() == KEYS_AT_MOST {
                self.ended = Some(format!("servers seldom look at more than {KEYS_AT_MOST} keys"));
                return false;
            }
            let offer = choice.waiting.remove(0);
            choice.shown.push(offer.clone());
            if self.try_one(&offer, agent.as_deref_mut()).await {
                return true;
            }
        }
        false
    }

    async fn try_one(&mut self, offer: &Offer, agent: Option<&mut Agent>) -> bool {
        let hash = match offer.public.algorithm() {
            Algorithm::Rsa { .. } => self.rsa_hash().await,
            _ => None,
        };
        let result = match (&offer.private, agent) {
            (Some(private), _) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(private), hash);
                self.handle.authenticate_publickey(self.user, key).await.map_err(|error| words(&error))
            }
            (None, Some(agent)) => {
                let key = offer.public.clone();
                let signed = self.handle.authenticate_publickey_with(self.user, key, hash, &mut agent.0).await;
                match signed {
                    Ok(result) => Ok(result),
                    // The agent would not sign: its owner said no, or it was locked meanwhile. The next key may do.
                    Err(_) if !self.handle.is_closed() => return false,
                    Err(error) => Err(error.to_string()),
                }
            }
            (None, None) => return false,
        };
        match result {
            Ok(AuthResult::Success) => return true,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                let methods = || remaining_methods.iter().map(<&str>::from).collect::<Vec<_>>().join(", ");
                if partial_success {
                    self.ended = Some(format!("the last key was accepted, but the host wants more: {}", methods()));
                } else if self.handle.is_closed() {
                    self.ended = Some("then the host ended the connection".to_owned());
                } else if !remaining_methods.contains(&MethodKind::PublicKey) {
                    self.ended = Some(format!("the host takes no keys, only {}", methods()));
                }
            }
            Err(why) => self.ended = Some(why),
        }
        false
    }

    /// Hosts that do not say what they take are old or small; those, too, have known SHA-512 for years. SHA-1 is never
    /// used, so a host that takes nothing else refuses the key.
    async fn rsa_hash(&mut self) -> Option<HashAlg> {
        if self.rsa.is_none() {
            let said = self.handle.best_supported_rsa_hash().await;
            self.rsa = Some(said.ok().flatten().flatten().or(Some(HashAlg::Sha512)));
        }
        self.rsa.flatten()
    }
}

/// The agent of the user who runs this program.
struct Agent(AgentClient<UnixStream>);

impl Agent {
    /// Connects and asks for its keys; certificates are left out.
    async fn open(
        socket: Option<&Path>,
        handle: &Handle<Client>,
    ) -> Result<(Self, Result<Vec<PublicKey>, String>), String> {
        let Some(socket) = socket else {
            return Err("no agent (SSH_AUTH_SOCK is not set)".to_owned());
        };
        let silent = |error: &dyn std::fmt::Display| format!("the agent does not answer ({error})");
        let mut client = AgentClient::connect_uds(socket).await.map_err(|error| silent(&error))?;
        // Keys that may be used towards certain hosts only are shown after this; agents that do not know such keys refuse
        // it, which does not matter.
        if let Some(binding) = handle.agent_session_binding() {
            let _ = client.bind_session(binding, false).await;
        }
        let held = client.request_identities().await.map_err(|error| silent(&error));
        let keys = held.map(|identities| {
            let public = identities.into_iter().filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, .. } => Some(key),
                AgentIdentity::Certificate { .. } => None,
            });
            public.collect()
        });
        Ok((Self(client), keys))
    }
}
