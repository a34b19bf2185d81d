//! The binary: arguments, one line when it listens, an end on SIGTERM or SIGINT. Everything else is the library's.

use clap::Parser;
use gitlab_double::{Config, serve};
use std::io::{self, Write};
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A strict stand-in for the part of GitLab's REST API that rprov and gitlab-runner use.
#[derive(Parser)]
#[command(disable_version_flag = true)]
struct Args {
    /// Address to listen on.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8929")]
    listen: String,
    /// State file: read at start if it exists, written after every change.
    #[arg(long, value_name = "FILE.json")]
    state: Option<PathBuf>,
    /// Request log, one JSON line for each.
    #[arg(long, value_name = "FILE.jsonl")]
    log: Option<PathBuf>,
    /// The release of GitLab to play, 16.0 and later; `-ee` at its end means the enterprise edition.
    #[arg(long, alias = "version", value_name = "VERSION", default_value = "17.9.0-ee")]
    gitlab_version: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(&args.listen).await?;
    let double = serve(listener, Config { state: args.state, log: args.log, version: args.gitlab_version })?;
    writeln!(io::stdout(), "gitlab-double listens on {}", double.url())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
