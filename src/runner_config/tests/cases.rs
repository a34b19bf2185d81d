//! Single cases of comparing, showing and rendering.

use super::*;
use crate::runner_config::render::{Managed, RunnerTable, render};

fn none(global: &str, runner: &str, host: &str) {
    assert_eq!(differences(global, runner, host, &SecretBook::default()), Vec::<String>::new(), "{host}");
}

fn plain(global: &str, runner: &str, host: &str) -> Vec<String> {
    differences(global, runner, host, &SecretBook::default())
}

#[test]
fn notation_is_no_difference() {
    let host = "# hand-made\nCONCURRENT=4 # yes\n[session_server]\nsession_timeout=1800\n[[runners]]\n\
                Docker = { pull_policy = [\"always\"], image = 'a' }\nunhealthy_interval = 300000000000\n";
    none("concurrent = 4", "docker = { image = 'a', pull_policy = 'always' }\nunhealthy_interval = '5m'", host);
    none("", "unhealthy_interval = 300000000000", "[[runners]]\nunhealthy_interval = '5m0s'");
    none("", "url = 'https://gitlab.example.com'", "[[runners]]\nurl = 'https://gitlab.example.com/'");
    none("", "machine.IdleScaleFactor = 1", "[[runners]]\n[runners.machine]\nidlescalefactor = 1.0");
    none("labels.a = 'b'", "", "labels = {a = \"b\"}");
}

#[test]
fn zero_is_unset_unless_the_runner_tells_them_apart() {
    none("check_interval = 0", "limit = 0\nshell = ''\nenvironment = []", "[[runners]]\ndebug_trace_disabled = false");
    none("", "", "[[runners]]\n[runners.cache]\nMaxUploadedArchiveSize = 0\n[runners.cache.s3]\n[runners.cache.gcs]");
    assert_eq!(plain("", "clean_git_config = false", "[[runners]]"), ["runners.x.clean_git_config: (unset) -> false"]);
    let host = "[[runners]]\n[runners.feature_flags]\nFF_B = false";
    assert_eq!(
        plain("", "feature_flags.FF_A = false", host),
        ["runners.x.feature_flags.FF_A: (unset) -> false", "runners.x.feature_flags.FF_B: false -> (unset)"]
    );
}

#[test]
fn a_default_that_is_written_is_shown_where_the_other_side_differs() {
    assert_eq!(plain("concurrent = 4", "", "concurrent = 1"), ["concurrent: 1 -> 4"]);
    assert_eq!(plain("concurrent = 4", "", ""), ["concurrent: (unset) -> 4"]);
    assert_eq!(plain("concurrent = 1", "", "concurrent = 7"), ["concurrent: 7 -> 1"]);
    let key = "cache.s3.SecretKey = 'x'";
    assert_eq!(
        plain("", key, "[[runners]]\n[runners.cache.s3]\nSecretKey = ''"),
        ["runners.x.cache.s3.SecretKey: (unset) -> (secret)"]
    );
}

#[test]
fn what_a_save_adds_is_no_difference() {
    let host = "concurrent = 1\ncheck_interval = 0\nconnection_max_age = \"15m0s\"\nshutdown_timeout = 0\n\
                [session_server]\nsession_timeout = 1800\n[[runners]]\nname = \"a\"\nid = 7\ntoken = \"t\"\n\
                token_obtained_at = 2026-01-01T00:00:00Z\ntoken_expires_at = 0001-01-01T00:00:00Z\n";
    none("", "name = 'a'", host);
    none("concurrent = 1\nconnection_max_age = '15m'", "name = 'a'", "[[runners]]\nname = 'a'");
}

