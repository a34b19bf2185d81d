//! What an inventory of somebody else's can make rprov do: read, start, send, wait, fill memory. Each try is one that would
//! have worked.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::{rprov, with};

/// Seconds after which something waits for ever.
const PATIENCE: &str = "60";
/// What stands in files that nobody may see.
const SECRET: &str = "hunter2hunter2";

/// Runs it with an end, in a home of its own: exit code and everything that was said.
fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let program = rprov(directory, arguments);
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", PATIENCE]).arg(program.get_program()).args(program.get_args()).current_dir(directory);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", directory).env("USER", "tester");
    let done = command.envs(environment.iter().copied()).stdin(std::process::Stdio::null()).output().unwrap();
    let said = [&done.stdout[..], &done.stderr[..]].concat();
    (done.status.code(), String::from_utf8(said).unwrap())
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A directory with `in/inventory.yml`, and secrets beside `in`.
fn repository(inventory: &str) -> tempfile::TempDir {
    let all = tempfile::tempdir().unwrap();
    let inside = all.path().join("in");
    std::fs::create_dir_all(inside.join(".git")).unwrap();
    std::fs::create_dir(inside.join("side")).unwrap();
    std::fs::write(inside.join("side/motd"), "good\n").unwrap();
    std::fs::write(inside.join(".git/config"), SECRET).unwrap();
    for name in ["secret", "secret.yml", "secret.j2"] {
        std::fs::write(all.path().join(name), format!("{SECRET}:\n\t{SECRET} {{{{ {SECRET} \n[{SECRET}\n")).unwrap();
    }
    std::fs::create_dir(all.path().join("templates")).unwrap();
    symlink("../secret", inside.join("link")).unwrap();
    symlink("..", inside.join("up")).unwrap();
    symlink("side/motd", inside.join("good")).unwrap();
    fifo(&inside.join("fifo"));
    std::fs::write(inside.join("inventory.yml"), inventory.replace("ALL", all.path().to_str().unwrap())).unwrap();
    all
}

/// In a merge request's pipeline the commands without `--untrusted` do nothing that the pushed inventory asks for, or do not run.
#[test]
fn commands_without_the_option_do_nothing_for_a_merge_request() {
    let job = [("CI_MERGE_REQUEST_IID", "7"), ("T", SECRET)];
    let other = [("CI_PIPELINE_SOURCE", "merge_request_event"), ("T", SECRET)];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let all = repository(&format!(
        "gitlab: {{ url: http://{address}, api_token: {{ env: T }} }}\nhosts: {{ a: {{ ssh: {{ address: 127.0.0.1, port: {} }} }} }}",
        address.port()
    ));
    let inside = all.path().join("in");
    for job in [job, other] {
        for command in [["status", "-v"], ["doctor", "-v"]] {
            let (code, said) = run(&inside, &command, &job);
            assert!(code == Some(1) && said.contains("merge request") && said.contains("plan --untrusted"), "{said}");
        }
    }
    assert!(listener.accept().is_err(), "somebody was asked");
    for (inventory, command) in [
        ("hosts: { a: { files: [{ path: /x, source: P }] } }", vec!["render", "a"]),
        ("hosts: { a: { files: [{ path: /x, template: P }] } }", vec!["render", "a", "/x"]),
        ("import: [P]\nhosts: { a: {} }", vec!["explain", "files", "--host", "a"]),
        ("import: P\nhosts: { a: {} }", vec!["render", "a"]),
    ] {
        // Whatever there is outside, and whether: one answer.
        let mut answers = Vec::new();
        for path in [
            "../secret",
            "../none",
            "ALL/secret.yml",
            "/etc/shadow",
            "/etc/nothing",
            "link",
            "up/secret.j2",
            "/proc/self/environ",
            "/",
        ] {
            let all = repository(&inventory.replace('P', &format!("\"{path}\"")));
            let path = path.replace("ALL", all.path().to_str().unwrap());
            let (code, said) = run(&all.path().join("in"), &command, &job);
            assert_eq!(code, Some(1), "{said}");
            assert!(!said.contains(SECRET) && !said.contains("root:"), "{said}");
            let columns = said.lines().filter(|line| line.starts_with("error")).map(|line| line.replace(&path, "P"));
            answers.push(columns.map(|line| line.split(" (").next().unwrap().to_owned()).collect::<Vec<_>>());
        }
        let reasons: Vec<String> =
            answers.iter().map(|lines| lines.join("|").rsplit(": ").next().unwrap_or_default().to_owned()).collect();
        assert!(reasons.iter().all(|reason| *reason == reasons[0]), "{command:?}: {answers:#?}");
    }
}

