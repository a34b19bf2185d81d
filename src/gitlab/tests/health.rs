//! A GitLab that is down, or that does not take the token: what one call finds out, the others do not ask again.

use std::sync::Arc;

use crate::event::Pause;

use super::*;

/// A group and the ids that are read side by side.
async fn many(client: &Client) -> Vec<GitlabError> {
    let mut calls = tokio::task::JoinSet::new();
    for id in 1..=24 {
        let client = client.clone();
        calls.spawn(async move { client.runner(id).await.unwrap_err() });
    }
    calls.join_all().await
}

fn calls(double: &Double) -> usize {
    double.requests().len()
}

/// What was reported while it ran.
fn listen(client: &Client) -> Arc<Mutex<Vec<Pause>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    client.on_pause(move |pause| list.lock().unwrap().push(pause));
    told
}

#[tokio::test]
async fn a_gitlab_that_is_down_is_asked_by_one_for_all() {
    let maintenance = Fault::on("GET", "*").status(503).body("<html>We'll be back soon</html>".into());
    let faults = [maintenance, Fault::on("GET", "*").status(502), Fault::on("GET", "*").close()];
    for fault in faults {
        let double = Double::start().await.unwrap();
        double.fault(fault.clone().times(1000));
        let client = hasty(double.url());
        let errors = many(&client).await;
        // Five tries together, and a look whether it answers anything at all.
        assert_eq!(calls(&double), 5 + 1, "{fault:?}");
        let said = errors[0].to_string();
        assert!(errors.iter().all(|error| error.to_string() == said && error.is_of_all()), "{errors:?}");
        assert!(said.starts_with(&format!("GitLab is down: {} does not answer (", double.url())), "{said}");
        // Later ones are not sent either, whatever they are.
        client.listed(&Scope::Instance).await.unwrap_err();
        let error = client.delete_runner(1, &mut Unlocked).await.unwrap_err();
        assert!(!error.may_have_happened(), "{error:?}");
        assert_eq!(calls(&double), 5 + 1, "{fault:?}");
    }
}

/// Its database is away: it answers everything, with nothing.
#[tokio::test]
async fn one_that_fails_at_everything_is_down_too() {
    let double = Double::start().await.unwrap();
    double.fault(
        Fault::on("GET", "*").status(500).body(serde_json::json!({"message": "500 Internal Server Error"})).times(1000),
    );
    let errors = many(&hasty(double.url())).await;
    assert!(errors.iter().all(GitlabError::is_of_all), "{errors:?}");
    assert_eq!(calls(&double), 3 + 1);
    // At one thing alone: three tries, and others go on.
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "/api/v4/runners/1").status(500).times(1000));
    let client = hasty(double.url());
    assert!(!client.runner(1).await.unwrap_err().is_of_all());
    assert_eq!(client.runner(2).await, Ok(None));
    assert_eq!(calls(&double), 3 + 1 + 1);
}

#[tokio::test]
async fn nobody_listens_and_three_tries_tell_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = hasty(&format!("http://{free}"));
    let started = Instant::now();
    let errors = many(&client).await;
    assert!(errors.iter().all(|error| matches!(error, GitlabError::Connect { .. })), "{errors:?}");
    // 20 and 40 ms, once and not for each.
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
}

#[tokio::test]
async fn one_that_comes_back_is_asked_on_by_all() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "*").status(503).times(3));
    let client = hasty(double.url());
    let mut calls = tokio::task::JoinSet::new();
    for id in 1..=24 {
        let client = client.clone();
        calls.spawn(async move { client.runner(id).await });
    }
    assert!(calls.join_all().await.into_iter().all(|answer| answer == Ok(None)));
    assert_eq!(double.requests().len(), 24 + 3);
}

/// A list that takes GitLab too long is no reason to ask it nothing else.
#[tokio::test]
async fn a_call_that_alone_fails_stops_no_other() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "/api/graphql").status(504).times(1000));
    let client = hasty(double.url());
    let error = client.listed(&Scope::Instance).await.unwrap_err();
    assert!(matches!(error, GitlabError::Refused { status: 504, .. }) && !error.is_of_all(), "{error:?}");
    assert_eq!(calls(&double), 5 + 1);
    assert_eq!(client.runner(1).await, Ok(None));
    // Side by side with those that are answered, too.
    let (listed, other) = tokio::join!(client.listed(&Scope::Instance), client.runner(2));
    assert!(matches!(listed, Err(GitlabError::Refused { status: 504, .. })), "{listed:?}");
    assert_eq!(other, Ok(None));
}

