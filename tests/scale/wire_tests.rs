//! A host at the end of a bad line: 200 ms each way, every twentieth packet lost, or cut.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::enter;
use super::host::{Host, Keys};
use super::network::command_in;
use super::rprov::{end, run, start, write_inventory};
use super::wire::{ADDRESS, FAR, NEAR, Wire};

const DELAY: Duration = Duration::from_millis(200);

fn world() -> (Wire, Keys, Host) {
    let wire = Wire::new();
    let keys = Keys::new();
    let host = keys.host(FAR, ADDRESS, "");
    host.ready();
    (wire, keys, host)
}

/// `files`: how many, and how long each is.
fn write(keys: &Keys, files: (usize, usize)) {
    let (count, length) = files;
    let mut wants = "  packages: [base-files]\n  directories: [/run/scale]\n  files:\n".to_owned();
    for n in 0..count {
        let content = "0123456789abcde ".repeat(length / 16);
        wants.push_str(&format!("    - {{ path: /run/scale/{n}, content: \"{content}\\n\" }}\n"));
    }
    write_inventory(keys, "", &wants, &[("ci.example.com".to_owned(), ADDRESS.to_owned())]);
}

#[test]
fn plan_and_apply_over_a_bad_line() {
    if !enter::inside("wire_tests::plan_and_apply_over_a_bad_line") {
        return;
    }
    let (wire, keys, host) = world();
    wire.set(DELAY, 50);
    write(&keys, (5, 4_000));
    let planned = run(&keys, Some(NEAR), &["plan"]).expect(0);
    assert!(planned.out.contains("6 to add"), "{}", planned.out);
    run(&keys, Some(NEAR), &["apply", "--yes"]).expect(0);
    run(&keys, Some(NEAR), &["plan", "--detailed-exitcode"]).expect(0);
    let (carried, lost) = wire.packets();
    println!("{lost} of {} packets were lost", carried + lost);
    assert!(lost > 10, "this test shows nothing: {lost} of {carried} packets lost");
    // Nothing was begun anew: two plans, and an apply with its last look.
    assert_eq!(host.connections(), 4, "{}", host.log());
}

#[test]
fn a_plan_costs_no_more_round_trips_than_ssh() {
    if !enter::inside("wire_tests::a_plan_costs_no_more_round_trips_than_ssh") {
        return;
    }
    let (wire, keys, _host) = world();
    write(&keys, (20, 160));
    wire.set(DELAY, 0);
    let started = Instant::now();
    let (ours, planned) = wire.turns(|| run(&keys, Some(NEAR), &["plan"]));
    let our_time = started.elapsed();
    planned.expect(0);
    let started = Instant::now();
    let (theirs, status) = wire.turns(|| {
        let mut ssh = command_in(Some(NEAR), Path::new("ssh"));
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", keys.path("known_hosts").display()))
            .arg("-i")
            .arg(keys.path("client"));
        ssh.arg(format!("root@{ADDRESS}")).arg("sh -s").stdin(Stdio::null()).status().unwrap()
    });
    let their_time = started.elapsed();
    assert!(status.success());
    let round_trip = 2.0 * DELAY.as_secs_f64();
    println!(
        "a plan of 22 resources: {ours} turns, {:.1} round trips of time; `ssh HOST sh -s`: {theirs} turns, {:.1}; ratio \
         of times {:.2}",
        our_time.as_secs_f64() / round_trip,
        their_time.as_secs_f64() / round_trip,
        our_time.as_secs_f64() / their_time.as_secs_f64(),
    );
    assert!(ours <= theirs, "a plan takes {ours} turns, ssh {theirs}");
}

#[test]
fn a_line_that_is_cut_during_a_plan() {
    if !enter::inside("wire_tests::a_line_that_is_cut_during_a_plan") {
        return;
    }
    let (wire, keys, host) = world();
    write(&keys, (1, 160));
    wire.set(DELAY, 0);
    let plan = start(&keys, Some(NEAR), &["plan"]);
    host.wait_for("Starting session: command");
    wire.cut();
    let started = Instant::now();
    let cut = end(plan).expect(3);
    println!("told after {} s:\n{}", started.elapsed().as_secs(), cut.out);
    let wanted = "the connection to 10.98.0.2:22 broke: no answer to 4 keep-alives in a row help: the host hangs, or the \
                  network to 10.98.0.2:22 is down";
    assert!(cut.text().contains("ci.example.com") && cut.text().contains(wanted), "{}", cut.text());
}
