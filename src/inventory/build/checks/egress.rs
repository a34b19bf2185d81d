//! Whether jobs still reach what they cannot do without, once `firewall.jobs` keeps them off networks. Only addresses that
//! are written out: what a name means on the host is not known here. Pure.

use std::net::IpAddr;

use super::super::Build;
use super::value;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::model::{ConfigTable, ConfigValue, HostSpec, JobsSpec};

impl Build<'_> {
    pub(super) fn check_egress(&mut self, host: &HostSpec) {
        let Some(jobs) = host.firewall.as_ref().and_then(|firewall| firewall.jobs.as_ref()) else { return };
        let mut needed: Vec<(&str, String, Span)> = Vec::new();
        for runner in host.runners.iter().filter(|runner| !runner.absent) {
            for (key, what) in [("url", "GitLab"), ("clone_url", "the address to clone from")] {
                if let Some((url, at)) = text(&runner.config, key) {
                    needed.push((what, url, at));
                }
            }
            if let Some(ConfigValue::Table(cache)) = value(&runner.config, "cache")
                && let Some(ConfigValue::Table(s3)) = value(cache, "s3")
                && let Some((address, at)) = text(s3, "ServerAddress")
            {
                needed.push(("the cache", address, at));
            }
            if let Some(ConfigValue::Table(cache)) = value(&runner.config, "cache")
                && let Some(ConfigValue::Table(s3)) = value(cache, "s3")
                && let Some((_, at)) = text(s3, "AuthenticationType").filter(|(kind, _)| kind == "iam")
                && jobs.metadata_denied
                && host.manager.is_some()
            {
                let message = "the cache's credentials come from the metadata service, which `firewall.jobs` closes";
                let help = "give the cache keys of its own; `metadata: allow` gives every job the machine's rights";
                self.warn(Diagnostic::warning(message).at(&at).help(help));
            }
        }
        if host.manager.is_some()
            && let Some(gitlab) = &self.out.gitlab
        {
            needed.push(("GitLab", gitlab.url.clone(), gitlab.origin.clone()));
        }
        for (what, url, at) in needed {
            self.check_reach(jobs, what, &url, &at);
        }
    }

    fn check_reach(&mut self, jobs: &JobsSpec, what: &str, url: &str, at: &Span) {
        let Some((address, port)) = endpoint(url) else { return };
        let Some(net) = jobs.denies(address, port) else { return };
        let message = format!("jobs could not reach {what}: {address} lies in {net}, which this keeps them off");
        let problem = Diagnostic::error(message).at(&jobs.origin);
        self.error(problem.help(format!(
            "add `{{ to: {address}, port: {port} }}` to `firewall.jobs.allow`; {what} is named in {}:{}",
            at.file, at.line
        )));
    }
}

fn text(table: &ConfigTable, key: &str) -> Option<(String, Span)> {
    let (_, entry) = table.iter().find(|(name, _)| name == key)?;
    match &entry.value {
        ConfigValue::String(text) if !text.is_tainted() => Some((text.redacted(), entry.origin.clone())),
        _ => None,
    }
}

/// Address and port of a URL, or of `HOST:PORT`, if the host is an address.
fn endpoint(url: &str) -> Option<(IpAddr, u16)> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let default = if scheme == "http" { 80 } else { 443 };
    Some((host.parse().ok()?, port.map_or(Some(default), |port| port.parse().ok())?))
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn addresses_of_urls() {
        let found = |url: &str| endpoint(url).map(|(address, port)| format!("{address} {port}"));
        assert_eq!(found("https://10.0.0.5").as_deref(), Some("10.0.0.5 443"));
        assert_eq!(found("http://10.0.0.5/gitlab").as_deref(), Some("10.0.0.5 80"));
        assert_eq!(found("https://[fd00::1]:8443/").as_deref(), Some("fd00::1 8443"));
        assert_eq!(found("https://[fd00::1]").as_deref(), Some("fd00::1 443"));
        assert_eq!(found("10.0.0.9:9000").as_deref(), Some("10.0.0.9 9000"));
        assert_eq!(found("https://gitlab.example.com"), None);
        assert_eq!(found("minio:9000"), None);
    }
}
