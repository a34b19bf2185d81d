//! One whole run with a secret in every place that takes one, watched from all sides: what is printed, what runs on the
//! host and here, what lies on disks. Each secret is where it belongs, and nowhere else.

use std::process::{Command, Stdio};

use gitlab_double::Fault;
use serde_json::json;

use super::canaries::{self, Belongs, Canary, KEYS, PASSPHRASE, SUDO, variable};
use super::inventory;
use super::lab::script;
use super::rprov::Outcome;
use super::secrets::{assert_free_of, files_with};
use super::watch::{FileWatch, Trace, contains};
use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// Where a secret could lie for a moment.
const WATCHED: [&str; 10] = [
    "/srv/gitlab-runner",
    "/srv",
    "/etc/rprov",
    "/etc/canary",
    "/etc/docker",
    "/tmp",
    "/var/tmp",
    "/run",
    "/root",
    "/home/ops",
];

/// Where Docker keeps what a container is: for root alone.
const KEPT_BY_DOCKER: [&str; 3] = ["/var/lib/docker/containers/", "/var/lib/containerd/", "/run/containerd/"];

/// A host, an inventory with every canary, and what was printed so far.
struct Case {
    world: World,
    canaries: Vec<Canary>,
    /// Secrets that come and go: name and value.
    more: Vec<(&'static str, String)>,
    outputs: Vec<Outcome>,
}

impl Case {
    fn new() -> Option<Self> {
        let world = World::bare()?;
        let canaries = canaries::all(world.healthcheck.url());
        let case = Self { world, canaries, more: Vec::new(), outputs: Vec::new() };
        case.prepare();
        Some(case)
    }

    fn value(&self, place: &str) -> &str {
        let found = self.canaries.iter().find(|canary| canary.place == place);
        &found.unwrap_or_else(|| panic!("no canary for {place}")).value
    }

    /// A user whose sudo asks, whose key is encrypted; packages, so that the trace is of what handles secrets.
    fn prepare(&self) {
        let host = self.world.host();
        let key = self.world.directory().join("id");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", self.value(PASSPHRASE), "-C", "", "-f"])
            .arg(&key)
            .status();
        assert!(made.expect("ssh-keygen runs").success());
        let public = std::fs::read_to_string(key.with_extension("pub")).expect("it was made");
        host.sh(&format!(
            "chpasswd <<'END'\nops:{}\nEND\ncat >>/home/ops/.ssh/authorized_keys <<'END'\n{public}END\n",
            self.value(SUDO)
        ));
        host.sh("export DEBIAN_FRONTEND=noninteractive; { apt-get -q update; apt-get -q -y install --no-install-recommends docker.io cron nftables curl; } >/dev/null 2>&1");
        self.world.write_file("passphrase", &format!("{}\n", self.value(PASSPHRASE)));
        self.world.write("file.j2", "# of {{ host.name }}\nkey = {{ vars.canary }}\n");
        self.world.write_inventory(&self.inventory());
    }