#[test]
fn drift_is_shown_by_path() {
    let host = "concurrent = 10\nfuture_key = 'x'\nfuture_number = 3\n[[runners]]\nname = 'a'\n\
                [runners.docker]\nvolumes = ['/x:/x']\nprivileged = true\n[[runners.docker.services]]\nname = 'dind'\n";
    assert_eq!(
        plain("concurrent = 100\nlog_level = 'info'", "name = 'a'\nlimit = 10\ndocker.pull_policy = ['always']", host),
        [
            "concurrent: 10 -> 100",
            "log_level: (unset) -> \"info\"",
            "future_key: (hidden) -> (unset)",
            "future_number: 3 -> (unset)",
            "runners.x.limit: (unset) -> 10",
            "runners.x.docker.pull_policy: (unset) -> [\"always\"]",
            "runners.x.docker.volumes: [\"/x:/x\"] -> (unset)",
            "runners.x.docker.privileged: true -> (unset)",
            "runners.x.docker.services[0].name: \"dind\" -> (unset)",
        ]
    );
    assert_eq!(plain("concurrent = 5", "", "concurrent = '5'"), ["concurrent: \"5\" -> 5"]);
    let policy = "[[autoscaler.policy]]\nidle_count = 0";
    assert_eq!(plain("", policy, "[[runners]]"), ["runners.x.autoscaler.policy[0]: (unset) -> {}"]);
    none("", policy, "[[runners]]\n[[runners.autoscaler.policy]]\nidle_time = '0s'");
}

#[test]
fn one_key_in_two_spellings() {
    // The exact spelling counts; the other one is noise that goes away.
    let host = "concurrent = 4\nConcurrent = 5\n";
    assert_eq!(plain("concurrent = 4", "", host), ["Concurrent: 5 -> (unset)"]);
}

#[test]
fn origin_is_the_line_of_the_value() {
    let desired = table("check_interval = 3\n\nconcurrent = 2\n");
    let found =
        compare::global(&desired, Some(&parse::parse("check_interval = 3").unwrap()), &SecretBook::default(), &|_| {
            true
        })
        .map(|all| all.differences);
    assert_eq!(found.unwrap()[0].origin, Some(span(3)));
}

#[test]
fn secrets_are_masked_on_both_sides() {
    let book = book(&[("DSN", "https://dsn-secret"), ("KEY", "key-secret"), ("PW", "pw-secret")]);
    let runner = "cache.s3.SecretKey = '{{KEY}}'\nclone_url = 'https://ci:{{PW}}@git'\nshell = 'bash'";
    let host = "sentry_dsn = 'https://old-dsn'\n[[runners]]\nclone_url = 'https://ci:old-pw@git'\n\
                cache_dir = 'x pw-secret'\nbuilds_dir = 'http://me:old-pw@host'\nshell = 'sh'\ntoken = 'glrt-old'\n\
                [runners.cache.s3]\nSecretKey = 'old-key'\nSessionToken = 'old-session'\n\
                [runners.cache.gcs]\nAccessID = 'id'\n";
    let all = differences("sentry_dsn = '{{DSN}}'", runner, host, &book);
    assert_eq!(
        all,
        [
            "sentry_dsn: (secret) -> (secret env:DSN)",
            "runners.x.cache.s3.SecretKey: (secret) -> (secret env:KEY)",
            "runners.x.clone_url: (secret) -> \"https://ci:(secret env:PW)@git\"",
            "runners.x.shell: \"sh\" -> \"bash\"",
            "runners.x.cache_dir: \"x (secret)\" -> (unset)",
            "runners.x.builds_dir: \"http://(hidden)@host\" -> (unset)",
            "runners.x.cache.s3.SessionToken: (secret) -> (unset)",
            "runners.x.cache.gcs.AccessID: \"id\" -> (unset)",
        ]
    );
    let equal = "sentry_dsn = 'https://dsn-secret'\n[[runners]]\nclone_url='https://ci:pw-secret@git'\nshell='bash'\n\
                 [runners.cache.s3]\nSecretKey = 'key-secret'";
    assert_eq!(differences("sentry_dsn = '{{DSN}}'", runner, equal, &book), Vec::<String>::new());
    // A token where nobody expects one.
    assert_eq!(
        plain("", "", "[[runners]]\nbuilds_dir = '/x/glpat-0123456789abcdefXY'"),
        ["runners.x.builds_dir: \"/x/glpat-(hidden)\" -> (unset)"]
    );
    // A secret written into the inventory is masked as well.
    assert_eq!(plain("sentry_dsn = 'oops'", "", ""), ["sentry_dsn: (unset) -> (secret)"]);
}

