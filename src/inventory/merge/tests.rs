use proptest::prelude::*;

use super::*;
use crate::inventory::schema::HOST;
use crate::inventory::yaml;

fn parse(file: &str, text: &str) -> Node {
    let (root, problems) = yaml::parse(&file.into(), text);
    assert_eq!(problems, Vec::new());
    root.unwrap()
}

/// All layers on top of each other, as hosts are built.
fn stack(layers: &[Node]) -> Node {
    let empty = Node::new(Value::Map(Vec::new()), layers[0].span.clone());
    without_nulls(layers.iter().fold(empty, |lower, upper| tables(&lower, upper, &HOST)))
}

/// Values without their places, and maps without their order.
fn bare(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(text) => (**text).into(),
        Value::List(items) => items.iter().map(bare).collect(),
        Value::Map(entries) => {
            let sorted: std::collections::BTreeMap<_, _> =
                entries.iter().map(|entry| (entry.key.to_string(), bare(&entry.value))).collect();
            sorted.into_iter().collect()
        }
    }
}

fn merged(layers: &[&str]) -> serde_json::Value {
    bare(&stack(&layers.iter().map(|text| parse("t.yml", text)).collect::<Vec<_>>()))
}

#[test]
fn maps_merge_lists_replace_null_takes_away() {
    let layers = [
        "{ ssh: { user: deploy, port: 22 }, packages: [curl, git], vars: { a: { x: 1 }, b: 2 }, cleanup: { schedule: x } }",
        "{ ssh: { port: 2222 }, packages: [vim], vars: { a: { y: 2 }, b: null }, cleanup: null }",
    ];
    let expected = serde_json::json!({
        "ssh": { "user": "deploy", "port": 2222 }, "packages": ["vim"], "vars": { "a": { "x": 1, "y": 2 } },
    });
    assert_eq!(merged(&layers), expected);
}

#[test]
fn what_null_took_away_can_come_back() {
    let layers =
        ["{ cleanup: { schedule: x, prune_volumes: true } }", "{ cleanup: null }", "{ cleanup: { schedule: y } }"];
    assert_eq!(merged(&layers), serde_json::json!({ "cleanup": { "schedule": "y" } }));
}

#[test]
fn one_secret_replaces_another_whole() {
    let layers = [
        "{ cleanup: { healthcheck: { env: A } }, vars: { t: { env: A }, m: { env: A, b: 1 } } }",
        "{ cleanup: { healthcheck: { file: b } }, vars: { t: { command: [c] }, m: { c: 2 } } }",
    ];
    let expected = serde_json::json!({
        "cleanup": { "healthcheck": { "file": "b" } },
        "vars": { "t": { "command": ["c"] }, "m": { "env": "A", "b": 1, "c": 2 } },
    });
    assert_eq!(merged(&layers), expected);
}

#[test]
fn the_upper_layer_chooses_among_keys_that_exclude_each_other() {
    let layers = [
        "{ manager: { container: { image: a, config_dir: /a }, config: { concurrent: 1 } } }",
        "{ manager: { package: { version: b } } }",
        "{ manager: { config: { concurrent: 2 } } }",
    ];
    let expected = serde_json::json!({ "manager": { "package": { "version": "b" }, "config": { "concurrent": 2 } } });
    assert_eq!(merged(&layers), expected);
}

#[test]
fn tables_of_config_toml_are_no_secrets_whatever_their_keys_are_called() {
    let layer = |text: &str| parse("t.yml", text);
    let lower = layer("{ docker: { log_options: { env: A } }, environment: [x] }");
    let upper = layer("{ docker: { log_options: { labels: b } } }");
    let merged = config(&lower, &upper, keys::RUNNER);
    let expected =
        serde_json::json!({ "docker": { "log_options": { "env": "A", "labels": "b" } }, "environment": ["x"] });
    assert_eq!(bare(&merged), expected);
}

