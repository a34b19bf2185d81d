//! Reads what is the user's own and not in a file of the inventory: the values of secrets, and where home is. The other
//! of the two places of the inventory that do I/O.

use std::path::PathBuf;

/// The user's home directory, which `~` stands for.
pub(super) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}
