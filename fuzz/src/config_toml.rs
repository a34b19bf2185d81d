//! A host's config.toml: read, kept as it is, written and read again.

use rprov::inventory::model::ConfigTable;
use rprov::runner_config::compare;
use rprov::runner_config::parse::{HostConfig, parse};
use rprov::runner_config::render::{RunnerTable, render};
use rprov::secret::{Secret, SecretBook, SecretId};

pub fn one(data: &[u8]) {
    let text = super::text(data);
    let before = match parse(&text) {
        Ok(config) => config,
        Err(bad) => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&bad.line), "{bad:?} is outside of {lines} lines");
            let columns = text.split('\n').nth(bad.line - 1).unwrap_or_default().chars().count();
            assert!((1..=columns + 1).contains(&bad.column), "{bad:?} is outside of {columns} columns");
            return;
        }
    };
    // Every `[[runners]]` table of the host's is kept: that is what becomes of those that are not ours.
    let mut book = SecretBook::default();
    let mut kept = Vec::new();
    for runner in &before.runners {
        let id = SecretId::new(format!("kept:{}", runner.number));
        book.bind(id.clone(), Secret::new(runner.text.expose().to_owned()));
        kept.push(RunnerTable::Kept(id));
    }
    let nothing = ConfigTable::default();
    let written = render("inventory.yml", &nothing, &kept, &[]).reveal(&book).expect("every secret is bound");
    let after = parse(&written).unwrap_or_else(|bad| panic!("what was written is no TOML: {bad:?}\n{written}"));
    assert_eq!(after.runners.len(), before.runners.len(), "{written}");
    for (old, new) in before.runners.iter().zip(&after.runners) {
        assert_eq!((&old.name, &old.url, old.id), (&new.name, &new.url, new.id), "{written}");
        let tokens = [&old.token, &new.token].map(|token| token.as_ref().map(Secret::expose));
        assert_eq!(tokens[0], tokens[1], "{written}");
        assert_eq!((&old.obtained, &old.expires), (&new.obtained, &new.expires), "{written}");
    }
    assert_eq!(differences(&before, &book), differences(&after, &book), "{written}");
}

/// Each table compared with an empty one: all that it holds.
fn differences(config: &HostConfig, book: &SecretBook) -> Vec<Vec<compare::Difference>> {
    let nothing = ConfigTable::default();
    let of = |runner| {
        compare::runner("x", &nothing, Some(runner), book, &|_| true).expect("every secret is bound").differences
    };
    compare::global(&nothing, Some(config), book, &|_| true).expect("every secret is bound");
    config.runners.iter().map(of).collect()
}
