//! HTTP to one GitLab: what is sent, how often, how long, and what counts as a failure. Knows no endpoint.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{Access, GitlabError};
use super::failure::{Failure, Next, redirect, refused, tls_trouble, tls_words, words};
use super::health::{Health, Turn};
use super::hold::{SETTLES, Tries};
use super::pinned;
use super::token::wrong_kind;
use crate::diagnostic::UNRESOLVED;
use crate::event::Pause;
use crate::secret::{Secret, SecretBook, SecretId};

/// Requests under way at once: fast for lists of runners, and far from any rate limit of GitLab's.
const AT_ONCE: usize = 8;
/// Times a call is tried at most.
const ATTEMPTS: u32 = 5;
/// Times a connection is tried: a wrong address should not take long to be reported.
const CONNECT_ATTEMPTS: u32 = 3;
/// Times a call is tried that GitLab fails at, or of which something comes back that GitLab does not say: a page of a proxy, half an
/// answer. Neither goes away by itself as surely as a gateway's refusal.
const BROKEN_ATTEMPTS: u32 = 3;
/// Shorter pauses are not told of.
const WORTH_TELLING: Duration = Duration::from_secs(2);
/// Nor that GitLab does not answer, or is slow, more often than this.
const TOLD_AGAIN: Duration = Duration::from_secs(30);
/// How long a look may take whether GitLab answers at all.
const LOOK: Duration = Duration::from_secs(10);
/// The largest answer taken. A page of 100 runners is about 100 KB.
const MAX_BODY: usize = 16 << 20;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// One connection.
    pub(super) connect: Duration,
    /// One request with its answer.
    pub(super) request: Duration,
    /// The first pause before another try; each further one is twice as long.
    pub(super) pause: Duration,
    /// All tries of one call, and of all calls while GitLab does not answer.
    pub(super) patience: Duration,
    /// After so long without an answer it is reported that GitLab is slow.
    pub(super) slow: Duration,
    /// How long GitLab may still be at a request whose answer was lost: its own servers end one after a minute.
    pub(super) settle: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            pause: Duration::from_millis(500),
            patience: Duration::from_secs(120),
            slow: Duration::from_secs(5),
            settle: SETTLES,
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    /// What stands before the path.
    root: &'static [&'static str],
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<serde_json::Value>,
    access: Access,
    repeatable: bool,
}

impl Call {
    /// A request to `/api/v4/` and these path segments, which are encoded here. One that changes something is made by
    /// [`Change::new`](super::hold::Change::new).
    pub(super) fn new(method: Method, path: &[&str], access: Access) -> Self {
        // All but POST mean the same if said twice.
        let repeatable = method != Method::POST;
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Self { method, root: &["api", "v4"], path, query: Vec::new(), body: None, access, repeatable }
    }

    /// A query of the GraphQL API. By GET, as GitLab takes it too: it refuses whatever would change something then.
    pub(super) fn graphql(query: &str, variables: &serde_json::Value, access: Access) -> Self {
        let call = Self { root: &["api"], ..Self::get(&["graphql"], access) };
        call.query("query", query).query("variables", variables)
    }

