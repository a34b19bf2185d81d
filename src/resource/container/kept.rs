//! What somebody else has given a container that the inventory takes over: what it does not declare stays, also in the container that
//! takes its place. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::forms::{found_devices, found_gpus, found_mounts, found_ports, network, plain, strings, texts};
use super::{BUILT_IN, CONFIG_MOUNT};
use crate::facts::owned::Item;
use crate::facts::{Facts, ImageFact};
use crate::inventory::model::ContainerSpec;
use crate::plan::Attr;
use crate::resource::docker_daemon;
use crate::resource::leftover::{id_of, made_by_us};
use crate::secret::{Secret, SecretId, looks};
use crate::text::Text;

/// A container as it is to be, with what stays of the one that is there.
pub(super) struct Kept {
    /// The inventory's, and what stays.
    pub(super) spec: ContainerSpec,
    /// What stays, with values as far as they may be shown.
    pub(super) values: Vec<Attr>,
    /// Values of the environment that may be secrets.
    pub(super) secrets: Vec<(SecretId, Secret)>,
}

impl Kept {
    /// Fields that stay, as items of the list: they are not rprov's, though the container is once it was made anew.
    pub(super) fn items(&self) -> impl Iterator<Item = Item> {
        self.values.iter().map(|attr| Item::TakenOver(format!("{}.{}", self.spec.name, attr.path)))
    }
}

/// Whether rprov has made this container.
pub(super) fn is_ours(name: &str, found: &Value, facts: &Facts) -> bool {
    let entry = facts.owns().get(&Item::Container(name.to_owned()));
    entry.is_some_and(|entry| id_of(found).is_none_or(|id| made_by_us(entry, &id)))
}

/// Names that it has in its networks beside its own, and what Docker adds.
pub(super) fn aliases(name: &str, found: &Value) -> Option<String> {
    let id = found.pointer("/Id").and_then(Value::as_str).unwrap_or_default();
    let networks = found.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    let all = networks.into_iter().flatten().flat_map(|(_, network)| strings(network.get("Aliases")));
    let own: BTreeSet<String> = all.filter(|alias| alias != name && !id.starts_with(alias.as_str())).collect();
    (!own.is_empty()).then(|| own.into_iter().collect::<Vec<_>>().join(", "))
}

/// Whether a value could be a password under a name that does not say so: one word of letters and digits, as no path, address or
/// version is.
fn could_be_made_up(value: &str) -> bool {
    let has = |of: fn(&char) -> bool| value.chars().any(|c| of(&c));
    value.len() >= 7
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
        && !value.contains(['/', '.', ':', ',', ' '])
}

struct Merge<'a> {
    found: &'a Value,
    facts: &'a Facts,
    ours: bool,
    out: Kept,
}

/// The inventory's container with what stays of the one that was found.
pub(super) fn of(spec: &ContainerSpec, found: &Value, image: Option<&ImageFact>, facts: &Facts) -> Kept {
    let out = Kept { spec: spec.clone(), values: Vec::new(), secrets: Vec::new() };
    let mut merge = Merge { found, facts, ours: is_ours(&spec.name, found, facts), out };
    merge.restart();
    merge.environment(image);
    merge.labels(image);
    merge.lists();
    merge.networks();
    merge.limits();
    merge.program(image);
    merge.rights();
    merge.out
}