#[tokio::test]
async fn a_page_in_its_place_is_said_to_be_none_of_gitlabs() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "*").status(200).body("<html>Sign in</html>".into()).times(1000));
    let errors = many(&hasty(double.url())).await;
    assert_eq!(calls(&double), 3 + 1);
    let said = errors[0].to_string();
    assert!(
        said.starts_with(&format!("{} does not answer as GitLab does: what came is no JSON", double.url())),
        "{said}"
    );
    assert!(errors[0].help().unwrap().contains("login page or proxy"), "{:?}", errors[0].help());
    // One such page, or half an answer, is a slip.
    for slip in ["<html>Sign in</html>", "{\"id\": 7, \"descr", ""] {
        let double = Double::start().await.unwrap();
        double.fault(Fault::on("GET", "*").status(200).body(slip.into()));
        assert_eq!(hasty(double.url()).runner(1).await, Ok(None), "{slip}");
    }
}

#[tokio::test]
async fn waiting_for_gitlab_is_told_once() {
    let double = Double::start().await.unwrap();
    let timing = Timing { pause: Duration::from_millis(500), slow: Duration::from_millis(150), ..Timing::default() };
    let client = Client::with_timing(double.url(), Secret::new(tokens::ADMIN_API.to_owned()), None, timing).unwrap();
    let told = listen(&client);
    double.fault(Fault::on("GET", "*").hang_ms(400));
    client.runner(1).await.unwrap();
    assert_eq!(*told.lock().unwrap(), [Pause::Slow { time: Duration::from_millis(150) }]);
    let client = Client::with_timing(double.url(), Secret::new(tokens::ADMIN_API.to_owned()), None, timing).unwrap();
    let told = listen(&client);
    double.fault(Fault::on("GET", "*").status(502).times(3));
    client.runner(1).await.unwrap();
    let told = told.lock().unwrap();
    assert!(matches!(&told[..], [Pause::Down { why, .. }] if why == "502 Bad Gateway"), "{told:?}");
}

/// Maintenance mode: GitLab is read as ever, and turns each change away.
#[tokio::test]
async fn one_that_takes_no_changes_is_tried_once_more_by_each() {
    let double = Double::start().await.unwrap();
    let message = serde_json::json!({"message": "You cannot perform write operations on a read-only instance"});
    for method in ["PUT", "POST", "DELETE"] {
        double.fault(Fault::on(method, "*").status(503).body(message.clone()).times(1000));
    }
    let client = hasty(double.url());
    let paused = RunnerAttributes { paused: Some(true), ..RunnerAttributes::default() };
    let first = client.update_runner(1, &paused, &mut Unlocked).await.unwrap_err();
    assert!(matches!(&first, GitlabError::ReadOnly { .. }), "{first:?}");
    assert!(first.help().unwrap().contains("maintenance mode"), "{:?}", first.help());
    assert_eq!(calls(&double), 5 + 1);
    for _ in 0..3 {
        let error = client.delete_runner(1, &mut Unlocked).await.unwrap_err();
        assert!(matches!(error, GitlabError::ReadOnly { .. }), "{error:?}");
    }
    assert_eq!(calls(&double), 5 + 1 + 3);
    assert_eq!(client.runner(1).await, Ok(None), "reading goes on");
}

fn with(double: &Double, token: &str) -> Client {
    let client = Client::new(double.url(), Secret::new(token.to_owned()), None).unwrap();
    client.token_from("the environment variable GITLAB_TOKEN");
    client
}

