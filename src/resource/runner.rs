//! The runners of one host: their records in GitLab and the config.toml that names them. One resource, because which
//! table belongs to which record and runner spec is one question. Pure.

mod claims;
mod config;
mod dropped;
mod duplicates;
mod lost;
mod managers;
mod matching;
pub mod misplaced;
pub mod openers;
pub mod orphans;
mod owned;
mod projects;
mod proof;
mod record;
#[cfg(test)]
mod tests;
pub mod tokens;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Span;
use crate::facts::owned::Item;
use crate::facts::{Bytes, CannotTell, Facts, Known, LentToken, PathFact, ProbeSpec, Why};
use crate::inventory::model::{
    ConfigEntry, ConfigTable, ConfigValue, GitlabSpec, HostSpec, Manager, RunnerSpec, Scope, Unmanaged,
};
use crate::marker::{self, Marker};
use crate::name::RemotePath;
use crate::plan::{Action, Attr, Change, Effect, Note, RunnerView};
use crate::runner_config::compare::runner_path;
use crate::runner_config::parse::{HostConfig, HostRunner, parse};
use crate::runner_config::render::{RunnerTable, render};
use crate::secret::{Late, Secret, SecretBook, SecretId};
use crate::step::{GitlabStep, RunnerAttributes, Step};
use crate::text::{Text, escape};

use super::file::{self, Found as FoundFile};
use super::{Context, Diff, Part, Resource};
use claims::Stranger;
pub use config::KIND as CONFIG_KIND;
use config::{FileChange, Row};
use matching::{Found, Matching, Removal};
use proof::Proof;
use record::Doubt;

/// Only root may read it: it holds tokens.
const MODE: u32 = 0o600;

/// All runners of one host.
#[derive(Debug, Clone)]
pub struct Runners {
    host: String,
    /// Base URL; `None`: the inventory has no GitLab, and so no runners.
    url: Option<String>,
    /// The inventory's own name.
    inventory: Option<String>,
    /// Names of the inventory's hosts.
    hosts: Arc<BTreeSet<String>>,
    path: RemotePath,
    process: Process,
    global: ConfigTable,
    global_exact: bool,
    global_origin: Span,
    unmanaged: Unmanaged,
    specs: Vec<RunnerSpec>,
    /// The tokens that GitLab has given in this run, where it is about what can be written although not all came.
    given: Option<BTreeSet<SecretId>>,
}

/// A config.toml that the runner itself has written anew.
#[derive(Debug)]
pub struct Rewritten {
    /// SHA-256 (hex) of its text.
    pub digest: String,
    /// See [`Runners::host_secrets`].
    pub secrets: Vec<(SecretId, Secret)>,
    /// All that was known, with this file.
    pub facts: Facts,
}

/// What runs gitlab-runner with this config.toml.
#[derive(Debug, Clone)]
enum Process {
    Container(String),
    Unit(String),
}

impl Process {
    /// As the user knows it.
    fn name(&self) -> &str {
        match self {
            Self::Container(name) => name,
            Self::Unit(unit) => unit.trim_end_matches(".service"),
        }
    }

    /// As the host knows it: a container's name, or a unit's with its suffix.
    fn whole_name(&self) -> &str {
        match self {
            Self::Container(name) | Self::Unit(name) => name,
        }
    }
}

