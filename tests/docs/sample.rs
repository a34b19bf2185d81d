//! The plan that the README shows, drawn by the program itself. What is made up is what the hosts are like now.

use rprov::diagnostic::Span;
use rprov::plan::{Action, Attr, Change, Effect, HostPlan, Note, Plan, RunnerView, SealedPlan, Verdict};
use rprov::ui::{plan_human, style::Look};

/// Columns of the block.
const WIDTH: usize = 112;

/// The plan of the README's inventory, as text.
pub(crate) fn plan(inventory: &str) -> String {
    let inventory = Inventory(inventory);
    let mut daemon = inventory.change("docker daemon", "/etc/docker/daemon.json", Effect::KillsJobs, "daemon:");
    daemon.service = Some("docker".to_owned());
    daemon.attrs = vec![attr("default-address-pools[0].base", Some("\"172.17.0.0/16\""), Some("\"10.201.0.0/16\""))];
    let mut record = inventory.change("runner record", "#42 docker", Effect::None, "tags: [docker, production]");
    record.attrs = vec![attr("tags", Some("[docker]"), Some("[docker, production]"))];
    let mut config = inventory.change(
        "runner config",
        "/srv/gitlab-runner/config.toml",
        Effect::RunnerReload,
        "config: { concurrent",
    );
    config.attrs = vec![
        attr("concurrent", Some("10"), Some("100")),
        attr("runners.docker.docker.pull_policy", None, Some("\"always\"")),
    ];
    let mut package = inventory.change("package", "git", Effect::None, "git]");
    package.action = Action::Add;
    package.attrs = vec![attr("git", None, Some("(latest)"))];
    let ci = HostPlan {
        name: "ci.example.com".to_owned(),
        summary: ["debian 12", "docker 20.10.24", "runner 17.9.0"].map(str::to_owned).to_vec(),
        jobs: Some(3),
        changes: vec![package, daemon, record, config],
        notes: vec![Note {
            about: "runner config /srv/gitlab-runner/config.toml".to_owned(),
            message: "hand-made runner \"old builder\" (#7) is kept".to_owned(),
        }],
        problems: Vec::new(),
        runners: vec![
            RunnerView::new(
                "docker",
                Some(42),
                Verdict::Differs,
                "in GitLab: tags; in config.toml: docker.pull_policy",
            ),
            RunnerView::new("old builder", Some(7), Verdict::OnlyOnHost, "hand-made"),
        ],
        ..HostPlan::default()
    };
    let gpu = HostPlan { name: "gpu-1.example.com".to_owned(), jobs: Some(0), ..HostPlan::default() };
    plan_human::render(&SealedPlan::saved(Plan { hosts: vec![ci, gpu] }), Look::plain(WIDTH))
}

struct Inventory<'a>(&'a str);

impl Inventory<'_> {
    /// A change that this text of the inventory asks for.
    fn change(&self, kind: &str, name: &str, effect: Effect, asked_by: &str) -> Change {
        let found = self.0.lines().enumerate().find_map(|(number, line)| Some((number + 1, line.find(asked_by)? + 1)));
        let (line, column) = found.unwrap_or_else(|| panic!("the README's inventory has no `{asked_by}`"));
        Change {
            kind: kind.to_owned(),
            name: name.to_owned(),
            action: Action::Change,
            reason: None,
            attrs: Vec::new(),
            text: None,
            effect,
            service: None,
            origin: Some(Span { file: "prod.yml".into(), line, column }),
            steps: Vec::new(),
        }
    }
}

fn attr(path: &str, old: Option<&str>, new: Option<&str>) -> Attr {
    Attr::new(path, old.map(str::to_owned), new.map(str::to_owned))
}
