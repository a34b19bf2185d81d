//! A container field by field: what the inventory says, and what `docker inspect` does. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::facts::ImageFact;
use crate::inventory::model::{ContainerOptions, ContainerSpec};
use crate::plan::Attr;
use crate::secret::{SecretBook, looks};
use crate::text::{Text, Unbound};

use super::forms::{
    bytes, capability, cpus, extra_host, found_devices, found_gpus, found_mounts, found_ports, found_ulimits, network,
    plain, security, short, signal, strings, texts, ulimit, wanted_device, wanted_mount, wanted_ports,
};

/// A field that differs.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) attr: Attr,
    pub(super) how: How,
}

/// How it is fixed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum How {
    /// By a new container.
    Anew,
    /// By `docker update` with these options, while it runs.
    Update(Vec<(&'static str, String)>),
    /// By joining a network.
    Connect(String),
    /// By leaving one.
    Disconnect(String),
}

/// What a container may have and the inventory has no word for.
pub(super) const UNUSUAL: [(&str, &str); 20] = [
    ("pid", "/HostConfig/PidMode"),
    ("uts", "/HostConfig/UTSMode"),
    ("userns", "/HostConfig/UsernsMode"),
    ("group_add", "/HostConfig/GroupAdd"),
    ("sysctls", "/HostConfig/Sysctls"),
    ("tmpfs", "/HostConfig/Tmpfs"),
    ("volumes_from", "/HostConfig/VolumesFrom"),
    ("links", "/HostConfig/Links"),
    ("auto_remove", "/HostConfig/AutoRemove"),
    ("publish_all", "/HostConfig/PublishAllPorts"),
    ("dns_search", "/HostConfig/DnsSearch"),
    ("dns_options", "/HostConfig/DnsOptions"),
    ("memory_reservation", "/HostConfig/MemoryReservation"),
    ("cpu_period", "/HostConfig/CpuPeriod"),
    ("cpu_quota", "/HostConfig/CpuQuota"),
    ("cpuset_mems", "/HostConfig/CpusetMems"),
    ("blkio_weight", "/HostConfig/BlkioWeight"),
    ("device_cgroup_rules", "/HostConfig/DeviceCgroupRules"),
    ("oom_score_adj", "/HostConfig/OomScoreAdj"),
    ("cgroup_parent", "/HostConfig/CgroupParent"),
];

/// Labels that images carry about themselves.
pub(super) const OF_IMAGES: [&str; 3] = ["org.opencontainers.image.", "org.label-schema.", "maintainer"];

/// A container that was found, and what it is compared with.
pub(super) struct Comparison<'a> {
    pub(super) spec: &'a ContainerSpec,
    /// All mounts, that of the configuration among them.
    pub(super) mounts: &'a [String],
    pub(super) found: &'a Value,
    /// The image that it is to run, if that is on the host.
    pub(super) image: Option<&'a ImageFact>,
    /// Another one will be pulled under the same reference.
    pub(super) will_pull: bool,
}

