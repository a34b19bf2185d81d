//! Warnings about the gitlab-runner process of a host: how many jobs, who reaches its metrics, what it reaches. Pure.

use super::super::Build;
use super::executors::{table_at, text};
use super::risks::{SOCKET, is_socket, mentions};
use super::value;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::model::{ConfigEntry, ConfigValue, HostSpec, ManagerSpec, RunnerSpec};

/// The port of the metrics if `listen_address` names none.
const METRICS_PORT: u16 = 9252;

impl Build<'_> {
    pub(super) fn host_risks(&mut self, host: &HostSpec, live: usize) {
        let Some(manager) = &host.manager else { return };
        self.concurrency(host, manager, live);
        self.metrics(host, manager);
        // As a service it runs as root on the host itself and reaches the socket.
        let Some(container) = manager.container() else { return };
        let local_docker = host.runners.iter().filter(|runner| !runner.absent).find(|runner| uses_local_docker(runner));
        let reachable = container.mounts.iter().any(|mount| mount.split(':').nth(1).is_some_and(is_socket));
        if let Some(runner) = local_docker.filter(|_| !reachable) {
            let message = format!("the runner `{}` uses Docker, which its container cannot reach", runner.name);
            let warning = Diagnostic::warning(message).at(&container.origin);
            self.warn(warning.help(format!("add {SOCKET}:{SOCKET} to `manager.container.mounts`")));
        }
    }

    fn concurrency(&mut self, host: &HostSpec, manager: &ManagerSpec, live: usize) {
        let concurrent = manager.config.iter().find(|(key, _)| key == "concurrent");
        let (slots, at) = match concurrent {
            Some((_, ConfigEntry { value: ConfigValue::Integer(slots), origin })) => (*slots, origin),
            _ => (1, &manager.config_origin),
        };
        if slots < 1 {
            let problem = Diagnostic::error(format!("gitlab-runner does not start with `concurrent = {slots}`")).at(at);
            self.error(problem.help("the number of jobs that may run at once on the host, at least 1"));
            return;
        }
        if i64::try_from(live).unwrap_or(i64::MAX) > slots {
            let message = format!("{live} runners share {slots} concurrent jobs, so some of them can starve");
            self.risk("concurrent", None, &message, at, "set `concurrent` to at least the number of runners");
        }
        for runner in host.runners.iter().filter(|runner| !runner.absent) {
            let Some((limit, at)) = integer(runner, "limit").filter(|(limit, _)| *limit > 0) else { continue };
            if limit > slots {
                let message =
                    format!("{limit} jobs at once are never reached: `concurrent` allows {slots} on the host");
                self.risk("concurrent", Some(runner), &message, at, "raise `manager.config.concurrent`, or lower it");
            }
            let requests = integer(runner, "request_concurrency").map_or(1, |(requests, _)| requests);
            if live > 1 && limit <= 2 && requests <= 1 {
                let message = "with a low `limit` and one request at a time, jobs wait while GitLab holds a long poll";
                let help = "set `request_concurrency: 2`, where GitLab's long polling is on";
                self.risk("long_polling", Some(runner), message, at, help);
            }
        }
    }

    /// The metrics have no password, and the same port shows what jobs run.
    fn metrics(&mut self, host: &HostSpec, manager: &ManagerSpec) {
        let Some((_, entry)) = manager.config.iter().find(|(key, _)| key == "listen_address") else { return };
        let Some((address, port)) = text(&entry.value).and_then(|text| listens(&text)) else { return };
        let at = &entry.origin;
        let mut risk = |message: &str, help: &str| self.risk("metrics", None, message, at, help);
        let open = format!("`firewall: {{ allow: [{{ port: {port}, from: [10.0.0.5] }}] }}` opens it for one address");
        let mut port = port;
        let mut local = is_local(&address);
        if let Some(container) =
            manager.container().filter(|container| container.networks.iter().all(|network| network != "host"))
        {
            let Some((outer_address, outer)) = container.ports.iter().find_map(|spec| published(spec, port)) else {
                let help = format!("publish it, `manager: {{ container: {{ ports: [\"{port}:{port}\"] }} }}`; {open}");
                return risk(&format!("nothing outside its container reaches the metrics on port {port}"), &help);
            };
            if local {
                let message = "the metrics listen on an address that only their container reaches";
                return risk(message, &format!("listen on \":{port}\": what is published says who reaches it"));
            }
            (local, port) = (is_local(&outer_address), outer);
        }
        if local {
            return;
        }
        let Some(firewall) = &host.firewall else {
            let message =
                format!("port {port} has no password: whoever reaches the host sees its metrics and its jobs");
            return risk(&message, &format!("listen on \"127.0.0.1:{port}\"; or {open}"));
        };
        match firewall.allow.iter().find(|allow| allow.what.is_tcp(port)) {
            None => risk(&format!("the firewall lets nobody reach the metrics on port {port}"), &open),
            Some(allow) if allow.from.is_empty() => {
                let message = format!("port {port} has no password, and the firewall opens it to everyone");
                risk(&message, "name who may reach it: `from: [10.0.0.5]`");
            }
            Some(_) => {}
        }
    }
}

fn integer<'a>(runner: &'a RunnerSpec, key: &str) -> Option<(i64, &'a Span)> {
    runner.config.iter().find(|(name, _)| name == key).and_then(|(_, entry)| match entry.value {
        ConfigValue::Integer(number) => Some((number, &entry.origin)),
        _ => None,
    })
}

/// Address and port of `listen_address`.
pub(super) fn listens(text: &str) -> Option<(String, u16)> {
    let (address, port) = match text.rsplit_once(':') {
        Some((address, port)) if !port.contains(']') => (address, port.parse().ok()?),
        _ => (text, METRICS_PORT),
    };
    Some((address.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

/// Where a published port of the container (`9252:9252`, `127.0.0.1:9252:9252`) is on the host.
fn published(spec: &str, port: u16) -> Option<(String, u16)> {
    let (outer, inner) = spec.split('/').next()?.rsplit_once(':')?;
    if inner.parse::<u16>().ok()? != port {
        return None;
    }
    let (address, outer) = outer.rsplit_once(':').unwrap_or(("", outer));
    Some((address.trim_start_matches('[').trim_end_matches(']').to_owned(), outer.parse().ok()?))
}

pub(super) fn is_local(address: &str) -> bool {
    address == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a runner's jobs run on the Docker daemon of the host itself.
fn uses_local_docker(runner: &RunnerSpec) -> bool {
    let docker = table_at(&runner.config, "docker").map_or(&[][..], |(table, _)| table);
    value(&runner.config, "executor").is_some_and(|executor| mentions(executor, "docker"))
        && value(docker, "host").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_metrics() {
        assert_eq!(listens(":9252"), Some((String::new(), 9252)));
        assert_eq!(listens("127.0.0.1:9000"), Some(("127.0.0.1".to_owned(), 9000)));
        assert_eq!(listens("[::1]:9000"), Some(("::1".to_owned(), 9000)));
        assert_eq!(listens("[::1]"), Some(("::1".to_owned(), METRICS_PORT)));
        assert_eq!(listens("localhost"), Some(("localhost".to_owned(), METRICS_PORT)));
        assert!(is_local("127.0.0.1") && is_local("::1") && !is_local("") && !is_local("0.0.0.0"));
        assert_eq!(published("127.0.0.1:9000:9252", 9252), Some(("127.0.0.1".to_owned(), 9000)));
        assert_eq!(published("9252:9252/tcp", 9252), Some((String::new(), 9252)));
        assert_eq!(published("8093:8093", 9252), None);
    }
}
