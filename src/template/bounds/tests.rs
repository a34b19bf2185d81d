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

fn nesting(times: usize, step: &str, then: &str) -> String {
    format!(
        "{{% set ns = namespace(x=[1], y=[1]) %}}{{% for i in range({times}) %}}{{% set ns.x = {step} %}}{{% set ns.y = {} %}}{{% endfor %}}{then}",
        step.replace("ns.x", "ns.y")
    )
}

/// What is shared is counted as often as it is there, before it is compared, sorted, printed or dropped.
#[test]
fn nothing_is_nested_without_bound() {
    let deep = "[ns.x]";
    let wide = "[ns.x, ns.x]";
    let mut all = Vec::new();
    for then in [
        "{{ ns.x == ns.y }}",
        "{{ ns.x < ns.y }}",
        "{{ ns.x in [ns.y] }}",
        "{{ ns.x is eq(ns.y) }}",
        "{{ [ns.x, ns.y] | unique | length }}",
        "{{ [ns.x, ns.y] | sort | length }}",
        "{{ [ns.x, ns.y] | min | length }}",
        "{{ {ns.x: 1}[ns.y] }}",
        "ok",
    ] {
        all.push(nesting(40, wide, then));
        all.push(nesting(30_000, deep, then));
    }
    for step in [
        "{'a': ns.x}",
        "{'a': ns.x, 'b': ns.x}",
        "(ns.x, ns.x)",
        "(ns.x,)",
        "[ns.x][0:]",
        "dict(a=ns.x)",
        "dict(a=ns.x, b=ns.x)",
        "[ns.x, ns.x] | list",
        "[[ns.x]] | sum(start=[])",
        "namespace(a=ns.x)",
        "[ns.x] | batch(1)",
        "[ns.x] | zip([ns.x])",
        "[ns.x] if i else [ns.y]",
        "[] + [ns.x]",
        "[ns.x] * 2",
        "i and [ns.x] or [ns.y]",
        "{'a': ns.x} | combine({'b': ns.x})",
        "{'a': ns.x} | items",
        "{'a': ns.x} | dictsort",
        "{'a': ns.x}.items()",
        "[loop]",
        "loop",
        "ns",
        "[ns]",
    ] {
        all.push(nesting(30_000, step, "ok"));
    }
    all.push(format!("{{% set a = [1] %}}{}ok", "{% set a = [a, a] %}".repeat(60)));
    all.push(format!("{{% set a = 1 %}}{}ok", "{% set a = a, a %}".repeat(60)));
    for source in all {
        let why = engine().render("t", &source, &values()).map(|text| text.redacted());
        assert!(why.as_ref().is_err_and(|why| why.line == Some(1)), "{source:.300}: {why:?}");
    }
    // What is only long goes on as before.
    for source in [
        "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x | length }}",
        "{{ range(1000) | list | reverse | list | length }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x[0:] | reverse | chain([]) %}{% endfor %}{% for i in range(999) %}{% set ns.x = ns.x + ns.x[:1] %}{% endfor %}{{ ns.x | length }}",
    ] {
        assert_eq!(render(source).as_deref(), Ok("1000"), "{source}");
    }
}

/// An engine with a part of the budget, so that the tests need not spend all of it.
fn short_of_time() -> Engine {
    let engine = engine();
    engine.left.store(4_000_000, std::sync::atomic::Ordering::Relaxed);
    engine
}

#[test]
fn what_looks_through_whole_values_pays_for_it() {
    let long = "{% set a = range(90000) | list %}{% set b = range(90000) | list %}{% set s = 'a' * 4000000 %}{% set t = 'a' * 4000000 %}";
    let again = |step: &str| format!("{long}{{% for i in range(90000) %}}{{% if {step} %}}{{% endif %}}{{% endfor %}}");
    for step in [
        "a == b",
        "a != b",
        "(a if i is defined else b) == (b or a)",
        "a is eq b",
        "-1 in a",
        "'b' in s",
        "a is in b",
        "s == t",
        "s < t",
        "(s | length) == 1",
        "(a | max) == 1",
        "(a | sum) == 1",
        "(a | last) == 1",
        "s | upper == t",
        "s is lower",
        "[a, b] | unique | length == 1",
        "{a: 1}[b]",
    ] {
        let problem = short_of_time().render("t", &again(step), &values()).unwrap_err();
        assert_eq!(problem.line, Some(1), "{step}: {problem:?}");
        assert!(problem.message.contains("too l") || problem.message.contains("too much"), "{step}: {problem:?}");
    }
    let regexes = [
        "{% set s = 'a' * 100000 %}{% for i in range(2000) %}{{ s | regex_replace('(a|b){200}' ~ i, '') | length }}{% endfor %}",
        "{% for i in range(90000) %}{{ 'a' | regex_replace('\\w{5}' ~ i, '') }}{% endfor %}",
        "{% for i in range(90000) %}{{ 'a' | regex_replace('\\w{9}', '') }}{{ ('b' * 9000) | regex_replace('\\w{9}$', '') | length }}{% endfor %}",
        "{{ ('a' * 400000) | regex_replace('.*x|a', 'b') | length }}",
    ];
    for source in regexes {
        let problem = short_of_time().render("t", source, &values()).unwrap_err();
        assert!(problem.message.contains("too long"), "{source}: {problem:?}");
    }
}

