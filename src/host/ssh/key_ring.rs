//! Private keys that were unlocked for a run, by the file that they come from, and which ones must be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{PrivateKey, PublicKey};

use super::agent;
use super::key_file::{self, KeyFile};
use super::local_user::LocalUser;
use super::settings::Settings;
use crate::secret::{Secret, SecretId};

/// Unlocked keys. Cheap to clone; shows nothing.
#[derive(Clone, Default)]
pub struct KeyRing(BTreeMap<PathBuf, Arc<PrivateKey>>);

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl KeyRing {
    /// Unlocks a key. `false`: the passphrase is another one.
    #[must_use]
    pub fn unlock(&mut self, key: &LockedKey, passphrase: &Secret) -> bool {
        let Some(private) = key_file::unlock(&key.text, passphrase.expose()) else { return false };
        self.0.insert(key.path.clone(), Arc::new(private));
        true
    }

    /// The key of a file.
    pub(super) fn get(&self, path: &Path) -> Option<&Arc<PrivateKey>> {
        self.0.get(path)
    }
}

/// A private key file that is encrypted, and that no agent holds.
#[derive(Debug, Clone)]
pub struct LockedKey {
    /// The file.
    pub path: PathBuf,
    /// The passphrase that the inventory names for it.
    pub passphrase: Option<SecretId>,
    /// The encrypted text.
    text: Arc<str>,
}

/// The keys that must be unlocked to log in with these settings (each with the passphrase that the inventory names): those
/// that are named, and, where none is, the usual files, if neither the agent nor one of these files has a key that is
/// ready. Each is reported once.
pub(super) async fn locked_keys(all: Vec<(Settings, Option<SecretId>)>, local: &LocalUser) -> Vec<LockedKey> {
    let mut named: BTreeMap<PathBuf, Option<SecretId>> = BTreeMap::new();
    let mut unnamed: Vec<Option<SecretId>> = Vec::new();
    let mut sockets: BTreeSet<PathBuf> = BTreeSet::new();
    for (settings, passphrase) in all {
        sockets.extend(settings.agent_socket(local));
        if settings.identity_files.is_empty() && !settings.no_usual_files {
            unnamed.push(passphrase.clone());
        }
        for path in settings.identity_files {
            let known = named.entry(path).or_default();
            *known = known.take().or_else(|| passphrase.clone());
        }
    }
    let mut locked: Vec<Found> = named.into_iter().filter_map(|(path, passphrase)| found(path, passphrase)).collect();
    let mut usual = Vec::new();
    if !unnamed.is_empty() {
        let passphrase = unnamed.into_iter().flatten().next();
        let files = local.usual_files();
        usual.extend(files.iter().cloned().filter_map(|path| found(path, passphrase.clone())));
        if files.iter().any(|path| matches!(key_file::read(path), Ok(KeyFile::Private(_)))) {
            usual.clear();
        }
    }
    if locked.is_empty() && usual.is_empty() {
        return Vec::new();
    }
    let held = agent::held_by(&sockets).await;
    if held.is_empty() {
        usual.retain(|one| locked.iter().all(|other| other.key.path != one.key.path));
        locked.append(&mut usual);
    }
    let is_held = |public: &PublicKey| held.iter().any(|held| held.key_data() == public.key_data());
    locked.retain(|one| !one.public.as_ref().is_some_and(is_held));
    locked.into_iter().map(|one| one.key).collect()
}

/// A locked key, and its public half where that can be read.
struct Found {
    key: LockedKey,
    public: Option<PublicKey>,
}

/// What is wrong with other files is reported when they are used.
fn found(path: PathBuf, passphrase: Option<SecretId>) -> Option<Found> {
    match key_file::read(&path) {
        Ok(KeyFile::Locked { key: public, text }) => Some(Found { key: LockedKey { path, passphrase, text }, public }),
        _ => None,
    }
}
