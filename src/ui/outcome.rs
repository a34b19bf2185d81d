//! What became of a run: each failure with all that helps to fix it, and the verdict. Pure.

use crate::apply::{Others, Outcome};
use crate::event::{self, Cause, Failure};
use crate::ui::plan_human;
use crate::ui::style::{self, Look, Role, columns, count, cut_end, cut_middle, pad, sanitize, wrap};

/// What is blocked on a host of which everything else was done; only what was `not_told` with the plan.
#[must_use]
pub fn blocked(host: &str, failure: &Failure, not_told: &[&str], look: Look) -> String {
    let number = not_told.len();
    let are = if number == 1 { "is" } else { "are" };
    let all = number == failure.output.len();
    let more = if all { "" } else { " that the plan did not show" };
    let mut out =
        format!("{}: {} {are} blocked{more}\n", look.paint(Role::Bold, &sanitize(host)), count(number, "thing"));
    for line in not_told {
        let lines = wrap(&sanitize(line), look.width.saturating_sub(4));
        for (at, line) in lines.iter().enumerate() {
            out += &format!("{:1$}{line}\n", "", if at == 0 { 2 } else { 4 });
        }
    }
    if failure.done > 0 {
        out += &labelled(
            "done",
            Role::Dim,
            &format!("{} made, everything that is not blocked", count(failure.done, "change")),
            look,
        );
    }
    out + &help(failure, look)
}

/// What one host failed at: the command, its last lines, what is still different, and what to do next.
#[must_use]
pub fn failure(host: &str, failure: &Failure, look: Look) -> String {
    let mut out = format!("{} failed at {}\n", look.paint(Role::Bold, &sanitize(host)), sanitize(&failure.during));
    out += &labelled("error", Role::Error, &sanitize(&failure.message), look);
    if let Some(command) = &failure.command {
        // Not wrapped: somebody may want to copy it.
        out += &format!("  {} {}\n", look.paint(Role::Dim, "command:"), sanitize(command));
    }
    if !failure.output.is_empty() {
        let label = if failure.cause == Cause::Stale { "what differs:" } else { "its last lines:" };
        out += &format!("  {}\n", look.paint(Role::Dim, label));
        for line in &failure.output {
            out += &format!("    {}\n", sanitize(line.trim_end()));
        }
    }
    if let Some(remaining) = &failure.remaining {
        out += &format!("  {}\n", look.paint(Role::Dim, "still different:"));
        for line in plan_human::render_host(remaining, Look { width: look.width.saturating_sub(4), ..look }).lines() {
            out += &format!("    {line}\n");
        }
    }
    if failure.done > 0 {
        let done = format!("{} made before; the next run goes on from there", count(failure.done, "change"));
        out += &labelled("done", Role::Dim, &done, look);
    }
    out + &help(failure, look)
}

fn help(failure: &Failure, look: Look) -> String {
    let Some(help) = &failure.help else { return String::new() };
    let mut lines = help.lines();
    let mut out = labelled("help", Role::Hunk, &sanitize(lines.next().unwrap_or_default()), look);
    // Further lines are commands, whole, to be copied.
    for command in lines {
        out += &format!("        {}\n", sanitize(command.trim()));
    }
    out
}

fn labelled(label: &str, role: Role, text: &str, look: Look) -> String {
    let indent = 2 + label.len() + 2;
    let mut lines = wrap(text, look.width.saturating_sub(indent)).into_iter();
    let mut out = format!("  {} {}\n", look.paint(role, &format!("{label}:")), lines.next().unwrap_or_default());
    for line in lines {
        out += &format!("{:indent$}{line}\n", "");
    }
    out
}

/// Of a host that was stopped: `before directory /builds; 1 change made`.
#[must_use]
pub fn stopped_before(failure: &Failure) -> String {
    // While it waits for the lock, a host is at no change yet.
    let what = if failure.during == "locking" { "its first change" } else { &failure.during };
    match failure.done {
        0 => format!("before {what}"),
        done => format!("before {what}; {} made", count(done, "change")),
    }
}

/// How a host ended that did not come to its end, in one line: what is blocked is no failure.
pub(crate) fn headline(failure: &Failure, look: Look) -> String {
    match failure.cause {
        Cause::Blocked => failure.message.clone(),
        _ => format!("failed at {}", at(failure, look)),
    }
}

