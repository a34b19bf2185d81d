//! Ctrl-C, and what a CI system sends to end a job.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::ui::progress;

/// Somebody sees to signals.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Both signals, for whoever does something else than to end at once.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
}

impl Signals {
    /// From now on no signal ends the program by itself.
    pub(super) fn take() -> std::io::Result<Self> {
        let signals = Self::listen()?;
        TAKEN.store(true, Ordering::SeqCst);
        Ok(signals)
    }

    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    pub(super) async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            // Asks for an end at once, whoever takes the others.
            _ = self.quit.recv() => {
                end_by(SignalKind::quit());
                SignalKind::quit()
            }
        }
    }
}

/// Until somebody takes them, signals end the program as they would anyhow, but the terminal is left as it was. For programs
/// that show something live.
pub(super) fn leave_well() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without it a signal ends the program as ever.
        let Ok(mut signals) = Signals::listen() else { return };
        tokio::spawn(async move {
            loop {
                let kind = signals.next().await;
                if !TAKEN.load(Ordering::SeqCst) {
                    end_by(kind);
                }
            }
        });
    });
}

/// Ends the program by the signal itself: a shell that runs a script tells that from any exit code.
pub(super) fn end_by(kind: SignalKind) {
    let _nothing_is_drawn = progress::leave();
    // It fails for signals that do not exist.
    let _ = signal_hook::low_level::emulate_default_handler(kind.as_raw_value());
}
