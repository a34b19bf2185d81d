//! `/api/graphql`: the runners of the instance, a group or a project, and one runner by its id, with those fields of theirs that
//! a plan needs. A field or argument that is not here is refused as GitLab refuses one that it does not know.

use crate::auth::{self, Caller, MAINTAINER};
use crate::entity;
use crate::query::{self, Field};
use crate::release::Release;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{Runner, State};
use serde_json::{Map, Value, json};

/// GitLab's limit for an account that is signed in.
const MOST_COMPLEX: usize = 250;
/// Entries of a page at most; more are cut without a word.
const PER_PAGE: usize = 100;
const NOT_AVAILABLE: &str =
    "The resource that you are attempting to access does not exist or you don't have permission to perform this action";

/// The answer to a query. GitLab answers 200 with `errors` to nearly everything that is wrong with one.
pub(super) fn execute(state: &State, request: &Request) -> Outcome {
    request.sound()?;
    // A token without a fitting scope is as good as none.
    let caller = auth::caller_of_queries(state, request).ok_or_else(|| errors(401, "Invalid token"))?;
    let text = request.text("query").unwrap_or_default();
    let variables = match request.params.get("variables") {
        None | Some(Value::Null) => Value::Null,
        Some(Value::String(text)) if text.trim().is_empty() => Value::Null,
        Some(Value::String(text)) => {
            serde_json::from_str(text).map_err(|_| errors(422, "variables could not be parsed"))?
        }
        Some(Value::Object(map)) => Value::Object(map.clone()),
        Some(_) => return Err(errors(422, "Unexpected parameter: variables")),
    };
    let query = query::parse(text, &variables).map_err(|why| errors(200, &why))?;
    if query.mutation {
        let why = if request.method == "GET" { "Mutations are forbidden in GET requests" } else { NOT_AVAILABLE };
        return Err(errors(422, why));
    }
    let complexity = complexity(&query.fields);
    if complexity > MOST_COMPLEX {
        let why = format!("Query has complexity of {complexity}, which exceeds max complexity of {MOST_COMPLEX}");
        return Err(errors(200, &why));
    }
    let mut view = View { state, caller: &caller, errors: Vec::new() };
    let data = view.root(&query.fields).map_err(|why| errors(200, &why))?;
    let mut answer = json!({ "data": data });
    if !view.errors.is_empty() {
        answer["errors"] = view.errors.into_iter().map(|message| json!({ "message": message })).collect();
    }
    Ok(Reply::json(200, answer))
}

fn errors(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "errors": [{ "message": message }] }))
}

/// Each field costs one beside what is in it; a list costs that again for each hundred of its `first` entries.
fn complexity(fields: &[Field]) -> usize {
    let cost = |field: &Field| {
        let own = 1 + complexity(&field.fields);
        let first = field.arguments.get("first").and_then(Value::as_u64).and_then(|first| usize::try_from(first).ok());
        let entries = if field.name == "runners" { first.unwrap_or(PER_PAGE).min(PER_PAGE) } else { 0 };
        own + own * entries / PER_PAGE
    };
    fields.iter().map(cost).sum()
}

struct View<'a> {
    state: &'a State,
    caller: &'a Caller,
    errors: Vec<String>,
}

/// Checks a field's arguments by name.
fn known(field: &Field, on: &str, names: &[&str]) -> Result<(), String> {
    match field.arguments.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("Field '{}' doesn't accept argument '{name}' (on {on})", field.name)),
        None => Ok(()),
    }
}

fn unknown(field: &Field, on: &str) -> String {
    format!("Field '{}' doesn't exist on type '{on}'", field.name)
}

fn text<'f>(field: &'f Field, name: &str) -> Result<&'f str, String> {
    let missing = || format!("Field '{}' is missing required arguments: {name}", field.name);
    field.arguments.get(name).and_then(Value::as_str).ok_or_else(missing)
}

fn object(fields: &[Field], mut of: impl FnMut(&Field) -> Result<Value, String>) -> Result<Value, String> {
    let mut out = Map::new();
    for field in fields {
        out.insert(field.alias.clone(), of(field)?);
    }
    Ok(Value::Object(out))
}