/// A known_hosts that is none gets no advice to write into it.
#[test]
fn what_a_path_seems_to_be_is_not_followed() {
    let all = repository("import: [\"http://example.com/x.yml\"]\nhosts: { a: {} }");
    for arguments in [["validate", "-v"], ["plan", "-v"]] {
        let (code, said) = run(&all.path().join("in"), &arguments, &[]);
        assert!(code == Some(1) && said.contains("`http://example.com/x.yml` is an address"), "{said}");
    }
    let all = repository(
        "hosts: { a: { files: [{ path: /x, source: \"https://example.com//x\" }, { path: /y, template: \"ftp://example.com/y\" }] } }",
    );
    let (_, said) = run(&all.path().join("in"), &["validate"], &[]);
    assert!(
        said.contains("`https://example.com//x` is an address") && said.contains("`ftp://example.com/y` is an address"),
        "{said}"
    );
}

/// A saved plan may come from a pipe.
#[test]
fn a_plan_is_read_from_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let sh = |script: &str| {
        let program = std::env::var("CARGO_BIN_EXE_rprov").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rprov").to_owned());
        let mut command = Command::new("timeout");
        let done = command
            .args(["-s", "KILL", PATIENCE, "bash", "-c", &script.replace("RPROV", &program)])
            .current_dir(directory.path())
            .output();
        let done = done.unwrap();
        (done.status.code(), String::from_utf8([&done.stdout[..], &done.stderr[..]].concat()).unwrap())
    };
    for script in [
        "echo {} | RPROV show /dev/stdin",
        "RPROV show <(echo {})",
        "echo {} | RPROV show /dev/fd/0",
        "RPROV show /dev/fd/7 7< <(sleep 1; echo {})",
    ] {
        let (code, said) = sh(script);
        assert!(code == Some(1) && !said.contains("regular file") && said.contains("plan"), "{script}: {said}");
    }
    let (code, said) = sh("true | RPROV show /dev/stdin");
    assert!(code == Some(1) && !said.contains("regular file"), "{said}");
    // What nobody opened for this is as before.
    for script in ["RPROV show /dev/zero", "mkfifo f; RPROV show f", "RPROV show /dev/stdin < /dev/zero"] {
        let (code, said) = sh(script);
        assert!(code == Some(1) && said.contains("not a regular file"), "{script}: {said}");
    }
}

/// Everything that names a file, with a path in place of `P`.
const NAMES: &[&str] = &[
    "hosts: { a: { files: [{ path: /x, source: P }] } }",
    "hosts: { a: { files: [{ path: /x, template: P }] } }",
    "import: P\nhosts: { a: {} }",
    "import: [P]\nhosts: { a: {} }",
    "gitlab: { url: https://gitlab.example.com, api_token: { env: T }, ca_file: P }\nhosts: { a: {} }",
    "gitlab: { url: https://gitlab.example.com, api_token: { env: T } }\nrunners: { r: { scope: instance } }\nhosts: { a: { runners: [r], \
     manager: { package: { version: 17.9.0 }, config_template: P } } }",
    "hosts: { a: { ca_certificates: [{ name: x, file: P }] } }",
    "hosts: { a: { repositories: [{ name: x, uris: [https://e.example.com], suites: [x], components: [main], key_file: P }] } }",
];

