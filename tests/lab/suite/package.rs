//! gitlab-runner as a service from packages: a bare host, versions up and down under a running job, hosts set up by hand,
//! one Docker for the other, and drift of repositories.

use super::gitlab::API_TOKEN;
use super::lab::script;
use super::world::World;

/// The address of the lab's package repository, and the fingerprint of its key.
pub(super) fn repository() -> (String, String) {
    let said = script("lib/apt-repo", &[]);
    let (url, print) = said.trim().split_once(' ').expect("address and fingerprint");
    (url.to_owned(), print.to_owned())
}

/// The example inventory, with the lab's GitLab, host and repositories. `None`: no lab.
pub(super) fn world() -> Option<World> {
    let world = World::bare()?;
    let (url, print) = repository();
    let key = format!("key_url: {url}/key.asc, fingerprint: {print}");
    let setting = |key: &str| world.lab.setting(key).to_owned();
    let text = include_str!("../../../inventories/package-runner.yml")
        .replace("https://gitlab.example.com", world.gitlab.url())
        .replace("runner.example.com:", &format!("{}:", world.host().inventory_name()))
        .replace(
            "ssh: { user: deploy, become: sudo }",
            &format!(
                "ssh: {{ user: deploy, become: sudo, address: {}, identity_file: {}, known_hosts: {} }}",
                world.host().address(),
                setting("LAB_SSH_KEY"),
                setting("LAB_KNOWN_HOSTS")
            ),
        )
        .replace("203.0.113.0/24", &setting("LAB_NETWORK"))
        .replace("      version: 27.3.1", &format!("      version: 27.3.1\n      repository: {{ uris: {url}/docker, {key} }}"))
        .replace(
            "        stop_timeout: 2h",
            &format!("        repository: {{ uris: {url}/gitlab-runner, {key}, pin: {{ priority: 600 }} }}\n        stop_timeout: 2h"),
        );
    world.write_inventory(&text);
    Some(world)
}

/// Takes Docker and its firewall out, where a test has no need of them.
fn without_docker(world: &World) {
    let text = world.inventory();
    let (from, to) =
        (text.find("    docker:\n      source").expect("docker"), text.find("    manager:").expect("manager"));
    let text =
        format!("{}{}", &text[..from], &text[to..]).replace("runners: [containers, deploy]", "runners: [deploy]");
    world.write_inventory(&text);
}