    /// It means the same if it is said twice.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    pub(super) fn get(path: &[&str], access: Access) -> Self {
        Self::new(Method::GET, path, access)
    }

    pub(super) fn query(mut self, key: &'static str, value: impl ToString) -> Self {
        self.query.push((key, value.to_string()));
        self
    }

    pub(super) fn body(mut self, body: serde_json::Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    fn is_graphql(&self) -> bool {
        self.root.len() == 1
    }

    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// Method and path, for messages.
    pub(super) fn name(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

/// An answer with a status below 300.
#[derive(Debug)]
pub(super) struct Answer {
    call: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// One that says this.
    #[cfg(fuzzing)]
    pub(super) fn of(body: &[u8]) -> Self {
        let (status, headers) = (StatusCode::OK, HeaderMap::new());
        Self { call: "GET /fuzzing".to_owned(), status, headers, body: body.to_vec() }
    }

    /// Whether this can be an answer of GitLab's API, by its ends: all of them are JSON, and a page of a proxy or half an answer is none.
    fn is_json(&self) -> bool {
        let ends = (self.body.trim_ascii().first(), self.body.trim_ascii().last());
        match ends {
            (None, None) => self.status == StatusCode::NO_CONTENT,
            (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')) => true,
            (Some(b'{' | b'['), _) => false,
            // A bare value, which no call of ours is answered with: what is expected instead is for the reader to say.
            (first, _) => first != Some(&b'<'),
        }
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, GitlabError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // serde's message may quote a value: of strings only where a type is wrong, and a token is a string.
            let why = format!("not the expected JSON (line {}, column {})", error.line(), error.column());
            self.odd(why)
        })
    }

    /// Checks that the answer is an empty one: what deletes answers so, and nothing in front of GitLab does.
    pub(super) fn empty(&self) -> Result<(), GitlabError> {
        if self.status == StatusCode::NO_CONTENT { Ok(()) } else { Err(self.odd(format!("status {}", self.status))) }
    }

    /// The error that this answer makes no sense.
    pub(super) fn odd(&self, why: String) -> GitlabError {
        GitlabError::Answer { call: self.call.clone(), why }
    }

    /// Whether it used little of what an answer may be.
    pub(super) fn is_short(&self) -> bool {
        self.body.len() < MAX_BODY / 4
    }

    /// What time it is by GitLab's own clock, in seconds since 1970; by this machine's where GitLab does not tell. Ages of what
    /// GitLab has dated are counted by it: clocks of two machines differ by hours.
    pub(super) fn now(&self) -> i64 {
        date(&self.headers).unwrap_or_else(|| jiff::Timestamp::now().as_second())
    }

    /// A header that holds a number.
    pub(super) fn number(&self, header: &str) -> Option<u64> {
        self.headers.get(header)?.to_str().ok()?.trim().parse().ok()
    }

    /// Whether a header is there, empty or not.
    pub(super) fn has(&self, header: &str) -> bool {
        self.headers.contains_key(header)
    }
}

/// Connections to one GitLab.
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    url: String,
    token: Secret,
    timing: Timing,
    gate: Semaphore,
    /// GitLab asked everyone to be silent until then.
    silence: Mutex<Option<Instant>>,
    /// Who wants to know of pauses that GitLab asks for, and until when they know.
    listener: OnceLock<Listener>,
    told: Mutex<Option<Instant>>,
    /// When it was last reported that GitLab does not answer, or is slow.
    told_of_trouble: Mutex<Option<Instant>>,
    /// What is known of this GitLab and the token.
    health: Health,
    /// Where the token comes from, in words for the user.
    source: OnceLock<String>,
    /// The book that messages are cleared with, before it knows the token.
    book: OnceLock<SecretBook>,
    /// What time it was by GitLab's clock when it last answered, and when that was.
    clock: Mutex<Option<(i64, Instant)>>,
}

/// Receives the reason for a pause.
pub(super) type Listener = Box<dyn Fn(Pause) + Send + Sync>;

impl Http {
    pub(super) fn new(url: &str, token: Secret, ca_pem: Option<&str>, timing: Timing) -> Result<Self, GitlabError> {
        let base = base(url)?;
        let mut header = HeaderValue::from_str(token.expose()).map_err(|_| GitlabError::Token)?;
        if token.expose().is_empty() || token.expose().contains(char::is_whitespace) {
            return Err(GitlabError::Token);
        }
        if let Some(kind) = wrong_kind(token.expose()) {
            return Err(GitlabError::TokenKind { kind });
        }
        header.set_sensitive(true);
        let headers = HeaderMap::from_iter([(HeaderName::from_static("private-token"), header)]);
        // Only the first call of the process does something; a provider that is there already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = pinned::config(ca_pem).map_err(|why| GitlabError::Ca { why })?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("rprov/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timing.connect)
            .timeout(timing.request)
            .tls_backend_preconfigured(config)
            .build()
            .map_err(|error| GitlabError::Setup { why: words(&error) })?;
        let url = url.trim_end_matches('/').to_owned();
        let (gate, silence) = (Semaphore::new(AT_ONCE), Mutex::new(None));
        let (listener, told) = (OnceLock::new(), Mutex::new(None));
        Ok(Self {
            client,
            base,
            url,
            token,
            timing,
            gate,
            silence,
            listener,
            told,
            told_of_trouble: Mutex::default(),
            health: Health::default(),
            source: OnceLock::new(),
            book: OnceLock::new(),
            clock: Mutex::default(),
        })
    }

    /// Tells somebody of pauses that GitLab asks for; the first one who asks.
    pub(super) fn on_pause(&self, listener: Listener) {
        let _ = self.listener.set(listener);
    }

