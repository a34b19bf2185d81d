//! The tables of the language, from the whole file down to its smallest entries. Data only.

use super::{Choice, Field, Kind, Table, Word};
use crate::inventory::format::Format;
use crate::inventory::format::limits::{LEAST_MEMORY, LEAST_SHM};
use crate::runner_config::keys;

mod packages;

use packages::{MANAGER_PACKAGE, REPOSITORY, VENDOR_REPOSITORY};

const fn word(name: &'static str) -> Word {
    Word { name, later: false }
}

const STATE: Kind = Kind::Word(&[word("present"), word("absent")]);
const MODE: Kind = Kind::Text(Format::Mode);
const OWNER: Kind = Kind::Text(Format::Owner);
const PACKAGE_ITEM: &Kind = &Kind::ShortOr(&PACKAGE);
const CA_ITEM: &Kind = &Kind::ShortOr(&CA_CERTIFICATE);
const DIRECTORY_ITEM: &Kind = &Kind::ShortOr(&DIRECTORY);
const REPOSITORY_ITEM: &Kind = &Kind::Table(&REPOSITORY);
const FILE_ITEM: &Kind = &Kind::Table(&FILE);
const HOST_PATH: Kind = Kind::Text(Format::HostPath);
const LOCAL_PATH: Kind = Kind::Text(Format::LocalPath);

/// Characters that a maintenance note of the user's may have: GitLab takes 1024, and rprov adds its own line.
pub(crate) const MAX_NOTE: usize = 1024 - 160 - (MAX_INVENTORY + 11);
/// Characters that an inventory's own name may have: it stands in each mark.
pub(crate) const MAX_INVENTORY: usize = 32;
/// Characters that a runner's description may have.
pub(crate) const MAX_DESCRIPTION: usize = 1024;
/// Seconds of the shortest maximum timeout that GitLab takes.
const MIN_TIMEOUT: u64 = 600;
/// A year: longer is a slip.
const YEAR: u64 = 365 * 86400;

/// Risks that a host or a runner can accept by name: then nothing warns of them.
pub(crate) const RISKS: &[Word] = &[
    word("concurrent"),
    word("docker_socket"),
    word("docker_tls"),
    word("gpus"),
    word("host_ipc"),
    word("host_network"),
    word("host_paths"),
    word("host_pid"),
    word("host_users"),
    word("if_not_present"),
    word("insecure_cache"),
    word("latest_image"),
    word("long_polling"),
    word("metrics"),
    word("network_per_build"),
    word("privileged"),
    word("shell_executor"),
    word("ssh_host_key"),
];
const ACCEPT_RISKS: Field =
    Field::new("accept_risks", Kind::List(&Kind::Word(RISKS)), "risks that are meant: no warning names them");

/// The whole file.
pub static ROOT: Table = Table {
    title: "the inventory",
    fields: &[
        Field::new("import", Kind::OneOrList(&LOCAL_PATH), "further inventory files, relative to this one"),
        Field::new("gitlab", Kind::Table(&GITLAB), "the GitLab that the runners belong to"),
        Field::new("runners", Kind::Named(Format::Name, &RUNNER), "runner specs, which hosts refer to by name"),
        Field::new("defaults", Kind::Table(&LAYER), "values of every host"),
        Field::new("groups", Kind::Named(Format::Name, &LAYER), "values of the hosts that name the group"),
        Field::new("hosts", Kind::Named(Format::HostName, &HOST), "the hosts, by name"),
    ],
    choices: &[],
};

static GITLAB: Table = Table {
    title: "`gitlab`",
    fields: &[
        Field::required("url", Kind::Text(Format::GitlabUrl), "base URL, such as https://gitlab.example.com"),
        Field::required("api_token", Kind::Secret, "access token for GitLab's API"),
        Field::new("ca_file", LOCAL_PATH, "PEM file of a private certificate authority, also given to the runners"),
        Field::new("variables", Kind::List(&Kind::Table(&VARIABLE)), "CI/CD variables that belong to the fleet"),
        Field::new(
            "inventory",
            Kind::Text(Format::Name),
            "a name of this inventory's own, in the mark of each of its runners: with it, rprov can tell orphans",
        ),
    ],
    choices: &[],
};

