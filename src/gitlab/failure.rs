//! Reads what went wrong with a request: was it GitLab, the network or TLS, and does another try help? No I/O.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url};

use crate::diagnostic::said;

use super::error::{GitlabError, message, one_line};
use super::http::Call;
use super::tls::TlsTrouble;

/// Smaller numbers are no moments that a server would mean (this one was in 2001), but times to wait.
const FIRST_UNIX_TIME: u64 = 1_000_000_000;

/// A try that failed, and whether another one may help.
pub(super) struct Failure {
    pub(super) error: GitlabError,
    pub(super) next: Next,
    /// What the server asks to wait.
    pub(super) wait: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// No use.
    Stop,
    /// It never reached GitLab.
    Unsent,
    /// GitLab turned it away before it did anything.
    TurnedAway,
    /// GitLab may have carried it out.
    Unsure,
    /// GitLab failed at it, or what came back is nothing that GitLab says.
    Broken,
}

/// GitLab answered that it will not.
pub(super) fn refused(call: &Call, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let wait = asked_wait(headers);
    let next = match status.as_u16() {
        429 => Next::TurnedAway,
        500 => Next::Broken,
        502..=504 => Next::Unsure,
        _ => Next::Stop,
    };
    let (message, absent) = message(status.as_u16(), body);
    let error = GitlabError::Refused {
        call: call.name(),
        status: status.as_u16(),
        message,
        access: call.access(),
        wait: wait.map(|wait| wait.as_secs()),
        absent,
    };
    Failure { error, next, wait: wait.filter(|_| next != Next::Stop) }
}

/// How long the server asks to wait: `Retry-After` in seconds or as a date, else GitLab's own headers: a date, or a Unix
/// time (proxies write seconds there).
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp().as_second());
    // Times are compared with the server's own clock, if it tells it.
    let now = text("date").and_then(date).unwrap_or_else(|| jiff::Timestamp::now().as_second());
    let from_now = |time: i64| Duration::from_secs(u64::try_from(time.saturating_sub(now)).unwrap_or(0));
    let until = |text: &str| date(text).map(from_now);
    let after = text(RETRY_AFTER.as_str());
    after
        .and_then(|text| text.parse().ok().map(Duration::from_secs).or_else(|| until(text)))
        .or_else(|| until(text("ratelimit-resettime")?))
        .or_else(|| match text("ratelimit-reset")?.parse().ok()? {
            seconds @ 0..FIRST_UNIX_TIME => Some(Duration::from_secs(seconds)),
            time => i64::try_from(time).ok().map(from_now),
        })
}

/// GitLab answered that it is elsewhere.
pub(super) fn redirect(call: &Call, asked: &Url, location: Option<&HeaderValue>) -> GitlabError {
    let to = location.and_then(|value| value.to_str().ok()).and_then(|text| asked.join(text).ok());
    let Some(mut to) = to else {
        let why = "it is a redirect without a place".to_owned();
        return GitlabError::Answer { call: call.name(), why };
    };
    to.set_query(None);
    let _ = to.set_username("").and_then(|()| to.set_password(None));
    // `/api/v4/…` as asked, behind another beginning: then the beginning is what the user should write.
    let tail = asked.path().find("/api/v4/").map(|at| &asked.path()[at..]);
    let base = tail.and_then(|tail| to.as_str().strip_suffix(tail)).map(str::to_owned);
    let base = base.filter(|base| !asked.as_str().starts_with(&format!("{base}/api/v4/")));
    GitlabError::Redirect { call: call.name(), to: one_line(to.as_str()), base }
}

/// What is said below the outermost layer of an error, which only says "error sending request" and the URL.
pub(super) fn words(error: &reqwest::Error) -> String {
    const LAYERS: [&str; 3] = ["client error (Connect)", "client error (SendRequest)", "tcp connect error"];
    let mut parts: Vec<String> = Vec::new();
    for part in causes(error).map(ToString::to_string) {
        // Layers often repeat the words of the one below.
        if !LAYERS.contains(&part.as_str()) && !parts.last().is_some_and(|last| last.contains(&part)) {
            parts.push(part);
        }
    }
    if parts.is_empty() { one_line(&error.to_string()) } else { one_line(&said(parts.join(": "))) }
}

/// What it is about if it is about certificates or the handshake.
pub(super) fn tls_trouble(error: &reqwest::Error) -> Option<TlsTrouble> {
    causes(error).find_map(|cause| cause.downcast_ref()).map(TlsTrouble::of)
}

/// What is wrong with a certificate in words, where the library would show the names of its own types.
pub(super) fn tls_words(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(|cause| match cause.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
            Some(other.0.downcast_ref::<super::pinned::Unfit>()?.to_string())
        }
        _ => None,
    })
}

/// The errors below an error, outermost first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| below(*cause))
}

/// An `io::Error` gives the source of the error in it as its own source, and so hides the error in it.
fn below<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => cause.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        asked_wait(&HeaderMap::from_iter(headers)).map(|wait| wait.as_secs())
    }

    #[test]
    fn every_way_of_asking_for_a_pause() {
        // 1609495200 as a Unix time.
        let now = ("date", "Fri, 01 Jan 2021 10:00:00 GMT");
        let later = "Fri, 01 Jan 2021 10:00:42 GMT";
        assert_eq!(wait(&[now]), None);
        assert_eq!(wait(&[now, ("retry-after", "42")]), Some(42));
        assert_eq!(wait(&[now, ("retry-after", later)]), Some(42));
        assert_eq!(wait(&[now, ("ratelimit-resettime", later)]), Some(42));
        assert_eq!(wait(&[now, ("ratelimit-reset", "1609495242")]), Some(42));
        assert_eq!(wait(&[now, ("ratelimit-reset", "42")]), Some(42));
        // What says it most directly counts.
        assert_eq!(wait(&[now, ("ratelimit-reset", "1609495299"), ("retry-after", "7")]), Some(7));
        assert_eq!(wait(&[now, ("ratelimit-reset", "1609495299"), ("ratelimit-resettime", later)]), Some(42));
        // The past, and what is no time.
        assert_eq!(wait(&[now, ("retry-after", "Fri, 01 Jan 2021 09:00:00 GMT")]), Some(0));
        assert_eq!(wait(&[now, ("ratelimit-reset", "1609495100")]), Some(0));
        assert_eq!(wait(&[now, ("retry-after", "-1")]), None);
        assert_eq!(wait(&[now, ("retry-after", "soon"), ("ratelimit-reset", "18446744073709551615")]), None);
    }
}
