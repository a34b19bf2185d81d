use super::*;
use crate::diagnostic::Span;
use crate::name::RemotePath;
use crate::plan::{Attr, Blocked, Change, Note, Problem, RunnerView, TextChange, Verdict};
use crate::step::{Step, UnitAction};

fn span(line: usize) -> Span {
    Span { file: "inventories/prod.yml".into(), line, column: 5 }
}

fn change(action: Action, kind: &str, name: &str, effect: Effect, line: usize) -> Change {
    Change {
        kind: kind.to_owned(),
        name: name.to_owned(),
        action,
        reason: None,
        attrs: Vec::new(),
        text: None,
        effect,
        service: None,
        origin: Some(span(line)),
        steps: Vec::new(),
    }
}

fn attr(path: &str, old: Option<&str>, new: Option<&str>) -> Attr {
    Attr::new(path, old.map(str::to_owned), new.map(str::to_owned))
}

fn quiet(name: &str) -> HostPlan {
    HostPlan { name: name.to_owned(), summary: vec!["debian 12".to_owned()], jobs: Some(0), ..HostPlan::default() }
}

/// A plan with everything in it.
fn sample() -> Plan {
    let mut daemon = change(Action::Change, "docker daemon", "/etc/docker/daemon.json", Effect::KillsJobs, 31);
    daemon.service = Some("docker".to_owned());
    daemon.attrs = vec![attr("default-address-pools[0].base", Some("\"172.17.0.0/16\""), Some("\"10.201.0.0/16\""))];
    daemon.steps = vec![Step::Unit { unit: "docker.service".to_owned(), action: UnitAction::Restart }];
    let mut config =
        change(Action::Change, "runner config", "/srv/gitlab-runner/config.toml", Effect::RunnerReload, 12);
    config.attrs = vec![
        attr("concurrent", Some("10"), Some("100")),
        attr("runners.docker.docker.pull_policy", None, Some("\"if-not-present\"")),
        attr("runners.docker.post_build_script", Some("\"rm -rf \\\"$CI_BUILDS_DIR\\\"\""), None),
    ];
    let mut record = change(Action::Change, "runner record", "#42 docker", Effect::None, 8);
    record.attrs = vec![attr("tags", Some("[docker]"), Some("[docker, production]"))];
    let mut container = change(Action::Replace, "container", "gitlab-runner", Effect::RunnerDrain, 25);
    container.reason = Some("the image that it runs was replaced by a newer one under the same name".to_owned());
    container.attrs = vec![attr(
        "image",
        Some("registry.example.com/mirror/gitlab/gitlab-runner:v17.8.0@sha256:0123456789abcdef0123456789abcdef"),
        Some("registry.example.com/mirror/gitlab/gitlab-runner:v17.9.0@sha256:fedcba9876543210fedcba9876543210"),
    )];
    let mut cron = change(Action::Change, "file", "/etc/cron.d/rprov-cleanup", Effect::None, 40);
    cron.text = Some(TextChange {
        old: "# clean-up\nSHELL=/bin/sh\nPATH=/usr/bin:/bin\n\n0 3 * * * root /usr/local/sbin/clean\n".into(),
        new: "# clean-up\nSHELL=/bin/sh\nPATH=/usr/bin:/bin\n\n0 4 * * * root /usr/local/sbin/clean\n".into(),
    });
    let mut script = change(Action::Add, "file", "/usr/local/sbin/rprov-cleanup", Effect::None, 40);
    script.text = Some(TextChange { old: "".into(), new: "#!/bin/sh\nset -eu\nexit 0\n".into() });
    let ci = HostPlan {
        name: "ci.example.com".to_owned(),
        summary: ["debian 12", "docker 20.10.24", "runner 17.9.0"].map(str::to_owned).to_vec(),
        jobs: Some(3),
        changes: vec![daemon, config, record, container, cron, script],
        notes: vec![Note {
            about: "runner \"old builder\"".to_owned(),
            message: "is in config.toml but not in the inventory; kept (`unmanaged_runners: remove` takes it out)"
                .to_owned(),
        }],
        problems: Vec::new(),
        runners: vec![
            RunnerView::new("shell", Some(41), Verdict::InSync, ""),
            RunnerView::new(
                "docker",
                Some(42),
                Verdict::Differs,
                "in GitLab: tags; in config.toml: docker.pull_policy",
            ),
            RunnerView::new("old builder", Some(7), Verdict::OnlyOnHost, "hand-made"),
        ],
        ..HostPlan::default()
    };
    let mut variable = change(Action::Add, "variable", "GIT_CLONE_PATH (instance)", Effect::None, 6);
    variable.attrs = vec![attr("value", None, Some("$CI_BUILDS_DIR/gitlab-job-$CI_JOB_ID"))];
    let gitlab =
        HostPlan { name: "https://gitlab.example.com".to_owned(), changes: vec![variable], ..HostPlan::default() };
    let mut unreachable = quiet("gpu-1.example.com");
    unreachable.summary.clear();
    unreachable.jobs = None;
    unreachable.problems = vec![Problem {
        message: "cannot connect to 10.0.0.7:2222: connection refused".to_owned(),
        help: Some("check that 10.0.0.7:2222 is up and that this machine may reach it; `ssh.address` and `ssh.port` set where rprov connects".to_owned()),
        unknown_only: false,
    }];
    let mut partly = quiet("ci-5.example.com");
    partly.problems = vec![Problem {
        message: "cannot read /etc/docker/daemon.json: permission denied".to_owned(),
        help: Some("set `ssh.become: sudo`".to_owned()),
        unknown_only: true,
    }];
    let mut removal = quiet("ci-2.example.com");
    removal.changes = vec![change(Action::Remove, "package", "gitlab-ci-multi-runner", Effect::None, 51)];
    Plan { hosts: vec![gitlab, ci, removal, quiet("ci-3.example.com"), quiet("ci-4.example.com"), partly, unreachable] }
}

