use std::sync::{Arc, Mutex};

use super::lines::Lines;
use super::*;
use crate::event::{Cause, Pause};

#[derive(Clone, Default)]
pub(super) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn hosts() -> Vec<String> {
    ["ci.example.com", "gpu-1.example.com"].map(str::to_owned).to_vec()
}

fn failure() -> Box<Failure> {
    Box::new(Failure {
        during: "docker daemon /etc/docker/daemon.json".to_owned(),
        message: "dockerd refuses the new configuration".to_owned(),
        command: None,
        output: Vec::new(),
        help: None,
        done: 1,
        remaining: None,
        cause: Cause::Failed,
    })
}

/// An apply on two hosts, with the second at which each event comes.
fn story() -> Vec<(u64, &'static str, EventKind)> {
    let start = |number, what: &str| EventKind::ChangeStarted { number, of: 2, what: what.to_owned() };
    let end = |took| EventKind::ChangeDone { what: String::new(), took: Duration::from_secs(took) };
    vec![
        (0, "ci.example.com", EventKind::Waiting { holder: "alice@laptop since 12:00 until 12:05".to_owned() }),
        (2, "ci.example.com", start(1, "package docker.io")),
        (2, "gpu-1.example.com", start(1, "image gitlab/gitlab-runner:v17.9.0")),
        (3, "gpu-1.example.com", EventKind::Output("a1b2: Downloading \x1b[1m50 %\n".to_owned())),
        (3, "ci.example.com", end(1)),
        (3, "ci.example.com", start(2, "docker daemon /etc/docker/daemon.json")),
        (70, "gpu-1.example.com", end(68)),
        (70, "gpu-1.example.com", EventKind::Verifying),
        (71, "gpu-1.example.com", EventKind::Done { changes: 1 }),
        (71, "quiet.example.com", EventKind::Done { changes: 0 }),
        (72, "ci.example.com", EventKind::Failed(failure())),
    ]
}