/// Makes a runner as a person does in GitLab's pages; its id and token.
fn made_by_hand(world: &World) -> (u64, String) {
    let out = std::process::Command::new("curl")
        .args(["-fsS", "--noproxy", "*", "-H", &format!("PRIVATE-TOKEN: {API_TOKEN}"), "-d"])
        .arg("runner_type=project_type&project_id=20&tag_list=deploy&description=mine")
        .arg(format!("{}/api/v4/user/runners", world.gitlab.url()))
        .output()
        .expect("curl runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let made: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    (made["id"].as_u64().expect("an id"), made["token"].as_str().expect("a token").to_owned())
}

const VERSIONS: &str = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n' gitlab-runner gitlab-runner-helper-images 2>/dev/null | grep -v not-installed | grep -v config-files";
const JOBS: &str = "cat /var/log/gitlab-runner-jobs.log";

#[test]
fn bare_host_becomes_a_package_runner() {
    let Some(world) = world() else { return };
    let host = world.host();
    world.apply();
    assert_eq!(host.sh(VERSIONS), "gitlab-runner 17.9.0-1 installed\ngitlab-runner-helper-images 17.9.0-1 installed\n");
    assert_eq!(
        host.sh("systemctl is-enabled gitlab-runner docker; systemctl is-active gitlab-runner docker"),
        "enabled\nenabled\nactive\nactive\n"
    );
    assert!(host.sh("dpkg-query -W -f '${Version}' docker-ce").starts_with("5:27.3.1-1"));
    assert_eq!(
        host.sh("stat -c '%a %U:%G' /etc/gitlab-runner /etc/gitlab-runner/config.toml /etc/apt/keyrings/docker.asc"),
        "700 root:root\n600 root:root\n644 root:root\n"
    );
    let config = host.toml("/etc/gitlab-runner/config.toml");
    assert_eq!(config["runners"].as_array_of_tables().map(toml_edit::ArrayOfTables::len), Some(2));
    assert_eq!(world.gitlab.state().runners.len(), 2);
    host.wait_until(10, "journalctl --no-pager -u gitlab-runner | grep -q 'Configuration loaded max_builds=5'");
    assert_eq!(
        host.sh("systemctl show -p KillSignal -p KillMode -p TimeoutStopUSec gitlab-runner"),
        "TimeoutStopUSec=2h\nKillMode=mixed\nKillSignal=3\n"
    );
    // Nobody else moves it either.
    let upgrade = host.sh("apt-get -q update >/dev/null; apt-get -s dist-upgrade");
    assert!(!upgrade.contains("Inst gitlab-runner") && !upgrade.contains("Inst docker-ce"), "{upgrade}");
    world.assert_converged("after the first apply");
    let before = host.snapshot();
    world.apply();
    assert_eq!(before.differences(&host.snapshot(), &[]), Vec::<String>::new(), "the second apply changes the host");
}

#[test]
fn a_job_survives_upgrade_and_downgrade() {
    let Some(world) = world() else { return };
    without_docker(&world);
    world.apply();
    let host = world.host();
    for (old, new, packages) in [
        ("17.9.0", "17.10.0", "gitlab-runner 17.10.0-1 installed\ngitlab-runner-helper-images 17.10.0-1 installed\n"),
        ("17.10.0", "17.7.0", "gitlab-runner 17.7.0-1 installed\n"),
        ("17.7.0", "17.7.1", "gitlab-runner 17.7.1-1 installed\ngitlab-runner-helper-images 17.7.1-1 installed\n"),
    ] {
        host.sh("rm -f /var/log/gitlab-runner-jobs.log; touch /tmp/job");
        host.wait_until(20, JOBS);
        world.edit_inventory(&format!("version: {old}"), &format!("version: {new}"));
        // A drop-in of somebody else's that is read after ours gives the job eight seconds: nothing is stopped then.
        const SHORT: &str = "/etc/systemd/system/gitlab-runner.service.d/zz.conf";
        host.sh(&format!("printf '[Service]\\nTimeoutStopSec=8\\n' >{SHORT}; systemctl daemon-reload"));
        let text = world.run("plan", &[]).expect(3).out;
        assert!(text.contains("package gitlab-runner is blocked: TimeoutStopSec=8"), "{old} -> {new}: {text}");
        assert!(!text.contains("after its jobs ended"), "{old} -> {new}: {text}");
        host.sh(&format!("rm {SHORT}; systemctl daemon-reload"));
        let text = world.plan_text();
        assert!(text.contains("runner restarts after its jobs ended (1 running)"), "{old} -> {new}: {text}");
        assert!(text.contains(&format!("{old}-1")) && text.contains(&format!("{new}-1")), "{text}");
        let mut run = world.start("apply", &["--yes"]);
        host.wait_until(60, "[ \"$(systemctl show -p ActiveState --value gitlab-runner)\" = deactivating ]");
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert!(!run.has_ended(), "{old} -> {new}: the job is still running");
        assert_eq!(host.sh(JOBS), format!("started with {old}\n"));
        host.sh("rm /tmp/job");
        run.wait().expect(0);
        assert_eq!(host.sh(JOBS), format!("started with {old}\nfinished with {old}\n"), "the job was cut off");
        assert_eq!(host.sh(VERSIONS), packages);
        assert!(host.check("systemctl is-active -q gitlab-runner"));
        world.assert_converged(&format!("{old} -> {new}"));
    }
    assert!(!host.check("[ -e /var/log/clear-docker-cache.log ]"), "networks of others were pruned");

    // What an interrupted run leaves behind is named and mended.
    host.sh("cd /var/cache/apt/archives && dpkg --unpack gitlab-runner_17.7.1-1_amd64.deb >/dev/null 2>&1");
    let text = world.plan_text();
    assert!(text.contains("17.7.1-1 (install ok unpacked)"), "{text}");
    world.apply();
    world.assert_converged("after a half-configured package");

    // A version that does not exist stops nothing.
    world.edit_inventory("version: 17.7.1", "version: 17.99.0");
    let failed = world.run("apply", &["--yes"]).expect(3);
    assert!(failed.both().contains("17.99.0"), "{failed}");
    assert!(
        host.check("systemctl is-active -q gitlab-runner"),
        "the runner stands still for a version that is not there"
    );
}

/// The package's own script starts the service before config.toml is there, and again after an upgrade: what gitlab-runner
/// reads only when it starts is read all the same.
#[test]
fn what_is_read_at_the_start_only() {
    let Some(world) = world() else { return };
    without_docker(&world);
    let host = world.host();
    let settings = |address: &str| format!("check_interval: 3\n        listen_address: \"{address}\"");
    world.edit_inventory("check_interval: 3", &settings("127.0.0.1:9252"));
    world.edit_inventory("      package:\n", "      system_id: r_0123456789ab\n      package:\n");
    let started_after_its_files = |when: &str| {
        let started = host.sh("journalctl -q --no-pager -u gitlab-runner -o short-unix | grep ' Started ' | tail -n 1");
        let started: f64 = started.split(' ').next().and_then(|word| word.parse().ok()).expect("a time");
        let written = host.sh("stat -c %.Y /etc/gitlab-runner/config.toml /etc/gitlab-runner/.runner_system_id");
        for written in written.lines() {
            assert!(written.parse::<f64>().expect("a time") < started, "{when}: {written} is after {started}");
        }
        assert_eq!(host.sh("systemctl is-active gitlab-runner"), "active\n", "{when}");
        assert_eq!(host.sh("cat /etc/gitlab-runner/.runner_system_id"), "r_0123456789ab", "{when}");
        assert!(!host.check("ls /run/rprov-due.* 2>/dev/null"), "{when}: a restart is due still");
    };
    world.apply();
    started_after_its_files("after the installation");
    world.assert_converged("after the installation");
    world.edit_inventory("127.0.0.1:9252", "127.0.0.1:9253");
    world.edit_inventory("version: 17.9.0", "version: 17.10.0");
    world.apply();
    started_after_its_files("after the upgrade");
    world.assert_converged("after the upgrade");
    // As a run leaves it that died between config.toml and the restart.
    host.sh("touch /etc/gitlab-runner/config.toml /run/rprov-due.gitlab-runner.service");
    assert_eq!(world.plan().lines(), ["change service gitlab-runner: state (runner_drain)"]);
    world.apply();
    started_after_its_files("after the restart that was owed");
    world.assert_converged("after the restart that was owed");
}

#[test]
fn drift_of_repositories_and_service() {
    let Some(world) = world() else { return };
    without_docker(&world);
    world.apply();
    let (host, (url, _)) = (world.host(), repository());
    let wrong = format!("curl -fsS -o /etc/apt/keyrings/gitlab-runner.asc {url}/wrong.asc");
    let list = format!(
        "echo 'deb [signed-by=/usr/share/keyrings/x.gpg] {url}/gitlab-runner/ bookworm main' >/etc/apt/sources.list.d/runner_gitlab-runner.list"
    );
    let shared = format!(
        "printf 'deb http://deb.debian.org/debian bookworm main\\ndeb {url}/gitlab-runner bookworm main' >/etc/apt/sources.list.d/mine.list"
    );
    for (make, shown, word) in [
        (wrong.as_str(), "change repository gitlab-runner: key", "key"),
        ("echo x >/etc/apt/keyrings/gitlab-runner.asc", "change repository gitlab-runner: key", "no key"),
        ("chmod 600 /etc/apt/keyrings/gitlab-runner.asc", "change repository gitlab-runner: key mode", "0600"),
        (
            "sed -i s/main/other/ /etc/apt/sources.list.d/gitlab-runner.sources",
            "change repository gitlab-runner",
            "-Components: other",
        ),
        ("rm /etc/apt/preferences.d/gitlab-runner.pref", "change repository gitlab-runner: pin", "Pin-Priority: 600"),
        (
            &list,
            "change repository gitlab-runner: /etc/apt/sources.list.d/runner_gitlab-runner.list",
            "the same repository",
        ),
        (&shared, "change repository gitlab-runner: /etc/apt/sources.list.d/mine.list", "1 entry of it"),
        (
            "rm /etc/apt/preferences.d/gitlab-runner-hold.pref",
            "add package pin /etc/apt/preferences.d/gitlab-runner-hold.pref",
            "package pin",
        ),
        (
            "rm /etc/systemd/system/gitlab-runner.service.d/rprov.conf; systemctl daemon-reload",
            "add service settings /etc/systemd/system/gitlab-runner.service.d/rprov.conf",
            "service settings",
        ),
        ("systemctl disable -q --now gitlab-runner", "change service gitlab-runner: at boot, state", "inactive"),
        ("chmod 755 /etc/gitlab-runner", "change directory /etc/gitlab-runner: mode", "0755"),
    ] {
        host.sh(make);
        assert_eq!(world.plan().lines(), [shown], "{make}");
        let text = world.plan_text();
        assert!(text.contains(word), "{make}: the plan does not say {word:?}:\n{text}");
        world.apply();
        world.assert_converged(make);
    }
    assert_eq!(host.sh("cat /etc/apt/sources.list.d/mine.list"), "deb http://deb.debian.org/debian bookworm main\n");

    // A key that is not the one: nothing of it reaches the host.
    let right = world.inventory();
    host.sh("rm /etc/apt/keyrings/gitlab-runner.asc");
    world.write_inventory(&right.replace("/key.asc", "/wrong.asc"));
    let before = host.snapshot();
    let refused = world.run("apply", &["--yes"]).expect(3);
    assert!(refused.both().contains("and the inventory wants"), "{refused}");
    world.write_inventory(&right.replace("/key.asc", "/not-there.asc"));
    let refused = world.run("apply", &["--yes"]).expect(3);
    assert!(refused.both().contains("404"), "{refused}");
    assert_eq!(before.differences(&host.snapshot(), &[]), Vec::<String>::new());
    world.write_inventory(&right);
    world.apply();
    world.assert_converged("with the right key again");

    // The repository goes where the inventory says so.
    world.edit_inventory(
        "    runners: [deploy]",
        "    runners: [deploy]\n    repositories: [{ name: old, state: absent }]",
    );
    host.sh("touch /etc/apt/sources.list.d/old.sources");
    assert_eq!(world.plan().lines(), ["remove repository old: /etc/apt/sources.list.d/old.sources"]);
    world.apply();
    world.assert_converged("without the old repository");
}

#[test]
fn a_host_set_up_by_hand_is_taken_over() {
    let Some(world) = world() else { return };
    without_docker(&world);
    let (host, (url, _)) = (world.host(), repository());
    // As GitLab's script and `gitlab-runner register` leave it.
    host.sh("apt-get -q update >/dev/null; apt-get -q -y install --no-install-recommends curl >/dev/null 2>&1");
    host.sh(&format!(
        "mkdir -p /etc/apt/keyrings
        curl -fsS -o /etc/apt/keyrings/runner_gitlab-runner-archive-keyring.gpg {url}/key.gpg
        echo 'deb [signed-by=/etc/apt/keyrings/runner_gitlab-runner-archive-keyring.gpg] {url}/gitlab-runner/ bookworm main' >/etc/apt/sources.list.d/runner_gitlab-runner.list
        apt-get -q update >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install gitlab-runner=17.9.0-1 gitlab-runner-helper-images=17.9.0-1 >/dev/null 2>&1"
    ));
    // The record, made by hand in GitLab's pages: the same request that rprov makes, from somebody else.
    let made = made_by_hand(&world);
    host.write(
        "/etc/gitlab-runner/config.toml",
        &format!(
            "concurrent = 1\n\n[[runners]]\n  name = \"{} deploy\"\n  url = \"{}\"\n  id = {}\n  token = \"{}\"\n  executor = \"shell\"\n",
            host.inventory_name(),
            world.gitlab.url(),
            made.0,
            made.1
        ),
    );
    host.sh("touch /tmp/job");
    host.wait_until(20, JOBS);
    let lines = world.plan().lines();
    assert!(
        lines.iter().all(|line| !line.contains("add package gitlab-runner") && !line.contains("drain")),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("add repository gitlab-runner: key")), "{lines:#?}");
    world.apply();
    assert_eq!(world.gitlab.state().runners.len(), 1, "there is a second record");
    assert_eq!(host.sh(JOBS), "started with 17.9.0\n", "the running job was touched");
    let config = host.toml("/etc/gitlab-runner/config.toml");
    let runners = config["runners"].as_array_of_tables().expect("[[runners]]");
    assert_eq!((runners.len(), runners.get(0).and_then(|one| one["token"].as_str())), (1, Some(made.1.as_str())));
    assert!(!host.check("[ -e /etc/apt/sources.list.d/runner_gitlab-runner.list ]"));
    let update = host.sh("apt-get update 2>&1");
    assert!(!update.contains("W:") && !update.contains("E:"), "{update}");
    world.assert_converged("after it was taken over");
}

