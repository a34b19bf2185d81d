//! GitLab does not answer, or not as it should.

use gitlab_double::{Fault, Match};

use super::Scene;

#[test]
fn gitlab() {
    let Some(scene) = Scene::new() else { return };
    scene.declare_runner("docker: {}");
    let gitlab = &scene.world.gitlab;
    let every = |fault: Fault| {
        let matches = Match { path_prefix: Some("/api/".to_owned()), ..Match::default() };
        gitlab.forget_faults();
        gitlab.fault(Fault { matches, ..fault }.times(1000));
    };
    let html = serde_json::Value::String("<html><body>502 Bad Gateway</body></html>".to_owned());

    every(Fault::default().status(401).body(serde_json::json!({"message": "401 Unauthorized"})));
    scene.shows("gitlab-401");
    every(Fault::default().status(403).body(serde_json::json!({"message": "403 Forbidden"})));
    scene.shows("gitlab-403");
    every(Fault::default().status(502).header("Content-Type", "text/html").body(html));
    scene.shows("gitlab-502");
    every(Fault::default().status(429).header("Retry-After", "3600"));
    scene.shows("gitlab-429");
    every(Fault::default().close());
    scene.shows("gitlab-closes");
    let page = serde_json::Value::String("<html><title>Sign in</title></html>".to_owned());
    every(Fault::default().status(200).header("Content-Type", "text/html").body(page));
    scene.shows("gitlab-is-a-web-page");
    gitlab.forget_faults();

    let url = gitlab.url().to_owned();
    let port = url.rsplit(':').next().unwrap();
    scene.world.edit_inventory(&url, &url.replace(port, "9"));
    scene.shows_as("gitlab-down", &[(&url.replace(port, "9"), "https://gitlab.example.com"), (":9", ":443")]);
    scene.world.edit_inventory(&url.replace(port, "9"), "https://gitlab.invalid");
    scene.shows("gitlab-name-unknown");
    scene.world.edit_inventory("https://gitlab.invalid", &url.replace("http:", "https:"));
    scene.shows_as("gitlab-no-tls", &[(&url.replace("http:", "https:"), "https://gitlab.example.com")]);
    assert!(scene.world.gitlab.state().runners.is_empty(), "a runner was registered");
}
