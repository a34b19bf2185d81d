//! What is typed while a live view is up is not shown: the terminal's echo would move the cursor away under it. Ctrl-C works on.

use std::io::stderr;
use std::sync::{Mutex, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr};

/// Whether the echo is to come back.
static OFF: Mutex<bool> = Mutex::new(false);

/// No echo as long as it lives.
pub(super) struct Quiet;

impl Quiet {
    pub(super) fn new() -> Self {
        let mut off = OFF.lock().unwrap_or_else(PoisonError::into_inner);
        *off = *off || set(false);
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        restore();
    }
}

/// Brings the echo back, if it was taken away.
pub(super) fn restore() {
    let mut off = OFF.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::take(&mut *off) {
        set(true);
    }
}

/// Says whether it changed anything. A terminal that cannot do it is as good as one that need not.
fn set(echo: bool) -> bool {
    let terminal = stderr();
    // Whoever touches the terminal from the background is halted; and a shell that is in front has its own settings.
    if tcgetpgrp(&terminal) != Ok(rustix::process::getpgrp()) {
        return false;
    }
    let Ok(mut modes) = tcgetattr(&terminal) else { return false };
    let before = modes.local_modes;
    modes.local_modes.set(LocalModes::ECHO, echo);
    modes.local_modes != before && tcsetattr(&terminal, OptionalActions::Now, &modes).is_ok()
}