#[test]
fn one_docker_for_the_other() {
    let Some(world) = world() else { return };
    let host = world.host();
    let vendors = world.inventory();
    let (from, to) =
        (vendors.find("      source: docker-ce").expect("source"), vendors.find("    manager:").expect("manager"));
    let distro = format!("{}      source: distro\n{}", &vendors[..from], &vendors[to..]);
    world.write_inventory(&distro);
    world.apply();
    host.sh("docker volume create keep >/dev/null; systemctl disable -q --now gitlab-runner");
    for (inventory, gone, there) in [(&vendors, "docker.io", "docker-ce"), (&distro, "docker-ce", "docker.io")] {
        world.write_inventory(inventory);
        let text = world.plan_text();
        for word in [gone, there, "restarts docker", "images and volumes stay", "containerd"] {
            assert!(text.contains(word), "the plan does not say {word:?}:\n{text}");
        }
        world.apply();
        assert!(host.check(&format!("dpkg-query -W -f '${{db:Status-Status}}' {there} | grep -qx installed")));
        assert!(!host.check(&format!("dpkg-query -W -f '${{db:Status-Status}}' {gone} | grep -qx installed")));
        assert_eq!(host.sh("docker volume ls -q"), "keep\n");
        world.assert_converged(there);
    }
    // Nothing else goes by surprise.
    world.write_inventory(&vendors);
    host.sh(
        "mkdir -p /tmp/p/DEBIAN; printf 'Package: needs-docker\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDepends: docker.io\\nDescription: x\\n' >/tmp/p/DEBIAN/control
        dpkg-deb -b /tmp/p /tmp/p.deb >/dev/null; dpkg -i /tmp/p.deb >/dev/null",
    );
    let failed = world.run("apply", &["--yes"]).expect(3);
    assert!(failed.both().contains("would be removed too: needs-docker"), "{failed}");
    assert!(host.check("systemctl is-active -q docker"), "it was stopped although nothing could be done");
}