impl Comparison<'_> {
    /// Everything that differs.
    pub(super) fn differences(&self, book: &SecretBook) -> Result<Vec<Difference>, Unbound> {
        let mut all = Vec::new();
        self.image(&mut all);
        self.networks(&mut all);
        self.lifecycle(&mut all);
        self.maps(book, &mut all)?;
        self.limits(&mut all);
        self.program(&mut all);
        self.rights(&mut all);
        self.surroundings(&mut all);
        Ok(all)
    }

    fn text(&self, pointer: &str) -> &str {
        self.found.pointer(pointer).and_then(Value::as_str).unwrap_or("")
    }

    fn number(&self, pointer: &str) -> Option<u64> {
        self.found.pointer(pointer).and_then(Value::as_u64).filter(|number| *number != 0)
    }

    fn host(&self, key: &str) -> Option<&Value> {
        self.found.pointer("/HostConfig").and_then(|host| host.get(key))
    }

    /// The image that it runs is the one that it is to run: what it has of the image is known.
    fn same_image(&self) -> Option<&ImageFact> {
        self.image.filter(|image| image.id == self.text("/Image"))
    }

    fn image(&self, all: &mut Vec<Difference>) {
        let (reference, id) = (self.text("/Config/Image"), self.text("/Image"));
        anew("image", Some(reference.to_owned()), Some(self.spec.image.clone()), all);
        if reference != self.spec.image {
            return;
        }
        match self.image {
            _ if self.will_pull => anew("image id", Some(short(id)), Some("(the one to be pulled)".to_owned()), all),
            Some(image) if image.id != id => anew("image id", Some(short(id)), Some(short(&image.id)), all),
            _ => {}
        }
    }

    fn networks(&self, all: &mut Vec<Difference>) {
        let joined = self.found.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
        let mut mode = network(self.text("/HostConfig/NetworkMode"));
        // It may have been given by its id.
        let by_id = |id: &str| joined?.iter().find(|(_, it)| it.get("NetworkID").is_some_and(|known| known == id));
        if let Some((name, _)) = by_id(&mode) {
            mode = name.clone();
        }
        let first = self.spec.networks.first().map_or("bridge", String::as_str);
        if mode != network(first) {
            return anew("network", Some(mode), Some(network(first)), all);
        }
        let Some(joined) = joined.filter(|joined| !joined.is_empty()) else { return };
        let wanted: BTreeSet<String> = self.spec.networks.iter().map(|name| network(name)).collect();
        for name in wanted.iter().filter(|name| !joined.contains_key(*name)) {
            push(Attr::new("networks", None, Some(name.clone())), How::Connect(name.clone()), all);
        }
        for name in joined.keys().filter(|name| !wanted.contains(*name)) {
            push(Attr::new("networks", Some(name.clone()), None), How::Disconnect(name.clone()), all);
        }
    }

    fn lifecycle(&self, all: &mut Vec<Difference>) {
        let name = self.text("/HostConfig/RestartPolicy/Name");
        let tries = self.number("/HostConfig/RestartPolicy/MaximumRetryCount");
        let restart = match (name, tries) {
            ("", _) => "no".to_owned(),
            ("on-failure", Some(tries)) => format!("on-failure:{tries}"),
            (name, _) => name.to_owned(),
        };
        let wanted = self.spec.restart.clone();
        let how = How::Update(vec![("restart", wanted.clone())]);
        changed("restart", Some(restart), Some(wanted), how, all);
        let wanted = self.spec.options.stop_signal.as_deref().unwrap_or("SIGQUIT").to_owned();
        anew("stop_signal", Some(signal(self.text("/Config/StopSignal"))).filter(|s| !s.is_empty()), Some(wanted), all);
        // Docker keeps nothing of a container that was made without one, and then waits for ten seconds.
        let timeout = self.found.pointer("/Config/StopTimeout").and_then(Value::as_u64).unwrap_or(10);
        let seconds = |seconds: u64| format!("{seconds}s");
        anew("stop_timeout", Some(seconds(timeout)), Some(seconds(self.spec.stop_timeout)), all);
    }

    fn maps(&self, book: &SecretBook, all: &mut Vec<Difference>) -> Result<(), Unbound> {
        let wanted = self.mounts.iter().map(|mount| wanted_mount(mount)).collect();
        maps("mounts", &found_mounts(self.found), &wanted, all);
        let inherited: BTreeSet<&String> = self.image.map(|image| image.env.iter().collect()).unwrap_or_default();
        let foreign = |key: &str| self.same_image().is_none() && key == "PATH";
        let found: BTreeMap<String, String> = strings(self.found.pointer("/Config/Env"))
            .into_iter()
            // What the image gives is not the user's, unless the user says the same.
            .filter(|pair| {
                let key = pair.split('=').next().unwrap_or("");
                self.spec.env.contains_key(key) || !(inherited.contains(pair) || foreign(key))
            })
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.to_owned()),
                None => (pair, String::new()),
            })
            .collect();
        let keys: BTreeSet<&String> = self.spec.env.keys().chain(found.keys()).collect();
        for key in keys {
            let text = self.spec.env.get(key);
            let value = text.map(|text| text.reveal(book)).transpose()?;
            if found.get(key) != value.as_ref() {
                let attr = Attr::new(format!("env[{key}]"), hidden(found.get(key)), text.map(Text::redacted));
                push(attr, How::Anew, all);
            }
        }
        let foreign = |key: &str| self.same_image().is_none() && OF_IMAGES.iter().any(|of| key.starts_with(of));
        let labels = texts(self.found.pointer("/Config/Labels"))
            .into_iter()
            .filter(|(key, value)| {
                let given = self.image.is_some_and(|image| image.labels.get(key) == Some(value));
                self.spec.labels.contains_key(key) || !(given || foreign(key))
            })
            .collect();
        maps("labels", &labels, &self.spec.labels, all);
        Ok(())
    }

    /// Limits can be set while it runs, but not taken away.
    fn limits(&self, all: &mut Vec<Difference>) {
        let options = &self.spec.options;
        let number = |key: &str| self.host(key).and_then(Value::as_u64).filter(|number| *number != 0);
        let set = |option: &'static str, value: Option<String>| match value {
            Some(value) => How::Update(vec![(option, value)]),
            None => How::Anew,
        };
        let swap = options.memory_swap.or_else(|| options.memory.map(|memory| i64::try_from(memory * 2).unwrap_or(-1)));
        // Docker refuses a limit of memory above the old sum of memory and swap: both go together.
        let memory = || match (options.memory, swap) {
            (Some(memory), Some(swap)) => {
                How::Update(vec![("memory", memory.to_string()), ("memory-swap", swap.to_string())])
            }
            _ => How::Anew,
        };
        changed("memory", number("Memory").map(bytes), options.memory.map(bytes), memory(), all);
        let show = |swap: i64| u64::try_from(swap).map_or_else(|_| "-1".to_owned(), bytes);
        let found = self.host("MemorySwap").and_then(Value::as_i64).filter(|swap| *swap != 0);
        // A kernel that does not count swap has it unlimited, whatever was asked for.
        if found != Some(-1) || options.memory.is_none() {
            changed("memory_swap", found.map(show), swap.map(show), memory(), all);
        }
        let nano = options.nano_cpus;
        changed("cpus", number("NanoCpus").map(cpus), nano.map(cpus), set("cpus", nano.map(cpus)), all);
        let text = |number: u64| number.to_string();
        let shares = options.cpu_shares.map(text);
        changed("cpu_shares", number("CpuShares").map(text), shares.clone(), set("cpu-shares", shares), all);
        let set_of = options.cpuset_cpus.clone();
        changed("cpuset_cpus", plain(self.host("CpusetCpus")), set_of.clone(), set("cpuset-cpus", set_of), all);
        let pids = self.host("PidsLimit").and_then(Value::as_i64).filter(|pids| *pids > 0).map(|pids| pids.to_string());
        let wanted = options.pids_limit.map(text);
        let how = How::Update(vec![("pids-limit", wanted.clone().unwrap_or_else(|| "-1".to_owned()))]);
        changed("pids_limit", pids, wanted, how, all);
        // What daemon.json may have another default for is compared only where the inventory says it.
        if let Some(size) = options.shm_size {
            anew("shm_size", number("ShmSize").map(bytes), Some(bytes(size)), all);
        }
        let wanted = options.ulimits.iter().map(|(name, limit)| (name.clone(), ulimit(*limit))).collect();
        maps("ulimits", &found_ulimits(self.host("Ulimits")), &wanted, all);
    }

    /// What it runs: the image decides, unless the inventory does.
    fn program(&self, all: &mut Vec<Difference>) {
        let options = &self.spec.options;
        let config = |key: &str| plain(self.found.pointer("/Config").and_then(|config| config.get(key)));
        let [entrypoint, command, user] = match self.same_image() {
            Some(image) => [0, 1, 2].map(|at| Some(plain(image.runs.get(at)))),
            None => [None, None, None],
        };
        let list = |words: &[String]| plain(Some(&Value::from(words.to_vec())));
        let own = options.entrypoint.clone().map(|word| Some(list(&[word])).flatten());
        // With a program of its own, the image's arguments are not used.
        let command = if own.is_some() { Some(None) } else { command };
        for (key, wanted) in [
            ("entrypoint", own.or(entrypoint)),
            ("command", options.command.as_deref().map(list).or(command)),
            ("user", options.user.clone().map(Some).or(user)),
        ] {
            let Some(wanted) = wanted else { continue };
            let found = match key {
                "entrypoint" => config("Entrypoint"),
                "command" => config("Cmd"),
                _ => config("User"),
            };
            anew(key, found, wanted, all);
        }
        let id = self.text("/Id");
        let usual = |name: &str| id.starts_with(name) || self.text("/HostConfig/NetworkMode") == "host";
        let name = config("Hostname").filter(|name| options.hostname.is_some() || !usual(name));
        anew("hostname", name, options.hostname.clone(), all);
        let init = self.host("Init").and_then(Value::as_bool);
        match (options.init, init) {
            (Some(wanted), found) if found.unwrap_or(false) == wanted => {}
            (None, None | Some(false)) => {}
            (wanted, found) => anew("init", found.map(|is| is.to_string()), wanted.map(|is| is.to_string()), all),
        }
    }

    fn rights(&self, all: &mut Vec<Difference>) {
        let ContainerOptions { read_only, privileged, cap_add, cap_drop, security_opt, devices, gpus, .. } =
            &self.spec.options;
        let flag = |on: bool| on.then(|| "true".to_owned());
        anew("read_only", plain(self.host("ReadonlyRootfs")), flag(*read_only), all);
        anew("privileged", plain(self.host("Privileged")), flag(*privileged), all);
        let capabilities = |list: &[String]| list.iter().map(|text| capability(text)).collect();
        sets("cap_add", &capabilities(&strings(self.host("CapAdd"))), &capabilities(cap_add), all);
        sets("cap_drop", &capabilities(&strings(self.host("CapDrop"))), &capabilities(cap_drop), all);
        let options = |list: &[String]| list.iter().map(|text| security(text)).collect::<BTreeSet<String>>();
        let wanted = options(security_opt);
        let mut found = options(&strings(self.host("SecurityOpt")));
        if *privileged && !wanted.contains("label=disable") {
            // Docker adds it by itself.
            found.remove("label=disable");
        }
        sets("security_opt", &found, &wanted, all);
        let wanted = devices.iter().map(|device| wanted_device(device)).collect();
        sets("devices", &found_devices(self.host("Devices")), &wanted, all);
        anew("gpus", found_gpus(self.host("DeviceRequests")), gpus.clone(), all);
        for (path, pointer) in UNUSUAL {
            anew(path, plain(self.found.pointer(pointer)), None, all);
        }
    }

    fn surroundings(&self, all: &mut Vec<Difference>) {
        let options = &self.spec.options;
        let hosts = |list: &[String]| list.iter().map(|text| extra_host(text)).collect();
        sets("extra_hosts", &hosts(&strings(self.host("ExtraHosts"))), &hosts(&self.spec.extra_hosts), all);
        sets("dns", &strings(self.host("Dns")).into_iter().collect(), &options.dns.iter().cloned().collect(), all);
        let ports = self.spec.ports.iter().flat_map(|port| wanted_ports(port)).collect();
        sets("ports", &found_ports(self.found), &ports, all);
        if let Some(driver) = &options.log_driver {
            anew("log_driver", plain(self.found.pointer("/HostConfig/LogConfig/Type")), Some(driver.clone()), all);
        }
        if options.log_driver.is_some() || !options.log_options.is_empty() {
            let found = texts(self.found.pointer("/HostConfig/LogConfig/Config"));
            let keys: BTreeSet<&String> = found.keys().chain(options.log_options.keys()).collect();
            for key in keys {
                let (old, new) = (found.get(key), options.log_options.get(key));
                if old != new {
                    // What somebody else set may be a token, as Splunk's is.
                    let attr = Attr::new(format!("log_options[{key}]"), hidden(old), new.cloned());
                    push(attr, How::Anew, all);
                }
            }
        }
    }
}