impl View<'_> {
    fn root(&mut self, fields: &[Field]) -> Result<Value, String> {
        object(fields, |field| match field.name.as_str() {
            "runners" => {
                // Who may not see all of them is told so, and gets none.
                if !self.caller.user.admin {
                    self.errors.push(NOT_AVAILABLE.to_owned());
                    return Ok(Value::Null);
                }
                self.runners(field, &["type"], |_| true)
            }
            "runner" => {
                known(field, "Query", &["id"])?;
                let id = text(field, "id")?.strip_prefix("gid://gitlab/Ci::Runner/");
                let id: u64 = id.and_then(|id| id.parse().ok()).ok_or("the id is not a valid ID for Ci::Runner")?;
                match self.state.runners.get(&id).filter(|runner| self.caller.may_read(self.state, runner)) {
                    Some(runner) => self.runner(runner, &field.fields),
                    None => Ok(Value::Null),
                }
            }
            "group" => {
                known(field, "Query", &["fullPath"])?;
                let path = text(field, "fullPath")?;
                let found = self.state.groups.iter().find(|it| it.path.eq_ignore_ascii_case(path));
                let Some(group) = found.filter(|it| self.caller.group_level(self.state, it.id) > 0) else {
                    return Ok(Value::Null);
                };
                object(&field.fields, |field| match field.name.as_str() {
                    "fullPath" => Ok(json!(group.path)),
                    "runners" if self.caller.group_level(self.state, group.id) < MAINTAINER => self.not_available(),
                    "runners" => {
                        let direct = field.arguments.get("membership").and_then(Value::as_str) == Some("DIRECT");
                        if !direct {
                            return Err("gitlab-double: only the membership DIRECT is played".to_owned());
                        }
                        self.runners(field, &["type", "membership"], |runner| runner.group_id == Some(group.id))
                    }
                    _ => Err(unknown(field, "Group")),
                })
            }
            "project" => {
                known(field, "Query", &["fullPath"])?;
                let path = text(field, "fullPath")?;
                let found = self.state.projects.iter().find(|it| it.path.eq_ignore_ascii_case(path));
                let Some(project) = found.filter(|it| self.caller.project_level(self.state, it.id) > 0) else {
                    return Ok(Value::Null);
                };
                let groups = self.state.lineage(project.group_id);
                object(&field.fields, |field| match field.name.as_str() {
                    "fullPath" => Ok(json!(project.path)),
                    "runners" if self.caller.project_level(self.state, project.id) < MAINTAINER => self.not_available(),
                    "runners" => self.runners(field, &["type"], |runner| {
                        runner.runner_type == "instance_type"
                            || runner.project_ids.contains(&project.id)
                            || runner.group_id.is_some_and(|group| groups.contains(&group))
                    }),
                    _ => Err(unknown(field, "Project")),
                })
            }
            _ => Err(unknown(field, "Query")),
        })
    }

    fn not_available(&mut self) -> Result<Value, String> {
        self.errors.push(NOT_AVAILABLE.to_owned());
        Ok(Value::Null)
    }

    /// A page of runners, the newest first, behind the cursor.
    fn runners(&mut self, field: &Field, further: &[&str], of: impl Fn(&Runner) -> bool) -> Result<Value, String> {
        let names: Vec<&str> = ["first", "after"].iter().chain(further).copied().collect();
        known(field, "runners", &names)?;
        let kind = match field.arguments.get("type").and_then(Value::as_str) {
            None => None,
            Some(kind @ ("INSTANCE_TYPE" | "GROUP_TYPE" | "PROJECT_TYPE")) => Some(kind.to_lowercase()),
            Some(other) => return Err(format!("Argument 'type' on Field 'runners' has an invalid value ({other})")),
        };
        let after = match field.arguments.get("after").and_then(Value::as_str) {
            None => u64::MAX,
            Some(cursor) => {
                let id = cursor.strip_prefix("c-").and_then(|id| u64::from_str_radix(id, 16).ok());
                id.ok_or("The given cursor is invalid")?
            }
        };
        let first = field
            .arguments
            .get("first")
            .and_then(Value::as_u64)
            .map_or(PER_PAGE, |first| usize::try_from(first).unwrap_or(PER_PAGE).min(PER_PAGE));
        let fits = |runner: &&Runner| {
            of(runner) && runner.id < after && kind.as_ref().is_none_or(|kind| *kind == runner.runner_type)
        };
        let found: Vec<&Runner> = self.state.runners.values().rev().filter(fits).collect();
        let page = &found[..first.min(found.len())];
        object(&field.fields, |field| match field.name.as_str() {
            "count" => Ok(json!(found.len())),
            "nodes" => page.iter().map(|runner| self.runner(runner, &field.fields)).collect(),
            "pageInfo" => object(&field.fields, |field| match field.name.as_str() {
                "hasNextPage" => Ok(json!(found.len() > page.len())),
                "endCursor" => Ok(json!(page.last().map(|runner| format!("c-{:x}", runner.id)))),
                _ => Err(unknown(field, "PageInfo")),
            }),
            _ => Err(unknown(field, "CiRunnerConnection")),
        })
    }

    fn runner(&mut self, runner: &Runner, fields: &[Field]) -> Result<Value, String> {
        let may_update = self.caller.may_update(self.state, runner);
        if fields.is_empty() {
            return Err("Field must have selections (field 'nodes' returns CiRunner but has no selections)".to_owned());
        }
        object(fields, |field| {
            known(field, "CiRunner", &[])?;
            Ok(match field.name.as_str() {
                "id" => json!(format!("gid://gitlab/Ci::Runner/{}", runner.id)),
                "runnerType" => json!(runner.runner_type.to_uppercase()),
                "description" => json!(runner.description),
                "paused" => json!(runner.paused),
                "status" => {
                    let status = entity::connection(&runner.created_at, runner.contacted_at.as_deref());
                    json!(status.to_uppercase())
                }
                "tagList" => json!(runner.tag_list),
                "runUntagged" => json!(runner.run_untagged),
                "locked" => json!(runner.locked),
                "accessLevel" => json!(runner.access_level.to_uppercase()),
                "maximumTimeout" => json!(runner.maximum_timeout),
                // Counted of runners of projects only, those included that the caller does not see.
                "projectCount" => json!((runner.runner_type == "project_type").then_some(runner.project_ids.len())),
                "createdAt" => json!(runner.created_at),
                "contactedAt" => json!(runner.contacted_at),
                "shortSha" => json!(short_sha(self.state, runner)),
                "maintenanceNote" => json!(runner.maintenance_note.as_ref().filter(|_| may_update)),
                "userPermissions" => object(&field.fields, |field| match field.name.as_str() {
                    "updateRunner" | "deleteRunner" => Ok(json!(may_update)),
                    "readRunner" => Ok(json!(true)),
                    _ => Err(unknown(field, "RunnerPermissions")),
                })?,
                "ownerProject" => {
                    let owner = runner.project_ids.first();
                    match self.state.projects.iter().find(|project| Some(&project.id) == owner) {
                        Some(project) if runner.runner_type == "project_type" => {
                            object(&field.fields, |field| match field.name.as_str() {
                                "fullPath" => Ok(json!(project.path)),
                                _ => Err(unknown(field, "Project")),
                            })?
                        }
                        _ => Value::Null,
                    }
                }
                _ => return Err(unknown(field, "CiRunner")),
            })
        })
    }
}

/// The first characters of a token behind what GitLab takes for its fixed beginning: eight, and one more before tokens said of
/// what kind the runner is. Of a registered runner nothing is fixed.
fn short_sha(state: &State, runner: &Runner) -> String {
    let rest = runner.token.strip_prefix("glrt-").unwrap_or(&runner.token);
    if !state.release.has(Release::TYPED_TOKENS) {
        return rest.chars().take(9).collect();
    }
    let kind = match runner.runner_type.as_str() {
        "group_type" => "t2_",
        "project_type" => "t3_",
        _ => "t1_",
    };
    rest.strip_prefix(kind).unwrap_or(rest).chars().take(8).collect()
}
