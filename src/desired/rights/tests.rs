//! What a token can do and cannot, without a GitLab.

use super::*;
use crate::plan::{Action, Change, Effect};
use crate::secret::SecretId;
use crate::step::RunnerAttributes;

fn token() -> SecretId {
    SecretId::runner_token("ci.example.com", "docker")
}

fn plan(steps: Vec<GitlabStep>) -> HostPlan {
    let change = Change {
        kind: "runner record".to_owned(),
        name: "docker".to_owned(),
        action: Action::Add,
        reason: None,
        attrs: Vec::new(),
        text: None,
        effect: Effect::None,
        service: None,
        origin: None,
        steps: steps.into_iter().map(Step::Gitlab).collect(),
    };
    HostPlan { name: "ci.example.com".to_owned(), changes: vec![change], ..HostPlan::default() }
}

fn create(runner_type: &str, namespace: Option<&str>) -> GitlabStep {
    GitlabStep::CreateRunner {
        token: token(),
        runner_type: runner_type.to_owned(),
        namespace: namespace.map(str::to_owned),
        attributes: RunnerAttributes::default(),
    }
}

fn stamp() -> GitlabStep {
    GitlabStep::UpdateRunner { id: None, token: token(), attributes: RunnerAttributes::default(), stamp_token: true }
}

fn assign() -> GitlabStep {
    GitlabStep::AssignProject { id: None, token: token(), project: "acme/other".to_owned() }
}

fn scopes(names: &[&str]) -> Rights {
    Rights { scopes: Some(names.iter().map(|name| (*name).to_owned()).collect()), ..Rights::default() }
}

fn told(steps: Vec<GitlabStep>, rights: &Rights) -> Vec<String> {
    let needs = needs(&plan(steps), &Facts::default());
    let whole = |problem: Problem| format!("{} | {}", problem.message, problem.help.unwrap_or_default());
    lacking(&needs, rights).into_iter().map(whole).collect()
}

#[test]
fn the_smallest_set_is_named() {
    let new = || vec![create("instance_type", None), stamp()];
    assert_eq!(
        told(new(), &scopes(&["read_api"])),
        ["the token of `gitlab.api_token` lacks `create_runner` and `manage_runner` for POST /user/runners and PUT \
          /runners/:id: it has the scope `read_api` | make a token with the scopes `create_runner`, `manage_runner` and \
          `read_api`, the fewest that do (`manage_runner` is there from GitLab 17.1 on), or with `api`"]
    );
    assert_eq!(
        told(new(), &scopes(&["create_runner", "read_api"]))[0].split(" | ").next().unwrap(),
        "the token of `gitlab.api_token` lacks `manage_runner` for PUT /runners/:id: it has the scopes `create_runner` and \
         `read_api`"
    );
    assert_eq!(
        told(vec![create("project_type", Some("acme/app")), assign()], &scopes(&["manage_runner", "read_api"])),
        [
            "the token of `gitlab.api_token` lacks `api` for POST /projects/:id/runners and POST /user/runners: it has the \
          scopes `manage_runner` and `read_api` | make a token with the scope `api`: GitLab has no smaller one for CI/CD variables and for \
          `projects`"
        ]
    );
    for enough in [&["api"][..], &["create_runner", "manage_runner", "read_api"]] {
        assert_eq!(told(new(), &scopes(enough)), Vec::<String>::new());
    }
    // What GitLab does not say stops nothing.
    assert_eq!(told(vec![create("instance_type", None), assign()], &Rights::default()), Vec::<String>::new());
}

#[test]
fn who_the_owner_is() {
    let with = |admin, levels: &[(Scope, u64)]| Rights {
        admin: Some(admin),
        levels: levels.iter().cloned().collect(),
        ..scopes(&["api"])
    };
    let acme = || Scope::Group("acme".to_owned());
    let instance = || vec![create("instance_type", None), stamp()];
    assert_eq!(told(instance(), &with(true, &[])), Vec::<String>::new());
    assert_eq!(
        told(instance(), &with(false, &[])),
        [
            "the owner of `gitlab.api_token` is no administrator, and POST /user/runners needs an administrator | use a token \
          of an administrator, or give the runners a group or project as scope"
        ]
    );
    let group = || vec![create("group_type", Some("acme"))];
    assert_eq!(
        told(group(), &with(false, &[(acme(), 40)])),
        [
            "the owner of `gitlab.api_token` is Maintainer in group acme, and POST /user/runners needs Owner | use a token of \
          a user who is Owner there, or of an administrator"
        ]
    );
    assert_eq!(told(group(), &with(false, &[(acme(), 50)])), Vec::<String>::new());
    // Not a member by GitLab's words, perhaps one by way of a share: GitLab decides.
    assert_eq!(told(group(), &with(false, &[])), Vec::<String>::new());
    let project = Scope::Project("acme/other".to_owned());
    assert_eq!(told(vec![assign()], &with(false, &[(project.clone(), 40)])), Vec::<String>::new());
    assert_eq!(told(vec![assign()], &with(false, &[(project, 30)])).len(), 1);
}

#[test]
fn tokens_that_end() {
    let note = |expires: &str| ending(expires.parse().unwrap(), "2026-11-23".parse().unwrap()).map(|note| note.message);
    assert_eq!(note("2026-12-08"), None);
    let end = "make a new one before rprov is needed again";
    assert_eq!(note("2026-12-07").unwrap(), format!("the token ends in 14 days, on 2026-12-07 at 00:00 UTC: {end}"));
    assert_eq!(note("2026-11-24").unwrap(), format!("the token ends tomorrow, on 2026-11-24 at 00:00 UTC: {end}"));
    assert_eq!(note("2027-01-05"), None, "more than a month is not a day");
    assert!(note("2026-11-22").unwrap().contains("has ended"));
}

#[test]
fn versions_far_apart() {
    let note =
        |runner: &str, gitlab: &str| apart(runner.parse().unwrap(), &["a", "b"], gitlab).map(|note| note.message);
    assert_eq!(note("17.9", "17.9.2-ee"), None);
    assert_eq!(note("17.1", "17.11.0"), None);
    assert!(note("17.10", "17.9.0-ee").unwrap().contains("newer than GitLab, which is 17.9"));
    assert!(note("17.9", "18.0.0").unwrap().contains("a major version behind"));
    assert!(note("15.9", "15.9.0").unwrap().contains("GitLab 16.0 and newer"));
    assert_eq!(note("17.9", "of the day"), None);
    let about = |hosts: &[&str]| apart("18.0".parse().unwrap(), hosts, "17.9.0").unwrap().about;
    assert_eq!(about(&["a", "b"]), "gitlab-runner 18.0 on a and b");
    assert_eq!(about(&["a", "b", "c", "d", "e"]), "gitlab-runner 18.0 on a, b, c and 2 more");
}

/// A token for an inventory that only takes a runner away needs no right to make one.
#[test]
fn what_is_to_be_absent_is_not_made() {
    let text = "gitlab: { url: https://gitlab.example.com, api_token: { env: T } }\n\
                runners: { old: { scope: instance, state: absent, config: { executor: shell } } }\n\
                hosts: { a: { runners: [old], manager: { package: { version: 17.9.0 } } } }\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("inventory.yml");
    std::fs::write(&file, text).unwrap();
    let inventory = crate::inventory::load(&file).unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics));
    let calls: Vec<&str> = of_inventory(&inventory).iter().map(|need| need.call).collect();
    assert_eq!(calls, ["DELETE /runners/:id"]);
}
