//! Whatever a program makes of a secret, and wherever it cuts it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::{OVERLAP, PIECE, pieces, views};
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

/// Words and numbers are secrets of people's, too.
#[test]
fn words_and_numbers_in_other_notations() {
    let mut missed = Vec::new();
    for value in ["correcthorsebatterystaple", "wolkengranit", "wolkenha", "12345678901234", "81726354"] {
        let book = book(&[value]);
        let each =
            |form: &dyn Fn(u8) -> String, between: &str| value.bytes().map(form).collect::<Vec<_>>().join(between);
        let hex = |byte: u8| format!("{byte:02x}");
        let mut all = vec![
            each(&hex, ""),
            each(&|byte| format!("{byte:02X}"), ""),
            each(&hex, " "),
            each(&hex, ":"),
            each(&|byte| format!("\\x{byte:02x}"), ""),
            each(&|byte| format!("\\x{byte:02X}"), ""),
            each(&|byte| format!("\\u{byte:04x}"), ""),
            each(&|byte| format!("\\u{byte:04X}"), ""),
            each(&|byte| format!("\\u{{{byte:x}}}"), ""),
            each(&|byte| format!("\\U{byte:08x}"), ""),
            each(&|byte| format!("\\{byte:03o}"), ""),
            each(&|byte| format!("%{byte:02x}"), ""),
            each(&|byte| format!("%{byte:02X}"), ""),
            each(&|byte| format!("%25{byte:02X}"), ""),
            each(&|byte| format!("&#{byte};"), ""),
            each(&|byte| format!("&#x{byte:x};"), ""),
            each(&|byte| format!("={byte:02X}"), ""),
            each(&|byte| format!("0x{byte:02x}"), ", "),
            each(&|byte| byte.to_string(), ", "),
            STANDARD.encode(value),
            STANDARD.encode(format!("user:{value}")),
            format!("{}\\u{:04x}{}", &value[..3], value.as_bytes()[3], &value[4..]),
            format!("{}%{:02x}{}", &value[..3], value.as_bytes()[3], &value[4..]),
        ];
        if value.len() >= 12 {
            all.push(value.to_uppercase());
            all.push(format!("{}{}", value[..1].to_uppercase(), &value[1..]));
            all.push(each(&|byte| char::from(byte).to_string(), " "));
            all.push(format!("{}-{}_{}", &value[..4], &value[4..8], &value[8..]));
            all.push(format!("{} {}", value[..5].to_uppercase(), &value[5..]));
        }
        for text in all {
            let clean = book.scrub_said(&format!("it is {text}, I say"));
            if !clean.contains("(secret)") || clean.len() > 40 {
                missed.push(clean);
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    // Some of its words are none.
    let book = book(&["correcthorsebatterystaple"]);
    for text in ["a correct horse", "battery staple", "Correct Horse, battery"] {
        assert_eq!(book.scrub_said(text), text);
    }
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

/// The bytes in groups of so many digits.
fn dump(value: &str, per_line: usize, form: impl Fn(&[u8]) -> String) -> String {
    let lines = value.as_bytes().chunks(per_line).enumerate();
    lines.map(|(at, chunk)| format!("{:07x}  {}", at * per_line, form(chunk))).collect::<Vec<_>>().join("\n")
}

fn base32(value: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<u8> = value.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |five: &[u8]| (0..5).fold(0, |all, at| all << 1 | usize::from(*five.get(at).unwrap_or(&0)));
    bits.chunks(5).map(|five| char::from(DIGITS[digit(five)])).collect()
}

/// The bytes in lines of so many, with something before each.
fn wrap(text: &str, width: usize, before: &dyn Fn(usize) -> String) -> String {
    let lines = text.as_bytes().chunks(width).enumerate();
    let lines = lines.map(|(at, part)| format!("{}{}", before(at), std::str::from_utf8(part).unwrap()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every way to write a secret that a program on a host or GitLab may have.
fn written(value: &str) -> Vec<String> {
    let each = |form: &dyn Fn(u8) -> String| value.bytes().map(form).collect::<Vec<String>>();
    let signs = |form: &dyn Fn(u8) -> String| {
        value
            .bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { form(byte) })
            .collect::<String>()
    };
    let utf16: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut all = vec![
        // Markup, by number.
        each(&|byte| format!("&#{byte};")).concat(),
        each(&|byte| format!("&#x{byte:X};")).concat(),
        signs(&|byte| format!("&#{byte};")),
        signs(&|byte| format!("&#x{byte:02x};")),
        signs(&|byte| format!("&amp;#{byte};")),
        // JSON, C, shells.
        signs(&|byte| format!("\\u{byte:04x}")),
        signs(&|byte| format!("\\u{byte:04X}")),
        signs(&|byte| format!("\\\\u{byte:04x}")),
        signs(&|byte| format!("\\u{{{byte:x}}}")),
        signs(&|byte| format!("\\x{byte:02x}")),
        signs(&|byte| format!("\\{byte:03o}")),
        signs(&|byte| format!("={byte:02X}")),
        signs(&|byte| format!("%25{byte:02X}")),
        each(&|byte| format!("\\{byte:03o}")).concat(),
        each(&|byte| format!("\\u{byte:04x}")).concat(),
        // Dumps.
        dump(value, 16, |chunk| chunk.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")),
        dump(value, 16, |chunk| {
            let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}  |{}|", hex.join(" "), std::str::from_utf8(chunk).unwrap())
        }),
        dump(value, 16, |chunk| {
            let hex: Vec<String> =
                chunk.chunks(2).map(|two| two.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
            format!("{}  {}", hex.join(" "), std::str::from_utf8(chunk).unwrap())
        }),
        dump(value, 16, |chunk| {
            let word = |two: &[u8]| u16::from_le_bytes([two[0], *two.get(1).unwrap_or(&0)]);
            chunk.chunks(2).map(|two| format!("{:04x}", word(two))).collect::<Vec<_>>().join(" ")
        }),
        dump(value, 16, |chunk| {
            let word = |two: &[u8]| u16::from_le_bytes([two[0], *two.get(1).unwrap_or(&0)]);
            chunk.chunks(2).map(|two| format!("{:06o}", word(two))).collect::<Vec<_>>().join(" ")
        }),
        dump(value, 16, |chunk| chunk.iter().map(|byte| format!("{byte:03o}")).collect::<Vec<_>>().join(" ")),
        dump(value, 16, |chunk| chunk.iter().map(|byte| format!("{byte:3}")).collect::<Vec<_>>().join(" ")),
        dump(value, 16, |chunk| {
            chunk.iter().map(|byte| format!("  {}", char::from(*byte))).collect::<Vec<_>>().join(" ")
        }),
        format!("[{}]", each(&|byte| byte.to_string()).join(", ")),
        format!("[{}]", each(&|byte| format!("0x{byte:02x}")).join(",")),
        each(&|byte| format!("{byte:02X}")).join("-"),
        each(&|byte| format!("{byte:02x}")).concat(),
        // Two bytes a character.
        String::from_utf8_lossy(&utf16).into_owned(),
        STANDARD.encode(&utf16),
        // Base64 and base32, at each place, broken, with a prefix.
        base32(value.as_bytes()),
        base32(format!("user:{value}\n").as_bytes()).to_lowercase(),
        base32(format!("x{value}").as_bytes()),
        wrap(&STANDARD.encode(format!("a{value}")), 16, &|_| "> ".to_owned()),
        wrap(&STANDARD.encode(format!("ab{value}")), 20, &|at| format!("{at:6}\t")),
        wrap(&base32(value.as_bytes()), 12, &|_| "| ".to_owned()),
        URL_SAFE_NO_PAD.encode(STANDARD.encode(format!("a{value}b"))),
        // Broken into lines.
        wrap(value, 9, &|_| "> ".to_owned()),
        wrap(value, 6, &|_| "remote: ".to_owned()),
        wrap(value, 7, &|at| format!("{at}:")),
        wrap(value, 7, &|at| format!("12:00:0{at} host sh[12]: ")),
        wrap(value, 8, &|at| format!("{at:6}\t")),
        wrap(value, 5, &|_| "# ".to_owned()),
        wrap(value, 5, &|_| "job output |".to_owned()),
        // Cut, with marks of other kinds.
        format!("{}[truncated]", &value[..9]),
        format!("{} <snip> {}", &value[..8], &value[value.len() - 8..]),
        format!("{}***", &value[..10]),
        format!("(…){}", &value[value.len() - 9..]),
        // As somebody reads it out.
        each(&|byte| char::from(byte).to_string()).join(" "),
        each(&|byte| char::from(byte).to_string()).join("."),
        value.to_lowercase(),
        value.to_uppercase(),
        value.chars().rev().collect(),
    ];
    all.dedup();
    all
}

#[test]
fn in_every_notation() {
    for value in ["glpat-Zq4Vw7Xk2Bn8Mc5Rt1Yp", "$tr0ng!Pass/word+77x", "Kx9_w.Q2-mZ7~pL4vB6n"] {
        let book = book(&[value]);
        for text in written(value) {
            let clean = book.scrub_said(&format!("E: {text} is wrong\nnext line of it"));
            assert!(clean.contains("(secret)"), "{text}: {clean}");
            assert_eq!(clean.lines().count(), text.lines().count() + 1, "{clean}");
            assert!(clean.ends_with("\nnext line of it"), "{clean}");
            // No four letters or digits of it in a row are left, however they are written here.
            let left: String = clean.replace("(secret)", " ").replace("is wrong", "").replace("next line of it", "");
            let kept: Vec<&str> =
                text.split_whitespace().filter(|word| word.len() > 5 && left.contains(*word)).collect();
            let own = |word: &&str| {
                !["remote:", "12:00:0", "sh[12]:", "output", "<snip>"].iter().any(|own| word.starts_with(own))
            };
            let offset = |word: &&str| word.len() == 7 && word.starts_with("0000");
            assert!(!kept.iter().any(|word| own(word) && !offset(word)), "{value}: {text}: {kept:?}: {clean}");
            assert!(
                !value.as_bytes().windows(5).any(|five| left.contains(std::str::from_utf8(five).unwrap())),
                "{text}: {clean}"
            );
        }
    }
}

/// What is printed without any secret in it is shown as it is.
#[test]
fn what_hosts_usually_print_stays() {
    let book = book(&[
        "glpat-Zq4Vw7Xk2Bn8Mc5Rt1Yp",
        "https://deploy:S3cr3t-Value9@registry.example.com:5050/team/app-v2",
        "DockerRegistryPassword",
        "correct-horse-battery-staple",
        "2026-11-30-nightly",
        "apiVersion: v1\nkind: Config\nusers:\n- name: ci-deployer-1\n  user:\n    token: Abcdef0123456789Zyxw\n",
    ]);
    let usual = [
        "E: Unable to locate package gitlab-runner",
        "Error response from daemon: pull access denied for registry.example.com:5050/team/x, repository does not exist",
        "2026-11-30T12:00:01.123456Z runner[812]: level=info msg=\"Docker registry password is wrong\"",
        "0000000  67 69 74 6c 61 62 2d 00 00 00 00 00 00 00 00 00  |gitlab-.........|",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c1500000000",
        "Get:1 http://deb.debian.org/debian bookworm/main amd64 libapparmor1 amd64 3.0.8-3 [41.2 kB]",
        "kind: Pod\nusers: none",
        "a correct horse, a battery and a staple",
        "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]",
        "iptables: 10.0.0.0/8 -> 192.168.0.0/16 dpt:5050",
        "MIIBszCCAVmgAwIBAgIUQ0VSVElGSUNBVEUgT0YgTk9CT0RZMAoGCCqGSM49BAMC",
        "dpkg: error processing package docker-ce (--configure):\n installed docker-ce package post-installation script",
    ];
    for text in usual {
        assert_eq!(book.scrub_said(text), text);
    }
}

#[test]
fn guesses_in_other_notations_are_not_answered() {
    let secret = "glpat-Zq4Vw7Xk2Bn8Mc5Rt1Yp";
    let mut book = book(&[secret]);
    for guess in written(secret).into_iter().filter(|text| !text.contains('\n')) {
        book.leave_open(format!("content: {guess}\nmode: 0600"));
        for text in [guess.clone(), format!("+ {guess}"), format!("{guess}\n{guess}")] {
            assert_eq!(book.scrub_said(&text), text, "{guess}");
            assert!(!book.is_in(&text), "{guess}");
        }
    }
}

/// What is found in a text is found anywhere in a long one, in every notation and across the places where it is taken apart.
#[test]
fn long_texts_are_read_in_pieces() {
    let value = "glpat-Zq4Vw7Xk2Bn8Mc5Rt1Yp";
    let book = book(&[value]);
    let notations = [
        value.to_owned(),
        wrap(value, 7, &|at| format!("12:00:0{at} host sh[12]: ")),
        value.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<String>(),
        STANDARD.encode(format!("user:{value}")),
        value.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    ];
    for filler in ["line of a log\n", "ä "] {
        for text in &notations {
            for back in [9, OVERLAP - 5, OVERLAP + 60] {
                let before = filler.repeat((PIECE - back) / filler.len());
                let whole = format!("{before}\n{text}\n{}", filler.repeat(OVERLAP * 2 / filler.len()));
                let clean = book.scrub_said(&whole);
                let around = format!("…{}…", clean.replace(filler, ""));
                assert!(clean.contains("(secret)"), "{back}: {around}");
                let left = |one: &str| one.len() > 7 && !one.starts_with("12:0") && around.contains(one);
                assert!(!text.split_whitespace().any(left), "{back}: {around}");
                assert!(!book.is_in(&clean));
                assert_eq!(clean.lines().count(), whole.lines().count());
            }
        }
    }
}

#[test]
fn pieces_have_an_end_in_common() {
    for text in
        ["x".repeat(5 << 20), "a line\n".repeat(1 << 19), "ä€𝄞".repeat(300_000), "y".repeat(PIECE), String::new()]
    {
        let pieces = pieces(&text);
        assert_eq!((pieces[0].start, pieces.last().unwrap().end), (0, text.len()));
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE && text.get(piece.clone()).is_some()));
        for two in pieces.windows(2) {
            let common = two[0].end - two[1].start;
            assert!((OVERLAP - 4..=OVERLAP * 3 / 2).contains(&common), "{common}");
        }
    }
}

/// However long a text is, its other readings take as much memory as one piece needs.
#[test]
fn readings_are_bounded() {
    let line = "2026-11-30T12:00:01 host sh[12]: level=info path=\"/srv/\\u002da%2Db\" 67 69 74 6c 061 QmFzZTY0IHRleHQgb2Y value\n";
    let text = line.repeat(PIECE * 2 / line.len());
    let mut most = 0;
    for piece in pieces(&text) {
        views::each(&text[piece], &mut |view, _| most = most.max(view.bytes.len()));
    }
    assert!(most <= PIECE, "{most}");
}
