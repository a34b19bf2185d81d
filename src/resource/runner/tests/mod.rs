//! A small world for tests: one host's config.toml, one GitLab, and plans carried out on them step by step.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{
    Content, Facts, Known, ListedRunner, ManagerFact, Misplaced, PathFact, PathKind, Remembered, RunnerRecord, Way,
};
use crate::inventory::model::{
    Connection, ContainerSpec, GitlabSpec, HostSpec, Manager, ManagerSpec, RunnerSpec, Scope, Unmanaged,
};
use crate::marker::{self, Marker};
use crate::name::RemotePath;
use crate::plan::Change;
use crate::resource::runner::Runners;
use crate::resource::{Context, Diff, Earlier, Resource as _};
use crate::runner_config::parse::parse;
use crate::runner_config::{saved_by_runner, span, table};
use crate::secret::start::TokenStart;
use crate::secret::{Late, Secret, SecretBook, SecretId};
use crate::step::{GitlabStep, RunnerAttributes, Step};

mod crashes;
mod drift;
mod identity;
mod living;
mod matches;
mod orphans;
mod projects;
mod renewals;
mod swapped;
mod verdicts;
mod what_came;

const HOST: &str = "ci.example.com";
const PATH: &str = "/srv/gitlab-runner/config.toml";

/// A record and what only GitLab knows of it.
#[derive(Clone, Debug)]
struct Server {
    record: RunnerRecord,
    token: String,
}

#[derive(Clone, Debug)]
struct World {
    spec: HostSpec,
    file: Option<String>,
    mode: u32,
    records: BTreeMap<u64, Server>,
    /// Seconds since 1970; each new token takes one.
    /// The time by GitLab's clock, where it was asked.
    gitlab_now: Option<i64>,
    clock: i64,
    next_id: u64,
    /// What other hosts have of its tokens.
    misplaced: Misplaced,
    /// What time it is, if that is known.
    now: Option<i64>,
    /// `token_expires_at` of new tokens is so many seconds away.
    lifetime: Option<i64>,
    /// The container: `None`: not there.
    running: Option<bool>,
    /// GitLab does not answer.
    offline: bool,
    /// GitLab does not list how tokens begin.
    untold: bool,
    /// What `POST /runners/verify` was asked.
    proofs: usize,
    /// Records that something else than this host contacts GitLab with: seconds ago.
    contacts: BTreeMap<u64, u64>,
    /// Machines that use records, as GitLab tells them.
    managers: BTreeMap<u64, Vec<ManagerFact>>,
    /// `.runner_system_id`
    system_id: Option<String>,
    /// What the host remembers.
    remembered: Remembered,
    /// The runner whose token was found alive where it was to be dropped.
    alive: Option<u64>,
    /// Names of the inventory's hosts.
    hosts: BTreeSet<String>,
    /// `gitlab.inventory`.
    inventory: Option<String>,
}

/// A token of its own for each second, from its first character on.
fn token_at(clock: i64) -> String {
    format!("glrt-{}", clock.to_string().chars().rev().collect::<String>())
}

fn runner(name: &str) -> RunnerSpec {
    RunnerSpec {
        name: name.to_owned(),
        scope: Scope::Instance,
        description: format!("{HOST} {name}"),
        tags: vec!["docker".to_owned(), "production".to_owned()],
        run_untagged: true,
        protected: false,
        locked: false,
        paused: false,
        maximum_timeout: Some(7200),
        note: String::new(),
        projects: None,
        config: table("executor = 'docker'\nlimit = 10\n[docker]\nimage = 'debian:12'\npull_policy = 'always'"),
        absent: false,
        origin: span(10),
        config_exact: false,
        // All of them are declared.
        origins: [
            ("description", 10),
            ("tags", 12),
            ("run_untagged", 10),
            ("protected", 10),
            ("locked", 10),
            ("paused", 13),
            ("maximum_timeout", 10),
            ("note", 10),
        ]
        .map(|(name, line)| (name.to_owned(), span(line)))
        .into(),
    }
}

