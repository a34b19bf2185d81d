//! One runner record in GitLab: what differs, what of it can be changed in place, and whether the token in config.toml
//! is still the one that GitLab gave. Pure.

use std::collections::BTreeSet;

use crate::diagnostic::Span;
use crate::facts::RunnerRecord;
use crate::inventory::model::{RunnerSpec, Scope};
use crate::marker::{self, Marker};
use crate::plan::{Action, Attr, Change, Effect};
use crate::runner_config::parse::HostRunner;
use crate::step::{GitlabStep, RunnerAttributes, Step};
use crate::text::escape;

use super::Runners;
use super::projects::{self, Moves};
use super::proof::Proof;

/// What the user calls it.
pub(super) const KIND: &str = "runner record";

/// What is known of the token that config.toml has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// GitLab gave it, as the mark says.
    None,
    /// The runner has renewed it by itself, as it does before a token ends, and the mark still means the one before.
    Renewed,
    /// It is good, and the mark does not say so yet.
    Unmarked(&'static str),
    /// The record is not marked as this runner's: only the token makes it so, and GitLab must say that it does.
    Foreign(&'static str),
    /// It does not work, or is somebody else's: only a new one helps.
    Wrong(&'static str),
}

/// Why a hand-made runner is taken over.
const BY_HAND: &str = "made by hand, and this host has its token; apply asks GitLab first";
/// The same where the plan cannot know.
const BY_HAND_UNKNOWN: &str = "made by hand; taken over if this host has its token: apply asks GitLab first";
/// A note that somebody edited, or whose spec or host has another name by now.
const RESTORED: &str = "its mark means another runner, and this host has its token: apply asks GitLab first";

/// Compares the table's token with what GitLab lists, and with the mark. `own` is the mark that the record is to have.
/// `clock`: what time it is at the least.
pub(super) fn token_doubt(
    table: &HostRunner,
    marker: Option<&Marker>,
    proof: Proof,
    own: &Marker,
    clock: Option<i64>,
) -> Doubt {
    let Some(token) = &table.token else { return Doubt::Wrong("config.toml has no token for it") };
    let Some(marker) = marker else {
        return Doubt::Foreign(if proof == Proof::Yes { BY_HAND } else { BY_HAND_UNKNOWN });
    };
    let handed_out = marker.token.as_ref().is_some_and(|digest| *digest == token.digest());
    if marker.runner != own.runner || (marker.host != own.host && !handed_out) {
        return Doubt::Foreign(RESTORED);
    }
    // The runner, which renews it in time, was not there when it was time.
    let ends = table.expires.as_ref().map(|time| time.seconds).filter(|seconds| *seconds > 0);
    if let (Some(ends), Some(clock)) = (ends, clock)
        && ends < clock
    {
        return Doubt::Wrong(EXPIRED);
    }
    // Only a token that ends is renewed by the runner itself, and then it is younger than the one that the mark means.
    let renewed = table.expires.is_some()
        && match (&table.obtained, marker.obtained) {
            (Some(now), Some(then)) => now.seconds > then,
            (Some(_), None) => true,
            (None, _) => false,
        };
    match (&marker.token, proof) {
        (None, Proof::No) => Doubt::Wrong(DEAD),
        (None, _) => Doubt::Unmarked("an earlier run ended before it noted the token"),
        (Some(_), Proof::No) if handed_out || renewed => Doubt::Wrong(DEAD),
        (Some(_), _) if handed_out => Doubt::None,
        (Some(_), Proof::Yes | Proof::Unknown) if renewed => Doubt::Renewed,
        (Some(_), Proof::Yes) => {
            Doubt::Unmarked("config.toml has the token that GitLab has by now, and the mark an older one")
        }
        (Some(_), _) => Doubt::Wrong("the token in config.toml is not the one that GitLab gave"),
    }
}

/// Why a token that rprov wrote itself is wrong.
const DEAD: &str =
    "GitLab has another token for it than config.toml: it was reset there, and the runner is turned away";

/// Why a token that was right is no longer.
const EXPIRED: &str = "the token in config.toml has expired, and the runner is turned away";

/// A record that is not there yet.
pub(super) fn create(runners: &Runners, spec: &RunnerSpec) -> Change {
    let (runner_type, namespace) = match &spec.scope {
        Scope::Instance => ("instance_type", None),
        Scope::Group(path) => ("group_type", Some(path.clone())),
        Scope::Project(path) => ("project_type", Some(path.clone())),
    };
    let moves = Moves::of(spec, None);
    let attributes = RunnerAttributes {
        description: Some(spec.description.clone()),
        tag_list: Some(spec.tags.clone()),
        run_untagged: Some(spec.run_untagged),
        locked: Some(spec.locked && moves.is_empty()),
        access_level: Some(access_level(spec).to_owned()),
        paused: Some(spec.paused),
        maximum_timeout: spec.maximum_timeout.map(Some),
        maintenance_note: Some(marker::compose(&spec.note, &runners.mark(&spec.name))),
    };
    let mut attrs = vec![Attr::new("scope", None, Some(spec.scope.to_string()))];
    attrs.extend(
        fields(spec, None)
            .into_iter()
            .filter_map(|field| field.noteworthy.then(|| Attr::new(field.name, None, Some(field.new)))),
    );
    Change {
        kind: KIND.to_owned(),
        name: spec.name.clone(),
        action: Action::Add,
        reason: None,
        attrs,
        text: None,
        effect: Effect::None,
        service: None,
        origin: Some(spec.origin.clone()),
        steps: [GitlabStep::CreateRunner {
            token: runners.token(spec),
            runner_type: runner_type.to_owned(),
            namespace,
            attributes,
        }]
        .into_iter()
        .chain(moves.steps(runners, spec, None))
        .map(Step::Gitlab)
        .collect(),
    }
}

/// A record of ours that config.toml does not name: its token is lost, so it gets a new one.
pub(super) fn adopt(runners: &Runners, spec: &RunnerSpec, record: &RunnerRecord, marker: &Marker) -> Change {
    let why = "GitLab has it and config.toml does not: it gets a new token";
    let mut change = Difference::of(spec, record, marker).change(runners, spec, record, Some(why));
    reset(runners, spec, record, &mut change, None);
    change
}

/// A record whose token another host of this run has, and which gets it back; `None`: nothing else differs.
pub(super) fn given_back(
    runners: &Runners,
    spec: &RunnerSpec,
    record: &RunnerRecord,
    marker: &Marker,
) -> Option<Change> {
    let difference = Difference::of(spec, record, marker);
    (!difference.attrs.is_empty()).then(|| difference.change(runners, spec, record, None))
}

/// A record with its table; `None`: nothing differs.
pub(super) fn update(
    runners: &Runners,
    spec: &RunnerSpec,
    record: &RunnerRecord,
    marker: Option<&Marker>,
    doubt: Doubt,
    table: &HostRunner,
) -> Option<Change> {
    if let Doubt::Foreign(why) = doubt {
        return Some(take_over(runners, spec, record, marker, why, table));
    }
    let label = marker.and_then(|marker| relabelled(runners, marker));
    let marker = marker.cloned().unwrap_or_else(|| runners.mark(&spec.name));
    let marker = marker.of_inventory(runners.inventory.as_deref());
    if marker.host != runners.host {
        return Some(rename(runners, spec, record, marker, label));
    }
    let mut difference = Difference::of(spec, record, &marker);
    difference.label(spec, &marker, label);
    match doubt {
        // What the runner does to its own token is no difference: the mark follows beside the plan.
        Doubt::None | Doubt::Renewed if difference.attrs.is_empty() => None,
        Doubt::None | Doubt::Renewed | Doubt::Foreign(_) => Some(difference.change(runners, spec, record, None)),
        Doubt::Unmarked(why) => Some(stamped(runners, spec, record, &difference, marker, table, why)),
        Doubt::Wrong(why) => {
            let mut change = difference.change(runners, spec, record, Some(why));
            let old = table.token.as_ref().map(|_| "(secret)".to_owned());
            reset(runners, spec, record, &mut change, old);
            Some(change)
        }
    }
}

/// A record whose mark learns which token it is of.
fn stamped(
    runners: &Runners,
    spec: &RunnerSpec,
    record: &RunnerRecord,
    difference: &Difference,
    marker: Marker,
    table: &HostRunner,
    why: &str,
) -> Change {
    let mut change = difference.change(runners, spec, record, Some(why));
    let obtained = table.obtained.as_ref().map(|time| time.seconds).or(marker.obtained);
    let note = marker::compose(&spec.note, &Marker { token: None, obtained, ..marker });
    let attributes = RunnerAttributes { maintenance_note: Some(note), ..difference.attributes.clone() };
    let update =
        GitlabStep::UpdateRunner { id: Some(record.id), token: runners.token(spec), attributes, stamp_token: true };
    let moves = difference.moves.steps(runners, spec, Some(record.id));
    change.steps = [update].into_iter().chain(moves).map(Step::Gitlab).collect();
    change
}

/// A record that is not marked as this runner's, and that the host's token opens. That is the one proof that it is not somebody
/// else's, and the beginning of a token, which many may see, is not the token: GitLab is asked with it before anything changes.
fn take_over(
    runners: &Runners,
    spec: &RunnerSpec,
    record: &RunnerRecord,
    marker: Option<&Marker>,
    why: &str,
    table: &HostRunner,
) -> Change {
    let own = Marker { obtained: marker.and_then(|marker| marker.obtained), ..runners.mark(&spec.name) };
    let mut difference = Difference::of(spec, record, &own);
    if let Some(marker) = marker {
        let shown = |mark: &Marker| {
            let inventory = mark.inventory.as_ref().map(|name| format!(" of inventory {}", escape(name)));
            format!("{} on {}{}", escape(&mark.runner), escape(&mark.host), inventory.unwrap_or_default())
        };
        difference.label(spec, &own, Some(Attr::new("mark", Some(shown(marker)), Some(shown(&own)))));
    }
    let mut change = stamped(runners, spec, record, &difference, own, table, why);
    change.steps.insert(0, prove(runners, spec, record.id));
    change
}

/// Asks GitLab whether the host's token is this record's.
pub(super) fn prove(runners: &Runners, spec: &RunnerSpec, id: u64) -> Step {
    Step::Gitlab(GitlabStep::ProveToken { id, token: runners.token(spec), system_id: runners.system_id() })
}

/// A record whose host has another name in the inventory now: nothing of the runner itself changes, its mark does.
fn rename(runners: &Runners, spec: &RunnerSpec, record: &RunnerRecord, marker: Marker, label: Option<Attr>) -> Change {
    let host = Attr::new("host", Some(escape(&marker.host)), Some(runners.host.clone()));
    let marker = Marker { host: runners.host.clone(), ..marker };
    let mut difference = Difference::of(spec, record, &marker);
    difference.label(spec, &marker, label);
    difference.label(spec, &marker, Some(host));
    let why = "it is marked for a host that the inventory no longer has, and this host has its token: it was renamed";
    difference.change(runners, spec, record, Some(why))
}

/// The mark names another inventory than this one, or none. That it is this runner's all the same is settled.
fn relabelled(runners: &Runners, marker: &Marker) -> Option<Attr> {
    let (old, new) = (marker.inventory.clone(), runners.inventory.clone());
    (old != new).then(|| Attr::new("inventory", old.map(|name| escape(&name)), new))
}

fn reset(runners: &Runners, spec: &RunnerSpec, record: &RunnerRecord, change: &mut Change, old: Option<String>) {
    change.attrs.push(Attr::new("token", old, Some("(a new one)".to_owned())));
    change.steps.push(Step::Gitlab(GitlabStep::ResetToken { id: record.id, token: runners.token(spec) }));
}

fn access_level(spec: &RunnerSpec) -> &'static str {
    if spec.protected { "ref_protected" } else { "not_protected" }
}

/// One attribute, as the inventory names it.
struct Field {
    name: &'static str,
    old: Option<String>,
    new: String,
    /// Shown for a new runner: it is not what everybody has.
    noteworthy: bool,
}

fn fields(spec: &RunnerSpec, record: Option<&RunnerRecord>) -> Vec<Field> {
    let quoted = |text: &str| format!("\"{}\"", escape(text));
    let timeout = |seconds: Option<u64>| seconds.map_or_else(|| "(none)".to_owned(), seconds_shown);
    let field = |name, noteworthy, new: String, old: &dyn Fn(&RunnerRecord) -> String| {
        let old = record.map(old);
        Field { name, old, new, noteworthy }
    };
    let old_tags: Vec<String> = record.map(|record| record.tag_list.clone()).unwrap_or_default();
    let same_tags = tag_set(&old_tags) == tag_set(&spec.tags);
    let mut all = vec![
        field("description", true, quoted(&spec.description), &|record| quoted(&record.description)),
        field("tags", true, tags_shown(&spec.tags), &|_| {
            // GitLab keeps no order.
            tags_shown(if same_tags { &spec.tags } else { &old_tags })
        }),
        field("run_untagged", true, spec.run_untagged.to_string(), &|record| record.run_untagged.to_string()),
        field("protected", spec.protected, spec.protected.to_string(), &|record| {
            (record.access_level == "ref_protected").to_string()
        }),
        field("locked", spec.locked, spec.locked.to_string(), &|record| record.locked.to_string()),
        field("paused", spec.paused, spec.paused.to_string(), &|record| record.paused.to_string()),
        field("maximum_timeout", spec.maximum_timeout.is_some(), timeout(spec.maximum_timeout), &|record| {
            timeout(record.maximum_timeout)
        }),
        field("note", !spec.note.trim().is_empty(), quoted(&marker::tidy(&spec.note)), &|record| {
            quoted(&marker::parse(&record.maintenance_note).0)
        }),
    ];
    if let Some(wanted) = &spec.projects {
        let old = record.map(|record| projects::others(spec, record)).unwrap_or_default();
        let same = Moves::of(spec, record).is_empty();
        all.push(field("projects", !wanted.is_empty(), tags_shown(wanted), &|_| {
            // GitLab keeps no order.
            tags_shown(if same { wanted } else { &old })
        }));
    }
    all
}

/// Attributes in which a record differs from a spec.
pub(super) fn differing(spec: &RunnerSpec, record: &RunnerRecord) -> Vec<Attr> {
    let differs = |field: &Field| field.old.as_ref() != Some(&field.new);
    let all = fields(spec, Some(record)).into_iter().filter(differs);
    all.map(|field| Attr::new(field.name, field.old, Some(field.new))).collect()
}

/// Whom changes of a record let in who could not use it before, by attribute.
pub(super) fn opens(record: &RunnerRecord, attrs: &[Attr]) -> Vec<(String, String)> {
    let what = |attr: &Attr| {
        let new = attr.new.as_deref();
        Some(match attr.path.as_str() {
            "protected" if new == Some("false") => "it takes jobs of every branch then, not only of protected ones",
            "run_untagged" if new == Some("true") => "it takes jobs without tags then, too",
            "locked" if new == Some("false") && record.runner_type == "project_type" => {
                "maintainers of other projects may take it then"
            }
            "paused" if new == Some("false") => "it takes jobs again then",
            _ => return None,
        })
    };
    attrs.iter().filter_map(|attr| Some((attr.path.clone(), what(attr)?.to_owned()))).collect()
}

fn tag_set(tags: &[String]) -> BTreeSet<&str> {
    tags.iter().map(String::as_str).collect()
}

fn tags_shown(tags: &[String]) -> String {
    format!("[{}]", tags.iter().map(|tag| escape(tag)).collect::<Vec<_>>().join(", "))
}

/// As the inventory has it: `2h`, `90m`, `3601s`.
fn seconds_shown(seconds: u64) -> String {
    match seconds {
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// What differs between a spec and a record, and what GitLab must be told to fix it.
struct Difference {
    attrs: Vec<Attr>,
    attributes: RunnerAttributes,
    effect: Effect,
    origin: Option<Span>,
    moves: Moves,
}

impl Difference {
    fn of(spec: &RunnerSpec, record: &RunnerRecord, marker: &Marker) -> Self {
        let mut this = Self {
            attrs: Vec::new(),
            attributes: RunnerAttributes::default(),
            effect: Effect::None,
            origin: None,
            moves: Moves::of(spec, Some(record)),
        };
        let moves = &this.moves;
        let attributes = &mut this.attributes;
        for field in fields(spec, Some(record)) {
            if field.old.as_ref() == Some(&field.new) {
                continue;
            }
            let fewer = match field.name {
                "description" => {
                    attributes.description = Some(spec.description.clone());
                    false
                }
                "tags" => {
                    attributes.tag_list = Some(spec.tags.clone());
                    !tag_set(&record.tag_list).is_subset(&tag_set(&spec.tags))
                }
                "run_untagged" => {
                    attributes.run_untagged = Some(spec.run_untagged);
                    !spec.run_untagged
                }
                "protected" => {
                    attributes.access_level = Some(access_level(spec).to_owned());
                    spec.protected
                }
                "locked" => {
                    attributes.locked = Some(spec.locked);
                    false
                }
                "paused" => {
                    attributes.paused = Some(spec.paused);
                    spec.paused
                }
                "maximum_timeout" => {
                    attributes.maximum_timeout = Some(spec.maximum_timeout);
                    false
                }
                "projects" => !moves.leave.is_empty(),
                _ => {
                    attributes.maintenance_note = Some(marker::compose(&spec.note, marker));
                    false
                }
            };
            if fewer {
                this.effect = Effect::FewerJobs;
            }
            this.origin = this.origin.or_else(|| spec.origins.get(field.name).cloned());
            this.attrs.push(Attr::new(field.name, field.old, Some(field.new)));
        }
        if !this.moves.is_empty() {
            // A locked runner joins no project; `moves` locks it again.
            this.attributes.locked = record.locked.then_some(false);
        }
        this
    }

    /// What of the mark itself changes, if something does.
    fn label(&mut self, spec: &RunnerSpec, marker: &Marker, attr: Option<Attr>) {
        let Some(attr) = attr else { return };
        self.attrs.insert(0, attr);
        self.attributes.maintenance_note = Some(marker::compose(&spec.note, marker));
    }

    fn change(&self, runners: &Runners, spec: &RunnerSpec, record: &RunnerRecord, reason: Option<&str>) -> Change {
        let update = GitlabStep::UpdateRunner {
            id: Some(record.id),
            token: runners.token(spec),
            attributes: self.attributes.clone(),
            stamp_token: false,
        };
        Change {
            kind: KIND.to_owned(),
            name: format!("#{} {}", record.id, spec.name),
            action: Action::Change,
            reason: reason.map(str::to_owned),
            attrs: self.attrs.clone(),
            text: None,
            effect: self.effect,
            service: None,
            origin: Some(self.origin.clone().unwrap_or_else(|| spec.origin.clone())),
            steps: (self.attributes != RunnerAttributes::default())
                .then_some(update)
                .into_iter()
                .chain(self.moves.steps(runners, spec, Some(record.id)))
                .map(Step::Gitlab)
                .collect(),
        }
    }
}
