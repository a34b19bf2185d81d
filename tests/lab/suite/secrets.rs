//! Secrets appear where they belong and nowhere else: not in what the program prints, not in any process on the host.

use base64::Engine as _;

use super::gitlab::API_TOKEN;
use super::host::Host;
use super::lab::Lab;
use super::ping::SECRET;
use super::watch::{FileWatch, Trace, contains};
use super::world::World;

/// A secret in every form in which it might travel: as it is, and inside base64 at any of its three alignments.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    for shift in 0..3 {
        let mut bytes = vec![b' '; shift];
        bytes.extend_from_slice(secret.as_bytes());
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        // The first and last digits depend on what stands beside the secret.
        forms.push(text.as_bytes()[4..text.len() - 4].to_vec());
    }
    forms
}

#[track_caller]
pub(super) fn assert_free_of(what: &str, content: &[u8], secrets: &[(&str, String)]) {
    for (name, secret) in secrets {
        for form in forms(secret) {
            assert!(!contains(content, &form), "{what} holds the {name}");
        }
    }
}

/// Where a secret could lie for a moment: where files with one belong, and where temporary files are.
const WATCHED: [&str; 8] =
    ["/srv/gitlab-runner", "/srv", "/etc/rprov", "/tmp", "/var/tmp", "/run", "/root", "/home/deploy"];

#[test]
fn the_watchers_see_what_they_are_for() {
    let Some(lab) = Lab::acquire() else { return };
    let host = lab.host();
    host.sh("mkdir -p /srv/gitlab-runner");
    let (watch, trace) = (FileWatch::start(&host, &WATCHED, &["glrt-"]), Trace::start(&host));
    let leak = "umask 022; printf glrt-x >/srv/gitlab-runner/leaky; chmod 0600 /srv/gitlab-runner/leaky; true glrt-y";
    let ssh = std::process::Command::new("ssh")
        .args([
            "-F",
            lab.setting("LAB_SSH_CONFIG"),
            "-l",
            "root",
            host.name(),
            &format!("sh -c '{leak}'; env A=glrt-z true"),
        ])
        .status()
        .expect("ssh starts");
    assert!(ssh.success());
    let (traced, seen) = (trace.stop(), watch.stop());
    assert_eq!(
        seen.readable.into_iter().collect::<Vec<_>>(),
        ["/srv/gitlab-runner/leaky 0644"],
        "{} rounds",
        seen.rounds
    );
    assert!(contains(&traced, b"A=glrt-z"), "a process's environment was not seen");
}

#[test]
fn secrets_stay_secret() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    // With the packages there already, what is traced is what handles secrets; apt under strace would take minutes.
    host.sh("export DEBIAN_FRONTEND=noninteractive; { apt-get -q update; apt-get -q -y install --no-install-recommends docker.io cron nftables curl; } >/dev/null 2>&1");
    let watch = FileWatch::start(host, &WATCHED, &["glrt-", SECRET, API_TOKEN]);
    let trace = Trace::start(host);
    let mut outputs = vec![world.run("plan", &["-v"]).expect(0)];
    let plan = world.run("plan", &["--format", "json"]).expect(0);
    outputs.push(plan);
    outputs.push(world.run("apply", &["--yes", "-v"]).expect(0));
    let first = world.gitlab.runner().token;
    // A lost config.toml makes a second token come and go.
    host.sh("rm /srv/gitlab-runner/config.toml; echo changed >/etc/rprov/healthcheck-url");
    outputs.push(world.run("plan", &["--format", "json"]).expect(0));
    outputs.push(world.run("plan", &[]).expect(0));
    outputs.push(world.run("apply", &["--yes"]).expect(0));
    let second = world.gitlab.runner().token;
    assert_ne!(first, second);
    let (traced, seen) = (trace.stop(), watch.stop());
    assert!(seen.names.contains("config.toml"), "the watcher saw no config.toml in {} rounds", seen.rounds);
    assert!(seen.readable.is_empty(), "others could read a secret: {:?}", seen.readable);

    let secrets = [
        ("API token", API_TOKEN.to_owned()),
        ("runner's first token", first.clone()),
        ("runner's token", second.clone()),
        ("healthcheck URL", SECRET.to_owned()),
    ];
    for outcome in &outputs {
        assert_free_of(&format!("what was printed: {outcome}"), outcome.both().as_bytes(), &secrets);
    }
    assert!(contains(&traced, b"/usr/bin/docker") && contains(&traced, b"gitlab-runner"), "the trace saw nothing");
    assert_free_of("a command line or environment on the host", &traced, &secrets);
    assert_free_of("a process that is still there", &processes(host), &secrets);
    assert_free_of("the host's journal", host.sh("journalctl --no-pager -o export").as_bytes(), &secrets);

    // On the host's disk, where they must be, and nowhere else; what GitLab's token opens is not there at all.
    assert_eq!(files_with(host, &second), ["/srv/gitlab-runner/config.toml"]);
    assert_eq!(files_with(host, &first), Vec::<String>::new(), "the old token is still somewhere");
    assert_eq!(files_with(host, SECRET), ["/etc/rprov/healthcheck-url"]);
    assert_eq!(files_with(host, API_TOKEN), Vec::<String>::new());
}

/// Command lines and environments of everything that runs in the host now.
fn processes(host: &Host) -> Vec<u8> {
    let all = host
        .sh("for dir in /proc/[0-9]*; do cat $dir/cmdline $dir/environ 2>/dev/null || :; echo; done | tr '\\0' '\\n'");
    assert!(all.contains("dockerd"), "Docker does not run");
    all.into_bytes()
}

/// The host's files that hold a text.
pub(super) fn files_with(host: &Host, text: &str) -> Vec<String> {
    // The text goes in by a here-document, which is no file below these directories and no command line.
    let found = host.sh(&format!(
        "cd /; find / /run /tmp /dev/shm /var/lib/docker /var/lib/containerd -xdev -type f -not -path '/proc/*' -not -path '/sys/*' -not -path '/usr/*' -not -path '/run/log/journal/*' -not -path '/var/log/journal/*' -print0 | \
         xargs -0 grep -lsF -f /proc/self/fd/3 3<<'END' || :\n{text}\nEND\n"
    ));
    let mut files: Vec<String> = found.lines().map(str::to_owned).collect();
    files.sort();
    files.dedup();
    files
}