static VARIABLE: Table = Table {
    title: "a CI/CD variable",
    fields: &[
        Field::required("scope", Kind::Scope, "instance, { group: … } or { project: … }"),
        Field::required("key", Kind::Text(Format::VariableKey), "its key"),
        Field::new("value", Kind::TextOrSecret(Format::Any), "its value"),
        Field::new("show", Kind::Boolean, "plans show its value, and GitLab's beside it; default false"),
        Field::new("protected", Kind::Boolean, "only for protected branches and tags; default false"),
        Field::new("masked", Kind::Boolean, "hidden in job logs; default false"),
        Field::new("raw", Kind::Boolean, "`$` in the value is not expanded; default false"),
        Field::new(
            "type",
            Kind::Word(&[word("env_var"), word("file")]),
            "file: jobs get the path of a file that holds the value; default env_var",
        ),
        Field::new("environment_scope", Kind::Text(Format::Line(255)), "environments it is for; default `*`"),
        Field::new("state", STATE, "absent removes it; default present"),
    ],
    choices: &[],
};

/// A runner spec, and a host's own values on it.
pub static RUNNER: Table = Table {
    title: "a runner spec",
    fields: &[
        Field::required("scope", Kind::Scope, "instance, { group: … } or { project: … }"),
        Field::new("description", Kind::Text(Format::Line(MAX_DESCRIPTION)), "shown in GitLab; default HOST NAME"),
        Field::new("tags", Kind::List(&Kind::Text(Format::Tag)), "jobs with these tags may run here; at most 50"),
        Field::new("run_untagged", Kind::Boolean, "takes jobs without tags; by default if it has no tags itself"),
        Field::new("protected", Kind::Boolean, "only jobs of protected branches and tags; default false"),
        Field::new("locked", Kind::Boolean, "a project runner that other projects cannot enable; default false"),
        Field::new("paused", Kind::Boolean, "takes no jobs; default false"),
        Field::new("maximum_timeout", Kind::Text(Format::Duration(MIN_TIMEOUT, YEAR)), "longest job; at least 10m"),
        Field::new("note", Kind::Text(Format::Block(MAX_NOTE)), "maintenance note in GitLab"),
        Field::new(
            "projects",
            Kind::List(&Kind::Text(Format::FullPath)),
            "further projects that a project runner works for; without it, whoever enables the runner decides",
        ),
        Field::new(
            "config",
            Kind::Config(keys::RUNNER),
            "its [[runners]] table, in config.toml's own keys; with `exact: true` these are all, else others stay",
        ),
        Field::new(
            "unchecked_config",
            Kind::Unchecked(keys::RUNNER),
            "keys that this release of rprov does not know; not checked",
        ),
        ACCEPT_RISKS,
        Field::new("state", STATE, "absent removes it from the host, then from GitLab; default present"),
    ],
    choices: &[],
};

const CONNECTION: Field = Field::new(
    "connection",
    Kind::Word(&[word("ssh"), word("local")]),
    "local: the machine that rprov runs on; default ssh",
);
const SSH_FIELD: Field = Field::new("ssh", Kind::Table(&SSH), "how to reach the host");
const REPOSITORIES: Field =
    Field::new("repositories", Kind::List(REPOSITORY_ITEM), "package repositories to be there or not");
const PACKAGES: Field = Field::new("packages", Kind::List(PACKAGE_ITEM), "packages to be there or not");
const CA_CERTIFICATES: Field =
    Field::new("ca_certificates", Kind::List(CA_ITEM), "private certificate authorities that the whole host trusts");
const DIRECTORIES: Field = Field::new("directories", Kind::List(DIRECTORY_ITEM), "directories to be there");
const FILES: Field = Field::new("files", Kind::List(FILE_ITEM), "files to be there or not");
const DOCKER_FIELD: Field = Field::new("docker", Kind::Table(&DOCKER), "the Docker engine");
const MANAGER_FIELD: Field = Field::new("manager", Kind::Table(&MANAGER), "the gitlab-runner process");
const RUNNERS: Field = Field::new("runners", Kind::RunnerList, "names of runner specs, with or without own values");
const CLEANUP_FIELD: Field = Field::new("cleanup", Kind::Table(&CLEANUP), "clean-up of what jobs leave behind");
const FIREWALL_FIELD: Field = Field::new("firewall", Kind::Table(&FIREWALL), "who may reach the host");
const VARS: Field = Field::new("vars", Kind::Free, "values for templates");

