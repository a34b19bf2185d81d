//! The format as it is frozen, and that the manual names all of it.

use super::*;
use crate::inventory::model::{ContainerOptions, Login, Owner};
use crate::name::RemotePath;
use crate::plan::Plan;
use crate::secret::SecretId;
use crate::step::{
    Check, CreateContainer, GitlabStep, RunnerAttributes, Step, TriedBy, UnitAction, UpdateContainer, WriteFile,
};
use crate::text::Text;

fn path(text: &str) -> RemotePath {
    RemotePath::new(text).unwrap()
}

fn content() -> Text {
    let mut text = Text::plain("ping ");
    text.push_secret(SecretId::new("env:HEALTHCHECK_URL"));
    text.push(" token = \"");
    text.push_escaped(SecretId::runner_token("ci.example.com", "docker"));
    text.push("\"\n");
    text
}

const VERDICTS: [Verdict; 8] = [
    Verdict::InSync,
    Verdict::OnlyInInventory,
    Verdict::Differs,
    Verdict::DeletedInGitlab,
    Verdict::OnlyInGitlab,
    Verdict::OnlyOnHost,
    Verdict::SameToken,
    Verdict::Unknown,
];

/// Every kind of step once.
pub(in crate::plan) fn steps() -> Vec<Step> {
    let token = SecretId::runner_token("ci.example.com", "docker");
    let owner = Owner::default();
    vec![
        Step::InstallPackages(vec!["docker.io=20.10.24".to_owned(), "curl".to_owned()]),
        Step::RemovePackages(vec!["telnetd".to_owned()]),
        Step::Directory { path: path("/srv/gitlab-runner"), mode: 0o700, owner: owner.clone() },
        Step::WriteFile(WriteFile {
            keep_previous: false,
            path: path("/etc/docker/daemon.json"),
            content: content(),
            mode: 0o644,
            owner: owner.clone(),
            check: Some(Check::Dockerd),
            replaces: Some("ab".repeat(32)),
            restarts: None,
            displaces: None,
        }),
        Step::Attributes { path: path("/etc/x"), mode: 0o4755, owner, holds: None },
        Step::RemoveFile(path("/etc/old")),
        Step::RemoveDirectory(path("/srv/old")),
        Step::Unit { unit: "docker.service".to_owned(), action: UnitAction::Restart },
        Step::PullImage("debian:12".to_owned()),
        Step::CreateContainer(Box::new(CreateContainer {
            name: "gitlab-runner".to_owned(),
            image: "gitlab/gitlab-runner:v17.9.0".to_owned(),
            mounts: vec!["/var/run/docker.sock:/var/run/docker.sock".to_owned()],
            beside: true,
            env: [
                ("TZ".to_owned(), Text::plain("UTC")),
                ("PROXY".to_owned(), Text::secret(SecretId::new("env:PROXY"))),
            ]
            .into(),
            labels: [("rprov".to_owned(), "1".to_owned())].into(),
            networks: vec!["bridge".to_owned(), "ci".to_owned()],
            options: ContainerOptions { memory: Some(1 << 30), init: Some(true), ..ContainerOptions::default() },
            ports: vec!["9252:9252".to_owned()],
            extra_hosts: vec!["gitlab:10.0.0.1".to_owned()],
            restart: "always".to_owned(),
            stop_timeout: 7200,
        })),
        Step::PullImageAs {
            image: "registry.example.com/x:1".to_owned(),
            login: Login {
                registry: "registry.example.com".to_owned(),
                username: "ci".to_owned(),
                password: SecretId::new("env:REGISTRY_PASSWORD"),
            },
        },
        Step::CreateVolume("gitlab-runner-config".to_owned()),
        Step::UpdateContainer(Box::new(UpdateContainer {
            name: "gitlab-runner".to_owned(),
            limits: [("memory".to_owned(), "1073741824".to_owned())].into(),
            connect: vec!["ci".to_owned()],
            disconnect: vec!["old".to_owned()],
        })),
        Step::PromoteContainer { name: "gitlab-runner".to_owned(), restart: "always".to_owned() },
        Step::StartContainer("gitlab-runner".to_owned()),
        Step::RemoveContainer { name: "gitlab-runner".to_owned(), stop_timeout: 60, volumes: true },
        Step::RestartContainer { name: "gitlab-runner".to_owned(), stop_timeout: 60 },
        Step::LoadRuleset(path("/etc/nftables.d/rprov.nft")),
        Step::GuardRuleset {
            table: "inet rprov".to_owned(),
            ruleset: "table inet rprov {\n}\n".to_owned(),
            seconds: 60,
        },
        Step::GuardAccess { paths: vec![path("/etc/ssh/sshd_config.d/a.conf")], seconds: 60 },
        Step::TryAccess { sshd: Some(UnitAction::Reload), sudo: false, by: TriedBy::Connection },
        Step::UpdateCaCertificates { fresh: true },
        Step::Gitlab(GitlabStep::CreateRunner {
            token: token.clone(),
            runner_type: "group_type".to_owned(),
            namespace: Some("acme/platform".to_owned()),
            attributes: RunnerAttributes {
                description: Some("ci".to_owned()),
                tag_list: Some(vec!["docker".to_owned()]),
                run_untagged: Some(true),
                locked: Some(false),
                access_level: Some("not_protected".to_owned()),
                paused: Some(false),
                maximum_timeout: Some(Some(7200)),
                maintenance_note: Some("note".to_owned()),
            },
        }),
        Step::Gitlab(GitlabStep::ResetToken { id: 42, token: token.clone() }),
        Step::Gitlab(GitlabStep::ProveToken {
            id: 42,
            token: token.clone(),
            system_id: RemotePath::new("/srv/gitlab-runner/.runner_system_id").unwrap(),
        }),
        Step::Gitlab(GitlabStep::CheckUnused {
            of: None,
            token: SecretId::new("kept-token:a/1"),
            system_id: RemotePath::new("/srv/gitlab-runner/.runner_system_id").unwrap(),
        }),
        Step::Gitlab(GitlabStep::UpdateRunner {
            id: Some(42),
            token: token.clone(),
            attributes: RunnerAttributes { maximum_timeout: Some(None), ..RunnerAttributes::default() },
            stamp_token: true,
        }),
        Step::Gitlab(GitlabStep::DeleteRunner { id: 42, mark: Some("[rprov host=a runner=b]".to_owned()) }),
        Step::Gitlab(GitlabStep::AssignProject { id: None, token, project: "acme/other".to_owned() }),
        Step::Gitlab(GitlabStep::UnassignProject { id: 42, project: "acme/old".to_owned() }),
        Step::Gitlab(GitlabStep::SetVariable {
            show: true,
            namespace: None,
            exists: false,
            key: "GIT_CLONE_PATH".to_owned(),
            value: content(),
            attributes: [("masked".to_owned(), serde_json::Value::Bool(true))].into(),
        }),
        Step::Gitlab(GitlabStep::DeleteVariable {
            namespace: Some(("groups".to_owned(), "acme".to_owned())),
            key: "OLD".to_owned(),
            environment_scope: Some("*".to_owned()),
        }),
    ]
}

