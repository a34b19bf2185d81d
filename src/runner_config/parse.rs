//! A host's config.toml, read the way GitLab Runner reads it. It holds tokens, so nothing here can be printed. Pure.

use jiff::Timestamp;
use toml_edit::{ArrayOfTables, Document, DocumentMut, Item};

use super::keys::RUNNER;
use super::render::{LEAVING, is_head};
use super::tree::{self, Field, Tree, field};
use crate::secret::Secret;

/// The file.
#[derive(Default)]
pub struct HostConfig {
    /// Everything but the `[[runners]]` tables.
    pub(super) global: Vec<Field>,
    /// The `[[runners]]` tables in the order of the file.
    pub runners: Vec<HostRunner>,
    /// Ids of runners that the file no longer has and that were to be deleted in GitLab next.
    pub leaving: Vec<u64>,
}

/// One `[[runners]]` table.
pub struct HostRunner {
    /// Its number in the file, from 1.
    pub number: usize,
    /// `name`; "" if there is none.
    pub name: String,
    /// `url`; "" if there is none.
    pub url: String,
    /// `id`, the runner's in GitLab; `None`: missing or 0.
    pub id: Option<u64>,
    /// `token`; `None`: missing or empty.
    pub token: Option<Secret>,
    /// `token_obtained_at`; `None`: missing or zero.
    pub obtained: Option<Moment>,
    /// `token_expires_at`; `None`: missing or zero, which means never.
    pub expires: Option<Moment>,
    /// The table as it stands in the file, to be kept as it is. Ends with a line break.
    pub text: Secret,
    /// Without what GitLab and the runner own.
    pub(super) fields: Vec<Field>,
}

/// A point in time of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// As TOML writes it.
    pub literal: String,
    /// Seconds since 1970.
    pub seconds: i64,
}

/// The keys of a `[[runners]]` table that GitLab and the runner own.
pub const OWNED: [&str; 4] = ["id", "token", "token_obtained_at", "token_expires_at"];

/// The file is no config.toml.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadConfig {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, without a word of the file.
    pub message: String,
}

/// Reads the file.
///
/// # Errors
/// When it is no TOML, or `runners` is something else than tables.
pub fn parse(content: &str) -> Result<HostConfig, BadConfig> {
    let document = Document::parse(content).map_err(|error| {
        let message = error.message().lines().next().unwrap_or("this is no TOML").to_owned();
        bad(content, error.span(), message)
    })?;
    let leaving = content.lines().filter_map(|line| line.strip_prefix(LEAVING)?.trim().parse().ok()).collect();
    let mut config = HostConfig { leaving, ..HostConfig::default() };
    // As GitLab Runner finds it: the exact name, else any mix of cases.
    let runners = if document.contains_key("runners") {
        Some("runners".to_owned())
    } else {
        document.iter().map(|(name, _)| name).find(|name| name.eq_ignore_ascii_case("runners")).map(str::to_owned)
    };
    let span = runners.as_ref().and_then(|name| document.get(name)).and_then(Item::span);
    for (name, item) in document.into_mut().into_table() {
        if Some(name.as_str()) != runners.as_deref() {
            config.global.extend(tree::from_item(name.as_str(), &item));
            continue;
        }
        let tables = item
            .into_array_of_tables()
            .map_err(|_| bad(content, span.clone(), "`runners` must be a list of tables, `[[runners]]`".to_owned()))?;
        config.runners = tables.into_iter().enumerate().map(|(at, table)| runner(at + 1, table)).collect();
    }
    Ok(config)
}

fn bad(content: &str, span: Option<std::ops::Range<usize>>, message: String) -> BadConfig {
    let before = content.get(..span.map_or(0, |span| span.start)).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    BadConfig { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, message }
}

fn runner(number: usize, table: toml_edit::Table) -> HostRunner {
    let mut fields = tree::from_toml(&table);
    let value = |name| field(&fields, RUNNER, name).map(|field| &field.value);
    let string = |name| match value(name) {
        Some(Tree::Text(text)) => text.redacted(),
        _ => String::new(),
    };
    let id = match value("id") {
        Some(Tree::Integer(id)) => u64::try_from(*id).ok().filter(|id| *id != 0),
        _ => None,
    };
    let (name, url) = (string("name"), string("url"));
    let token = Some(string("token")).filter(|token| !token.is_empty()).map(Secret::new);
    let (obtained, expires) = (moment(value("token_obtained_at")), moment(value("token_expires_at")));
    for owned in OWNED {
        if let Some(found) = field(&fields, RUNNER, owned).map(|field| field.name.clone()) {
            fields.retain(|field| field.name != found);
        }
    }
    let mut tables = ArrayOfTables::new();
    tables.push(table);
    let mut document = DocumentMut::new();
    document.insert("runners", Item::ArrayOfTables(tables));
    let text = document.to_string();
    // Where no key stands before it, the head of the file clings to the first table.
    let is_comment = |line: &str| line.trim_start().starts_with('#') || line.trim().is_empty();
    let mut in_head = true;
    let mut text: String = text
        .split_inclusive('\n')
        .filter(|line| {
            in_head &= is_comment(line);
            !(in_head && is_head(line.trim_end()))
        })
        .collect();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    HostRunner { number, name, url, id, token, obtained, expires, text: Secret::new(text), fields }
}

fn moment(value: Option<&Tree>) -> Option<Moment> {
    // A string would do for the runner as well.
    let literal = match value? {
        Tree::Time(time) => time.clone(),
        Tree::Text(text) => text.redacted(),
        _ => return None,
    };
    let time: Timestamp = literal.parse().or_else(|_| format!("{literal}Z").parse()).ok()?;
    // Go's zero time, 0001-01-01T00:00:00Z.
    (time.as_second() != -62_135_596_800).then(|| Moment { literal: time.to_string(), seconds: time.as_second() })
}