#[test]
fn an_untrusted_inventory_reads_nothing_outside_its_directory() {
    for names in NAMES {
        for path in [
            "../secret",
            "link",
            "up/secret",
            "ALL/secret",
            "/proc/self/environ",
            "/etc/passwd",
            "/dev/zero",
            ".git/config",
            "/dev/fd/0",
        ] {
            let all = repository(&names.replace(": P", &format!(": {path}")).replace("[P]", &format!("[{path}]")));
            let (code, said) = run(&all.path().join("in"), &["validate", "--untrusted"], &[("CANARY", SECRET)]);
            assert_eq!(code, Some(1), "{names} {path}: {said}");
            if !said.contains("unknown key") {
                assert!(said.contains("refused: "), "{names} {path}: {said}");
                assert!(said.contains("inventory.yml:"), "the place is named: {said}");
            }
            assert!(!said.contains(SECRET) && !said.contains("root:"), "{names} {path}: {said}");
        }
    }
    let good = repository("hosts: { a: { files: [{ path: /x, source: good }, { path: /y, source: side/../good }] } }");
    let (code, said) = run(&good.path().join("in"), &["validate", "--untrusted"], &[]);
    assert_eq!(code, Some(0), "links that stay inside are fine: {said}");
}

#[test]
fn neither_do_the_inventory_itself_its_templates_and_patterns_lead_out() {
    let all = repository("hosts: { a: {} }");
    let inside = all.path().join("in");
    for (name, target) in [("linked.yml", "../secret.yml"), ("environ.yml", "/proc/self/environ")] {
        symlink(target, inside.join(name)).unwrap();
        let (code, said) = run(&inside, &["validate", "--untrusted", "-i", name], &[("CANARY", SECRET)]);
        assert!(code == Some(1) && said.contains("refused: ") && !said.contains(SECRET), "{said}");
    }
    std::fs::write(inside.join("globs.yml"), "import: ../*.yml\nhosts: { a: {} }\n").unwrap();
    let (code, said) = run(&inside, &["validate", "--untrusted", "-i", "globs.yml"], &[]);
    assert!(code == Some(1) && said.contains("refused: ") && !said.contains("secret.yml"), "{said}");
    // The directory as a whole is a link.
    std::fs::create_dir(all.path().join("elsewhere")).unwrap();
    std::fs::write(all.path().join("elsewhere/inventory.yml"), format!("{SECRET}: 1\n")).unwrap();
    symlink("../elsewhere", inside.join("inventories")).unwrap();
    let (code, said) = run(&inside, &["validate", "--untrusted", "-i", "inventories/inventory.yml"], &[]);
    assert!(code == Some(1) && said.contains("refused: ") && !said.contains(SECRET), "{said}");
    // Templates of one's own, one by one and all of them.
    std::fs::create_dir(inside.join("templates")).unwrap();
    symlink("../../secret.j2", inside.join("templates/x.j2")).unwrap();
    let (code, said) = run(&inside, &["validate", "--untrusted"], &[]);
    assert!(code == Some(1) && said.contains("refused: ") && !said.contains(SECRET), "{said}");
    std::fs::remove_dir_all(inside.join("templates")).unwrap();
    symlink("../templates", inside.join("templates")).unwrap();
    let (code, said) = run(&inside, &["validate", "--untrusted"], &[]);
    assert!(code == Some(1) && said.contains("refused: "), "{said}");
}

#[test]
fn errors_do_not_quote_files_of_elsewhere() {
    for names in NAMES {
        for path in ["../secret", "ALL/secret.yml", "link"] {
            let all = repository(&names.replace(": P", &format!(": {path}")).replace("[P]", &format!("[{path}]")));
            for format in ["human", "json"] {
                let (code, said) = run(&all.path().join("in"), &["validate", "-v", "--format", format], &[]);
                assert!(!said.contains(SECRET), "{names} {path}: {said}");
                // A file to copy may hold anything.
                assert!(code == Some(1) || names.contains("source"), "{names} {path}: {said}");
            }
        }
    }
    // What lies in the directory is quoted as ever, but for the values of unknown keys.
    let all = repository("import: side/more.yml\nhosts: { a: {} }\n");
    std::fs::write(all.path().join("in/side/more.yml"), "defaults: { pakages: [curl] }\n").unwrap();
    let (_, said) = run(&all.path().join("in"), &["validate"], &[]);
    assert!(said.contains("did you mean `packages`?") && said.contains("{ pakages: [(hidden)] }"), "{said}");
}