    /// The dedicated server's inventory, with a secret wherever one may stand.
    fn inventory(&self) -> String {
        let world = &self.world;
        let registry = script("lib/private-registry", &[]).trim().to_owned();
        let authority = std::path::Path::new(world.lab.setting("LAB_STATE")).join("private-registry/ca.pem");
        let secret = |place: &str| format!("{{ env: {} }}", variable(place));
        let key = |name: &str| {
            let (_, text) = KEYS.iter().find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no {name}"));
            if *text == "@" { secret(name) } else { text.replace('@', &variable(name).to_lowercase()) }
        };
        let vars: String = KEYS
            .iter()
            .filter(|(_, text)| *text != "@")
            .map(|(name, _)| format!("    {}: {}\n", variable(name).to_lowercase(), secret(name)))
            .collect();
        let value = secret("gitlab.variables[].value");
        let variables = format!(
            "    - {{ scope: instance, key: CANARY_I, value: {value} }}\n    - {{ scope: {{ group: acme }}, key: CANARY_G, value: {value} }}\n    \
             - {{ scope: {{ project: acme/app }}, key: CANARY_P, value: {value} }}\n"
        );
        let mut text = inventory::dedicated_ci_server(world);
        for (old, new) in [
            ("$CI_JOB_ID }\n", format!("$CI_JOB_ID }}\n{variables}")),
            (
                "      limit: 10\n",
                format!(
                    "      limit: 10\n      environment: {}\n      pre_get_sources_script: {}\n      post_get_sources_script: {}\n      pre_build_script: {}\n      cache:\n        Type: s3\n        s3: {{ ServerAddress: s3.example.com, BucketName: b, AccessKey: {}, SecretKey: {}, SessionToken: {} }}\n        gcs: {{ BucketName: b, AccessID: a, PrivateKey: {} }}\n        azure: {{ AccountName: a, ContainerName: c, AccountKey: {} }}\n",
                    key("runners[].environment"),
                    key("runners[].pre_get_sources_script"),
                    key("runners[].post_get_sources_script"),
                    key("runners[].pre_build_script"),
                    key("runners[].cache.s3.AccessKey"),
                    key("runners[].cache.s3.SecretKey"),
                    key("runners[].cache.s3.SessionToken"),
                    key("runners[].cache.gcs.PrivateKey"),
                    key("runners[].cache.azure.AccountKey"),
                ),
            ),
            (
                "        image: debian:12\n",
                format!(
                    "        image: debian:12\n        services: [{{ name: postgres:16, command: {}, environment: {} }}]\n",
                    key("runners[].docker.services[].command"),
                    key("runners[].docker.services[].environment")
                ),
            ),
            (
                "    config:\n      executor: docker\n",
                format!(
                    "    unchecked_config: {{ future_key: {} }}\n    config:\n      executor: docker\n",
                    secret("runners.*.unchecked_config")
                ),
            ),
            (
                "\ndefaults:\n",
                format!("\n{}\ndefaults:\n  vars:\n    canary: {}\n{vars}", self.specs(&key), secret("host.vars")),
            ),
            ("    user: deploy\n", "    user: ops\n".to_owned()),
            (
                "    become: sudo\n",
                format!(
                    "    become: sudo\n    become_password: {}\n    identity_passphrase: {{ command: [cat, passphrase] }}\n",
                    secret(SUDO)
                ),
            ),
            (world.lab.setting("LAB_SSH_KEY"), "id".to_owned()),
            (
                "    source: distro\n",
                format!(
                    "    source: distro\n    images: [\"{registry}/gitlab/gitlab-runner:v17.10.0\"]\n    registries:\n      - {{ host: \"{registry}\", username: ci, password: {}, ca_file: {} }}\n",
                    secret("host.docker.registries[].password"),
                    authority.display()
                ),
            ),
            ("{ TZ: Etc/UTC }", format!("{{ TZ: Etc/UTC, CANARY: {} }}", secret("host.manager.container.env.*"))),
            (
                "    config: { concurrent: 100,",
                format!(
                    "    unchecked_config: {{ future_key: {} }}\n    config: {{ sentry_dsn: {}, concurrent: 100,",
                    secret("host.manager.unchecked_config"),
                    key("sentry_dsn")
                ),
            ),
            ("  runners: [docker]\n", format!("  runners: [docker, by-ssh, cluster, scaler]\n{}", self.files(&secret))),
        ] {
            assert!(text.contains(old), "the inventory has no {old:?}:\n{text}");
            text = text.replacen(old, &new, 1);
        }
        text
    }

