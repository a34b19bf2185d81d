//! The template engine's errors in a user's words: what is wrong, where, and what there is instead. Pure.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::Engine;
use super::bounds::{depth, work};
use crate::diagnostic::nearest;

/// Why a template could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Line in the template, from 1.
    pub line: Option<usize>,
    /// Column in that line, from 1, where it is known without looking for the word.
    pub column: Option<u32>,
    /// The inventory's templates together are to blame, not this one: once is enough.
    pub of_all: bool,
    /// What to point at in that line.
    pub word: Option<String>,
    /// The template it is in, if not the one that was asked for.
    pub within: Option<Box<str>>,
}

impl Problem {
    pub(super) fn new(message: String) -> Self {
        Self { message, help: None, line: None, column: None, of_all: false, word: None, within: None }
    }
}

/// What is between `{{` and `}}` for other programs.
const RAW: &str =
    "text for another program, such as `{{ … }}` of Docker or Go, goes between {% raw %} and {% endraw %}";

/// Names that Ansible and others give to what has a name of its own here.
const NAMES: &[(&str, &str)] = &[
    ("hostname", "host.name"),
    ("host_name", "host.name"),
    ("name", "host.name"),
    ("fqdn", "host.name"),
    ("node", "host.name"),
    ("inventory_hostname", "host.name"),
    ("inventory_hostname_short", "host.name"),
    ("ansible_hostname", "host.name"),
    ("ansible_fqdn", "host.name"),
    ("ansible_nodename", "host.name"),
    ("address", "host.address"),
    ("ip", "host.address"),
    ("ansible_host", "host.address"),
    ("groups", "host.groups"),
    ("group_names", "host.groups"),
    ("runner_name", "runner.name"),
];

/// Filters that are here under another name.
const FILTERS: &[(&str, &str)] = &[
    ("upcase", "upper"),
    ("uppercase", "upper"),
    ("downcase", "lower"),
    ("lowercase", "lower"),
    ("quote", "shquote"),
    ("squote", "shquote"),
    ("to_nice_json", "to_json"),
    ("to_toml", "toml"),
    ("size", "length"),
    ("len", "length"),
    ("strip", "trim"),
];

const KNOWN_FILTERS: &[&str] = &[
    "shquote",
    "json",
    "tojson",
    "toml",
    "upper",
    "lower",
    "title",
    "capitalize",
    "replace",
    "trim",
    "length",
    "count",
    "join",
    "split",
    "lines",
    "default",
    "first",
    "last",
    "min",
    "max",
    "sort",
    "unique",
    "reverse",
    "list",
    "map",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "groupby",
    "batch",
    "slice",
    "round",
    "abs",
    "int",
    "float",
    "string",
    "bool",
    "dictsort",
    "items",
    "indent",
    "sum",
    "zip",
    "attr",
    "format",
    "to_json",
    "combine",
    "regex_replace",
    "ternary",
];

