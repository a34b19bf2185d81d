//! Scripts on this machine.