    /// Runner specs of the executors that have keys of their own.
    fn specs(&self, key: &dyn Fn(&str) -> String) -> String {
        let header = |name: &str| {
            let value = key(&format!("runners[].kubernetes.container_lifecycle.{name}.http_get.http_headers[].value"));
            format!(
                "{name}: {{ http_get: {{ port: 80, path: /, http_headers: [{{ name: X-Some, value: {value} }}] }} }}"
            )
        };
        format!(
            "  by-ssh:\n    scope: instance\n    tags: [by-ssh]\n    config:\n      executor: ssh\n      post_build_script: {}\n      ssh: {{ user: u, host: example.com, password: {} }}\n  \
             cluster:\n    scope: instance\n    tags: [cluster]\n    config:\n      executor: kubernetes\n      kubernetes:\n        image: debian:12\n        bearer_token: {}\n        services: [{{ name: postgres:16, command: {}, environment: {} }}]\n        container_lifecycle: {{ {}, {} }}\n  \
             scaler:\n    scope: instance\n    tags: [scaler]\n    config:\n      executor: docker-autoscaler\n      docker: {{ image: debian:12 }}\n      autoscaler:\n        plugin: aws\n        capacity_per_instance: 1\n        max_instances: 2\n        plugin_config: {}\n        connector_config: {{ username: u, password: {} }}\n        vm_isolation:\n          enabled: true\n          nesting_host: unix:///run/nesting.sock\n          nesting_config: {}\n          connector_config: {{ username: u, password: {} }}\n        policy: [{{ idle_count: 1, idle_time: 20m0s }}]\n",
            key("runners[].post_build_script"),
            key("runners[].ssh.password"),
            key("runners[].kubernetes.bearer_token"),
            key("runners[].kubernetes.services[].command"),
            key("runners[].kubernetes.services[].environment"),
            header("post_start"),
            header("pre_stop"),
            key("runners[].autoscaler.plugin_config"),
            key("runners[].autoscaler.connector_config.password"),
            key("runners[].autoscaler.vm_isolation.nesting_config"),
            key("runners[].autoscaler.vm_isolation.connector_config.password"),
        )
    }

    fn files(&self, secret: &dyn Fn(&str) -> String) -> String {
        format!(
            "  files:\n    - {{ path: /etc/canary/content, content: {} }}\n    - {{ path: /etc/canary/inline, content: \"key = {{{{ vars.canary }}}}\\n\" }}\n    \
             - {{ path: /etc/canary/template, template: file.j2 }}\n    - {{ path: /etc/canary/plain, content: \"no secret\\n\" }}\n    - {{ path: /etc/canary/loose, content: \"no secret\\n\" }}\n",
            secret("host.files[].content")
        )
    }

    fn environment(&self) -> Vec<(&str, String)> {
        self.canaries.iter().map(|canary| (canary.variable.as_str(), canary.value.clone())).collect()
    }

    /// Runs the program and keeps what it printed.
    fn run(&mut self, command: &str, args: &[&str], code: i32) -> &Outcome {
        let outcome = self.world.start_with(command, args, &self.environment()).wait().expect(code);
        self.outputs.push(outcome);
        self.outputs.last().expect("it was just put there")
    }

    /// Every secret there is: its name and what to look for.
    fn secrets(&self) -> Vec<(&str, String)> {
        let own = self.canaries.iter().map(|canary| (canary.place, canaries::trace_of(canary).to_owned()));
        let tokens = self.world.gitlab.state().runners.into_values().map(|runner| ("a runner's token", runner.token));
        own.chain(tokens).chain(self.more.iter().cloned()).collect()
    }

    /// The host's docker says `name: value` of everything it is given, and fails, where it creates a container.
    fn break_docker(&self) {
        self.world.host().sh(
            "cat >/usr/sbin/docker <<'END'\n#!/bin/sh\ncase \"$*\" in *--env-file*) env >&2; echo \"$*\" >&2; cat >&2; exit 1;; esac\nexec /usr/bin/docker \"$@\"\nEND\nchmod 0755 /usr/sbin/docker",
        );
    }

