//! `rprov init`: what it writes, what it leaves alone, and what it says.

use super::run;

const FLAGS: [&str; 9] = [
    "init",
    "--host",
    "ci-1.example.com",
    "--user",
    "deploy",
    "--gitlab",
    "https://gitlab.example.com",
    "--manager",
    "container",
];

#[test]
fn an_inventory_is_written_once_and_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = run(directory.path(), &FLAGS);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    insta::assert_snapshot!("init", err);
    assert!(err.lines().all(|line| line.chars().count() <= 80), "{err}");
    let (code, out, err) = run(directory.path(), &["validate"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "inventory.yml is valid: 1 host, 0 groups.\n", ""));

    let path = directory.path().join("inventory.yml");
    let written = std::fs::read_to_string(&path).unwrap();
    let (code, out, err) = run(directory.path(), &FLAGS);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: inventory.yml is there already; it was left as it is\n"), "{err}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    // A link that leads nowhere is somebody's too.
    std::os::unix::fs::symlink("nowhere", directory.path().join("link.yml")).unwrap();
    let (code, _, _) = run(directory.path(), &[&FLAGS[..], &["--out", "link.yml"]].concat());
    assert!(code == 1 && !directory.path().join("nowhere").exists());

    let (code, out, _) = run(directory.path(), &[&FLAGS[..], &["--out", "-"]].concat());
    assert_eq!((code, out), (0, written));
    let (code, _, err) = run(directory.path(), &[&FLAGS[..], &["--out", "my hosts.yml"]].concat());
    assert!(code == 0 && err.contains("       rprov plan -i 'my hosts.yml'\n"), "{err}");
    let (code, _, err) = run(directory.path(), &[&FLAGS[..], &["--out", "no/such/directory.yml"]].concat());
    assert!(code == 1 && err.contains("cannot write no/such/directory.yml"), "{err}");
}

#[test]
fn without_a_terminal_what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = run(directory.path(), &["init", "--host", "deploy@ci-1.example.com"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: `rprov init` needs --gitlab, --manager, --executor\n"), "{err}");
    let (code, _, err) = run(directory.path(), &["init", "--gitlab", "x\u{1b}[31m"]);
    assert!(code == 1 && err.contains("is not a URL") && !err.contains('\u{1b}'), "{err}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
