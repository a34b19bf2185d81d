//! Lists of algorithms as ssh_config has them, upon what this program prefers. Pure.

use russh::client::Config;
use russh::{cipher, kex, mac};

use super::config::Kind;

/// Holds a connection to what ssh_config allows.
pub(super) fn restrict(config: &mut Config, lists: &[(Kind, String)]) -> Result<(), String> {
    let preferred = &mut config.preferred;
    for (kind, list) in lists {
        match kind {
            Kind::Kex => {
                // Not exchanges but signs of what this end understands.
                let sign = |name: &kex::Name| name.as_ref().starts_with("ext-info") || name.as_ref().contains("strict");
                let (signs, own): (Vec<_>, Vec<_>) = preferred.kex.iter().partition(|name| sign(name));
                let mut chosen = choose(list, &own, |name| kex::Name::try_from(name).ok().filter(|name| !sign(name)));
                named(&chosen, "KexAlgorithms", list)?;
                chosen.extend(signs);
                preferred.kex = chosen.into();
            }
            Kind::Cipher => {
                let weak = |name: &cipher::Name| *name == cipher::NONE || *name == cipher::CLEAR;
                let usable = |name: &str| cipher::Name::try_from(name).ok().filter(|name| !weak(name));
                let chosen = choose(list, &preferred.cipher, usable);
                named(&chosen, "Ciphers", list)?;
                preferred.cipher = chosen.into();
            }
            Kind::Mac => {
                let usable = |name: &str| mac::Name::try_from(name).ok().filter(|name| *name != mac::NONE);
                let chosen = choose(list, &preferred.mac, usable);
                named(&chosen, "MACs", list)?;
                preferred.mac = chosen.into();
            }
            Kind::HostKey => {
                let own = preferred.key.to_vec();
                let names: Vec<String> = own.iter().map(ToString::to_string).collect();
                let chosen = choose(list, &names, |name| names.iter().find(|own| *own == name).cloned());
                named(&chosen, "HostKeyAlgorithms", list)?;
                // The types of known keys stay in front, as with OpenSSH's own preference.
                let replaces = !list.starts_with(['+', '-', '^']);
                let key = |name: &String| own.iter().find(|key| key.to_string() == *name).cloned();
                let kept: Vec<_> = if replaces {
                    own.iter().filter(|key| chosen.contains(&key.to_string())).cloned().collect()
                } else {
                    chosen.iter().filter_map(key).collect()
                };
                preferred.key = kept.into();
            }
        }
    }
    Ok(())
}

fn named<T>(chosen: &[T], what: &str, list: &str) -> Result<(), String> {
    if chosen.is_empty() { Err(format!("{what} leaves nothing that rprov can use: `{list}`")) } else { Ok(()) }
}

/// The list that comes of `+` (further ones), `-` (without these), `^` (these first), or a whole list.
fn choose<T: Clone + PartialEq + AsRef<str>>(list: &str, own: &[T], usable: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let (sign, names) = match list.chars().next() {
        Some(sign @ ('+' | '-' | '^')) => (sign, &list[1..]),
        _ => (' ', list),
    };
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    let mut chosen: Vec<T> = match sign {
        '-' => {
            let meant = |name: &T| names.iter().any(|pattern| super::config::glob(pattern, name.as_ref()));
            return own.iter().filter(|name| !meant(name)).cloned().collect();
        }
        '+' => own.to_vec(),
        _ => Vec::new(),
    };
    for name in names.iter().filter_map(|name| usable(name)) {
        if !chosen.contains(&name) {
            chosen.push(name);
        }
    }
    if sign == '^' {
        let rest: Vec<T> = own.iter().filter(|name| !chosen.contains(name)).cloned().collect();
        chosen.extend(rest);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &str) -> Vec<String> {
        let own = ["a1", "a2", "b1"].map(str::to_owned);
        choose(list, &own, |name| (name != "unknown").then(|| name.to_owned()))
    }

    #[test]
    fn lists() {
        assert_eq!(of("b1,a2,unknown"), ["b1", "a2"]);
        assert_eq!(of("+c,a1"), ["a1", "a2", "b1", "c"]);
        assert_eq!(of("-a*"), ["b1"]);
        assert_eq!(of("^b1"), ["b1", "a1", "a2"]);
        assert!(of("unknown").is_empty());
    }

    #[test]
    fn a_connection_is_held_to_them() {
        let mut config = super::super::client::config(std::iter::empty(), false, std::time::Duration::from_secs(1));
        let lists =
            [(Kind::Cipher, "aes256-gcm@openssh.com,none,clear"), (Kind::Kex, "-*nistp*"), (Kind::HostKey, "-ecdsa*")];
        restrict(&mut config, &lists.map(|(kind, list)| (kind, list.to_owned()))).unwrap();
        assert_eq!(*config.preferred.cipher, [cipher::AES_256_GCM]);
        assert!(!config.preferred.kex.contains(&kex::ECDH_SHA2_NISTP256));
        assert!(config.preferred.kex.contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT));
        assert!(config.preferred.key.iter().all(|key| !key.to_string().starts_with("ecdsa")));
        let error = restrict(&mut config, &[(Kind::Mac, "none".to_owned())]).unwrap_err();
        assert_eq!(error, "MACs leaves nothing that rprov can use: `none`");
    }
}