impl Runners {
    /// `None` if the host has no manager.
    #[must_use]
    pub fn new(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Option<Self> {
        let manager = host.manager.as_ref()?;
        Some(Self {
            host: host.name.clone(),
            url: gitlab.map(|gitlab| gitlab.url.clone()),
            inventory: gitlab.and_then(|gitlab| gitlab.inventory.clone()),
            hosts: gitlab.map(|gitlab| Arc::clone(&gitlab.hosts)).unwrap_or_default(),
            path: manager.config_dir().join("config.toml"),
            process: match &manager.process {
                Manager::Container(container) => Process::Container(container.name.clone()),
                Manager::Package(_) => Process::Unit(super::manager_package::UNIT.to_owned()),
            },
            global: manager.config.clone(),
            global_exact: manager.config_exact,
            global_origin: manager.config_origin.clone(),
            unmanaged: manager.unmanaged_runners,
            specs: if gitlab.is_some() { host.runners.clone() } else { Vec::new() },
            given: None,
        })
    }

    /// Scopes whose runners must be listed before anything else is asked of GitLab: those of the host's runner specs.
    #[must_use]
    pub fn wanted_lists(&self) -> BTreeSet<Scope> {
        if self.url.is_none() { BTreeSet::new() } else { self.specs.iter().map(|spec| spec.scope.clone()).collect() }
    }

    /// Ids of the records that config.toml names, and of those that its tokens open.
    #[must_use]
    pub fn wanted_records(&self, facts: &Facts) -> Vec<u64> {
        if self.url.is_none() {
            return Vec::new();
        }
        let Some(config) = self.peek(facts) else { return Vec::new() };
        let named = config.runners.iter().filter_map(|table| table.id);
        let opened = config.runners.iter().filter_map(|table| proof::resolve(self, table, facts).id);
        let ids: BTreeSet<u64> = named.chain(opened).chain(config.leaving.iter().copied()).collect();
        ids.into_iter().collect()
    }

    /// The records that GitLab lists with the mark of a runner spec; `None`: it was not listed.
    ///
    /// # Errors
    /// When the marks of some are not shown: then it is not known which there are.
    pub fn listed_with_mark(&self, spec: &str, scope: &Scope, facts: &Facts) -> Option<Result<Vec<u64>, String>> {
        let Some(Known::Present(listed)) = facts.listed.get(scope) else { return None };
        if listed.iter().any(|runner| runner.note_hidden) {
            return Some(Err(claims::hidden_notes(scope)));
        }
        Some(Ok(proof::marked(self, spec, facts).iter().map(|runner| runner.id).collect()))
    }

    /// Runner specs (by name) that must be searched by their marker, once the records above are in the facts.
    #[must_use]
    pub fn wanted_markers(&self, facts: &Facts) -> Vec<(String, Scope)> {
        let config = self.peek(facts);
        let tables = config.as_ref().map_or(&[][..], |config| &config.runners);
        claims::unsettled(self, tables, facts).into_iter().map(|spec| (spec.name.clone(), spec.scope.clone())).collect()
    }

    /// Projects (by full path) that runners are to work for and do not yet: they must be there. To be asked once the
    /// records and markers above are in the facts.
    #[must_use]
    pub fn wanted_projects(&self, facts: &Facts) -> BTreeSet<String> {
        if self.specs.iter().all(|spec| spec.projects.is_none()) {
            return BTreeSet::new();
        }
        let config = self.peek(facts).unwrap_or_default();
        let Ok(matching) = Matching::new(self, &config, facts) else { return BTreeSet::new() };
        matching.live.iter().flat_map(|(spec, found)| projects::Moves::of(spec, found.record()).join).collect()
    }

    /// What the host's own config.toml has to be kept: tokens, and whole tables that nobody declared. To be bound before
    /// the comparison, each time the host was read.
    #[must_use]
    pub fn host_secrets(&self, facts: &Facts) -> Vec<(SecretId, Secret)> {
        let Some(config) = self.peek(facts) else { return Vec::new() };
        let mut secrets = Vec::new();
        for table in &config.runners {
            secrets.push((self.kept(table), table.text.clone()));
            if let Some(token) = &table.token {
                // Never written: known so that it is taken out of what is printed.
                secrets.push((self.kept_token(table), token.clone()));
            }
        }
        secrets.extend(self.merged_global(Some(&config), facts).values);
        let Ok(matching) = Matching::new(self, &config, facts) else { return secrets };
        for (spec, found) in &matching.live {
            let spec = &self.effective(spec, found.record(), facts);
            secrets.extend(self.merged(spec, found.there(), facts).values);
            if let Some(lent) = self.lent(spec, found, facts) {
                secrets.push((self.token(spec), lent.token.clone()));
                for (kind, time) in [(Late::TokenObtainedAt, &lent.obtained), (Late::TokenExpiresAt, &lent.expires)] {
                    secrets.extend(time.as_ref().map(|time| (self.late(kind, spec), Secret::new(time.clone()))));
                }
                continue;
            }
            let Found::Table { table, .. } = found else { continue };
            secrets.extend(table.token.clone().map(|token| (self.token(spec), token)));
            // The mark says of when the token is; the file keeps both dates.
            for (kind, time) in [(Late::TokenObtainedAt, &table.obtained), (Late::TokenExpiresAt, &table.expires)] {
                secrets.extend(time.as_ref().map(|time| (self.late(kind, spec), Secret::new(time.literal.clone()))));
            }
        }
        secrets
    }

    /// Where config.toml is.
    #[must_use]
    pub fn path(&self) -> &RemotePath {
        &self.path
    }

    /// config.toml was read again after `before`, and nothing but it. `None`: it says something else than it said. Where there
    /// was none, the file that gitlab-runner's package brings along says nothing.
    #[must_use]
    pub fn rewritten(&self, before: &Facts, after: BTreeMap<RemotePath, Known<PathFact>>) -> Option<Rewritten> {
        let mut facts = before.clone();
        facts.paths.extend(after);
        let now = self.peek(&facts)?;
        let expected = match before.paths.get(&self.path)? {
            Known::Absent => now.is_as_installed(),
            _ => now.is_renewal_of(&self.peek(before)?),
        };
        if !expected {
            return None;
        }
        let (book, earlier) = (SecretBook::default(), super::Earlier::default());
        let context = Context { facts: &facts, book: &book, earlier: &earlier };
        let digest = file::look(&context, &self.path).ok()??.digest();
        Some(Rewritten { digest, secrets: self.host_secrets(&facts), facts })
    }

    /// The change of config.toml that can be made although a record before it failed: with the tokens that GitLab has `given` in this
    /// run, and every other table as it is. A token that does not reach the host is lost, and the next run would need another one.
    /// `None`: there is nothing to write.
    #[must_use]
    pub fn with_what_came(&self, given: BTreeSet<SecretId>, facts: &Facts, book: &SecretBook) -> Option<Change> {
        let runners = Self { given: Some(given), ..self.clone() };
        let diff = runners.diff(&Context { facts, book, earlier: &super::Earlier::default() }).ok()?;
        // What asks first whether a token that is dropped is anybody's stands before everything else.
        let asks = |step: &&Step| matches!(step, Step::Gitlab(GitlabStep::CheckUnused { .. }));
        let first: Vec<Step> = diff.changes.first()?.steps.iter().take_while(asks).cloned().collect();
        let mut change = diff.changes.into_iter().find(|change| change.kind == CONFIG_KIND)?;
        if !change.steps.starts_with(&first) {
            change.steps.splice(0..0, first);
        }
        Some(change)
    }

    /// Whether a runner is to have a token that did not come.
    fn lacks_token(&self, spec: &RunnerSpec, found: &Found<'_>, facts: &Facts) -> bool {
        let Some(given) = &self.given else { return false };
        let renewed = match found {
            Found::Table { table, marker, proof, .. } => {
                let doubt = record::token_doubt(table, marker.as_ref(), *proof, &self.mark(&spec.name), facts.clock);
                matches!(doubt, Doubt::Wrong(_))
            }
            Found::Record { .. } | Found::Nothing { .. } => true,
        };
        renewed && !given.contains(&self.token(spec)) && self.lent(spec, found, facts).is_none()
    }

    /// config.toml as it would be on a bare host: path, mode, text.
    #[must_use]
    pub fn preview(&self) -> (RemotePath, u32, Text) {
        let rows: Vec<RunnerTable> = self
            .specs
            .iter()
            .filter(|spec| !spec.absent)
            .map(|spec| RunnerTable::Managed(Box::new(config::late(self, spec, self.table(spec)))))
            .collect();
        (self.path.clone(), MODE, self.render(&self.global, &rows, &[]))
    }

    fn render(&self, global: &ConfigTable, rows: &[RunnerTable], leaving: &[u64]) -> Text {
        render(&self.global_origin.file, global, rows, leaving)
    }

    /// The host's file if it can be read; the comparison says why where it cannot.
    fn peek(&self, facts: &Facts) -> Option<HostConfig> {
        let (book, earlier) = (SecretBook::default(), super::Earlier::default());
        let context = Context { facts, book: &book, earlier: &earlier };
        parse(file::look(&context, &self.path).ok()??.said()?).ok()
    }

    /// The mark of a runner spec's record, before it vouches for a token.
    #[must_use]
    pub fn mark(&self, spec: &str) -> Marker {
        Marker::new(&self.host, spec).of_inventory(self.inventory.as_deref())
    }

    fn token(&self, spec: &RunnerSpec) -> SecretId {
        SecretId::runner_token(&self.host, &spec.name)
    }

    fn late(&self, kind: Late, spec: &RunnerSpec) -> SecretId {
        SecretId::late(kind, &self.host, &spec.name)
    }

    fn kept(&self, table: &HostRunner) -> SecretId {
        SecretId::kept(&self.host, table.number)
    }

    /// A table's own token, whatever becomes of the table.
    fn kept_token(&self, table: &HostRunner) -> SecretId {
        SecretId::new(format!("kept-token:{}/{}", self.host, table.number))
    }

    /// The `[[runners]]` table that the inventory asks for, with `name` and `url`.
    fn table(&self, spec: &RunnerSpec) -> ConfigTable {
        self.declared(spec, true)
    }

    fn declared(&self, spec: &RunnerSpec, named: bool) -> ConfigTable {
        let mut table = ConfigTable::new();
        let given = |key: &str| spec.config.iter().any(|(name, _)| name == key);
        let mut add = |key: &str, value: &str, origin: &Span| {
            let value = ConfigValue::String(Text::plain(value));
            table.push((key.to_owned(), ConfigEntry { value, origin: origin.clone() }));
        };
        if named && !given("name") {
            add("name", &spec.description, spec.origins.get("description").unwrap_or(&spec.origin));
        }
        if let Some(url) = self.url.as_ref().filter(|_| !given("url")) {
            add("url", url, &spec.origin);
        }
        table.extend(spec.config.iter().cloned());
        table
    }

    /// A text of a spec's table.
    fn text_of(&self, spec: &RunnerSpec, key: &str) -> Option<String> {
        self.table(spec).into_iter().find_map(|(name, entry)| match entry.value {
            ConfigValue::String(text) if name == key => Some(text.redacted()),
            _ => None,
        })
    }

    /// What must not be overwritten: the file, if it is one.
    fn read<'a>(&self, found: Option<&FoundFile<'a>>) -> Result<Option<HostConfig>, CannotTell> {
        let Some(found) = found else { return Ok(None) };
        let help = "rprov does not overwrite it, for it holds the runners' tokens: fix it by hand";
        let text = found.said().ok_or_else(|| {
            let place = found.bytes().map_or("", Bytes::place);
            let why = Why::from(format!("it is no UTF-8 text: {place}"));
            CannotTell { what: self.path.to_string(), why: why.help(help) }
        })?;
        let config = parse(text).map_err(|bad| CannotTell {
            what: format!("{}:{}:{}", self.path, bad.line, bad.column),
            why: Why::from(format!("gitlab-runner cannot read this file: {}", bad.message)).help(help),
        })?;
        Ok(Some(config))
    }