fn plan() -> Plan {
    let change = Change {
        kind: "docker daemon".to_owned(),
        name: "/etc/docker/daemon.json".to_owned(),
        action: Action::Change,
        reason: Some("docker was not restarted since daemon.json changed".to_owned()),
        attrs: vec![Attr::new("live-restore", None, Some("true".to_owned()))],
        text: Some(TextChange { old: "{}\n".into(), new: "{\"live-restore\":true}\n".into() }),
        effect: Effect::KillsJobs,
        service: Some("docker".to_owned()),
        origin: Some(Span { file: "inventories/prod.yml".into(), line: 31, column: 7 }),
        steps: steps(),
    };
    let host = HostPlan {
        name: "ci.example.com".to_owned(),
        summary: vec!["debian 12".to_owned()],
        jobs: Some(3),
        changes: vec![change],
        notes: vec![Note { about: "runner \"old\"".to_owned(), message: "kept".to_owned() }],
        problems: vec![Problem { message: "m".to_owned(), help: Some("h".to_owned()), unknown_only: true }],
        runners: VERDICTS.into_iter().map(|verdict| RunnerView::new("docker", Some(42), verdict, "tags")).collect(),
        ..HostPlan::default()
    };
    let gitlab = HostPlan { name: "https://gitlab.example.com".to_owned(), ..HostPlan::default() };
    Plan { hosts: vec![gitlab, host] }
}

/// This snapshot is the contract: a difference in it that is more than an added field needs a new format.
#[test]
fn version_1_stays_as_it_is() {
    let plan = PlanV1 { rprov_version: "1.2.3".to_owned(), ..PlanV1::from(&plan()) };
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
}

/// Whoever has a digest of a file can try guesses at home: a PIN is found in no time. JSON goes into artifacts and to people.
#[test]
fn a_digest_says_no_more_than_the_text_beside_it() {
    use sha2::Digest as _;
    let hex = |text: &str| sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest = hex("PIN=4711\n");
    let json = |content: Text, shown: Option<&str>| {
        let mut plan = plan();
        let change = &mut plan.hosts[1].changes[0];
        change.text = shown.map(|old| TextChange { old: old.into(), new: "new\n".into() });
        change.steps.truncate(4);
        let Some(Step::WriteFile(file)) = change.steps.get_mut(3) else { panic!() };
        (file.replaces, file.content) = (Some(digest.clone()), content);
        serde_json::to_string(&PlanV1::from(&plan)).unwrap()
    };
    // Shown word for word: the digest adds nothing.
    assert!(json(Text::plain("new\n"), Some("PIN=4711\n")).contains(&digest));
    // A file that not everybody may read, one with a secret in it, one of which a part is hidden, config.toml.
    for (content, shown) in [
        (Text::plain("new\n"), None),
        (Text::secret(SecretId::new("env:PIN")), None),
        (Text::secret(SecretId::new("env:PIN")), Some("PIN=4711\n")),
        (Text::plain("new\n"), Some("PIN=(hidden)\n")),
        (content(), None),
    ] {
        let text = json(content, shown);
        assert!(!text.contains(&digest) && text.contains("\"replaces_sha256\":\"hidden\""), "{text}");
    }
}

#[test]
fn it_can_be_read_back() {
    let plan = PlanV1::from(&plan());
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<PlanV1>(&text).unwrap(), plan);
}

#[test]
fn the_manual_names_every_step_and_field() {
    let manual = include_str!("../../../docs/plan-json.md");
    let mut missing = Vec::new();
    let mut look = |name: &str| {
        if !manual.contains(&format!("`{name}`")) {
            missing.push(name.to_owned());
        }
    };
    fn walk(value: &serde_json::Value, look: &mut impl FnMut(&str)) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    // Names below these are the user's, Docker's or GitLab's.
                    if !["TZ", "rprov", "PROXY", "memory", "init"].contains(&key.as_str()) {
                        look(key);
                    }
                    if key == "do" || key == "verdict" {
                        look(value.as_str().unwrap());
                    }
                    if key != "attributes" || value.is_array() {
                        walk(value, look);
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, look)),
            _ => {}
        }
    }
    walk(&serde_json::to_value(PlanV1::from(&plan())).unwrap(), &mut look);
    assert_eq!(missing, Vec::<String>::new());
}
