//! Which release of gitlab-runner a host pins. Pure.

use super::keys::Version;
use crate::inventory::model::{Manager, ManagerSpec};

/// The release that the inventory pins; `None`: whatever a moving tag or the newest package is.
#[must_use]
pub fn pinned(manager: &ManagerSpec) -> Option<Version> {
    match &manager.process {
        Manager::Container(container) => of_image(&container.image),
        Manager::Package(package) => package.version.parse().ok(),
    }
}

/// The version in the tag of an image of gitlab-runner: `v17.9.0`, `alpine-v17.9.0`, `ubi-fips-v17.9.0`.
fn of_image(image: &str) -> Option<Version> {
    let (name, tag) = image.split('@').next()?.rsplit_once(':')?;
    if !name.rsplit('/').next()?.starts_with("gitlab-runner") {
        return None;
    }
    tag.split('-').find_map(|part| {
        let version = part.strip_prefix('v').unwrap_or(part);
        if version.starts_with(|c: char| c.is_ascii_digit()) { version.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_tags() {
        let version = |image: &str| of_image(image).map(|version| version.to_string());
        assert_eq!(version("gitlab/gitlab-runner:v17.9.0"), Some("17.9".to_owned()));
        assert_eq!(version("registry.example.com:5000/x/gitlab-runner:alpine3.19-v18.10.1"), Some("18.10".to_owned()));
        assert_eq!(version("gitlab/gitlab-runner:v17.9.0@sha256:00"), Some("17.9".to_owned()));
        assert_eq!(version("gitlab/gitlab-runner:latest"), None);
        assert_eq!(version("gitlab/gitlab-runner"), None);
        assert_eq!(version("registry.example.com:5000/other:v17.9.0"), None);
    }
}