#[tokio::test]
async fn a_token_that_is_refused_once_is_not_shown_again() {
    // Ended, unknown to this GitLab.
    for token in [tokens::EXPIRED, "glpat-of-another-gitlab"] {
        let double = Double::start().await.unwrap();
        let client = with(&double, token);
        let errors = many(&client).await;
        assert_eq!(calls(&double), 1, "{token}");
        let said = errors[0].to_string();
        assert!(errors.iter().all(|error| error.to_string() == said && error.is_of_all()), "{errors:?}");
        let lead =
            format!("{} does not take the API token, from the environment variable GITLAB_TOKEN (401, ", double.url());
        assert!(said.starts_with(&lead), "{said}");
        let help = errors[0].help().unwrap();
        assert!(
            help.contains("into the environment variable GITLAB_TOKEN") && help.contains("another GitLab"),
            "{help}"
        );
        client.listed(&Scope::Instance).await.unwrap_err();
        assert!(client.own_token().await.is_none() && client.known_version().await.is_none());
        client.reset_token(1, &mut Unlocked).await.unwrap_err();
        assert_eq!(calls(&double), 1, "{token}");
    }
    // The list by GraphQL came first: 401 alone may also mean a scope there.
    let double = Double::start().await.unwrap();
    let client = with(&double, tokens::EXPIRED);
    let error = client.listed(&Scope::Instance).await.unwrap_err();
    assert!(matches!(error, GitlabError::TokenRefused { midway: false, .. }), "{error:?}");
    client.find_marked(&Scope::Instance).await.unwrap_err();
    assert_eq!(calls(&double), 2);
}

#[tokio::test]
async fn a_token_that_graphql_alone_does_not_take_goes_on() {
    let double = Double::start().await.unwrap();
    let client = with(&double, tokens::CREATE_MANAGE);
    assert!(client.listed(&Scope::Instance).await.unwrap().is_err());
    assert_eq!(client.runner(1).await, Ok(None));
}

#[tokio::test]
async fn a_token_that_ends_halfway_ends_the_calls() {
    let double = Double::start().await.unwrap();
    let client = with(&double, tokens::ADMIN_API);
    assert_eq!(client.runner(1).await, Ok(None));
    let revoked = serde_json::json!({"error": "invalid_token", "error_description": "Token was revoked."});
    double.fault(Fault::on("GET", "*").status(401).body(revoked).times(1000));
    let error = client.runner(2).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("no longer takes the API token") && said.ends_with("(401, Token was revoked.)"), "{said}");
    let before = calls(&double);
    assert_eq!(client.runner(3).await, Err(error));
    assert_eq!(calls(&double), before);
}

/// GitLab's words for people whom it lets do nothing differ, and come back whatever is asked.
#[tokio::test]
async fn a_blocked_user_is_told_once() {
    for words in ["403 Forbidden - Your account has been blocked.", "403 You must accept the Terms of Service."] {
        let double = Double::start().await.unwrap();
        double.fault(Fault::on("GET", "*").status(403).body(serde_json::json!({ "message": words })).times(1000));
        let client = with(&double, tokens::ADMIN_API);
        let errors = many(&client).await;
        assert_eq!(calls(&double), 2);
        assert!(
            errors.iter().all(|error| matches!(error, GitlabError::TokenRefused { status: 403, .. })),
            "{errors:?}"
        );
        let help = errors[0].help().unwrap();
        assert!(help.contains("whether the user is blocked"), "{help}");
    }
    // One thing that it may not see is no more than that.
    let double = Double::start().await.unwrap();
    let no = serde_json::json!({"message": "403 Forbidden - No access granted"});
    double.fault(Fault::on("GET", "/api/v4/runners/1").status(403).body(no).times(1000));
    let client = with(&double, tokens::ADMIN_API);
    assert!(!client.runner(1).await.unwrap_err().is_of_all());
    assert_eq!(client.runner(2).await, Ok(None));
}

#[tokio::test]
async fn a_scope_that_lacks_is_asked_for_once_for_each_kind_of_call() {
    let double = Double::start().await.unwrap();
    let client = with(&double, tokens::CREATE_MANAGE);
    let groups = [Scope::Group("acme".to_owned()), Scope::Group("acme/platform".to_owned())];
    let first = client.find_marked(&groups[0]).await.unwrap_err();
    assert!(first.help().unwrap().contains("`read_api`"), "{:?}", first.help());
    let before = calls(&double);
    assert_eq!(client.find_marked(&groups[1]).await.unwrap_err(), first);
    assert_eq!(calls(&double), before);
    // What it has the scope for is another matter.
    assert_eq!(client.runner(1).await, Ok(None));
}
