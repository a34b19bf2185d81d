//! What a new double starts with: accounts, tokens, groups and projects, and nothing else.

use crate::state::{Group, MergeRequest, PersonalToken, Project, State, User};

/// The personal access tokens of a new double.
pub mod tokens {
    /// Scope `api`, administrator.
    pub const ADMIN_API: &str = "glpat-lab-admin-api";
    /// Scopes `create_runner` and `manage_runner`, administrator.
    pub const CREATE_MANAGE: &str = "glpat-lab-create-manage";
    /// Scopes `create_runner`, `manage_runner` and `read_api`, administrator.
    pub const CREATE_MANAGE_READ: &str = "glpat-lab-create-manage-read";
    /// Scope `read_api`, administrator.
    pub const READ_ONLY: &str = "glpat-lab-read-only";
    /// Scope `api`, developer in `acme`.
    pub const DEVELOPER: &str = "glpat-lab-developer";
    /// Scope `api`, owner of `acme`, not an administrator.
    pub const OWNER: &str = "glpat-lab-owner";
    /// Always 401.
    pub const EXPIRED: &str = "glpat-lab-expired";
}

impl State {
    /// A new double's memory.
    pub fn seeded() -> Self {
        let user = |id, username: &str, admin, role| User {
            id,
            username: username.to_owned(),
            admin,
            group_roles: [(10, role)].into(),
            project_roles: [].into(),
        };
        let group = |id, path: &str, parent_id| Group { id, path: path.to_owned(), parent_id };
        let project = |id, path: &str| Project { id, path: path.to_owned(), group_id: 10 };
        let mut state = Self {
            users: vec![user(1, "root", true, 50), user(2, "dev", false, 30), user(3, "owner", false, 50)],
            groups: vec![group(10, "acme", None), group(11, "acme/platform", Some(10))],
            projects: vec![project(20, "acme/app"), project(21, "acme/other")],
            merge_requests: vec![MergeRequest { project_id: 20, iid: 7, notes: Vec::new() }],
            ..Self::default()
        };
        state.next.job = 100;
        let rows: [(&str, &str, u64, &[&str]); 7] = [
            ("admin-api", tokens::ADMIN_API, 1, &["api"]),
            ("create-manage", tokens::CREATE_MANAGE, 1, &["create_runner", "manage_runner"]),
            ("create-manage-read", tokens::CREATE_MANAGE_READ, 1, &["create_runner", "manage_runner", "read_api"]),
            ("read-only", tokens::READ_ONLY, 1, &["read_api"]),
            ("developer", tokens::DEVELOPER, 2, &["api"]),
            ("owner", tokens::OWNER, 3, &["api"]),
            ("expired", tokens::EXPIRED, 1, &["api"]),
        ];
        for (id, (name, token, user_id, scopes)) in (1..).zip(rows) {
            state.tokens.push(PersonalToken {
                id,
                name: name.to_owned(),
                token: token.to_owned(),
                user_id,
                scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
                expired: name == "expired",
                expires_at: None,
                granular: false,
                description: None,
                revoked: false,
                created_at: None,
                place: None,
            });
        }
        state
    }
}