/// What a host failed at, where [`failure`] tells all of it nearby. A log is searched for the message, so there it stays; and of a
/// host that failed before any change, it is all that there is.
pub(crate) fn at(failure: &Failure, look: Look) -> String {
    if look.terminal && failure.during != "planning" {
        return failure.during.clone();
    }
    format!("{}: {}", failure.during, failure.message)
}

/// One line per host that changed, failed or was stopped, if there is more than that the verdict says; then the verdict.
#[must_use]
pub fn summary(outcomes: &[Outcome], look: Look) -> String {
    let to_tell = |outcome: &&Outcome| !matches!(outcome.result, Ok(0)) || outcome.others.is_some();
    let told: Vec<&Outcome> = outcomes.iter().filter(to_tell).collect();
    let mut out = String::new();
    let any_stopped = told.iter().any(|outcome| stopped(outcome));
    // "0 changes" alone, after a plan of many, would be a riddle.
    if told.len() > 1 || any_stopped || told.iter().any(|outcome| outcome.others.is_some()) {
        let words = if any_stopped || told.iter().any(|outcome| is(outcome, Cause::Blocked)) { 7 } else { 6 };
        let names = told.iter().map(|outcome| columns(&sanitize(&outcome.host))).max().unwrap_or(0);
        for outcome in told {
            let (role, word, text) = match &outcome.result {
                Ok(changes) => (Role::Add, "ok", made(*changes, outcome.others)),
                Err(failure) if failure.cause == Cause::Stopped => (Role::Warn, "stopped", stopped_before(failure)),
                Err(failure) if failure.cause == Cause::Blocked => {
                    let before = if failure.done == 0 { String::new() } else { count(failure.done, "change") + "; " };
                    (Role::Error, "blocked", before + &failure.message)
                }
                Err(failure) => {
                    let before =
                        if failure.done == 0 { String::new() } else { count(failure.done, "change") + ", then " };
                    (Role::Error, "failed", before + &at(failure, look))
                }
            };
            let mut text = sanitize(&text).into_owned();
            if !look.whole() {
                // How much was made stands at the end.
                let cut = if stopped(outcome) { cut_middle } else { cut_end };
                text = cut(&text, look.width.saturating_sub(names + words + 7).max(30));
            }
            out += &format!(
                "  {}  {}   {text}\n",
                look.paint(role, &pad(word, words)),
                pad(&sanitize(&outcome.host), names)
            );
        }
        out.push('\n');
    }
    let role = match outcomes.iter().find(|outcome| outcome.result.is_err() && !stopped(outcome)) {
        Some(_) => Role::Error,
        None if outcomes.iter().any(stopped) => Role::Warn,
        None => Role::Add,
    };
    out + &look.paint(role, &style::verdict(&verdict(outcomes), look)) + "\n"
}

fn made(changes: usize, others: Option<Others>) -> String {
    match others {
        None => count(changes, "change"),
        Some(Others::Run) => "nothing left to do: another run made the changes".to_owned(),
        Some(Others::Somebody) => "nothing left to do: the changes were made meanwhile".to_owned(),
    }
}

fn stopped(outcome: &Outcome) -> bool {
    is(outcome, Cause::Stopped)
}

fn is(outcome: &Outcome, cause: Cause) -> bool {
    outcome.result.as_ref().is_err_and(|failure| failure.cause == cause)
}