static LAYER: Table = Table {
    title: "a layer of host values",
    fields: &[
        CONNECTION,
        SSH_FIELD,
        REPOSITORIES,
        PACKAGES,
        CA_CERTIFICATES,
        DIRECTORIES,
        FILES,
        DOCKER_FIELD,
        MANAGER_FIELD,
        RUNNERS,
        CLEANUP_FIELD,
        FIREWALL_FIELD,
        VARS,
        ACCEPT_RISKS,
    ],
    choices: &[],
};

/// A host.
pub static HOST: Table = Table {
    title: "a host",
    fields: &[
        Field::new("groups", Kind::List(&Kind::Text(Format::Name)), "its groups; a later one wins over an earlier one"),
        CONNECTION,
        SSH_FIELD,
        REPOSITORIES,
        PACKAGES,
        CA_CERTIFICATES,
        DIRECTORIES,
        FILES,
        DOCKER_FIELD,
        MANAGER_FIELD,
        RUNNERS,
        CLEANUP_FIELD,
        FIREWALL_FIELD,
        VARS,
        ACCEPT_RISKS,
        Field::later("state", "absent takes everything of rprov's off the host"),
    ],
    choices: &[],
};

static SSH: Table = Table {
    title: "`ssh`",
    fields: &[
        Field::new(
            "address",
            Kind::Text(Format::Address),
            "name or address, as on the command line of `ssh`; default the host's name",
        ),
        Field::new("port", Kind::Integer(1, 65535), "port; default ssh_config's, else 22"),
        Field::new("user", Kind::Text(Format::User), "user to log in as; default ssh_config's, else the local user"),
        Field::new(
            "become",
            Kind::Word(&[word("sudo"), word("none")]),
            "how to get root privileges, also with `connection: local`; default none",
        ),
        Field::new("become_password", Kind::Secret, "password for sudo, if it asks for one; default nothing"),
        Field::new(
            "identity_file",
            Kind::OneOrList(&LOCAL_PATH),
            "private keys; default ssh_config's, else the agent and the usual files",
        ),
        Field::new(
            "known_hosts",
            Kind::OneOrList(&LOCAL_PATH),
            "files of host keys; default ssh_config's, else OpenSSH's",
        ),
        Field::new(
            "connect_timeout",
            Kind::Text(Format::Duration(1, 3600)),
            "give up connecting after, for each host on the way; default ssh_config's, else 10s",
        ),
        Field::new(
            "proxy_jump",
            Kind::OneOrList(&Kind::Text(Format::Jump)),
            "jump hosts as [USER@]HOST[:PORT], the first one first, or none; default ssh_config's",
        ),
        Field::new(
            "config",
            LOCAL_PATH,
            "the ssh_config to read, or none; default ~/.ssh/config, then /etc/ssh/ssh_config",
        ),
        Field::new(
            "identity_passphrase",
            Kind::Secret,
            "opens private keys that are encrypted; default it is asked for",
        ),
        Field::new(
            "certificate_file",
            Kind::OneOrList(&LOCAL_PATH),
            "certificates of the keys, beside the `KEY-cert.pub` next to each; default ssh_config's",
        ),
    ],
    choices: &[],
};

static PACKAGE: Table = Table {
    title: "a package",
    fields: &[
        Field::required("name", Kind::Text(Format::Package), "its name"),
        Field::new("version", Kind::Text(Format::PackageVersion), "exactly this version; default any"),
        Field::new("state", STATE, "absent removes it; default present"),
    ],
    choices: &[],
};

static CA_CERTIFICATE: Table = Table {
    title: "a certificate authority",
    fields: &[
        Field::new("file", LOCAL_PATH, "PEM file, relative to the inventory; several certificates are fine"),
        Field::new("name", Kind::Text(Format::Name), "its name on the host; default the file's, without its ending"),
        Field::new("state", STATE, "absent removes it; default present"),
    ],
    choices: &[],
};

