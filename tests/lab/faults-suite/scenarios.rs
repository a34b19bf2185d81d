//! What the matrix goes through: pairs of inventories that differ in a few kinds of steps, and drifts that ask for the
//! others. A run goes from one side of a pair to the other; the next one goes back.

use super::host::Host;
use super::inventory;
use super::lab::script;
use super::world::World;

/// A secret that a managed file holds, and the one it holds on the other side.
pub(crate) const FILE_SECRETS: [&str; 2] = ["canary-file-5Kq2Zt8W", "canary-file-9Xw4Rb1N"];
/// The same for a CI/CD variable.
pub(crate) const VARIABLE_SECRETS: [&str; 2] = ["canary-variable-7Hd3Vy6M", "canary-variable-2Jf8Lc5P"];

/// How gitlab-runner gets to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// In a container, as on the dedicated CI server.
    Container,
    /// As a package.
    Package,
    /// In a container whose configuration lies in a volume.
    Volume,
}

/// One pair.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// Replacements in the inventory: what stands there, on one side, on the other.
    edits: &'static [(&'static str, &'static str, &'static str)],
    /// What the host must not have on the other side, as shell conditions.
    pub(crate) gone: &'static [&'static str],
    /// What happens to the host before each run.
    pub(crate) disturb: Option<fn(&Host)>,
    /// What happens to the runner in GitLab before each run.
    pub(crate) edit_record: Option<fn(&mut gitlab_double::Runner)>,
    /// The runner has its token throughout.
    pub(crate) keeps_token: bool,
    /// Each run begins with a bare host and an empty GitLab.
    pub(crate) from_bare: bool,
    /// In a sample, the one where each phase of a run has its turn.
    pub(crate) phases: bool,
    /// In so many parts it is done.
    pub(crate) parts: usize,
}

const PLAIN: Scenario = Scenario {
    name: "",
    family: Family::Container,
    edits: &[],
    gone: &[],
    disturb: None,
    edit_record: None,
    keeps_token: true,
    from_bare: false,
    phases: false,
    parts: 1,
};

