//! What Docker and registries say when an image cannot be had, in words that say what to do. Pure: no I/O.

use crate::inventory::model::{Login, registry_of};
use crate::step::Step;

/// What to do about a registry that speaks plain HTTP.
#[must_use]
pub fn plain_registry(registry: &str) -> String {
    format!(
        "give it a certificate; plain HTTP is allowed by `docker: {{ daemon: {{ insecure-registries: [\"{registry}\"] }} }}`"
    )
}

/// What is wrong, and what to do; `None`: nothing is known about it.
#[must_use]
pub fn explain(step: &Step, output: &[String]) -> Option<(String, String)> {
    let (image, login) = match step {
        Step::PullImage(image) => (image, None),
        Step::PullImageAs { image, login } => (image, Some(login)),
        _ => return None,
    };
    let registry = registry_of(image);
    let said = output.join("\n").to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // A private repository answers who may not see it as if it were not there, so this comes first.
    let explained = if any(&["unauthorized", "authentication required", "no basic auth", "401 unauthorized"]) {
        refused(registry, login)
    } else if any(&["denied", "403 forbidden"]) {
        let who = login.map_or_else(|| "without a user".to_owned(), |login| format!("to the user {}", login.username));
        (
            format!("{registry} does not give {image} {who}, or has no such image"),
            "look at the image's name; give a user who may pull it in `docker.registries`".to_owned(),
        )
    } else if any(&["manifest unknown", "not found", "manifest invalid", "name unknown"]) {
        (
            format!("{registry} has no image {image}"),
            "does the registry have this tag or digest, by this name? `docker pull` on another machine says it too"
                .to_owned(),
        )
    } else if any(&["x509", "certificate"]) {
        (
            format!("the host does not trust the certificate of {registry}"),
            "if it is of a private authority, give that in `docker.registries` as `ca_file`".to_owned(),
        )
    } else if any(&["server gave http response to https client"]) {
        (format!("{registry} speaks no TLS"), plain_registry(registry))
    } else if any(&["toomanyrequests", "rate limit", "429 too many"]) {
        (
            format!("{registry} has had too many requests from this address"),
            "wait, give a user in `docker.registries`, or pull from a mirror".to_owned(),
        )
    } else if any(&["no such host", "connection refused", "no route to host", "timeout", "timed out", "unreachable"]) {
        (
            format!("the host cannot reach {registry}"),
            "look at its name, at the host's DNS, and at the firewalls on the way".to_owned(),
        )
    } else if any(&["no space left"]) {
        (
            "the host's disk is full".to_owned(),
            "docker system df shows what Docker keeps; docker image prune frees some".to_owned(),
        )
    } else if any(&["no matching manifest"]) {
        (format!("{image} is not there for the processor of this host"), "take an image that is made for it".to_owned())
    } else {
        return None;
    };
    Some(explained)
}

fn refused(registry: &str, login: Option<&Login>) -> (String, String) {
    match login {
        None => (
            format!("{registry} wants to know who asks"),
            format!(
                "give somebody who may pull: `docker.registries: [{{ host: \"{registry}\", username: …, password: {{ env: … }} }}]`"
            ),
        ),
        Some(login) => (
            format!("{registry} refuses the user {}", login.username),
            "look at its password in `docker.registries`: it may have expired, or may not pull".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretId;

    #[test]
    fn answers_of_registries_say_what_to_do() {
        let image = "registry.example.com/team/runner:v1".to_owned();
        let login = Login {
            registry: "registry.example.com".to_owned(),
            username: "ci".to_owned(),
            password: SecretId::new("env:P"),
        };
        let anonymous = Step::PullImage(image.clone());
        let known = Step::PullImageAs { image, login };
        let cases = [
            (
                &anonymous,
                "Error response from daemon: Head \"https://x\": no basic auth credentials",
                "wants to know who asks",
            ),
            (&known, "{\"message\":\"Get https://x: unauthorized: authentication required\"}", "refuses the user ci"),
            (&anonymous, "pull access denied for team/runner, repository does not exist", "or has no such image"),
            (&known, "manifest for x not found: manifest unknown: manifest unknown", "has no image"),
            (&known, "x509: certificate signed by unknown authority", "does not trust"),
            (&anonymous, "http: server gave HTTP response to HTTPS client", "speaks no TLS"),
            (&anonymous, "toomanyrequests: You have reached your pull rate limit", "too many requests"),
            (&anonymous, "dial tcp: lookup registry.example.com: no such host", "cannot reach"),
            (&anonymous, "no matching manifest for linux/arm64 in the manifest list entries", "processor"),
        ];
        for (step, said, expected) in cases {
            let (message, help) = explain(step, &[said.to_owned()]).unwrap();
            assert!(message.contains(expected), "{said}: {message}");
            assert!(!help.is_empty());
        }
        assert_eq!(explain(&anonymous, &["something else".to_owned()]), None);
        assert_eq!(explain(&Step::CreateVolume("x".to_owned()), &["unauthorized".to_owned()]), None);
    }
}
