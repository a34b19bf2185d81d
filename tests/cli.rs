//! The program as its users meet it: what it prints where, and how it ends. Connects to nothing but this machine, and
//! changes nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/init.rs"]
mod init;
#[path = "cli/note.rs"]
mod note;
#[path = "situations/mod.rs"]
mod situations;
#[path = "cli/untrusted.rs"]
mod untrusted;

/// The program, away from the environment of whoever runs the tests.
fn rprov(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rprov"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null());
    command
}

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = rprov(directory, arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A directory with an inventory in it.
fn with(inventory: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("inventory.yml"),
        inventory.replace("DIR", directory.path().to_str().unwrap()),
    )
    .unwrap();
    directory
}

/// One host that lacks a file, one that cannot be reached.
const HOSTS: &str = "\
defaults:
  files: [{ path: DIR/motd, content: \"hello\\n\" }]
hosts:
  here: { connection: local }
  gone: { ssh: { address: 127.0.0.1, port: 1 } }
";

#[test]
fn usage_errors_end_with_1_and_help_with_0() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["conjure"][..], &["plan", "--parallel", "0"], &["apply", "--lock-timeout", "soon"], &[]] {
        let (code, out, err) = run(directory.path(), arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        // A slip gets one line and a hint, not the whole help.
        assert!(if arguments.is_empty() { err.contains("rprov") } else { err.lines().count() == 2 }, "{err}");
    }
    for arguments in [&["--help"][..], &["plan", "-h"], &["--version"], &["version"], &["completions", "bash"]] {
        let (code, out, err) = run(directory.path(), arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        assert!(out.contains("rprov"), "{out}");
    }
}

#[test]
fn habits_from_other_tools_are_answered() {
    let directory = with("hosts:\n  here: { connection: local }\n");
    let of = |arguments: &[&str]| run(directory.path(), arguments);
    for (asked, same) in [
        (&["help"][..], &["--help"][..]),
        (&["-help"], &["--help"]),
        (&["help", "plan"], &["plan", "--help"]),
        (&["plan", "-help"], &["plan", "--help"]),
        (&["validate", "-vvv"], &["validate", "-v"]),
    ] {
        let (code, out, err) = of(asked);
        assert_eq!((code, err.as_str()), (0, ""), "{asked:?}");
        assert_eq!(out, of(same).1, "{asked:?}");
    }
    // Letter by letter it would name another inventory, `nput=false`.
    for (line, help) in [
        (&["plan", "-input=false"][..], "`rprov apply --yes` does not ask"),
        (&["plan", "-out=x"], "write `--out x`"),
        (&["list"], "`rprov status` lists hosts and how they are"),
        (&["runners"], "`rprov status -v` lists the runners of each host"),
        (&["pause"], "a runner with `paused: true` in the inventory takes no new jobs; then `rprov apply`"),
        // Nothing is near these: no suggestion is better than a wrong one.
        (&["spaces"], "`rprov --help` lists what there is"),
        (&["plan", "--zebra"], "`rprov plan --help` lists what there is"),
    ] {
        let (code, out, err) = of(line);
        assert_eq!((code, out.as_str()), (1, ""), "{line:?}");
        assert!(err.ends_with(&format!("  help: {help}\n")), "{err}");
    }
    let (code, _, err) = of(&["help", "plna"]);
    assert!(code == 1 && err.contains("did you mean `rprov plan`?"), "{err}");
    let (code, _, err) = of(&["plan", "--limti", "a"]);
    assert!(code == 1 && err.contains("did you mean `--limit`?"), "{err}");
}

#[test]
fn a_plan_is_reported_to_gitlab() {
    let directory = with(HOSTS);
    let reports = ["--report", "terraform=tf.json", "--report", "junit=junit.xml", "--report", "markdown=note.md"];
    let arguments: Vec<&str> = ["plan", "--limit", "here", "--out", "plan.json"].into_iter().chain(reports).collect();
    let (code, _, err) = run(directory.path(), &arguments);
    assert_eq!(code, 0, "{err}");
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(read("tf.json"), "{\"create\":1,\"update\":0,\"delete\":0}\n");
    assert!(read("junit.xml").contains("<failure message=\"1 change to make\""), "{}", read("junit.xml"));
    let note = read("note.md");
    assert!(note.starts_with("**rprov** — Plan: 1 to add") && note.contains("<code>here</code>: 1 change"), "{note}");
    // The same of the saved plan, which connects to nothing.
    std::fs::remove_file(directory.path().join("note.md")).unwrap();
    let (code, _, err) = run(directory.path(), &["show", "plan.json", "--report", "markdown=note.md"]);
    assert_eq!((code, err.as_str(), read("note.md")), (0, "", note));
    let (code, _, err) = run(directory.path(), &["show", "plan.json", "--report", "junit=no/such/directory.xml"]);
    assert!(code == 1 && err.contains("cannot write the report no/such/directory.xml"), "{code} {err}");
}

/// What is wrong with the command line, as `docs/errors.md` shows it: all of it on standard error, and the exit code 1.
#[test]
fn wrong_command_lines_say_what_to_write() {
    let empty = tempfile::tempdir().unwrap();
    let fleet = with("groups:\n  gpu: {}\nhosts:\n  ci.example.com: {}\n  gpu-1.example.com: { groups: [gpu] }\n");
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("prod.yaml"), "hosts: {}\n").unwrap();
    std::fs::create_dir(other.path().join("inventories")).unwrap();
    std::fs::write(other.path().join("inventories/prod.yml"), "hosts: {}\n").unwrap();
    let secret = with(
        "gitlab: { url: https://gitlab.example.com, api_token: { env: GITLAB_TOKEN } }\nhosts:\n  ci.example.com: {}\n",
    );
    for (name, directory, arguments) in [
        ("no-inventory", &empty, &["plan"][..]),
        ("inventory-is-a-directory", &other, &["plan", "-i", "inventories"]),
        ("inventory-other-ending", &other, &["plan", "-i", "prod.yml"]),
        ("limit-short-name", &fleet, &["plan", "--limit", "ci"]),
        ("limit-typo", &fleet, &["plan", "--limit", "gpuu"]),
        ("limit-empty", &fleet, &["plan", "--limit", ""]),
        ("dry-run", &fleet, &["apply", "--dry-run"]),
        ("option-of-another-tool", &fleet, &["apply", "--auto-approve"]),
        ("inventory-without-i", &fleet, &["plan", "prod.yml"]),
        ("secret-not-set", &secret, &["plan"]),
    ] {
        let (code, out, err) = run(directory.path(), arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
        assert!(!err.contains('\x1b'), "{err}");
        situations::check(name, &err, &[]);
    }
}

#[test]
fn an_inventory_with_errors_is_told_whole() {
    let directory = with("hosts:\n  a: { conection: local }\n  b: { connection: lokal }\n");
    let (code, out, err) = run(directory.path(), &["validate"]);
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.contains("inventory.yml:2:8") && out.contains("inventory.yml:3:"), "{out}");
    assert!(out.ends_with("2 errors\n"), "{out}");

    let (code, out, err) = run(directory.path(), &["plan"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.ends_with("2 errors\n"), "{err}");

    let (code, out, _) = run(directory.path(), &["plan", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["format"], &document["errors"]), (1, &"rprov-diagnostics/1".into(), &2.into()));
}

#[test]
fn a_sound_inventory_is_valid() {
    let directory = with(HOSTS);
    assert_eq!(
        run(directory.path(), &["validate"]),
        (0, "inventory.yml is valid: 2 hosts, 0 groups.\n".to_owned(), String::new())
    );
}

#[test]
fn only_the_secrets_of_selected_hosts_are_needed() {
    let directory = with(
        "\
hosts:
  here: { connection: local }
  other:
    ssh: { address: 127.0.0.1, port: 1 }
    cleanup: { schedule: \"0 4 * * *\", builds_older_than: 1h, healthcheck: { env: NOT_THERE } }
",
    );
    let (code, out, err) = run(directory.path(), &["plan"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("NOT_THERE") && err.contains("inventory.yml:"), "{err}");
    let (code, out, _) = run(directory.path(), &["plan", "--limit", "here"]);
    assert_eq!((code, out.as_str()), (0, "No changes. 1 host matches the inventory.\n"));
}

#[test]
fn a_plan_tells_of_every_host() {
    let directory = with(HOSTS);
    let (code, out, err) = run(directory.path(), &["plan"]);
    assert_eq!((code, err.as_str()), (3, ""));
    assert!(out.starts_with("! gone   cannot connect to 127.0.0.1:1"), "{out}");
    assert!(out.contains("/motd"), "{out}");
    assert!(
        out.trim_end().lines().last().unwrap().starts_with("Plan: 1 to add, 0 to change, 0 to remove on 1 of 2 hosts"),
        "{out}"
    );

    let here = |more: &[&str]| run(directory.path(), &[&["plan", "--limit", "here"], more].concat());
    assert_eq!(here(&[]).0, 0);
    assert_eq!(here(&["--detailed-exitcode"]).0, 2);
    let document: serde_json::Value = serde_json::from_str(&here(&["--format", "json"]).1).unwrap();
    assert_eq!(document["totals"]["add"], 1);

    let (code, out, _) = run(directory.path(), &["plan", "--limit", "nobody"]);
    assert_eq!((code, out.as_str()), (1, ""));
}

#[test]
fn a_plan_that_cannot_be_read_says_how_to_make_one() {
    let directory = with(HOSTS);
    for command in ["show", "apply"] {
        let (code, out, err) = run(directory.path(), &[command, "no plan.json"]);
        assert_eq!((code, out.as_str()), (1, ""));
        let message = "error: cannot read the plan no plan.json: there is no such file\n";
        assert_eq!(err, format!("{message}  help: `rprov plan --out 'no plan.json'` writes one\n"));
        let (code, _, err) = run(directory.path(), &[command, "."]);
        assert_eq!((code, err.as_str()), (1, "error: cannot read the plan .: it is a directory\n"));
    }
    let (code, _, err) = run(directory.path(), &["plan", "--limit", "here", "--out", "no/plan.json"]);
    assert_eq!((code, err.as_str()), (1, "error: cannot save the plan in no/plan.json: there is no such directory\n"));
}

#[test]
fn a_plan_file_that_says_something_twice_is_refused_when_it_is_read() {
    let directory = with(HOSTS);
    let file = directory.path().join("plan.json");
    assert_eq!(run(directory.path(), &["plan", "--limit", "here", "--out", "plan.json"]).0, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut twice: serde_json::Value = serde_json::from_str(&text).unwrap();
    let hosts = twice["plan"]["hosts"].as_array_mut().unwrap();
    hosts.push(hosts[0].clone());
    let keys = text.replacen("\"hosts\": ", "\"hosts\": [], \"hosts\": ", 1);
    for (text, why) in [(twice.to_string(), "it has the host `here` twice"), (keys, "the key `hosts` is there twice")] {
        std::fs::write(&file, text).unwrap();
        for command in ["show", "apply"] {
            let (code, out, err) = run(directory.path(), &[command, "plan.json"]);
            assert_eq!((code, out.as_str()), (1, ""), "{err}");
            assert!(err.starts_with("error: cannot read the plan plan.json: ") && err.contains(why), "{err}");
            assert!(err.contains("\n  help: "), "{err}");
        }
    }
    assert!(!directory.path().join("motd").exists());
}

#[test]
fn a_plan_file_is_good_for_the_machine_that_it_was_made_for() {
    let directory = with(HOSTS);
    let file = directory.path().join("plan.json");
    assert_eq!(run(directory.path(), &["plan", "--limit", "here", "--out", "plan.json"]).0, 0);
    let mut plan: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let machine = &mut plan["plan"]["hosts"][0]["machine"];
    assert_eq!(machine.is_string(), id.trim().len() == 32, "{machine}");
    assert!(id.trim().is_empty() || !machine.to_string().contains(id.trim()), "a machine-id is nobody's business");
}

#[test]
fn nothing_is_applied_without_approval() {
    let directory = with(HOSTS);
    let (code, out, err) = run(directory.path(), &["apply", "--limit", "here"]);
    assert_eq!(code, 1);
    assert!(out.contains("Plan: 1 to add"), "{out}");
    situations::check("no-approval", &err, &[]);
    assert!(!directory.path().join("motd").exists());

    // Where nothing can be applied, nobody is asked.
    let (code, _, err) = run(directory.path(), &["apply", "--limit", "gone"]);
    assert_eq!((code, err.as_str()), (3, ""));
}

#[test]
fn rendered_files_come_as_they_are() {
    let directory = with(HOSTS);
    let path = directory.path().join("motd");
    let path = path.to_str().unwrap();
    assert_eq!(run(directory.path(), &["render", "gone", path]), (0, "hello\n".to_owned(), String::new()));
    assert_eq!(run(directory.path(), &["render", "gone", "motd"]).1, "hello\n", "there is one of this name");
    assert_eq!(run(directory.path(), &["render", "gone", "otd"]).0, 1);
    let (_, out, _) = run(directory.path(), &["render", "gone"]);
    assert_eq!(out, format!("==> {path} (0644) <==\nhello\n"));
    let (code, _, err) = run(directory.path(), &["render", "gine"]);
    assert_eq!(code, 1);
    assert!(err.contains("did you mean `gone`?"), "{err}");
    assert!(run(directory.path(), &["render", "here", "--probe"]).1.contains("rprov"));
}

/// What a shell that has loaded the script is answered for a line whose last word is not finished.
fn completed(directory: &Path, line: &[&str]) -> Vec<String> {
    let words: Vec<&str> = ["--", "rprov"].iter().chain(line).copied().collect();
    let out = rprov(directory, &words)
        .env("RPROV_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", line.len().to_string())
        .env("_CLAP_IFS", "\n")
        .output()
        .unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn hosts_and_groups_are_completed() {
    let inventory = "groups: { gpu: {}, far: {} }\nhosts:\n  gpu-1.example.com: { groups: [gpu], ssh: {} }\n  ci-1.example.com: { ssh: {} }\n";
    let directory = with(inventory);
    let of = |line: &[&str]| completed(directory.path(), line);
    assert_eq!(of(&["plan", "--limit", "g"]), ["gpu", "gpu-1.example.com"]);
    assert_eq!(
        of(&["plan", "--limit", "ci-1.example.com,!g"]),
        ["ci-1.example.com,!gpu", "ci-1.example.com,!gpu-1.example.com"]
    );
    assert_eq!(of(&["render", "g"]), ["gpu-1.example.com"]);
    assert_eq!(of(&["doctor", "c"]), ["ci-1.example.com"]);
    assert_eq!(of(&["explain", "ssh.port", "--host", "g"]), ["gpu-1.example.com"]);
    assert_eq!(of(&["-i", "there.yml", "render", "c"]), [""; 0], "another inventory, which is not there");
    assert!(of(&["sta"]).contains(&"status".to_owned()));
    std::fs::write(directory.path().join("inventory.yml"), "hosts: [").unwrap();
    assert_eq!(of(&["plan", "--limit", "g"]), [""; 0], "a shell wants no errors");
}

#[test]
fn keys_and_forms_of_reports_are_completed() {
    let directory = tempfile::tempdir().unwrap();
    let of = |line: &[&str]| completed(directory.path(), line);
    let keys = of(&["explain", "con"]);
    assert!(["concurrent", "config", "container"].iter().all(|key| keys.contains(&(*key).to_owned())), "{keys:?}");
    assert_eq!(of(&["explain", "docker.pull"]), ["docker.pull_policy"]);
    assert_eq!(of(&["plan", "--report", ""]), ["terraform=", "junit=", "markdown="]);
    assert_eq!(of(&["show", "plan.json", "--report", "j"]), ["junit="]);
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = run(directory.path(), &["man"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(".TH rprov 1"), "{out}");
    let (code, _, err) = run(directory.path(), &["man", "pages/man1"]);
    assert_eq!(code, 0, "{err}");
    for command in ["rprov", "rprov-plan", "rprov-apply", "rprov-status", "rprov-doctor"] {
        let page = std::fs::read_to_string(directory.path().join(format!("pages/man1/{command}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {command} 1")) && page.contains("inventory"), "{command}: {page}");
    }
    let page = std::fs::read_to_string(directory.path().join("pages/man1/rprov-init-ci.1")).unwrap();
    assert!(page.contains(".TH rprov-init-ci 1") && page.contains("\nrprov init ci\n"), "{page}");
    std::fs::write(directory.path().join("taken"), "").unwrap();
    let (code, _, err) = run(directory.path(), &["man", "taken"]);
    assert!(code == 1 && err.contains("cannot write into taken"), "{err}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let directory = with(HOSTS);
    let mut child = rprov(directory.path(), &["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn colour_only_where_it_is_wanted() {
    let directory = with(HOSTS);
    let plan = |more: &[&str]| run(directory.path(), &[&["plan", "--limit", "here"], more].concat()).1;
    assert!(!plan(&[]).contains('\x1b'));
    assert!(plan(&["--color", "always"]).contains("\x1b[32m"));
}

#[test]
fn a_job_of_gitlab_has_colours_and_sections() {
    let directory = with(HOSTS);
    let job = |more: &[&str], plain: bool, into: Stdio| {
        let mut command = rprov(directory.path(), &[&["plan", "--limit", "here"], more].concat());
        command.env("GITLAB_CI", "true").envs(plain.then_some(("NO_COLOR", "1"))).stdout(into);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let log = job(&[], false, Stdio::piped());
    assert!(log.contains("\x1b[0Ksection_start:") && log.contains(":host_0_here\r\x1b[0K"), "{log:?}");
    assert_eq!(log.matches("section_").count(), 2, "{log:?}");
    assert!(log.contains("\x1b[32m"), "{log:?}");
    for plain in [job(&[], true, Stdio::piped()), job(&["--color", "never"], false, Stdio::piped())] {
        assert!(!plain.contains('\x1b'), "{plain:?}");
    }
    let json = job(&["--format", "json"], false, Stdio::piped());
    assert!(json.starts_with('{') && !json.contains('\x1b'), "{json:?}");
    // A file is no log.
    let path = directory.path().join("plan.txt");
    job(&[], false, std::fs::File::create(&path).unwrap().into());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("Plan: 1 to add") && !text.contains('\x1b'), "{text:?}");
}

#[test]
fn the_schema_is_json() {
    let empty = tempfile::tempdir().unwrap();
    let (code, out, err) = run(empty.path(), &["schema"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema["properties"]["hosts"]["description"], "the hosts, by name");
}