/// All of them, the longest first.
pub(crate) const ALL: &[Scenario] = &[
    Scenario { name: "bare host", from_bare: true, keeps_token: false, parts: 4, ..PLAIN },
    Scenario {
        name: "container replaced",
        edits: &[("TZ: Etc/UTC", "TZ: Etc/UTC", "TZ: Europe/Berlin, ALL_PROXY: { file: file-secret-0 }")],
        parts: 2,
        ..PLAIN
    },
    Scenario {
        name: "docker restarted",
        edits: &[("10.201.0.0/16", "10.201.0.0/16", "10.202.0.0/16")],
        parts: 2,
        ..PLAIN
    },
    Scenario {
        name: "second runner",
        edits: &[
            (
                "\ndefaults:\n",
                "\n  app:\n    scope: { project: acme/app }\n    tags: [app]\n    projects: [acme/other]\n    locked: true\n    config: { executor: shell }\n\ndefaults:\n",
                "\n  app:\n    scope: { project: acme/app }\n    state: absent\n    config: { executor: shell }\n\ndefaults:\n",
            ),
            ("runners: [docker]", "runners: [docker, app]", "runners: [docker, app]"),
        ],
        parts: 2,
        ..PLAIN
    },
    Scenario {
        name: "files and packages",
        edits: &[
            (
                "packages: [ca-certificates, curl]\n",
                "packages: [ca-certificates, curl, { name: jq, state: absent }]\n",
                "packages: [ca-certificates, curl, jq]\n",
            ),
            ("    - /cache\n", "    - { path: /cache, mode: \"0700\" }\n", "    - /cache\n    - /srv/faults/deep\n"),
            (
                "  docker:\n    source: distro\n",
                "  files:\n    - { path: /etc/faults/secret, content: { file: file-secret-0 } }\n    - { path: /etc/faults/gone, content: there }\n    - { path: /etc/faults/mode, content: same, mode: \"0644\" }\n    - { path: /etc/ssh/sshd_config.d/faults.conf, content: \"MaxSessions 9\\n\" }\n  docker:\n    source: distro\n",
                "  files:\n    - { path: /etc/faults/secret, content: { file: file-secret-1 } }\n    - { path: /etc/faults/gone, state: absent }\n    - { path: /etc/faults/mode, content: same, mode: \"0640\" }\n    - { path: /etc/ssh/sshd_config.d/faults.conf, content: \"MaxSessions 8\\n\" }\n  docker:\n    source: distro\n",
            ),
        ],
        disturb: Some(forget_directory),
        parts: 2,
        ..PLAIN
    },
    Scenario {
        name: "runner and its configuration",
        edits: &[
            ("concurrent: 100", "concurrent: 100", "concurrent: 90"),
            ("limit: 10", "limit: 10", "limit: 12"),
            ("tags: [docker, production]", "tags: [docker, production]", "tags: [docker]"),
            ("maximum_timeout: 2h", "maximum_timeout: 2h", "maximum_timeout: 3h"),
        ],
        edit_record: Some(empty_note),
        ..PLAIN
    },
    Scenario { name: "config.toml lost", disturb: Some(lose_config), keeps_token: false, ..PLAIN },
    Scenario { name: "another token in config.toml", disturb: Some(swap_token), keeps_token: false, ..PLAIN },
    Scenario { name: "volume lost", family: Family::Volume, disturb: Some(lose_volume), keeps_token: false, ..PLAIN },
    Scenario { name: "things stopped", disturb: Some(stop_things), ..PLAIN },
    Scenario {
        name: "docker reloaded, container updated",
        edits: &[
            (
                "      default-address-pools:",
                "      debug: false\n      default-address-pools:",
                "      debug: true\n      default-address-pools:",
            ),
            (
                "      restart: always\n",
                "      restart: always\n      memory: 256m\n",
                "      restart: always\n      memory: 512m\n",
            ),
            ("log_level: info", "log_level: info", "log_level: info, listen_address: \":9252\""),
        ],
        ..PLAIN
    },
    Scenario {
        name: "firewall and clean-up",
        phases: true,
        edits: &[
            ("allow: [{ port: 9252", "allow: [{ port: 9252", "allow: [{ port: 9253"),
            ("\"0 4 * * *\"", "\"0 4 * * *\"", "\"0 5 * * *\""),
        ],
        ..PLAIN
    },
    // Each kind of thing that goes because no line asks for it any more. The firewall's keys become values for templates.
    Scenario {
        name: "lines leave the inventory",
        edits: &[
            ("  firewall:\n", "  firewall:\n", "  vars:\n"),
            (
                "  cleanup:\n    schedule: \"0 4 * * *\"\n    builds_older_than: 1h\n    prune_volumes: true\n    healthcheck: { env: HEALTHCHECK_URL }\n",
                "  cleanup:\n    schedule: \"0 4 * * *\"\n    builds_older_than: 1h\n    prune_volumes: true\n    healthcheck: { env: HEALTHCHECK_URL }\n",
                "",
            ),
            ("      limit: 10\n", "      limit: 10\n", ""),
            ("concurrent: 100, ", "concurrent: 100, ", ""),
            (
                "      insecure-registries: [",
                "      debug: true\n      insecure-registries: [",
                "      insecure-registries: [",
            ),
            ("    - /cache\n", "    - /cache\n    - /srv/faults\n    - /srv/faults/deep\n", "    - /cache\n"),
            (
                "  docker:\n    source: distro\n",
                "  repositories: [{ name: faults, uris: @APT@/gitlab-runner, @KEY@ }]\n  files:\n    - { path: /srv/faults/deep/file, content: there }\n    - { path: /etc/systemd/system/docker.service.d/faults.conf, content: \"[Service]\\nEnvironment=FAULTS=1\\n\" }\n  docker:\n    source: distro\n",
                "  docker:\n    source: distro\n",
            ),
        ],
        gone: &[
            "[ -e /srv/faults ]",
            "[ -e /etc/systemd/system/docker.service.d/faults.conf ]",
            "[ -e /etc/apt/sources.list.d/faults.sources ]",
            "[ -e /etc/cron.d/rprov-cleanup ]",
            "[ -e /usr/local/sbin/rprov-cleanup ]",
            "[ -e /etc/rprov/firewall.nft ]",
            "nft list table inet rprov",
            "grep -q debug /etc/docker/daemon.json",
            "grep -q 'limit = 10' /srv/gitlab-runner/config.toml",
            "grep -q 'concurrent = 100' /srv/gitlab-runner/config.toml",
            "systemctl show -p Environment docker | grep -q FAULTS",
            "tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value docker)/environ | grep -q FAULTS",
        ],
        ..PLAIN
    },
    Scenario {
        name: "authorities and images",
        edits: &[
            (
                "  packages:",
                "  ca_certificates: [internal.pem]\n  packages:",
                "  ca_certificates: [{ name: internal, state: absent }]\n  packages:",
            ),
            (
                "  docker:\n    source: distro\n",
                "  docker:\n    source: distro\n@PRIVATE@    images: [\"@REGISTRY@/library/debian:12\"]\n",
                "  docker:\n    source: distro\n@PRIVATE@    images: [\"@SECURED@/library/debian:12\"]\n",
            ),
        ],
        disturb: Some(forget_images),
        ..PLAIN
    },
    Scenario {
        name: "variables and projects",
        edits: &[
            (
                "\nrunners:\n",
                "    - { scope: instance, key: DEPLOY_KEY, value: { file: variable-secret-0 }, masked: true }\n    - { scope: { project: acme/app }, key: STAGE, value: one }\n\nrunners:\n  app:\n    scope: { project: acme/app }\n    tags: [app]\n    projects: [acme/other]\n    config: { executor: shell }\n",
                "    - { scope: instance, key: DEPLOY_KEY, value: { file: variable-secret-1 }, masked: true }\n    - { scope: { project: acme/app }, key: STAGE, state: absent }\n\nrunners:\n  app:\n    scope: { project: acme/app }\n    tags: [app]\n    projects: []\n    config: { executor: shell }\n",
            ),
            ("runners: [docker]", "runners: [docker, app]", "runners: [docker, app]"),
        ],
        ..PLAIN
    },
    Scenario {
        name: "package upgraded",
        family: Family::Package,
        edits: &[("version: 17.9.0", "version: 17.9.0", "version: 17.10.0")],
        parts: 2,
        ..PLAIN
    },
    Scenario {
        name: "package: service and repository",
        family: Family::Package,
        edits: &[
            ("concurrent: 5", "concurrent: 5", "concurrent: 6\n        listen_address: \":9252\""),
            ("stop_timeout: 2h", "stop_timeout: 2h", "stop_timeout: 3h"),
            ("priority: 600", "priority: 600", "priority: 700"),
        ],
        disturb: Some(leave_group),
        ..PLAIN
    },
    Scenario {
        name: "one Docker for the other",
        family: Family::Package,
        edits: &[(
            "      source: distro\n",
            "      source: distro\n",
            "      source: docker-ce\n      version: 27.3.1\n      repository: { uris: @APT@/docker, @KEY@ }\n",
        )],
        ..PLAIN
    },
];

