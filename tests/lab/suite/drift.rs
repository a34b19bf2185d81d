//! One drift at a time: shown by a plan for what it is, mended by an apply, and nothing else touched.

use super::host::Snapshot;
use super::world::World;

/// What somebody did behind rprov's back, and what must become of it.
pub(crate) struct Drift<'a> {
    /// What it is, for messages.
    pub(crate) what: &'a str,
    /// How it comes about.
    pub(crate) make: &'a dyn Fn(&World),
    /// The changes that the plan must show, all of them, as [`super::plan::Plan::lines`] writes them.
    pub(crate) shown: &'a [&'a str],
    /// Words that the plan for people must hold.
    pub(crate) words: &'a [&'a str],
    /// What of the host may differ between before the drift and after it was mended ([`Snapshot::differences`]).
    pub(crate) touched: &'a [&'a str],
    /// Requests to GitLab that ask for a change, `METHOD PATH`.
    pub(crate) asked: &'a [&'a str],
}

/// A converged host on which drifts are tried one after the other.
pub(crate) struct Bench {
    pub(crate) world: World,
    before: Snapshot,
}

impl Bench {
    /// `None`: no lab.
    pub(crate) fn new() -> Option<Self> {
        let world = World::converged()?;
        // The runner's container has come to rest when it has read its configuration.
        world.host().wait_until(10, "docker logs gitlab-runner 2>&1 | grep -q 'Configuration loaded'");
        let before = world.host().snapshot();
        Some(Self { world, before })
    }

    /// Tries one.
    #[track_caller]
    pub(crate) fn try_drift(&mut self, drift: &Drift<'_>) {
        let (world, what) = (&self.world, drift.what);
        let records = world.gitlab.state().runners.len();
        (drift.make)(world);
        let plan = world.plan();
        assert_eq!(plan.lines(), drift.shown, "{what}: the plan is another one; notes: {:#?}", plan.notes());
        assert!(plan.origins().iter().all(|origin| origin == "inventory.yml"), "{what}: {:?}", plan.origins());
        let text = world.plan_text();
        for word in drift.words {
            assert!(text.contains(word), "{what}: the plan does not say {word:?}:\n{text}");
        }
        world.gitlab.forget_requests();
        let outcome = world.apply();
        let asked: Vec<String> = world.gitlab.mutations();
        assert!(
            asked.len() == drift.asked.len() && asked.iter().zip(drift.asked).all(|(is, must)| matches(is, must)),
            "{what}: GitLab was asked for {asked:?} instead of {:?}\n{outcome}",
            drift.asked
        );
        assert!(world.gitlab.state().runners.len() <= records.max(1), "{what}: another record was made\n{outcome}");
        world.assert_converged(what);
        let after = world.host().snapshot();
        let touched = self.before.differences(&after, drift.touched);
        assert!(touched.is_empty(), "{what}: something else was touched:\n{}\n{outcome}", touched.join("\n"));
        self.before = after;
    }
}

/// `*` in a path that must have been asked for stands for any one part.
fn matches(is: &str, must: &str) -> bool {
    let (is, must): (Vec<&str>, Vec<&str>) = (is.split('/').collect(), must.split('/').collect());
    is.len() == must.len() && is.iter().zip(&must).all(|(is, must)| *must == "*" || is == must)
}
