//! Inventories that are meant to hurt: they end soon, in little memory, and with a message of bounded length.

use std::fmt::Write as _;
use std::time::Duration;

use rprov::diagnostic::Severity;
use rprov::inventory::LoadFailure;
use rprov::ui::{diagnostics, style::Look};

/// The processor's time that this thread has had, whatever else the machine is doing; zero where the kernel does not say.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// What is said of a text, and how it is drawn; in any case with a bounded effort, even in a debug build.
fn said(text: &str) -> (LoadFailure, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile.yml");
    std::fs::write(&path, text).unwrap();
    let begin = processor_time();
    let failure = rprov::inventory::load(&path).unwrap_err();
    let drawn = diagnostics::render(&failure.diagnostics, &failure.sources, Look::plain(100));
    let effort = processor_time().saturating_sub(begin);
    assert!(effort < Duration::from_secs(20), "{effort:?}");
    assert!(drawn.len() < 400_000, "{} bytes are drawn", drawn.len());
    let harmless = |c: char| c == '\n' || !c.is_control();
    assert!(drawn.chars().all(harmless), "control characters get out");
    (failure, drawn)
}

#[test]
fn a_hundred_thousand_mistakes_are_told_in_part() {
    let mut text = String::from("hosts:\n");
    for host in 0..50_000 {
        writeln!(text, "  h{host}: {{ a{host}: 1, connection: nowhere }}").unwrap();
    }
    let (failure, drawn) = said(&text);
    let errors = failure.diagnostics.iter().filter(|problem| problem.severity == Severity::Error).count();
    assert_eq!(errors, 200);
    assert!(drawn.contains("note: 99800 more problems are not shown"), "{}", &drawn[drawn.len() - 300..]);
    assert!(drawn.ends_with("200 errors\n"));
}

#[test]
fn the_same_mistake_on_thousands_of_hosts_is_told_once() {
    let mut text = String::from("defaults: { vars: { a: \"{{ host.nmae }}\" } }\nhosts:\n");
    for host in 0..5_000 {
        writeln!(text, "  h{host}:").unwrap();
    }
    let (failure, _) = said(&text);
    assert_eq!(failure.diagnostics.len(), 1, "{:?}", failure.diagnostics);
    assert!(failure.diagnostics[0].message.ends_with("(host h0 and 4999 more)"), "{}", failure.diagnostics[0].message);
}

#[test]
fn aliases_that_multiply_end_early() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let before = format!("*a{}", level - 1);
        writeln!(text, "a{level}: &a{level} [{}]", vec![before; 10].join(", ")).unwrap();
    }
    assert!(said(&text).1.contains("too large once its aliases are filled in"));
    // The same with maps and merge keys.
    let mut text = String::from("m0: &m0 { a: 1, b: 2, c: 3 }\n");
    for level in 1..40 {
        let before = level - 1;
        writeln!(text, "m{level}: &m{level} {{ x: {{ <<: *m{before}, y: *m{before}, z: *m{before} }} }}").unwrap();
    }
    let (failure, _) = said(&text);
    assert!(failure.diagnostics.iter().any(|problem| problem.severity == Severity::Error));
}

#[test]
fn depth_is_bounded_in_every_form() {
    for text in [
        "[".repeat(200_000),
        "{a: ".repeat(200_000),
        format!("hosts: {}", "- ".repeat(100_000)),
        (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        "? ".repeat(100_000),
        "!a ".repeat(100_000),
        "&a ".repeat(100_000),
    ] {
        let (failure, _) = said(&text);
        assert!(failure.diagnostics.len() < 250, "{}", failure.diagnostics.len());
    }
}

#[test]
fn huge_texts_are_not_quoted_whole() {
    let huge = "x".repeat(2_000_000);
    for text in [
        format!("hosts:\n  a: {{ {huge}: 1 }}\n"),
        format!("hosts:\n  a: {{ connection: {huge} }}\n"),
        format!("hosts:\n  a: {{ ssh: {{ port: {huge} }} }}\n"),
        format!("hosts:\n  {huge}: {{}}\n"),
        format!("hosts:\n  a: {{ vars: {{ a: \"{{{{ {huge} }}}}\" }} }}\n"),
        format!("{huge}\n"),
        format!("hosts:\n  a: \"{huge}\n"),
        format!("import: {huge}\n"),
    ] {
        let (failure, drawn) = said(&text);
        for problem in &failure.diagnostics {
            let begin: String = problem.message.chars().take(100).collect();
            assert!(problem.message.len() < 1000, "{} bytes: {begin}", problem.message.len());
        }
        assert!(drawn.len() < 5_000, "{} bytes", drawn.len());
    }
}

#[test]
fn names_do_not_steer_a_terminal() {
    let (_, drawn) = said(
        "hosts:\n  \"\\e]0;owned\\a\": {}\n  \"a\\r\\e[2Kb\": { \"\\u202ek\": 1 }\n  c: { connection: \"\\e[31m\" }\ngroups: { \"\\u200b\": {} }\n",
    );
    assert!(!drawn.contains('\u{202e}') && !drawn.contains('\u{200b}'), "{drawn}");
}

/// Other beginnings that editors write, and what is no text at all.
#[test]
fn other_encodings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.yml");
    let message = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        rprov::inventory::load(&path).unwrap_err().diagnostics.remove(0).message
    };
    let utf_16: Vec<u8> = "\u{feff}hosts:\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(message(&utf_16), "this is UTF-16 text");
    assert_eq!(message(b"\x7fELF\x02\x01\x01\x00\xff\xff"), "this is no text file");
    assert_eq!(message(b"hosts:\n  caf\xe9: {}\n"), "this is not UTF-8 text");
    assert_eq!(message(b"\xef\xbb\xbf"), "the inventory is empty");
    assert_eq!(message(b"---\n...\n"), "the inventory is empty");
}
