//! What holds for any configuration: random ones are made from the list of keys.

use proptest::prelude::*;

use super::*;
use crate::runner_config::merge;
use crate::runner_config::render::{Managed, RunnerTable, render};

/// Numbers from a seed, so that a failing case can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

const STRINGS: [&str; 9] = ["", "a", "a\"b\\", "two\nlines\r\t", "ä \u{7f}\u{1}", "'", "5m", "[x]\n[[runners]]", "#"];
const NAMES: [&str; 5] = ["A", "a.b", "", "with \"quotes\"", "ü"];
const SECRETS: [(&str, &str); 2] = [("ONE", "it's \"\\\n\u{0} = [x]"), ("TWO", "glrt-abc")];

fn text(dice: &mut Dice) -> Text {
    let mut text = Text::default();
    for _ in 0..dice.roll(3) {
        match dice.roll(4) {
            0 => text.push_secret(SecretId::new(format!("env:{}", dice.pick(&SECRETS).0))),
            _ => text.push(dice.pick(&STRINGS)),
        }
    }
    text
}

fn many(dice: &mut Dice, mut one: impl FnMut(&mut Dice) -> ConfigValue) -> ConfigValue {
    ConfigValue::Array((0..dice.roll(4)).map(|_| one(dice)).collect())
}

fn map(dice: &mut Dice, mut one: impl FnMut(&mut Dice) -> ConfigValue) -> ConfigValue {
    let (from, count) = (dice.roll(NAMES.len()), dice.roll(3));
    let entry =
        |at: usize, value| (NAMES[(from + at) % NAMES.len()].to_owned(), ConfigEntry { value, origin: span(1) });
    ConfigValue::Table((0..count).map(|at| entry(at, one(dice))).collect())
}

fn string(dice: &mut Dice) -> ConfigValue {
    ConfigValue::String(text(dice))
}

fn integer(dice: &mut Dice) -> ConfigValue {
    ConfigValue::Integer(dice.pick(&[0, 1, -1, 1800, i64::MAX]))
}

fn float(dice: &mut Dice) -> ConfigValue {
    ConfigValue::Float(dice.pick(&[0.0, 1.0, -0.5, 1e300, 1e-7, f64::INFINITY]))
}

fn value(dice: &mut Dice, kind: Kind) -> ConfigValue {
    match kind {
        Kind::String => string(dice),
        Kind::Integer => integer(dice),
        Kind::Float => {
            if dice.roll(2) == 0 {
                ConfigValue::Integer(2)
            } else {
                float(dice)
            }
        }
        Kind::Boolean => ConfigValue::Boolean(dice.roll(2) == 0),
        Kind::Duration => match dice.roll(2) {
            0 => ConfigValue::Integer(300_000_000_000),
            _ => ConfigValue::String(Text::plain(dice.pick(&["5m", "1h30m", "0s", "1.5s", "300ms"]))),
        },
        Kind::Time => unreachable!("owned by the runner"),
        Kind::StringArray => many(dice, string),
        Kind::IntegerArray => many(dice, integer),
        Kind::FloatArray => many(dice, float),
        Kind::StringOrArray if dice.roll(2) == 0 => ConfigValue::String(Text::plain("always")),
        Kind::StringOrArray => many(dice, string),
        Kind::StringMap => map(dice, string),
        Kind::IntegerMap => map(dice, integer),
        Kind::BooleanMap => map(dice, |dice| ConfigValue::Boolean(dice.roll(2) == 0)),
        Kind::StringArrayMap => map(dice, |dice| many(dice, string)),
        Kind::AnyMap => map(dice, |dice| match dice.roll(4) {
            0 => map(dice, string),
            1 => many(dice, |dice| map(dice, string)),
            2 => integer(dice),
            _ => string(dice),
        }),
        Kind::Table(section) => ConfigValue::Table(any_table(dice, section)),
        Kind::TableArray(section) => {
            ConfigValue::Array((0..dice.roll(3)).map(|_| ConfigValue::Table(any_table(dice, section))).collect())
        }
    }
}

fn any_table(dice: &mut Dice, section: &str) -> ConfigTable {
    let mut known: Vec<_> = keys::in_section(section)
        .filter(|key| key.removed_in.is_none() && !(section == RUNNER && parse::OWNED.contains(&key.name)))
        .filter(|key| !(section == GLOBAL && key.name == "runners"))
        .collect();
    let count = dice.roll(8).min(known.len());
    (0..count)
        .map(|_| {
            let key = known.remove(dice.roll(known.len()));
            (key.name.to_owned(), ConfigEntry { value: value(dice, key.kind), origin: span(1) })
        })
        .collect()
}