/// As somebody sees it who watches; nothing is cut elsewhere.
fn terminal(width: usize) -> Look {
    Look { terminal: true, ..Look::plain(width) }
}

#[test]
fn at_200_columns() {
    insta::assert_snapshot!(render(&sample(), terminal(200)));
}

#[test]
fn at_120_columns() {
    insta::assert_snapshot!(render(&sample(), terminal(120)));
}

#[test]
fn at_80_columns() {
    let text = render(&sample(), terminal(80));
    let widest = text.lines().map(columns).max().unwrap();
    assert!(widest <= 80, "{widest} columns");
    insta::assert_snapshot!(text);
    // In a log the verdict is one line whatever the width, so that it can be searched for.
    assert!(render(&sample(), Look::plain(80)).lines().last().unwrap().starts_with("Plan: "));
}

#[test]
fn in_full() {
    insta::assert_snapshot!(render(&sample(), Look::plain(80).verbose(true)));
}

#[test]
fn in_colour() {
    let text = render(&sample(), Look { colour: true, ..terminal(120) });
    insta::assert_snapshot!(text.replace('\x1b', "ESC"));
}

#[test]
fn in_a_job_log() {
    let text = render(&sample(), Look::plain(80).sections(Some(1_790_000_000)));
    insta::assert_snapshot!(text.replace('\x1b', "ESC").replace('\r', "CR"));
    // Without its marks it is the same text, but for one line break at the end of each section.
    let plain = render(&sample(), Look::plain(80));
    let words = |text: &str| text.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let marks = regex::Regex::new("\x1b\\[0Ksection_(start|end):[^\r]*\r\x1b\\[0K").unwrap();
    assert_eq!(words(&marks.replace_all(&text, "")), words(&plain));
}

#[test]
fn colour_carries_nothing_alone() {
    let plain = render(&sample(), Look::plain(120));
    let colour = render(&sample(), Look { colour: true, ..Look::plain(120) });
    let mut stripped = String::new();
    let mut rest = colour.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        stripped += before;
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(stripped + rest, plain);
}