#[test]
fn what_has_no_end_is_an_error_and_no_wait() {
    for names in NAMES {
        for path in ["fifo", "/dev/zero", "/dev/random"] {
            let all = repository(&names.replace(": P", &format!(": {path}")).replace("[P]", &format!("[{path}]")));
            let (code, said) = run(&all.path().join("in"), &["validate"], &[]);
            assert_eq!(code, Some(1), "{names} {path}: {said}");
        }
    }
    let all = repository("hosts: { a: {} }");
    let (code, said) = run(&all.path().join("in"), &["validate", "-i", "fifo"], &[]);
    assert!(code == Some(1) && said.contains("not a regular file"), "{said}");
    let key = ["identity_file", "known_hosts", "config", "certificate_file"];
    for key in key {
        for path in ["fifo", "/dev/zero"] {
            let ssh = format!("address: 127.0.0.1, port: 1, user: x, connect_timeout: 2s, {key}: {path}");
            let all = repository(&format!("hosts: {{ a: {{ ssh: {{ {ssh} }} }} }}"));
            let (code, said) = run(&all.path().join("in"), &["plan"], &[]);
            assert_eq!(code, Some(3), "{key} {path}: {said}");
        }
    }
    for (name, directory) in [("config", ".ssh"), ("id_ed25519", ".ssh"), ("known_hosts", ".ssh")] {
        let all = repository("hosts: { a: { ssh: { address: 127.0.0.1, port: 1, user: x, connect_timeout: 2s } } }");
        let inside = all.path().join("in");
        std::fs::create_dir(inside.join(directory)).unwrap();
        fifo(&inside.join(directory).join(name));
        let (code, said) = run(&inside, &["plan"], &[]);
        assert_eq!(code, Some(3), "{name}: {said}");
    }
}

/// An inventory that sends everything that there is to a listener and starts what it can.
fn hostile(port: u16, touched: &Path) -> String {
    let touch = format!("{{ command: [touch, {}] }}", touched.display());
    format!(
        "gitlab: {{ url: http://127.0.0.1:{port}, api_token: {{ env: GITLAB_TOKEN }}, variables: [{{ scope: instance, key: X, value: {touch} }}] }}
hosts:
  known: {{ ssh: {{ address: 127.0.0.1, port: {port}, user: x, become: sudo, become_password: {{ env: SUDO }} }} }}
  new: {{ ssh: {{ address: 127.0.0.2, port: {port}, user: x }} }}
  here: {{ connection: local }}
  proxied: {{ ssh: {{ user: x }}, files: [{{ path: /x, content: {touch} }}] }}
  asked: {{ ssh: {{ user: x }} }}
"
    )
}

