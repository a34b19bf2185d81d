//! The reference of the inventory's keys, from the table that the program itself checks inventories with.

use std::fmt::Write as _;

use rprov::inventory::schema::{Kind, ROOT, Table};

/// One section per table, in the order in which they are first named.
pub(crate) fn text() -> String {
    let mut out = String::new();
    let mut tables: Vec<&'static Table> = vec![&ROOT];
    let mut next = 0;
    while let Some(table) = tables.get(next).copied() {
        next += 1;
        write!(out, "\n### {}\n\n", heading(table)).unwrap();
        out += "| key | value | meaning |\n|---|---|---|\n";
        for field in table.fields {
            let value = if field.later { "not in this release".to_owned() } else { kind(&field.kind, &mut tables) };
            let required = if field.required { " **Required.**" } else { "" };
            let doc = field.doc.replace('|', "\\|");
            writeln!(out, "| `{}` | {value} | {doc}{required} |", field.name).unwrap();
        }
        for choice in table.choices {
            let names: Vec<String> = choice.of.iter().map(|name| format!("`{name}`")).collect();
            let how = if choice.required { "Exactly one of" } else { "At most one of" };
            write!(out, "\n{how} {}.\n", names.join(", ")).unwrap();
        }
    }
    out.push('\n');
    out
}

/// A table's title as a heading: without "a", first letter large.
fn heading(table: &Table) -> String {
    let title = table.title.trim_start_matches("an ").trim_start_matches("a ");
    let mut letters = title.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

fn kind(kind: &Kind, tables: &mut Vec<&'static Table>) -> String {
    match kind {
        Kind::Text(_) => "text".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Integer(from, to) => format!("{from} to {to}"),
        Kind::Word(words) => {
            let names = words.iter().map(|word| {
                let later = if word.later { " (not in this release)" } else { "" };
                format!("`{}`{later}", word.name)
            });
            names.collect::<Vec<_>>().join(", ")
        }
        Kind::Secret => "[secret](#secrets)".to_owned(),
        Kind::TextOrSecret(_) => "text or [secret](#secrets)".to_owned(),
        Kind::Scope => "`instance`, `{ group: PATH }` or `{ project: PATH }`".to_owned(),
        Kind::List(item) => format!("list of {}", self::kind(item, tables)),
        Kind::OneOrList(item) => format!("{}, or a list of such", self::kind(item, tables)),
        Kind::Table(table) => link(table, tables),
        Kind::ShortOr(table) => {
            let first = table.fields.first().map_or("", |field| field.name);
            format!("`{first}` alone, or {}", link(table, tables))
        }
        Kind::Named(_, table) => format!("names, each with {}", link(table, tables)),
        Kind::Texts(..) => "map of texts".to_owned(),
        Kind::TextsOrSecrets(_) => "map of texts or [secrets](#secrets)".to_owned(),
        Kind::RunnerList => "list of names, or of `NAME: { … }`".to_owned(),
        Kind::Config(section) => format!("keys of config.toml's `{section}`"),
        Kind::Unchecked(section) => format!("further keys of config.toml's `{section}`"),
        Kind::Free => "anything".to_owned(),
        Kind::Json => "map".to_owned(),
    }
}

fn link(table: &'static Table, tables: &mut Vec<&'static Table>) -> String {
    if !tables.iter().any(|known| std::ptr::eq(*known, table)) {
        tables.push(table);
    }
    let anchor: String =
        heading(table).to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect();
    format!("[{}](#{})", table.title, anchor.replace(' ', "-"))
}
