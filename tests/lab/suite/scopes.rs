//! Runners of every scope on one host, on an old and a new GitLab: each attribute set back in place wherever it drifted, and
//! what the API token cannot do told before anything is done.

use gitlab_double::{PersonalToken, Project, Runner};

use super::gitlab::API_TOKEN;
use super::rprov::Outcome;
use super::world::World;

const SPECS: &str = "  platform:
    scope: { group: acme/platform }
    description: for the platform
    tags: [platform]
    paused: false
    locked: false
    run_untagged: false
    protected: true
    maximum_timeout: 1h
    note: Ask the platform team.
    config: { executor: shell }
  app:
    scope: { project: acme/platform/app }
    description: for the app
    tags: [app]
    run_untagged: false
    protected: false
    maximum_timeout: 2h
    note: Ask the app team.
    locked: true
    paused: true
    projects: [acme/other, acme/platform/web]
    config: { executor: shell }

defaults:
";

/// What somebody does to a record, and the attribute of the inventory that shows it.
type Drift = (&'static str, fn(&mut Runner));

const DRIFTS: [Drift; 8] = [
    ("description", |r| r.description = Some("mine".to_owned())),
    ("tags", |r| r.tag_list = vec!["mine".to_owned()]),
    ("protected", |r| {
        let other = if r.access_level == "ref_protected" { "not_protected" } else { "ref_protected" };
        r.access_level = other.to_owned();
    }),
    ("run_untagged", |r| r.run_untagged = !r.run_untagged),
    ("paused", |r| r.paused = !r.paused),
    ("locked", |r| r.locked = !r.locked),
    ("maximum_timeout", |r| r.maximum_timeout = Some(86_400)),
    ("note", |r| {
        let note = r.maintenance_note.clone().unwrap_or_default();
        r.maintenance_note = Some(format!("hands off\n{}", note.lines().last().unwrap_or_default()));
    }),
];

/// One host with runners of the instance, of a subgroup and of a project.
fn world(version: &str) -> Option<World> {
    let world = World::bare()?;
    world.gitlab.set_version(version);
    world.gitlab.edit(|state| {
        for (id, path, group_id) in [(22, "acme/platform/app", 11), (23, "acme/platform/web", 11)] {
            state.projects.push(Project { id, path: path.to_owned(), group_id });
        }
    });
    world.edit_inventory("defaults:\n", SPECS);
    world.edit_inventory("    run_untagged: true\n", "    run_untagged: true\n    locked: false\n");
    world.edit_inventory("  runners: [docker]", "  runners: [docker, platform, app]");
    Some(world)
}

fn runners(world: &World) -> Vec<Runner> {
    world.gitlab.state().runners.into_values().collect()
}

/// As text, to compare.
fn text(runners: &[Runner]) -> String {
    serde_json::to_string_pretty(runners).expect("records serialise")
}

#[test]
fn every_attribute_of_every_scope_on_an_old_and_a_new_gitlab() {
    let Some(world) = world("16.0.0-ee") else { return };
    world.apply();
    let before = runners(&world);
    let of = |kind: &str| before.iter().find(|r| r.runner_type == kind).unwrap_or_else(|| panic!("no {kind}"));
    let (instance, group, project) = (of("instance_type"), of("group_type"), of("project_type"));
    assert_eq!((before.len(), group.group_id), (3, Some(11)));
    assert_eq!((project.project_ids.as_slice(), project.locked), (&[22, 21, 23][..], true));
    let ids = [(instance.id, "docker"), (group.id, "platform"), (project.id, "app")];
    for version in ["16.0.0-ee", "19.3.0-ee"] {
        world.gitlab.set_version(version);
        world.assert_converged(version);
        let apart = if version.starts_with("16") { "it is newer than GitLab" } else { "it is a major version behind" };
        let notes = world.plan().notes();
        assert!(notes.len() == 1 && notes[0].contains(apart), "{version}: {notes:#?}");
        if version.starts_with("16") {
            all_at_once(&world, &before);
            continue;
        }
        for (attribute, drift) in DRIFTS {
            world.gitlab.edit(|state| state.runners.values_mut().for_each(drift));
            let lines = world.plan().lines();
            let shown = |id: u64, name: &str| {
                let line = format!("change runner record #{id} {name}: {attribute}");
                lines.iter().any(|is| *is == line || is.starts_with(&format!("{line} (")))
            };
            let all = ids.iter().all(|(id, name)| shown(*id, name));
            assert!(lines.len() == 3 && all, "{version}: {attribute}: {lines:#?}");
            world.gitlab.forget_requests();
            world.apply();
            let puts: Vec<String> = ids.iter().map(|(id, _)| format!("PUT /api/v4/runners/{id}")).collect();
            assert_eq!(world.gitlab.mutations(), puts, "{version}: {attribute}");
            assert_eq!(text(&runners(&world)), text(&before), "{version}: {attribute} is not what it was");
        }
        // The projects that it works for; the lock is opened for it and closed again.
        world.gitlab.edit(|state| {
            let runner = state.runners.get_mut(&project.id).expect("it is there");
            runner.project_ids = vec![22, 20, 21];
        });
        let lines = world.plan().lines();
        assert!(lines.len() == 1 && lines[0].contains("app: projects"), "{version}: {lines:#?}");
        world.gitlab.forget_requests();
        world.apply();
        let id = project.id;
        assert_eq!(
            world.gitlab.mutations(),
            [
                format!("PUT /api/v4/runners/{id}"),
                "POST /api/v4/projects/acme%2Fplatform%2Fweb/runners".to_owned(),
                format!("DELETE /api/v4/projects/acme%2Fapp/runners/{id}"),
                format!("PUT /api/v4/runners/{id}"),
            ],
            "{version}"
        );
        assert_eq!(text(&runners(&world)), text(&before), "{version}: its projects are not what they were");
        // Nothing is left, and finding that out changes nothing and asks little.
        world.gitlab.forget_requests();
        world.apply();
        assert_eq!(world.gitlab.mutations(), Vec::<String>::new(), "{version}");
        let asked: Vec<String> = world.gitlab.requests().iter().map(|e| format!("{} {}", e.method, e.path)).collect();
        // The lists of three scopes, the record that works for several projects, one variable, the token and GitLab's version.
        assert_eq!(asked.len(), 7, "{version}: {asked:#?}");
    }
    renamed(&world, &before);
}

/// Every attribute of every runner at the same time: one call each.
fn all_at_once(world: &World, before: &[Runner]) {
    world.gitlab.edit(|state| {
        for runner in state.runners.values_mut() {
            DRIFTS.iter().for_each(|(_, drift)| drift(runner));
        }
    });
    let lines = world.plan().lines();
    assert!(
        lines.len() == 3 && lines.iter().all(|line| DRIFTS.iter().all(|(name, _)| line.contains(name))),
        "{lines:#?}"
    );
    world.gitlab.forget_requests();
    world.apply();
    assert_eq!(world.gitlab.mutations().len(), 3);
    assert_eq!(text(&runners(world)), text(before), "the records are not what they were");
}

/// The host gets another name in the inventory: its runners come with it.
fn renamed(world: &World, before: &[Runner]) {
    let name = world.host().inventory_name();
    world.edit_inventory(&format!("  {name}: {{"), "  renamed.lab.test: {");
    let plan = world.plan();
    assert!(!plan.lines().iter().any(|line| line.starts_with("add ")), "{:#?}", plan.lines());
    world.apply();
    let after = runners(world);
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(before) {
        assert_eq!((after.id, &after.token), (before.id, &before.token));
        assert!(after.maintenance_note.as_ref().is_some_and(|note| note.contains("host=renamed.lab.test")));
    }
    world.assert_converged("after the host was renamed");
}

/// Gives the API token other scopes and another owner.
fn token(world: &World, scopes: &[&str], user_id: u64) {
    world.gitlab.edit(|state| {
        let token: &mut PersonalToken =
            state.tokens.iter_mut().find(|token| token.token == API_TOKEN).expect("it is there");
        token.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        token.user_id = user_id;
    });
}

#[test]
fn a_token_that_is_not_enough_is_refused_before_anything_is_done() {
    let Some(world) = world("17.9.0-ee") else { return };
    world.edit_inventory("  runners: [docker, platform, app]", "  runners: [platform, app]");
    let untouched = world.host().snapshot();
    let refused = |outcome: &Outcome, words: &[&str]| {
        let text = format!("{}{}", outcome.out, outcome.err).split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(text.contains(word), "{word:?} is not said:\n{outcome}");
        }
    };
    let attempt = |words: &[&str]| {
        world.gitlab.forget_requests();
        let outcome = world.run("apply", &["--yes"]);
        assert_ne!(outcome.code, Some(0), "{outcome}");
        refused(&outcome, words);
        // Whoever only looks gets a warning, and sees the plan all the same, unless nothing can be seen.
        let outcome = world.run("plan", &["--out", "looked.json"]);
        refused(&outcome, words);
        let said = outcome.both();
        let looks = said.contains("enough to look, not to apply") && !said.contains("403 Forbidden");
        assert_eq!(outcome.code == Some(0), looks, "{outcome}");
        if looks {
            let outcome = world.run("apply", &["looked.json"]).expect(3);
            refused(&outcome, words);
        }
        assert_eq!(world.gitlab.mutations(), Vec::<String>::new(), "{words:?}");
    };
    token(&world, &["read_api"], 1);
    attempt(&["lacks `api` for", "POST /user/runners", "it has the scope `read_api`"]);
    token(&world, &["api"], 2);
    // A Developer of the group does not even see its runners.
    attempt(&["403 Forbidden"]);
    world.gitlab.edit(|state| state.users[1].group_roles = [(10, 40)].into());
    attempt(&["is Maintainer in group acme/platform, and POST /user/runners needs Owner"]);
    token(&world, &["api"], 3);
    world.edit_inventory("projects: [acme/other, acme/platform/web]", "projects: [acme/othr]");
    attempt(&["`acme/othr`, and GitLab has no such project"]);
    assert!(untouched.differences(&world.host().snapshot(), &[]).is_empty(), "something was done on the host");
    // The Owner of the group may do all of it, and is warned in time that the token ends.
    world.edit_inventory("projects: [acme/othr]", "projects: [acme/other]");
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let day = tomorrow.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    world.gitlab.edit(|state| {
        state.instance_variables.clear();
        state.tokens.iter_mut().for_each(|token| token.expires_at = Some(day.clone()));
    });
    let text = world.inventory();
    let from = text.find("  variables:").expect("it has variables");
    let to = text.find("\nrunners:").expect("it has runners");
    world.write_inventory(&format!("{}{}", &text[..from], &text[to..]));
    let outcome = world.apply();
    refused(&outcome, &["the token ends tomorrow", "gitlab.api_token"]);
    assert_eq!(runners(&world).len(), 2);
    world.assert_converged("by the Owner's token");
}