impl Engine {
    pub(super) fn problem(&self, error: &Error, name: &str, source: &str, values: &Value) -> Problem {
        let mut inner = error;
        // An error in an included template is the source of the one that reports the include.
        while let Some(deeper) = std::error::Error::source(inner).and_then(|source| source.downcast_ref::<Error>()) {
            inner = deeper;
        }
        let within: Option<Box<str>> = inner.name().filter(|inner| *inner != name).map(Into::into);
        let included = within.as_deref().and_then(|name| self.environment.get_template(name).ok());
        let source = included.as_ref().map_or(source, |template| template.source());
        let detail = inner.detail().map_or_else(|| inner.kind().to_string(), str::to_owned);
        let told = Problem { line: inner.line(), within, ..Problem::new(String::new()) };
        // Around the error that says where.
        if error.detail() == Some(work::ALL_SPENT) {
            let message = "the inventory's templates together take too long to render: the time ran out in this one";
            let help = "make the loops of the templates shorter; each host's own rendering counts";
            return Problem { message: message.to_owned(), help: Some(help.to_owned()), of_all: true, ..told };
        }
        match inner.kind() {
            ErrorKind::UndefinedError => self.undefined(told, source, values, &detail),
            ErrorKind::SyntaxError | ErrorKind::InvalidDelimiter | ErrorKind::BadEscape => {
                let (message, help) = syntax(&detail);
                Problem { message, help: Some(help), ..told }
            }
            ErrorKind::UnknownFilter => {
                let filter = detail.split(' ').nth(1).unwrap_or_default().to_owned();
                let known = FILTERS.iter().find(|(other, _)| *other == filter).map(|(_, known)| *known);
                let help = known.or_else(|| nearest(&filter, KNOWN_FILTERS.iter().copied())).map_or_else(
                    || format!("filters: {}, …", KNOWN_FILTERS[..14].join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                Problem {
                    message: format!("there is no filter `{filter}`"),
                    help: Some(help),
                    word: Some(filter),
                    ..told
                }
            }
            ErrorKind::UnknownTest => {
                let test = detail.split(' ').nth(1).unwrap_or_default().to_owned();
                Problem {
                    message: format!("there is no test `{test}`"),
                    help: Some(
                        "tests: defined, undefined, none, string, number, in, eq, startingwith, endingwith, …"
                            .to_owned(),
                    ),
                    word: Some(test),
                    ..told
                }
            }
            ErrorKind::UnknownFunction => {
                let function = detail.split(' ').next().unwrap_or_default().to_owned();
                let help = match &*function {
                    "env" | "lookup" | "getenv" => {
                        "a secret is named in `vars`: `vars: { token: { env: TOKEN } }`, and placed with {{ vars.token }}"
                    }
                    _ => RAW,
                };
                let message = format!("there is no function `{function}`");
                Problem { message, help: Some(help.to_owned()), word: Some(function), ..told }
            }
            ErrorKind::OutOfFuel => Problem {
                message: "the template takes too long to render".to_owned(),
                help: Some("make its loops shorter".to_owned()),
                ..told
            },
            _ if detail.starts_with(depth::TOO_DEEP) => {
                // The reader was not let in, so the place is not the engine's.
                let place = depth::too_deep(source, &super::syntax_of(super::Dialect::File))
                    .or_else(|| depth::too_deep(source, &super::syntax_of(super::Dialect::Inline)));
                let part = detail.strip_prefix(depth::TOO_DEEP).unwrap_or_default();
                Problem {
                    message: format!("an expression of the template is too long or too deeply nested{part}"),
                    help: Some(
                        "`{% set %}` makes several of one; a list and `join`, or a loop, stand for repetition"
                            .to_owned(),
                    ),
                    line: place.map(|place| place.line).or(told.line),
                    column: place.and_then(|place| u32::try_from(place.column).ok()),
                    ..told
                }
            }
            _ if detail == work::TOO_LONG => Problem {
                message: "the template takes too long to render".to_owned(),
                help: Some("make its loops shorter, and what they compare and search smaller".to_owned()),
                ..told
            },
            _ if detail == work::TOO_NESTED => Problem {
                message: "a list or map of the template is too large or too deeply nested".to_owned(),
                help: Some("200,000 values and 64 levels are the most; what is in it twice counts twice".to_owned()),
                ..told
            },
            _ if detail == super::bounds::TOO_MUCH => Problem {
                message: "the template makes too much text".to_owned(),
                help: Some("4 MiB is the most for one file; texts and lists on the way there count too".to_owned()),
                ..told
            },
            ErrorKind::TemplateNotFound => Problem {
                message: format!("the template cannot be rendered: {detail}"),
                help: Some("templates of your own are in `templates/` beside the inventory".to_owned()),
                ..told
            },
            _ if detail.contains("a secret cannot go through") => {
                let (message, help) = detail.split_once(": ").unwrap_or((&detail, "place it as it is"));
                Problem { message: message.to_owned(), help: Some(help.to_owned()), ..told }
            }
            // How the engine calls a secret.
            _ if detail.contains("plain object") => Problem {
                message: "a template can place a secret, but neither look into it nor change it".to_owned(),
                help: Some("write {{ vars.NAME }}, without filters".to_owned()),
                ..told
            },
            _ => Problem { message: format!("the template cannot be rendered: {detail}"), ..told },
        }
    }

    fn undefined(&self, told: Problem, source: &str, values: &Value, detail: &str) -> Problem {
        let line = told.line.and_then(|line| source.lines().nth(line.saturating_sub(1))).unwrap_or(source);
        let Some(Missing { path, near, siblings }) = self.first_undefined(source, line, values) else {
            return match detail.split('`').nth(1) {
                Some(path) => Problem {
                    message: format!("`{path}` is not defined"),
                    help: in_loop(path, values),
                    word: Some(path.to_owned()),
                    ..told
                },
                None => {
                    Problem { message: format!("a value is not defined: {detail}"), help: Some(RAW.to_owned()), ..told }
                }
            };
        };
        let foreign = NAMES.iter().find(|(other, _)| *other == path).map(|(_, known)| (*known).to_owned());
        // `hostname` and `vars.hostname` alike: what is there must be in these values.
        let help = match foreign.filter(|known| lookup(values, known).is_some()).or(near) {
            Some(near) => format!("did you mean `{near}`?"),
            None if path == "vars" => "texts in `vars` can use `host`, but not other `vars`".to_owned(),
            None if path.starts_with("vars.") && siblings.is_empty() => {
                "give it under `vars` of the defaults, of a group or of the host".to_owned()
            }
            None if path.starts_with("vars.") => {
                format!(
                    "there are {}; another goes under `vars` of the defaults, a group or the host",
                    siblings.join(", ")
                )
            }
            None if path.contains('.') && !siblings.is_empty() => format!("there are {}", siblings.join(", ")),
            None => format!("there are {}; {RAW}", siblings.join(", ")),
        };
        let name: String = path.chars().take(100).collect();
        Problem { message: format!("`{name}` is not defined"), help: Some(help), word: Some(path), ..told }
    }

    /// The first dotted name of the template that the values do not have; one in the line that failed comes first.
    fn first_undefined(&self, source: &str, line: &str, values: &Value) -> Option<Missing> {
        if depth::too_deep(source, &super::syntax_of(super::Dialect::File)).is_some() {
            return None;
        }
        let template = self.environment.template_from_str(source).ok()?;
        let mut names: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        names.sort_by_key(|name| (!line.contains(name.as_str()), name.clone()));
        names.into_iter().find_map(|path| missing(&path, values))
    }
}

/// A name that looks like one of what the lists among the values hold: those are what templates loop over.
fn in_loop(path: &str, values: &Value) -> Option<String> {
    let (before, last) = path.rsplit_once('.')?;
    let mut known = Vec::new();
    for key in values.try_iter().ok()? {
        let list = values.get_item(&key).ok().filter(|value| value.kind() == ValueKind::Seq);
        let first = list.and_then(|list| list.try_iter().ok()?.next());
        known.extend(first.iter().flat_map(|item| item.try_iter().ok()).flatten().map(|key| key.to_string()));
    }
    let near = nearest(last, known.iter().map(String::as_str))?;
    Some(format!("did you mean `{before}.{near}`?"))
}

/// A name that is not there.
struct Missing {
    path: String,
    near: Option<String>,
    /// What is there instead.
    siblings: Vec<String>,
}

fn missing(path: &str, values: &Value) -> Option<Missing> {
    let (mut at, mut parent) = (values.clone(), String::new());
    for part in path.split('.') {
        let next = at.get_attr(part).unwrap_or_default();
        if next.is_undefined() {
            let keys = keys(&at);
            let near = nearest(part, keys.iter().map(String::as_str)).map(|near| format!("{parent}{near}"));
            let siblings = if parent.is_empty() { leaves(values) } else { quoted(keys, &parent) };
            return Some(Missing { path: format!("{parent}{part}"), near, siblings });
        }
        if next.kind() != ValueKind::Map {
            break;
        }
        parent = format!("{parent}{part}.");
        at = next;
    }
    None
}

fn keys(map: &Value) -> Vec<String> {
    map.try_iter().into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect()
}

fn quoted(keys: Vec<String>, parent: &str) -> Vec<String> {
    keys.into_iter().take(12).map(|key| format!("`{parent}{key}`")).collect()
}

/// `host.name`, `vars.rack`, …: what a template can use.
fn leaves(values: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for top in keys(values) {
        let value = values.get_attr(&top).unwrap_or_default();
        if value.kind() == ValueKind::Map {
            found.extend(quoted(keys(&value), &format!("{top}.")));
        } else {
            found.push(format!("`{top}`"));
        }
    }
    found.truncate(12);
    found
}

fn lookup(values: &Value, path: &str) -> Option<Value> {
    path.split('.').try_fold(values.clone(), |at, part| {
        let next = at.get_attr(part).ok()?;
        (!next.is_undefined()).then_some(next)
    })
}

/// A complaint of the parser.
fn syntax(detail: &str) -> (String, String) {
    let ends = "`{% for … %}` needs `{% endfor %}`, `{% if … %}` needs `{% endif %}`".to_owned();
    let (message, help) = match detail {
        _ if detail.contains("end of input") && detail.contains("end of block") => ("a `{% … %}` is not ended", ends),
        _ if detail.contains("end of input") => ("a `{{ … }}` is not closed", "add `}}`".to_owned()),
        _ if detail.contains("expected end of variable block") => {
            ("`{{ … }}` holds more than one value", format!("texts are joined with `~`; {RAW}"))
        }
        _ if detail.contains("expected end of block") => ("`{% … %}` holds more than one statement", ends),
        _ if detail.starts_with("unknown statement") => {
            let name = detail.rsplit(' ').next().unwrap_or_default();
            return (
                format!("there is no statement `{{% {name} %}}`"),
                "statements: for, if, elif, else, set, with, include, macro, raw, and their ends such as endfor"
                    .to_owned(),
            );
        }
        _ => {
            let found = detail.strip_prefix("unexpected ").map(|rest| rest.split(", expected").next().unwrap_or(rest));
            return match found {
                Some(found) => (format!("a template cannot have {found} here"), RAW.to_owned()),
                None => (format!("this is no valid template: {detail}"), RAW.to_owned()),
            };
        }
    };
    (message.to_owned(), help)
}
