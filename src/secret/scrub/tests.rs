//! Whatever a program makes of a secret, and wherever it cuts it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use crate::secret::{Secret, SecretBook, SecretId};

fn book(values: &[&str]) -> SecretBook {
    let mut book = SecretBook::default();
    for (number, value) in values.iter().enumerate() {
        book.bind(SecretId::new(format!("env:S{number}")), Secret::new((*value).to_owned()));
    }
    book
}

#[test]
fn no_order_of_names_lets_a_part_of_a_longer_one_through() {
    for values in [["hunter2", "hunter2-and-the-rest"], ["hunter2-and-the-rest", "hunter2"]] {
        assert_eq!(book(&values).scrub("a hunter2-and-the-rest b hunter2 c"), "a (secret) b (secret) c");
    }
    // Each begins within the other.
    assert_eq!(book(&["abcdefgh12345678", "12345678ijklmnop"]).scrub("<abcdefgh12345678ijklmnop>"), "<(secret)>");
}

#[test]
fn short_ones_are_hidden_where_they_stand_alone() {
    let book = book(&["1234", "pass1", "abc"]);
    assert_eq!(book.scrub("pin 1234, port 12345, pass1! pass12 abc"), "pin (secret), port 12345, (secret)! pass12 abc");
}

#[test]
fn notations() {
    let value = "pa/ss+w'o\"r$d & <ü>\\1";
    let book = book(&[value]);
    let url: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let hex: String = value.bytes().map(|byte| format!("{byte:02X}")).collect();
    let said = [
        value.to_owned(),
        serde_json::to_string(value).unwrap(),
        "pa\\/ss+w'o\\\"r$d & <\u{fc}>\\\\1".to_owned(),
        "pa/ss+w'o\\\"r$d \\u0026 \\u003c\\u00fc\\u003e\\\\1".to_owned(),
        "'pa/ss+w'\\''o\"r$d & <ü>\\1'".to_owned(),
        "\"pa/ss+w'o\\\"r\\$d & <ü>\\\\1\"".to_owned(),
        "pa/ss+w\\'o\\\"r\\$d\\ \\&\\ \\<ü\\>\\\\1".to_owned(),
        "pa%2Fss%2Bw%27o%22r%24d%20%26%20%3C%C3%BC%3E%5C1".to_owned(),
        "pa%2fss%2bw%27o%22r%24d+%26+%3c%c3%bc%3e%5c1".to_owned(),
        url,
        hex,
        "pa/ss+w&#39;o&quot;r$d &amp; &lt;ü&gt;\\1".to_owned(),
    ];
    for said in said {
        let clean = book.scrub(&format!("error: {said} is wrong"));
        assert!(clean.contains("(secret)") && clean.len() < 60, "{said}: {clean}");
    }
}

#[test]
fn base64_at_every_place_of_a_longer_text() {
    let value = "correct-horse_battery";
    let book = book(&[value]);
    for before in ["", "u", "u:", "user:", "a:b:c:d"] {
        for behind in ["", "\n", "@host"] {
            let text = format!("{before}{value}{behind}");
            for encoded in
                [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text), STANDARD.encode(STANDARD.encode(&text))]
            {
                let clean = book.scrub(&format!("Authorization: Basic {encoded}"));
                assert!(clean.contains("(secret)"), "{encoded}");
                // What is left says of one byte at most what it may be.
                let left = clean.replace("(secret)", "").len() - "Authorization: Basic ".len();
                let around = (before.len() + behind.len()) * 16 / 9 + 16;
                assert!(left <= around, "{encoded}: {clean}");
            }
        }
    }
}

#[test]
fn what_is_left_of_a_cut() {
    let book = book(&["glpat-Zq4Vw7Xk2Bn8Mc5Rt1Yp"]);
    // A column limit, a mark of a cut, the other half, both halves.
    assert_eq!(book.scrub_said("unknown option glpat-Zq4V"), "unknown option (secret)");
    assert_eq!(book.scrub_said("unknown option `glpat-Zq4V'"), "unknown option `(secret)'");
    assert_eq!(book.scrub_said("near glpa… of it"), "near (secret)… of it");
    assert_eq!(book.scrub_said("c5Rt1Yp\": unknown"), "c5Rt1Yp\": unknown", "seven of them are no piece");
    assert_eq!(book.scrub_said("Mc5Rt1Yp\": unknown"), "(secret)\": unknown");
    assert_eq!(book.scrub_said("7Xk2Bn8Mc5Rt"), "(secret)");
    assert_eq!(book.scrub_said("glpat-Zq4Vw\n  7Xk2Bn8Mc5Rt1Yp"), "(secret)\n  (secret)");
    let lines = ["curl: glpat-Zq4Vw7X\\".to_owned(), "k2Bn8Mc5Rt1Yp".to_owned(), "ok".to_owned()];
    assert_eq!(book.scrub_lines(&lines), ["curl: (secret)\\", "(secret)", "ok"]);
    assert_eq!(book.scrub_lines(&[]), Vec::<String>::new());
}

#[test]
fn base64_broken_into_lines() {
    let key = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU".repeat(9)
    );
    let book = book(&[&key]);
    let encoded = STANDARD.encode(&key);
    let folded: Vec<&str> = encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let clean = book.scrub(&folded.join("\n"));
    assert!(clean.lines().all(|line| line.replace("(secret)", "").len() < 4), "{clean}");
    // The last lines of it, as `tail -n 2` gives them.
    let tail = key.lines().rev().take(2).collect::<Vec<_>>().join("\n");
    assert!(!book.scrub(&tail).contains("b3Blbn"), "{}", book.scrub(&tail));
}