    /// What GitLab and the host have of each secret at the end.
    fn assert_in_their_places(&self) {
        let host = self.world.host();
        let gitlab = self.world.gitlab.text();
        for canary in &self.canaries {
            let (place, text) = (canary.place, canaries::trace_of(canary));
            let files = files_with(host, text);
            match canary.belongs {
                Belongs::Here | Belongs::Gitlab => assert_eq!(files, Vec::<String>::new(), "{place} is on the host"),
                Belongs::Files(wanted) => assert_eq!(files, wanted, "{place}"),
                // Docker's own record of the container, and that of what runs it.
                Belongs::Container => {
                    let known = |file: &String| KEPT_BY_DOCKER.iter().any(|dir| file.starts_with(dir));
                    assert!(!files.is_empty() && files.iter().all(known), "{place}: {files:?}");
                }
            }
            // GitLab itself knows the token that it gave.
            if place != "gitlab.api_token" {
                assert_eq!(gitlab.contains(text), canary.belongs == Belongs::Gitlab, "{place} in GitLab");
            }
            let inspected = host.sh("docker inspect $(docker ps -aq)");
            assert_eq!(inspected.contains(text), canary.belongs == Belongs::Container, "{place} in docker inspect");
        }
        for runner in self.world.gitlab.state().runners.into_values() {
            assert_eq!(files_with(host, &runner.token), [CONFIG]);
        }
        let modes = host.sh(&format!("stat -c '%a %n' {CONFIG} /etc/canary/content /etc/canary/inline /etc/canary/template /etc/rprov/healthcheck-url"));
        assert!(modes.lines().all(|line| line.starts_with("600 ")), "{modes}");
    }

