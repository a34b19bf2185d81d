//! config.toml as one change: whatever differs in it, for however many runners. Pure.

use crate::diagnostic::Span;
use crate::facts::owned::{Entry, Item};
use crate::facts::{CannotTell, Facts, Known, LentToken};
use crate::inventory::model::{ConfigTable, Owner, RunnerSpec};
use crate::plan::{Action, Also, Attr, Change, Effect};
use crate::runner_config::compare;
use crate::runner_config::parse::{HostConfig, HostRunner, Moment};
use crate::runner_config::render::{Managed, RunnerTable};
use crate::secret::Late;
use crate::step::{Step, WriteFile};
use crate::text::{Text, Unbound};

use super::super::file::{self, Found};
use super::super::{Context, Diff, Resource as _};
use super::owned::{owns, path_of};
use super::{MODE, Process, Runners};

/// What the user calls it.
pub const KIND: &str = "runner config";

/// One `[[runners]]` table of the new file.
pub(super) struct Row<'a> {
    /// A runner of the inventory's, and the table that it replaces.
    spec: Option<(&'a RunnerSpec, Option<&'a HostRunner>)>,
    table: RunnerTable,
    /// `None`: GitLab has not given it yet.
    pub(super) id: Option<u64>,
    /// Where another token comes from.
    new_token: Option<String>,
}

impl<'a> Row<'a> {
    /// A runner whose token stays. Of what the runner renews by itself the row says only that it is there: the values are
    /// those of the last time that the file was read.
    pub(super) fn kept(runners: &Runners, spec: &'a RunnerSpec, there: &'a HostRunner, id: u64, facts: &Facts) -> Self {
        let late = late(runners, spec, runners.merged(spec, Some(there), facts).table);
        let if_there = |moment: &Option<Moment>, text: Option<Text>| text.filter(|_| moment.is_some());
        let managed = Managed {
            id: Text::plain(id.to_string()),
            obtained: if_there(&there.obtained, late.obtained),
            expires: if_there(&there.expires, late.expires),
            ..late
        };
        let table = RunnerTable::Managed(Box::new(managed));
        Self { spec: Some((spec, Some(there))), table, id: Some(id), new_token: None }
    }

    /// A runner that gets a new token.
    pub(super) fn renewed(
        runners: &Runners,
        spec: &'a RunnerSpec,
        there: Option<&'a HostRunner>,
        id: Option<u64>,
        facts: &Facts,
    ) -> Self {
        let merged = runners.merged(spec, there, facts).table;
        let table = RunnerTable::Managed(Box::new(late(runners, spec, merged)));
        Self { spec: Some((spec, there)), table, id, new_token: Some("(a new one)".to_owned()) }
    }

    /// A runner that gets back its token, which another host has.
    pub(super) fn given_back(
        runners: &Runners,
        spec: &'a RunnerSpec,
        there: Option<&'a HostRunner>,
        id: u64,
        lent: &LentToken,
        facts: &Facts,
    ) -> Self {
        let late = late(runners, spec, runners.merged(spec, there, facts).table);
        let managed = Managed {
            id: Text::plain(id.to_string()),
            obtained: late.obtained.filter(|_| lent.obtained.is_some()),
            expires: late.expires.filter(|_| lent.expires.is_some()),
            ..late
        };
        let from = format!("(its own, which host {} has)", lent.host);
        Self {
            spec: Some((spec, there)),
            table: RunnerTable::Managed(Box::new(managed)),
            id: Some(id),
            new_token: Some(from),
        }
    }

    /// A table that stays as it is.
    pub(super) fn hand_made(runners: &Runners, table: &HostRunner) -> Self {
        Self { spec: None, table: RunnerTable::Kept(runners.kept(table)), id: None, new_token: None }
    }
}

/// The table of a runner whose id and token are known when the plan is carried out.
pub(super) fn late(runners: &Runners, spec: &RunnerSpec, config: ConfigTable) -> Managed {
    let late = |kind| Text::secret(runners.late(kind, spec));
    Managed {
        config,
        id: late(Late::RunnerId),
        token: runners.token(spec),
        obtained: Some(late(Late::TokenObtainedAt)),
        expires: Some(late(Late::TokenExpiresAt)),
    }
}

