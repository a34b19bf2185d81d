//! Opens connections: the stream, the key exchange, the login. What the hosts of a run have in common is kept here.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::client::Handle;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::client::{self, Client, ClientError, KEEPALIVE, words};
use super::settings::Settings;
use super::stream::PromptStream;
use super::trust::Trust;
use super::{LocalUser, SshHost, auth};
use crate::host::HostError;
use crate::inventory::model::SshSpec;

/// Everything that connections of one run share.
#[derive(Debug)]
pub struct Network {
    local: LocalUser,
    keepalive: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self::new(LocalUser::current())
    }
}

/// A connection on which the login has succeeded.
pub(super) struct Connected {
    pub(super) handle: Handle<Client>,
    pub(super) user: String,
    /// Why the connection ended, once it has.
    pub(super) ended: Arc<OnceLock<String>>,
}

impl Network {
    /// With the keys and the files of a user of this machine.
    #[must_use]
    pub fn new(local: LocalUser) -> Self {
        Self { local, keepalive: KEEPALIVE }
    }

    /// Asks silent connections for a sign of life this often.
    #[cfg(test)]
    pub(super) fn keepalive(self, keepalive: Duration) -> Self {
        Self { keepalive, ..self }
    }

    /// Connects, checks the host's key and logs in.
    ///
    /// # Errors
    /// When one of these fails, or all of them together take longer than `connect_timeout`.
    pub async fn connect(&self, spec: &SshSpec) -> Result<SshHost, HostError> {
        let settings = Settings {
            address: spec.address.clone(),
            port: spec.port.unwrap_or(22),
            user: spec.user.clone(),
            identity_files: spec.identity_files.clone(),
            known_hosts: spec.known_hosts.clone(),
            connect_timeout: spec.connect_timeout.unwrap_or(10),
            ..Settings::default()
        };
        let connected = self.open(&settings).await?;
        Ok(SshHost::new(connected, settings.label(), spec.sudo))
    }

    async fn open(&self, settings: &Settings) -> Result<Connected, HostError> {
        let deadline = after(Duration::from_secs(settings.connect_timeout));
        let failed = |why: String| HostError::Connect { address: settings.label(), why };
        let late = |during: &str| failed(format!("no end of {during} within {} s", settings.connect_timeout));

        let trust = Trust::load(settings, self.local.home.as_deref())?;
        let stream = tcp(settings, deadline).await.map_err(failed)?;
        let stream = PromptStream::new(stream).map_err(|error| failed(error.to_string()))?;

        let ended = Arc::new(OnceLock::new());
        let config = Arc::new(client::config(trust.algorithms(), self.keepalive));
        let client = Client { trust, ended: Arc::clone(&ended) };
        let mut handle = match timeout_at(deadline, russh::client::connect_stream(config, stream, client)).await {
            Ok(Ok(handle)) => handle,
            Ok(Err(ClientError::Host(error))) => return Err(error),
            Ok(Err(ClientError::Ssh(error))) => {
                return Err(failed(ended.get().cloned().unwrap_or_else(|| words(&error))));
            }
            Err(_) => return Err(late("the key exchange")),
        };

        let user = match &settings.user {
            Some(user) => user.clone(),
            None => self.local.name().await.map_err(failed)?,
        };
        let login = auth::authenticate(&mut handle, &user, settings, &self.local, &ended);
        timeout_at(deadline, login).await.map_err(|_| late("the login"))??;
        Ok(Connected { handle, user, ended })
    }
}

/// Tries the host's addresses in order; each gets an equal part of the time that is left.
async fn tcp(settings: &Settings, deadline: Instant) -> Result<TcpStream, String> {
    let late = || format!("no answer within {} s", settings.connect_timeout);
    let found = timeout_at(deadline, tokio::net::lookup_host((settings.address.as_str(), settings.port)));
    let found = found.await.map_err(|_| "the name is not resolved in time".to_owned())?;
    let mut addresses = found.map_err(|error| error.to_string())?.collect::<Vec<_>>();
    addresses.dedup();
    let mut why = "the name has no address".to_owned();
    for (n, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - n).unwrap_or(1);
        why = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => late(),
        };
    }
    Err(why)
}

/// The end of a time that starts now. A day stands for all longer ones: the user may have given any number.
pub(super) fn after(time: Duration) -> Instant {
    Instant::now() + time.min(Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_is_a_time() {
        assert!(after(Duration::MAX) > after(Duration::ZERO));
    }
}
