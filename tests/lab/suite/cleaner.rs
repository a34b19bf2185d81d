//! The cleaner as it is installed: as cron runs it, and among jobs that run and jobs that have ended.

use super::world::World;

/// Part of every test of the cleaner on a real host (`tests/cleanup`).
const SCENARIO: &str = include_str!("../../cleanup/scenario.sh");

#[test]
fn cleaner() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    let cron = host.sh("cat /etc/cron.d/rprov-cleanup");
    let line = cron.lines().find(|line| line.contains(" root ")).unwrap_or_else(|| panic!("no entry: {cron}"));
    // What cron would run: all after the five fields and the user, without the marks that keep percent signs whole.
    let command = line.split_whitespace().skip(6).collect::<Vec<_>>().join(" ").replace("\\%", "%");
    host.sh("mkdir -p /builds/gitlab-job-1/src");
    host.sh(&command);
    assert_eq!(world.healthcheck.pings(), ["/start", ""]);
    assert!(host.check("[ -d /builds/gitlab-job-1/src ]"), "a new job's directory is gone");
    assert!(host.sh("journalctl --no-pager -o cat -t rprov-cleanup").contains("job directories removed: 0"));

    let script = command.split_whitespace().next().map(|word| word.trim_matches('\'')).expect("a command");
    let image = format!("{}/library/debian:12", world.lab.setting("LAB_REGISTRY"));
    host.write("/root/scenario.sh", SCENARIO);
    let told = host.sh(&format!("docker pull -q {image} >/dev/null; sh /root/scenario.sh {script} {image} 2>&1 || :"));
    let failed: Vec<&str> = told.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert!(told.lines().filter(|line| line.starts_with("ok ")).count() > 10, "the scenario did not run:\n{told}");
    assert!(!told.contains("FAIL"), "{}", failed.join("\n"));
    host.sh("rm -rf /root/scenario.sh /builds/gitlab-job-1");
    world.assert_converged("after the cleaner ran");
}