/// The host's file, and what is to become of it.
pub(super) struct FileChange<'a> {
    pub(super) runners: &'a Runners,
    pub(super) context: &'a Context<'a>,
    pub(super) found: Option<&'a Found<'a>>,
    pub(super) host: Option<&'a HostConfig>,
    /// Runners that are deleted in GitLab once the file is written.
    pub(super) leaving: Vec<u64>,
}

#[derive(Default)]
struct Differences {
    attrs: Vec<Attr>,
    origin: Option<Span>,
    /// What the host has beside what is declared.
    also: Vec<(String, String)>,
    /// Keys that are set.
    set: Vec<(Item, Entry)>,
    /// Keys that go, and why.
    gone: Vec<(String, String)>,
    /// The first that gitlab-runner reads only when it starts.
    restart: Option<String>,
}

impl Differences {
    fn add(&mut self, found: compare::Compared, running: bool, facts: &Facts, exact: bool) {
        self.also.extend(found.also);
        for difference in found.differences {
            let key = compare::key_of(&difference.path).to_owned();
            let item = Item::ConfigKey(key.clone());
            match (&difference.new, &difference.origin) {
                (Some(_), Some(origin)) => self.set.push((item, Entry::of(origin))),
                (Some(_), None) => self.set.push((item, Entry::default())),
                (None, _) if self.gone.iter().all(|(known, _)| *known != key) => {
                    // Of a list that is declared, an item goes because it is another list.
                    let all = || exact.then(|| "not declared (`exact: true`)".to_owned());
                    let why = facts.owns().get(&item).map(Entry::no_longer).or_else(all);
                    self.gone.extend(why.map(|why| (key, why)));
                }
                (None, _) => {}
            }
            if running && self.restart.is_none() && difference.needs_restart() {
                self.restart = Some(difference.path.clone());
            }
            self.origin = self.origin.take().or(difference.origin);
            self.attrs.push(Attr::new(difference.path, difference.old, difference.new));
        }
    }
}

