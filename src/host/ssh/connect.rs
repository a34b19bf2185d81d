//! Opens connections: the stream, the key exchange, the login. What the hosts of a run have in common is kept here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use russh::client::Handle;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::client::{self, Client, ClientError, KEEPALIVE, words};
use super::config::Family;
use super::greeting::{End, Heard, Tries};
use super::jump::Jumps;
use super::route::Guide;
use super::settings::{Hop, Label, Settings, Via};
use super::stream::{PromptStream, Stream};
use super::trust::Trust;
use super::{KeyRing, LocalUser, LockedKey, SshHost, algorithms, auth, key_ring, proxy};
use crate::diagnostic::said;
use crate::host::{Access, HostError};
use crate::inventory::model::SshSpec;

/// Everything that connections of one run share.
#[derive(Debug)]
pub struct Network {
    local: LocalUser,
    keepalive: Duration,
    guide: Guide,
    jumps: Jumps,
    /// Ways that were found before their hosts are connected to, by address and port as the inventory has them: `ssh` may
    /// have been asked for them.
    ways: Mutex<HashMap<(String, Option<u16>), Hop>>,
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
        Self { local, keepalive: KEEPALIVE, guide: Guide::default(), jumps: Jumps::default(), ways: Mutex::default() }
    }

    /// Refuses ways on which ssh_config starts a program.
    #[must_use]
    pub fn without_programs(self) -> Self {
        Self { guide: self.guide.without_programs(), ..self }
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
    pub async fn connect(&self, spec: &SshSpec, access: &Access) -> Result<SshHost, HostError> {
        let found = self.ways().remove(&(spec.address.clone(), spec.port));
        let hop = match found {
            Some(hop) => hop,
            None => self.guide.way(spec, &self.local).await?,
        };
        let connected = self.open(&hop, &access.keys, &self.jumps).await?;
        Ok(SshHost::new(connected, hop.settings.label(), access.root_of(spec)))
    }

    /// The same, and to the jump hosts on the way as well: a connection to one of them that is there already would show nothing
    /// of whether one still gets there.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_anew(&self, spec: &SshSpec, access: &Access) -> Result<SshHost, HostError> {
        let hop = self.guide.way(spec, &self.local).await?;
        let connected = self.open(&hop, &access.keys, &Jumps::default()).await?;
        Ok(SshHost::new(connected, hop.settings.label(), access.root_of(spec)))
    }

    /// The encrypted private keys without which hosts, or those before them, cannot be logged in to. What is wrong with
    /// the way to a host is told when it is connected to.
    pub(crate) async fn locked_keys(&self, specs: &[&SshSpec]) -> Vec<LockedKey> {
        let mut all = Vec::new();
        for spec in specs {
            let Ok(way) = self.guide.way(spec, &self.local).await else { continue };
            let mut next = Some(&way);
            while let Some(hop) = next {
                all.push((hop.settings.clone(), spec.identity_passphrase.clone()));
                next = if let Via::Jump(jump) = &hop.via { Some(jump.as_ref()) } else { None };
            }
            self.ways().insert((spec.address.clone(), spec.port), way);
        }
        key_ring::locked_keys(all, &self.local).await
    }

    fn ways(&self) -> MutexGuard<'_, HashMap<(String, Option<u16>), Hop>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to a host, through those before it.
    pub(super) async fn open(&self, hop: &Hop, keys: &KeyRing, jumps: &Jumps) -> Result<Connected, HostError> {
        let settings = &hop.settings;
        let seconds = settings.connect_timeout;
        let failed = |why: String| {
            let Label(origins) = &settings.origins;
            let why = if origins.is_empty() { why } else { format!("{why} ({origins})") };
            HostError::Connect { address: settings.label(), why }
        };
        let late = |during: &str| failed(format!("no end of {during} within {seconds} s"));
        let trust = Trust::load(settings, self.local.home.as_deref())?;
        let mut config = client::config(trust.algorithms(), trust.has_authority(), self.keepalive);
        algorithms::restrict(&mut config, &settings.algorithms).map_err(failed)?;

        let config = Arc::new(config);

        let mut tries = Tries::default();
        let mut deadline = None;
        let (mut handle, ended, deadline) = loop {
            let mut program = None;
            let through = match &hop.via {
                Via::Jump(jump) => Some(jumps.through(self, keys, jump, settings).await?),
                Via::Direct | Via::Command(..) => None,
            };
            // Each host on the way has its own time.
            let deadline = *deadline.get_or_insert_with(|| after(Duration::from_secs(seconds)));
            let stream = match (through, &hop.via) {
                (Some(through), _) => Stream::Through(through),
                (None, Via::Command(command, Label(label))) => {
                    let (stream, last) = proxy::start(command).map_err(|why| failed(format!("{label}: {why}")))?;
                    program = Some((label, last));
                    Stream::Program(stream)
                }
                (None, _) => {
                    let stream = tcp(settings, deadline).await.map_err(failed)?;
                    Stream::Tcp(PromptStream::new(stream).map_err(|error| failed(said(error)))?)
                }
            };

            let ended = Arc::new(OnceLock::new());
            let heard = Heard::default();
            let client = Client { trust: trust.clone(), ended: Arc::clone(&ended) };
            let greeting = russh::client::connect_stream(Arc::clone(&config), heard.listen(stream), client);
            let error = match timeout_at(deadline, greeting).await {
                Ok(Ok(handle)) => break (handle, ended, deadline),
                Ok(Err(ClientError::Host(error))) => return Err(error),
                Ok(Err(ClientError::Ssh(error))) => error,
                Err(_) => return Err(late("the key exchange")),
            };
            // What a program said is more to the point than that nothing came from it.
            let (label, last, said) = match program {
                Some((label, last)) => (Some(label), last.words().await, Some(last.said())),
                None => (None, None, None),
            };
            let end = heard.end(&error, said.as_deref());
            if let Some(pause) = tries.pause(&end)
                && Instant::now() + pause < deadline
            {
                tokio::time::sleep(pause).await;
                continue;
            }
            let broken = || ended.get().cloned().unwrap_or_else(|| words(&error));
            let why = match end {
                End::Busy(notice) => {
                    let said = notice.map(str::to_owned).or(last).unwrap_or_else(broken);
                    format!("sshd turned the connection away, tried {}: {said}", tries.count())
                }
                End::Silent => words(&russh::Error::Disconnect),
                End::Final => last.unwrap_or_else(broken),
            };
            return Err(failed(label.map_or(why.clone(), |label| format!("{label}: {why}"))));
        };

        let user = match &settings.user {
            Some(user) => user.clone(),
            None => self.local.name().await.map_err(failed)?,
        };
        let login = auth::authenticate(&mut handle, &user, settings, keys, &self.local, &ended);
        timeout_at(deadline, login).await.map_err(|_| late("the login"))??;
        Ok(Connected { handle, user, ended })
    }
}

/// Tries the host's addresses in order; each gets an equal part of the time that is left.
async fn tcp(settings: &Settings, deadline: Instant) -> Result<TcpStream, String> {
    let late = || format!("no answer within {} s", settings.connect_timeout);
    let found = timeout_at(deadline, tokio::net::lookup_host((settings.address.as_str(), settings.port)));
    let found = found.await.map_err(|_| "the name is not resolved in time".to_owned())?;
    let mut addresses = found.map_err(said)?.collect::<Vec<_>>();
    addresses.dedup();
    addresses.retain(|address| match settings.family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    });
    let mut why = "the name has no address".to_owned();
    for (n, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - n).unwrap_or(1);
        why = match timeout(share, dial(*address, settings.bind_address.as_deref())).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => said(error),
            Err(_) => late(),
        };
    }
    Err(why)
}

async fn dial(address: SocketAddr, from: Option<&str>) -> std::io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(address).await };
    let mut own = tokio::net::lookup_host((from, 0)).await?;
    let own = own.find(|own| own.is_ipv4() == address.is_ipv4()).ok_or_else(|| {
        std::io::Error::other(format!("BindAddress {from} is no address that it can be reached from"))
    })?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(own)?;
    socket.connect(address).await
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
