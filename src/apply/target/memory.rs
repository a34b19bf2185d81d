//! What a host remembers of the last run, and is given to remember of this one.

use super::super::{Shared, exchange, hold};
use super::Target;
use crate::facts::Remembered;
use crate::script::applied::{self, LastApply};
use crate::script::lock;

impl Target {
    /// Who the machine is, for the host to remember.
    pub(in crate::apply) fn identity<'a>(&'a self, shared: &'a Shared) -> applied::Identity<'a> {
        let name = &self.spec(shared).name;
        applied::Identity {
            machine: self.machine.as_deref(),
            installation: self.installation.as_deref(),
            system_id: self.system_id.as_deref(),
            inventory: shared.inventory.gitlab.as_ref().and_then(|gitlab| gitlab.inventory.as_deref()),
            // The next run still knows a renaming that this one, killed halfway, has left undone.
            before: self.remembered.hosts.iter().find(|host| *host != name).map(String::as_str),
            former_ids: self.former_ids(),
            held: self.runners_to_hold.as_ref(),
        }
    }

    /// What its runner manager called itself before the name that it has now, the last first.
    pub(super) fn former_ids(&self) -> Vec<&str> {
        let all = self.remembered.system_id.iter().chain(&self.remembered.former_ids).map(String::as_str);
        let mut ids: Vec<&str> = Vec::new();
        for id in all.filter(|id| Some(*id) != self.system_id.as_deref()) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids.truncate(applied::FORMER_IDS);
        ids
    }

    /// Has the host remember which runners it has and what its runner manager calls itself, which that makes up only when it starts:
    /// the note of the run that starts it was written before. Should the host lose its directory, this tells its own runners and
    /// manager from another machine's. Where another run has the lock, or has been here since, that run writes it.
    pub(in crate::apply) async fn note_runners(&mut self, shared: &Shared) {
        let name = &self.spec(shared).name;
        let here = self.remembered.hosts.first() == Some(name);
        let Some(last) = &self.last else { return };
        let known = self.system_id.is_none() || self.remembered.system_id == self.system_id;
        if !here || (known && self.remembered.held == self.held_runners) {
            return;
        }
        let id = self.system_id.as_deref().or(self.remembered.system_id.as_deref());
        let holder = shared.holder(name);
        let text = lock::acquire(&holder, hold::SECONDS, None)
            + &applied::note_runners(last, id, &self.former_ids(), self.held_runners.as_ref())
            + &lock::release(&holder);
        let script = crate::script::wrap(&text, &exchange::nonce());
        // Where nothing was to be done, the connection has ended by now. What fails here is for the next run to do.
        let ended = self.host.is_none();
        let _slot = if ended { Some(shared.slots.acquire().await) } else { None };
        if ended && self.return_to(shared).await.is_err() {
            return;
        }
        if let Some(host) = self.host.as_mut() {
            let _ = host.run(&script, crate::host::Limits::default(), &mut |_| {}).await;
        }
        if ended {
            self.disconnect(shared).await;
        }
    }
}

/// What counts of the note on a host: a disk that was put into another installation brings the note along.
pub(super) fn remembered(last: Option<&LastApply>, installation: Option<&str>) -> Remembered {
    let Some(last) = last.filter(|last| installation.is_some() && last.installation.as_deref() == installation) else {
        return Remembered::default();
    };
    Remembered {
        hosts: last.host.iter().chain(&last.before).cloned().collect(),
        inventory: last.inventory.clone(),
        system_id: last.system_id.clone(),
        former_ids: last.former_ids.clone(),
        held: last.held.clone(),
    }
}