/// The rest of the repository's file decides which lists apt has.
fn leave_group(host: &Host) {
    host.sh(
        "gpasswd -d gitlab-runner docker >/dev/null 2>&1 || :; rm -f /etc/apt/sources.list.d/gitlab-runner.sources",
    );
}

/// No inventory takes a directory away, and each run has to make it: otherwise only the first has all points.
fn forget_directory(host: &Host) {
    host.sh("rm -rf /srv/faults");
}

/// Without its mark only the token says whose it is.
fn empty_note(runner: &mut gitlab_double::Runner) {
    runner.maintenance_note = None;
}

fn lose_config(host: &Host) {
    host.sh("rm -f /srv/gitlab-runner/config.toml");
}

/// One that no runner has.
fn swap_token(host: &Host) {
    host.sh(
        r#"sed -i 's/token = "glrt-[^"]*"/token = "glrt-t1_Zz00000000000000dead"/' /srv/gitlab-runner/config.toml"#,
    );
}

fn lose_volume(host: &Host) {
    host.sh(
        "docker rm -f gitlab-runner gitlab-runner-rprov-new >/dev/null 2>&1 || :; docker volume rm -f gitlab-runner-config >/dev/null",
    );
}

fn stop_things(host: &Host) {
    host.sh(
        "docker stop -t 5 gitlab-runner >/dev/null 2>&1 || :; systemctl disable -q --now cron; chmod 0644 /srv/gitlab-runner/config.toml; \
         nft flush table inet rprov; nft delete table inet rprov",
    );
}

