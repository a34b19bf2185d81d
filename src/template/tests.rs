use super::*;
use crate::secret::{Secret, SecretBook};

fn engine() -> Engine {
    Engine::new(BTreeMap::from([
        ("part.j2".to_owned(), "{{ host.name }}!".to_owned()),
        ("bad.j2".to_owned(), "one\n{{ host.nmae }}".to_owned()),
    ]))
}

fn values() -> Value {
    let host = map([("name", Value::from("ci.example.com")), ("groups", ["a", "b"].into_iter().collect())]);
    map([("host", host), ("vars", map([("token", secret(&token())), ("text", Value::from("it's"))]))])
}

fn token() -> SecretId {
    SecretId::new("env:TOKEN")
}

fn rendered(source: &str) -> String {
    engine().render("t", source, &values()).unwrap().redacted()
}

fn problem(source: &str) -> Problem {
    engine().render("t", source, &values()).unwrap_err()
}

#[test]
fn texts_and_filters() {
    assert_eq!(rendered("{{ host.name }}:{% for g in host.groups %} {{ g }}{% endfor %}\n"), "ci.example.com: a b\n");
    assert_eq!(rendered("{{ vars.text | shquote }}"), r"'it'\''s'");
    assert_eq!(rendered("{{ '' | shquote }} {{ 5 | shquote }}"), "'' '5'");
    assert_eq!(rendered("{{ host.groups | json }}"), r#"["a","b"]"#);
    assert_eq!(rendered(r#"{{ {"a": [1, 2.5, true], "b": "x\"y"} | toml }}"#), r#"{ a = [1, 2.5, true], b = 'x"y' }"#);
    assert_eq!(rendered("{{ '<&>' }}"), "<&>", "nothing is escaped for HTML");
    assert_eq!(rendered("{% raw %}{{.Names}}{% endraw %}"), "{{.Names}}");
    assert_eq!(rendered("{% include 'part.j2' %}"), "ci.example.com!");
}

#[test]
fn secrets_are_placed_but_not_changed() {
    let text = engine().render("t", "a={{ vars.token }};{{ 'x' ~ vars.token }}", &values()).unwrap();
    assert_eq!(text.redacted(), "a=(secret env:TOKEN);x(secret env:TOKEN)");
    let mut book = SecretBook::default();
    book.bind(token(), Secret::new("s3cret".to_owned()));
    assert_eq!(text.reveal(&book).unwrap(), "a=s3cret;xs3cret");
    assert_eq!(rendered("{% if vars.token %}yes{% endif %}"), "yes");
    for source in
        ["{{ vars.token | shquote }}", "{{ vars | json }}", "{{ [vars.token] | toml }}", "{{ vars | tojson }}"]
    {
        assert!(problem(source).message.contains("a secret cannot go through"), "{source}");
    }
    assert!(engine().render("t", "{{ vars.token | length }}", &values()).is_err());
    assert!(engine().render("t", "{{ vars.token[2:] }}", &values()).is_err());
    let upper = engine().render("t", "{{ vars.token | upper }}", &values()).unwrap();
    assert!(!upper.segments().contains(&crate::text::Segment::Secret(token())), "an unknown secret, which is refused");
}

#[test]
fn what_is_not_there_is_an_error_with_a_suggestion() {
    let nmae = problem("x\n{{ host.nmae }}");
    assert_eq!(nmae.message, "`host.nmae` is not defined");
    assert_eq!(nmae.help.as_deref(), Some("did you mean `host.name`?"));
    assert_eq!(nmae.line, Some(2));
    let included = problem("{% include 'bad.j2' %}");
    assert_eq!((included.within.as_deref(), included.line), (Some("bad.j2"), Some(2)));
    assert_eq!(included.message, "`host.nmae` is not defined");
    assert!(problem("{{ docker }}").help.is_some_and(|help| help.contains("{% raw %}")));
    assert!(problem("{{.Names}}").help.is_some_and(|help| help.contains("{% raw %}")));
    assert!(problem("{{ host.name | nonsense }}").message.contains("nonsense"));
    assert!(problem("{% include 'none.j2' %}").message.contains("none.j2"));
    assert!(engine().render_named("none.j2", &values()).unwrap_err().message.contains("none.j2"));
}

#[test]
fn endless_templates_end() {
    let source = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    assert_eq!(problem(source).message, "the template takes too long to render");
}

#[test]
fn the_users_template_takes_the_place_of_a_built_in_one() {
    let own = Engine::new(BTreeMap::from([("cleanup.cron.j2".to_owned(), "mine\n".to_owned())]));
    assert_eq!(own.render_named("cleanup.cron.j2", &values()).unwrap().redacted(), "mine\n");
}

#[test]
fn built_in_templates_are_valid() {
    for (name, source) in BUILT_IN {
        assert!(!source.is_empty(), "{name}");
        let problem = Engine::new(BTreeMap::new()).render_named(name, &map([])).unwrap_err();
        assert!(problem.message.ends_with("is not defined"), "{name}: {problem:?}");
    }
}

#[test]
fn shell_in_the_inventory_is_no_comment() {
    let source = "# {{ host.name }}\n[ \"${#}\" -ge 1 ] || exit 64\necho ${#x}\n# done #}\n";
    let inline = engine().render_inline("this text", source, &values()).unwrap().redacted();
    assert!(inline.contains("[ \"${#}\" -ge 1 ] || exit 64\necho ${#x}\n# done #}\n"), "{inline}");
    assert!(!inline.contains("host.name"), "{inline}");
    // Files are Jinja's, comments and all.
    assert_eq!(engine().render("x.j2", "a{# b #}c", &values()).unwrap().redacted(), "ac");
}

#[test]
fn filters_of_ansible() {
    assert_eq!(
        rendered("{{ 'No' | bool }} {{ 'yes' | bool }} {{ 0 | bool }} {{ true | lower }}"),
        "False True False true"
    );
    assert_eq!(rendered(r"{{ 'a-b-c' | regex_replace('(\w)-', '\\1+$') }}"), "a+$b+$c");
    assert!(problem("{{ 'a' | regex_replace('(', '') }}").message.contains("regex_replace"));
    assert!(problem("{{ vars.token | regex_replace('e', 'x') }}").message.contains("a secret cannot go through"));
    assert_eq!(rendered("{{ ({'a': 1, 'b': 2} | combine({'b': 3}))['b'] }}{{ false | ternary('x', 'y') }}"), "3y");
    assert_eq!(rendered("{% for k, v in {'a': 1}.items() %}{{ k.upper() }}={{ v }}{% endfor %}"), "A=1");
    assert_eq!(rendered("{{ 'x y'.split(' ') | join(',') }} {{ none | default('d', true) }}"), "x,y d");
}

fn lines(source: &str) -> (String, Vec<Option<usize>>) {
    let made = engine().render_lines("t", source, &values()).map_err(|problem| problem.message).unwrap();
    let lines = (1..=made.marked.lines().count()).map(|line| made.template_line(line)).collect();
    (made.marked, lines)
}

#[test]
fn lines_of_config_templates_are_found_again() {
    let source = "a = 1\n{# over\ntwo #}\n{% for g in host.groups %}\n[[x]]\nn = \"{{ g }}\"\n{% endfor %}\n{% raw %}{{\nz{% \
                  endraw %}\nb = 2\n";
    let (made, found) = lines(source);
    assert_eq!(made, "a = 1\n[[x]]\nn = \"a\"\n[[x]]\nn = \"b\"\n{{\nzb = 2\n", "line breaks after tags go");
    assert_eq!(found, [1, 5, 6, 5, 6, 8, 9].map(Some));
    // White space that a tag takes away is no difference.
    let (made, found) = lines("x = [\n{%- for g in host.groups %}\n  \"{{ g }}\",\n{%- endfor %}\n]\ny = 1\n");
    assert_eq!(made, "x = [  \"a\",  \"b\",]\ny = 1\n");
    assert_eq!(found, [Some(1), Some(6)]);
    // A filter that sees the marks: the text is right, the places are unknown.
    let (made, found) = lines("{% set t %}a\nb{% endset %}{{ t | length }}\n");
    assert_eq!((made.as_str(), found), ("3\n", vec![None]));
}

#[test]
fn config_templates_may_quote_secrets() {
    let made = engine().render_lines("t", "a = {{ vars.token | to_json }}", &values()).map_err(|p| p.message).unwrap();
    assert_eq!(Text::from_marked(&made.marked).unwrap().redacted(), "a = \"(secret env:TOKEN)\"");
}