    /// Nothing that was printed has any of them.
    fn assert_nothing_printed(&self) {
        let secrets = self.secrets();
        for outcome in &self.outputs {
            assert_free_of(&format!("what was printed: {outcome}"), outcome.both().as_bytes(), &secrets);
        }
    }
}

#[test]
fn every_secret_is_in_its_place_and_nowhere_else() {
    let Some(mut case) = Case::new() else { return };
    let environment: Vec<String> = case.canaries.iter().map(|canary| canaries::trace_of(canary).to_owned()).collect();
    let looked_for: Vec<&str> = environment.iter().map(String::as_str).chain(["glrt-"]).collect();
    let watch = FileWatch::start(case.world.host(), &WATCHED, &looked_for);
    let trace = Trace::start(case.world.host());
    case.run("validate", &[], 0);
    case.run("plan", &["-v"], 0);
    case.run("plan", &["--format", "json"], 0);
    // By way of a file, which everybody may see.
    case.run("plan", &["--out", "saved.json"], 0);
    let saved = std::fs::read(case.world.directory().join("saved.json")).expect("the plan was saved");
    assert!(contains(&saved, b"CANARY"), "the file holds no plan");
    assert_free_of("the saved plan", &saved, &case.secrets());
    case.run("show", &["saved.json"], 0);
    case.run("apply", &["saved.json", "-v"], 0);
    case.run("plan", &["--format", "json", "-v"], 0);
    let converged = case.run("plan", &["--detailed-exitcode"], 0);
    assert!(converged.out.contains("No changes"), "{converged}");
    case.assert_in_their_places();

    // A step that fails, and says everything that it was given.
    case.break_docker();
    case.world.edit_inventory("{ TZ: Etc/UTC,", "{ TZ: Etc/GMT,");
    let failed = case.run("apply", &["--yes", "-v"], 3);
    assert!(failed.both().contains("CANARY=(secret)"), "the step did not say what it was given: {failed}");
    case.run("apply", &["--yes", "--format", "json"], 3);
    case.world.host().sh("rm /usr/sbin/docker");
    case.run("apply", &["--yes"], 0);
    // A call to GitLab that fails, and whose answer holds what was sent.
    let place = "gitlab.variables[].value";
    case.world.gitlab.edit(|state| state.instance_variables.clear());
    let body = json!({ "message": { "value": [format!("{} is no good", case.value(place))] } });
    case.world.gitlab.fault(Fault::on("POST", "/api/v4/admin/ci/variables").times(4).status(400).body(body));
    let failed = case.run("apply", &["--yes", "-v"], 3);
    assert!(failed.both().contains("is no good"), "{failed}");
    case.world.gitlab.forget_faults();
    case.run("apply", &["--yes"], 0);
    let (traced, seen) = (trace.stop(), watch.stop());

    case.assert_nothing_printed();
    case.assert_in_their_places();
    assert!(seen.readable.is_empty(), "others could read a secret: {:?}", seen.readable);
    assert!(seen.names.contains("config.toml") && seen.names.contains("content"), "the watcher saw nothing");
    assert!(contains(&traced, b"/usr/bin/docker") && contains(&traced, b"/usr/bin/sudo"), "the trace saw nothing");
    let secrets = case.secrets();
    assert_free_of("a command line or environment on the host", &traced, &secrets);
    let host = case.world.host();
    // A container's own environment holds what the inventory gives it.
    let outside = host.sh("docker inspect -f '{{.State.Pid}}' gitlab-runner");
    let processes = host.sh(&format!(
        "inside=$(readlink /proc/{}/ns/mnt); for dir in /proc/[0-9]*; do [ \"$(readlink $dir/ns/mnt)\" = \"$inside\" ] && continue; cat $dir/cmdline $dir/environ 2>/dev/null || :; echo; done | tr '\\0' '\\n'",
        outside.trim()
    ));
    assert!(processes.contains("dockerd"), "Docker does not run");
    assert_free_of("a process that is still there", processes.as_bytes(), &secrets);
    assert_free_of(
        "the host's journal",
        host.sh("journalctl --sync; journalctl --no-pager -o export").as_bytes(),
        &secrets,
    );
    assert_free_of(
        "the host's logs",
        host.sh("find /var/log -type f -not -path '*/journal/*' -exec cat {} +").as_bytes(),
        &secrets,
    );
    assert_free_of(
        "the shell's history",
        host.sh("cat /root/.*history /home/*/.*history 2>/dev/null || :").as_bytes(),
        &secrets,
    );
}

/// What was on the host before: rprov is not told that these are secrets, and a plan is for everybody.
#[test]
fn old_secrets_are_not_shown() {
    let Some(mut case) = Case::new() else { return };
    case.run("apply", &["--yes"], 0);
    let host = case.world.host();
    let old = |number: usize| format!("Qv7oldone{number:02}wX3kzT9");
    let key = case.value("runners[].cache.s3.SecretKey").to_owned();
    let environment = case.value("runners[].environment").to_owned();
    let token = case.world.gitlab.state().runners.into_values().next().expect("a runner").token;
    let glrt = format!("glrt-{}", old(9));
    // config.toml: a key, a variable, a token.
    host.sh(&format!(
        "sed -i 's/{key}/{}/; s/{environment}/{}/; s/{token}/{glrt}/' {CONFIG}; printf '[session_server]\\nadvertise_address = \"http://me:{}@x/\"\\n' >>{CONFIG}",
        old(1),
        old(2),
        old(3)
    ));
    // daemon.json: a proxy, a log driver.
    host.write(
        "/etc/docker/daemon.json",
        &format!(
            r#"{{"proxies": {{"http-proxy": "http://me:{}@proxy:3128/"}}, "log-opts": {{"splunk-token": "{}"}}}}"#,
            old(4),
            old(5)
        ),
    );
    // Files that become managed.
    host.sh(&format!(
        "echo '{}' >/etc/canary/plain; chmod 0600 /etc/canary/plain; echo 'TOKEN={glrt}' >/etc/canary/loose; echo '{}' >/etc/canary/content",
        old(6),
        old(7)
    ));
    // A container made by hand: its environment, its command, its logs.
    host.sh(&format!(
        "image=$(docker inspect -f '{{{{.Config.Image}}}}' gitlab-runner); docker rm -f gitlab-runner >/dev/null; docker create --name gitlab-runner -e PASSWORD={} -v /srv/gitlab-runner:/etc/gitlab-runner \"$image\" run --token {glrt} >/dev/null",
        old(8)
    ));
    let values: Vec<String> = (1..=9).map(old).collect();
    case.outputs.clear();
    let plan = case.run("plan", &["-v"], 0).clone();
    case.run("plan", &["--format", "json"], 0);
    for what in [
        "SecretKey",
        "environment",
        "advertise_address",
        "http-proxy",
        "log-opts",
        "/etc/canary/plain",
        "/etc/canary/loose",
        "/etc/canary/content",
        "env[PASSWORD]",
        "command",
        "token",
    ] {
        assert!(plan.out.contains(what), "the plan does not show {what}: {plan}");
    }
    let secrets: Vec<(&str, String)> = values.into_iter().map(|value| ("an old secret", value)).collect();
    for outcome in &case.outputs {
        assert_free_of(&format!("what was printed: {outcome}"), outcome.both().as_bytes(), &secrets);
    }
    case.assert_nothing_printed();
    // What nobody declares stays, and this Docker starts with neither of the two.
    case.world.host().write("/etc/docker/daemon.json", "{}\n");
    case.run("apply", &["--yes", "-v"], 0);
    let applied = case.outputs.last().expect("it was printed");
    assert_free_of(&format!("what was printed: {applied}"), applied.both().as_bytes(), &secrets);
    // Nor does a copy of what was replaced stay anywhere; of the journal the test's own commands are no part.
    // What nobody declared is somebody else's: an address in config.toml, a variable of the container.
    let others = [old(3), old(8)];
    for (_, value) in secrets.iter().filter(|(_, value)| !others.contains(value)) {
        assert_eq!(files_with(case.world.host(), value), Vec::<String>::new(), "{value} is still there");
    }
}

/// On this machine: no program is given a secret as an argument, and no file is written.
#[test]
fn nothing_is_left_where_rprov_runs() {
    let Some(case) = Case::new() else { return };
    let home = case.world.directory();
    let log = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let temporary = tempfile::tempdir().expect("a temporary directory can be made");
    let listing = || {
        let mut all: Vec<String> =
            std::fs::read_dir(home).expect("it is there").flatten().map(|e| format!("{:?}", e.path())).collect();
        all.sort();
        all
    };
    let before = listing();
    let secrets = case.secrets();
    for args in [["plan", "-v"], ["apply", "--yes"], ["plan", "--format=json"]] {
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-s",
            "1000000",
            "-e",
            "signal=none",
            "-e",
            "trace=execve,execveat,open,openat,creat",
            "-o",
        ]);
        command.arg(log.path()).arg(env!("CARGO_BIN_EXE_rprov")).args(args).args(["-i", "inventory.yml"]);
        command.current_dir(home).env_clear().stdin(Stdio::null());
        command
            .env("HOME", home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("USER", "tester")
            .env("TMPDIR", temporary.path());
        let out = command.envs(case.environment()).output().expect("strace is installed");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let traced = std::fs::read_to_string(log.path()).expect("strace wrote it");
        let lines = |words: &'static [&'static str]| {
            traced.lines().filter(move |line| words.iter().all(|word| line.contains(word)))
        };
        assert!(lines(&["execve(", "\"cat\", \"passphrase\""]).count() >= 1, "the trace saw no program: {traced}");
        let programs: String = lines(&["execve"]).map(|line| format!("{line}\n")).collect();
        assert_free_of("a command line here", programs.as_bytes(), &secrets);
        let written: Vec<&str> = lines(&["open"])
            .filter(|line| ["O_WRONLY", "O_RDWR", "O_CREAT", "creat("].iter().any(|flag| line.contains(flag)))
            .filter(|line| !line.contains("\"/dev/") && !line.contains(" = -1 "))
            .collect();
        assert_eq!(written, Vec::<&str>::new(), "a file was written");
    }
    assert_eq!(listing(), before, "files were left at home");
    assert_eq!(std::fs::read_dir(temporary.path()).expect("it is there").count(), 0, "temporary files were left");
}
