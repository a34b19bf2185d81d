//! Logs in with keys and certificates, one after the other: those that are named, those of the agent, the usual files.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, signature};
use russh::{AgentAuthError, MethodKind};

use super::agent::Agent;
use super::client::Client;
use super::key_ring::KeyRing;
use super::local_user::LocalUser;
use super::offers::{Credential, Offer, Offers, Signer};
use super::settings::Settings;
use crate::host::HostError;
use crate::local_file::Unreadable;

/// How many keys are shown. sshd ends the connection after the sixth refusal by default (`MaxAuthTries`).
const KEYS_AT_MOST: usize = 6;

/// Logs in. `ring`: keys that were unlocked; `ended` says why the connection ended, once it has.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    user: &str,
    settings: &Settings,
    ring: &KeyRing,
    local: &LocalUser,
    ended: &OnceLock<String>,
) -> Result<(), HostError> {
    let named = &settings.identity_files;
    let mut agent = Agent::open(settings.agent_socket(local).as_deref(), handle).await;
    let held = agent.as_ref().map_or(Vec::new(), |agent| agent.held.clone());
    let mut offers = Offers::default();
    offers.learn_agent(&held);
    offers.read_files(named, ring);
    // A key that is asked for by name and is no use is the likeliest reason if none is accepted.
    let unusable: Option<(PathBuf, String)> = offers.unusable.iter().find(|(path, _)| named.contains(path)).cloned();
    // What can be no certificate at all is reported although a key alone may be accepted: somebody means it to count.
    if let Some(path) = settings.certificate_files.iter().find(|path| path.exists() && !path.is_file()) {
        return Err(HostError::Key { path: path.display().to_string(), why: Unreadable::NotRegular.to_string() });
    }
    offers.read_certificates(&settings.certificate_files);
    match &agent {
        Ok(_) if settings.identities_only => {}
        Ok(_) => offers.add_agent(&held),
        Err(why) => offers.no_agent = Some(why.clone()),
    }

    let mut login = Login { handle, user, ended, over: None, rsa: None, methods: None };
    if login.try_all(&mut offers, agent.as_mut().ok()).await {
        return Ok(());
    }
    // Only read now: most logins never need them.
    if named.is_empty() && !settings.no_usual_files && login.over.is_none() {
        offers.read_files(&local.usual_files(), ring);
        if login.try_all(&mut offers, agent.as_mut().ok()).await {
            return Ok(());
        }
    }
    Err(match (unusable, login.over.take()) {
        (Some((path, why)), None) => HostError::Key { path: path.display().to_string(), why },
        (_, over) => {
            let over = match over {
                Some(over) => Some(over),
                None => login.other_methods().await,
            };
            let tried = offers.in_words(over);
            HostError::Auth { user: user.to_owned(), address: settings.label(), tried }
        }
    })
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
    /// What the host takes, once it has said so.
    methods: Option<Vec<MethodKind>>,
}

impl Login<'_> {
    /// Shows everything in line until something is accepted.
    async fn try_all(&mut self, offers: &mut Offers, mut agent: Option<&mut Agent>) -> bool {
        offers.match_certificates();
        while self.over.is_none() {
            if offers.shown.len() == KEYS_AT_MOST && offers.left() > 0 {
                self.over = Some(format!("few hosts look at more than {KEYS_AT_MOST} keys: name one"));
                break;
            }
            let Some(offer) = offers.next() else { break };
            if self.try_one(offer, agent.as_deref_mut()).await {
                return true;
            }
        }
        false
    }

    async fn try_one(&mut self, offer: Offer, agent: Option<&mut Agent>) -> bool {
        let algorithm = match &offer.credential {
            Credential::Key(key) => key.algorithm(),
            Credential::Certificate(certificate) => certificate.algorithm(),
        };
        let hash = match algorithm {
            Algorithm::Rsa { .. } => Some(self.rsa_hash().await),
            _ => None,
        };
        // Without a result the agent did not sign: its owner said no, or it was locked meanwhile.
        let result = match (offer.credential, offer.signer, agent) {
            (Credential::Key(_), Signer::File(private), _) => {
                let key = PrivateKeyWithHashAlg::new(private, hash);
                self.handle.authenticate_publickey(self.user, key).await.ok()
            }
            (Credential::Key(key), Signer::Agent(_), Some(agent)) => {
                self.handle.authenticate_publickey_with(self.user, key, hash, &mut agent.client).await.ok()
            }
            (Credential::Certificate(certificate), signer, agent) => {
                let mut signer = CertificateSigner { signer, agent };
                self.handle.authenticate_certificate_with(self.user, *certificate, hash, &mut signer).await.ok()
            }
            (Credential::Key(_), Signer::Agent(_), None) => None,
        };
        let accepted = result == Some(AuthResult::Success);
        if !accepted {
            self.over = self.reason_to_stop(result.as_ref());
        }
        accepted
    }

    fn reason_to_stop(&mut self, result: Option<&AuthResult>) -> Option<String> {
        if self.handle.is_closed() {
            let why = self.ended.get().map_or("the host closed the connection", String::as_str);
            return Some(format!("then {why}"));
        }
        let Some(AuthResult::Failure { remaining_methods, partial_success }) = result else { return None };
        self.methods = Some(remaining_methods.to_vec());
        let methods = in_words(remaining_methods);
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

    /// What the host takes beside keys. Asked only if nothing was shown that it could have answered.
    async fn other_methods(&mut self) -> Option<String> {
        if self.methods.is_none() {
            let asked = self.handle.authenticate_none(self.user).await.ok();
            if let over @ Some(_) = self.reason_to_stop(asked.as_ref()) {
                return over;
            }
        }
        let methods = self.methods.as_deref()?;
        let others: Vec<MethodKind> = methods.iter().copied().filter(|kind| *kind != MethodKind::PublicKey).collect();
        (!others.is_empty()).then(|| format!("the host takes publickey, {}", in_words(&others)))
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

fn in_words(methods: &[MethodKind]) -> String {
    methods.iter().map(<&str>::from).collect::<Vec<_>>().join(", ")
}

/// Signs for a certificate with the key that it is of. An agent knows that key by its public half, unless it holds the
/// certificate itself.
struct CertificateSigner<'a> {
    signer: Signer,
    agent: Option<&'a mut Agent>,
}

impl russh::Signer for CertificateSigner<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        match (&self.signer, &mut self.agent) {
            (Signer::File(key), _) => Ok(sign(key, hash, to_sign)?),
            (Signer::Agent(identity), Some(agent)) => Ok(agent.client.sign_request(identity, hash, to_sign).await?),
            (Signer::Agent(_), None) => Err(russh::keys::Error::AgentFailure.into()),
        }
    }
}

/// The data with its signature behind it.
fn sign(key: &Arc<PrivateKey>, hash: Option<HashAlg>, mut data: Vec<u8>) -> Result<Vec<u8>, russh::keys::Error> {
    let failed = |_| russh::keys::Error::AgentFailure;
    let signature: Signature = match key.key_data() {
        KeypairData::Rsa(pair) => signature::Signer::try_sign(&(pair, hash), &data).map_err(failed)?,
        pair => signature::Signer::try_sign(pair, &data).map_err(failed)?,
    };
    signature.encode_prefixed(&mut data).map_err(|_| russh::keys::Error::AgentFailure)?;
    Ok(data)
}
