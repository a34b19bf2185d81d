//! Bounds of time, size and number, with times short enough for a test.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use gitlab_double::{Double, Fault, tokens};

use super::*;

fn hasty(url: &str) -> Client {
    let timing = Timing {
        connect: Duration::from_secs(2),
        request: Duration::from_millis(300),
        pause: Duration::from_millis(20),
        patience: Duration::from_secs(2),
        slow: Duration::from_millis(100),
        settle: Duration::from_millis(200),
    };
    Client::with_timing(url, Secret::new(tokens::ADMIN_API.to_owned()), None, timing).unwrap()
}

#[tokio::test]
async fn five_tries_are_enough() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "*").status(503).times(100));
    let error = hasty(double.url()).runner(1).await.unwrap_err();
    assert!(matches!(error.cause(), GitlabError::Refused { status: 503, .. }), "{error:?}");
    // And a look whether it is this call alone that it fails at.
    assert_eq!(double.requests().len(), 5 + 1);
    // Errors that will not go away by themselves are reported at once.
    for status in [400, 401, 403, 409, 422, 501] {
        let double = Double::start().await.unwrap();
        double.fault(Fault::on("GET", "*").status(status).times(100));
        hasty(double.url()).runner(1).await.unwrap_err();
        assert_eq!(double.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_pauses_grow() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "*").status(502).times(4));
    let started = Instant::now();
    assert_eq!(hasty(double.url()).runner(1).await.unwrap(), None);
    assert!(started.elapsed() >= Duration::from_millis(20 + 40 + 80 + 160), "{:?}", started.elapsed());
}

#[tokio::test]
async fn no_answer_in_time() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "*").hang_ms(5_000).times(100));
    let started = Instant::now();
    let error = hasty(double.url()).runner(1).await.unwrap_err();
    assert!(matches!(error.cause(), GitlabError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(double.requests().len() > 1);
    // What creates is sent once.
    double.fault(Fault::on("POST", "*").hang_ms(5_000).times(100));
    let error = hasty(double.url()).reset_token(1, &mut Unlocked).await.unwrap_err();
    assert!(matches!(error, GitlabError::Timeout { .. }) && error.may_have_happened());
    assert_eq!(double.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

#[tokio::test]
async fn no_more_than_eight_at_once() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "*").hang_ms(100).times(100));
    let client = hasty(double.url());
    let calls: Vec<_> = (1..=24)
        .map(|id| {
            let client = client.clone();
            tokio::spawn(async move { client.runner(id).await })
        })
        .collect();
    let mut most = 0;
    while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
        most = most.max(double.requests().iter().filter(|request| request.status.is_none()).count());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), None);
    }
    assert_eq!(most, 8);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[");
        let mut sent = 0_usize;
        while stream.write_all(&[b' '; 65_536]).is_ok() {
            sent += 65_536;
        }
        sent
    });
    let timing = Timing { request: Duration::from_secs(60), ..Timing::default() };
    let client = Client::with_timing(&url, Secret::new("x".to_owned()), None, timing).unwrap();
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, GitlabError::TooLarge { mib: 16, .. }), "{error:?}");
    assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
    // Not here: the connection is closed by a task of this thread.
    let sent = tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap();
    assert!(sent < 64 << 20, "{sent}");
}

#[tokio::test]
async fn a_list_without_end_is_noticed() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "*").status(200).header("X-Next-Page", "1").body(serde_json::json!([])));
    let error = hasty(double.url()).find_marked(&Scope::Instance).await.unwrap_err();
    assert!(matches!(error, GitlabError::Answer { .. }), "{error:?}");
    // Always one more than there is.
    double.fault(Fault::on("GET", "*").status(200).header("X-Total", "1").body(serde_json::json!([])).times(100));
    let error = hasty(double.url()).find_marked(&Scope::Instance).await.unwrap_err();
    assert!(matches!(error, GitlabError::Moving { .. }), "{error:?}");
}

