//! The HTTP side: reads requests, meets faults, writes answers, or drops the connection.

use crate::control;
use crate::core::Core;
use crate::fault::Action;
use crate::reply::Reply;
use crate::request::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderName;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Largest body taken.
const MAX_BODY: usize = 16 << 20;

/// The lock, shared.
pub(crate) type Shared = Arc<Mutex<Core>>;

/// Takes the lock; a request that failed half-way does not stop the next.
pub(crate) fn lock(core: &Shared) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts connections until the task is dropped; its connections end with it.
pub(crate) async fn accept(listener: TcpListener, core: Shared) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                // Not worth refusing a connection for.
                _ = stream.set_nodelay(true);
                let core = Arc::clone(&core);
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&core), request));
                    // A dropped connection is either the client's doing or a fault on order.
                    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One request. An error makes hyper drop the connection without an answer.
async fn answer(core: Shared, request: hyper::Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let path = head.uri.path();
    let request = Request::new(head.method.as_str(), path, head.uri.query().unwrap_or_default(), header, body.to_vec());
    if let Some(rest) = path.strip_prefix("/-/double/") {
        let reply = control::handle(&mut lock(&core), &request, rest);
        return respond(reply);
    }
    // In a task of its own: what a client has asked for happens even if it does not wait for the answer.
    let reply = tokio::spawn(process(core, request)).await.map_err(io::Error::other)??;
    respond(reply)
}

/// Carries a request out, with whatever goes wrong on the way.
async fn process(core: Shared, request: Request) -> io::Result<Reply> {
    let (n, action) = lock(&core).arrive(&request);
    let Some(action) = action else {
        let mut core = lock(&core);
        let reply = core.handle(&request);
        core.leave(n, Some(reply.status))?;
        return Ok(reply);
    };
    let committed = action.commits().then(|| lock(&core).handle(&request));
    if let Some(ms) = action.hang_ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    let mut core = lock(&core);
    if action.closes() {
        core.leave(n, None)?;
        return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "fault on order"));
    }
    let reply = match (action.status, committed) {
        (Some(status), _) => faulty(status, &action),
        (None, Some(reply)) => reply,
        (None, None) => core.handle(&request),
    };
    core.leave(n, Some(reply.status))?;
    Ok(reply)
}

/// The answer that a fault asks for. Without a body of its own it is what GitLab's throttle or the proxy before
/// GitLab would say, and that is not JSON.
fn faulty(status: u16, action: &Action) -> Reply {
    let mut headers: Vec<(String, String)> = action.headers.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let body = action.body.clone().unwrap_or_else(|| {
        let text = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
        let (kind, body) = match status {
            429 => ("text/plain", "Retry later\n".to_owned()),
            _ => ("text/html", format!("<html><head><title>{status} {text}</title></head></html>\n")),
        };
        headers.push(("content-type".to_owned(), kind.to_owned()));
        Value::String(body)
    });
    Reply { status, headers, body: Some(body) }
}

/// Turns a reply into HTTP. A body that is a bare string goes out as it is.
fn respond(reply: Reply) -> io::Result<Response<Full<Bytes>>> {
    let mut response = Response::builder().status(StatusCode::from_u16(reply.status).map_err(io::Error::other)?);
    let typed = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if reply.body.is_some() && !typed {
        response = response.header("content-type", "application/json");
    }
    for (name, value) in &reply.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
        response = response.header(name, value);
    }
    let bytes = match reply.body {
        None => Bytes::new(),
        Some(Value::String(text)) => Bytes::from(text),
        Some(value) => Bytes::from(serde_json::to_vec(&value).map_err(io::Error::other)?),
    };
    response.body(Full::new(bytes)).map_err(io::Error::other)
}
