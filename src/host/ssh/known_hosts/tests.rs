use proptest::prelude::*;

use super::*;

/// A key of a type, as the server sends it.
fn key(algorithm: &str, content: &str) -> Vec<u8> {
    let mut key = Vec::new();
    for part in [algorithm, content] {
        key.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        key.extend_from_slice(part.as_bytes());
    }
    key
}

fn ed25519(content: &str) -> Vec<u8> {
    key("ssh-ed25519", content)
}

/// The part of a line after the hosts.
fn written(key: &[u8]) -> String {
    let length = u32::from_be_bytes(key[..4].try_into().unwrap()) as usize;
    format!("{} {}", std::str::from_utf8(&key[4..4 + length]).unwrap(), STANDARD.encode(key))
}

fn hashed(name: &str, salt: &[u8]) -> String {
    let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt), name.as_bytes());
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
}

fn known(address: &str, port: u16, text: &str) -> KnownKeys {
    let mut keys = KnownKeys::default();
    keys.read(address, port, "kh", text);
    keys
}

#[test]
fn hosts_as_openssh_reads_them() {
    let mine = ed25519("mine");
    let key = written(&mine);
    for (hosts, address, port, verdict) in [
        ("ci.example.com", "ci.example.com", 22, true),
        ("ci.example.com", "CI.example.com", 22, true),
        ("CI.Example.COM", "ci.example.com", 22, true),
        ("ci.example.com", "ci.example.co", 22, false),
        ("ci.example.com", "i.example.com", 22, false),
        ("a,ci.example.com,10.0.0.7", "10.0.0.7", 22, true),
        ("*.example.com", "ci.example.com", 22, true),
        ("*.example.com", "example.com", 22, false),
        ("*.example.com,!ci.example.com", "ci.example.com", 22, false),
        ("!ci.example.com,*.example.com", "ci.example.com", 22, false),
        ("!ci.example.com,*.example.com", "cd.example.com", 22, true),
        ("!ci.example.com", "cd.example.com", 22, false),
        ("10.0.0.?", "10.0.0.7", 22, true),
        ("10.0.0.?", "10.0.0.77", 22, false),
        ("[ci.example.com]:2222", "ci.example.com", 2222, true),
        ("[ci.example.com]:2222", "ci.example.com", 22, false),
        ("[*.example.com]:2222", "ci.example.com", 2222, true),
        ("[ci.example.com]:*", "ci.example.com", 2222, true),
        ("[::1]:2222", "::1", 2222, true),
        ("::1", "::1", 22, true),
        // The same key under the name without a port is good for any port.
        ("ci.example.com", "ci.example.com", 2222, true),
    ] {
        let check = known(address, port, &format!("{hosts} {key}\n")).check(&mine);
        assert_eq!(check == Verdict::Known, verdict, "{hosts} for {address} port {port}");
    }
}

#[test]
fn a_hashed_name_from_ssh_keygen() {
    // ssh-keygen -H of `ci.example.com` and `[ci.example.com]:2222`.
    let mine = STANDARD.decode(KEYGEN_KEY).unwrap();
    for (line, address, port) in [(KEYGEN_HASHED, "ci.example.com", 22), (KEYGEN_HASHED_PORT, "ci.example.com", 2222)] {
        assert_eq!(known(address, port, line).check(&mine), Verdict::Known);
        assert_eq!(known("cd.example.com", port, line).check(&mine), Verdict::Unknown);
    }
}

const KEYGEN_KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIMj+shZgxukKu0Wf9CQ7nELeGKng16MigZiwZ8mK5lrk";
const KEYGEN_HASHED: &str = "|1|HLFa9z741k688yzjhIdvhmPGv3w=|2wGcq7xX7LbwFHgSQUuJmzw5xZA= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMj+shZgxukKu0Wf9CQ7nELeGKng16MigZiwZ8mK5lrk";
const KEYGEN_HASHED_PORT: &str = "|1|1YkqNlD6BXfx97SMPKQmEiMKXRE=|p5kSg/Tvl/ePH2YcMhI5sOMHm6E= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMj+shZgxukKu0Wf9CQ7nELeGKng16MigZiwZ8mK5lrk";

#[test]
fn several_keys_of_one_type_are_all_good() {
    let (old, new, other) = (ed25519("old"), ed25519("new"), ed25519("other"));
    let keys = known("ci", 22, &format!("ci {}\nci {}\n", written(&old), written(&new)));
    assert_eq!(keys.check(&old), Verdict::Known);
    assert_eq!(keys.check(&new), Verdict::Known);
    assert_eq!(keys.check(&other), Verdict::Changed { known_at: "kh:1".to_owned() });
}

#[test]
fn another_type_than_the_known_ones_is_a_change() {
    let keys = known("ci", 22, &format!("# note\n\nci {}", written(&ed25519("old"))));
    assert_eq!(keys.check(&key("ssh-rsa", "x")), Verdict::Changed { known_at: "kh:3".to_owned() });
    assert_eq!(keys.algorithms().collect::<Vec<_>>(), ["ssh-ed25519"]);
}