static DIRECTORY: Table = Table {
    title: "a directory",
    fields: &[
        Field::required("path", HOST_PATH, "absolute path"),
        Field::new("mode", MODE, "permission bits in quotes; default \"0755\""),
        Field::new("owner", OWNER, "user or user:group; default root:root"),
    ],
    choices: &[],
};

/// A file on a host.
pub static FILE: Table = Table {
    title: "a file",
    fields: &[
        Field::required("path", HOST_PATH, "absolute path"),
        Field::new("template", LOCAL_PATH, "template to render, relative to the inventory"),
        Field::new("source", LOCAL_PATH, "file to copy, relative to the inventory"),
        Field::new("content", Kind::TextOrSecret(Format::Any), "the content itself"),
        Field::new("mode", MODE, "permission bits in quotes; default \"0644\", with a secret in it \"0600\""),
        Field::new("owner", OWNER, "user or user:group; default root:root"),
        Field::new("state", STATE, "absent removes it; default present"),
    ],
    choices: &[Choice { of: &["template", "source", "content"], required: false }],
};

static DOCKER: Table = Table {
    title: "`docker`",
    fields: &[
        Field::new(
            "source",
            Kind::Word(&[word("distro"), word("docker-ce"), word("none")]),
            "where the engine comes from; none leaves it alone; default distro",
        ),
        Field::new(
            "version",
            Kind::Text(Format::PackageVersion),
            "of Docker's own packages: 27.3.1, or exactly 5:27.3.1-1~debian.12~bookworm; default any",
        ),
        Field::new(
            "repository",
            Kind::ShortOr(&VENDOR_REPOSITORY),
            "where Docker's own packages come from; default download.docker.com",
        ),
        Field::new("daemon", Kind::Json, "keys of daemon.json; with `exact: true` these are all, else others stay"),
        Field::new(
            "unchecked_daemon",
            Kind::UncheckedJson,
            "keys of daemon.json that this release of rprov does not know; not checked",
        ),
        Field::new("images", Kind::List(&Kind::Text(Format::Image)), "images to be pulled in advance"),
        Field::new(
            "registries",
            Kind::List(&Kind::Table(&REGISTRY)),
            "private registries that the host's own images come from",
        ),
    ],
    choices: &[],
};

static MANAGER: Table = Table {
    title: "`manager`",
    fields: &[
        Field::new("container", Kind::Table(&CONTAINER), "gitlab-runner runs in a container"),
        Field::new("package", Kind::Table(&MANAGER_PACKAGE), "gitlab-runner runs as a service of the host"),
        Field::new(
            "config",
            Kind::Config(keys::GLOBAL),
            "config.toml's global section, in its own keys; with `exact: true` these are all, else others stay",
        ),
        Field::new("config_template", LOCAL_PATH, "template of the whole config.toml, on which `config` is laid"),
        Field::new(
            "unchecked_config",
            Kind::Unchecked(keys::GLOBAL),
            "keys that this release of rprov does not know; not checked",
        ),
        Field::new(
            "system_id",
            Kind::Text(Format::SystemId),
            "id of this runner manager in GitLab (r_… or s_…), written before the first start; default its own",
        ),
        Field::new(
            "unmanaged_runners",
            Kind::Word(&[word("keep"), word("remove")]),
            "[[runners]] that the inventory does not name: reported and kept, or removed; default keep",
        ),
    ],
    choices: &[Choice { of: &["container", "package"], required: true }],
};