/// `Apply complete: 12 changes on 3 hosts.`
#[must_use]
pub fn verdict(outcomes: &[Outcome]) -> String {
    let made = |outcome: &Outcome| match &outcome.result {
        Ok(changes) => *changes,
        Err(failure) => failure.done,
    };
    let gitlab = |outcome: &&Outcome| event::is_gitlab(&outcome.host);
    let changes: usize = outcomes.iter().map(made).sum();
    let hosts = outcomes.iter().filter(|outcome| !gitlab(outcome) && made(outcome) > 0).count();
    let in_gitlab = outcomes.iter().any(|outcome| gitlab(&outcome) && made(outcome) > 0);
    let places = match (hosts, in_gitlab) {
        (0, true) => " in GitLab".to_owned(),
        (0, false) => String::new(),
        (hosts, false) => format!(" on {}", count(hosts, "host")),
        (hosts, true) => format!(" on {} and in GitLab", count(hosts, "host")),
    };
    let made = format!("{}{places}", count(changes, "change"));
    let which = |of: &dyn Fn(&Outcome) -> bool| {
        let which = outcomes.iter().filter(|outcome| outcome.result.is_err() && of(outcome));
        let (in_gitlab, hosts): (Vec<_>, Vec<_>) = which.partition(gitlab);
        match (hosts.len(), in_gitlab.is_empty()) {
            (0, true) => None,
            (0, false) => Some("GitLab".to_owned()),
            (hosts, true) => Some(count(hosts, "host")),
            (hosts, false) => Some(format!("{} and GitLab", count(hosts, "host"))),
        }
    };
    // "Complete" would be wrong, whatever else went well.
    let is_blocked = |outcome: &Outcome| is(outcome, Cause::Blocked);
    let failed = which(&|outcome| !stopped(outcome) && !is_blocked(outcome)).map(|which| format!("{which} failed"));
    let blocked = which(&is_blocked).map(|which| format!("something is blocked on {which}"));
    let stopped = which(&stopped).map(|which| format!("{which} stopped"));
    let how = match (&failed, &blocked, &stopped) {
        (None, None, None) => return format!("Apply complete: {made}."),
        (None, None, Some(_)) => "stopped",
        _ => "incomplete",
    };
    let all: Vec<String> = [failed, blocked, stopped].into_iter().flatten().collect();
    format!("Apply {how}: {made}; {}.", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, Attr, Change, Effect, HostPlan, Sealed};

    fn failed() -> Failure {
        Failure {
            during: "docker daemon /etc/docker/daemon.json".to_owned(),
            message:
                "dockerd refuses the new configuration, so the old one stays in place and Docker goes on as before"
                    .to_owned(),
            command: Some("dockerd --validate --config-file /etc/docker/.daemon.json.rprov".to_owned()),
            output: vec![
                "unable to configure the Docker daemon:\r".to_owned(),
                "\x1b[31minvalid\x1b[0m pool".to_owned(),
            ],
            help: Some("correct `docker.daemon` in the inventory and run `rprov apply` again".to_owned()),
            done: 2,
            remaining: None,
            cause: Cause::Failed,
        }
    }

    fn unverified() -> Failure {
        let change = Change {
            kind: "service".to_owned(),
            name: "docker".to_owned(),
            action: Action::Change,
            reason: None,
            attrs: vec![Attr::new("state", Some("failed".to_owned()), Some("running".to_owned()))],
            text: None,
            effect: Effect::KillsJobs,
            service: Some("docker".to_owned()),
            origin: None,
            steps: Vec::new(),
        };
        let remaining =
            HostPlan { name: "gpu-1".to_owned(), jobs: Some(0), changes: vec![change], ..HostPlan::default() };
        Failure {
            during: "verifying".to_owned(),
            message: "not everything is as it should be after the changes".to_owned(),
            command: None,
            output: Vec::new(),
            help: None,
            done: 4,
            remaining: Some(Sealed::saved(remaining)),
            cause: Cause::Failed,
        }
    }

    fn outcome(host: &str, result: Result<usize, Failure>) -> Outcome {
        Outcome { host: host.to_owned(), result: result.map_err(Box::new), others: None }
    }

    #[test]
    fn failures() {
        let look = Look::plain(80);
        let text = failure("ci.example.com", &failed(), look) + "\n" + &failure("gpu-1", &unverified(), look);
        assert_eq!(text.chars().find(|c| *c != '\n' && c.is_control()), None);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn summaries() {
        let outcomes = [
            outcome("https://gitlab.example.com", Ok(1)),
            outcome("ci.example.com", Err(failed())),
            outcome("quiet", Ok(0)),
            outcome("gpu-1", Ok(4)),
        ];
        insta::assert_snapshot!(summary(&outcomes, Look::plain(80)));
        // Right above it, all of it was reported.
        let shown = summary(&outcomes, Look { terminal: true, ..Look::plain(120) });
        assert!(shown.contains("   2 changes, then docker daemon /etc/docker/daemon.json\n"), "{shown}");
        let unread = [outcome("a", Ok(1)), outcome("b", Err(Failure::new("planning", "cannot connect")))];
        let shown = summary(&unread, Look { terminal: true, ..Look::plain(80) });
        assert!(shown.contains("planning: cannot connect\n"), "{shown}");
    }

    #[test]
    fn changes_that_others_made_are_not_lost() {
        let by = |others| Outcome { others: Some(others), ..outcome("h2.lab.test", Ok(0)) };
        assert_eq!(
            summary(&[outcome("quiet", Ok(0)), by(Others::Run)], Look::plain(80)),
            "  ok      h2.lab.test   nothing left to do: another run made the changes\n\nApply complete: 0 changes.\n"
        );
        let said = summary(&[by(Others::Somebody)], Look::plain(80));
        assert!(said.contains("nothing left to do: the changes were made meanwhile\n"), "{said}");
    }

    #[test]
    fn a_stop_is_no_failure() {
        let stop = |during: &str, done| Failure { cause: Cause::Stopped, ..Failure::new(during, "asked").after(done) };
        let mut outcomes = vec![outcome("quiet", Ok(0)), outcome("h1.lab.test", Err(stop("locking", 0)))];
        assert_eq!(
            summary(&outcomes, Look::plain(80)),
            "  stopped  h1.lab.test   before its first change\n\nApply stopped: 0 changes; 1 host stopped.\n"
        );
        outcomes.push(outcome("h2", Err(stop("directory /builds", 6))));
        let image = "image registry.example.com/gitlab/gitlab-runner:v17.9.0";
        let long = [outcome("h1.lab.test", Err(stop(image, 3)))];
        assert!(
            summary(&long, Look::plain(80)).contains(&format!("   before {image}; 3 changes made\n")),
            "a log is not cut"
        );
        let long = summary(&long, Look { terminal: true, ..Look::plain(80) });
        assert!(long.contains("   before image registry.examp…ner:v17.9.0; 3 changes made\n"), "{long}");
        outcomes.push(outcome("h3", Ok(1)));
        assert_eq!(verdict(&outcomes), "Apply stopped: 7 changes on 2 hosts; 2 hosts stopped.");
        outcomes.push(outcome("ci.example.com", Err(failed())));
        insta::assert_snapshot!(summary(&outcomes, Look::plain(80)));
    }

    #[test]
    fn what_is_blocked_did_not_fail() {
        let lines = ["file /a is blocked: it is a directory", "file /b is blocked: it is a directory"];
        let left = |done| Failure {
            cause: Cause::Blocked,
            output: lines.map(str::to_owned).to_vec(),
            ..Failure::new("file /a", format!("{}; and 1 more", lines[0])).help("move it").after(done)
        };
        let look = Look::plain(80);
        let outcomes = [outcome("h1", Err(left(0))), outcome("h2", Err(left(3))), outcome("h3", Ok(1))];
        assert_eq!(
            summary(&outcomes, look),
            "  blocked  h1   file /a is blocked: it is a directory; and 1 more\n  \
               blocked  h2   3 changes; file /a is blocked: it is a directory; and 1 more\n  \
               ok       h3   1 change\n\n\
             Apply incomplete: 4 changes on 2 hosts; something is blocked on 2 hosts.\n"
        );
        assert_eq!(
            blocked("h2", &left(3), &lines, look),
            "h2: 2 things are blocked\n  file /a is blocked: it is a directory\n  file /b is blocked: it is a directory\n  \
             done: 3 changes made, everything that is not blocked\n  help: move it\n"
        );
        let late = blocked("h1", &left(0), &lines[1..], look);
        assert!(late.starts_with("h1: 1 thing is blocked that the plan did not show\n  file /b is"), "{late}");
        let mixed = [outcome("a", Err(failed())), outcome("b", Err(left(0)))];
        assert_eq!(
            verdict(&mixed),
            "Apply incomplete: 2 changes on 1 host; 1 host failed, something is blocked on 1 host."
        );
        assert_eq!(headline(&left(0), look), "file /a is blocked: it is a directory; and 1 more");
    }

    #[test]
    fn verdicts() {
        assert_eq!(verdict(&[outcome("a", Ok(4)), outcome("b", Ok(0))]), "Apply complete: 4 changes on 1 host.");
        assert_eq!(verdict(&[outcome("https://g", Ok(1))]), "Apply complete: 1 change in GitLab.");
        let unreached = Failure { done: 0, ..failed() };
        assert_eq!(verdict(&[outcome("a", Err(unreached.clone()))]), "Apply incomplete: 0 changes; 1 host failed.");
        let mixed = [outcome("https://g", Err(unreached.clone())), outcome("a", Err(unreached)), outcome("b", Ok(3))];
        assert_eq!(verdict(&mixed), "Apply incomplete: 3 changes on 1 host; 1 host and GitLab failed.");
    }
}
