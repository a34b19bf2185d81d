//! `gitlab:` to the model. No host's values are at hand here, so nothing is rendered. Pure.

use std::collections::HashSet;
use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::Arc;

use super::Build;
use super::read::{flag, is_word};
use crate::diagnostic::Diagnostic;
use crate::inventory::model::{GitlabSpec, Scope, VariableSpec};
use crate::inventory::node::Node;
use crate::inventory::schema::MAX_INVENTORY;
use crate::inventory::validate::secret_entry;
use crate::text::Text;

impl Build<'_> {
    pub(super) fn gitlab(&mut self, node: &Node) -> Option<GitlabSpec> {
        let url_node = node.get("url")?;
        let url = url_node.text()?.trim_end_matches('/').to_owned();
        if let Some(rest) = url.strip_prefix("http://")
            && !is_near(rest)
        {
            let warning = Diagnostic::warning("the token travels to GitLab unencrypted").at(&url_node.span);
            self.warn(warning.help("use https://, with `ca_file` if GitLab has a certificate of a private authority"));
        }
        let api_token = node.get("api_token").and_then(|token| self.secret(token));
        let ca_file = node.get("ca_file");
        let ca_pem = ca_file.and_then(|node| self.authorities(&node.span, &node.text()?)).map(|(text, _)| text);
        let variables = node.get("variables").map(|list| self.variables(list)).unwrap_or_default();
        let inventory_node = node.get("inventory");
        let inventory = inventory_node.and_then(Node::text).map(|name| name.into_owned());
        if let (Some(node), Some(name)) = (inventory_node, &inventory)
            && name.chars().count() > MAX_INVENTORY
        {
            let problem = Diagnostic::error("the inventory's own name is too long").at(&node.span);
            self.error(
                problem.help(format!(
                    "at most {MAX_INVENTORY} characters: it stands in the maintenance note of each runner"
                )),
            );
        }
        let hosts = Arc::default();
        Some(GitlabSpec { url, api_token: api_token?, ca_pem, variables, inventory, hosts, origin: node.span.clone() })
    }

    fn variables(&mut self, list: &Node) -> Vec<VariableSpec> {
        let mut seen = HashSet::new();
        let mut variables = Vec::new();
        for node in list.items() {
            let Some(variable) = self.variable(node) else { continue };
            if !seen.insert((variable.scope.clone(), variable.key.clone(), variable.environment_scope.clone())) {
                let message = format!("the variable `{}` of this scope is here twice", variable.key);
                self.error(Diagnostic::error(message).at(&node.span).help("remove one of them"));
            }
            variables.push(variable);
        }
        variables
    }

    fn variable(&mut self, node: &Node) -> Option<VariableSpec> {
        let scope = scope(node.get("scope")?)?;
        let absent = is_word(node, "state", "absent");
        let masked = flag(node, "masked", false);
        let value = match node.get("value") {
            Some(value) if secret_entry(value).is_some() => Text::secret(self.secret(value)?),
            Some(value) => Text::plain(value.text()?),
            None if absent => Text::default(),
            None => {
                let problem = Diagnostic::error("a CI/CD variable needs `value`").at(&node.span);
                self.error(problem.help("or `state: absent`, to remove it"));
                return None;
            }
        };
        if masked && !absent && !value.is_tainted() {
            let plain = value.redacted();
            if plain.chars().count() < 8 || plain.contains(char::is_whitespace) {
                let problem = Diagnostic::error("GitLab cannot mask this value").at(&node.span);
                self.error(problem.help("a masked value has at least 8 characters and no blanks"));
            }
        }
        let show = flag(node, "show", false);
        let at = node.get("show").filter(|_| show).map(|node| &node.span);
        if let Some(at) = at.filter(|_| value.is_tainted() || masked) {
            let problem = Diagnostic::error("a secret is not shown in plans").at(at);
            self.error(problem.help("remove `show`: it is for values that everybody who sees a plan may know"));
        }
        let environment = node.get("environment_scope");
        if let Some(environment) = environment.filter(|_| scope == Scope::Instance) {
            let problem = Diagnostic::error("an instance variable has no environment scope").at(&environment.span);
            self.error(problem.help("remove it, or give the variable to a group or project"));
        }
        Some(VariableSpec {
            scope,
            key: node.get("key")?.text()?.into_owned(),
            value,
            protected: flag(node, "protected", false),
            show,
            masked,
            raw: flag(node, "raw", false),
            file: is_word(node, "type", "file"),
            environment_scope: environment
                .and_then(Node::text)
                .map_or_else(|| "*".to_owned(), |text| text.into_owned()),
            absent,
            origin: node.span.clone(),
        })
    }
}

/// `instance`, `{ group: … }` or `{ project: … }`.
pub(super) fn scope(node: &Node) -> Option<Scope> {
    match node.only() {
        None => node.text().filter(|text| text == "instance").map(|_| Scope::Instance),
        Some(entry) => {
            let path = entry.value.text()?.into_owned();
            match &*entry.key {
                "group" => Some(Scope::Group(path)),
                "project" => Some(Scope::Project(path)),
                _ => None,
            }
        }
    }
}

/// Whether an URL's authority is this machine or a private network, where plain HTTP can be meant.
fn is_near(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    match IpAddr::from_str(host) {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        // A name without a dot is resolved inside the own network.
        Err(_) => host == "localhost" || host.ends_with(".localhost") || !host.contains('.'),
    }
}