fn play(view: &mut dyn View, story: Vec<(u64, &'static str, EventKind)>) {
    let mut story = story.into_iter().peekable();
    for second in 0..=80 {
        while let Some((_, host, kind)) = story.next_if(|(at, _, _)| *at <= second) {
            view.event(Duration::from_secs(second), &Event { host: host.to_owned(), kind });
        }
        view.tick(Duration::from_secs(second));
    }
    view.finish(Duration::from_secs(80));
}

#[test]
fn lines_of_an_apply() {
    let buffer = Buffer::default();
    play(&mut Lines::new(Phase::Apply, &hosts(), Look::plain(80), Box::new(buffer.clone())), story());
    insta::assert_snapshot!(buffer.text());
}

#[test]
fn an_apply_is_a_section_of_the_log() {
    let buffer = Buffer::default();
    let look = Look::plain(80).sections(Some(1_790_000_000));
    play(&mut Lines::new(Phase::Apply, &hosts(), look, Box::new(buffer.clone())), story());
    let text = buffer.text();
    let begin = "\x1b[0Ksection_start:1790000000:apply\r\x1b[0KApplying the plan\n";
    assert!(text.starts_with(begin) && text.matches("section_start").count() == 1, "{text}");
    assert!(text.ends_with("\x1b[0Ksection_end:1790000080:apply\r\x1b[0K\n"), "{text}");

    let buffer = Buffer::default();
    play(&mut Lines::new(Phase::Read, &hosts(), look, Box::new(buffer.clone())), story());
    assert!(!buffer.text().contains("section"), "{}", buffer.text());
}

#[test]
fn lines_of_an_apply_in_full() {
    let buffer = Buffer::default();
    let look = Look::plain(80).verbose(true);
    play(&mut Lines::new(Phase::Apply, &hosts(), look, Box::new(buffer.clone())), story());
    insta::assert_snapshot!(buffer.text());
}

#[test]
fn reading_is_told_only_when_it_is_slow() {
    let story = || {
        vec![
            (0, "ci.example.com", EventKind::Connecting),
            (0, "gpu-1.example.com", EventKind::Connecting),
            (1, "ci.example.com", EventKind::Reading),
            (1, "ci.example.com", EventKind::Read),
            (40, "gpu-1.example.com", EventKind::Read),
        ]
    };
    let buffer = Buffer::default();
    play(&mut Lines::new(Phase::Read, &hosts(), Look::plain(80), Box::new(buffer.clone())), story());
    assert_eq!(buffer.text(), "gpu-1.example.com   still at connecting after 30 s\n");
}

#[test]
fn hostile_output_is_harmless() {
    let evil = "\x1b[2Jx\x07".to_owned();
    let buffer = Buffer::default();
    let mut view = Lines::new(Phase::Apply, &hosts(), Look::plain(80).verbose(true), Box::new(buffer.clone()));
    let mut failed = failure();
    failed.during.clone_from(&evil);
    failed.message.clone_from(&evil);
    for kind in [
        EventKind::Waiting { holder: evil.clone() },
        EventKind::ChangeStarted { number: 1, of: 1, what: evil.clone() },
        EventKind::Output(evil.clone()),
        EventKind::Failed(failed),
    ] {
        view.event(Duration::ZERO, &Event { host: evil.clone(), kind });
        view.tick(Duration::from_secs(60));
    }
    view.say(&evil);
    assert_eq!(buffer.text().chars().find(|c| *c != '\n' && c.is_control()), None);
}

#[tokio::test]
async fn everything_sent_before_the_end_is_shown() {
    let (events_to, mut events) = tokio::sync::mpsc::unbounded_channel();
    let (notices_to, mut notices) = tokio::sync::mpsc::unbounded_channel();
    let buffer = Buffer::default();
    let mut view = Lines::new(Phase::Apply, &hosts(), Look::plain(80), Box::new(buffer.clone()));
    let work = async move {
        let pause = EventKind::Paused(Pause::Asked { time: Duration::from_secs(60) });
        events_to.send(Event { host: "https://gitlab.example.com".to_owned(), kind: pause }).unwrap();
        for changes in 1..=3 {
            events_to.send(Event { host: "ci.example.com".to_owned(), kind: EventKind::Done { changes } }).unwrap();
        }
        notices_to.send("stopping".to_owned()).unwrap();
        tokio::task::yield_now().await;
        events_to.send(Event { host: "gpu-1.example.com".to_owned(), kind: EventKind::Done { changes: 4 } }).unwrap();
        7
    };
    let result = watch(&mut events, &mut notices, &mut view, || Duration::ZERO, work).await;
    assert_eq!(result, 7);
    let text = buffer.text();
    assert!(text.contains("stopping\n"), "{text}");
    assert!(text.contains("https://gitlab.example.com asks for a pause: it is asked again in 1 min\n"), "{text}");
    assert!(text.contains("done: 3 changes") && text.contains("done: 4 changes"), "{text}");
}

#[test]
fn gitlab_is_no_host_that_is_counted() {
    let mut board = Board::default();
    for host in ["https://gitlab.example.com", "ci.example.com"] {
        for kind in [EventKind::Done { changes: 1 }, EventKind::Failed(failure())] {
            board.turn(Duration::ZERO, &Event { host: host.to_owned(), kind });
        }
    }
    assert_eq!((board.done, board.failed), (1, 1));
}

#[test]
fn a_stop_that_was_asked_for_is_no_failure() {
    let mut board = Board::default();
    let mut stopped = failure();
    stopped.cause = Cause::Stopped;
    let event = Event { host: "ci.example.com".to_owned(), kind: EventKind::Failed(stopped) };
    let text = "stopped before docker daemon /etc/docker/daemon.json; 1 change made";
    let turn = board.turn(Duration::ZERO, &event);
    assert!(matches!(&turn, Turn::Stopped(said) if said == text), "{turn:?}");
    assert_eq!((board.done, board.failed), (1, 0));
}

#[test]
fn durations() {
    assert_eq!(duration(Duration::from_millis(900)), "0 s", "a clock that runs begins at nothing");
    assert_eq!(took(Duration::from_millis(900)), "under 1 s");
    assert_eq!(took(Duration::from_secs(1)), "1 s");
    assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
    assert_eq!(duration(Duration::from_secs(3720)), "1 h 2 min");
}