#[test]
fn every_value_keeps_the_place_of_its_layer() {
    let layers = [
        parse("defaults.yml", "{ ssh: { user: deploy, port: 22 }, packages: [curl] }"),
        parse("group.yml", "{ ssh: { port: 2222 } }"),
        parse("host.yml", "{ packages: [vim] }"),
    ];
    let merged = stack(&layers);
    let file = |path: &[&str]| merged.at(path).unwrap().span.file.to_string();
    assert_eq!(file(&["ssh", "user"]), "defaults.yml");
    assert_eq!(file(&["ssh", "port"]), "group.yml");
    assert_eq!(file(&["packages"]), "host.yml");
}

#[test]
fn files_come_together() {
    let documents = [
        parse("a.yml", "{ defaults: { ssh: { user: a, port: 1 } }, hosts: { x: null }, groups: { g: {} } }"),
        parse("b.yml", "{ defaults: { ssh: { user: b } }, hosts: { y: null, x: null } }"),
    ];
    let (root, problems) = super::documents(&documents);
    assert_eq!(bare(root.at(&["defaults", "ssh"]).unwrap()), serde_json::json!({ "user": "b", "port": 1 }));
    assert_eq!(root.at(&["hosts"]).unwrap().entries().len(), 3);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message, "`x` of `hosts` is in two files");
    assert_eq!(problems[0].span.as_ref().map(ToString::to_string), Some("b.yml:1:53".to_owned()));
    assert!(problems[0].help.as_ref().is_some_and(|help| help.contains("a.yml:1:53")), "{problems:?}");
}

/// Layers that agree on which keys are maps, as those of one inventory do.
fn layer() -> impl Strategy<Value = Node> {
    let scalar = prop_oneof![Just(Value::Null), Just(Value::Bool(true)), (0_i64..4).prop_map(Value::Int)];
    let list = prop::collection::vec(0_i64..3, 0..3);
    let leaf = (scalar, list);
    prop::collection::vec(prop::option::of(leaf), 9).prop_map(|leaves| {
        let span = Span { file: "t.yml".into(), line: 1, column: 1 };
        let node = |value: Value| Node::new(value, span.clone());
        let entry = |key: &str, value: Value| Entry { key: key.into(), span: span.clone(), value: node(value) };
        let group = |leaves: &[Option<(Value, Vec<i64>)>]| {
            let mut entries = Vec::new();
            for (key, (value, list)) in
                ["a", "b", "c"].iter().zip(leaves).filter_map(|(key, leaf)| Some((key, leaf.clone()?)))
            {
                entries.push(entry(key, value));
                entries.push(entry(
                    &format!("{key}_list"),
                    Value::List(list.into_iter().map(|n| node(Value::Int(n))).collect()),
                ));
            }
            entries
        };
        let mut vars = group(&leaves[..3]);
        vars.push(entry("inner", Value::Map(group(&leaves[3..6]))));
        node(Value::Map(vec![entry("vars", Value::Map(vars)), entry("ssh", Value::Map(group(&leaves[6..])))]))
    })
}

proptest! {
    #[test]
    fn merging_a_layer_again_changes_nothing(a in layer(), b in layer()) {
        prop_assert_eq!(bare(&stack(&[a.clone(), b.clone(), b.clone()])), bare(&stack(&[a.clone(), b.clone()])));
        prop_assert_eq!(bare(&stack(&[a.clone(), a.clone()])), bare(&stack(&[a])));
    }

    #[test]
    fn layers_can_be_put_together_in_any_grouping(a in layer(), b in layer(), c in layer()) {
        let left = tables(&tables(&a, &b, &HOST), &c, &HOST);
        let right = tables(&a, &tables(&b, &c, &HOST), &HOST);
        prop_assert_eq!(bare(&without_nulls(left)), bare(&without_nulls(right)));
    }

    #[test]
    fn the_uppermost_layer_that_says_something_wins(layers in prop::collection::vec(layer(), 1..4)) {
        let merged = stack(&layers);
        for path in [["vars", "a"], ["vars", "b_list"], ["ssh", "c"]] {
            let said = layers.iter().rev().find_map(|layer| layer.at(&path)).filter(|node| !node.is_null());
            prop_assert_eq!(merged.at(&path).map(bare), said.map(bare));
        }
    }
}
