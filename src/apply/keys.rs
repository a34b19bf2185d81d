//! Keys of package repositories, fetched once in a run and only where a host lacks one. One that cannot be had, or is not
//! the one that the inventory names, is unread: a problem of the hosts that need it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

use crate::desired;
use crate::facts::{Facts, Known, Reason, Why};
use crate::inventory::model::HostSpec;
use crate::{openpgp, web};

use super::Shared;

/// By address and fingerprint: the armored key, or why there is none.
type Answer = Arc<OnceCell<Result<String, Why>>>;

/// The keys that this run has asked for.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<HashMap<(String, String), Answer>>);

/// Fetches what the host lacks into its facts.
pub(super) async fn read(shared: &Shared, spec: &HostSpec, facts: &mut Facts) {
    let wanted: Vec<_> = desired::repositories(spec).iter().filter_map(|one| one.wanted_key(facts)).collect();
    for (url, fingerprint) in wanted {
        let answer = {
            let mut all = shared.keys.0.lock().await;
            Arc::clone(all.entry((url.clone(), fingerprint.clone())).or_default())
        };
        let key = answer.get_or_init(|| fetch(shared, &url, &fingerprint)).await;
        let known = match key {
            Ok(key) => Known::Present(key.clone()),
            Err(why) => Known::unread(why.clone()),
        };
        facts.keys.insert(url, known);
    }
}

async fn fetch(shared: &Shared, url: &str, fingerprint: &str) -> Result<String, Why> {
    if shared.settings.refused.as_ref().is_some_and(|refused| !refused.may_fetch(url)) {
        let why = format!("refused: {url} is not asked for its key: the target branch's inventory does not name it");
        return Err(Why::of(Reason::Refused, why));
    }
    let ca_pem = shared.inventory.gitlab.as_ref().and_then(|gitlab| gitlab.ca_pem.as_deref());
    let ca_pem = super::authority(&shared.settings, ca_pem);
    let bytes = web::fetch(url, ca_pem).await.map_err(|why| {
        Why::from(format!("the repository's key cannot be fetched: {why}"))
            .help("`key_file` takes one that lies beside the inventory")
    })?;
    let key = openpgp::read(&bytes).map_err(|bad| format!("this is no key for a repository: {bad}"))?;
    if key.fingerprint != fingerprint {
        let (found, wanted) = (openpgp::shown(&key.fingerprint), openpgp::shown(fingerprint));
        return Err(Why::from(format!("the key there is {found}, and the inventory wants {wanted}"))
            .help("if the vendor has announced a new one, write its fingerprint down"));
    }
    Ok(key.armored)
}
