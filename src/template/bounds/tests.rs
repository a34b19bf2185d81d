use std::collections::BTreeMap;

use crate::secret::SecretId;
use crate::template::{Engine, Value, map, secret};

fn engine() -> Engine {
    Engine::new(BTreeMap::from([
        ("self.j2".to_owned(), "{% set s = s ~ s %}{% include 'self.j2' %}".to_owned()),
        ("lib.j2".to_owned(), "{% macro d(x) %}{{ x ~ x }}{% endmacro %}".to_owned()),
    ]))
}

fn values() -> Value {
    let token = secret(&SecretId::new("env:T"));
    map([("a", "x".into()), ("n", 3.into()), ("l", [1, 2, 3].into_iter().collect()), ("t", token)])
}

/// What a template makes, in each of the three ways of writing one.
fn render(source: &str) -> Result<String, String> {
    let (engine, values) = (engine(), values());
    let all = [
        engine.render("t", source, &values),
        engine.render_inline("t", source, &values),
        engine
            .render_lines("t", source, &values)
            .and_then(|made| crate::text::Text::from_marked(&made.marked).map_err(super::super::Problem::new)),
    ];
    let all = all.map(|made| made.map(|text| text.redacted()).map_err(|problem| problem.message));
    assert!(all[0] == all[1] && all[1] == all[2], "{source}: {all:?}");
    let [made, ..] = all;
    made
}

#[test]
fn operators_mean_what_they_meant() {
    for (source, made) in [
        ("{{ a ~ 'b' ~ n }}", "xb3"),
        ("{{ (1 + 2 * 3) ~ 'x' }}", "7x"),
        ("{{ (1 + 2) * 3 }}", "9"),
        ("{{ -n + 1 }} {{ 1 - n + 2 }} {{ 2 ** 3 * 2 }}", "-2 0 16"),
        ("{{ 'a' + 'b' | upper }}", "aB"),
        ("{{ ('a' + 'b') | upper }}", "AB"),
        ("{{ ('a' ~ 'b')[1:] }}{{ 'abc'[1:][:1] }}", "bb"),
        ("{{ ((a ~ 'bc'))[1:].upper() }}", "BC"),
        ("{{ (a if n == 3 else 'q')[0:] }}", "x"),
        ("{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ [1] * 2 }} {{ (l + [4]) | length }}", "ababab ababab [1, 1] 4"),
        ("{{ l[1:] | join('+') }} {{ l[0] + l[1] }} {{ { 'k': 1 + 1 }['k'] }}", "2+3 3 2"),
        ("{% for x in l + [4] if x + 1 > 2 %}{{ x ~ ',' }}{% endfor %}", "2,3,4,"),
        ("{% set s = 'a' ~ 'b' %}{% if s ~ 'c' == 'abc' and 1 + 1 == 2 %}y{% endif %}", "y"),
        ("{% macro m(x, y='p' ~ 'q') %}{{ x ~ y }}{% endmacro %}{{ m('a' ~ 'b') }}", "abpq"),
        ("{% import 'lib.j2' as lib %}{{ lib.d(a ~ '1') }}", "x1x1"),
        ("{{ 'a' ~ ('+' ~ '~') ~ \"*\" }} ~ + *", "a+~* ~ + *"),
        ("{{ a is defined and (n + 1) is even }}", "True"),
        ("{{ [a ~ 'b', n * 2] | join(',') }}", "xb,6"),
        ("{{ 'p' ~ t }}", "p(secret env:T)"),
        ("{{ '%s-%03d' | format(a, n) }} {{ '{}:{}'.format(a, n) }} {{ ','.join(['a', 'b']) }}", "x-003 x:3 a,b"),
        ("{% set ns = namespace(s='') %}{% for x in l %}{% set ns.s = ns.s ~ x %}{% endfor %}{{ ns.s }}", "123"),
        (
            "{{ l | map('string') | join }} {{ 'a\nb' | indent(2) }} {{ l | batch(2, 0) | list | length }}",
            "123 a\n  b 2",
        ),
    ] {
        assert_eq!(render(source).as_deref(), Ok(made), "{source}");
    }
}

#[test]
fn undefined_names_are_told_as_ever() {
    for source in ["{{ nope ~ 'x' }}", "{{ nope + 1 }}", "{{ 2 * nope }}", "{{ nope[1:] }}"] {
        let why = render(source).unwrap_err();
        assert!(why.contains("nope"), "{source}: {why}");
    }
}