    /// Base URL without a trailing slash.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What time it is by GitLab's own clock, as far as it has reported; else by this machine's.
    pub(super) fn now(&self) -> jiff::Timestamp {
        let told = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let now = told.map(|(then, at)| then.saturating_add_unsigned(at.elapsed().as_secs()));
        now.and_then(|now| jiff::Timestamp::from_second(now).ok()).unwrap_or_else(jiff::Timestamp::now)
    }

    /// The first pause before another try.
    pub(super) fn pause(&self) -> Duration {
        self.timing.pause
    }

    /// Sends a call that only reads, again where that is safe and may help. What changes something is a
    /// [`Change`](super::hold::Change).
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, GitlabError> {
        let url = self.address(call)?;
        let mut tries = Tries::default();
        loop {
            let turn = self.turn(call.access).await?;
            let permit = self.permit().await;
            let tried = self.attempt(call, &url).await;
            drop(permit);
            match tried {
                Ok(answer) => {
                    self.health.obeyed();
                    return Ok(answer);
                }
                Err(failure) => self.pause_after(failure, call, turn, &mut tries).await?,
            }
        }
    }

    /// Waits until a request may be sent.
    ///
    /// # Errors
    /// What is known of GitLab and the token: asking would be no use.
    pub(super) async fn turn(&self, access: Access) -> Result<Turn<'_>, GitlabError> {
        loop {
            let turn = self.health.turn(access).await?;
            if !self.keep_silence().await {
                return Ok(turn);
            }
            // What was known before the pause may be known better by now.
            drop(turn);
        }
    }

    /// Waits as long as the failure asks for; the error if another try is no use.
    pub(super) async fn pause_after(
        &self,
        failure: Failure,
        call: &Call,
        turn: Turn<'_>,
        tries: &mut Tries,
    ) -> Result<(), GitlabError> {
        let error = failure.error.cleared(|text| self.scrub(text));
        let mut backoff = self.timing.pause * 2_u32.saturating_pow(tries.attempt - 1);
        let again = match failure.next {
            Next::Stop => return Err(self.learned(call, error).await),
            Next::TurnedAway => {
                self.health.answered();
                tries.attempt < ATTEMPTS
            }
            Next::Unsent | Next::Unsure | Next::Broken => {
                let most = match failure.next {
                    Next::Unsent => CONNECT_ATTEMPTS,
                    Next::Broken => BROKEN_ATTEMPTS,
                    _ => ATTEMPTS,
                };
                let silence = self.health.failed(&turn);
                backoff = backoff.max(self.timing.pause * 2_u32.saturating_pow(silence.tries.saturating_sub(1)));
                let wait = failure.wait.unwrap_or_default().max(backoff);
                let for_so_long = silence.since.elapsed();
                if silence.again || silence.tries >= most || for_so_long.saturating_add(wait) > self.timing.patience {
                    // Nobody else is let through meanwhile.
                    if failure.next == Next::Unsent || !self.is_there().await {
                        let error = self.down(error, for_so_long);
                        self.health.down(silence.since, error.clone());
                        return Err(error);
                    }
                    // Others are answered: it is this call that GitLab fails at.
                    self.health.answered();
                } else {
                    self.ask_for_silence(wait);
                    if for_so_long.saturating_add(wait) >= WORTH_TELLING {
                        self.tell_of_trouble(Pause::Down { why: error.without_call(), time: wait });
                    }
                }
                (call.repeatable || failure.next == Next::Unsent) && tries.attempt < most
            }
        };
        drop(turn);
        let wait = failure.wait.unwrap_or_default().max(backoff);
        if !again || tries.started.elapsed().saturating_add(wait) > self.timing.patience {
            return Err(error);
        }
        if failure.next == Next::TurnedAway {
            self.ask_for_silence(wait);
            if failure.wait.is_some_and(|asked| asked >= WORTH_TELLING) {
                self.tell(wait);
            }
        }
        tokio::time::sleep(wait).await;
        tries.attempt += 1;
        Ok(())
    }

    /// What a refusal says of all other calls.
    async fn learned(&self, call: &Call, error: GitlabError) -> GitlabError {
        let (status, message) = match &error {
            GitlabError::Tls { .. } | GitlabError::Redirect { base: Some(_), .. } => {
                self.health.down(Instant::now(), error.clone());
                return error;
            }
            GitlabError::Refused { status, message, .. } => (*status, message.as_str()),
            _ => {
                self.health.answered();
                return error;
            }
        };
        let lacks_scope = message.starts_with("insufficient_");
        let token_is_refused = match status {
            // GraphQL answers so, too, where the token has no scope for it; a token that was taken before goes on until REST refuses it.
            401 if call.is_graphql() && self.health.was_well() => false,
            401 if call.is_graphql() => self.own_refusal().await.is_some_and(|(status, _)| status == 401),
            401 => true,
            // Of its own token everybody may ask: with the same words for that it is not the call.
            403 if !lacks_scope && !super::error::is_plain(status, message) => {
                self.own_refusal().await.is_some_and(|(status, words)| status == 403 && words == message)
            }
            _ => false,
        };
        if token_is_refused {
            let error = GitlabError::TokenRefused {
                url: self.url.clone(),
                source_words: self.source.get().cloned(),
                status,
                message: message.to_owned(),
                midway: self.health.was_well(),
            };
            self.health.refused(error.clone());
            return error;
        }
        self.health.answered();
        if (400..500).contains(&status) && status != 401 {
            self.health.obeyed();
        }
        if status == 403 && lacks_scope {
            self.health.lacks(call.access, error.clone());
        }
        error
    }

    /// What GitLab answers when it is asked for the token itself, if that is a refusal.
    async fn own_refusal(&self) -> Option<(u16, String)> {
        let call = Call::get(&["personal_access_tokens", "self"], Access::Token);
        let url = self.address(&call).ok()?;
        match self.attempt(&call, &url).await.err()?.error.cleared(|text| self.scrub(text)) {
            GitlabError::Refused { status, message, .. } => Some((status, message)),
            _ => None,
        }
    }

    /// Whether GitLab answers at all, be it that it refuses.
    async fn is_there(&self) -> bool {
        let call = Call::get(&["metadata"], Access::Version);
        let Ok(url) = self.address(&call) else { return false };
        match tokio::time::timeout(LOOK.min(self.timing.request), self.attempt(&call, &url)).await {
            Ok(Ok(_)) => true,
            Ok(Err(failure)) => {
                let refused = matches!(failure.error, GitlabError::Refused { .. });
                refused && matches!(failure.next, Next::Stop | Next::TurnedAway)
            }
            Err(_) => false,
        }
    }

    /// The error for everybody. That there is no connection says so by itself.
    fn down(&self, error: GitlabError, waited: Duration) -> GitlabError {
        match error {
            GitlabError::Connect { .. } => error,
            cause => {
                let waited = (waited + Duration::from_millis(500)).as_secs();
                GitlabError::Down { url: self.url.clone(), waited, cause: Box::new(cause) }
            }
        }
    }

    /// What a change comes to that GitLab turned away for good: if it answers all the same, it takes no changes at all.
    pub(super) async fn read_only(&self, error: GitlabError) -> GitlabError {
        let GitlabError::Refused { status: 503, call, message, .. } = &error else { return error };
        if !self.health.is_read_only() {
            if !self.health.is_well() && !self.is_there().await {
                return error;
            }
            self.health.set_read_only(true);
        }
        GitlabError::ReadOnly { url: self.url.clone(), call: call.clone(), message: message.clone() }
    }

    /// What is known of GitLab.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// How long GitLab may still be at a request whose answer was lost.
    pub(super) fn settle(&self) -> Duration {
        self.timing.settle
    }

    /// Where the token comes from, for messages; the first word counts.
    pub(super) fn token_from(&self, source: &str) {
        let _ = self.source.set(source.to_owned());
    }

    /// Leave for one request. The gate is never closed; without a permit the request goes ahead all the same.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.gate.acquire().await.ok()
    }

    /// How long one request may take.
    pub(super) fn longest_request(&self) -> Duration {
        self.timing.request
    }

    /// One request, whose permit the caller has.
    pub(super) async fn attempt(&self, call: &Call, url: &Url) -> Result<Answer, Failure> {
        let exchange = self.exchange(call, url);
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            () = tokio::time::sleep(self.timing.slow) => {
                self.tell_of_trouble(Pause::Slow { time: self.timing.slow });
                exchange.await
            }
        }
    }

    async fn exchange(&self, call: &Call, url: &Url) -> Result<Answer, Failure> {
        let mut request = self.client.request(call.method.clone(), url.clone());
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| self.broken(call, &error, false))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(now) = date(&headers) {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => {
                    let error = GitlabError::TooLarge { call: call.name(), mib: MAX_BODY >> 20 };
                    return Err(Failure { error, next: Next::Stop, wait: None });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(self.broken(call, &error, true)),
            }
        }
        if status.is_success() {
            let answer = Answer { call: call.name(), status, headers, body };
            if call.repeatable && !answer.is_json() {
                let error = answer.odd("what came is no JSON, or not all of it".to_owned());
                return Err(Failure { error, next: Next::Broken, wait: None });
            }
            return Ok(answer);
        }
        if status.is_redirection() {
            let error = redirect(call, url, headers.get(LOCATION));
            return Err(Failure { error, next: Next::Stop, wait: None });
        }
        Err(refused(call, status, &headers, &body))
    }

    /// No whole answer came; `begun`: the beginning of one did.
    fn broken(&self, call: &Call, error: &reqwest::Error, begun: bool) -> Failure {
        let why = words(error);
        let (url, call) = (self.url.clone(), call.name());
        let (error, next) = if error.is_connect() {
            if let Some(trouble) = tls_trouble(error) {
                let why = tls_words(error).unwrap_or(why);
                (GitlabError::Tls { url, why, trouble }, Next::Stop)
            } else {
                let dns = why.contains(UNRESOLVED);
                let why = if error.is_timeout() {
                    format!("no answer within {} s", self.timing.connect.as_secs())
                } else {
                    why
                };
                (GitlabError::Connect { url, why, dns }, Next::Unsent)
            }
        } else if error.is_timeout() {
            (GitlabError::Timeout { call, seconds: self.timing.request.as_secs() }, Next::Unsure)
        } else {
            (GitlabError::Lost { call, why, begun }, Next::Unsure)
        };
        Failure { error, next, wait: None }
    }

    pub(super) fn address(&self, call: &Call) -> Result<Url, GitlabError> {
        let mut url = self.base.clone();
        // An empty or dotted segment would make another path.
        if let Some(part) = call.path.iter().find(|part| matches!(part.as_str(), "" | "." | "..")) {
            return Err(GitlabError::Plan { why: format!("`{part}` is no name of anything in GitLab") });
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(call.root).extend(&call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }

    /// Waits until GitLab may be asked; whether there was anything to wait for.
    async fn keep_silence(&self) -> bool {
        let mut waited = false;
        loop {
            let until = *self.silence.lock().unwrap_or_else(PoisonError::into_inner);
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => return waited,
            }
            waited = true;
        }
    }

    fn ask_for_silence(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *silence = Some(silence.map_or(until, |already| already.max(until)));
    }

    /// Tells of a pause, once: several requests are often turned away together.
    fn tell(&self, wait: Duration) {
        let Some(listener) = self.listener.get() else { return };
        let until = Instant::now() + wait;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| until > told + WORTH_TELLING) {
            *told = Some(until);
            listener(Pause::Asked { time: wait });
        }
    }

    /// Tells that nothing happens because GitLab does not answer, now and then.
    pub(super) fn tell_of_trouble(&self, pause: Pause) {
        let Some(listener) = self.listener.get() else { return };
        let mut told = self.told_of_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TOLD_AGAIN) {
            *told = Some(Instant::now());
            listener(pause);
        }
    }

    /// Redacts messages with a copy of this book, to which the API token is added.
    pub(super) fn clear_with(&self, book: SecretBook) {
        // The first one stays.
        let _ = self.book.set(book);
    }

    /// A server that repeats what it was sent must not bring the token into a message.
    fn scrub(&self, text: &str) -> String {
        let mut book = self.book.get().cloned().unwrap_or_default();
        book.bind(SecretId::new("token"), self.token.clone());
        book.scrub_said(text)
    }
}

/// The server's clock, by an answer of its.
fn date(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_second())
}

/// Checks `gitlab.url`.
fn base(url: &str) -> Result<Url, GitlabError> {
    let wrong = |why: &str| GitlabError::Url { why: why.to_owned() };
    let base = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(base.scheme(), "https" | "http") || base.host_str().is_none() {
        return Err(wrong("it must begin with https:// (or http://)"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(wrong("it may hold no user name or password; the token belongs under `gitlab.api_token`"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(wrong("it may hold no `?` or `#`"));
    }
    if base.path().trim_end_matches('/').ends_with("/api/v4") {
        return Err(wrong("leave `/api/v4` out"));
    }
    Ok(base)
}
