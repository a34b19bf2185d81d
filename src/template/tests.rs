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
