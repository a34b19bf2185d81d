use super::*;

/// An inventory as it lies in a directory of its own.
fn read(directory: &Path, text: &str) -> Inventory {
    std::fs::create_dir_all(directory).unwrap();
    let path = directory.join("inventory.yml");
    std::fs::write(&path, text).unwrap();
    inventory::load_confined(&path).unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics))
}

struct Judged {
    out: Untrusted,
    told: String,
}

impl Judged {
    fn host(&self, name: &str) -> Option<&str> {
        self.out.refused.hosts.get(name).map(|problem| problem.message.as_str())
    }

    fn gitlab(&self) -> Option<&str> {
        self.out.refused.gitlab.as_ref().map(|problem| problem.message.as_str())
    }

    /// The secrets that may be read, but for those that are only kept out of what is shown.
    fn secrets(&self) -> Vec<&str> {
        let ids = self.out.inventory.secrets.keys().filter(|id| !self.out.kept_out.contains(*id));
        ids.map(SecretId::as_str).collect()
    }
}

fn judged(pushed: &str, trusted: Option<&str>) -> Judged {
    let all = tempfile::tempdir().unwrap();
    let (here, there) = (all.path().join("pushed"), all.path().join("trusted"));
    let inventory = read(&here, pushed);
    let trusted = trusted.map(|text| read(&there, text));
    let (here, there) = (here.join("inventory.yml"), there.join("inventory.yml"));
    let within = Within::directory_of(&there).ok();
    for name in ["key", "pw"] {
        let _ = std::fs::write(all.path().join("trusted").join(name), "x");
    }
    let grounds = Grounds {
        pushed: directory(&here),
        trusted: directory(&there),
        gitlabs: &["https://gitlab.example.com".to_owned()],
        is_set: &|name| name != "UNSET",
        holds: &|path| within.as_ref().is_some_and(|within| within.holds(path)),
    };
    let (out, told) = grounds.judge(inventory, trusted);
    let told = told.iter().map(|one| format!("{}\n", one.message)).collect();
    Judged { out, told }
}

const GITLAB: &str = "gitlab: { url: https://gitlab.example.com, api_token: { env: GITLAB_TOKEN } }\n";

#[test]
fn the_same_inventory_loses_nothing() {
    let text = format!(
        "{GITLAB}hosts:\n  a: {{ ssh: {{ user: x, port: 2222, become: sudo, become_password: {{ env: SUDO }}, \
         identity_file: key, identity_passphrase: {{ file: pw }}, proxy_jump: [j] }}, \
         files: [{{ path: /etc/x, content: {{ env: X }} }}] }}\n"
    );
    let same = judged(&text, Some(&text));
    assert_eq!((same.told.as_str(), same.host("a"), same.gitlab()), ("", None, None));
    let secrets = same.secrets();
    assert!(secrets.contains(&"env:X") && secrets.contains(&"env:GITLAB_TOKEN of the target branch"), "{secrets:?}");
    assert!(secrets.iter().any(|id| id.starts_with("file:") && id.ends_with("trusted/pw of the target branch")));
    let Connection::Ssh(ssh) = &same.out.inventory.hosts[0].connection else { panic!() };
    assert!(ssh.identity_files[0].ends_with("trusted/key"), "keys are the target branch's files: {ssh:?}");
}

#[test]
fn a_host_is_reached_as_the_target_branch_reaches_it_or_not_at_all() {
    let trusted =
        "hosts:\n  a: { ssh: { user: x, become: sudo, become_password: { env: SUDO } } }\n  l: { connection: local }\n";
    for (ssh, key) in [
        ("user: root, become: sudo, become_password: { env: SUDO }", "`ssh.user`"),
        ("user: x, address: 203.0.113.6, become: sudo, become_password: { env: SUDO }", "`ssh.address`"),
        ("user: x, port: 2222, become: sudo, become_password: { env: SUDO }", "`ssh.port`"),
        ("user: x, become: sudo, become_password: { env: GITLAB_TOKEN }", "`ssh.become_password`"),
        ("user: x, become: sudo, become_password: { command: [id] }", "`ssh.become_password`"),
        ("user: x, become: sudo, become_password: { env: SUDO }, proxy_jump: evil", "`ssh.proxy_jump`"),
        ("user: x, become: sudo, become_password: { env: SUDO }, known_hosts: mine", "`ssh.known_hosts`"),
        ("user: x, become: sudo, become_password: { env: SUDO }, config: mine", "`ssh.config`"),
        ("user: x, become: sudo, become_password: { env: SUDO }, identity_file: /etc/shadow", "`ssh.identity_file`"),
    ] {
        let one = judged(&format!("hosts:\n  a: {{ ssh: {{ {ssh} }} }}\n"), Some(trusted));
        let why = one.host("a").unwrap_or_else(|| panic!("{ssh}"));
        assert!(why.starts_with(&format!("refused: {key} differs")) && why.contains("inventory.yml:2:"), "{why}");
        assert_eq!(one.secrets(), Vec::<&str>::new(), "{ssh}");
    }
    let other =
        judged("hosts:\n  b: {}\n  l: { connection: local }\n  a: { ssh: { user: x, become: sudo } }\n", Some(trusted));
    assert!(other.host("b").unwrap().contains("does not have this host"));
    assert!(other.host("a").unwrap().starts_with("refused: `ssh.become_password`"));
    let turned = judged("hosts:\n  l: {}\n  a: { connection: local }\n", Some(trusted));
    for host in [other.host("l"), turned.host("l"), turned.host("a")] {
        assert!(host.unwrap().starts_with("refused: `connection: local`"), "{host:?}");
    }
}