/// Old values may be passwords; names tell enough.
fn hidden(found: Option<&String>) -> Option<String> {
    found.map(|_| "(not shown)".to_owned())
}

fn push(mut attr: Attr, how: How, all: &mut Vec<Difference>) {
    // What somebody made by hand may have a token in its command, or in a label.
    attr.old = attr.old.as_deref().map(looks::without_tokens);
    all.push(Difference { attr, how });
}

fn changed(path: &str, old: Option<String>, new: Option<String>, how: How, all: &mut Vec<Difference>) {
    if old != new {
        push(Attr::new(path, old, new), how, all);
    }
}

fn anew(path: &str, old: Option<String>, new: Option<String>, all: &mut Vec<Difference>) {
    changed(path, old, new, How::Anew, all);
}

fn maps(path: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>, all: &mut Vec<Difference>) {
    for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
        anew(&format!("{path}[{key}]"), old.get(key).cloned(), new.get(key).cloned(), all);
    }
}

fn sets(path: &str, old: &BTreeSet<String>, new: &BTreeSet<String>, all: &mut Vec<Difference>) {
    for item in old.symmetric_difference(new) {
        let is_old = old.contains(item);
        anew(path, is_old.then(|| item.clone()), (!is_old).then(|| item.clone()), all);
    }
}
