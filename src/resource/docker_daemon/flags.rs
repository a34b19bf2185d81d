//! Options that Docker's unit starts it with, whichever of its files says so: a key of daemon.json that is also one of them keeps
//! Docker from starting, and with another `--config-file` it does not read daemon.json at all. Pure.

use serde_json::{Map, Value};

use super::UNIT;
use crate::facts::units::in_order;
use crate::facts::{Facts, Why};
use crate::name::RemotePath;
use crate::resource::Earlier;

/// Keys whose option has another name.
const OPTIONS: [(&str, &[&str]); 22] = [
    ("authorization-plugins", &["authorization-plugin"]),
    ("bridge", &["b", "bridge"]),
    ("data-root", &["data-root", "g", "graph"]),
    ("debug", &["D", "debug"]),
    ("default-address-pools", &["default-address-pool"]),
    ("default-network-opts", &["default-network-opt"]),
    ("default-ulimits", &["default-ulimit"]),
    ("dns-opts", &["dns-opt"]),
    ("exec-opts", &["exec-opt"]),
    ("graph", &["data-root", "g", "graph"]),
    ("group", &["G", "group"]),
    ("host-gateway-ips", &["host-gateway-ip"]),
    ("hosts", &["H", "host"]),
    ("insecure-registries", &["insecure-registry"]),
    ("labels", &["label"]),
    ("log-level", &["l", "log-level"]),
    ("log-opts", &["log-opt"]),
    ("node-generic-resources", &["node-generic-resource"]),
    ("pidfile", &["p", "pidfile"]),
    ("registry-mirrors", &["registry-mirror"]),
    ("storage-driver", &["s", "storage-driver"]),
    ("storage-opts", &["storage-opt"]),
];

/// Keys that may be both: Docker takes them together.
const BOTH: [&str; 1] = ["runtimes"];

/// The command that counts, and the file that has it.
fn start(facts: &Facts) -> Option<(&str, Vec<String>)> {
    let mut found = None;
    for (path, text) in in_order(&facts.docker_files, UNIT) {
        let text = text.replace("\\\n", " ");
        for line in text.lines().map(str::trim) {
            let Some(command) = line.strip_prefix("ExecStart=").map(str::trim) else { continue };
            let words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect();
            found = (!command.is_empty()).then_some((path, words));
        }
    }
    found
}

/// The name of an option, and its value if that stands in the same word.
fn option(word: &str) -> Option<(&str, Option<&str>)> {
    let long = word.strip_prefix("--");
    let name = long.or_else(|| word.strip_prefix('-')).filter(|name| !name.is_empty())?;
    match name.split_once('=') {
        Some((name, value)) => Some((name, Some(value))),
        // `-Hfd://`
        None if long.is_none() => Some((name.get(..1)?, name.get(1..).filter(|value| !value.is_empty()))),
        None => Some((name, None)),
    }
}

/// Why Docker would not start with these keys, or would not read them.
pub(super) fn conflict(path: &RemotePath, keys: &Map<String, Value>, facts: &Facts, earlier: &Earlier) -> Option<Why> {
    let (file, words) = start(facts)?;
    // What this plan changes is seen once it is done.
    if earlier.written.iter().chain(&earlier.removed).any(|changed| changed.as_str() == file) {
        return None;
    }
    let options = || words.iter().enumerate().filter_map(|(at, word)| Some((at, option(word)?)));
    let other = options().find(|(_, (name, _))| *name == "config-file");
    let other = other.and_then(|(at, (_, value))| value.or_else(|| words.get(at + 1).map(String::as_str)));
    if let Some(other) = other.filter(|other| *other != path.as_str()) {
        let why = Why::from(format!("Docker does not read it: {file} starts it with `--config-file {other}`"));
        return Some(why.help(format!("take that option out of the ExecStart= in {file}")).in_the_way());
    }
    for key in keys.keys().filter(|key| !BOTH.contains(&key.as_str())) {
        let names = OPTIONS.iter().find(|(name, _)| name == key).map(|(_, names)| *names);
        let is = |name: &str| names.map_or(name == key.as_str(), |names| names.contains(&name));
        let Some((_, (name, _))) = options().find(|(_, (name, _))| is(name)) else { continue };
        let dashes = if name.len() == 1 { "-" } else { "--" };
        let why = Why::from(format!(
            "Docker does not start with the key `{key}` in it: {file} starts it with `{dashes}{name}`, and it takes only one of them"
        ));
        let is_packaged = ["/usr/lib/", "/lib/"].iter().any(|of| file.starts_with(of));
        let instead = if is_packaged {
            "declare, under `files`, a drop-in in /etc/systemd/system/docker.service.d that starts Docker without that option".to_owned()
        } else {
            format!("take that option out of the ExecStart= in {file}")
        };
        let help = format!("leave `{key}` out of `docker.daemon`, or {instead}");
        return Some(why.help(help).in_the_way());
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PACKAGED: &str =
        "ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS\n";

    fn found(files: &[(&str, &str)], keys: &Value) -> Option<String> {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        let facts = Facts { docker_files: files.collect(), ..Facts::default() };
        let path = RemotePath::new("/etc/docker/daemon.json").unwrap();
        conflict(&path, keys.as_object().unwrap(), &facts, &Earlier::default()).map(|why| why.reason().to_owned())
    }

    #[test]
    fn a_key_that_is_an_option_too_keeps_docker_from_starting() {
        let unit = "/lib/systemd/system/docker.service";
        let said = found(&[(unit, PACKAGED)], &json!({ "debug": true, "hosts": ["fd://"] })).unwrap();
        assert!(said.contains("`hosts`") && said.contains("`-H`") && said.contains(unit), "{said}");
        assert!(found(&[(unit, PACKAGED)], &json!({ "containerd": "/x" })).is_some());
        assert_eq!(found(&[(unit, PACKAGED)], &json!({ "debug": true, "log-driver": "local" })), None);
        let (drop_in, more) = (
            "/run/systemd/system/docker.service.d/x.conf",
            "ExecStart=\nExecStart=dockerd -D --registry-mirror \\\n https://m\n",
        );
        let both = [(unit, PACKAGED), (drop_in, more)];
        assert!(found(&both, &json!({ "registry-mirrors": [] })).unwrap().contains(drop_in));
        assert!(found(&both, &json!({ "debug": true })).unwrap().contains("`-D`"));
        // The command of the unit itself counts no more.
        assert_eq!(found(&both, &json!({ "hosts": [] })), None);
        assert_eq!(found(&[], &json!({ "hosts": [] })), None);
    }

    #[test]
    fn another_file_is_not_this_one() {
        let unit = "/etc/systemd/system/docker.service";
        for text in ["ExecStart=dockerd --config-file /srv/d.json\n", "ExecStart=dockerd --config-file=/srv/d.json\n"] {
            let said = found(&[(unit, text)], &json!({ "debug": true })).unwrap();
            assert!(said.contains("`--config-file /srv/d.json`"), "{said}");
        }
        let text = "ExecStart=dockerd --config-file=/etc/docker/daemon.json\n";
        assert_eq!(found(&[(unit, text)], &json!({ "debug": true })), None);
    }
}