    fn live<'a>(&self, spec: &'a RunnerSpec, found: &Found<'a>, facts: &Facts, plan: &mut Planned<'a>) {
        if self.given_back(spec, found, facts, plan) {
            return;
        }
        let (row, change, stamp) = match found {
            Found::Table { table, record, marker, proof } => {
                let doubt = record::token_doubt(table, marker.as_ref(), *proof, &self.mark(&spec.name), facts.clock);
                let change = record::update(self, spec, record, marker.as_ref(), doubt, table);
                if doubt == Doubt::Renewed {
                    let message = if *proof == Proof::Yes {
                        format!("{} has renewed its token; apply notes that in the mark of #{}", spec.name, record.id)
                    } else {
                        // A date is written by hand as easily as a token.
                        plan.upkeep.push(record::prove(self, spec, record.id));
                        format!(
                            "{} seems to have renewed its token, and GitLab does not list how tokens begin: apply asks GitLab with \
                             it, and notes it in the mark of #{} if it is that runner's. If this note is there again after an apply, \
                             it is not: `gitlab-runner verify` on the host shows whether the token works",
                            spec.name, record.id
                        )
                    };
                    plan.notes.push(self.note(message));
                    plan.upkeep.push(self.restamp(spec, record.id));
                }
                if matches!(doubt, Doubt::Wrong(_)) {
                    (Row::renewed(self, spec, Some(table), Some(record.id), facts), change, true)
                } else {
                    (Row::kept(self, spec, table, record.id, facts), change, false)
                }
            }
            Found::Record { record, marker, stale } => {
                let mut change = record::adopt(self, spec, record, marker);
                // Until it has the new one, whoever uses the old one is turned away.
                if managers::was_used(record.id, facts) {
                    change.effect = change.effect.max(Effect::FewerJobs);
                }
                (Row::renewed(self, spec, stale.map(|stale| stale.table), Some(record.id), facts), Some(change), true)
            }
            Found::Nothing { stale } => {
                plan.notes.extend(lost::record(self, spec, *stale, facts));
                let change = record::create(self, spec);
                (Row::renewed(self, spec, stale.map(|stale| stale.table), None, facts), Some(change), true)
            }
        };
        if stamp {
            plan.stamps.push(self.stamp(spec, row.id));
        }
        plan.rows.push(row);
        plan.before.extend(change);
    }

    /// A runner whose token another host of this run has gets that one; whether it is one.
    fn given_back<'a>(&self, spec: &'a RunnerSpec, found: &Found<'a>, facts: &Facts, plan: &mut Planned<'a>) -> bool {
        let there = match found {
            Found::Table { table, record, marker: Some(marker), .. } => Some((Some(*table), *record, marker)),
            Found::Record { record, marker, stale } => Some((stale.map(|stale| stale.table), *record, marker)),
            Found::Table { .. } | Found::Nothing { .. } => None,
        };
        let (Some((table, record, marker)), Some(lent)) = (there, self.lent(spec, found, facts)) else { return false };
        plan.before.extend(record::given_back(self, spec, record, marker));
        plan.rows.push(Row::given_back(self, spec, table, record.id, lent, facts));
        // It may have been renewed where it was.
        if marker.token.as_ref() != Some(&lent.token.digest()) {
            plan.stamps.push(self.stamp(spec, Some(record.id)));
        }
        true
    }

    /// The token of a runner's record that another host of this run has, where this one has lost it.
    fn lent<'f>(&self, spec: &RunnerSpec, found: &Found<'_>, facts: &'f Facts) -> Option<&'f LentToken> {
        let lost = match found {
            Found::Table { table, marker, proof, .. } => {
                let doubt = record::token_doubt(table, marker.as_ref(), *proof, &self.mark(&spec.name), facts.clock);
                matches!(doubt, Doubt::Wrong(_)) && marker.is_some()
            }
            Found::Record { .. } => true,
            Found::Nothing { .. } => false,
        };
        facts.misplaced.lent.get(&found.record()?.id).filter(|_| lost)
    }

    /// Writes the fingerprint of the token that config.toml has now into the record.
    fn stamp(&self, spec: &RunnerSpec, id: Option<u64>) -> Step {
        let note = marker::compose(&spec.note, &self.mark(&spec.name));
        Step::Gitlab(GitlabStep::UpdateRunner {
            id,
            token: self.token(spec),
            attributes: RunnerAttributes { maintenance_note: Some(note), ..RunnerAttributes::default() },
            stamp_token: true,
        })
    }

    /// The same for a record whose note is right but for the fingerprint.
    fn restamp(&self, spec: &RunnerSpec, id: u64) -> Step {
        Step::Gitlab(GitlabStep::UpdateRunner {
            id: Some(id),
            token: self.token(spec),
            attributes: RunnerAttributes::default(),
            stamp_token: true,
        })
    }

    fn delete(&self, removal: &Removal<'_>, id: u64) -> Change {
        Change {
            kind: record::KIND.to_owned(),
            name: format!("#{id} {}", removal.spec),
            action: Action::Remove,
            reason: Some(removal.why.to_owned()),
            attrs: Vec::new(),
            text: None,
            effect: Effect::FewerJobs,
            service: None,
            origin: Some(removal.origin.clone().unwrap_or_else(|| self.global_origin.clone())),
            steps: removal
                .leave
                .iter()
                .map(|project| GitlabStep::UnassignProject { id, project: project.clone() })
                .chain([GitlabStep::DeleteRunner { id, mark: removal.mark.clone() }])
                .map(Step::Gitlab)
                .collect(),
        }
    }

    /// Notes where a token that was reset in GitLab would go unnoticed, and why.
    fn untold(&self, matching: &Matching<'_>, facts: &Facts, diff: &mut Diff) {
        let unproven = |found: &Found<'_>| matches!(found, Found::Table { proof: Proof::Unknown, .. });
        let why = matching.live.iter().filter(|(_, found)| unproven(found));
        let why: BTreeSet<&str> = why.filter_map(|(spec, _)| proof::untold(&spec.scope, facts)).collect();
        for why in why {
            diff.notes.push(self.note(format!(
                "whether the tokens in it are still those of their runners is not known, since GitLab does not list how \
                 tokens begin: {why}"
            )));
        }
    }

    /// Whether there is to be a runner here, for which a runner manager runs.
    #[must_use]
    pub fn is_to_run(&self) -> bool {
        self.specs.iter().any(|spec| !spec.absent)
    }

    /// The file in which the host's runner manager keeps what it calls itself.
    #[must_use]
    pub fn system_id(&self) -> RemotePath {
        self.path.parent().join(".runner_system_id")
    }

    fn note(&self, message: String) -> Note {
        Note { about: format!("{} {}", config::KIND, self.path), message }
    }
}