impl Merge<'_> {
    /// Whether a field is somebody else's: nobody declares it, and rprov has not given it.
    fn theirs(&self, declared: &str, path: &str) -> bool {
        let spec = &self.out.spec;
        let taken = || Item::TakenOver(format!("{}.{path}", spec.name));
        !spec.declared.contains(declared) && (!self.ours || self.facts.owns().get(&taken()).is_some())
    }

    /// Keeps a field, unless its value could be a token: that has no place in a plan.
    fn keep<T>(
        &mut self,
        key: &str,
        value: Option<T>,
        shown: impl Fn(&T) -> String,
        set: impl Fn(&mut ContainerSpec, T),
    ) {
        let Some(value) = value.filter(|_| self.theirs(key, key)) else { return };
        let text = shown(&value);
        if !looks::holds_token(&text) {
            self.out.values.push(Attr::new(key, Some(text), None));
            set(&mut self.out.spec, value);
        }
    }

    fn host(&self, key: &str) -> Option<&Value> {
        self.found.pointer("/HostConfig").and_then(|host| host.get(key))
    }

    fn text(&self, pointer: &str) -> String {
        self.found.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn restart(&mut self) {
        let tries = self.found.pointer("/HostConfig/RestartPolicy/MaximumRetryCount").and_then(Value::as_u64);
        let restart = match (self.text("/HostConfig/RestartPolicy/Name"), tries) {
            (name, _) if name.is_empty() => "no".to_owned(),
            (name, Some(tries)) if name == "on-failure" && tries > 0 => format!("{name}:{tries}"),
            (name, _) => name,
        };
        let other = Some(restart).filter(|restart| *restart != self.out.spec.restart);
        self.keep("restart", other, Clone::clone, |spec, restart| spec.restart = restart);
    }

    fn environment(&mut self, image: Option<&ImageFact>) {
        let same_image = image.is_some_and(|image| image.id == self.text("/Image"));
        for pair in strings(self.found.pointer("/Config/Env")) {
            let (key, value) = pair.split_once('=').unwrap_or((pair.as_str(), ""));
            let path = format!("env[{key}]");
            let given = image.is_some_and(|image| image.env.contains(&pair)) || (!same_image && key == "PATH");
            if given || self.out.spec.env.contains_key(key) || !self.theirs("", &path) {
                continue;
            }
            let open = !looks::is_secret_name(key)
                && !looks::holds_token(value)
                && !value.contains(['@', '\n'])
                && !could_be_made_up(value);
            let text = if open {
                Text::plain(value)
            } else {
                let id = SecretId::new(format!("kept-env:{}/{key}", self.out.spec.name));
                self.out.secrets.push((id.clone(), Secret::new(value.to_owned())));
                Text::secret(id)
            };
            self.out.values.push(Attr::new(path, Some("(not shown)".to_owned()), None));
            self.out.spec.env.insert(key.to_owned(), text);
        }
    }

    fn labels(&mut self, image: Option<&ImageFact>) {
        let same_image = image.is_some_and(|image| image.id == self.text("/Image"));
        for (key, value) in texts(self.found.pointer("/Config/Labels")) {
            let path = format!("labels[{key}]");
            let of_image = image.is_some_and(|image| image.labels.get(&key) == Some(&value))
                || (!same_image && super::compare::OF_IMAGES.iter().any(|of| key.starts_with(of)));
            if of_image
                || self.out.spec.labels.contains_key(&key)
                || looks::holds_token(&value)
                || !self.theirs("", &path)
            {
                continue;
            }
            self.out.values.push(Attr::new(path, Some(value.clone()), None));
            self.out.spec.labels.insert(key, value);
        }
    }

    fn lists(&mut self) {
        let list = |all: Vec<String>| Some(all).filter(|all| !all.is_empty());
        let shown = |all: &Vec<String>| all.join(", ");
        let mounts = found_mounts(self.found).into_iter().filter(|(at, _)| at != CONFIG_MOUNT).map(|(at, from)| {
            // `SOURCE:OPTIONS`, of which the first part is a path or the name of a volume.
            match from.split_once(':') {
                Some((source, options)) => format!("{source}:{at}:{options}"),
                None => format!("{from}:{at}"),
            }
        });
        let mounts = list(mounts.collect());
        self.keep("mounts", mounts, shown, |spec, mounts| spec.mounts = mounts);
        let ports = found_ports(self.found).into_iter().map(|port| {
            let (rest, container) = port.rsplit_once(':').unwrap_or(("", &port));
            let (address, outer) = rest.rsplit_once(':').unwrap_or(("", rest));
            let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            [address.as_str(), outer, container]
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(":")
        });
        let ports = list(ports.collect());
        self.keep("ports", ports, shown, |spec, ports| spec.ports = ports);
        let hosts = list(strings(self.host("ExtraHosts")));
        self.keep("extra_hosts", hosts, shown, |spec, hosts| spec.extra_hosts = hosts);
        let dns = list(strings(self.host("Dns")));
        self.keep("dns", dns, shown, |spec, dns| spec.options.dns = dns);
    }

    fn networks(&mut self) {
        let joined = self.found.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
        let mut first = network(&self.text("/HostConfig/NetworkMode"));
        let by_id = |id: &str| joined?.iter().find(|(_, it)| it.get("NetworkID").is_some_and(|known| known == id));
        if let Some((name, _)) = by_id(&first) {
            first = name.clone();
        }
        let others = joined.into_iter().flat_map(|joined| joined.keys()).filter(|name| **name != first).cloned();
        let all: Vec<String> = std::iter::once(first.clone()).chain(others).collect();
        let other = (all != ["bridge"] && !self.out.spec.declared.contains("network")).then_some(all);
        // That of another container, say, can be asked for by nobody.
        let other = other.filter(|all| {
            all.len() == 1 || all.iter().all(|name| name == "bridge" || !BUILT_IN.contains(&name.as_str()))
        });
        let other = other.filter(|_| !first.contains(':'));
        self.keep("networks", other, |all| all.join(", "), |spec, all| spec.networks = all);
    }

    fn limits(&mut self) {
        let number = |value: Option<&Value>| value.and_then(Value::as_u64).filter(|number| *number != 0);
        let shown = u64::to_string;
        let memory = number(self.host("Memory"));
        // One goes with the other.
        let swap = self.host("MemorySwap").and_then(Value::as_i64).filter(|swap| *swap != 0 && memory.is_some());
        let swap = swap.filter(|_| self.theirs("memory", "memory"));
        let twice = memory.and_then(|memory| i64::try_from(memory * 2).ok());
        self.keep("memory", memory, shown, |spec, memory| spec.options.memory = Some(memory));
        let other = swap.filter(|swap| Some(*swap) != twice);
        self.keep("memory_swap", other, i64::to_string, |spec, swap| spec.options.memory_swap = Some(swap));
        let cpus = number(self.host("NanoCpus"));
        self.keep("cpus", cpus, shown, |spec, cpus| spec.options.nano_cpus = Some(cpus));
        let shares = number(self.host("CpuShares"));
        self.keep("cpu_shares", shares, shown, |spec, shares| spec.options.cpu_shares = Some(shares));
        let set = plain(self.host("CpusetCpus"));
        self.keep("cpuset_cpus", set, Clone::clone, |spec, set| spec.options.cpuset_cpus = Some(set));
        let pids = self.host("PidsLimit").and_then(Value::as_i64).and_then(|pids| u64::try_from(pids).ok());
        let pids = pids.filter(|pids| *pids > 0);
        self.keep("pids_limit", pids, shown, |spec, pids| spec.options.pids_limit = Some(pids));
        // What daemon.json may have another default for.
        let size = number(self.host("ShmSize")).filter(|size| *size != 64 << 20);
        self.keep("shm_size", size, shown, |spec, size| spec.options.shm_size = Some(size));
        let limit = |limit: &Value| {
            let number = |key: &str| limit.get(key).and_then(Value::as_i64).unwrap_or(0);
            Some((limit.get("Name")?.as_str()?.to_owned(), (number("Soft"), number("Hard"))))
        };
        let limits = self.host("Ulimits").and_then(Value::as_array);
        let limits: BTreeMap<String, (i64, i64)> = limits.into_iter().flatten().filter_map(limit).collect();
        let limits = Some(limits).filter(|limits| !limits.is_empty());
        let names = |limits: &BTreeMap<String, (i64, i64)>| limits.keys().cloned().collect::<Vec<_>>().join(", ");
        self.keep("ulimits", limits, names, |spec, limits| spec.options.ulimits = limits);
    }

    /// What it runs, unless its image says the same.
    fn program(&mut self, image: Option<&ImageFact>) {
        let of_image = |at: usize| image.and_then(|image| plain(image.runs.get(at)));
        let config = |key: &str| self.found.pointer("/Config").and_then(|config| config.get(key));
        let own = |key: &str, at: usize| plain(config(key)).filter(|found| of_image(at).as_ref() != Some(found));
        let words = |key: &str, at: usize| own(key, at).map(|_| strings(config(key))).filter(|words| !words.is_empty());
        let (entrypoint, command, user) = (words("Entrypoint", 0), words("Cmd", 1), own("User", 2));
        let hostname = plain(config("Hostname"));
        let usual = hostname.as_ref().is_some_and(|name| self.text("/Id").starts_with(name.as_str()))
            || self.text("/HostConfig/NetworkMode") == "host";
        let init = self.host("Init").and_then(Value::as_bool).filter(|init| *init);
        // With an image that nobody has yet, what is its own is not known: it is given as it is.
        let entrypoint = entrypoint.filter(|words| words.len() == 1 && image.is_some());
        self.keep(
            "entrypoint",
            entrypoint,
            |words| words.concat(),
            |spec, words| {
                spec.options.entrypoint = words.into_iter().next();
            },
        );
        let command = command.filter(|_| image.is_some());
        self.keep("command", command, |words| words.join(" "), |spec, words| spec.options.command = Some(words));
        self.keep("user", user, Clone::clone, |spec, user| spec.options.user = Some(user));
        let hostname = hostname.filter(|_| !usual);
        self.keep("hostname", hostname, Clone::clone, |spec, name| spec.options.hostname = Some(name));
        self.keep("init", init, bool::to_string, |spec, init| spec.options.init = Some(init));
    }

    fn rights(&mut self) {
        let list = |all: Vec<String>| Some(all).filter(|all| !all.is_empty());
        let shown = |all: &Vec<String>| all.join(", ");
        let on = |value: Option<&Value>| value.and_then(Value::as_bool).filter(|on| *on);
        let (read_only, privileged) = (on(self.host("ReadonlyRootfs")), on(self.host("Privileged")));
        self.keep("read_only", read_only, bool::to_string, |spec, on| spec.options.read_only = on);
        self.keep("privileged", privileged, bool::to_string, |spec, on| spec.options.privileged = on);
        let (add, drop) = (list(strings(self.host("CapAdd"))), list(strings(self.host("CapDrop"))));
        self.keep("cap_add", add, shown, |spec, all| spec.options.cap_add = all);
        self.keep("cap_drop", drop, shown, |spec, all| spec.options.cap_drop = all);
        let options = strings(self.host("SecurityOpt")).into_iter();
        // Docker adds it to a privileged one by itself. Of a profile it keeps the text, which no option takes.
        let options = options.filter(|option| !(privileged == Some(true) && option.starts_with("label")));
        let options: Vec<String> = options.collect();
        let whole = options.iter().all(|option| !option.contains('{'));
        self.keep("security_opt", list(options).filter(|_| whole), shown, |spec, all| spec.options.security_opt = all);
        let devices: BTreeSet<String> = found_devices(self.host("Devices"));
        self.keep("devices", list(devices.into_iter().collect()), shown, |spec, all| spec.options.devices = all);
        let gpus = found_gpus(self.host("DeviceRequests")).filter(|gpus| !gpus.starts_with(['{', '[']));
        self.keep("gpus", gpus, Clone::clone, |spec, gpus| spec.options.gpus = Some(gpus));
        let driver = plain(self.found.pointer("/HostConfig/LogConfig/Type"));
        let options = texts(self.found.pointer("/HostConfig/LogConfig/Config"));
        // One goes with the other; what the engine's own default is, daemon.json says.
        let (usual, usual_options) = self.log_default();
        let is_usual = driver.as_ref() == Some(&usual) && options == usual_options;
        let other = driver.filter(|_| !is_usual && !self.out.spec.declared.contains("log_options"));
        if options.iter().all(|(key, value)| !looks::is_secret_name(key) && !looks::holds_token(value)) {
            self.keep("log_driver", other, Clone::clone, |spec, driver| {
                spec.options.log_driver = Some(driver);
                spec.options.log_options.clone_from(&options);
            });
        }
    }

    /// What a container logs by that was given nothing.
    fn log_default(&self) -> (String, BTreeMap<String, String>) {
        let config = docker_daemon::of_host(self.facts).and_then(Result::ok).unwrap_or_default();
        let driver = plain(config.get("log-driver")).unwrap_or_else(|| "json-file".to_owned());
        (driver, texts(config.get("log-opts")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_password_goes_by_name() {
        for value in ["hunter2", "Qv7oldone08wX3kzT9", "a1b2c3d4-e5f6"] {
            assert!(could_be_made_up(value), "{value}");
        }
        for value in
            ["", "1", "true", "production", "Europe/Berlin", "http://proxy:3128", "10.0.0.1", "3600000", "a, b1, c2 d"]
        {
            assert!(!could_be_made_up(value), "{value}");
        }
    }
}
