//! What a job has prepared on its host: links, pipes, and a process that swaps them while rprov is at work.

use super::world::World;

/// The user of jobs, and what nobody but root may have or change.
const SETUP: &str = "useradd -m -s /bin/sh jobs\n\
    mkdir -p -m 0700 /root/.ssh; echo 'root key' >/root/.ssh/authorized_keys; chmod 0600 /root/.ssh/authorized_keys\n\
    mkdir -p /root/.ssh/deep";
/// Owner, mode and content of all of it.
const STATE: &str = "stat -c '%n %U:%G %a %i' /usr/local/sbin /root/.ssh /etc/passwd; sha256sum /etc/passwd\n\
    find /root/.ssh /usr/local/sbin -printf '%p %u:%g %m %l\\n' | sort; cat /root/.ssh/authorized_keys";

fn declare(world: &World, lines: &str) {
    let (lab, host) = (&world.lab, world.host());
    world.write_inventory(&format!(
        "hosts:\n  {}:\n    ssh: {{ address: {}, user: deploy, become: sudo, known_hosts: {}, identity_file: {} }}\n{lines}",
        host.inventory_name(),
        host.address(),
        lab.setting("LAB_KNOWN_HOSTS"),
        lab.setting("LAB_SSH_KEY"),
    ));
}

const KEYS: &str = "    directories: [{ path: /home/jobs/.ssh, owner: jobs, mode: \"0700\" }]\n    \
    files: [{ path: /home/jobs/.ssh/authorized_keys, content: \"a key\\n\", owner: jobs, mode: \"0600\" }, { path: /srv/bystander, content: \"done\\n\" }]\n";

#[test]
fn what_a_job_has_prepared_gives_it_nothing() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    host.sh(SETUP);
    let before = host.sh(STATE);
    let untouched = |what: &str| assert_eq!(host.sh(STATE), before, "{what}");
    let refused = |what: &str, words: &str| {
        let plan = world.start_with("plan", &[], &[("COLUMNS", "1000".to_owned())]).wait().expect(3);
        assert!(plan.both().contains(words) && plan.both().contains("does not follow it"), "{what}: {plan}");
        untouched(what);
        let applied = world.run("apply", &["--yes"]).expect(3);
        untouched(what);
        // The rest of the host is done all the same.
        assert_eq!(host.sh("cat /srv/bystander; rm -f /srv/bystander"), "done\n", "{what}: {applied}");
    };
    let absent = KEYS.replace("content: \"a key\\n\", owner: jobs, mode: \"0600\"", "state: absent");
    for (target, name) in [("/usr/local/sbin", ".ssh"), ("/root/.ssh", ".ssh"), ("../../root/.ssh", ".ssh")] {
        host.sh(&format!("su jobs -c 'ln -s {target} ~/{name}'"));
        for lines in [KEYS, &absent] {
            declare(&world, lines);
            refused(
                target,
                &format!("is a symbolic link to {target}, and not only root may write to /home/jobs (jobs:jobs"),
            );
        }
        host.sh("su jobs -c 'rm ~/.ssh'");
    }
    // The file itself: a link, then a pipe, which is no reason for anything to wait.
    declare(&world, KEYS);
    host.sh("su jobs -c 'mkdir -m 0700 ~/.ssh; ln -s /etc/passwd ~/.ssh/authorized_keys'");
    refused("the file", "authorized_keys is blocked: it is a symbolic link to /etc/passwd");
    host.sh("su jobs -c 'rm ~/.ssh/authorized_keys; mkfifo ~/.ssh/authorized_keys'");
    let plan = world.plan_text();
    assert!(plan.contains("pipe, socket or device -> file"), "{plan}");
    world.apply();
    world.assert_converged("after a pipe");
    untouched("a pipe");

    // A pipe where a directory must be: both say what it is, whose, and what to do.
    host.sh("su jobs -c 'mv ~/.ssh ~/kept; mkfifo -m 0644 ~/.ssh'");
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let outcome = world.start_with(command[0], &command[1..], &[("COLUMNS", "1000".to_owned())]).wait().expect(3);
        for words in [
            "directory /home/jobs/.ssh is blocked: it is no directory (jobs:jobs, mode 0644)",
            "/home/jobs/.ssh (fifo, jobs:jobs, mode 644) is there, where a directory must be",
            "see on the host who made it and whether somebody needs it",
        ] {
            assert!(outcome.both().contains(words), "{command:?}: {words}: {outcome}");
        }
    }
    untouched("a pipe on the way");
    host.sh("su jobs -c 'rm ~/.ssh; mv ~/kept ~/.ssh'");
    // A program of the system that leads to where a group may write is not run, and a file that a group may change neither.
    host.sh("mkdir -p /opt/t; chgrp staff /opt/t; chmod 2775 /opt/t; cp -a /usr/bin/timeout /opt/t/; mv /usr/bin/timeout /usr/bin/timeout.kept");
    host.sh("ln -s /opt/t/timeout /usr/bin/timeout");
    let program = |words: &str| {
        for command in [&["plan"][..], &["apply", "--yes"]] {
            let outcome =
                world.start_with(command[0], &command[1..], &[("COLUMNS", "1000".to_owned())]).wait().expect(3);
            assert!(
                outcome.both().contains(words) && outcome.both().contains("see on the host what it is"),
                "{outcome}"
            );
        }
    };
    program("/usr/bin/timeout leads to /opt/t, which others than root may change (root:staff, mode 2775)");
    host.sh("rm /usr/bin/timeout; mv /usr/bin/timeout.kept /usr/bin/timeout; rm -r /opt/t");
    host.sh("chgrp jobs /usr/bin/head; chmod 0775 /usr/bin/head");
    program("/usr/bin/head may be changed by others than root (root:jobs, mode 775)");
    host.sh("chgrp root /usr/bin/head; chmod 0755 /usr/bin/head");

    // A process that swaps whatever it can, all the while.
    host.sh(
        "cat >/home/jobs/swap <<'END'\n\
         cd ~\n\
         while [ ! -e stop ]; do\n\
           mv .ssh aside; ln -s /root/.ssh .ssh; rm -f .ssh; mv aside .ssh\n\
           for found in .ssh/.rprov.* .rprov.*; do [ -e \"$found\" ] && mv \"$found\" gone && ln -s /root/.ssh \"$found\"; done\n\
           rm -f .ssh/authorized_keys; ln -s /etc/passwd .ssh/authorized_keys; rm -f .ssh/authorized_keys\n\
           rm -rf gone\n\
         done 2>/dev/null\n\
         END\n\
         nohup setsid su jobs -c 'sh ~/swap' >/dev/null 2>&1 &",
    );
    for _ in 0..6 {
        let outcome = world.run("apply", &["--yes"]);
        assert!(matches!(outcome.code, Some(0 | 3 | 4)), "{outcome}");
        untouched(&format!("while somebody swaps: {outcome}"));
    }
    host.sh("touch /home/jobs/stop; sleep 1; rm -rf /home/jobs/.ssh /home/jobs/aside /home/jobs/gone");
    world.apply();
    world.assert_converged("once nobody swaps any more");
    untouched("at the end");
    assert_eq!(
        host.sh("stat -c '%U:%G %a' /home/jobs/.ssh /home/jobs/.ssh/authorized_keys"),
        "jobs:jobs 700\njobs:jobs 600\n"
    );
}
