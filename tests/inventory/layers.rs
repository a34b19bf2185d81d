//! What comes out of `good/layers.yml`, which has everything that the language has.

use std::path::{Path, PathBuf};

use rprov::inventory::model::{
    ConfigTable, ConfigValue, Connection, DockerSource, HostSpec, Inventory, Opens, Scope, SecretKind, Unmanaged,
};
use rprov::secret::SecretId;

const FILE: &str = "tests/inventory/good/layers.yml";

fn inventory() -> Inventory {
    rprov::inventory::load(Path::new(FILE)).unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics))
}

fn host<'a>(inventory: &'a Inventory, name: &str) -> &'a HostSpec {
    inventory.hosts.iter().find(|host| host.name == name).unwrap()
}

/// A table of config.toml as JSON, secrets by their names.
pub(crate) fn json(table: &ConfigTable) -> serde_json::Value {
    table.iter().map(|(key, entry)| (key.clone(), value(&entry.value))).collect()
}

fn value(value: &ConfigValue) -> serde_json::Value {
    match value {
        ConfigValue::String(text) => text.redacted().into(),
        ConfigValue::Integer(number) => (*number).into(),
        ConfigValue::Float(number) => (*number).into(),
        ConfigValue::Boolean(flag) => (*flag).into(),
        ConfigValue::Array(items) => items.iter().map(self::value).collect(),
        ConfigValue::Table(table) => json(table),
        ConfigValue::Kept(id) => id.to_string().into(),
    }
}

#[test]
fn files_come_together_and_the_importing_one_wins() {
    let inventory = inventory();
    let names: Vec<&str> = inventory.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["imported.example.com", "ci.example.com", "bare.example.com"]);
    assert_eq!(inventory.groups, ["big", "gpu"]);
    let gitlab = inventory.gitlab.as_ref().unwrap();
    assert_eq!(gitlab.url, "https://gitlab.example.com");
    assert_eq!(gitlab.api_token, SecretId::new("env:GITLAB_TOKEN"));
    assert!(gitlab.ca_pem.as_ref().unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
    let variables: Vec<_> =
        gitlab.variables.iter().map(|v| (v.scope.to_string(), v.key.as_str(), v.file, v.absent)).collect();
    let expected = [
        ("group acme/platform".to_owned(), "DEPLOY_KEY", true, false),
        ("project acme/app".to_owned(), "MODE", false, false),
        ("instance".to_owned(), "OLD", false, true),
    ];
    assert_eq!(variables, expected);
    assert_eq!(gitlab.variables[1].environment_scope, "production");
    assert_eq!(gitlab.variables[0].environment_scope, "*");
}

#[test]
fn secrets_are_named_with_where_they_are() {
    let inventory = inventory();
    let kind = |id: &str| inventory.secrets.get(&SecretId::new(id)).map(|source| source.kind.clone());
    assert_eq!(kind("env:TOKEN"), Some(SecretKind::Env("TOKEN".to_owned())));
    let words = ["pass", "show", "s3 key"].map(str::to_owned).to_vec();
    assert_eq!(kind("command:pass show 's3 key'"), Some(SecretKind::Command(words)));
    let key = PathBuf::from(std::env::var_os("HOME").unwrap()).join("deploy.key");
    assert_eq!(kind(&format!("file:{}", key.display())), Some(SecretKind::File(key)));
    assert_eq!(
        inventory.secrets[&SecretId::new("env:GITLAB_TOKEN")].origin.to_string(),
        "tests/inventory/good/parts/base.yml:3:14"
    );
}

#[test]
fn connections() {
    let inventory = inventory();
    let Connection::Ssh(ssh) = &host(&inventory, "ci.example.com").connection else { panic!("not SSH") };
    assert_eq!(
        (ssh.address.as_str(), ssh.port, ssh.user.as_deref(), ssh.sudo),
        ("10.0.0.7", Some(2200), Some("ci"), false)
    );
    assert!(ssh.identity_files[0].is_absolute() && ssh.identity_files[0].ends_with(".ssh/ci"));
    assert_eq!(ssh.known_hosts, [PathBuf::from("tests/inventory/good/parts/known_hosts")]);
    assert_eq!(ssh.connect_timeout, Some(30));
    let Connection::Ssh(ssh) = &host(&inventory, "imported.example.com").connection else { panic!("not SSH") };
    let defaults = ("imported.example.com", Some(2200), Some("deploy"), true, None);
    assert_eq!((ssh.address.as_str(), ssh.port, ssh.user.as_deref(), ssh.sudo, ssh.connect_timeout), defaults);
    assert!(matches!(host(&inventory, "bare.example.com").connection, Connection::Local { sudo: true, .. }));
}

#[test]
fn packages_directories_files() {
    let inventory = inventory();
    let ci = host(&inventory, "ci.example.com");
    let packages: Vec<_> = ci.packages.iter().map(|p| (p.name.as_str(), p.version.as_deref(), p.absent)).collect();
    assert_eq!(packages, [("git", Some("1:2.39.2-1"), false), ("telnet", None, true), ("curl", None, false)]);
    let directories: Vec<_> =
        ci.directories.iter().map(|d| (d.path.as_str(), d.mode, d.owner.group.as_str())).collect();
    assert_eq!(directories, [("/builds", 0o755, "root"), ("/cache", 0o1777, "docker")]);
    let content = |at: usize| ci.files[at].content.as_ref().map(|text| text.redacted());
    assert_eq!(content(0).as_deref(), Some("Hello ci.example.com at 10.0.0.7\ny\n"));
    assert_eq!(
        (ci.files[0].mode, ci.files[0].owner.user.as_str(), ci.files[0].owner.group.as_str()),
        (0o640, "deploy", "deploy")
    );
    assert_eq!(content(1).as_deref(), Some("as it is: {{ untouched }}\n"));
    assert_eq!((ci.files[2].path.as_str(), ci.files[2].mode), ("/etc/b2", 0o600), "a secret is for its owner alone");
    assert_eq!(content(2).as_deref(), Some("token=(secret env:TOKEN)\n"));
    assert_eq!((ci.files[3].path.as_str(), content(3)), ("/etc/c", None));
}