/// Every key of the section, and of those below it, with a value that is not its zero.
fn whole_table(dice: &mut Dice, section: &str) -> ConfigTable {
    let keys = keys::in_section(section)
        .filter(|key| key.removed_in.is_none() && !(section == RUNNER && parse::OWNED.contains(&key.name)))
        .filter(|key| !(section == GLOBAL && key.name == "runners"));
    keys.map(|key| {
        let value = match key.kind {
            Kind::Table(section) if !section.is_empty() => ConfigValue::Table(whole_table(dice, section)),
            Kind::TableArray(section) => ConfigValue::Array(vec![ConfigValue::Table(whole_table(dice, section)); 2]),
            Kind::Boolean => ConfigValue::Boolean(true),
            Kind::Integer => ConfigValue::Integer(7),
            Kind::Float => ConfigValue::Float(0.5),
            Kind::String => ConfigValue::String(Text::plain("x\"\\")),
            Kind::Duration => ConfigValue::String(Text::plain("1h30m")),
            Kind::StringArray | Kind::StringOrArray => ConfigValue::Array(vec![ConfigValue::String(Text::plain("a"))]),
            kind => value(dice, kind),
        };
        (key.name.to_owned(), ConfigEntry { value, origin: span(1) })
    })
    .collect()
}

/// The keys below a section that are no tables themselves.
fn count(section: &str) -> usize {
    let keys = keys::in_section(section).filter(|key| key.removed_in.is_none());
    keys.filter(|key| !(section == RUNNER && parse::OWNED.contains(&key.name)))
        .map(|key| match key.kind {
            Kind::Table(section) if !section.is_empty() => count(section),
            Kind::TableArray(RUNNER) => 0,
            Kind::TableArray(section) => 2 * count(section),
            Kind::Boolean | Kind::Integer | Kind::Float | Kind::String | Kind::Duration => 1,
            Kind::StringArray | Kind::StringOrArray => 1,
            // Random maps and lists may be empty.
            _ => 0,
        })
        .sum()
}

#[test]
fn every_key_of_every_section_is_written_read_and_compared() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let (global, runner) = (whole_table(&mut dice, GLOBAL), whole_table(&mut dice, RUNNER));
        let content = file(&global, &runner).reveal(&bound()).unwrap();
        assert_eq!(all_differences(&global, &runner, &content), vec![], "{content}");
        let saved = saved_by_runner(&content);
        assert_eq!(all_differences(&global, &runner, &saved), vec![], "{saved}");
        // Against an empty file each of them is a difference of its own.
        let new = all_differences(&global, &runner, "[[runners]]\n");
        let paths: std::collections::BTreeSet<_> = new.iter().map(|difference| difference.path.as_str()).collect();
        assert_eq!(paths.len(), new.len());
        assert!(new.len() >= count(GLOBAL) + count(RUNNER), "{} of {}", new.len(), count(GLOBAL) + count(RUNNER));
        assert!(new.len() > 600, "{}", new.len());
    }
}

fn bound() -> SecretBook {
    let mut book = book(&SECRETS);
    book.bind(SecretId::runner_token("h", "x"), Secret::new("glrt-\"quoted\"".to_owned()));
    book
}

fn file(global: &ConfigTable, runner: &ConfigTable) -> Text {
    let managed = Managed {
        config: runner.clone(),
        id: Text::plain("42"),
        token: SecretId::runner_token("h", "x"),
        obtained: Some(Text::plain("2026-08-22T10:00:00Z")),
        expires: None,
    };
    render("prod.yml", global, &[RunnerTable::Managed(Box::new(managed))], &[])
}