#[test]
fn verdicts() {
    let of = |hosts: Vec<HostPlan>| verdict(&Plan { hosts });
    let all = sample().hosts;
    let (gitlab, ci, partly, failed) = (&all[0], &all[1], &all[5], &all[6]);
    let mut failed_gitlab = gitlab.clone();
    failed_gitlab.changes.clear();
    failed_gitlab.problems.clone_from(&failed.problems);
    let (mut held_back, mut held_gitlab) = (ci.clone(), gitlab.clone());
    held_back.problems.clone_from(&failed.problems);
    held_gitlab.problems.clone_from(&failed.problems);
    let ending = |hosts: Vec<HostPlan>| of(hosts).split_once("; ").map(|(_, ending)| ending.to_owned());
    let both = "2 restarts, 3 running jobs affected; 1 host could not be planned; 1 host held back by a problem.";
    assert_eq!(ending(vec![held_back, failed.clone()]).as_deref(), Some(both));
    assert_eq!(ending(vec![held_gitlab]).as_deref(), Some("no restarts; GitLab held back by a problem."));
    let mut quiet_gitlab = gitlab.clone();
    quiet_gitlab.changes.clear();
    assert_eq!(of(vec![quiet("a"), quiet("b")]), "No changes. 2 hosts match the inventory.");
    assert_eq!(of(vec![quiet("a")]), "No changes. 1 host matches the inventory.");
    assert_eq!(of(vec![quiet_gitlab.clone(), quiet("a")]), "No changes. 1 host and GitLab match the inventory.");
    assert_eq!(of(vec![quiet_gitlab.clone()]), "No changes. GitLab matches the inventory.");
    assert_eq!(of(vec![quiet("a"), failed.clone()]), "No changes on 1 of 2 hosts; 1 host could not be planned.");
    assert_eq!(of(vec![failed.clone()]), "No plan: 1 host could not be planned.");
    assert_eq!(of(vec![quiet("a"), partly.clone()]), "No changes on 1 of 2 hosts; 1 host known only in part.");
    assert_eq!(of(vec![failed_gitlab, quiet("a")]), "No changes on 1 host; GitLab could not be planned.");
    let mut partly_gitlab = quiet_gitlab.clone();
    partly_gitlab.problems.clone_from(&partly.problems);
    assert_eq!(of(vec![partly_gitlab.clone()]), "No plan: GitLab known only in part.");
    assert_eq!(of(vec![partly_gitlab, quiet("a")]), "No changes on 1 host; GitLab known only in part.");
    assert_eq!(
        of(vec![gitlab.clone(), quiet("a")]),
        "Plan: 1 to add, 0 to change, 0 to remove in GitLab; no restarts."
    );
    assert_eq!(
        of(vec![ci.clone(), quiet("a")]),
        "Plan: 1 to add, 4 to change, 1 to replace, 0 to remove on 1 of 2 hosts; 2 restarts, 3 running jobs affected."
    );
    let mut blind = ci.clone();
    blind.jobs = None;
    assert!(of(vec![blind]).ends_with("2 restarts, running jobs not known."));
}

#[test]
fn a_problem_of_many_hosts_is_told_once() {
    let host = |number: usize| {
        let message = if number == 7 { "it is down" } else { "GitLab refuses the token" };
        HostPlan {
            name: format!("ci-{number}.example.com"),
            problems: vec![Problem { message: message.to_owned(), help: None, unknown_only: false }],
            ..HostPlan::default()
        }
    };
    let plan = Plan { hosts: (1..=9).map(host).collect() };
    let text = render(&plan, terminal(120));
    assert!(
        text.starts_with(
            "! ci-1.example.com, ci-2.example.com, ci-3.example.com and 5 more hosts\n    GitLab refuses the token\n! \
             ci-7.example.com   it is down\n"
        ),
        "{text}"
    );
    assert!(render(&plan, Look::plain(120).verbose(true)).contains("ci-6.example.com"));
}

#[test]
fn hostile_text_steers_nothing() {
    const EVIL: &str = "\x1b[2J\x1b]0;owned\x07\r\u{202e}\u{9b}31m\nfake: ok";
    let mut bad = change(Action::Change, EVIL, EVIL, Effect::KillsJobs, 1);
    bad.reason = Some(EVIL.to_owned());
    bad.service = Some(EVIL.to_owned());
    bad.attrs = vec![attr(EVIL, Some(EVIL), Some(EVIL))];
    bad.text = Some(TextChange { old: EVIL.into(), new: EVIL.repeat(2).into() });
    bad.origin = Some(Span { file: EVIL.into(), line: 1, column: 1 });
    bad.steps = vec![Step::PullImage(EVIL.to_owned()), Step::RemoveFile(RemotePath::new("/a\x1b[1m").unwrap())];
    let problem = |unknown_only| Problem { message: EVIL.to_owned(), help: Some(EVIL.to_owned()), unknown_only };
    let host = HostPlan {
        name: EVIL.to_owned(),
        summary: vec![EVIL.to_owned()],
        jobs: Some(1),
        changes: vec![bad],
        notes: vec![Note { about: EVIL.to_owned(), message: EVIL.to_owned() }],
        problems: vec![problem(true), problem(false)],
        runners: vec![RunnerView::new(EVIL, Some(1), Verdict::SameToken, EVIL)],
        ..HostPlan::default()
    };
    for verbose in [false, true] {
        let text = render(&Plan { hosts: vec![host.clone()] }, Look::plain(80).verbose(verbose));
        let found = text.chars().find(|c| *c != '\n' && crate::visible::is_harmful(*c));
        assert_eq!(found, None);
        // The only place where a line of theirs starts a line of ours is a file's diff, behind its sign.
        assert!(!text.lines().any(|line| line.starts_with("fake")), "{text}");
    }
}

