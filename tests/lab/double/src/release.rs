//! Which release of GitLab is played, and what came with which. Where GitLab's documentation dates a change, so does this;
//! what is marked "about" was set to the nearest release that is known to have it.

/// A release, by major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(u64, u64);

impl Default for Release {
    /// The newest: everything is there.
    fn default() -> Self {
        Self(u64::MAX, 0)
    }
}

impl Release {
    /// Runners that users create (about 15.10, as a whole 16.0).
    pub(crate) const USER_RUNNERS: Self = Self(15, 10);
    /// The token scope `create_runner` (about).
    pub(crate) const SCOPE_CREATE_RUNNER: Self = Self(16, 2);
    /// Descriptions of variables of groups and projects.
    pub(crate) const VARIABLE_DESCRIPTION: Self = Self(16, 2);
    /// Descriptions of variables of the instance.
    pub(crate) const INSTANCE_DESCRIPTION: Self = Self(16, 8);
    /// Registration tokens are off unless somebody turns them on.
    pub(crate) const NO_REGISTRATION: Self = Self(17, 0);
    /// Who made a runner and when is shown (about).
    pub(crate) const CREATED_BY: Self = Self(17, 0);
    /// A runner's address is shown of its managers only (about).
    pub(crate) const NO_ADDRESS: Self = Self(17, 0);
    /// The token scope `manage_runner`.
    pub(crate) const SCOPE_MANAGE_RUNNER: Self = Self(17, 1);
    /// Variables whose value is never shown again.
    pub(crate) const HIDDEN_VARIABLES: Self = Self(17, 4);
    /// Runner tokens say the kind of runner: `glrt-t1_…` (about).
    pub(crate) const TYPED_TOKENS: Self = Self(17, 5);
    /// Whether a runner is at a job is shown (about).
    pub(crate) const JOB_EXECUTION: Self = Self(17, 0);
    /// `include_projects` is heeded (about).
    pub(crate) const INCLUDE_PROJECTS: Self = Self(17, 9);
    /// Tokens can have fine-grained permissions.
    pub(crate) const GRANULAR: Self = Self(19, 0);

    /// `17.9.0-ee`
    pub(crate) fn of(version: &str) -> Self {
        let mut numbers = version.split(['.', '-']).map_while(|part| part.parse().ok());
        numbers.next().map_or_else(Self::default, |major| Self(major, numbers.next().unwrap_or(0)))
    }

    /// Whether something that came with a release is there.
    pub(crate) fn has(self, since: Self) -> bool {
        self >= since
    }
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn releases_are_ordered() {
        assert!(Release::of("16.0.1-ee") < Release::SCOPE_CREATE_RUNNER);
        assert!(Release::of("17.10.0").has(Release::TYPED_TOKENS));
        assert!(Release::of("19.3.0-ee").has(Release::GRANULAR));
        assert!(!Release::of("15.9").has(Release::USER_RUNNERS));
        assert_eq!(Release::of("odd"), Release::default());
    }
}