fn all_differences(global: &ConfigTable, runner: &ConfigTable, content: &str) -> Vec<compare::Difference> {
    let host = parse::parse(content).unwrap();
    let mut all = compare::global(global, Some(&host), &bound(), &|_| true).unwrap().differences;
    all.extend(compare::runner("x", runner, host.runners.first(), &bound(), &|_| true).unwrap().differences);
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_rendered_is_what_was_wanted(seed: u64) {
        let mut dice = Dice(seed);
        let (global, runner) = (any_table(&mut dice, GLOBAL), any_table(&mut dice, RUNNER));
        let content = file(&global, &runner).reveal(&bound()).unwrap();
        prop_assert_eq!(all_differences(&global, &runner, &content), vec![], "{}", content);
        let found = &parse::parse(&content).unwrap().runners;
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].token.as_ref().unwrap().expose(), "glrt-\"quoted\"");

        // The runner's own save changes nothing that counts, and loses no token.
        let saved = saved_by_runner(&content);
        prop_assert_eq!(all_differences(&global, &runner, &saved), vec![], "{}\n=>\n{}", content, saved);
        let found = &parse::parse(&saved).unwrap().runners[0];
        prop_assert_eq!((found.id, found.token.as_ref().unwrap().expose()), (Some(42), "glrt-\"quoted\""));

        // A table that is kept means the same wherever it is put.
        let moved = parse::parse(found.text.expose()).unwrap();
        let all = compare::runner("x", &runner, moved.runners.first(), &bound(), &|_| true).unwrap().differences;
        prop_assert_eq!(all, vec![]);
    }

    /// What the host has beside what is declared stays as it is, whatever it is.
    #[test]
    fn what_is_not_declared_stays_beside_what_is(seed: u64) {
        let mut dice = Dice(seed);
        let (declared, there) = (any_table(&mut dice, RUNNER), any_table(&mut dice, RUNNER));
        let (declared_global, there_global) = (any_table(&mut dice, GLOBAL), any_table(&mut dice, GLOBAL));
        let host = file(&there_global, &there).reveal(&bound()).unwrap();
        let host = parse::parse(&host).unwrap();
        let origin = span(1);
        let rule = |place: &'static str| move |path: &str| crate::secret::SecretId::new(format!("{place}:{path}"));
        let (of_global, of_runner) = (rule("g"), rule("r"));
        let stays = |_: &str| false;
        let global = merge::global(
            &declared_global,
            Some(&host),
            &merge::Rule { goes: &stays, name: &of_global, origin: &origin },
        );
        let runner = merge::runner(
            &declared,
            host.runners.first(),
            &merge::Rule { goes: &stays, name: &of_runner, origin: &origin },
        );
        let mut book = bound();
        for (id, value) in global.values.into_iter().chain(runner.values) {
            book.bind(id, value);
        }
        let written = file(&global.table, &runner.table).reveal(&book).unwrap();
        let after = parse::parse(&written).unwrap_or_else(|bad| panic!("{bad:?}\n{written}"));
        let compared = |config: &parse::HostConfig| {
            let global = compare::global(&declared_global, Some(config), &bound(), &stays).unwrap();
            let runner = compare::runner("x", &declared, config.runners.first(), &bound(), &stays).unwrap();
            let sorted = |mut also: Vec<(String, String)>| { also.sort(); also };
            (global.differences, runner.differences, sorted(global.also), sorted(runner.also))
        };
        let (before, now) = (compared(&host), compared(&after));
        prop_assert_eq!((&now.0, &now.1), (&vec![], &vec![]), "{}", written);
        prop_assert_eq!((before.2, before.3), (now.2, now.3), "{}", written);
    }

    #[test]
    fn another_configuration_is_seen_and_mended(seed: u64) {
        let mut dice = Dice(seed);
        let (global, runner) = (any_table(&mut dice, GLOBAL), any_table(&mut dice, RUNNER));
        let (other_global, other_runner) = (any_table(&mut dice, GLOBAL), any_table(&mut dice, RUNNER));
        let there = file(&other_global, &other_runner).reveal(&bound()).unwrap();
        let there_wanted = all_differences(&global, &runner, &there);
        // Seen from the other side, the same places differ.
        let here = file(&global, &runner).reveal(&bound()).unwrap();
        let mut forward: Vec<_> = there_wanted.iter().map(|d| d.path.clone()).collect();
        let mut backward: Vec<_> =
            all_differences(&other_global, &other_runner, &here).into_iter().map(|d| d.path).collect();
        forward.sort();
        backward.sort();
        prop_assert_eq!(forward, backward);
        // No secret's value is in what is shown.
        for difference in there_wanted {
            for value in [difference.old, difference.new].into_iter().flatten() {
                prop_assert!(!value.contains("glrt-abc") && !value.contains("it's"), "{}", value);
            }
        }
    }
}