/// What is to be done, before it is put in order.
#[derive(Default)]
struct Planned<'a> {
    /// Changes in GitLab that the file depends on.
    before: Vec<Change>,
    rows: Vec<Row<'a>>,
    /// Steps that follow the file.
    stamps: Vec<Step>,
    /// See [`Diff::upkeep`].
    upkeep: Vec<Step>,
    notes: Vec<Note>,
}

impl Resource for Runners {
    fn about(&self) -> String {
        format!("{} {}", config::KIND, self.path)
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    /// GitLab's authority lies beside config.toml, where gitlab-runner looks for it by itself.
    fn stands_on(&self, path: &RemotePath) -> bool {
        path.as_str().starts_with(&format!("{}/", self.path.parent()))
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.content(&self.path);
        probe.content(&self.system_id());
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let found = file::look(context, &self.path)?;
        let host = self.read(found.as_ref())?;
        let empty = HostConfig::default();
        let matching = Matching::new(self, host.as_ref().unwrap_or(&empty), context.facts)?;
        let mut diff = Diff::default();
        let mut plan = Planned::default();
        let mut seen = views::seen(&matching);
        managers::check(self, &matching, context.facts, &mut diff)?;
        tokens::within(self, host.as_ref().map_or(&[], |host| &host.runners), &mut seen, &mut diff);
        let effective: Vec<RunnerSpec> =
            matching.live.iter().map(|(spec, found)| self.effective(spec, found.record(), context.facts)).collect();
        for ((declared, found), spec) in matching.live.iter().zip(&effective) {
            diff.problems.extend(projects::missing(spec, found.record(), context.facts)?);
            let before = plan.before.len();
            if self.lacks_token(spec, found, context.facts) {
                plan.rows.extend(found.there().map(|table| Row::hand_made(self, table)));
                continue;
            }
            self.live(spec, found, context.facts, &mut plan);
            if let (Found::Table { .. }, Some(change)) = (found, plan.before.get(before)) {
                views::record_differs(&mut seen, &spec.name, change);
            }
            self.owned_record(declared, found.record(), plan.before.get_mut(before), context.facts, &mut diff);
        }
        self.untold(&matching, context.facts, &mut diff);
        if found.as_ref().is_some_and(|found| found.fact.way.exposed) {
            let said = "others than root may write to a directory on the way to it: whoever may can put another one in its place, and have \
                        gitlab-runner do what it says; make the directories root's alone";
            diff.notes.push(self.note(said.to_owned()));
        }
        diff.notes.append(&mut plan.notes);
        diff.upkeep.append(&mut plan.upkeep);
        let mut gone: Vec<Attr> = Vec::new();
        for (removal, table) in matching.removals.iter().filter_map(|removal| Some((removal, removal.table?))) {
            gone.push(Attr::new(
                runner_path(&removal.spec),
                Some(table.id.map_or_else(|| "no id".to_owned(), |id| format!("#{id}"))),
                None,
            ));
        }
        let made = matching.live.iter().filter(|(_, found)| matches!(found, Found::Nothing { .. }));
        let made: Vec<&RunnerSpec> = made.map(|(spec, _)| *spec).collect();
        for other in &matching.others {
            let (name, why) = (shown(other.table), other.why());
            if let Stranger::Returned(host) = &other.kind {
                gone.push(Attr::new(format!("runners: {name}"), Some(format!("that of host {}", escape(host))), None));
                diff.notes.push(self.note(format!(
                    "{name} is taken out of config.toml: it is that of host {}, which has its token, or gets it back in this run",
                    escape(host)
                )));
                continue;
            }
            if self.unmanaged == Unmanaged::Remove && other.may_go() {
                gone.push(Attr::new(format!("runners: {name}"), Some("not in the inventory".to_owned()), None));
                diff.notes.push(self.note(format!("{why}{name} is taken out of config.toml; GitLab keeps its record")));
            } else {
                plan.rows.push(Row::hand_made(self, other.table));
                let advice = other.advice(self, &made, context.facts);
                diff.notes.push(self.note(format!("{why}{name} is kept{}{advice}", other.detail())));
            }
        }
        diff.problems.extend(matching.problems.iter().cloned());
        if !diff.problems.is_empty() {
            views::not_compared(&mut seen);
            diff.runners = seen.into_iter().map(|one| one.view).collect();
            return Ok(diff);
        }
        let dropped = dropped::dropped(self, &matching, context.facts);
        let leaving = matching.removals.iter().filter_map(|removal| removal.id).collect();
        let change = FileChange { runners: self, context, found: found.as_ref(), host: host.as_ref(), leaving };
        let file = change.make(plan.rows, gone, plan.stamps, &mut diff)?;
        if let Some(file) = &file {
            views::file_differs(&mut seen, file);
        }
        diff.runners = seen.into_iter().map(|one| one.view).collect();
        let deletes = matching.removals.iter().filter_map(|removal| Some(self.delete(removal, removal.id?)));
        diff.changes = plan.before.into_iter().chain(file).chain(deletes).collect();
        // Before anything is done.
        if let Some(first) = diff.changes.first_mut() {
            for one in &dropped {
                diff.notes.push(self.note(format!(
                    "apply removes the token of {} from it; before, it asks GitLab whether that token still belongs to a runner, and stops if so",
                    one.label
                )));
            }
            first.steps.splice(0..0, dropped.into_iter().map(|one| one.step));
        }
        Ok(diff)
    }

    fn lost(&self, facts: &Facts) -> Vec<Item> {
        self.not_there(facts)
    }

    fn unknown_runners(&self, why: &str) -> Vec<RunnerView> {
        self.specs.iter().filter(|spec| !spec.absent).map(|spec| RunnerView::unknown(&spec.name, why)).collect()
    }
}

/// A table of a host in a message: `runner "x" (#12)`.
fn shown(table: &HostRunner) -> String {
    let name = if table.name.is_empty() { "without a name".to_owned() } else { format!("\"{}\"", escape(&table.name)) };
    match table.id {
        Some(id) => format!("runner {name} (#{id})"),
        None => format!("runner {name} (without an id)"),
    }
}