#[test]
fn an_untrusted_plan_starts_nothing_and_talks_to_nobody_new() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = repository("");
    let (inside, touched) = (all.path().join("in"), all.path().join("touched"));
    std::fs::write(inside.join("inventory.yml"), hostile(port, &touched)).unwrap();
    // The runner's own ssh_config is not the pusher's, but says which program would be started.
    std::fs::create_dir(inside.join(".ssh")).unwrap();
    let touch = format!("touch {}", touched.display());
    let config = format!("Host proxied\n  ProxyCommand {touch}\nMatch originalhost asked exec \"{touch}\"\n  Port 2\n");
    std::fs::write(inside.join(".ssh/config"), config).unwrap();
    std::fs::create_dir(all.path().join("target")).unwrap();
    let target = all.path().join("target/inventory.yml");
    std::fs::write(
        &target,
        "gitlab: { url: http://127.0.0.1:9, api_token: { env: GITLAB_TOKEN } }\nhosts:\n  known: { ssh: { user: x, become: sudo, become_password: { env: SUDO } } }\n  \
         here: { connection: local }\n  proxied: { ssh: { user: x } }\n  asked: { ssh: { user: x } }\n",
    )
    .unwrap();
    let environment = [("GITLAB_TOKEN", SECRET), ("SUDO", SECRET), ("CI_SERVER_URL", "http://127.0.0.1:9")];
    let (missing, target) = (all.path().join("no.yml"), target.to_str().unwrap().to_owned());
    let missing = missing.to_str().unwrap();
    for (arguments, told) in [
        (&["plan", "--untrusted"][..], "no inventory of the target branch is named"),
        (&["plan", "--untrusted", "--trusted-inventory", missing], "the target branch has no inventory"),
        (
            &["plan", "--untrusted", "--trusted-inventory", &target],
            "refused: the API token is not sent to http://127.0.0.1",
        ),
        (&["plan", "--untrusted", "--trusted-inventory", &target, "--format", "json"], "`touch` is not started"),
    ] {
        let (code, said) = run(&inside, arguments, &environment);
        assert_eq!(code, Some(3), "part of it is not known: {said}");
        assert!(said.contains(told), "{said}");
        assert!(!touched.exists(), "a program was started: {said}");
        assert!(listener.accept().is_err(), "somebody was talked to: {said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    let (_, said) = run(&inside, &["plan", "--untrusted", "--trusted-inventory", &target], &environment);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "refused: `ssh.address`, `ssh.port` differs from the target branch's inventory",
        "refused: the target branch's inventory does not have this host",
        "refused: `connection: local` would run programs",
        "ProxyCommand would start a program",
        "Match exec would start a program",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    // Each would have worked without the option.
    let (_, said) = run(&inside, &["plan", "--limit", "proxied"], &environment);
    assert!(touched.exists(), "{said}");
}

#[test]
fn the_target_branchs_inventory_lies_elsewhere() {
    let all = repository("hosts: { a: {} }\n");
    let inside = all.path().join("in");
    std::fs::write(inside.join("side/trusted.yml"), "hosts: { a: {} }\n").unwrap();
    symlink("in/side/trusted.yml", all.path().join("linked.yml")).unwrap();
    for trusted in ["side/trusted.yml", "inventory.yml", "../linked.yml"] {
        let (code, said) = run(&inside, &["plan", "--untrusted", "--trusted-inventory", trusted], &[]);
        assert!(code == Some(1) && said.contains("could have pushed the other"), "{trusted}: {said}");
    }
    for wrong in [&["--out", "p.json"][..], &["--orphans"], &["--delete-orphans"], &["-K"]] {
        let (code, said) = run(&inside, &[&["plan", "--untrusted"][..], wrong].concat(), &[]);
        assert_eq!(code, Some(1), "{wrong:?}: {said}");
    }
    let (code, _) = run(&inside, &["plan", "--trusted-inventory", "x.yml"], &[]);
    assert_eq!(code, Some(1), "without --untrusted it would mean nothing");
}

#[test]
fn templates_do_not_fill_the_memory() {
    let doubled = |step: &str| {
        format!(
            "{{% set ns = namespace(s='aaaaaaaaaa') %}}{{% for i in range(60) %}}{{% set ns.s = {step} %}}{{% endfor %}}{{{{ ns.s }}}}"
        )
    };
    let nested = format!(
        "{{% macro d(x) %}}{{{{ x }}}}{{{{ x }}}}{{% endmacro %}}{{{{ {}'aaaaaaaa'{} }}}}",
        "d(".repeat(30),
        ")".repeat(30)
    );
    let bombs = [
        doubled("ns.s ~ ns.s"),
        doubled("[ns.s, ns.s] | join"),
        doubled("ns.s | replace('a', 'aa')"),
        nested,
        "{{ 'x' * 10 ** 9 }}".to_owned(),
        "{{ range(10 ** 9) | join }}".to_owned(),
        "{{ (['x' * 1000000] * 100000) | join }}".to_owned(),
        "{{ (['x' * 1000000] * 100000) ~ '' }}".to_owned(),
        "{{ '%1000000000d' | format(1) }}".to_owned(),
    ];
    for bomb in bombs {
        let all = with(&format!("hosts: {{ a: {{ files: [{{ path: /x, content: {bomb:?} }}] }} }}\n"));
        let program = rprov(all.path(), &["validate"]);
        let line =
            format!("ulimit -v 1000000; exec timeout {PATIENCE} {} validate", program.get_program().to_str().unwrap());
        let done = Command::new("sh").args(["-c", &line]).current_dir(all.path()).output().unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert_eq!(done.status.code(), Some(1), "{bomb}: {said}");
        assert!(said.contains("the template"), "{bomb}: {said}");
    }
    // A thousand hosts with a long text each.
    let mut hosts = String::from("defaults: { files: [{ path: /x, content: \"{{ 'x' * 4000000 }}\" }] }\nhosts:\n");
    (0..1000).for_each(|number| writeln!(hosts, "  h{number}: {{}}").unwrap());
    let all = with(&hosts);
    let program = rprov(all.path(), &["validate"]);
    let line =
        format!("ulimit -v 1000000; exec timeout {PATIENCE} {} validate", program.get_program().to_str().unwrap());
    let done = Command::new("sh").args(["-c", &line]).current_dir(all.path()).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
}

#[test]
fn a_secret_that_was_written_in_a_wrong_way_is_not_quoted() {
    const GITLAB: &str = "gitlab: { url: https://gitlab.example.com, api_token: { env: T }";
    for (inventory, place) in [
        ("hosts: { a: { ssh: { pasword: SECRET } } }".to_owned(), "pasword"),
        ("hosts: { a: { ssh: { user: x, psw: [SECRET, { y: SECRET }] } } }".to_owned(), "psw"),
        ("hosts:\n  a:\n    ssh:\n      pw: SECRET and more\n".to_owned(), "pw"),
        (format!("{GITLAB}, variables: [{{key: DB_PASSWORD, valeu: SECRET}}] }}\nhosts: {{ a: {{}} }}"), "valeu"),
        (format!("{GITLAB}, variables: [{{valeu: \"SECRET\", kye: DB}}] }}\nhosts: {{ a: {{}} }}"), "kye"),
        (
            "runners: { r: { scope: instance, config: { executor: shell, pasword: SECRET } } }\nhosts: { a: {} }"
                .to_owned(),
            "pasword",
        ),
        (
            "hosts: { a: { manager: { container: { image: \"reg/user:SECRET@x:1\", config_dir: /x } } } }".to_owned(),
            "reg/user",
        ),
        ("hosts: { a: { docker: { source: distro, images: [\"user:SECRET@reg/x\"] } } }".to_owned(), "images"),
    ] {
        let all = repository(&inventory.replace("SECRET", SECRET));
        for format in ["human", "json"] {
            let (code, said) = run(&all.path().join("in"), &["validate", "-v", "--format", format], &[]);
            assert_eq!(code, Some(1), "{inventory}: {said}");
            assert!(!said.contains(SECRET), "{inventory}: {said}");
            assert!(format == "json" || said.contains(place), "{inventory}: {said}");
        }
    }
}

/// Large values for many hosts, and slips among many names: an end, and a clear word.
#[test]
fn many_hosts_cost_no_more_than_they_may() {
    let hosts: String = (0..400).map(|number| format!("  h{number}: {{}}\n")).collect();
    let text = "x".repeat(2 << 20);
    let files: String = (0..5000).map(|number| format!("    - {{ path: /x/{number}, content: x }}\n")).collect();
    let many: String = (0..2000).map(|number| format!("  h{number}: {{}}\n")).collect();
    for inventory in [
        format!("defaults:\n  vars: {{ x: {text} }}\nhosts:\n{hosts}"),
        format!("groups:\n  g: {{ vars: {{ x: {text} }} }}\nhosts:\n{}", hosts.replace("{}", "{ groups: [g] }")),
        format!("defaults:\n  files:\n{files}hosts:\n{many}"),
    ] {
        let all = repository(&inventory);
        let (code, said) = run(&all.path().join("in"), &["validate"], &[]);
        assert!(
            code == Some(1) && said.contains("MiB") && said.contains("`defaults` counts for each host"),
            "{code:?} {said:.500}"
        );
    }
    let names: String = (0..1000).map(|number| format!("  group-{number:04}: {{}}\n")).collect();
    let slips: String = (0..1000).map(|number| format!("  h{number}: {{ groups: [grop-{number:04}] }}\n")).collect();
    let all = repository(&format!("groups:\n{names}hosts:\n{slips}"));
    let (code, said) = run(&all.path().join("in"), &["validate"], &[]);
    let meant = said.matches("did you mean").count();
    assert!(code == Some(1) && meant > 0 && meant < 50, "{meant}: {said:.500}");
}

#[test]
fn no_path_steers_the_terminal() {
    let all = repository("hosts: { a: {} }");
    for name in ["\u{1b}[2Jx", "a\u{202e}b", "c\u{7}d"] {
        let (code, said) = run(&all.path().join("in"), &["man", name], &[]);
        assert!(code == Some(0) && !said.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{said:?}");
        let (_, said) = run(&all.path().join("in"), &["-i", name, "validate"], &[]);
        assert!(!said.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{said:?}");
    }
}