#[test]
fn environments_show_what_the_inventory_shows() {
    let book = book(&[("T", "new-token")]);
    let host = "[[runners]]\nenvironment = ['A=1', 'T=old-token', 'OTHER=hand-made', 'cGFzc3dvcmQ', 'B=same']";
    assert_eq!(
        differences("", "environment = ['A=2', 'T={{T}}', 'B=same']", host, &book),
        ["runners.x.environment: [\"A=1\", \"T=(secret)\", \"OTHER=(secret)\", (secret), \"B=same\"] -> \
          [\"A=2\", \"T=(secret env:T)\", \"B=same\"]"]
    );
    // What is a secret once is one wherever it is said again.
    assert_eq!(
        differences("", "environment = ['T={{T}}', 'T=debug']", "[[runners]]\nenvironment = ['T=old-token']", &book),
        ["runners.x.environment: [\"T=(secret)\"] -> [\"T=(secret env:T)\", \"T=debug\"]"]
    );
    assert_eq!(
        plain("", "", "[[runners]]\nenvironment = ['A=old']"),
        ["runners.x.environment: [\"A=(hidden)\"] -> (unset)"]
    );
    assert_eq!(
        plain(
            "",
            "autoscaler.plugin_config.key = 'a'",
            "[[runners]]\nautoscaler.plugin_config = {key = 'b', pw = 'c'}"
        ),
        [
            "runners.x.autoscaler.plugin_config.key: \"b\" -> \"a\"",
            "runners.x.autoscaler.plugin_config.pw: (hidden) -> (unset)"
        ]
    );
}

#[test]
fn an_unknown_secret_is_an_error() {
    let desired = table("sentry_dsn = '{{GONE}}'");
    let error = compare::global(&desired, None, &SecretBook::default(), &|_| true).unwrap_err();
    assert_eq!(error.to_string(), "the value of (secret env:GONE) is not known");
}

#[test]
fn restarts_only_for_what_is_read_once() {
    let restart =
        |path: &str| compare::Difference { path: path.to_owned(), old: None, new: None, origin: None }.needs_restart();
    assert!(restart("listen_address") && restart("session_server.advertise_address"));
    assert!(restart("runners.docker.autoscaler.plugin") && restart("runners.\"a.\\\"b\".autoscaler.max_instances"));
    assert!(!restart("concurrent") && !restart("runners.docker.limit") && !restart("runners.listen_address"));
    assert!(!restart("runners.d.autoscaler.policy[0].idle_count") && !restart("runners.\"autoscaler.x\".limit"));
}

#[test]
fn errors_have_a_place_and_no_content() {
    let error = |text: &str| parse::parse(text).err().unwrap();
    let found = error("a = 1\n[[runners]]\ntoken = \"glrt-hidden\n");
    assert_eq!((found.line, found.column > 1), (3, true), "{found:?}");
    assert!(!format!("{found:?}").contains("hidden"));
    let found = error("\nrunners = 'none'\n");
    assert_eq!((found.line, found.column), (2, 11));
    assert!(parse::parse("runners = [{name = 'a'}]").is_ok());
}