#[test]
fn another_key_at_the_bare_address_says_nothing_about_a_port() {
    let keys = known("ci", 2222, &format!("ci {}", written(&ed25519("port 22"))));
    assert_eq!(keys.check(&ed25519("port 2222")), Verdict::Unknown);
    assert_eq!(keys.algorithms().collect::<Vec<_>>(), ["ssh-ed25519"]);
}

#[test]
fn revoked_wins() {
    let mine = ed25519("mine");
    let key = written(&mine);
    let revoked = Verdict::Revoked { known_at: "kh:2".to_owned() };
    assert_eq!(known("ci", 22, &format!("ci {key}\n@revoked * {key}")).check(&mine), revoked);
    assert_eq!(known("ci", 2222, &format!("[ci]:2222 {key}\n@revoked\tci {key}")).check(&mine), revoked);
    // Somebody else's revoked key says nothing about this one.
    let other = written(&ed25519("other"));
    assert_eq!(known("ci", 22, &format!("ci {key}\n@revoked ci {other}")).check(&mine), Verdict::Known);
    assert_eq!(known("ci", 22, &format!("@revoked ci {other}")).check(&mine), Verdict::Unknown);
}

#[test]
fn authorities_are_passed_over() {
    let mine = ed25519("mine");
    assert_eq!(known("ci", 22, &format!("@cert-authority * {}", written(&mine))).check(&mine), Verdict::Unknown);
}

#[test]
fn blanks_comments_and_bad_lines() {
    let mine = ed25519("mine");
    let blob = STANDARD.encode(&mine);
    for (line, good) in [
        (format!(" \tci\tssh-ed25519\t{blob}\tme at home\r"), true),
        (format!("ci   ssh-ed25519   {blob}"), true),
        (format!("#ci ssh-ed25519 {blob}"), false),
        // The type must be the key's own.
        (format!("ci ssh-rsa {blob}"), false),
        (format!("ci ssh-ed25519 {}", &blob[1..]), false),
        ("ci ssh-ed25519".to_owned(), false),
        ("ci".to_owned(), false),
        ("@revoked".to_owned(), false),
        (format!("@new-mark ci ssh-ed25519 {blob}"), false),
        ("ci 1024 35 1234567890".to_owned(), false),
        ("|1|x|y ssh-ed25519 AAAA".to_owned(), false),
    ] {
        // A bad line costs only itself.
        let keys = known("ci", 22, &format!("{line}\nzz ssh-ed25519 {blob}"));
        assert_eq!(keys.check(&mine) == Verdict::Known, good, "{line}");
        assert_eq!(known("zz", 22, &format!("{line}\nzz ssh-ed25519 {blob}")).check(&mine), Verdict::Known, "{line}");
    }
}

/// What `*` and `?` mean, written down as plainly as possible.
fn plain_glob(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|taken| plain_glob(rest, &name[taken..])),
        Some((&c, rest)) => name.first().is_some_and(|&n| c == '?' || c == n) && plain_glob(rest, &name[1..]),
    }
}

proptest! {
    #[test]
    fn globs(pattern in "[ab?*]{0,8}", name in "[ab]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(glob(&pattern, &name), plain_glob(&chars(&pattern), &chars(&name)));
    }

    #[test]
    fn a_hash_means_its_name_only(name in "[a-z0-9.]{1,20}", other in "[a-z0-9.]{1,20}", salt in any::<[u8; 20]>()) {
        let hosts = hashed(&name, &salt);
        prop_assert!(matches(&hosts, &name));
        prop_assert_eq!(matches(&hosts, &other), name == other);
    }

    #[test]
    fn any_text_is_read(text in any::<String>(), address in any::<String>(), port in any::<u16>()) {
        known(&address, port, &text).check(&ed25519("mine"));
    }

    #[test]
    fn nearly_good_lines_are_read(
        lines in prop::collection::vec("(@revoked |@cert-authority |)[!*?a-c,|1\\[\\]:]{0,8}[ \t](ssh-ed25519|x) [A-Za-z0-9=]{0,12}", 0..6),
    ) {
        let text = lines.join("\n");
        prop_assert_eq!(known("a", 22, &text).check(&ed25519("mine")) == Verdict::Known, false);
    }

    #[test]
    fn the_order_of_lines_does_not_matter(
        lines in prop::collection::vec((any::<bool>(), 0..4_usize), 0..8).prop_shuffle(),
    ) {
        let texts: Vec<String> = lines
            .iter()
            .map(|&(revoked, n)| format!("{}ci {}", if revoked { "@revoked " } else { "" }, written(&ed25519(&n.to_string()))))
            .collect();
        let verdict = known("ci", 22, &texts.join("\n")).check(&ed25519("0"));
        let wanted = if lines.contains(&(true, 0)) {
            "revoked"
        } else if lines.contains(&(false, 0)) {
            "known"
        } else if lines.iter().any(|&(revoked, _)| !revoked) {
            "changed"
        } else {
            "unknown"
        };
        let got = match verdict {
            Verdict::Revoked { .. } => "revoked",
            Verdict::Known => "known",
            Verdict::Changed { .. } => "changed",
            Verdict::Unknown => "unknown",
        };
        prop_assert_eq!(got, wanted);
    }
}
