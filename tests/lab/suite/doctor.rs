//! `rprov doctor`: what would stop a run is reported with what fixes it, and fixing it makes it well.

use super::world::World;

/// The findings of a part as `LEVEL ABOUT`, and everything that was said.
fn findings(world: &World, code: i32, part: &str) -> (Vec<String>, String) {
    let outcome = world.run("doctor", &["--format", "json"]).expect(code);
    let json: serde_json::Value = serde_json::from_str(&outcome.out).unwrap_or_else(|e| panic!("{e}: {outcome}"));
    let parts = json["parts"].as_array().expect("parts");
    let part = parts.iter().find(|one| one["name"] == part).unwrap_or_else(|| panic!("no {part}: {outcome}"));
    let words = |finding: &serde_json::Value| {
        format!("{} {}", finding["level"].as_str().expect("a level"), finding["about"].as_str().expect("a word"))
    };
    let all = part["findings"].as_array().expect("findings").iter().map(words).collect();
    (all, part.to_string())
}

#[test]
fn what_stops_a_run_is_told_and_mended() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    let (name, gitlab) = (host.inventory_name(), world.gitlab.url().to_owned());
    let before = host.snapshot();
    world.gitlab.forget_requests();

    // A bare host: nothing is there yet, and nothing would stop a run.
    let (found, said) = findings(&world, 0, &name);
    for well in [
        "well ssh",
        "well root",
        "well system",
        "well clock",
        "well gitlab",
        "well registry",
        "well docker",
        "well firewall",
    ] {
        assert!(found.contains(&well.to_owned()), "not {well}: {said}");
    }
    assert!(said.contains("an apply installs it"), "{said}");
    assert_eq!(before.differences(&host.snapshot(), &[]), Vec::<String>::new(), "an examination changed the host");
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new());
    // A registry that speaks no TLS is noticed before an apply meets it, without curl on the host and with it.
    let allowed = format!("insecure-registries: [\"{}\"]", world.lab.setting("LAB_REGISTRY"));
    let no_tls = |when: &str| {
        world.edit_inventory(&allowed, "insecure-registries: []");
        let (found, said) = findings(&world, 3, &name);
        let told = found.contains(&"stops registry".to_owned()) && said.contains("speaks no TLS");
        assert!(told && said.contains("plain HTTP is allowed by"), "{when}: {said}");
        world.edit_inventory("insecure-registries: []", &allowed);
    };
    no_tls("without curl");
    world.apply();
    no_tls("with curl");
    // The stand-in for gitlab-runner never speaks to GitLab.
    let (found, said) = findings(&world, 0, &name);
    let fine = |finding: &String| finding.starts_with("well") || finding == "risk disk" || finding == "risk runner";
    assert!(found.iter().all(fine) && found.contains(&"risk runner".to_owned()), "{said}");
    assert!(said.contains("has never asked GitLab for a job") && said.contains("docker logs"), "{said}");
    let now = jiff::Timestamp::now().to_string();
    world.gitlab.edit_runner(|runner| runner.contacted_at = Some(now));
    let (found, said) = findings(&world, 0, &name);
    assert!(found.contains(&"well runner".to_owned()) && said.contains("is online"), "{said}");
    host.sh("docker stop gitlab-runner >/dev/null");
    let (found, said) = findings(&world, 0, &name);
    assert!(found.contains(&"risk manager".to_owned()) && said.contains("gitlab-runner is stopped"), "{said}");
    host.sh("docker start gitlab-runner >/dev/null");
    let (found, said) = findings(&world, 0, &gitlab);
    assert_eq!(found[0], "well token", "{said}");

    // Each thing alone.
    let registry = world.lab.setting("LAB_REGISTRY").to_owned();
    let (address, port) = registry.split_once(':').expect("a port");
    for (break_it, mend, wanted, word) in [
        (
            format!(
                "nft add table inet block; nft 'add chain inet block out {{ type filter hook output priority -5; }}'; nft add rule inet block out ip daddr {address} tcp dport {port} reject"
            ),
            "nft delete table inet block".to_owned(),
            "stops registry",
            "cannot be reached",
        ),
        (
            "systemctl stop docker.socket docker".to_owned(),
            "systemctl start docker".to_owned(),
            "risk docker",
            "an apply starts it",
        ),
    ] {
        host.sh(&break_it);
        let code = if wanted.starts_with("stops") { 3 } else { 0 };
        let (found, said) = findings(&world, code, &name);
        assert!(found.contains(&wanted.to_owned()) && said.contains(word), "not {wanted}: {said}");
        host.sh(&mend);
        findings(&world, 0, &name);
    }

    // A token that GitLab no longer takes, and one that can do too little.
    let tokens = |change: &dyn Fn(&mut gitlab_double::PersonalToken)| {
        world.gitlab.edit(|state| state.tokens.iter_mut().for_each(change));
    };
    tokens(&|token| token.expired = true);
    let (found, said) = findings(&world, 3, &gitlab);
    assert_eq!(found, ["stops token"], "{said}");
    assert!(said.contains("does not take the API token, from the environment variable GITLAB_TOKEN"), "{said}");
    let (found, said) = findings(&world, 3, &name);
    assert!(!found.iter().any(|finding| finding.starts_with("stops")), "told of the host again: {said}");
    let text = world.run("doctor", &[]).expect(3).out;
    assert!(text.contains("STOP  token") && text.contains("help: "), "{text}");
    tokens(&|token| token.expired = false);
    tokens(&|token| token.scopes = vec!["read_api".to_owned()]);
    let (found, said) = findings(&world, 3, &gitlab);
    assert!(found.contains(&"stops rights".to_owned()) && said.contains("GitLab has no smaller one"), "{said}");

    // Nobody is there.
    host.sh("systemctl stop ssh.socket ssh");
    let (found, said) = findings(&world, 3, &name);
    assert_eq!(found, ["stops ssh"], "{said}");
}