#[test]
fn long_diffs_are_folded() {
    let old: String = (0..200).map(|n| format!("line {n}\n")).collect();
    let mut big = change(Action::Change, "file", "/etc/big", Effect::None, 1);
    big.text = Some(TextChange { new: old.replace("line", "row").into(), old: old.into() });
    let mut host = quiet("a");
    host.changes = vec![big];
    let plan = Plan { hosts: vec![host] };
    let text = render(&plan, Look::plain(80));
    assert!(text.contains("… 361 more lines (-v shows all)"), "{text}");
    assert!(render(&plan, Look::plain(80).verbose(true)).contains("+row 199\n"));
}

#[test]
fn many_attributes_of_a_new_thing_are_folded() {
    let mut new = change(Action::Add, "runner config", "/srv/config.toml", Effect::None, 1);
    new.attrs = (0..30).map(|n| attr(&format!("key{n}"), None, Some("1"))).collect();
    let mut host = quiet("a");
    host.changes = vec![new];
    let text = render(&Plan { hosts: vec![host] }, Look::plain(80));
    assert!(text.contains("… 14 more attributes (-v shows all)"), "{text}");
    assert!(!text.contains("(unset)"));
}

/// A plan of 200 hosts, most of them alike.
fn fleet() -> Plan {
    let sample = sample().hosts.into_iter().find(|host| !host.changes.is_empty() && !host.is_gitlab()).unwrap();
    let host = |number: usize| {
        let mut host = HostPlan { name: format!("ci-{number:03}.example.com"), problems: Vec::new(), ..sample.clone() };
        host.runners.clear();
        host.notes.clear();
        host.jobs = Some(usize::from(number == 5) * 2);
        match number {
            7 => host.changes.truncate(1),
            9 | 10 => host.changes.clear(),
            11 => host.summary.insert(1, "docker 19.3.0".to_owned()),
            _ => host.changes.truncate(2),
        }
        host
    };
    // Each runner has a number and a name of its own.
    let host = |number: usize| {
        let mut host = host(number);
        let id = 100 + u64::try_from(number).unwrap();
        host.runners = vec![RunnerView::new("docker", Some(id), Verdict::InSync, "")];
        if let [.., last] = host.changes.as_mut_slice() {
            let mut record = change(Action::Change, "runner record", &format!("#{id} docker"), Effect::None, 8);
            let name = |word: &str| Some(format!("{} {word}", host.name));
            record.attrs = vec![Attr::new("description", name("old"), name("docker"))];
            *last = record;
        }
        host
    };
    Plan { hosts: (1..=200).map(host).collect() }
}

#[test]
fn hosts_that_change_alike_are_told_once() {
    let plan = fleet();
    for width in [80, 200] {
        let text = render(&plan, terminal(width));
        let long: Vec<_> = text.lines().filter(|line| columns(line) > width).collect();
        assert!(long.is_empty(), "{long:?}");
        insta::assert_snapshot!(format!("fleet_{width}"), text);
    }
    let colour = render(&plan, Look { colour: true, ..terminal(80) });
    insta::assert_snapshot!("fleet_colour", colour.replace('\x1b', "␛"));
    // Nothing is folded where all is asked for, and few are not worth it.
    let all = render(&plan, Look::plain(80).verbose(true));
    assert!(
        (1..=200).filter(|number| ![9, 10].contains(number)).all(|number| all.contains(&format!("ci-{number:03}.")))
    );
    let two = Plan { hosts: fleet().hosts[..2].to_vec() };
    let text = render(&two, Look::plain(80));
    assert!(text.contains("ci-001") && text.contains("ci-002") && !text.contains('×'), "{text}");
}

#[test]
fn problems_that_differ_in_an_address_are_one() {
    let host = |number: usize| {
        let message = format!("cannot connect to 192.0.2.{number}:22: no answer within 10 s");
        let help = Some(format!("is ci-{number}.example.com on?"));
        let problems = vec![Problem { message, help, unknown_only: false }];
        HostPlan { name: format!("ci-{number}.example.com"), problems, ..HostPlan::default() }
    };
    let mut plan = Plan { hosts: (1..=60).map(host).collect() };
    plan.hosts[30].problems[0].message = "the host's key has changed".to_owned();
    let text = render(&plan, terminal(80));
    insta::assert_snapshot!(text);
    assert!(render(&plan, Look::plain(80).verbose(true)).contains("192.0.2.47:22"));
    plan.hosts.truncate(2);
    assert!(render(&plan, terminal(80)).contains("192.0.2.2:22"), "two are told as they are");
}

