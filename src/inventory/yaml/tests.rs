use super::*;

fn tree(text: &str) -> Node {
    let (root, problems) = parse(&"t.yml".into(), text);
    assert_eq!(problems, Vec::new());
    root.unwrap()
}

/// The tree as JSON, for comparing.
fn plain(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(text) => (**text).into(),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.to_string(), plain(&entry.value))).collect(),
    }
}

fn said(text: &str) -> String {
    let (_, problems) = parse(&"t.yml".into(), text);
    problems.iter().map(|problem| format!("{} {}\n", problem.span.as_ref().unwrap(), problem.message)).collect()
}

#[test]
fn scalars_mean_what_yaml_1_2_says() {
    let cases = [
        ("null", Value::Null),
        ("~", Value::Null),
        ("True", Value::Bool(true)),
        ("yes", Value::String("yes".into())),
        ("on", Value::String("on".into())),
        ("-12", Value::Int(-12)),
        ("0644", Value::Int(644)),
        ("0x1F", Value::Int(31)),
        ("0o17", Value::Int(15)),
        ("0x", Value::String("0x".into())),
        ("1e3", Value::Float(1000.0)),
        ("17.10", Value::Float(17.1)),
        ("17.9.0", Value::String("17.9.0".into())),
        (".5", Value::Float(0.5)),
        ("-.inf", Value::Float(f64::NEG_INFINITY)),
        ("inf", Value::String("inf".into())),
        ("nan", Value::String("nan".into())),
        ("infinity", Value::String("infinity".into())),
        ("1_000", Value::String("1_000".into())),
        ("+", Value::String("+".into())),
        ("10.0.0.0/8", Value::String("10.0.0.0/8".into())),
        ("2026-11-20", Value::String("2026-11-20".into())),
        ("99999999999999999999", Value::Float(1e20)),
        ("e", Value::String("e".into())),
        ("1:30", Value::String("1:30".into())),
    ];
    for (text, value) in cases {
        let root = tree(&format!("a: {text}"));
        assert_eq!(root.get("a").map_or(Value::Null, |node| node.value.clone()), value, "{text}");
        let quoted = tree(&format!("a: '{text}'"));
        assert_eq!(quoted.get("a").unwrap().value, Value::String(text.into()), "{text} in quotes");
    }
}

#[test]
fn numbers_remember_how_they_were_written() {
    let root = tree("a: 17.10\nb: 0644\nc: text\nd: true");
    let text = |key: &str| root.get(key).unwrap().text().map(|text| text.into_owned());
    assert_eq!(text("a").as_deref(), Some("17.10"));
    assert_eq!(text("b").as_deref(), Some("0644"));
    assert_eq!(text("c").as_deref(), Some("text"));
    assert_eq!(text("d"), None);
}

#[test]
fn every_key_and_value_has_its_place() {
    let root = tree("a:\n  - é: x\n    b: [1, {c: 2}]\n");
    let at = |span: &Span| (span.line, span.column);
    let a = root.entry("a").unwrap();
    assert_eq!(at(&a.span), (1, 1));
    let item = &a.value.items()[0];
    assert_eq!(at(&item.entry("é").unwrap().value.span), (2, 8), "columns are characters");
    let b = item.entry("b").unwrap();
    assert_eq!((at(&b.span), at(&b.value.span)), ((3, 5), (3, 8)));
    let c = b.value.items()[1].entry("c").unwrap();
    assert_eq!((at(&c.span), at(&c.value.span)), ((3, 13), (3, 16)));
}

#[test]
fn aliases_and_merge_keys() {
    let root = tree(
        "base: &base { a: 1, b: 2 }\nmore: &more { b: 3, c: 4 }\nx: { <<: *base, a: 9 }\ny: { <<: [*base, *more] }\nz: *base\n",
    );
    let expected = serde_json::json!({
        "base": { "a": 1, "b": 2 }, "more": { "b": 3, "c": 4 }, "x": { "a": 9, "b": 2 },
        "y": { "a": 1, "b": 2, "c": 4 }, "z": { "a": 1, "b": 2 },
    });
    assert_eq!(plain(&root), expected);
    assert_eq!(plain(&tree("'<<': { a: 1 }")), serde_json::json!({ "<<": { "a": 1 } }), "in quotes it is a key");
}

#[test]
fn a_key_twice_is_a_problem_that_leaves_the_rest() {
    let (root, problems) = parse(&"t.yml".into(), "a: 1\nb: { c: 1, d: { x: y }, c: 2 }\na: 3\n");
    assert_eq!(plain(&root.unwrap()), serde_json::json!({ "a": 1, "b": { "c": 1, "d": { "x": "y" } } }));
    assert_eq!(problems.len(), 2);
    assert_eq!(said("a: 1\nb: 2\na: 3"), "t.yml:3:1 `a` is here twice in one map\n");
}

#[test]
fn block_texts_keep_their_lines() {
    assert_eq!(plain(&tree("a: |\n  x\n  y\nb: >-\n  x\n  y\n")), serde_json::json!({ "a": "x\ny\n", "b": "x y" }));
}

#[test]
fn hostile_input_ends_soon() {
    let bomb = (0..30).fold("a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let alias = format!("*a{n}, ");
        text + &format!("a{}: &a{} [{}]\n", n + 1, n + 1, alias.repeat(8))
    });
    assert!(said(&bomb).contains("too large"));
    assert!(said(&"[".repeat(100_000)).contains("nested deeper"));
    assert!(said(&"{a: ".repeat(100_000)).contains("nested deeper"));
    assert!(said(&"- ".repeat(100_000)).contains("nested deeper"));
    // Each level is shallow, and an alias carries the depth of the one before it.
    let stairs =
        (0..1000).fold("a0: &a0 x\n".to_owned(), |text, n| text + &format!("a{}: &a{} [*a{n}]\n", n + 1, n + 1));
    assert!(said(&stairs).contains("nested deeper"));
    // Anchors around anchors keep a copy each.
    let onion =
        format!("{}{}{}", (0..40).map(|n| format!("&n{n} [")).collect::<String>(), "x,".repeat(60_000), "]".repeat(40));
    assert!(said(&onion).contains("too large"));
    let wide = format!("a: &a ['{}']\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(10_000));
    assert!(said(&wide).contains("too large"));
    assert_eq!(said(&format!("a: [{}]", "x, ".repeat(200_000))), "", "a long list is no attack");
}
