//! Fetches small public files for the controller: keys of package repositories. TLS is verified, redirects never lead from
//! https to http, and what is fetched is good for nothing until the caller has checked it. Knows no secret.

use std::time::Duration;

use reqwest::redirect::{Attempt, Policy};

/// A key with all its signatures is some 10 KB.
const MAX_BODY: usize = 1 << 20;
const MAX_REDIRECTS: usize = 5;
const CONNECT: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(30);
/// Times it is tried.
const ATTEMPTS: u32 = 3;

/// Fetches a file. `ca_pem`: a private authority that is trusted too.
///
/// # Errors
/// Why it could not be had, in one line.
pub async fn fetch(url: &str, ca_pem: Option<&str>) -> Result<Vec<u8>, String> {
    // Only the first call of the process does something; a provider that is there already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("rprov/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::custom(follow))
        .connect_timeout(CONNECT)
        .timeout(WHOLE);
    if let Some(pem) = ca_pem {
        let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| words(&error))?;
        builder = builder.tls_certs_merge(roots);
    }
    let client = builder.build().map_err(|error| words(&error))?;
    let mut attempt = 1;
    loop {
        match once(&client, url).await {
            Err(Failed { again: true, .. }) if attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(500 * u64::from(attempt))).await;
                attempt += 1;
            }
            other => return other.map_err(|failed| failed.why),
        }
    }
}

struct Failed {
    why: String,
    /// Another try may help.
    again: bool,
}

async fn once(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, Failed> {
    let broken = |error: reqwest::Error| Failed { again: !error.is_redirect(), why: words(&error) };
    let mut response = client.get(url).send().await.map_err(broken)?;
    let status = response.status();
    if !status.is_success() {
        return Err(Failed { why: format!("the server answers {status}"), again: status.is_server_error() });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BODY {
            let why = format!("it is larger than {} MiB, which no key is", MAX_BODY >> 20);
            return Err(Failed { why, again: false });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let was_https = attempt.previous().iter().any(|url| url.scheme() == "https");
    if was_https && attempt.url().scheme() != "https" {
        return attempt.error("it redirects from https to http");
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("it redirects again and again");
    }
    attempt.follow()
}

/// An error with its causes, which is where reqwest has the reason.
fn words(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Answers every request so; the address, and how many there were.
    fn server(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (String, Arc<AtomicUsize>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (asked, here) = (Arc::new(AtomicUsize::new(0)), address.clone());
        let count = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(&answer(&here));
            }
        });
        (address, asked)
    }

    #[tokio::test]
    async fn what_has_no_end_is_not_read_to_its_end() {
        let (url, asked) = server(|_| {
            let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
            answer.resize(MAX_BODY + 200, b'x');
            answer
        });
        assert_eq!(fetch(&url, None).await, Err("it is larger than 1 MiB, which no key is".to_owned()));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "it is not asked for again");
    }

    #[tokio::test]
    async fn a_circle_of_redirects_ends() {
        let (url, asked) = server(|here| {
            format!("HTTP/1.1 302 Found\r\nLocation: {here}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .into_bytes()
        });
        let why = fetch(&url, None).await.unwrap_err();
        assert!(why.contains("it redirects again and again"), "{why}");
        assert_eq!(asked.load(Ordering::SeqCst), MAX_REDIRECTS + 1);
    }

    #[tokio::test]
    async fn a_server_in_trouble_is_asked_three_times() {
        let answer = |_: &str| b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
        let (url, asked) = server(answer);
        assert_eq!(fetch(&url, None).await, Err("the server answers 503 Service Unavailable".to_owned()));
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }
}