impl World {
    fn new(runners: Vec<RunnerSpec>) -> Self {
        let container = ContainerSpec {
            name: "gitlab-runner".to_owned(),
            image: "gitlab/gitlab-runner:v17.9.0".to_owned(),
            config_dir: RemotePath::new("/srv/gitlab-runner").unwrap(),
            mounts: Vec::new(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            networks: vec!["bridge".to_owned()],
            ports: Vec::new(),
            extra_hosts: Vec::new(),
            restart: "always".to_owned(),
            stop_timeout: 7200,
            config_volume: None,
            options: crate::inventory::model::ContainerOptions::default(),
            declared: Default::default(),
            origin: span(2),
            image_origin: span(3),
        };
        let manager = ManagerSpec {
            process: Manager::Container(Box::new(container)),
            config: table("concurrent = 4\ncheck_interval = 3"),
            config_exact: false,
            unmanaged_runners: Unmanaged::Keep,
            system_id: None,
            origin: span(1),
            config_origin: span(4),
        };
        let spec = HostSpec {
            name: HOST.to_owned(),
            groups: Vec::new(),
            connection: Connection::Local { sudo: false, become_password: None },
            repositories: Vec::new(),
            packages: Vec::new(),
            ca_certificates: Vec::new(),
            directories: Vec::new(),
            files: Vec::new(),
            docker: None,
            manager: Some(manager),
            runners,
            cleanup: None,
            firewall: None,
            origin: span(1),
        };
        Self {
            spec,
            file: None,
            mode: 0o600,
            records: BTreeMap::new(),
            gitlab_now: None,
            clock: 1_790_000_000,
            next_id: 42,
            misplaced: Misplaced::default(),
            now: None,
            lifetime: None,
            running: Some(true),
            offline: false,
            untold: false,
            proofs: 0,
            contacts: BTreeMap::new(),
            managers: BTreeMap::new(),
            system_id: None,
            remembered: Remembered::default(),
            alive: None,
            hosts: [HOST.to_owned(), "other.example.com".to_owned()].into(),
            inventory: None,
        }
    }

    /// One that rprov has brought up.
    fn applied(runners: Vec<RunnerSpec>) -> Self {
        let mut world = Self::new(runners);
        world.converge();
        world
    }

    fn resource(&self) -> Runners {
        let gitlab = GitlabSpec {
            url: "https://gitlab.example.com".to_owned(),
            api_token: SecretId::new("env:GITLAB_TOKEN"),
            ca_pem: None,
            variables: Vec::new(),
            inventory: self.inventory.clone(),
            hosts: std::sync::Arc::new(self.hosts.clone()),
            origin: span(1),
        };
        Runners::new(&self.spec, Some(&gitlab)).unwrap()
    }

    /// Facts, read the way a run reads them.
    fn facts(&self) -> Facts {
        let path = |content: &String| PathFact {
            kind: PathKind::File,
            mode: self.mode,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime_ns: 0,
            content: Some(Known::Present(Content::Text(Secret::new(content.clone())))),
            way: Way::default(),
        };
        let mut facts = Facts {
            clock: self.now,
            gitlab_now: self.gitlab_now,
            misplaced: self.misplaced.clone(),
            ..Facts::default()
        };
        facts.remembered = self.remembered.clone();
        let system_id = RemotePath::new("/srv/gitlab-runner/.runner_system_id").unwrap();
        facts.paths.insert(system_id, self.system_id.as_ref().map_or(Known::Absent, |id| Known::Present(path(id))));
        facts.paths.insert(
            RemotePath::new(PATH).unwrap(),
            self.file.as_ref().map_or(Known::Absent, |c| Known::Present(path(c))),
        );
        let container = self
            .running
            .map_or(Known::Absent, |running| Known::Present(serde_json::json!({"State": {"Running": running}})));
        facts.containers.insert("gitlab-runner".to_owned(), container);
        let resource = self.resource();
        for scope in resource.wanted_lists() {
            let listed = self.listed(&scope);
            facts.listed.insert(scope, listed);
        }
        for id in resource.wanted_records(&facts) {
            let record = self.records.get(&id).map_or(Known::Absent, |server| Known::Present(server.record.clone()));
            let record = if self.offline { Known::unread("no route to host".to_owned()) } else { record };
            facts.records.insert(id, record);
        }
        for (name, _) in resource.wanted_markers(&facts) {
            if self.offline {
                facts.marked.insert(name, Known::unread("no route to host".to_owned()));
                continue;
            }
            let own =
                |mark: Marker| mark.is_of(&self.spec.name, &name) && mark.is_of_inventory(self.inventory.as_deref());
            let marked = self
                .records
                .values()
                .filter(|server| marker::parse(&server.record.maintenance_note).1.is_some_and(own));
            let ids: Vec<u64> = marked.map(|server| server.record.id).collect();
            for id in &ids {
                facts.records.insert(*id, Known::Present(self.records[id].record.clone()));
            }
            facts.marked.insert(name, Known::Present(ids));
        }
        for id in resource.wanted_managers(&facts, false) {
            facts.managers.insert(id, Known::Present(self.managers.get(&id).cloned().unwrap_or_default()));
        }
        for path in resource.wanted_projects(&facts) {
            let known = if path.contains("nowhere") { Known::Absent } else { Known::Present(1) };
            facts.projects.insert(path, known);
        }
        facts
    }

    /// What GitLab lists of a scope.
    fn listed(&self, scope: &Scope) -> Known<std::sync::Arc<Vec<ListedRunner>>> {
        if self.offline || self.untold {
            return Known::unread("GET /graphql: 401 Invalid token".to_owned());
        }
        let among = |paths: &[String], path: &String| paths.iter().any(|own| own.eq_ignore_ascii_case(path));
        let of_scope = |record: &RunnerRecord| match scope {
            Scope::Instance => record.runner_type == "instance_type",
            Scope::Group(path) => record.runner_type == "group_type" && among(&record.groups, path),
            Scope::Project(path) => record.runner_type == "project_type" && among(&record.projects[..1], path),
        };
        let listed = |server: &Server| ListedRunner {
            id: server.record.id,
            mark: marker::parse(&server.record.maintenance_note).1,
            note_hidden: server.record.note_hidden,
            description: server.record.description.clone(),
            token: TokenStart::new(server.token.strip_prefix("glrt-").unwrap_or_default().chars().take(8).collect()),
            contacted_ago: self.contacts.get(&server.record.id).copied(),
        };
        let found = self.records.values().filter(|server| of_scope(&server.record)).map(listed);
        Known::Present(std::sync::Arc::new(found.collect()))
    }

    fn marked(&self, spec: &str) -> Vec<u64> {
        let is = |note: &str| {
            marker::parse(note)
                .1
                .is_some_and(|mark| mark.is_of(HOST, spec) && mark.is_of_inventory(self.inventory.as_deref()))
        };
        self.records.values().filter(|server| is(&server.record.maintenance_note)).map(|s| s.record.id).collect()
    }

    fn book(&self, facts: &Facts) -> SecretBook {
        let mut book = SecretBook::default();
        book.bind(SecretId::new("env:CACHE"), Secret::new("cache-\"secret\"".to_owned()));
        for (id, secret) in self.resource().host_secrets(facts) {
            book.bind(id, secret);
        }
        book
    }

    fn diff(&self) -> Diff {
        let facts = self.facts();
        let (book, earlier) = (self.book(&facts), Earlier::default());
        let diff = self.resource().diff(&Context { facts: &facts, book: &book, earlier: &earlier });
        let diff = diff.unwrap_or_else(|cannot| panic!("{cannot}"));
        // Whatever is planned, no token is in it.
        let json = serde_json::to_string(&diff.changes).unwrap() + &format!("{:?}{:?}", diff.notes, diff.problems);
        assert!(!json.contains("glrt-"), "{json}");
        assert!(!json.contains("cache-"), "{json}");
        diff
    }

    fn error(&self) -> String {
        let facts = self.facts();
        let (book, earlier) = (self.book(&facts), Earlier::default());
        self.resource().diff(&Context { facts: &facts, book: &book, earlier: &earlier }).unwrap_err().to_string()
    }

    /// Does what goes with whatever is applied.
    fn keep_up(&mut self, diff: &Diff) {
        let mut book = self.book(&self.facts());
        for step in &diff.upkeep {
            let Step::Gitlab(step) = step else { panic!("{step:?}") };
            self.gitlab(step, &mut book, &mut BTreeMap::new());
        }
    }

    /// Carries out at most so many steps; returns how many there were to do.
    fn apply(&mut self, changes: &[Change], at_most: usize) -> usize {
        let mut book = self.book(&self.facts());
        let mut ids = BTreeMap::new();
        let steps: Vec<&Step> = changes.iter().flat_map(|change| &change.steps).collect();
        for step in steps.iter().take(at_most) {
            match step {
                Step::WriteFile(file) => {
                    let now = self.file.as_deref().map(crate::resource::file::sha256);
                    assert_eq!(now, file.replaces, "the file is another one");
                    assert_eq!((file.path.as_str(), file.mode, file.owner.user.as_str()), (PATH, 0o600, "root"));
                    self.file = Some(file.content.reveal(&book).unwrap());
                    self.mode = file.mode;
                }
                Step::Attributes { mode, .. } => self.mode = *mode,
                Step::Gitlab(step) => {
                    self.gitlab(step, &mut book, &mut ids);
                    if self.alive.is_some() {
                        break;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        steps.len()
    }

    fn gitlab(&mut self, step: &GitlabStep, book: &mut SecretBook, ids: &mut BTreeMap<SecretId, u64>) {
        match step {
            GitlabStep::CreateRunner { token, runner_type, namespace, attributes } => {
                let mark = marker::parse(attributes.maintenance_note.as_ref().unwrap()).1.unwrap();
                assert_eq!(self.marked(&mark.runner), Vec::<u64>::new(), "a second record");
                let id = self.next_id;
                self.next_id += 1;
                let mut record = RunnerRecord {
                    id,
                    runner_type: runner_type.clone(),
                    description: String::new(),
                    tag_list: Vec::new(),
                    run_untagged: true,
                    locked: false,
                    access_level: "not_protected".to_owned(),
                    paused: false,
                    online: Some(true),
                    maximum_timeout: None,
                    maintenance_note: String::new(),
                    created: None,
                    note_hidden: false,
                    groups: Vec::new(),
                    projects: Vec::new(),
                };
                match runner_type.as_str() {
                    "group_type" => record.groups.extend(namespace.clone()),
                    "project_type" => record.projects.extend(namespace.clone()),
                    _ => assert_eq!(*namespace, None),
                }
                set(&mut record, attributes);
                self.records.insert(id, Server { record, token: String::new() });
                self.give_token(id, token, book, ids);
            }
            GitlabStep::ProveToken { id, token, system_id } => {
                assert_eq!(system_id.as_str(), "/srv/gitlab-runner/.runner_system_id");
                assert_eq!(
                    book.get(token).unwrap().expose(),
                    self.records[id].token,
                    "a stranger's runner is taken over"
                );
                self.proofs += 1;
            }
            GitlabStep::CheckUnused { of, token, .. } => {
                let token = book.get(token).unwrap().expose();
                let lives = self.records.iter().find(|(_, server)| server.token == token).map(|(id, _)| *id);
                self.alive = lives.filter(|id| *of != Some(*id));
            }
            GitlabStep::ResetToken { id, token } => {
                let (text, mark) = marker::parse(&self.record(*id).maintenance_note);
                let mark = mark.expect("no token of a record that is not ours is ever reset");
                assert_eq!(SecretId::runner_token(&mark.host, &mark.runner), *token, "another runner's token is reset");
                let note = marker::compose(&text, &mark.reset(self.clock));
                self.record(*id).maintenance_note = note;
                self.give_token(*id, token, book, ids);
            }
            GitlabStep::UpdateRunner { id, token, attributes, stamp_token } => {
                let id = id.unwrap_or_else(|| ids[token]);
                let mut attributes = attributes.clone();
                assert!(*stamp_token || attributes != RunnerAttributes::default(), "GitLab refuses an empty update");
                if *stamp_token {
                    let note = attributes.maintenance_note.unwrap_or(self.record(id).maintenance_note.clone());
                    let (text, mark) = marker::parse(&note);
                    let obtained = book.get(&token.late_beside(Late::TokenObtainedAt).unwrap());
                    let obtained = obtained.map(|time| time.expose().parse::<jiff::Timestamp>().unwrap().as_second());
                    let token = Some(book.get(token).unwrap().digest());
                    let mark = mark.unwrap();
                    let mark = Marker { token, obtained: obtained.or(mark.obtained), ..mark };
                    attributes.maintenance_note = Some(marker::compose(&text, &mark));
                }
                set(&mut self.records.get_mut(&id).unwrap().record, &attributes);
            }
            GitlabStep::AssignProject { id, token, project } => {
                let id = id.unwrap_or_else(|| ids[token]);
                let record = self.record(id);
                assert!(!record.locked, "GitLab: Runner is locked");
                assert!(!record.projects.contains(project), "GitLab: failed to assign runner");
                record.projects.push(project.clone());
            }
            GitlabStep::UnassignProject { id, project } => {
                let record = self.record(*id);
                assert!(!record.locked, "GitLab: Runner is locked");
                let at = record.projects.iter().position(|path| path == project).unwrap();
                assert_ne!(at, 0, "GitLab: not from the owner project");
                record.projects.remove(at);
            }
            GitlabStep::DeleteRunner { id, mark } => {
                let now = marker::parse(&self.record(*id).maintenance_note).1;
                assert_eq!(*mark, now.map(|mark| marker::compose("", &mark)), "the mark that the plan saw");
                self.records.remove(id).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }

    fn give_token(&mut self, id: u64, token: &SecretId, book: &mut SecretBook, ids: &mut BTreeMap<SecretId, u64>) {
        self.clock += 1;
        let server = self.records.get_mut(&id).unwrap();
        server.token = token_at(self.clock);
        let time = |seconds: i64| Secret::new(jiff::Timestamp::from_second(seconds).unwrap().to_string());
        let expires = self.lifetime.map(|lifetime| self.clock + lifetime).unwrap_or(-62_135_596_800);
        book.bind(token.late_beside(Late::RunnerId).unwrap(), Secret::new(id.to_string()));
        book.bind(token.late_beside(Late::TokenObtainedAt).unwrap(), time(self.clock));
        book.bind(token.late_beside(Late::TokenExpiresAt).unwrap(), time(expires));
        book.bind(token.clone(), Secret::new(server.token.clone()));
        ids.insert(token.clone(), id);
    }

    /// Plans and applies until nothing is left, and checks what came of it. Returns the first plan.
    fn converge(&mut self) -> Diff {
        let first = self.diff();
        assert_eq!(first.problems, vec![]);
        self.apply(&first.changes, usize::MAX);
        self.keep_up(&first);
        self.check();
        first
    }

    /// Everything that must hold when nothing is left to do.
    fn check(&self) {
        let left = self.diff();
        assert_eq!((left.changes, left.problems), (vec![], vec![]));
        let config = parse(self.file.as_deref().unwrap_or("")).unwrap();
        assert_eq!(self.mode, 0o600);
        for server in self.records.values() {
            let mark = marker::parse(&server.record.maintenance_note).1;
            let known = |mark: &Marker| mark.host != HOST || self.spec.runners.iter().any(|s| s.name == mark.runner);
            assert!(mark.as_ref().is_none_or(known), "nobody wants {server:?}");
        }
        for spec in &self.spec.runners {
            let ids = self.marked(&spec.name);
            assert_eq!(ids.len(), usize::from(!spec.absent), "records of {}: {ids:?}", spec.name);
            let Some(id) = ids.first() else { continue };
            let ours = |url: &str| url == "https://gitlab.example.com";
            let tables: Vec<_> = config.runners.iter().filter(|t| t.id == Some(*id) && ours(&t.url)).collect();
            assert_eq!(tables.len(), 1, "tables of {}", spec.name);
            assert_eq!(
                tables[0].token.as_ref().unwrap().expose(),
                self.records[id].token,
                "the token of {}",
                spec.name
            );
        }
    }

    /// The first plan as text, `kind name: action`, with its attributes.
    fn shown(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for change in self.diff().changes {
            let reason = change.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            lines.push(format!(
                "{} {} {} {:?}{reason}",
                change.action.symbol(),
                change.kind,
                change.name,
                change.effect
            ));
            let value = |value: Option<String>| value.unwrap_or_else(|| "(unset)".to_owned());
            lines.extend(
                change.attrs.into_iter().map(|a| format!("  {}: {} -> {}", a.path, value(a.old), value(a.new))),
            );
        }
        lines
    }

    fn edit(&mut self, from: &str, to: &str) {
        let file = self.file.as_mut().unwrap();
        assert!(file.contains(from), "{from} is not in {file}");
        *file = file.replacen(from, to, 1);
    }

    fn record(&mut self, id: u64) -> &mut RunnerRecord {
        &mut self.records.get_mut(&id).unwrap().record
    }

    /// The runner renews its token, as it does when three quarters of its life are over.
    fn rotate(&mut self, id: u64) {
        self.clock += 5000;
        let old = std::mem::replace(&mut self.records.get_mut(&id).unwrap().token, token_at(self.clock));
        let new = self.records[&id].token.clone();
        let time = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap().to_string();
        let file = self.file.as_ref().unwrap();
        let mut out = String::new();
        let mut inside = false;
        for line in saved_by_runner(&file.replace(&old, &new)).lines() {
            inside = if line.starts_with("[[runners]]") { false } else { inside || line.contains(&new) };
            if line.starts_with("token_obtained_at") && inside {
                out.push_str(&format!("token_obtained_at = {}\n", time(self.clock)));
            } else if line.starts_with("token_expires_at") && inside {
                out.push_str(&format!("token_expires_at = {}\n", time(self.clock + self.lifetime.unwrap())));
            } else {
                out.push_str(line);
                out.push('\n');
            }
        }
        self.file = Some(out);
    }
}

fn set(record: &mut RunnerRecord, attributes: &RunnerAttributes) {
    let a = attributes.clone();
    record.description = a.description.unwrap_or(record.description.clone());
    record.run_untagged = a.run_untagged.unwrap_or(record.run_untagged);
    record.locked = a.locked.unwrap_or(record.locked);
    record.access_level = a.access_level.unwrap_or(record.access_level.clone());
    record.paused = a.paused.unwrap_or(record.paused);
    record.maximum_timeout = a.maximum_timeout.unwrap_or(record.maximum_timeout);
    record.maintenance_note = a.maintenance_note.unwrap_or(record.maintenance_note.clone());
    if let Some(mut tags) = a.tag_list {
        tags.sort();
        record.tag_list = tags;
    }
}
