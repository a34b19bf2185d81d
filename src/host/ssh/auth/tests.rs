use russh::keys::ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};

use super::*;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from(Ed25519PrivateKey::from_bytes(&[seed; 32])))
}

fn private(seed: u8) -> (PathBuf, Result<KeyFile, String>) {
    (PathBuf::from(format!("/k/{seed}")), Ok(KeyFile::Private(Arc::new(key(seed)))))
}

/// What stands in line: `file`, `file via agent` or `agent`, each with the number of the key.
fn line(choice: &Choice) -> Vec<String> {
    let number = |offer: &Offer| (0..20).find(|&n| key(n).public_key().key_data() == offer.public.key_data()).unwrap();
    let how = |offer: &Offer| match (&offer.path, &offer.private) {
        (Some(_), Some(_)) => "file",
        (Some(_), None) => "file via agent",
        (None, _) => "agent",
    };
    choice.waiting.iter().map(|offer| format!("{} {}", how(offer), number(offer))).collect()
}

#[test]
fn named_keys_come_first_and_the_agent_signs_if_it_can() {
    let held = [1, 2, 3].map(|n| key(n).public_key().clone());
    let mut choice = Choice::default();
    let locked = KeyFile::Public { key: key(3).public_key().clone(), why: "encrypted".to_owned() };
    choice.add_files([private(7), (PathBuf::from("/k/3"), Ok(locked)), private(1)].into_iter(), &held);
    choice.add_agent(&held);
    assert_eq!(line(&choice), ["file 7", "file via agent 3", "file via agent 1", "agent 2"]);
}

#[test]
fn no_key_is_shown_twice() {
    let held = [1, 2].map(|n| key(n).public_key().clone());
    let mut choice = Choice::default();
    choice.add_agent(&held);
    choice.shown.extend(choice.waiting.pop_front());
    choice.add_files([private(1), private(2), private(3), private(3)].into_iter(), &held);
    assert_eq!(line(&choice), ["agent 2", "file 3"]);
}

#[test]
fn what_was_tried_in_words() {
    let mut choice = Choice { no_agent: Some("no agent (SSH_AUTH_SOCK is not set)".to_owned()), ..Choice::default() };
    assert_eq!(choice.in_words(None), "no key at all; no agent (SSH_AUTH_SOCK is not set)");
    choice.no_agent = None;
    choice.add_agent(&[1, 2].map(|n| key(n).public_key().clone()));
    choice.shown.extend(choice.waiting.drain(..));
    choice.add_files([private(3), private(4), (PathBuf::from("/k/x"), Err("it is odd".to_owned()))].into_iter(), &[]);
    choice.shown.extend(choice.waiting.pop_front());
    let words = choice.in_words(Some("then the host closed the connection".to_owned()));
    let wanted = "agent: 2 keys; /k/3; /k/x (it is odd); 1 more not shown; then the host closed the connection";
    assert_eq!(words, wanted);
}