#[test]
fn owned_keys_are_read_leniently() {
    let config = parse::parse(
        "[[runners]]\nID = 42\ntoken = ''\ntoken_obtained_at = 2026-08-22T10:00:00+02:00\n\
         token_expires_at = 0001-01-01T00:00:00Z\n[[runners]]\nid = 0\ntoken_obtained_at = 2026-08-22T08:00:00",
    )
    .unwrap();
    let [first, second] = &config.runners[..] else { panic!() };
    assert_eq!((first.id, first.token.is_none(), &first.expires), (Some(42), true, &None));
    assert_eq!(first.obtained.as_ref().unwrap().literal, "2026-08-22T08:00:00Z");
    assert_eq!(first.obtained, second.obtained);
    assert_eq!((second.id, second.number), (None, 2));
}

#[test]
fn renders_what_a_person_would_write() {
    let global = table("concurrent = 4\nlabels = {\"a.b\" = 'c'}\nlog_level = 'info'");
    let config =
        table("name = 'ci \"x\"'\nexecutor = 'docker'\n[docker]\nimage = 'a'\n[[docker.services]]\nname = 'b'");
    let runner = Managed {
        config,
        id: Text::plain("42"),
        token: SecretId::runner_token("h", "x"),
        obtained: Some(Text::plain("2026-01-01T00:00:00Z")),
        expires: None,
    };
    let kept = SecretId::new("kept:h/2");
    let runners = [RunnerTable::Managed(Box::new(runner)), RunnerTable::Kept(kept)];
    let text = render("inventories/prod.yml", &global, &runners, &[]);
    let expected = "\
# Managed by rprov: change inventories/prod.yml instead of this file.
# GitLab Runner rewrites it when it renews a token, without comments. That is no difference to rprov.

concurrent = 4
log_level = \"info\"

[labels]
\"a.b\" = \"c\"

[[runners]]
id = 42
token = \"(secret token:h/x)\"
token_obtained_at = 2026-01-01T00:00:00Z
name = \"ci \\\"x\\\"\"
executor = \"docker\"

[runners.docker]
image = \"a\"

[[runners.docker.services]]
name = \"b\"

(secret kept:h/2)";
    assert_eq!(text.redacted(), expected);
    assert!(
        render("evil\nconcurrent = 9", &Vec::new(), &[], &[7])
            .redacted()
            .lines()
            .all(|l| l.is_empty() || l.starts_with('#'))
    );
}

#[test]
fn a_kept_table_is_the_one_of_the_file() {
    let host = "concurrent = 2\n\n# mine\n[[runners]] # first\n  name = 'a'\n  odd = 1979-05-27\n  [runners.docker] # d\n\
                \x20   image='x'\n  [runners.cache.s3]\n\n[[runners]]\nname = 'b'\n[session_server]\nlisten_address='l'";
    let config = parse::parse(host).unwrap();
    let expected = "\n# mine\n[[runners]] # first\n  name = 'a'\n  odd = 1979-05-27\n  [runners.docker] # d\n    \
                    image='x'\n  [runners.cache.s3]\n";
    assert_eq!(config.runners[0].text.expose(), expected);
    assert_eq!(config.runners[1].text.expose(), "\n[[runners]]\nname = 'b'\n");
    let managed = render("in[v].yml", &Vec::new(), &[], &[7, 9]).redacted() + "# [mine]\n[[runners]]\n";
    let config = parse::parse(&managed).unwrap();
    assert_eq!((config.runners[0].text.expose(), &config.leaving[..]), ("\n# [mine]\n[[runners]]\n", &[7, 9][..]));
    let inline = parse::parse("runners = [{name = 'a', docker.image = 'b'}, {name = 'c'}]").unwrap();
    let kept = format!("{}{}", inline.runners[0].text.expose(), inline.runners[1].text.expose());
    let again = parse::parse(&kept).unwrap();
    assert_eq!((again.runners.len(), again.runners[1].name.as_str()), (2, "c"));
    assert_eq!(differences("", "name = 'a'\ndocker.image = 'b'", &kept, &SecretBook::default()), Vec::<String>::new());
}
