//! `rprov explain`: the key that is meant, and what is said of it.

use super::{HOSTS, run, with};

#[test]
fn keys_are_explained() {
    let directory = with(HOSTS);
    let (code, out, err) = run(directory.path(), &["explain", "hosts.gone.ssh.port"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.starts_with("hosts.gone.ssh.port\n") && out.contains("Set at\n") && out.contains("inventory.yml:"),
        "{out}"
    );
    let (code, out, _) = run(directory.path(), &["explain", "ssh.port", "--host", "gone", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &document["format"], &document["effective"][0]["value"]),
        (0, &"rprov-explain/1".into(), &"1".into())
    );
    let (code, out, err) = run(directory.path(), &["explain", "ssh.prot"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("did you mean `hosts.NAME.ssh.port`"), "{err}");
    let (code, _, err) = run(directory.path(), &["explain", "ssh.port", "--host", "gine"]);
    assert!(code == 1 && err.contains("did you mean `gone`?"), "{err}");
    // Without an inventory the language is explained all the same.
    let empty = tempfile::tempdir().unwrap();
    let (code, out, _) = run(empty.path(), &["explain", "config.concurrent"]);
    assert!(code == 0 && !out.contains("Set at") && out.contains("default"), "{out}");
    assert!(run(empty.path(), &["explain"]).1.contains("runners"));
}

#[test]
fn of_several_keys_all_are_listed_as_commands() {
    let jobs = with(
        "runners:\n  docker: { scope: instance, config: { executor: docker } }\nhosts:\n  a: { runners: [docker] }\n",
    );
    let (code, out, err) = run(jobs.path(), &["explain", "allowed_images"]);
    assert_eq!((code, out.as_str()), (1, ""));
    insta::assert_snapshot!("explain-several", err);
    for line in err.lines().filter_map(|line| line.trim().strip_prefix("rprov ")) {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(run(jobs.path(), &words).0, 0, "{line}");
    }
    // The host's runners leave one.
    let (code, out, _) = run(jobs.path(), &["explain", "allowed_images", "--host", "a"]);
    assert!(code == 0 && out.starts_with("runners.NAME.config.docker.allowed_images\n"), "{out}");
    let (_, _, err) = run(jobs.path(), &["explain", "image", "--host", "a", "-i", "./inventory.yml"]);
    assert!(err.contains(".docker.image --host a -i ./inventory.yml\n") && !err.contains("kubernetes"), "{err}");
}