#[test]
fn a_name_is_good_for_what_the_target_branch_uses_it_for() {
    let trusted = format!(
        "{GITLAB}hosts:\n  a: {{ ssh: {{ become: sudo, become_password: {{ env: SUDO }} }}, files: [{{ path: /x, content: {{ env: X }} }}] }}\n"
    );
    for (content, told) in [
        ("{ env: GITLAB_TOKEN }", "refused: the environment variable GITLAB_TOKEN is not read"),
        ("{ env: SUDO }", "refused: the environment variable SUDO is not read"),
        ("{ env: RPROV_NOTE_TOKEN }", "refused: the environment variable RPROV_NOTE_TOKEN is not read"),
        ("{ file: /proc/self/environ }", "refused: /proc/self/environ is not read"),
        ("{ command: [touch, /tmp/x] }", "refused: `touch` is not started"),
    ] {
        let one = judged(
            &format!(
                "{GITLAB}hosts:\n  a: {{ ssh: {{ become: sudo, become_password: {{ env: SUDO }} }}, files: [{{ path: /x, content: {content} }}] }}\n"
            ),
            Some(&trusted),
        );
        assert!(one.told.starts_with(told), "{content}: {}", one.told);
        assert_eq!(one.secrets(), ["env:GITLAB_TOKEN of the target branch", "env:SUDO of the target branch"]);
        assert_eq!((one.host("a"), one.gitlab()), (None, None), "the rest of the plan goes on");
    }
    // As a password for a registry it is not what it is as a file.
    let login = format!(
        "{GITLAB}hosts:\n  a: {{ ssh: {{ become: sudo, become_password: {{ env: SUDO }} }}, docker: {{ source: distro, images: ['evil.example.com/x:1'], \
         registries: [{{ host: evil.example.com, username: u, password: {{ env: X }} }}] }} }}\n"
    );
    let one = judged(&login, Some(&trusted));
    assert!(
        one.told.contains("X is not read: the target branch's inventory uses it for something else"),
        "{}",
        one.told
    );
    // What a host is to hold is no CI/CD variable.
    let variable = format!(
        "{}hosts:\n  a: {{ ssh: {{ become: sudo, become_password: {{ env: SUDO }} }} }}\n",
        GITLAB
            .replace(" }\n", "\n")
            .replace("TOKEN }\n", "TOKEN }, variables: [{ scope: instance, key: K, value: { env: X } }] }\n")
    );
    let one = judged(&variable, Some(&trusted));
    assert!(one.told.contains("X is not read"), "{}", one.told);
}

#[test]
fn programs_of_the_target_branch_are_not_started_either() {
    let text =
        "gitlab: { url: https://gitlab.example.com, api_token: { command: [pass, show, x] } }\nhosts: { a: {} }\n";
    let one = judged(text, Some(text));
    assert_eq!(one.told, "refused: `pass` is not started, so the secret that it prints is not known\n");
    assert_eq!(one.secrets(), Vec::<&str>::new());
}

#[test]
fn the_token_goes_to_the_gitlab_of_the_job() {
    let trusted = format!("{GITLAB}hosts: {{ a: {{}} }}\n");
    for url in [
        "https://evil.example.com",
        "http://gitlab.example.com",
        "https://gitlab.example.com:8443",
        "https://gitlab.example.com.evil.org",
        "https://gitlab.example.com/evil",
    ] {
        let one = judged(&trusted.replace("https://gitlab.example.com", url), Some(&trusted));
        let why = one.gitlab().unwrap_or_else(|| panic!("{url}"));
        assert!(why.starts_with(&format!("refused: the API token is not sent to {url}")), "{why}");
        assert!(one.told.contains("the API token is not sent"), "{}", one.told);
        assert_eq!(one.secrets(), Vec::<&str>::new(), "{url}");
    }
    for url in ["https://GitLab.example.com", "https://gitlab.example.com:443", "https://gitlab.example.com/"] {
        assert_eq!(judged(&trusted.replace("https://gitlab.example.com", url), Some(&trusted)).gitlab(), None, "{url}");
    }
    let other = judged(&trusted.replace("GITLAB_TOKEN", "OTHER"), Some(&trusted));
    assert!(other.gitlab().unwrap().contains("names another secret"));
    let none = judged(&trusted, Some("hosts: { a: {} }\n"));
    assert!(none.gitlab().unwrap().contains("names no GitLab"));
}

