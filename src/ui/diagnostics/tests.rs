use super::*;
use crate::diagnostic::HIDDEN as HIDDEN_CHARACTER;

const FILE: &str = "inventories/prod.yml";

fn sources(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.0.insert(FILE.into(), text.into());
    sources
}

fn at(line: usize, column: usize) -> Span {
    Span { file: FILE.into(), line, column }
}

const INVENTORY: &str = "gitlab:\n  url: https://gitlab.example.com\n  api_token: glpat-abcdefghij\nrunners:\n  docker:\n    run_untaged: true\n    tags: [docker, \"\x1b[31mred\"]\n  kube: { token: hunter2, imge: a, tags: [b] }\n";

fn problems() -> Vec<Diagnostic> {
    vec![
        Diagnostic::error("secrets cannot stand in the inventory: found \"glpat-abcdefghij\"")
            .at(&at(3, 14))
            .help("name where it is: `{ env: GITLAB_TOKEN }`"),
        Diagnostic::error("unknown key `run_untaged`").at(&at(6, 5)).help("did you mean `run_untagged`?"),
        Diagnostic::error("a tag may not hold control characters").at(&at(7, 20)),
        Diagnostic::error("unknown key `imge`").at(&at(8, 27)).help("did you mean `image`?"),
        Diagnostic::warning("no host uses the runner spec `docker`").at(&at(5, 3)),
        Diagnostic::error("cannot read certs/ca.pem: no such file").help("the path is relative to the inventory file"),
    ]
}

#[test]
fn drawn_with_their_lines() {
    insta::assert_snapshot!(render(&problems(), &sources(INVENTORY), Look::plain(80)));
}

#[test]
fn as_json() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&json(&problems())).unwrap());
}

#[test]
fn no_secret_and_no_escape_sequence_gets_out() {
    let mut hostile = problems();
    hostile
        .push(Diagnostic::error("\x1b[2Jx").at(&Span { file: "\x1b]0;x\x07".into(), line: 1, column: 1 }).help("\x07"));
    let text = render(&hostile, &sources(INVENTORY), Look::plain(80));
    assert!(!text.contains("abcdefghij"), "{text}");
    assert_eq!(text.chars().find(|c| *c != '\n' && c.is_control()), None);
    assert!(!json(&hostile).to_string().contains("abcdefghij"));
}

#[test]
fn colour_is_there_when_asked_for() {
    let coloured = render(&problems(), &sources(INVENTORY), Look { colour: true, ..Look::plain(80) });
    assert!(coloured.contains("\x1b["));
    assert!(!coloured.contains("\x1b]"), "no links");
}

#[test]
fn a_place_that_is_not_there_is_still_told() {
    let beyond = [Diagnostic::error("the file ends too early").at(&at(99, 1)), Diagnostic::error("x").at(&at(1, 500))];
    let text = render(&beyond, &sources(INVENTORY), Look::plain(80));
    assert!(text.contains("inventories/prod.yml:99"), "{text}");
    assert!(text.ends_with("2 errors\n"), "{text}");
}

#[test]
fn nothing_of_nothing() {
    assert_eq!(render(&[], &Sources::default(), Look::plain(80)), "");
}

#[test]
fn what_the_loader_took_out_shifts_nothing() {
    let taken = HIDDEN_CHARACTER.to_string().repeat(20);
    let text = format!("a: glpat-{taken}, imge: b\n");
    let drawn = render(&[Diagnostic::error("unknown key `imge`").at(&at(1, 32))], &sources(&text), Look::plain(80));
    assert!(drawn.contains("1 | a: glpat-(hidden), imge: b\n  |                    ^^^^\n"), "{drawn}");
}

/// A line that is too long to be quoted has its column all the same.
#[test]
fn what_is_not_quoted_has_its_place() {
    let mut sources = Sources::default();
    sources.0.insert(FILE.into(), format!("a\n{}\n", "x".repeat(1 << 20)).into());
    let drawn = render(&[Diagnostic::error("no").at(&at(2, 812))], &sources, Look::plain(80));
    assert!(drawn.contains(&format!("{FILE}:2:812")) && drawn.len() < 200, "{drawn}");
}