#[test]
fn docker_manager_cleanup_firewall() {
    let inventory = inventory();
    let ci = host(&inventory, "ci.example.com");
    let docker = ci.docker.as_ref().unwrap();
    assert_eq!(serde_json::json!(docker.daemon), serde_json::json!({ "live-restore": true, "debug": true }));
    assert_eq!(docker.images.iter().map(|(image, _)| image.as_str()).collect::<Vec<_>>(), ["debian:12"]);

    let manager = ci.manager.as_ref().unwrap();
    let container = manager.container().unwrap();
    assert_eq!(container.image, "gitlab/gitlab-runner:alpine-v17.9.0");
    assert_eq!(container.image_origin.file.as_ref(), "tests/inventory/good/parts/base.yml");
    assert_eq!((container.name.as_str(), container.config_dir.as_str()), ("runner", "/srv/gitlab-runner"));
    assert_eq!(
        container.env.iter().map(|(k, v)| format!("{k}={}", v.redacted())).collect::<Vec<_>>(),
        ["N=1", "TZ=UTC"]
    );
    assert_eq!((container.restart.as_str(), container.stop_timeout), ("unless-stopped", 14400));
    assert_eq!((container.networks[0].as_str(), container.mounts.len(), container.ports.len()), ("ci", 2, 1));
    assert_eq!(manager.unmanaged_runners, Unmanaged::Remove);
    let config =
        serde_json::json!({ "concurrent": 12, "log_level": "info", "session_server": { "session_timeout": 1800 } });
    assert_eq!(json(&manager.config), config);

    let cleanup = ci.cleanup.as_ref().unwrap();
    assert_eq!(cleanup.builds_dirs.iter().map(|dir| dir.as_str()).collect::<Vec<_>>(), ["/builds", "/srv/builds"]);
    assert_eq!((cleanup.builds_older_than, cleanup.prune_volumes, cleanup.prune_compose), (2, false, false));
    assert_eq!(cleanup.healthcheck, Some(SecretId::new("env:HEALTHCHECK_URL")));
    let script = cleanup.script.redacted();
    for line in ["job_dir_pattern='gitlab-job-*'\n", "older_than=2\n", "prune_compose=0\n", "  \"$1\" '/srv/builds'\n"]
    {
        assert!(script.contains(line), "{line}");
    }
    assert_eq!(cleanup.cron.redacted(), "# 0 4 * * * of the user\n", "templates/ beside the inventory wins");

    let firewall = ci.firewall.as_ref().unwrap();
    let from: Vec<String> = firewall.ssh_from.iter().map(ToString::to_string).collect();
    assert_eq!(from, ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7/32"]);
    assert_eq!(firewall.ssh_port, 2200);
    let ports = |allow: &rprov::inventory::model::AllowSpec| match allow.what {
        Opens::Ports { ports, udp } => (ports.first, ports.last, udp, allow.from.len()),
        Opens::Protocol(number) => panic!("{number} is no port"),
    };
    let allow: Vec<_> = firewall.allow.iter().map(ports).collect();
    assert_eq!(allow, [(9252, 9252, false, 1), (8000, 8010, true, 0)]);

    let bare = host(&inventory, "bare.example.com");
    let docker = bare.docker.as_ref().unwrap();
    assert_eq!((docker.source, docker.daemon.is_none()), (DockerSource::Unmanaged, true));
    assert!(bare.manager.is_none() && bare.cleanup.is_none() && bare.firewall.is_none());
    let imported = host(&inventory, "imported.example.com").cleanup.as_ref().unwrap();
    assert_eq!((imported.builds_older_than, imported.prune_compose), (60, true));
}

#[test]
fn runners() {
    let inventory = inventory();
    let ci = host(&inventory, "ci.example.com");
    let [docker, shell, old] = &ci.runners[..] else { panic!("{} runners", ci.runners.len()) };
    assert_eq!(docker.description, "docker on ci.example.com in b2");
    assert_eq!(docker.note, "Two lines:\ngpu, big\n");
    assert_eq!((docker.tags.as_slice(), docker.run_untagged), (&["own".to_owned()][..], true));
    assert_eq!(docker.maximum_timeout, Some(5400));
    let config = serde_json::json!({
        "executor": "docker",
        "limit": 2,
        "environment": ["A=b2", "(secret env:JOB_SECRET)"],
        "docker": {
            "image": "debian:12", "volumes": ["/builds:/builds"], "sysctls": { "net.ipv4.ip_forward": "1" },
            "services": [{ "name": "postgres:16", "alias": "db" }], "too": "x",
        },
        "cache": { "Type": "s3", "s3": { "AccessKey": "(secret env:S3_KEY)", "SecretKey": "(secret command:pass show 's3 key')" } },
        "from_the_future": { "deep": [1, 2.5, true] },
    });
    assert_eq!(json(&docker.config), config);
    assert_eq!(docker.origins["tags"].line, 79, "the host's own tags");
    assert_eq!(docker.origins["note"].line, 18, "the spec's note");

    assert_eq!(shell.scope, Scope::Project("acme/app".to_owned()));
    assert_eq!(shell.description, "ci.example.com shell");
    assert!(shell.locked && shell.paused && shell.run_untagged && !shell.protected && !shell.absent);
    assert!(old.absent && !old.run_untagged);
}
