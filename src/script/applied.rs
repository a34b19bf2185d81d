//! What a host remembers of rprov: which run was the last that set out to change it. A saved plan made before that run is
//! stale, so that no plan has an effect twice. Pure: shell text and its reading only.

use crate::secret::Secret;

use super::quote;

/// Where it is written down: it must outlive a reboot.
pub const PATH: &str = "/var/lib/rprov/last-apply";

/// Shell text that writes it down before the first change: from here on nobody knows what is done but the next reading.
/// Everybody may read it.
#[must_use]
pub fn mark(run: &str, who: &str) -> String {
    mark_at(PATH, run, who)
}

fn mark_at(path: &str, run: &str, who: &str) -> String {
    format!(
        "applied={path}
mark_applied() {{
  [ -d \"${{applied%/*}}\" ] || (umask 022; mkdir -p -- \"${{applied%/*}}\") || return
  printf '%s\\n%s\\n' {run} {who} >\"$applied.new\" && chmod 0644 -- \"$applied.new\" && sync \"$applied.new\" && mv -f -- \"$applied.new\" \"$applied\"
}}
mark_applied || exit 71
",
        path = quote(path),
        run = quote(run),
        who = quote(who),
    )
}

/// The run that a host's file names. What is no such file names a run that nobody knows.
#[must_use]
pub fn run_of(text: &Secret) -> Option<String> {
    let run: String = text.expose().lines().next().unwrap_or_default().chars().take(80).collect();
    Some(if run.is_empty() { "unknown".to_owned() } else { run })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::tests::{run, shells};
    use crate::script::wrap;

    #[test]
    fn a_run_is_written_down_and_read_again() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("not there yet/last apply");
            let path_text = path.to_str().unwrap();
            for (name, who) in [("18a-1", "alice's laptop"), ("18b-2", "https://gitlab/x\n")] {
                let out = run(&shell, &wrap(&mark_at(path_text, name, who), "n0"));
                assert!(out.status.success(), "{shell:?}: {out:?}");
                let text = std::fs::read_to_string(&path).unwrap();
                assert_eq!(run_of(&Secret::new(text)).as_deref(), Some(name));
            }
            assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        }
        assert_eq!(run_of(&Secret::new(String::new())).as_deref(), Some("unknown"));
        let long = run_of(&Secret::new("x".repeat(1_000_000))).unwrap();
        assert_eq!(long.len(), 80, "a run has no such name, and the plan holds it");
    }
}