/// One of each kind of bomb; all of them under a small address space are tried by `tests/cli`.
#[test]
fn nothing_grows_without_bound() {
    let macros = format!(
        "{{% macro d(x) %}}{{{{ x }}}}{{{{ x }}}}{{% endmacro %}}{{{{ {}'aaaaaaaa'{} }}}}",
        "d(".repeat(45),
        ")".repeat(45)
    );
    let sets = format!("{{% set s = 'aaaa' %}}{}{{{{ s | length }}}}", "{% set s = s ~ s %}".repeat(60));
    let raw = format!(
        "{{% set s %}}{{% for i in range(100000) %}}{}{{% endfor %}}{{% endset %}}{{{{ s | length }}}}",
        "x".repeat(10_000)
    );
    let sliced = format!("{{% set s = 'a' * 4000000 %}}{}x", "{% set b = s[1:] %}".repeat(200));
    let doubling = |step: &str| {
        format!(
            "{{% set ns = namespace(s='aaaaaaaaaa') %}}{{% for i in range(60) %}}{{% set ns.s = {step} %}}{{% endfor %}}{{{{ ns.s | length }}}}"
        )
    };
    let listing = |step: &str| {
        format!(
            "{{% set ns = namespace(s=[1, 2, 3]) %}}{{% for i in range(60) %}}{{% set ns.s = {step} %}}{{% endfor %}}{{{{ ns.s | length }}}}"
        )
    };
    let all = [
        macros,
        sets,
        raw,
        sliced,
        doubling("ns.s ~ ns.s"),
        doubling("ns.s + ns.s"),
        doubling("ns.s * 2"),
        doubling("[ns.s, ns.s] | join"),
        doubling("ns.s.replace('a', 'aa')"),
        doubling("ns.s | replace('a', 'aa')"),
        doubling("ns.s | regex_replace('a', 'aa')"),
        doubling("'%s%s' | format(ns.s, ns.s)"),
        doubling("'{0}{0}'.format(ns.s)"),
        doubling("ns.s.join(['', '', ''])"),
        doubling("(ns.s, ns.s) | string"),
        doubling("[ns.s, ns.s] | to_json"),
        doubling("(ns.s ~ '\\n' ~ ns.s) | indent(100, true)"),
        listing("ns.s + ns.s"),
        listing("ns.s * 2"),
        listing("ns.s | chain(ns.s) | list"),
        "{{ 'x' * 10 ** 9 }}".to_owned(),
        "{{ ('x' * 10 ** 8) | length }}".to_owned(),
        "{{ 10 ** 9 * 'x' }}".to_owned(),
        "{{ (['x' * 1000000] * 100000) | join | length }}".to_owned(),
        "{{ (['x' * 1000000] * 100000) ~ '' }}".to_owned(),
        "{{ ['x' * 1000000] * 100000 }}".to_owned(),
        "{{ (['x' * 1000000] * 100000) | string | length }}".to_owned(),
        "{{ (['x' * 1000000] * 100000) | tojson | length }}".to_owned(),
        "{{ [1] * 100000000 }}".to_owned(),
        "{{ range(10 ** 9) | join }}".to_owned(),
        "{{ 'a' | indent(10 ** 9, true) }}".to_owned(),
        "{{ '%1000000000d' | format(1) }}".to_owned(),
        "{{ '%*d' | format(1000000000, 1) }}".to_owned(),
        "{{ '{:1000000000}'.format(1) }}".to_owned(),
        "{{ [1] | batch(10 ** 9, 'x') | list | length }}".to_owned(),
        "{{ [1] | slice(10 ** 9, 'x') | list | length }}".to_owned(),
        "{{ {'a': [1]} | tojson(10 ** 9) }}".to_owned(),
        "{% set s = 'aa' %}{% include 'self.j2' %}".to_owned(),
        "{% macro d(x) %}{{ d(x ~ x) }}{% endmacro %}{{ d('aaaa') }}".to_owned(),
        "{% for x in ['aaaa'] recursive %}{{ loop([x ~ x]) }}{% endfor %}".to_owned(),
        "{% filter replace('a', 'a' * 4000) %}{% filter replace('a', 'a' * 4000) %}{{ 'a' * 100000 }}{% endfilter %}{% endfilter %}".to_owned(),
        "{% for i in range(90000) %}{{ 'x' * 60000 }}{% endfor %}".to_owned(),
    ];
    for source in all {
        let why = engine().render("t", &source, &values()).map(|text| text.redacted());
        assert!(why.is_err(), "{:.200}: {:.200}", source, why.unwrap_or_default());
    }
}
