//! What one connection needs to know, once the inventory and ssh_config have both been asked. Data only.

use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use super::config::{Family, Kind};
use super::local_user::LocalUser;

/// Where to connect, as whom, with which keys, trusting which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Settings {
    /// Host name or address to connect to.
    pub(super) address: String,
    /// Port.
    pub(super) port: u16,
    /// User; `None`: the local user's name.
    pub(super) user: Option<String>,
    /// Private keys by file. Empty: the agent's, then the usual files.
    pub(super) identity_files: Vec<PathBuf>,
    /// Of the agent's keys, only those of `identity_files` (or of the usual files) may be shown.
    pub(super) identities_only: bool,
    /// The usual files are not looked for, even if `identity_files` is empty.
    pub(super) no_usual_files: bool,
    /// User certificates by file, beside those that lie next to a key.
    pub(super) certificate_files: Vec<PathBuf>,
    /// Which agent to ask.
    pub(super) agent: Agent,
    /// Files of known host keys. Empty: the usual ones.
    pub(super) known_hosts: Vec<PathBuf>,
    /// The name that known_hosts has for the host, if not that of its address and port.
    pub(super) host_key_alias: Option<String>,
    /// Seconds until a connection attempt is given up.
    pub(super) connect_timeout: u64,
    /// Which kind of addresses a name may have.
    pub(super) family: Family,
    /// The address of this machine that connections come from.
    pub(super) bind_address: Option<String>,
    /// Lists of algorithms as ssh_config has them, with `+`, `-` and `^`.
    pub(super) algorithms: Vec<(Kind, String)>,
    /// Where address, port and user come from, if ssh_config says them.
    pub(super) origins: Label,
}

/// A host on the way, or at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Hop {
    pub(super) settings: Settings,
    pub(super) via: Via,
    /// What names it, for messages; empty for the host that is meant.
    pub(super) label: Label,
}

/// What comes before a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Via {
    /// Nothing.
    Direct,
    /// A program whose input and output is the connection, and what names it.
    Command(String, Label),
    /// Another host.
    Jump(Arc<Hop>),
}

/// Words for messages. They make no difference: the same host is the same, whatever names it.
#[derive(Debug, Clone, Default)]
pub(super) struct Label(pub(super) String);

impl PartialEq for Label {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// An agent that holds keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) enum Agent {
    /// That of `SSH_AUTH_SOCK`.
    #[default]
    Usual,
    /// None.
    Nobody,
    /// The one at this socket.
    Socket(PathBuf),
}

impl Settings {
    /// Address and port by which known_hosts knows the host.
    pub(super) fn known_as(&self) -> (&str, u16) {
        match &self.host_key_alias {
            // An alias stands without a port, whatever the port is.
            Some(alias) => (alias, 22),
            None => (&self.address, self.port),
        }
    }

    /// `ADDRESS:PORT`, for messages.
    pub(super) fn label(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    /// The agent's socket, if there is an agent to ask.
    pub(super) fn agent_socket(&self, local: &LocalUser) -> Option<PathBuf> {
        match &self.agent {
            Agent::Usual => local.agent.clone(),
            Agent::Nobody => None,
            Agent::Socket(path) => Some(path.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_words() {
        let of = |address: &str, port| Settings { address: address.to_owned(), port, ..Settings::default() };
        assert_eq!(of("ci.example.com", 22).label(), "ci.example.com:22");
        assert_eq!(of("::1", 2222).label(), "[::1]:2222");
    }

    #[test]
    fn an_alias_has_no_port() {
        let plain = Settings { address: "10.0.0.7".to_owned(), port: 2222, ..Settings::default() };
        assert_eq!(plain.known_as(), ("10.0.0.7", 2222));
        let alias = Settings { host_key_alias: Some("gpu".to_owned()), ..plain };
        assert_eq!(alias.known_as(), ("gpu", 22));
    }
}
