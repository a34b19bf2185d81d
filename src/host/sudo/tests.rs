use super::*;

fn gate() -> (Gate, String, String) {
    let gate = Gate::new("ops@h1").unwrap();
    let (prompt, root) = (gate.prompt(), format!("\n@{} root\n", gate.nonce));
    (gate, prompt, root)
}

#[test]
fn a_sudo_that_does_not_ask() {
    let (mut gate, _, root) = gate();
    assert_eq!(gate.stdout(b"Welcome").unwrap(), Seen::Nothing);
    let (one, two) = root.split_at(5);
    assert_eq!(gate.stdout(one.as_bytes()).unwrap(), Seen::Nothing);
    assert_eq!(gate.stdout(format!("{two}rest").as_bytes()).unwrap(), Seen::Root(b"rest".to_vec()));
}

#[test]
fn a_sudo_that_asks() {
    let (mut gate, prompt, root) = gate();
    assert_eq!(gate.stderr(b"+ sudo -S -p\nWe trust you\n").unwrap(), Seen::Nothing);
    for byte in prompt.as_bytes()[..prompt.len() - 1].chunks(1) {
        assert_eq!(gate.stderr(byte).unwrap(), Seen::Nothing);
    }
    assert_eq!(gate.stderr(b" ").unwrap(), Seen::Prompt);
    assert_eq!(gate.stderr(b"\n").unwrap(), Seen::Nothing);
    assert_eq!(gate.stdout(root.as_bytes()).unwrap(), Seen::Root(Vec::new()));
}

#[test]
fn a_wrong_password() {
    let (mut gate, prompt, _) = gate();
    assert_eq!(gate.stderr(prompt.as_bytes()).unwrap(), Seen::Prompt);
    assert_eq!(gate.stderr(format!("Sorry, try again.\n{prompt}").as_bytes()).unwrap(), Seen::PromptAgain);
    assert!(matches!(gate.refusal(None), HostError::SudoPassword { .. }));

    // `passwd_tries=1`: no second prompt.
    let (mut gate, prompt, _) = self::gate();
    gate.stderr(prompt.as_bytes()).unwrap();
    gate.stderr(b"sudo: 1 incorrect password attempt\n").unwrap();
    assert!(matches!(gate.refusal(Some(1)), HostError::SudoPassword { .. }));
}

#[test]
fn refusals_are_told_apart() {
    let refusal = |status, stdout: &str, stderr: &str| {
        let (mut gate, ..) = gate();
        gate.stdout(stdout.as_bytes()).unwrap();
        gate.stderr(stderr.as_bytes()).unwrap();
        gate.refusal(status)
    };
    let tty = refusal(Some(1), "noise", "noise\nsudo: sorry, you must have a tty to run sudo\n");
    assert!(tty.help().unwrap().ends_with("Defaults:ops !requiretty"), "{tty:?}");
    assert!(matches!(refusal(Some(1), "", "ops is not in the sudoers file.\n"), HostError::Sudo { .. }));
    assert!(matches!(refusal(Some(127), "", "bash: sudo: command not found\n"), HostError::Sudo { .. }));
    let shell = refusal(Some(1), "This account is currently not available.\n", "");
    assert!(matches!(&shell, HostError::NotStarted { said, .. } if said.starts_with("This account")), "{shell:?}");
}

#[test]
fn a_flood_ends() {
    let (mut gate, ..) = gate();
    assert!(matches!(gate.stdout(&vec![b'x'; LONGEST + 1]), Err(HostError::TooMuch { .. })));
}

#[test]
fn nonces_differ_and_words_are_plain() {
    let (one, two) = (gate().0, gate().0);
    assert_ne!(one.nonce, two.nonce);
    let line = one.words().join(" ");
    assert!(!line.contains(&one.prompt()), "a command line that is shown looks like the prompt: {line}");
    assert!(!line.contains(&format!("\n@{} root\n", one.nonce)), "{line}");
    for word in one.words() {
        assert!(!word.contains(['\'', '\\', '!', '\n']), "{word}");
    }
}
