//! Logs in with keys, one after the other: those that the inventory names, those of the agent, the usual files.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;

use super::client::Client;
use super::key_file::{self, KeyFile};
use super::local_user::LocalUser;
use super::settings::Settings;
use crate::host::HostError;

/// How many keys are shown. sshd ends the connection after the sixth refusal by default (`MaxAuthTries`).
const KEYS_AT_MOST: usize = 6;

/// The private keys that ssh looks for, in the directory `.ssh`.
const USUAL_FILES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Logs in. `ended` says why the connection ended, once it has.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    user: &str,
    settings: &Settings,
    local: &LocalUser,
    ended: &OnceLock<String>,
) -> Result<(), HostError> {
    let named = &settings.identity_files;
    let mut agent = Agent::open(settings.agent_socket(local).as_deref(), handle).await;
    let held = agent.as_ref().map_or(Vec::new(), |agent| agent.keys.clone());
    let mut choice = Choice::default();
    choice.add_files(named.iter().map(|path| (path.clone(), key_file::read(path))), &held);
    // A key that is asked for by name and is no use is the likeliest reason if none is accepted.
    let unusable = choice.unusable.first().cloned();
    match &agent {
        Ok(_) if settings.identities_only => {}
        Ok(_) => choice.add_agent(&held),
        Err(why) => choice.no_agent = Some(why.clone()),
    }

    let mut login = Login { handle, user, ended, over: None, rsa: None };
    if login.try_all(&mut choice, agent.as_mut().ok()).await {
        return Ok(());
    }
    // Only read now: most logins never need them.
    if named.is_empty() && !settings.no_usual_files && login.over.is_none() {
        let usual = USUAL_FILES.iter().filter_map(|name| Some(local.home.as_ref()?.join(".ssh").join(name)));
        choice.add_files(usual.filter(|path| path.exists()).map(|path| (path.clone(), key_file::read(&path))), &held);
        if login.try_all(&mut choice, agent.as_mut().ok()).await {
            return Ok(());
        }
    }
    Err(match (unusable, login.over) {
        (Some((path, why)), None) => HostError::Key { path: path.display().to_string(), why },
        (_, over) => {
            let tried = choice.in_words(over);
            HostError::Auth { user: user.to_owned(), address: settings.label(), tried }
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
    waiting: VecDeque<Offer>,
    shown: Vec<Offer>,
    /// Files that are no use, and why.
    unusable: Vec<(PathBuf, String)>,
    /// Why there is no agent to ask.
    no_agent: Option<String>,
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
    fn add_agent(&mut self, held: &[PublicKey]) {
        if held.is_empty() {
            self.no_agent = Some("the agent holds no key".to_owned());
        }
        for public in held {
            self.add(Offer { public: public.clone(), path: None, private: None });
        }
    }

    fn add(&mut self, offer: Offer) {
        let same = |other: &Offer| other.public.key_data() == offer.public.key_data();
        if !self.shown.iter().any(same) && !self.waiting.iter().any(same) {
            self.waiting.push_back(offer);
        }
    }

    /// `agent: 2 keys; /home/me/.ssh/id_ed25519`. `over`: why no further key was shown.
    fn in_words(&self, over: Option<String>) -> String {
        let mut parts = Vec::new();
        match self.shown.iter().filter(|offer| offer.path.is_none()).count() {
            0 => {}
            1 => parts.push("agent: 1 key".to_owned()),
            count => parts.push(format!("agent: {count} keys")),
        }
        for offer in &self.shown {
            let Some(path) = &offer.path else { continue };
            let how = if offer.private.is_some() { "" } else { " (through the agent)" };
            parts.push(format!("{}{how}", path.display()));
        }
        if self.shown.is_empty() && self.waiting.is_empty() {
            parts.push("no key at all".to_owned());
        }
        parts.extend(self.no_agent.clone());
        parts.extend(self.unusable.iter().map(|(path, why)| format!("{} ({why})", path.display())));
        if !self.waiting.is_empty() {
            parts.push(format!("{} more not shown", self.waiting.len()));
        }
        parts.extend(over);
        parts.join("; ")
    }
}

/// One login, key after key.
struct Login<'a> {
    handle: &'a mut Handle<Client>,
    user: &'a str,
    ended: &'a OnceLock<String>,
    /// Why no further key is of use.
    over: Option<String>,
    /// How the host wants RSA keys to sign, once asked.
    rsa: Option<HashAlg>,
}

impl Login<'_> {
    /// Shows every waiting key until one is accepted.
    async fn try_all(&mut self, choice: &mut Choice, mut agent: Option<&mut Agent>) -> bool {
        while self.over.is_none() {
            if choice.shown.len() == KEYS_AT_MOST && !choice.waiting.is_empty() {
                self.over = Some(format!("few hosts look at more than {KEYS_AT_MOST} keys: name one"));
                break;
            }
            let Some(offer) = choice.waiting.pop_front() else { break };
            choice.shown.push(offer.clone());
            if self.try_one(&offer, agent.as_deref_mut()).await {
                return true;
            }
        }
        false
    }

    async fn try_one(&mut self, offer: &Offer, agent: Option<&mut Agent>) -> bool {
        let hash = match offer.public.algorithm() {
            Algorithm::Rsa { .. } => Some(self.rsa_hash().await),
            _ => None,
        };
        let result = match (&offer.private, agent) {
            (Some(private), _) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(private), hash);
                self.handle.authenticate_publickey(self.user, key).await.ok()
            }
            (None, Some(agent)) => {
                let (key, client) = (offer.public.clone(), &mut agent.client);
                // Without a result the agent did not sign: its owner said no, or it was locked meanwhile.
                self.handle.authenticate_publickey_with(self.user, key, hash, client).await.ok()
            }
            (None, None) => None,
        };
        let accepted = result == Some(AuthResult::Success);
        if !accepted {
            self.over = self.reason_to_stop(result.as_ref());
        }
        accepted
    }

    fn reason_to_stop(&self, result: Option<&AuthResult>) -> Option<String> {
        if self.handle.is_closed() {
            let why = self.ended.get().map_or("the host closed the connection", String::as_str);
            return Some(format!("then {why}"));
        }
        let Some(AuthResult::Failure { remaining_methods, partial_success }) = result else { return None };
        let methods = remaining_methods.iter().map(<&str>::from).collect::<Vec<_>>().join(", ");
        if *partial_success {
            Some(format!("the last key was accepted, but the host wants more: {methods}"))
        } else if remaining_methods.contains(&MethodKind::PublicKey) {
            None
        } else if methods.is_empty() {
            Some("the host takes no further login".to_owned())
        } else {
            Some(format!("the host takes no keys, only {methods}"))
        }
    }

    /// Hosts that do not say what they take are old or small; those, too, have known SHA-512 for years. SHA-1 is never
    /// used, so a host that takes nothing else refuses the key.
    async fn rsa_hash(&mut self) -> HashAlg {
        if let Some(hash) = self.rsa {
            return hash;
        }
        let said = self.handle.best_supported_rsa_hash().await.ok().flatten().flatten();
        *self.rsa.insert(said.unwrap_or(HashAlg::Sha512))
    }
}

/// The agent of the user who runs this program.
struct Agent {
    client: AgentClient<UnixStream>,
    keys: Vec<PublicKey>,
}

impl Agent {
    /// Connects and asks for its keys; certificates are left out.
    async fn open(socket: Option<&Path>, handle: &Handle<Client>) -> Result<Self, String> {
        let socket = socket.ok_or("no agent (SSH_AUTH_SOCK is not set)")?;
        let silent = |error: russh::keys::Error| format!("the agent does not answer ({error})");
        let mut client = AgentClient::connect_uds(socket).await.map_err(silent)?;
        // Keys that may be used towards certain hosts only are shown after this; agents that do not know such keys refuse
        // it, which does not matter.
        if let Some(binding) = handle.agent_session_binding() {
            let _ = client.bind_session(binding, false).await;
        }
        let identities = client.request_identities().await.map_err(silent)?;
        let public = identities.into_iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, .. } => Some(key),
            AgentIdentity::Certificate { .. } => None,
        });
        Ok(Self { keys: public.collect(), client })
    }
}

#[cfg(test)]
mod tests;