#[test]
fn comparisons_mean_what_they_meant() {
    for (source, made) in [
        ("{{ a == 'x' and n >= 3 and not n != 3 and 2 in l and 9 not in l }}", "True"),
        ("{{ (a ~ 'b')[0] == 'x' }} {{ (l)[1:] == [2, 3] }} {{ -n == -3 }} {{ (n + 1) == 4 }}", "True True True True"),
        ("{{ 1 < n < l[2] + 1 }} {{ (a if n == 3 else 'q') == a }} {{ (none or a) == a }}", "True True True"),
        ("{{ a | upper == 'X' }} {{ 'X' == a | upper }} {{ ('a', n) == ('a', 3) }}", "True True True"),
        (
            "{{ {'k': n}['k'] }} {{ [n, [n, a]] }} {{ (n, a) }} {{ {a: {n: l}} }}",
            "3 [3, [3, 'x']] (3, 'x') {'x': {3: [1, 2, 3]}}",
        ),
        ("{% set p, q = n, a %}{{ p ~ q }}{% set r = n, a %}{{ r[0] }}{{ l[n - 1] }}{{ l[l[0]] }}", "3x332"),
        ("{% for x, y in [(n, a), (1, 2)] if x == n %}{{ x }}{{ y }}{% endfor %}", "3x"),
        (
            "{% set ns = namespace(k=l) %}{% set ns.k = (a) %}{{ ns.k }}{% set ns.k = (a if n else l)[0:] %}{{ ns.k }}",
            "xx",
        ),
        (
            "{{ a in ['x', n] }} {{ a is in(['x']) }} {{ dict(a=n).a }} {{ {'a': 1, 'b': 2} | chain({'a': 3}) }}",
            "True True 3 {'a': 3, 'b': 2}",
        ),
        ("{{ [1, 2, 3] | select('gt', 1) | list }} {{ l | sum }} {{ l | first }} {{ t == t }}", "[2, 3] 6 1 True"),
        ("{% macro m(x) %}{{ x == caller() }}{% endmacro %}{% call m([n, 1] | join) %}31{% endcall %}", "True"),
        (
            "{% for x in [[n]] recursive %}{% if x is number %}{{ x }}{% else %}{{ loop(x) }}{% endif %}{% endfor %}",
            "3",
        ),
    ] {
        assert_eq!(render(source).as_deref(), Ok(made), "{source}");
    }
    for source in ["{{ nope == a }}", "{{ a == nope }}", "{{ a in nope }}", "{{ l[nope] }}"] {
        let why = render(source).unwrap_err();
        assert!(why.contains("nope"), "{source}: {why}");
    }
}

/// A thousand hosts with one slow template each.
#[test]
fn all_renderings_of_an_engine_together_are_bounded() {
    for slow in ["{% for i in range(90000) %}{% endfor %}", "{% for i in range(90000) %}{% endfor %}{{ nope }}"] {
        let engine = short_of_time();
        let spent = (0..1000).map(|_| engine.render_inline("t", slow, &values()));
        let problem = spent.filter_map(Result::err).find(|why| !why.message.contains("nope")).unwrap();
        assert!(problem.message.contains("together take too long"), "{problem:?}");
    }
    let usual = "{% if n == 3 %}{{ a }}-{{ l | join(',') }}{% endif %}{% for x in l %}{{ x }}{% endfor %}";
    let engine = engine();
    for _ in 0..10_000 {
        assert!(engine.render_inline("t", usual, &values()).is_ok());
    }
}

/// What one call would make is known before there is room for it.
#[test]
fn what_a_call_would_make_is_bounded_before_it_is_made() {
    for source in [
        r"{{ ('a'*100000)|regex_replace('a+', '\\0'*100000) }}",
        r"{{ ('ab'*100000)|regex_replace('(a)(b)', '\\1\\2'*10000) }}",
        r"{{ ('a'*2000)|regex_replace('', 'b'*100000) }}",
        "{{ ('a'*4000000)|list|length }}",
        "{{ ('a '*2000000)|split|length }}",
        "{{ ('a,'*2000000).split(',')|length }}",
        "{{ ('a\n'*2000000)|lines|length }}",
        "{{ ('a'*3000000)|batch(2)|length }}",
        "{{ ('a'*3000000)|unique|length }}",
        "{{ ('x'*1000000)|indent(1000000000) }}",
        "{{ ('a'*100000)|replace('a', 'b'*100000) }}",
        "{{ range(100000)|list|join('a'*100000) }}",
        "{{ [1] * 100000000 }}",
        "{{ '%0999999999d'|format(1) }}",
    ] {
        let said = render(source).unwrap_err();
        assert!(said.contains("too much") || said.contains("too long"), "{source}: {said}");
    }
    for (source, made) in [
        (r"{{ 'abc'|regex_replace('(b)', '[\\1\\0]') }}", "a[bb]c"),
        (r"{{ 'a.b'|regex_replace('\\.', '\\-$1') }}", r"a\-$1b"),
        (r"{{ 'ab'|regex_replace('(x)?b', '<\\1>\\7') }}", "a<>"),
        ("{{ 'abc'|list|length }} {{ 'a b'|split|length }} {{ 'abcd'|batch(2)|length }}", "3 2 2"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(made), "{source}");
    }
}