fn forget_images(host: &Host) {
    host.sh("docker images -q --filter 'reference=*/library/debian' | xargs -r docker rmi -f >/dev/null 2>&1 || :");
}

/// The two sides of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    One,
    Other,
}

impl Side {
    pub(crate) fn flip(self) -> Self {
        match self {
            Self::One => Self::Other,
            Self::Other => Self::One,
        }
    }
}

impl Scenario {
    /// Whether both sides are the same inventory.
    pub(crate) fn is_one_sided(&self) -> bool {
        self.edits.iter().all(|(_, one, other)| one == other)
    }

    /// The inventory of a side.
    pub(crate) fn inventory(&self, world: &World, side: Side) -> String {
        let mut text = match self.family {
            Family::Container => inventory::dedicated_ci_server(world),
            Family::Package => package(world),
            Family::Volume => inventory::container_volume(world),
        };
        for (old, one, other) in self.edits {
            assert!(text.contains(old), "{}: the inventory has no {old:?}:\n{text}", self.name);
            text = text.replacen(old, if side == Side::One { one } else { other }, 1);
        }
        if text.contains("@PRIVATE@") {
            let secured = script("lib/private-registry", &[]).trim().to_owned();
            let authority = authority(world);
            let private = format!(
                "    registries:\n      - {{ host: \"{secured}\", username: ci, password: {{ file: registry-password }}, ca_file: {} }}\n",
                authority.display()
            );
            text = text.replace("@PRIVATE@", &private).replace("@SECURED@", &secured);
        }
        if text.contains("@APT@") {
            let (url, key) = apt();
            text = text.replace("@APT@", &url).replace("@KEY@", &key);
        }
        text.replace("@REGISTRY@", world.lab.setting("LAB_REGISTRY"))
    }
}

fn authority(world: &World) -> std::path::PathBuf {
    std::path::Path::new(world.lab.setting("LAB_STATE")).join("private-registry/ca.pem")
}

/// Files beside the inventory that the pairs name.
pub(crate) fn write_secrets(world: &World) {
    for (number, (file, variable)) in FILE_SECRETS.iter().zip(VARIABLE_SECRETS).enumerate() {
        world.write_file(&format!("file-secret-{number}"), file);
        world.write_file(&format!("variable-secret-{number}"), variable);
    }
    world.write_file("registry-password", REGISTRY_PASSWORD);
    script("lib/private-registry", &[]);
    let pem = std::fs::read_to_string(authority(world)).expect("the private registry has an authority");
    world.write("internal.pem", &pem);
}

/// Of the lab's private registry.
pub(crate) const REGISTRY_PASSWORD: &str = "pull-Secret-4711";

/// The address of the lab's package repositories, and their key as inventories name it.
fn apt() -> (String, String) {
    let said = script("lib/apt-repo", &[]);
    let (url, print) = said.trim().split_once(' ').expect("address and fingerprint");
    (url.to_owned(), format!("key_url: {url}/key.asc, fingerprint: {print}"))
}

/// The shipped inventory of gitlab-runner as a package, without Docker of its vendor's, for a host of the lab.
fn package(world: &World) -> String {
    let (url, key) = apt();
    let setting = |key: &str| world.lab.setting(key).to_owned();
    let ssh = format!(
        "ssh: {{ user: deploy, become: sudo, address: {}, identity_file: {}, known_hosts: {}, connect_timeout: 60s }}",
        world.host().address(),
        setting("LAB_SSH_KEY"),
        setting("LAB_KNOWN_HOSTS")
    );
    let repository = format!("repository: {{ uris: {url}/gitlab-runner, {key}, pin: {{ priority: 600 }} }}");
    include_str!("../../../inventories/package-runner.yml")
        .replace("https://gitlab.example.com", world.gitlab.url())
        .replace("runner.example.com:", &format!("{}:", world.host().inventory_name()))
        .replace("ssh: { user: deploy, become: sudo }", &ssh)
        .replace("203.0.113.0/24", &setting("LAB_NETWORK"))
        .replace(
            "source: docker-ce # Docker's own packages; `distro` takes docker.io, and needs no repository",
            "source: distro",
        )
        .replace("      version: 27.3.1\n", "")
        .replace(
            "        stop_timeout: 2h",
            &format!("        docker_group: true\n        {repository}\n        stop_timeout: 2h"),
        )
}
