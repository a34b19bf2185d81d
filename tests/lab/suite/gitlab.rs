//! GitLab's double, one for each test, at the address where hosts could reach it.

use std::sync::OnceLock;

use std::time::{Duration, Instant};

use gitlab_double::{Config, Double, Entry, Fault, Job, Runner, State};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::lab::Lab;

/// The API token of these tests: administrator, scope `api`. A name that nothing else could contain by chance.
pub(crate) const API_TOKEN: &str = "glpat-Zx9kQ7vTnLm2RwYb4HcP";

/// A GitLab of its own.
#[derive(Debug)]
pub(crate) struct Gitlab {
    double: Double,
}

/// All doubles run on one runtime that lives as long as the tests.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts")
    })
}

impl Gitlab {
    /// An empty GitLab.
    pub(crate) fn start(lab: &Lab) -> Self {
        let double = runtime().block_on(async {
            let listener = TcpListener::bind((lab.gateway(), 0)).await.expect("the lab's network is up");
            gitlab_double::serve(listener, Config::default()).expect("the double starts")
        });
        let gitlab = Self { double };
        gitlab.edit(|state| {
            let admin = state.tokens.iter_mut().find(|token| token.name == "admin-api").expect("seeded");
            admin.token = API_TOKEN.to_owned();
        });
        gitlab
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> &str {
        self.double.url()
    }

    /// Everything it remembers.
    pub(crate) fn state(&self) -> State {
        self.double.state()
    }

    /// Everything it remembers, as text that is equal if and only if nothing changed.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string_pretty(&self.state()).expect("records serialise")
    }

    /// Changes something behind rprov's back.
    pub(crate) fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.double.edit(change).expect("the double keeps its state in memory")
    }

    /// Changes the one runner behind rprov's back.
    pub(crate) fn edit_runner(&self, change: impl FnOnce(&mut Runner)) {
        let id = self.runner().id;
        self.edit(|state| change(state.runners.get_mut(&id).expect("it was just there")));
    }

    /// The one runner record. Fails the test if there is none, or a second.
    pub(crate) fn runner(&self) -> Runner {
        let all: Vec<Runner> = self.state().runners.into_values().collect();
        let [runner] = all.as_slice() else {
            panic!("one runner record is expected, there are {}: {all:#?}", all.len())
        };
        runner.clone()
    }

    /// Queues a job for runners to take; its id. `spec` as the double's README has it.
    pub(crate) fn queue_job(&self, spec: &serde_json::Value) -> u64 {
        self.double.queue_job(spec).expect("such a job can be queued")
    }

    /// A job as it stands.
    pub(crate) fn job(&self, id: u64) -> Job {
        self.state().jobs.get(&id).expect("it was queued").clone()
    }

    /// Waits until a job fulfils a condition; the job.
    #[track_caller]
    pub(crate) fn await_job(&self, id: u64, what: &str, fulfils: impl Fn(&Job) -> bool) -> Job {
        let until = Instant::now() + Duration::from_secs(180);
        loop {
            let job = self.job(id);
            if fulfils(&job) {
                return job;
            }
            let log = String::from_utf8_lossy(&job.trace).into_owned();
            assert!(Instant::now() < until, "job {id} has not {what}: {}, {:?}\n{log}", job.status, job.failure_reason);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Plays another release of GitLab.
    pub(crate) fn set_version(&self, version: &str) {
        self.double.set_version(version);
    }

    /// Orders a fault.
    pub(crate) fn fault(&self, fault: Fault) {
        self.double.fault(fault);
    }

    /// The faults that have not been met yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.double.faults().len()
    }

    /// Takes back what was ordered.
    pub(crate) fn forget_faults(&self) {
        self.double.forget_faults();
    }

    /// The requests since the last call of [`Gitlab::forget_requests`].
    pub(crate) fn requests(&self) -> Vec<Entry> {
        self.double.requests()
    }

    /// Those of them that ask for a change, as `METHOD PATH`.
    pub(crate) fn mutations(&self) -> Vec<String> {
        let asks = |entry: &Entry| !["GET", "HEAD"].contains(&entry.method.as_str());
        self.requests().iter().filter(|e| asks(e)).map(|e| format!("{} {}", e.method, e.path)).collect()
    }

    /// Starts a new list of requests.
    pub(crate) fn forget_requests(&self) {
        self.double.clear_requests();
    }
}
