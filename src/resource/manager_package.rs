//! gitlab-runner as a service of the host, from its package. Pure.

/// The unit that the package's own installer writes.
pub const UNIT: &str = "gitlab-runner.service";
