//! Whose what is on a host: rprov takes away what it has put there and nobody declares any more, and nothing of anybody else's.

use super::world::World;

const LIST: &str = "/var/lib/rprov/owned";
const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// What stands in the inventory of these, to be taken out of it.
const CLEANUP: &str = "  cleanup:\n    schedule: \"0 4 * * *\"\n    builds_older_than: 1h\n    prune_volumes: true\n    healthcheck: { env: HEALTHCHECK_URL }\n";

/// The same.
const FILES: &str = "  files:\n    - { path: /srv/own/deep/file, content: \"x\\n\" }\n    - { path: /etc/systemd/system/docker.service.d/own.conf, content: \"[Service]\\nEnvironment=OWN=1\\n\" }\n";

#[test]
fn what_leaves_the_inventory_leaves_the_host_and_what_others_have_put_there_stays() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    assert_eq!(host.sh(&format!("stat -c '%a %U' {LIST}")).trim(), "600 root");
    let list = host.sh(&format!("cat {LIST}"));
    for item in ["/default-address-pools", "runners.docker.limit", "/etc/cron.d/rprov-cleanup", "inet rprov"] {
        assert!(list.contains(item), "{item} is not on the list:\n{list}");
    }
    // Somebody else's: no change, and told.
    host.sh(&format!(
        "sed -i '1s/{{/{{\"debug\": true,/' /etc/docker/daemon.json; systemctl restart docker\n\
         sed -i 's/limit = 10/limit = 10\\n  output_limit = 9/' {CONFIG}"
    ));
    let plan = world.plan();
    assert_eq!(plan.lines(), Vec::<String>::new());
    for words in ["also on the host: debug", "also on the host: runners.docker.output_limit"] {
        assert!(plan.notes().iter().any(|note| note.contains(words)), "{words}: {:?}", plan.notes());
    }
    // Ours, and no longer declared.
    world.edit_inventory(CLEANUP, "");
    let network = world.lab.setting("LAB_NETWORK");
    let firewall =
        format!("  firewall:\n    ssh_from: [{network}]\n    allow: [{{ port: 9252, from: [{network}] }}]\n");
    world.edit_inventory(&firewall, "");
    world.edit_inventory("      insecure-registries: [", "      shutdown-timeout: 20\n      insecure-registries: [");
    world.edit_inventory("      limit: 10\n", "");
    // And something new, to leave it again.
    world.edit_inventory("    - /cache\n", "    - /cache\n    - /srv/own\n    - /srv/own/deep\n");
    world.edit_inventory("  docker:\n    source: distro\n", &format!("{FILES}  docker:\n    source: distro\n"));
    let lines = world.plan().lines();
    for words in [
        "/etc/cron.d/rprov-cleanup",
        "/usr/local/sbin/rprov-cleanup",
        "/etc/rprov/healthcheck-url",
        "runners.docker.limit",
    ] {
        assert!(lines.iter().any(|line| line.contains(words)), "{words}: {lines:?}");
    }
    world.apply();
    world.assert_converged("after it left the inventory");
    let all_gone = |paths: &str| host.check(&format!("for one in {paths}; do [ ! -e $one ] || exit 1; done"));
    let gone = "/etc/cron.d/rprov-cleanup /usr/local/sbin/rprov-cleanup /etc/rprov/healthcheck-url";
    assert!(all_gone(gone), "the clean-up is still there");
    let rules = "/etc/rprov/firewall.nft /etc/systemd/system/rprov-firewall.service";
    assert!(all_gone(rules) && !host.check("nft list table inet rprov"), "the firewall is still there");
    assert!(!host.check("systemctl -q is-enabled rprov-firewall"), "the firewall's unit is still enabled");
    let config = host.sh(&format!("cat {CONFIG}"));
    assert!(config.contains("output_limit = 9") && !config.contains("\nlimit = 10"), "{config}");
    let daemon = host.sh("cat /etc/docker/daemon.json");
    assert!(daemon.contains("\"debug\": true") && daemon.contains("shutdown-timeout"), "{daemon}");
    let list = host.sh(&format!("cat {LIST}"));
    assert!(!list.contains("cleanup") && list.contains("/shutdown-timeout") && !list.contains("/debug"), "{list}");
    // And back: what rprov has set last goes, what somebody has set stays.
    assert!(host.sh("systemctl show -p Environment docker").contains("OWN=1"));
    world.edit_inventory("      shutdown-timeout: 20\n", "");
    world.edit_inventory("    - /cache\n    - /srv/own\n    - /srv/own/deep\n", "    - /cache\n");
    world.edit_inventory(FILES, "");
    let lines = world.plan().lines();
    let restart = |line: &String| line.starts_with("change service docker") && line.ends_with("(kills_jobs)");
    assert!(lines.iter().any(restart), "{lines:?}");
    world.apply();
    world.assert_converged("after a key of daemon.json left the inventory");
    assert!(all_gone("/srv/own /etc/systemd/system/docker.service.d/own.conf"), "they are still there");
    let running = "tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value docker)/environ";
    assert!(!host.sh(running).contains("OWN="), "Docker has not restarted");
    let daemon = host.sh("cat /etc/docker/daemon.json");
    assert!(daemon.contains("\"debug\": true") && !daemon.contains("shutdown-timeout"), "{daemon}");
    // The manager itself: its container goes, and what it has mounted stays.
    let whole = world.inventory();
    let start = whole.find("  manager:\n").expect("it has a manager");
    let end = next_key(&whole, start);
    world.write_inventory(&format!("{}{}", &whole[..start], &whole[end..]).replace("  runners: [docker]\n", ""));
    let lines = world.plan().lines();
    assert_eq!(lines, ["remove manager container gitlab-runner (runner_drain)"]);
    world.apply();
    world.assert_converged("after the manager left the inventory");
    assert!(!host.check("docker container inspect gitlab-runner"), "the container is still there");
    assert_eq!(host.sh(&format!("cat {CONFIG}")), config);
    assert_eq!(world.gitlab.state().runners.len(), 1, "GitLab keeps the record");
}

/// Where the next key of two blanks begins behind the one at `start`.
fn next_key(text: &str, start: usize) -> usize {
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        let own = line.starts_with("  ") && !line.starts_with("   ");
        if at > start && (own || !line.starts_with(' ')) {
            return at;
        }
        at += line.len();
    }
    at
}