#[test]
fn where_a_secret_url_leads_may_be_said() {
    let book = book(&["https://hooks.example.com/services/T0/B0/abcdefgh"]);
    assert_eq!(
        book.scrub("curl: (6) Could not resolve host: hooks.example.com"),
        "curl: (6) Could not resolve host: hooks.example.com"
    );
    assert_eq!(book.scrub("GET /services/T0/B0/abcdefgh 404"), "GET (secret) 404");
    assert_eq!(book.scrub("<https://hooks.example.com/services/T0/B0/abcdefgh>"), "<(secret)>");
    let book = self::book(&["https://user:s3cr3t-s3cr3t@proxy.example.com:3128"]);
    assert_eq!(
        book.scrub("https://proxy.example.com:3128 says user:s3cr3t-s3cr3t"),
        "https://proxy.example.com:3128 says (secret)"
    );
}

#[test]
fn ordinary_words_stay() {
    let book = book(&["docker-registry-password", "kind: Config\nclusters: []\ntoken: 0123456789abcdef\n"]);
    for text in
        ["docker", "registry", "the docker registry refuses the password", "kind: Pod", "-----BEGIN CERTIFICATE-----"]
    {
        assert_eq!(book.scrub(text), text);
    }
    assert_eq!(book.scrub("- token: 0123456789abcdef"), "- (secret)");
}

proptest! {
    #[test]
    fn nothing_of_it_gets_out(
        secret in "[!-~]{12,60}", before in "[ -~]{0,30}", behind in "[ -~]{0,30}", from in 0..40_usize, length in 12..60_usize,
    ) {
        let book = book(&[&secret]);
        let from = from.min(secret.len() - 12);
        let piece = &secret[from..(from + length).min(secret.len())];
        let clean = book.scrub(&format!("{before}{piece}{behind}"));
        prop_assert!(!clean.contains(piece) || secret.contains("://"), "{clean}");
        let encoded = book.scrub(&STANDARD.encode(format!("{before}{secret}{behind}")));
        prop_assert!(encoded.contains("(secret)"), "{encoded}");
    }

    #[test]
    fn any_text_is_taken(text in ".{0,200}", secret in ".{0,80}") {
        let book = book(&[&secret]);
        let clean = book.scrub_said(&text);
        prop_assert_eq!(clean.matches('\n').count(), text.matches('\n').count());
    }
}

#[test]
fn what_is_not_seen_does_not_part_a_secret() {
    let value = "Str0ng-Pass/word+77!x";
    let book = book(&[value, "hunter2"]);
    for said in [
        "Str0ng\u{1b}[31m-Pass/word\u{1b}[0m+77!x",
        "\u{1b}[01;31m\u{1b}[KStr0ng-Pass\u{1b}[m\u{1b}[K/word+77!x",
        "Str0ng-Pass\u{8}s/word+77!x",
        "S\u{8}St\u{8}tr\u{8}r0\u{8}0n\u{8}ng\u{8}g-\u{8}-P\u{8}Pa\u{8}as\u{8}ss\u{8}s/\u{8}/w\u{8}wo\u{8}or\u{8}rd\u{8}d+\u{8}+7\u{8}77\u{8}7!\u{8}!x\u{8}x",
        "Str0ng\0-Pass\0/word\0+77!x",
        "Str0n\u{200b}g-Pas\u{200b}s/wo\u{200b}rd+77!x",
        "Str0ng-Pas\rs/word+77!x",
        "Str0ng-\u{1b}]8;;x\u{7}Pass/word\u{1b}]8;;\u{1b}\\+77!x",
        "hun\u{feff}ter2",
    ] {
        let scrubbed = book.scrub(&format!("E: {said} end\nnext\u{1b}[0m"));
        assert!(scrubbed.contains("(secret)"), "{said:?}: {scrubbed:?}");
        assert!(!scrubbed.contains("tr0") && !scrubbed.contains("77") && !scrubbed.contains("ter2"), "{scrubbed:?}");
        assert!(scrubbed.ends_with(" end\nnext\u{1b}[0m"), "{scrubbed:?}");
    }
    let broken = book.scrub("a Str0ng-\u{1b}[1mPa\n   ss/word+77!x b");
    assert!(!broken.contains("ng-") && !broken.contains("word") && broken.lines().count() == 2, "{broken:?}");
}

/// Whoever may not learn a secret learns nothing of it by writing guesses: his own words stay as he wrote them.
#[test]
fn what_somebody_wrote_himself_is_not_compared() {
    let secret = "csec-value-0123456789abc";
    let mut book = book(&[secret, "pin7", "hunter2"]);
    let guesses = ["sec-value-01", "xsec-value-0y", "hunter2", "pin7", "csec-val\n  ue-01234", "6789a\u{200b}bc"];
    for guess in guesses {
        book.leave_open(format!("value: {guess}, show: true"));
        for text in [guess.to_owned(), format!("variable \"{guess}\" {guess}…"), format!("a\nb {guess}\nc")] {
            assert_eq!((book.scrub(&text), book.scrub_said(&text)), (text.clone(), text.clone()));
            assert!(!book.is_in(&text));
        }
        // A guess that is right does not open what others say.
        for said in [secret.to_owned(), format!("x={secret}"), format!("cs\u{1b}[0m{}", &secret[2..])] {
            let scrubbed = book.scrub(&said);
            assert!(scrubbed.ends_with("(secret)") && !scrubbed.contains("sec-"), "{guess}: {scrubbed}");
        }
    }
    assert!(book.without_values().scrub(secret).contains(secret));
}
