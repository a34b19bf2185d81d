//! Opens connections: the stream, the key exchange, the login. What the hosts of a run have in common is kept here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
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
use crate::host::{Access, HostError, Stop};
use crate::inventory::model::SshSpec;

/// Everything that connections of one run share.
#[derive(Debug)]
pub struct Network {
    local: LocalUser,
    keepalive: Duration,
    guide: Guide,
    /// Starts no program, whatever ssh_config says.
    looker: Guide,
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
        Self {
            local,
            keepalive: KEEPALIVE,
            guide: Guide::default(),
            looker: Guide::default().without_programs(),
            jumps: Jumps::default(),
            ways: Mutex::default(),
        }
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

    /// Logs in to hosts side by side, with one new connection to each jump host, and leaves again.
    pub(crate) async fn reach_anew(&self, specs: &[&SshSpec], access: &Access) -> Vec<Result<(), HostError>> {
        const AT_ONCE: usize = 8;
        let jumps = Jumps::default();
        let mut all = Vec::new();
        for some in specs.chunks(AT_ONCE) {
            let mut reaching = Vec::new();
            for spec in some {
                let way = self.guide.way(spec, &self.local).await;
                let jumps = &jumps;
                reaching.push(async move { self.open(&way?, &access.keys, jumps).await.map(drop) });
            }
            all.extend(side_by_side(reaching).await);
        }
        all
    }

    /// The stops on the way to a host, itself last; none where only a program could tell.
    pub(crate) async fn stops(&self, spec: &SshSpec) -> Vec<Stop> {
        let Ok(way) = self.looker.way(spec, &self.local).await else { return Vec::new() };
        let mut stops = Vec::new();
        let mut next = Some(&way);
        while let Some(hop) = next {
            stops.push(Stop { address: hop.settings.address.to_lowercase(), port: hop.settings.port });
            next = match &hop.via {
                Via::Jump(jump) => Some(jump.as_ref()),
                Via::Direct | Via::Command(..) => None,
            };
        }
        stops.reverse();
        stops
    }

    /// The encrypted private keys without which hosts, or those before them, cannot be logged in to. What is wrong with
    /// the way to a host is reported when it is connected to.
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

/// Drives futures that borrow, all of them in this task.
async fn side_by_side<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *output = Some(done),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
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