static CONTAINER: Table = Table {
    title: "`manager.container`",
    fields: &[
        Field::new("name", Kind::Text(Format::DockerName), "container name; default gitlab-runner"),
        Field::required(
            "image",
            Kind::Text(Format::Image),
            "image by tag or digest, such as gitlab/gitlab-runner:v17.9.0",
        ),
        Field::new("config_dir", HOST_PATH, "directory of the host that holds config.toml"),
        Field::new(
            "config_volume",
            Kind::Text(Format::VolumeName),
            "named volume that holds config.toml; made if missing",
        ),
        Field::new("mounts", Kind::List(&Kind::Text(Format::Mount)), "further mounts, as `docker run -v` takes them"),
        Field::new("env", Kind::TextsOrSecrets(Format::EnvName), "environment variables"),
        Field::new("labels", Kind::Texts(Format::LabelKey, Format::Any), "labels"),
        Field::new("network", Kind::Text(Format::DockerName), "network; default bridge"),
        Field::new(
            "networks",
            Kind::List(&Kind::Text(Format::DockerName)),
            "several networks, which must be there; all but the first are joined and left in place",
        ),
        Field::new("ports", Kind::List(&Kind::Text(Format::Publish)), "published ports, as `docker run -p` takes them"),
        Field::new("extra_hosts", Kind::List(&Kind::Text(Format::ExtraHost)), "NAME:ADDRESS lines of /etc/hosts"),
        Field::new("dns", Kind::List(&Kind::Text(Format::IpAddress)), "name servers"),
        Field::new("restart", Kind::Text(Format::Restart), "restart policy, changed in place; default always"),
        Field::new(
            "stop_timeout",
            Kind::Text(Format::Duration(1, 7 * 86400)),
            "time that running jobs have to end when the container is stopped; default 2h",
        ),
        Field::new(
            "stop_signal",
            Kind::Word(&[word("SIGQUIT"), word("SIGTERM"), word("SIGINT")]),
            "signal that Docker itself stops it with; default SIGQUIT, which lets jobs end",
        ),
        Field::new(
            "memory",
            Kind::Text(Format::Bytes(LEAST_MEMORY)),
            "memory limit such as 512m or 2g, changed in place",
        ),
        Field::new(
            "memory_swap",
            Kind::Text(Format::SwapBytes),
            "memory and swap together, or -1 for no limit, changed in place; default twice the memory",
        ),
        Field::new("cpus", Kind::Text(Format::Cpus), "processors such as 1.5, changed in place"),
        Field::new("cpu_shares", Kind::Integer(2, 262_144), "weight beside other containers, changed in place"),
        Field::new("cpuset_cpus", Kind::Text(Format::Cpuset), "processors by number such as 0-3, changed in place"),
        Field::new("pids_limit", Kind::Integer(1, 4_194_304), "processes and threads at most, changed in place"),
        Field::new("shm_size", Kind::Text(Format::Bytes(LEAST_SHM)), "size of /dev/shm such as 256m"),
        Field::new(
            "ulimits",
            Kind::Texts(Format::UlimitName, Format::Ulimit),
            "limits as SOFT:HARD or one number for both, such as { nofile: 65536 }",
        ),
        Field::new("user", Kind::Text(Format::ContainerUser), "user inside, or user:group; default the image's"),
        Field::new("hostname", Kind::Text(Format::HostName), "its own name inside"),
        Field::new("entrypoint", Kind::Text(Format::Line(4096)), "program that it starts; default the image's"),
        Field::new("command", Kind::List(&Kind::Text(Format::Any)), "arguments of that program; default the image's"),
        Field::new("init", Kind::Boolean, "Docker's own init as its first process"),
        Field::new("read_only", Kind::Boolean, "its root file system cannot be written; default false"),
        Field::new("privileged", Kind::Boolean, "all privileges on the host; default false"),
        Field::new("cap_add", Kind::List(&Kind::Text(Format::Capability)), "further capabilities, such as NET_ADMIN"),
        Field::new("cap_drop", Kind::List(&Kind::Text(Format::Capability)), "capabilities that it does not get"),
        Field::new(
            "security_opt",
            Kind::List(&Kind::Text(Format::Line(4096))),
            "as `docker run --security-opt` takes them, such as no-new-privileges",
        ),
        Field::new("devices", Kind::List(&Kind::Text(Format::Device)), "as `docker run --device` takes them"),
        Field::new("gpus", Kind::Text(Format::Gpus), "as `docker run --gpus` takes it: all, a number, device=0,1"),
        Field::new(
            "log_driver",
            Kind::Text(Format::DockerName),
            "log driver, such as local; default Docker's, which is not compared",
        ),
        Field::new("log_options", Kind::Texts(Format::LabelKey, Format::Any), "its options, such as { max-size: 10m }"),
    ],
    choices: &[
        Choice { of: &["config_dir", "config_volume"], required: true },
        Choice { of: &["network", "networks"], required: false },
    ],
};