#[test]
fn odd_addresses_are_never_the_same() {
    for odd in [
        "https://gitlab.example.com@evil.org",
        "https://evil.org\\@gitlab.example.com",
        "https://gitlab.example.com?",
        "gitlab.example.com",
        "https://",
    ] {
        assert!(!same_url(odd, odd) && !same_url(odd, "https://gitlab.example.com"), "{odd}");
    }
}

#[test]
fn without_a_target_branch_nothing_is_trusted() {
    let one = judged(&format!("{GITLAB}hosts: {{ a: {{ files: [{{ path: /x, content: {{ env: X }} }}] }} }}\n"), None);
    assert!(one.host("a").is_some() && one.gitlab().is_some());
    assert!(one.out.inventory.secrets.is_empty());
}

#[test]
fn a_variable_that_is_not_set_is_said_and_stops_nothing() {
    let text = "hosts: { a: { files: [{ path: /x, content: { env: UNSET } }] } }\n";
    let one = judged(text, Some(text));
    assert_eq!(one.told, "the environment variable UNSET is not set, so what needs it is not known\n");
    assert_eq!(one.host("a"), None);
}

/// What the target branch does not have under that very key is not compared, however it is called.
#[test]
fn what_is_not_managed_is_left_out_before_it_is_compared() {
    let gitlab = |variables: &str| {
        format!(
            "gitlab: {{ url: https://gitlab.example.com, api_token: {{ env: GITLAB_TOKEN }}, variables: [{variables}] }}\n"
        )
    };
    let runner = "runners: { own: { scope: instance, tags: [a], config: { executor: shell, limit: 3, LIMITS } }, other: { scope: instance, tags: \
                  [b], config: { executor: shell } } }\n"
        .replace(", LIMITS", ", request_concurrency: 2");
    let host = |runners: &str, config: &str, daemon: &str| {
        format!(
            "hosts:\n  a:\n    docker: {{ source: distro, daemon: {daemon} }}\n    manager: {{ container: {{ image: \
             gitlab/gitlab-runner:v17.9.0, config_dir: /srv/runner }}, config: {config} }}\n    runners: {runners}\n"
        )
    };
    let trusted =
        gitlab("{ key: A, value: x, scope: { group: acme } }, { key: S, value: { env: S }, scope: instance }")
            + &runner.replace(", request_concurrency: 2", "")
            + &host("[own]", "{ concurrent: 4 }", "{ mtu: 1400, log-opts: { max-size: 1m } }");
    let pushed = gitlab(
        "{ key: A, value: y, scope: { group: acme } }, { key: A, value: y, scope: { group: \"10\" } }, { key: S, value: guess, scope: \
         instance, show: true }, { key: A, value: y, scope: { group: acme }, environment_scope: prod }",
    ) + &runner
        + &host(
            "[own, other]",
            "{ concurrent: 8, check_interval: 5 }",
            "{ mtu: 1500, dns: [10.9.8.7], log-opts: { max-size: 2m, max-file: \"3\" } }",
        );
    let judged = judged(&pushed, Some(&trusted));
    let host = &judged.out.inventory.hosts[0];
    let daemon = serde_json::to_string(host.docker.as_ref().unwrap().daemon.as_ref().unwrap()).unwrap();
    assert_eq!(daemon, r#"{"mtu":1500,"log-opts":{"max-size":"2m"}}"#);
    let names: Vec<&str> = host.runners.iter().map(|runner| runner.name.as_str()).collect();
    assert_eq!(names, ["own"]);
    let keys =
        |table: &crate::inventory::model::ConfigTable| table.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert!(!keys(&host.runners[0].config).contains(&"request_concurrency".to_owned()), "{:?}", host.runners[0].config);
    assert!(keys(&host.runners[0].config).contains(&"limit".to_owned()));
    let global = keys(&host.manager.as_ref().unwrap().config);
    assert!(global.contains(&"concurrent".to_owned()) && !global.contains(&"check_interval".to_owned()), "{global:?}");
    let variables = &judged.out.refused.variables;
    let managed: Vec<bool> = judged
        .out
        .inventory
        .gitlab
        .as_ref()
        .unwrap()
        .variables
        .iter()
        .map(|one| variables.contains(&Variable(one.clone()).key()))
        .collect();
    assert_eq!(managed, [true, false, true, false]);
    assert!(!judged.out.inventory.gitlab.as_ref().unwrap().variables[2].show, "the target branch does not show it");
}
