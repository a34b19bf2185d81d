//! known_hosts: whatever stands in it, a host's own line counts, and so does one that revokes its key.

use rprov::host::ssh::fuzzing::KnownAs;

/// An Ed25519 key.
const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJ9PPfFTkqwxCWE3f1VDL9XPFKbgQhIZCOwZMIU4Ojdn";

pub fn one(data: &[u8]) {
    let text = super::text(data);
    for port in [22, 2222] {
        let host = "web1.example.com";
        let before = KnownAs::of(&text, host, port, KEY);
        let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
        let with = |line: &str| KnownAs::of(&format!("{text}\n{line}\n"), host, port, KEY);
        let known = with(&format!("{name} ssh-ed25519 {KEY}"));
        let wanted = if before == KnownAs::Revoked { KnownAs::Revoked } else { KnownAs::Known };
        assert_eq!(known, wanted, "before: {before:?}");
        assert_eq!(with(&format!("@revoked * ssh-ed25519 {KEY}")), KnownAs::Revoked);
    }
}
