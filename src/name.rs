//! Names that reach a host or GitLab, checked once when they are made. Values only: no I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An absolute path on a host. Never empty, never with a NUL or a `..` component; not a `std::path::Path`, because the
/// controller's rules for paths are not the host's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemotePath(String);

/// Why a text is no [`RemotePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It does not start with `/`.
    #[error("a path on a host must be absolute (start with `/`)")]
    Relative,
    /// It holds a NUL byte or a line break.
    #[error("a path on a host may not hold NUL or line breaks")]
    Control,
    /// It holds a `..` component.
    #[error("a path on a host may not hold `..`")]
    Parent,
}

impl RemotePath {
    /// Checks and normalises: repeated and trailing slashes and `.` components go.
    ///
    /// # Errors
    /// When the text is relative, holds NUL, a line break or a `..` component.
    pub fn new(text: impl AsRef<str>) -> Result<Self, BadPath> {
        let text = text.as_ref();
        if !text.starts_with('/') {
            return Err(BadPath::Relative);
        }
        if text.contains(['\0', '\n', '\r']) {
            return Err(BadPath::Control);
        }
        let mut clean = String::with_capacity(text.len());
        for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." {
                return Err(BadPath::Parent);
            }
            clean.push('/');
            clean.push_str(part);
        }
        if clean.is_empty() {
            clean.push('/');
        }
        Ok(Self(clean))
    }

    /// `/`
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of an entry below this one; `name` comes from this program, not from a user, and is one plain component
    /// or several joined by `/`.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        if self.0 == "/" { Self(format!("/{name}")) } else { Self(format!("{}/{name}", self.0)) }
    }

    /// The directory that holds this path; `/` for `/` itself.
    #[must_use]
    pub fn parent(&self) -> Self {
        match self.0.rfind('/') {
            Some(0) | None => Self("/".to_owned()),
            Some(at) => Self(self.0[..at].to_owned()),
        }
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RemotePath {
    type Error = BadPath;
    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::new(text)
    }
}

impl From<RemotePath> for String {
    fn from(path: RemotePath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_and_refuses() {
        let path = |text: &str| RemotePath::new(text).map(|path| path.to_string());
        assert_eq!(path("/etc//docker/./daemon.json/"), Ok("/etc/docker/daemon.json".to_owned()));
        assert_eq!(path("/"), Ok("/".to_owned()));
        assert_eq!(path("etc"), Err(BadPath::Relative));
        assert_eq!(path("/a/../b"), Err(BadPath::Parent));
        assert_eq!(path("/a\0b"), Err(BadPath::Control));
    }

    #[test]
    fn parent_and_join() {
        let path = RemotePath::new("/srv/x").unwrap();
        assert_eq!(path.parent().as_str(), "/srv");
        assert_eq!(path.parent().parent().as_str(), "/");
        assert_eq!(path.parent().parent().join("a").as_str(), "/a");
    }
}
