//! The binary and its two files.

use crate::http::{call, make, send};
use gitlab_double::{Config, Double, tokens::ADMIN_API};
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn reads_leave_the_state_file_alone_and_a_restart_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let (state, log) = (dir.path().join("state.json"), dir.path().join("log.jsonl"));
    let config = Config { state: Some(state.clone()), log: Some(log.clone()), ..Config::default() };
    let double = Double::start_with(config.clone()).await.unwrap();
    let seeded = fs::read(&state).unwrap();
    let (id, token) = make(&double, "x", &["b", "a"]).await;
    let before = fs::read(&state).unwrap();
    assert_ne!(seeded, before);
    let path = format!("/runners/{id}");
    let reads = ["/runners/all", "/user", &path, "/groups/10/variables", "/admin/ci/variables", "/projects/20/runners"];
    for read in reads {
        assert_eq!(call(&double, "GET", read, ADMIN_API, Value::Null).await.status, 200, "{read}");
    }
    assert_eq!(call(&double, "PUT", &path, ADMIN_API, json!({"maximum_timeout": 1})).await.status, 400);
    assert_eq!(fs::read(&state).unwrap(), before);
    drop(double);
    let again = Double::start_with(config).await.unwrap();
    assert_eq!(fs::read(&state).unwrap(), before);
    assert_eq!(call(&again, "POST", "/runners/verify", "", json!({"token": token})).await.status, 200);
    let lines: Vec<Value> =
        fs::read_to_string(&log).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.iter().map(|l| l["n"].as_u64().unwrap()).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    assert_eq!(lines[0]["body"]["tag_list"], json!(["b", "a"]));
    assert_eq!(lines[8]["token_name"], "runner:1");
}

#[tokio::test]
async fn a_spoilt_state_file_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    fs::write(&state, "{}").unwrap();
    let config = Config { state: Some(state.clone()), ..Config::default() };
    assert!(Double::start_with(config).await.is_err());
    assert_eq!(fs::read_to_string(&state).unwrap(), "{}");
}

#[tokio::test]
async fn the_binary_says_where_it_listens_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_gitlab-double"))
        .args(["--listen", "127.0.0.1:0", "--version", "18.1.0", "--state"])
        .arg(&state)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let url = line.strip_prefix("gitlab-double listens on ").unwrap().to_owned();
    let head = format!("PRIVATE-TOKEN: {ADMIN_API}\r\n");
    let version = send(&url, "GET", "/api/v4/version", &head, "").await.unwrap().json();
    assert_eq!((&version["version"], &version["enterprise"]), (&json!("18.1.0"), &json!(false)));
    assert!(state.exists());
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(child.wait().await.unwrap().success());
}
