//! Chains and nesting in the source, in each of the ways to make them, on a stack as small as threads have.

use std::collections::BTreeMap;

use crate::template::{Engine, Problem, map};

/// What is made of a template on a small stack: nothing here may end the process.
fn rendered(source: String) -> Result<String, Problem> {
    let small = std::thread::Builder::new().stack_size(2 << 20);
    let work = move || {
        let own = BTreeMap::from([("deep.j2".to_owned(), source.clone())]);
        let engine = Engine::new(own);
        let values = map([("a", 1.into()), ("s", "x".into())]);
        // Whoever asks only for the names reads it as well.
        let names = engine.names(&source);
        let inline = engine.render_inline("t", &source, &values);
        let lines = engine.render_lines("t", &source, &values);
        let named = engine.render_named("deep.j2", &values);
        let included = engine.render("t", "{% include 'deep.j2' %}", &values);
        let file = engine.render("t", &source, &values);
        assert_eq!(inline.is_ok(), file.is_ok(), "{source:.60}");
        assert_eq!(lines.is_ok(), file.is_ok(), "{source:.60}");
        // Beside long texts a template may take fewer steps, which is another matter.
        for made in [named, included] {
            let slow = made.as_ref().is_err_and(|why| why.message.contains("takes too long"));
            assert!(slow || made.is_ok() == file.is_ok(), "{source:.60}: {made:?}");
        }
        drop(names);
        file.map(|text| text.redacted())
    };
    small.spawn(work).unwrap().join().unwrap()
}

/// Chains of so many links.
fn chains(times: usize) -> Vec<String> {
    let tag = |first: &str, more: &str, last: &str| format!("{{{{ {first}{}{last} }}}}", more.repeat(times));
    let list = |open: &str, close: &str| tag("", open, &format!("1{}", close.repeat(times)));
    vec![
        tag("1", " ~ 1", ""),
        tag("1", " + 1", ""),
        tag("1", " - 1", ""),
        tag("1", " * 1", ""),
        tag("1", " / 1", ""),
        tag("1", " // 1", ""),
        tag("1", " % 1", ""),
        tag("1", " ** 1", ""),
        tag("1", "|int", ""),
        tag("1", " is number", ""),
        tag("1", " and 1", ""),
        tag("1", " or 1", ""),
        tag("1", " if 1 else 1", ""),
        tag("1", " if 1", ""),
        tag("", "not ", "1"),
        tag("", "- ", "1"),
        tag("a", ".b", ""),
        tag("a", ".0", ""),
        tag("a", "[0]", ""),
        tag("a", "[0:]", ""),
        tag("a", "()", ""),
        tag("a", "[a", &"]".repeat(times)),
        tag("a", "(a", &")".repeat(times)),
        tag("a", "[0:a", &"]".repeat(times)),
        tag("1", "|default(1", &")".repeat(times)),
        list("(", ")"),
        list("[", "]"),
        list("(1, ", ")"),
        list("{'a': ", "}"),
        tag("", "(", ""),
        tag("", "[", ""),
        tag("", "{", ""),
        tag("", ")", ""),
        tag("", "1 == (", &format!("1{}", ")".repeat(times))),
        format!("{{% for {}x{} in [] %}}{{% endfor %}}", "(".repeat(times), ")".repeat(times)),
        format!("{{% set {}x{} = 1 %}}", "(".repeat(times), ")".repeat(times)),
        format!("{{% set x{} = 1 %}}", ".y".repeat(times)),
        format!("{{% set x{} %}}{{% endset %}}", " | upper".repeat(times)),
        format!("{{% filter upper{} %}}{{% endfilter %}}", " | upper".repeat(times)),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(times)),
        format!("{{% if a %}}{}", "{% elif a %}".repeat(times)),
        format!("{}{}", "{% if a %}".repeat(times), "{% endif %}".repeat(times)),
        format!("{}{}", "{% for x in [] %}".repeat(times), "{% endfor %}".repeat(times)),
        format!("{}{}", "{% with x = 1 %}".repeat(times), "{% endwith %}".repeat(times)),
        format!("{}{}", "{% set x | default(a=1) %}".repeat(times), "{% endset %}".repeat(times)),
        format!("{}{}", "{% if a %}{% elif a %}".repeat(times), "{% endif %}".repeat(times)),
        format!("{}{}", "{% macro m(x) %}".repeat(times), "{% endmacro %}".repeat(times)),
    ]
}

#[test]
fn no_chain_ends_the_process() {
    for times in [60, 190, 250, 1000, 20_000] {
        for source in chains(times) {
            let made = rendered(source.clone());
            if times >= 1000 {
                assert!(made.is_err(), "{source:.60}: {made:.60?}");
            }
        }
    }
    let deep = rendered("[".repeat(100_000));
    assert_eq!(deep.as_deref().map(str::len), Ok(100_000), "no tag, no expression");
    assert!(rendered(format!("{{{{ {} }}}}", "[".repeat(100_000))).is_err());
}

#[test]
fn the_place_is_told() {
    let problem = rendered(format!("x\n{{# c #}} {{{{ 1{} }}}}", " ~ 1".repeat(20_000))).unwrap_err();
    assert!(problem.message.contains("too long or too deeply nested"), "{problem:?}");
    assert_eq!(problem.line, Some(2), "{problem:?}");
    assert!(problem.column.is_some_and(|column| (780..840).contains(&column)), "{problem:?}");
    assert!(problem.help.is_some_and(|help| help.contains("{% set %}")));
}

#[test]
fn what_people_write_is_not_too_deep() {
    // Many of them beside each other are not deep.
    let wide = format!("{{{{ [{}] | length }}}}", "a + 1 * 2 - a, ".repeat(100));
    assert_eq!(rendered(wide).as_deref(), Ok("100"));
    let many = format!("{{{{ {{{}}} | length }}}}", "s ~ 'k': (a if a else [a, [a]]), ".repeat(50));
    assert_eq!(rendered(many).as_deref(), Ok("1"));
    assert_eq!(rendered("{% if a %}{{ a ~ s }}{% else %}{{ s }}{% endif %}".repeat(100)).unwrap().len(), 200);
    let cases = format!("{{% if a == 0 %}}0{}{{% endif %}}", "{% elif a == 2 %}2".repeat(150));
    assert_eq!(rendered(cases).as_deref(), Ok(""));
    assert_eq!(rendered(format!("{{{{ s{} }}}}", " ~ s".repeat(30))).unwrap().len(), 31);
    assert_eq!(rendered(format!("{{{{ a{} }}}}", " + 1".repeat(30))).as_deref(), Ok("31"));
    assert_eq!(rendered(format!("{{{{ s{} }}}}", " | upper".repeat(150))).as_deref(), Ok("X"));
}
