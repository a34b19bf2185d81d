//! A healthcheck service: takes pings and remembers them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::lab::Lab;

/// The part of the URL that is a secret.
pub(crate) const SECRET: &str = "7d3f0b52-9c41-4be8-8f6e-2a4b90c1d9ee";

/// A running healthcheck service. Its thread ends with the tests.
#[derive(Debug)]
pub(crate) struct Healthcheck {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Healthcheck {
    /// Starts one where hosts can reach it.
    pub(crate) fn start(lab: &Lab) -> Self {
        let listener = TcpListener::bind((lab.gateway(), 0)).expect("the lab's network is up");
        let url = format!("http://{}/ping/{SECRET}", listener.local_addr().expect("it is bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(path) = answer(stream) {
                    all.lock().expect("no test panics while it holds this").push(path);
                }
            }
        });
        Self { url, seen }
    }

    /// The whole URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What was pinged, in order: `/start`, `/fail`, or nothing for success.
    pub(crate) fn pings(&self) -> Vec<String> {
        self.seen.lock().expect("no test panics while it holds this").clone()
    }
}

/// Reads one request, answers it, and tells what follows the secret in its path.
fn answer(stream: TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK").ok()?;
    path.strip_prefix(&format!("/ping/{SECRET}")).map(str::to_owned)
}