impl FileChange<'_> {
    /// The change; `None`: the file is right. `gone` are tables that are taken out, `stamps` steps that follow the file.
    pub(super) fn make(
        &self,
        rows: Vec<Row<'_>>,
        gone: Vec<Attr>,
        stamps: Vec<Step>,
        diff: &mut Diff,
    ) -> Result<Option<Change>, CannotTell> {
        let earlier = &mut diff.earlier;
        let unbound =
            |unbound: Unbound| CannotTell { what: self.runners.path.to_string(), why: unbound.to_string().into() };
        let mut all = self.differences(&rows).map_err(unbound)?;
        all.attrs.extend(gone);
        // gitlab-runner skips the mark of UTF-8, and does not read UTF-16 at all.
        all.attrs.extend(self.found.and_then(file::Found::encoding));
        diff.owns.append(&mut all.set);
        let values: Vec<Attr> = all.also.drain(..).map(|(path, value)| Attr::new(path, Some(value), None)).collect();
        if !values.is_empty() {
            diff.also.push(Also { about: self.runners.about(), place: "on the host", values, note: 0 });
        }
        let owner = Owner::default();
        let attributes = self.found.map(|found| file::attributes(found.fact, MODE, &owner)).unwrap_or_default();
        if all.attrs.is_empty() {
            if attributes.is_empty() {
                return Ok(None);
            }
            let holds = self.found.and_then(file::held);
            let step = Step::Attributes { path: self.runners.path.clone(), mode: MODE, owner, holds };
            return Ok(Some(self.change(attributes, Effect::None, None, None, vec![step])));
        }
        all.attrs.extend(attributes);
        let reason = all
            .restart
            .take()
            .filter(|_| self.is_running() != Some(false))
            .map(|path| format!("gitlab-runner reads {path} only when it starts"));
        let tables: Vec<_> = rows.into_iter().map(|row| row.table).collect();
        let mut steps = vec![Step::WriteFile(WriteFile {
            path: self.runners.path.clone(),
            content: self.runners.render(
                &self.runners.merged_global(self.host, self.context.facts).table,
                &tables,
                &self.leaving,
            ),
            mode: MODE,
            owner,
            keep_previous: false,
            check: None,
            replaces: self.found.map(Found::digest),
            restarts: reason.as_ref().map(|_| self.runners.process.whole_name().to_owned()),
            displaces: None,
        })];
        steps.extend(stamps);
        if let Some(reason) = &reason {
            match &self.runners.process {
                Process::Container(name) => earlier.restart_containers.push((name.clone(), reason.clone())),
                Process::Unit(unit) => earlier.restart.push((unit.clone(), reason.clone())),
            }
        }
        let effect = match (&reason, self.is_running()) {
            (_, Some(false)) => Effect::None,
            (Some(_), _) => Effect::RunnerDrain,
            (None, _) => Effect::RunnerReload,
        };
        let reason = super::owned::together(reason, all.gone);
        Ok(Some(self.change(all.attrs, effect, reason, all.origin, steps)))
    }

    fn differences(&self, rows: &[Row<'_>]) -> Result<Differences, Unbound> {
        let mut all = Differences::default();
        let (runners, facts) = (self.runners, self.context.facts);
        let goes = |path: &str| runners.global_exact || owns(path, facts);
        all.add(
            compare::global(&runners.global, self.host, self.context.book, &goes)?,
            true,
            facts,
            runners.global_exact,
        );
        for row in rows {
            let Some((spec, there)) = row.spec else { continue };
            let path = |key: &str| format!("{}.{key}", compare::runner_path(&spec.name));
            let before = all.attrs.len();
            let old = there.and_then(|there| there.id);
            if old != row.id || row.id.is_none() {
                let new = row.id.map_or_else(|| "(from GitLab)".to_owned(), |id| id.to_string());
                all.attrs.push(Attr::new(path("id"), old.map(|id| id.to_string()), Some(new)));
            }
            if let Some(new) = &row.new_token {
                let old = there.and_then(|there| there.token.as_ref()).map(|_| "(secret)".to_owned());
                all.attrs.push(Attr::new(path("token"), old, Some(new.clone())));
            }
            let declared = runners.wanted(spec, there, facts);
            let goes = |path: &str| spec.config_exact || owns(&path_of(spec, path), facts);
            let found = compare::runner(&spec.name, &declared, there, self.context.book, &goes)?;
            all.add(found, there.is_some(), facts, spec.config_exact);
            if all.attrs.len() > before {
                all.origin = all.origin.take().or_else(|| Some(spec.origin.clone()));
            }
        }
        Ok(all)
    }

    /// `None`: unknown.
    fn is_running(&self) -> Option<bool> {
        match &self.runners.process {
            Process::Container(name) => match self.context.facts.containers.get(name)? {
                Known::Present(container) => container.pointer("/State/Running")?.as_bool(),
                Known::Absent => Some(false),
                Known::Unread(_) => None,
            },
            Process::Unit(unit) => match self.context.facts.units.get(unit)? {
                Known::Present(unit) => Some(!["inactive", "failed"].contains(&unit.active.as_str())),
                Known::Absent => Some(false),
                Known::Unread(_) => None,
            },
        }
    }

    fn change(
        &self,
        attrs: Vec<Attr>,
        effect: Effect,
        reason: Option<String>,
        origin: Option<Span>,
        steps: Vec<Step>,
    ) -> Change {
        Change {
            kind: KIND.to_owned(),
            name: self.runners.path.to_string(),
            action: if self.found.is_some() { Action::Change } else { Action::Add },
            reason,
            attrs,
            text: None,
            effect,
            service: (effect != Effect::None).then(|| self.runners.process.name().to_owned()),
            origin: Some(origin.unwrap_or_else(|| self.runners.global_origin.clone())),
            steps,
        }
    }
}
