//! The image of gitlab-runner from a registry that asks who is there, with a certificate of its own authority.

use super::inventory;
use super::lab::script;
use super::world::World;

const PASSWORD: &str = "pull-Secret-4711";

#[test]
fn container_from_a_private_registry() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    let registry = script("lib/private-registry", &[]).trim().to_owned();
    let authority = std::path::Path::new(world.lab.setting("LAB_STATE")).join("private-registry/ca.pem");
    let public = world.lab.setting("LAB_REGISTRY").to_owned();
    // A repository of this test's own, so that no other test sees its tag move.
    let repository = format!("private-{}-{}/gitlab-runner", host.name(), std::process::id());
    let tag = format!("{repository}:v17.9.0");
    script("push-image", &[&tag]);
    let text = inventory::container_volume(&world)
        .replace(&format!("{public}/gitlab/gitlab-runner:v17.9.0"), &format!("{registry}/{tag}"))
        .replace(
            "      source: distro",
            &format!(
                "      registries:\n        - {{ host: \"{registry}\", username: ci, password: {{ file: password }}, ca_file: {} }}\n      source: distro",
                authority.display()
            ),
        );
    // Without a password: said what to do, and nothing begun in GitLab.
    world.write_file("password", "pull-Wrong-4711");
    world.write_inventory(&text);
    let refused = world.run("apply", &["--yes"]).expect(3);
    let said = refused.both();
    assert!(said.contains("refuses the user ci") && said.contains("`docker.registries`"), "{refused}");
    assert!(!said.contains("pull-Wrong-4711"), "{refused}");
    assert!(world.gitlab.state().runners.is_empty());

    world.write_file("password", PASSWORD);
    let applied = world.apply();
    assert!(!applied.both().contains(PASSWORD), "{applied}");
    world.assert_converged("with the password");
    let encoded = host.sh(&format!("printf %s 'ci:{PASSWORD}' | base64"));
    let left = host.sh(&format!(
        "grep -rlF -e '{PASSWORD}' -e '{}' /root /home /etc /run /tmp /var/tmp /var/log /var/lib/docker/containers 2>/dev/null || :",
        encoded.trim()
    ));
    assert_eq!(left, "", "the password was left on the host");

    // The tag moves: the registry is asked with the password.
    script("push-image", &[&tag, "--variant", "moved"]);
    let lines = world.plan().lines();
    let replaced = "replace manager container gitlab-runner: image id (runner_drain)".to_owned();
    assert_eq!(lines, [format!("change image {registry}/{tag}: digest"), replaced]);
    // With another it is not known, which is said and no failure.
    world.write_file("password", "pull-Wrong-4711");
    let notes = world.plan().notes();
    assert!(notes.iter().any(|note| note.contains("refuses the user ci")), "{notes:?}");
    world.write_file("password", PASSWORD);
    world.apply();
    world.assert_converged("after the tag had moved");

    // By digest.
    let digest = host.sh(&format!("docker image inspect -f '{{{{index .RepoDigests 0}}}}' {registry}/{tag}"));
    let digest = digest.trim().rsplit_once('@').expect("it was pulled").1.to_owned();
    world.edit_inventory(&format!("{registry}/{tag}"), &format!("{registry}/{tag}@{digest}"));
    assert_eq!(world.plan().lines(), ["replace manager container gitlab-runner: image (runner_drain)"]);
    world.apply();
    world.assert_converged("by digest");
    let none = format!("sha256:{}", "0".repeat(64));
    world.edit_inventory(&digest, &none);
    let missing = world.run("apply", &["--yes"]).expect(3);
    assert!(missing.both().contains("has no image"), "{missing}");
}
