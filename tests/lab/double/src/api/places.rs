//! Lists of groups and projects. Everything is private here: who is no member sees nothing, an administrator all.

use super::meta::find_group;
use crate::auth::{self, Caller};
use crate::entity;
use crate::page;
use crate::params::Check;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{Group, Project, State};
use serde_json::Value;

const VISIBILITY: [&str; 3] = ["private", "internal", "public"];

/// The filters that lists of groups and of projects share.
struct Filter {
    search: Option<String>,
    least: u8,
    /// Whether private things are among what is asked for, as everything is.
    private: bool,
    descending: bool,
    by: String,
}

impl Filter {
    /// `by` and `sort` are what GitLab sorts by where nothing is said.
    fn read(check: &mut Check<'_>, orders: &[&str], by: &str, sort: &str) -> Self {
        let search = check.string("search").flatten().map(|text| text.to_lowercase());
        let owned = check.boolean("owned").flatten() == Some(true);
        let least = check.integer("min_access_level").flatten();
        if least.is_some_and(|level| ![10, 15, 20, 25, 30, 40, 50].contains(&level)) {
            check.fault("min_access_level does not have a valid value");
        }
        let least = least.and_then(|level| u8::try_from(level).ok()).unwrap_or(1);
        let visibility = check.choice("visibility", &VISIBILITY).flatten();
        let archived = check.boolean("archived").flatten();
        let sort = check.choice("sort", &["asc", "desc"]).flatten().unwrap_or_else(|| sort.to_owned());
        Self {
            search,
            least: if owned { auth::OWNER } else { least },
            private: visibility.is_none_or(|v| v == "private") && archived != Some(true),
            descending: sort == "desc",
            by: check.choice("order_by", orders).flatten().unwrap_or_else(|| by.to_owned()),
        }
    }

    fn fits(&self, path: &str, level: u8) -> bool {
        let name = entity::last(path).to_lowercase();
        self.private && level >= self.least && self.search.as_deref().is_none_or(|s| name.contains(s))
    }

    /// Sorts by what was asked for, then by id.
    fn sorted<T>(&self, mut list: Vec<T>, key: impl Fn(&T) -> (u64, String)) -> Vec<T> {
        list.sort_by_key(|item| {
            let (id, path) = key(item);
            let text = match self.by.as_str() {
                "name" | "similarity" => entity::last(&path).to_owned(),
                "path" => path,
                _ => String::new(),
            };
            (text, id)
        });
        if self.descending {
            list.reverse();
        }
        list
    }
}

/// A list of groups out of `among`.
fn groups_of(state: &State, request: &Request, caller: &Caller, among: impl Fn(&Group) -> bool) -> Outcome {
    let mut check = Check::new(&request.params);
    let filter = Filter::read(&mut check, &["name", "path", "id", "similarity"], "name", "asc");
    let top = check.boolean("top_level_only").flatten() == Some(true);
    check.boolean("all_available");
    check.boolean("statistics");
    let skip = check.list("skip_groups").unwrap_or_default();
    check.finish()?;
    let fits = |g: &&Group| {
        among(g)
            && filter.fits(&g.path, caller.group_level(state, g.id))
            && !(top && g.parent_id.is_some())
            && !skip.contains(&g.id.to_string())
    };
    let list = filter.sorted(state.groups.iter().filter(fits).collect(), |g| (g.id, g.path.clone()));
    page::page(request, list.into_iter().map(|g| entity::group(&request.origin, g)).collect())
}

/// `GET /groups`.
pub(super) fn groups(state: &State, request: &Request) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    groups_of(state, request, &caller, |_| true)
}

/// `GET /groups/:id/subgroups`, and `/descendant_groups` with those of the subgroups.
pub(super) fn subgroups(state: &State, request: &Request, id: &str, deep: bool) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let top = find_group(state, &caller, id)?.id;
    groups_of(state, request, &caller, |g| {
        g.parent_id == Some(top) || (deep && g.id != top && state.lineage(g.id).contains(&top))
    })
}

/// A list of projects out of `among`.
fn projects_of(state: &State, request: &Request, caller: &Caller, among: impl Fn(&Project) -> bool) -> Outcome {
    let mut check = Check::new(&request.params);
    let orders = ["id", "name", "path", "created_at", "updated_at", "last_activity_at", "similarity", "star_count"];
    let filter = Filter::read(&mut check, &orders, "created_at", "desc");
    let simple = check.boolean("simple").flatten() == Some(true);
    check.boolean("membership");
    check.finish()?;
    let fits = |p: &&Project| among(p) && filter.fits(&p.path, caller.project_level(state, p.id));
    let list = filter.sorted(state.projects.iter().filter(fits).collect(), |p| (p.id, p.path.clone()));
    let show = |p: &Project| shown(state, request, p, simple);
    page::page(request, list.into_iter().map(show).collect())
}

/// A project in short or as a whole.
fn shown(state: &State, request: &Request, project: &Project, simple: bool) -> Value {
    let group = state.groups.iter().find(|g| g.id == project.group_id);
    if simple {
        entity::simple_project(&request.origin, project, group)
    } else {
        entity::project(&request.origin, project, group)
    }
}

/// `GET /projects`.
pub(super) fn projects(state: &State, request: &Request) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    projects_of(state, request, &caller, |_| true)
}

/// `GET /groups/:id/projects`.
pub(super) fn projects_of_group(state: &State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let group = find_group(state, &caller, id)?.id;
    let mut check = Check::new(&request.params);
    let deep = check.boolean("include_subgroups").flatten() == Some(true);
    check.finish()?;
    let below = |p: &Project| p.group_id == group || (deep && state.lineage(p.group_id).contains(&group));
    projects_of(state, request, &caller, below)
}

/// `GET /groups/:id`: with its projects, unless they are not wanted.
pub(super) fn group(state: &State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let mut check = Check::new(&request.params);
    let with_projects = check.boolean("with_projects").flatten() != Some(false);
    check.finish()?;
    let group = find_group(state, &caller, id)?;
    let mut value = entity::group(&request.origin, group);
    value["shared_with_groups"] = Value::Array(Vec::new());
    if with_projects {
        let own = state.projects.iter().filter(|p| p.group_id == group.id);
        value["projects"] = own.map(|p| shown(state, request, p, false)).collect();
        value["shared_projects"] = Value::Array(Vec::new());
    }
    Ok(Reply::json(200, value))
}
