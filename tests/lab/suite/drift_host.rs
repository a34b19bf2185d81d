//! Drifts of the host's own things: packages, the cleaner, cron, the firewall, files and directories.

use super::drift::{Bench, Drift};

#[test]
fn drift_of_packages() {
    let Some(mut bench) = Bench::new() else { return };
    // Without curl the probe reads Docker by its client.
    bench.try_drift(&Drift {
        what: "curl removed",
        make: &|world| {
            world
                .host()
                .sh("DEBIAN_FRONTEND=noninteractive apt-get -q -y remove curl >/dev/null 2>&1; ! command -v curl");
        },
        shown: &["add package curl: curl"],
        words: &["package", "curl"],
        touched: &["files /var/lib/dpkg*", "files /var/lib/apt*"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "cron removed with its files",
        make: &|world| {
            world.host().sh("DEBIAN_FRONTEND=noninteractive apt-get -q -y purge cron >/dev/null 2>&1");
        },
        shown: &["add package cron: cron", "add service cron: at boot, state"],
        words: &["package", "cron"],
        touched: &["files /var/lib/*", "files /etc*", "units cron.service", "files /var/spool/cron*"],
        asked: &[],
    });
}

#[test]
fn drift_of_the_cleaner() {
    let Some(mut bench) = Bench::new() else { return };
    let cron = bench.world.host().sh("cat /etc/cron.d/rprov-cleanup");
    let script = cron.lines().find(|line| line.contains(" root ")).and_then(|line| line.split_whitespace().nth(6));
    let script = script.map(|word| word.trim_matches('\'').to_owned()).expect("a command");
    bench.try_drift(&Drift {
        what: "cleaner edited",
        make: &|world| {
            world.host().sh(&format!("echo 'rm -rf /builds/*' >>{script}"));
        },
        shown: &[&format!("change cleanup {script}")],
        words: &["-rm -rf /builds/*"],
        touched: &[&format!("files {script}"), "files /usr/local*"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "cleaner's mode changed",
        make: &|world| {
            world.host().sh(&format!("chmod 0777 {script}"));
        },
        shown: &[&format!("change cleanup {script}: mode")],
        words: &["0777", "0755"],
        // Whoever could write to it may have it open still: it is another file afterwards.
        touched: &[&format!("files {script}"), "files /usr/local*"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "cron line removed",
        make: &|world| {
            world.host().sh("sed -i '/ root /d' /etc/cron.d/rprov-cleanup");
        },
        shown: &["change cleanup /etc/cron.d/rprov-cleanup"],
        words: &["+0 4 * * * root"],
        touched: &["files /etc/cron.d/rprov-cleanup", "files /etc/cron.d"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "cron entry gone",
        make: &|world| {
            world.host().sh("rm /etc/cron.d/rprov-cleanup");
        },
        shown: &["add cleanup /etc/cron.d/rprov-cleanup"],
        words: &["+ cleanup", "6 lines"],
        touched: &["files /etc/cron.d/rprov-cleanup", "files /etc/cron.d"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "healthcheck URL changed",
        make: &|world| {
            world.host().sh("echo http://10.0.0.1/mine >/etc/rprov/healthcheck-url");
        },
        shown: &["change cleanup /etc/rprov/healthcheck-url: content"],
        words: &["(secret)"],
        touched: &["files /etc/rprov/healthcheck-url", "files /etc/rprov"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "cron stopped and disabled",
        make: &|world| {
            world.host().sh("systemctl disable -q --now cron.service");
        },
        shown: &["change service cron: at boot, state"],
        words: &["disabled", "inactive"],
        // cron has an init script too, whose links systemctl sets.
        touched: &["files /etc/systemd/system/multi-user.target.wants*", "files /etc/rc*", "units cron.service"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "a directory's mode changed",
        make: &|world| {
            world.host().sh("chmod 0700 /builds; chown 65534:65534 /cache");
        },
        shown: &["change directory /builds: mode", "change directory /cache: owner"],
        words: &["0700", "0755", "nobody:nogroup", "root:root"],
        touched: &[],
        asked: &[],
    });
}

#[test]
fn drift_of_the_firewall() {
    let Some(mut bench) = Bench::new() else { return };
    bench.try_drift(&Drift {
        what: "table deleted, its file there",
        make: &|world| {
            world.host().sh("nft delete table inet rprov");
        },
        shown: &["add firewall table inet rprov"],
        words: &["table inet rprov"],
        // In another place of the list than before.
        touched: &["firewall"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "rule added to the table by hand",
        make: &|world| {
            world.host().sh("nft add rule inet rprov input tcp dport 8080 accept");
        },
        shown: &["change firewall table inet rprov"],
        words: &["tcp dport 8080 accept"],
        touched: &[],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "ruleset file edited",
        make: &|world| {
            world.host().sh("sed -i 's/policy drop/policy accept/' /etc/rprov/firewall.nft");
        },
        shown: &["change firewall /etc/rprov/firewall.nft"],
        words: &["policy accept", "policy drop"],
        touched: &["files /etc/rprov/firewall.nft", "files /etc/rprov"],
        asked: &[],
    });
    bench.try_drift(&Drift {
        what: "unit disabled",
        make: &|world| {
            world.host().sh("systemctl disable -q rprov-firewall.service");
        },
        shown: &["change service rprov-firewall: at boot"],
        words: &["disabled"],
        touched: &["files /etc/systemd/system*"],
        asked: &[],
    });
    // Somebody else's table is none of ours: no change is planned, and one of ours leaves it as it is.
    let world = &bench.world;
    world.host().sh("nft -f - <<'END'\ntable inet mine {\n chain input {\n type filter hook input priority 10; policy accept;\n tcp dport 4444 drop\n }\n}\nEND");
    world.assert_converged("with a foreign table");
    let foreign = world.host().sh("nft list table inet mine");
    world.host().sh("nft delete table inet rprov");
    world.apply();
    assert_eq!(world.host().sh("nft list table inet mine"), foreign, "a foreign table was touched");
    world.assert_converged("with a foreign table, after an apply");
}