static REGISTRY: Table = Table {
    title: "a registry",
    fields: &[
        Field::required(
            "host",
            Kind::Text(Format::RegistryHost),
            "its name as in image references; docker.io for Docker Hub",
        ),
        Field::new("username", Kind::Text(Format::Line(255)), "user who pulls"),
        Field::new(
            "password",
            Kind::Secret,
            "password or token, asked for only where an image comes from this registry",
        ),
        Field::new("ca_file", LOCAL_PATH, "PEM file of its private certificate authority"),
    ],
    choices: &[],
};

static CLEANUP: Table = Table {
    title: "`cleanup`",
    fields: &[
        Field::required("schedule", Kind::Text(Format::Cron), "cron expression, such as \"0 4 * * *\""),
        Field::new("builds_dirs", Kind::OneOrList(&HOST_PATH), "where job directories lie; default /builds"),
        Field::new("job_dir_pattern", Kind::Text(Format::DirPattern), "names of job directories; default gitlab-job-*"),
        Field::new(
            "builds_older_than",
            Kind::Text(Format::Duration(60, YEAR)),
            "job directories untouched for so long are removed; default 1h",
        ),
        Field::new("prune_volumes", Kind::Boolean, "remove volumes that no container uses; default false"),
        Field::new("prune_compose", Kind::Boolean, "remove compose stacks that ended jobs left; default true"),
        Field::new("healthcheck", Kind::Secret, "URL to ping at start, success and failure"),
    ],
    choices: &[],
};

static FIREWALL: Table = Table {
    title: "`firewall`",
    fields: &[
        Field::required("ssh_from", Kind::OneOrList(&Kind::Text(Format::Cidr)), "networks that may reach sshd"),
        Field::new("ssh_port", Kind::Integer(1, 65535), "sshd's port; default `ssh.port`"),
        Field::new("allow", Kind::List(&Kind::Table(&ALLOW)), "further ports, those of containers among them"),
        Field::new("jobs", Kind::Table(&JOBS), "what jobs may reach; default everything"),
    ],
    choices: &[],
};

static JOBS: Table = Table {
    title: "`firewall.jobs`",
    fields: &[
        Field::new(
            "deny",
            Kind::OneOrList(&Kind::Text(Format::DeniedNet)),
            "networks that jobs do not reach; `internal` for all private ones; default none",
        ),
        Field::new(
            "metadata",
            Kind::Word(&[word("deny"), word("allow")]),
            "what clouds serve at 169.254.169.254 and its like; default deny",
        ),
        Field::new("allow", Kind::List(&Kind::Table(&REACH)), "exceptions, of `deny` and of the host itself"),
    ],
    choices: &[],
};

static REACH: Table = Table {
    title: "an entry of `firewall.jobs.allow`",
    fields: &[
        Field::required("to", Kind::OneOrList(&Kind::Text(Format::Cidr)), "addresses or networks"),
        Field::new("port", Kind::Text(Format::Ports), "a port, or a range such as 8000-8010; default all"),
        Field::new("protocol", Kind::Word(&[word("tcp"), word("udp")]), "of that port; default tcp"),
    ],
    choices: &[],
};

static ALLOW: Table = Table {
    title: "an entry of `firewall.allow`",
    fields: &[
        Field::new("port", Kind::Text(Format::Ports), "a port, or a range such as 8000-8010"),
        Field::new(
            "protocol",
            Kind::Word(&[
                word("tcp"),
                word("udp"),
                word("gre"),
                word("esp"),
                word("ah"),
                word("ipip"),
                word("sit"),
                word("l2tp"),
                word("vrrp"),
            ]),
            "of that port, or one of a tunnel, which has no port; default tcp",
        ),
        Field::new("from", Kind::OneOrList(&Kind::Text(Format::Cidr)), "networks that may reach it; default everyone"),
    ],
    choices: &[],
};
