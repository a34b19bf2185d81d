//! The agent of the user who runs this program: which keys and certificates it holds, and its signatures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use russh::client::Handle;
use russh::keys::PublicKey;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use tokio::net::UnixStream;

use super::client::Client;

/// An agent that answers.
pub(super) struct Agent {
    pub(super) client: AgentClient<UnixStream>,
    /// What it holds, in its own order.
    pub(super) held: Vec<AgentIdentity>,
}

impl Agent {
    /// Connects and asks what it holds.
    ///
    /// # Errors
    /// Why there is no agent to ask, in words.
    pub(super) async fn open(socket: Option<&Path>, handle: &Handle<Client>) -> Result<Self, String> {
        let socket = socket.ok_or("no agent (SSH_AUTH_SOCK is not set)")?;
        let mut client = AgentClient::connect_uds(socket).await.map_err(silent)?;
        // Keys that may be used towards certain hosts only are shown after this; agents that do not know such keys refuse
        // it, which does not matter.
        if let Some(binding) = handle.agent_session_binding() {
            let _ = client.bind_session(binding, false).await;
        }
        let held = client.request_identities().await.map_err(silent)?;
        Ok(Self { held, client })
    }
}

fn silent(error: russh::keys::Error) -> String {
    format!("the agent does not answer ({error})")
}

/// The keys that these agents hold, those of certificates included. One that does not answer holds none.
pub(super) async fn held_by(sockets: &BTreeSet<PathBuf>) -> Vec<PublicKey> {
    let mut held = Vec::new();
    for socket in sockets {
        let Ok(mut client) = AgentClient::connect_uds(socket).await else { continue };
        let identities = client.request_identities().await.unwrap_or_default();
        held.extend(identities.iter().map(|identity| identity.public_key().into_owned()));
    }
    held
}
