use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};

use super::*;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from(Ed25519PrivateKey::from_bytes(&[seed; 32])))
}

fn private(seed: u8) -> (PathBuf, Result<KeyFile, String>) {
    (PathBuf::from(format!("/k/{seed}")), Ok(KeyFile::Private(Arc::new(key(seed)))))
}

fn held(seeds: &[u8]) -> Vec<AgentIdentity> {
    seeds.iter().map(|seed| AgentIdentity::from(key(*seed).public_key().clone())).collect()
}

fn offers(seeds: &[u8], files: impl IntoIterator<Item = (PathBuf, Result<KeyFile, String>)>) -> Offers {
    let mut offers = Offers::default();
    offers.learn_agent(&held(seeds));
    for (path, file) in files {
        offers.add_file(&path, file);
    }
    offers
}

/// A certificate of a key for the user `deploy`.
fn certificate(seed: u8, before: u64) -> Certificate {
    let subject = key(seed);
    let mut builder = Builder::new([0; 16].to_vec(), subject.public_key().key_data().clone(), 1, before).unwrap();
    builder.cert_type(CertType::User).unwrap().valid_principal("deploy").unwrap();
    builder.sign(&key(99)).unwrap()
}

/// What stands in line: `file`, `file via agent` or `agent`, each with the number of the key.
fn line(offers: &mut Offers) -> Vec<String> {
    let mut line = Vec::new();
    while let Some(offer) = offers.next() {
        let (word, public) = match &offer.credential {
            Credential::Key(key) => ("", key.key_data().clone()),
            Credential::Certificate(certificate) => ("certificate, ", certificate.public_key().clone()),
        };
        let number = (0..20).find(|&n| *key(n).public_key().key_data() == public).unwrap();
        let how = match (&offer.path, &offer.signer) {
            (Some(_), Signer::File(_)) => "file",
            (Some(_), Signer::Agent(_)) => "file via agent",
            (None, _) => "agent",
        };
        line.push(format!("{word}{how} {number}"));
    }
    line
}

#[test]
fn named_keys_come_first_and_the_agent_signs_if_it_can() {
    let locked = KeyFile::Locked { key: Some(key(3).public_key().clone()), text: "".into() };
    let mut offers = offers(&[1, 2, 3], [private(7), (PathBuf::from("/k/3"), Ok(locked)), private(1)]);
    offers.add_agent(&held(&[1, 2, 3]));
    assert_eq!(line(&mut offers), ["file 7", "file via agent 3", "file via agent 1", "agent 2"]);
}

#[test]
fn no_key_is_shown_twice() {
    let mut offers = offers(&[1, 2], []);
    offers.add_agent(&held(&[1, 2]));
    offers.next().unwrap();
    for (path, file) in [private(1), private(2), private(3), private(3)] {
        offers.add_file(&path, file);
    }
    assert_eq!(line(&mut offers), ["agent 2", "file 3"]);
}

#[test]
fn certificates_come_first_and_need_a_key() {
    let mut all = offers(&[1], [private(2)]);
    all.add_certificate(Path::new("/c/1"), Ok(certificate(1, u64::MAX)));
    all.add_certificate(Path::new("/c/2"), Ok(certificate(2, u64::MAX)));
    all.add_certificate(Path::new("/c/3"), Ok(certificate(3, u64::MAX)));
    all.add_certificate(Path::new("/c/4"), Ok(certificate(2, 86_400)));
    all.add_agent(&held(&[1]));
    all.match_certificates();
    let wanted = ["certificate, file via agent 1", "certificate, file 2", "file 2", "agent 1"];
    assert_eq!(line(&mut all), wanted);
    let words = all.in_words(None);
    let wanted = "agent: 1 key; /c/1 (certificate for deploy) (through the agent); /c/2 (certificate for deploy); /k/2; \
                  /c/4 (it expired on 1970-01-02 00:00 UTC); /c/3 (its private key is not here)";
    assert_eq!(words, wanted);
    // The key turns up later, among the usual files.
    let (path, file) = private(3);
    all.add_file(&path, file);
    all.match_certificates();
    assert_eq!(line(&mut all), ["certificate, file 3", "file 3"]);
}

#[test]
fn what_was_tried_in_words() {
    let mut offers = Offers { no_agent: Some("no agent (SSH_AUTH_SOCK is not set)".to_owned()), ..Offers::default() };
    assert_eq!(offers.in_words(None), "no key at all; no agent (SSH_AUTH_SOCK is not set)");
    offers.no_agent = None;
    offers.add_agent(&held(&[1, 2]));
    line(&mut offers);
    for (path, file) in [private(3), private(4), (PathBuf::from("/k/x"), Err("it is odd".to_owned()))] {
        offers.add_file(&path, file);
    }
    offers.next();
    let words = offers.in_words(Some("then the host closed the connection".to_owned()));
    let wanted = "agent: 2 keys; /k/3; /k/x (it is odd); 1 more not shown; then the host closed the connection";
    assert_eq!(words, wanted);
}
