//! Jump hosts: one connection to each for all hosts of a run, and channels through it. Another connection is opened only
//! where the jump host refuses further channels on the first, and for the trial of a change, which must come all the way anew. Where
//! there are many jump hosts, those that nobody goes through just now are left.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelOpenFailure, ChannelStream};
use tokio::time::{Instant, timeout};

use super::client::words;
use super::connect::{Connected, Network};
use super::key_ring::KeyRing;
use super::settings::{Hop, Settings};
use crate::host::HostError;

/// A jump host that could not be reached is not tried again for so long: all hosts behind it would wait for it in turn.
const REST: Duration = Duration::from_secs(10);

/// So many jump hosts are kept connected to while nobody goes through them: a process may open only so many files.
const KEPT: usize = 8;

/// The jump hosts of a run.
#[derive(Debug, Default)]
pub(super) struct Jumps(Mutex<HashMap<Arc<Hop>, Arc<Gate>>>);

/// One of them.
#[derive(Debug, Default)]
struct Gate {
    /// Held while a connection is being opened: everybody else waits for that one.
    state: tokio::sync::Mutex<State>,
    /// It refuses on a fresh connection what it refused on a used one: this is no matter of numbers.
    refuses: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Arc<Passage>>,
    failed: Option<(Instant, HostError)>,
}

/// A connection to a jump host.
pub(super) struct Passage {
    connected: Connected,
    /// Takes no further channel.
    full: AtomicBool,
    /// Has taken one.
    used: AtomicBool,
}

impl std::fmt::Debug for Passage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passage").field("full", &self.full).field("used", &self.used).finish_non_exhaustive()
    }
}

/// A channel, and the connection that it needs.
pub(super) struct Through {
    pub(super) stream: ChannelStream<Msg>,
    /// Ends with the last of its channels, or with the run.
    pub(super) _passage: Arc<Passage>,
}

impl Jumps {
    /// A way through a jump host to another host.
    pub(super) async fn through(
        &self,
        network: &Network,
        keys: &KeyRing,
        jump: &Arc<Hop>,
        to: &Settings,
    ) -> Result<Through, HostError> {
        let gate = {
            let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(gates.entry(Arc::clone(jump)).or_default())
        };
        self.leave_idle();
        loop {
            let passage = gate.passage(self, network, keys, jump).await?;
            let used = passage.used.load(Ordering::SeqCst);
            let unreachable = |why: String| HostError::Unreachable {
                address: to.label(),
                jump: jump.label.0.clone(),
                why,
                prohibited: gate.refuses.load(Ordering::SeqCst),
            };
            // The jump host connects before it answers.
            let bound = Duration::from_secs(to.connect_timeout).min(Duration::from_secs(86_400));
            let port = u32::from(to.port);
            let opening = passage.connected.handle.channel_open_direct_tcpip(&to.address, port, "127.0.0.1", 0);
            let why = match timeout(bound, opening).await {
                Ok(Ok(channel)) => {
                    passage.used.store(true, Ordering::SeqCst);
                    return Ok(Through { stream: channel.into_stream(), _passage: passage });
                }
                Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                    let numbers = match reason {
                        ChannelOpenFailure::ResourceShortage => true,
                        ChannelOpenFailure::AdministrativelyProhibited => !gate.refuses.load(Ordering::SeqCst),
                        _ => false,
                    };
                    if numbers && used {
                        passage.full.store(true, Ordering::SeqCst);
                        continue;
                    }
                    if reason == ChannelOpenFailure::AdministrativelyProhibited {
                        gate.refuses.store(true, Ordering::SeqCst);
                    }
                    in_words(&reason)
                }
                Ok(Err(_)) if used => {
                    // It was open, and is no more: a new one may do.
                    passage.full.store(true, Ordering::SeqCst);
                    continue;
                }
                Ok(Err(error)) => passage.connected.ended.get().cloned().unwrap_or_else(|| words(&error)),
                Err(_) => format!("no answer within {} s", to.connect_timeout),
            };
            return Err(unreachable(why));
        }
    }
}

impl Jumps {
    /// Closes connections that nobody goes through, where there are many.
    fn leave_idle(&self) {
        let gates: Vec<Arc<Gate>> = {
            let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if gates.len() <= KEPT {
                return;
            }
            gates.values().cloned().collect()
        };
        for gate in gates {
            // One that is being opened has somebody who waits for it.
            let Ok(mut state) = gate.state.try_lock() else { continue };
            state.open.retain(|passage| Arc::strong_count(passage) > 1);
        }
    }
}

impl Gate {
    /// A connection that may have room; opened if there is none.
    async fn passage(
        &self,
        jumps: &Jumps,
        network: &Network,
        keys: &KeyRing,
        jump: &Hop,
    ) -> Result<Arc<Passage>, HostError> {
        let mut state = self.state.lock().await;
        state.open.retain(|passage| !passage.full.load(Ordering::SeqCst) && !passage.connected.handle.is_closed());
        if let Some(passage) = state.open.first() {
            return Ok(Arc::clone(passage));
        }
        if let Some((when, error)) = &state.failed
            && when.elapsed() < REST
        {
            return Err(error.clone());
        }
        match Box::pin(network.open(jump, keys, jumps)).await {
            Ok(connected) => {
                let passage = Passage { connected, full: AtomicBool::new(false), used: AtomicBool::new(false) };
                let passage = Arc::new(passage);
                state.open.push(Arc::clone(&passage));
                Ok(passage)
            }
            Err(error) => {
                let error = match error {
                    // Says already which one it was.
                    error @ HostError::Jump { .. } => error,
                    error => HostError::Jump { jump: jump.label.0.clone(), error: Box::new(error) },
                };
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

fn in_words(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::ConnectFailed => "nothing answers there, or the way is closed".to_owned(),
        ChannelOpenFailure::AdministrativelyProhibited => {
            "its sshd does not pass connections on (AllowTcpForwarding, PermitOpen)".to_owned()
        }
        ChannelOpenFailure::UnknownChannelType => "it does not know how to pass connections on".to_owned(),
        ChannelOpenFailure::ResourceShortage => "it passes no further connection on (too many)".to_owned(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests;