#[test]
fn a_problem_that_names_its_hosts_is_told_once() {
    let message = "ci-1 and ci-2 are names of one machine".to_owned();
    let problem = Problem { message: message.clone(), help: Some("keep one".to_owned()), unknown_only: false };
    let host = |name: &str| HostPlan { name: name.to_owned(), problems: vec![problem.clone()], ..HostPlan::default() };
    let text = render(&Plan { hosts: vec![host("ci-1"), host("ci-2")] }, Look::plain(80));
    assert!(text.starts_with(&format!("! ci-1, ci-2   {message}\n    help: keep one\n")), "{text}");
    assert_eq!(text.matches(&message).count(), 1, "{text}");
}

#[test]
fn what_is_not_shown_counts_as_a_difference() {
    let host = |number: usize, different: bool| {
        let mut key = change(Action::Add, "file", "/etc/key", Effect::None, 1);
        let content = if different { format!("the key of {number}\n") } else { "the same key\n".to_owned() };
        key.text = Some(TextChange { old: "".into(), new: content.into() });
        let mut config = change(Action::Add, "container", "gitlab-runner", Effect::None, 2);
        config.attrs = (0..30).map(|n| attr(&format!("key{n}"), None, Some("1"))).collect();
        let name = format!("ci-{number}.example.com");
        config.attrs.push(attr("name", None, Some(&name)));
        HostPlan { name, changes: vec![key, config], ..HostPlan::default() }
    };
    let of = |different| Plan { hosts: (1..=5).map(|number| host(number, different)).collect() };
    for look in [terminal(80), Look::plain(80)] {
        assert!(render(&of(false), look).contains("× 5 hosts"), "{}", render(&of(false), look));
        assert!(!render(&of(true), look).contains('×'), "{}", render(&of(true), look));
    }
    // A value that is the word for a name is shown as it is.
    let mut plan = of(false);
    plan.hosts[0].changes[1].attrs[30].new = Some("HOST".to_owned());
    let text = render(&plan, terminal(80));
    assert!(text.contains("× 4 hosts") && text.contains("ci-1.example.com\n"), "{text}");
}

#[test]
fn two_problems_of_a_host_do_not_make_it_two() {
    let problem =
        |n: usize| Problem { message: format!("cannot reach 192.0.2.{n}:443"), help: None, unknown_only: false };
    let host =
        |name: &str| HostPlan { name: name.to_owned(), problems: vec![problem(1), problem(2)], ..HostPlan::default() };
    let mut plan = Plan { hosts: vec![host("a"), host("b")] };
    assert!(render(&plan, terminal(80)).contains("! a, b   cannot reach 192.0.2.2:443\n"));
    plan.hosts.push(host("c"));
    assert!(render(&plan, terminal(80)).contains("! a, b, c   cannot reach ADDRESS\n    HOST and ADDRESS stand"));
}

#[test]
fn what_is_also_there_is_told_with_values_to_who_asks_for_more() {
    let values = vec![
        Attr::new("data-root", Some("\"/data\"".to_owned()), None),
        Attr::new("proxies\u{1b}[2J", Some("(not shown)".to_owned()), None),
    ];
    let also = crate::plan::Also { about: "docker daemon /d".to_owned(), place: "on the host", values, note: 1 };
    let first = Note { about: "x".to_owned(), message: "y".to_owned() };
    let host = HostPlan { notes: vec![first, also.note()], also: vec![also], ..quiet("h") };
    let text = |look: Look| render(&Plan { hosts: vec![host.clone()] }, look);
    let short = text(Look::plain(80));
    assert!(short.contains("docker daemon /d: also on the host: data-root, proxies") && !short.contains("/data\""));
    let long = text(Look::plain(80).verbose(true));
    assert!(long.contains("      data-root: \"/data\"\n      proxies") && !long.contains('\u{1b}'), "{long}");
}

#[test]
fn the_same_advice_is_given_once() {
    let blocked = |about: &str, help: Option<&str>| Blocked {
        about: about.to_owned(),
        message: "it is a directory".to_owned(),
        help: help.map(str::to_owned),
    };
    let (move_it, mount_it) = (Some("move it"), Some("mount it"));
    let blocked = [("file /a", move_it), ("file /b", None), ("file /c", move_it), ("file /d", mount_it)]
        .map(|(about, help)| blocked(about, help));
    let host = HostPlan { blocked: blocked.to_vec(), ..quiet("h") };
    let text = render(&Plan { hosts: vec![host] }, Look::plain(80));
    assert_eq!(text.matches("help: move it").count(), 1, "{text}");
    assert!(text.contains("/c is blocked: it is a directory\n      help: move it\n  ! file /d is"), "{text}");
    assert!(text.contains("/d is blocked: it is a directory\n      help: mount it\n"), "{text}");
}