#[tokio::test]
async fn names_that_would_make_another_path() {
    let client = hasty("http://127.0.0.1:9");
    for path in ["", "..", "."] {
        let error = client.find_marked(&Scope::Group(path.to_owned())).await.unwrap_err();
        assert!(matches!(error, GitlabError::Plan { .. }), "{error:?}");
    }
}

/// A server that says this to everybody, over and over if it `repeats` the last part.
fn raw(head: &'static str, body: Vec<u8>, repeats: bool) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(head.as_bytes());
            while stream.write_all(&body).is_ok() && repeats {}
        }
    });
    url
}

/// The error that comes of it, within the times that there are.
async fn of_raw(head: &'static str, body: impl Into<Vec<u8>>, repeats: bool) -> GitlabError {
    // Only the bounds of size and form are to end these, not those of time.
    let timing = Timing { request: Duration::from_secs(60), pause: Duration::from_millis(1), ..Timing::default() };
    let url = raw(head, body.into(), repeats);
    let client = Client::with_timing(&url, Secret::new("x".to_owned()), None, timing).unwrap();
    client.runner(1).await.unwrap_err()
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    for more in ["X-Filler: x\r\n", "X-Filler: ", "xxxxxxxx"] {
        let error = of_raw("HTTP/1.1 200 OK\r\n", more.repeat(1000), true).await;
        assert!(matches!(error.cause(), GitlabError::Lost { .. }), "{error:?}");
        assert!(error.to_string().len() < 700 && error.help().is_some(), "{error}");
    }
}

#[tokio::test]
async fn chunks_without_end_or_sense_are_cut_off() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let error = of_raw(chunked, format!("8000\r\n{}\r\n", " ".repeat(0x8000)), true).await;
    assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
    for garbage in ["zz\r\n", "ffffffffffffffffff\r\n", "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"] {
        let error = of_raw(chunked, garbage.repeat(5_000), false).await;
        assert!(matches!(error.cause(), GitlabError::Lost { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn nothing_is_unpacked() {
    // The beginning of a gzip bomb: to this program, bytes that are no JSON.
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
    bomb.resize(4096, 0);
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4096\r\n\r\n";
    let error = of_raw(head, bomb, false).await;
    assert!(matches!(error, GitlabError::Answer { .. }), "{error:?}");
}

#[tokio::test]
async fn json_that_nests_is_refused() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n";
    for nest in ["[", "{\"a\":"] {
        let body = nest.repeat(10_000_000 / nest.len());
        let error = of_raw(head, body[..10_000_000.min(body.len())].to_owned(), false).await;
        assert!(matches!(error.cause(), GitlabError::Answer { .. } | GitlabError::Lost { .. }), "{error:?}");
        assert!(error.to_string().len() < 700, "{error}");
    }
    // Of a refusal, only a short answer is looked into.
    let (short, long) = ("[0]".to_owned(), format!("{{\"message\":[{}0]}}", "0,".repeat(200_000)));
    assert_eq!(error::message(403, short.as_bytes()).0, "Forbidden");
    assert_eq!(error::message(403, long.as_bytes()).0, "Forbidden");
}

#[tokio::test]
async fn a_wait_without_end_is_not_waited_for() {
    for wait in ["18446744073709551615", "18446744073709551616", "-1", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let double = Double::start().await.unwrap();
        double.fault(Fault::on("GET", "*").status(429).header("Retry-After", wait).times(5));
        let error = hasty(double.url()).runner(1).await;
        assert!(matches!(error, Err(GitlabError::Refused { status: 429, .. }) | Ok(None)), "{wait}: {error:?}");
    }
}

#[tokio::test]
async fn a_page_holds_no_more_than_was_asked_for() {
    let double = Double::start().await.unwrap();
    let many: Vec<_> = (1..=101).map(|id| serde_json::json!({ "id": id })).collect();
    double.fault(Fault::on("GET", "*").status(200).body(many.into()));
    let error = hasty(double.url()).find_marked(&Scope::Instance).await.unwrap_err();
    assert!(error.to_string().contains("a page of 100 holds 101"), "{error}");
    assert_eq!(double.requests().len(), 1, "none of them is read");
}

mod health;
