//! Writes down on a host what rprov has put there ([`crate::facts::owned`]). Pure: shell text only.

use crate::facts::owned::{Owned, PATH};

use super::quote;

/// Shell text that replaces the list in one instant. Only root may read it: it says what is on the host.
#[must_use]
pub fn write(owned: &Owned) -> String {
    write_at(PATH, owned)
}

fn write_at(path: &str, owned: &Owned) -> String {
    format!(
        "owned={path}
write_owned() {{
  [ -d \"${{owned%/*}}\" ] || (umask 022; mkdir -p -- \"${{owned%/*}}\") || return
  rm -f -- \"$owned.new\" || return
  (umask 077; printf '%s' {text} >\"$owned.new\") && sync \"$owned.new\" && mv -f -- \"$owned.new\" \"$owned\"
}}
write_owned || exit 1
",
        path = quote(path),
        text = quote(&owned.text()),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::facts::owned::{Entry, Item};
    use crate::script::tests::{run, shells};
    use crate::script::wrap;

    #[test]
    fn the_list_is_written_whole_and_for_its_owner_alone() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("not there yet/owned");
            let text = path.to_str().unwrap();
            let mut owned = Owned::new();
            for name in ["concurrent", "runners.\"it's $(false) `x` %s \\n\".limit"] {
                owned.add(Item::ConfigKey(name.to_owned()), Entry::of("a b.yml:3:1"));
                let out = run(&shell, &wrap(&write_at(text, &owned), "n0"));
                assert!(out.status.success(), "{shell:?}: {out:?}");
                assert_eq!(Owned::parse(&std::fs::read_to_string(&path).unwrap()), Ok(owned.clone()));
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            }
            // What a run left that died, or somebody has put there.
            std::os::unix::fs::symlink(dir.path().join("elsewhere"), path.with_extension("new")).unwrap();
            let out = run(&shell, &wrap(&write_at(text, &owned), "n0"));
            assert!(out.status.success() && !dir.path().join("elsewhere").exists(), "{shell:?}: {out:?}");
            assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_list_that_cannot_be_written_ends_the_script() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("file"), "").unwrap();
            let path = dir.path().join("file/owned");
            let out = run(&shell, &wrap(&write_at(path.to_str().unwrap(), &Owned::new()), "n0"));
            assert_eq!(out.status.code(), Some(1), "{shell:?}: {out:?}");
        }
    }
}
