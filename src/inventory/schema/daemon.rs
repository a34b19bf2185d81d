//! The keys of Docker's daemon.json with what they hold, of all releases from 20.10 to 29. Source: the structures that dockerd reads
//! the file into (moby: daemon/config). Data only.

/// A key.
#[derive(Debug)]
pub struct Key {
    /// Its name. dockerd minds capitals.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The first release that does not start with it any more.
    pub gone: Option<&'static str>,
}

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number between two bounds.
    Integer(i64, i64),
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An amount of bytes, as a text: `64M`.
    Size,
    /// An address.
    Address,
    /// An address with the length of its network's prefix.
    Network,
    /// A list of texts.
    Texts,
    /// A list of `NAME=VALUE`.
    Pairs,
    /// A list of addresses.
    Addresses,
    /// A map of texts.
    TextMap,
    /// A map of `true` or `false`.
    BooleanMap,
    /// A map of maps of texts.
    TextMaps,
    /// A map with these keys and no others.
    Table(&'static [Key]),
    /// A map from names to such tables.
    Tables(&'static [Key]),
    /// A list of such tables.
    List(&'static [Key]),
    /// `default-address-pools`.
    Pools,
    /// Any map.
    Map,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, gone: None }
}

const fn until(name: &'static str, kind: Kind, gone: &'static str) -> Key {
    Key { name, kind, gone: Some(gone) }
}

const COUNT: Kind = Kind::Integer(0, i32::MAX as i64);
const NUMBER: Kind = Kind::Integer(i64::MIN, i64::MAX);

/// All of them.
pub static KEYS: &[Key] = &[
    key("allow-direct-routing", Kind::Boolean),
    key("allow-nondistributable-artifacts", Kind::Texts),
    until("api-cors-header", Kind::Text, "28"),
    key("authorization-plugins", Kind::Texts),
    key("bip", Kind::Network),
    key("bip6", Kind::Network),
    key("bridge", Kind::Text),
    key("bridge-accept-fwmark", Kind::Text),
    key("builder", Kind::Table(BUILDER)),
    key("cdi-spec-dirs", Kind::Texts),
    key("cgroup-parent", Kind::Text),
    until("cluster-advertise", Kind::Text, "23.0"),
    until("cluster-store", Kind::Text, "23.0"),
    until("cluster-store-opts", Kind::TextMap, "23.0"),
    key("containerd", Kind::Text),
    key("containerd-namespace", Kind::Text),
    key("containerd-plugin-namespace", Kind::Text),
    key("cpu-rt-period", NUMBER),
    key("cpu-rt-runtime", NUMBER),
    key("cri-containerd", Kind::Boolean),
    key("data-root", Kind::Text),
    key("debug", Kind::Boolean),
    key("default-address-pools", Kind::Pools),
    key("default-cgroupns-mode", Kind::Word(&["private", "host"])),
    key("default-gateway", Kind::Address),
    key("default-gateway-v6", Kind::Address),
    key("default-init", Kind::Text),
    key("default-ipc-mode", Kind::Word(&["private", "shareable"])),
    key("default-network-opts", Kind::TextMaps),
    key("default-runtime", Kind::Text),
    key("default-shm-size", Kind::Size),
    key("default-ulimits", Kind::Tables(ULIMIT)),
    key("deprecated-key-path", Kind::Text),
    key("dns", Kind::Addresses),
    key("dns-opts", Kind::Texts),
    key("dns-search", Kind::Texts),
    key("exec-opts", Kind::Pairs),
    key("exec-root", Kind::Text),
    key("experimental", Kind::Boolean),
    key("features", Kind::BooleanMap),
    key("firewall-backend", Kind::Word(&["iptables", "nftables"])),
    key("fixed-cidr", Kind::Network),
    key("fixed-cidr-v6", Kind::Network),
    until("graph", Kind::Text, "23.0"),
    key("group", Kind::Text),
    key("host-gateway-ip", Kind::Address),
    key("host-gateway-ips", Kind::Addresses),
    key("hosts", Kind::Texts),
    key("icc", Kind::Boolean),
    key("init", Kind::Boolean),
    key("init-path", Kind::Text),
    key("insecure-registries", Kind::Texts),
    key("ip", Kind::Address),
    key("ip-forward", Kind::Boolean),
    key("ip-forward-no-drop", Kind::Boolean),
    key("ip-masq", Kind::Boolean),
    key("ip6tables", Kind::Boolean),
    key("iptables", Kind::Boolean),
    key("ipv6", Kind::Boolean),
    key("labels", Kind::Pairs),
    key("live-restore", Kind::Boolean),
    key("log-driver", Kind::Text),
    key("log-format", Kind::Word(&["text", "json"])),
    key("log-level", Kind::Word(&["debug", "info", "warn", "error", "fatal", "panic", "trace"])),
    key("log-opts", Kind::TextMap),
    key("max-concurrent-downloads", COUNT),
    key("max-concurrent-uploads", COUNT),
    key("max-download-attempts", COUNT),
    key("metrics-addr", Kind::Text),
    key("min-api-version", Kind::Text),
    key("mtu", Kind::Integer(0, 65_535)),
    key("network-control-plane-mtu", Kind::Integer(0, 65_535)),
    key("network-diagnostic-port", Kind::Integer(0, 65_535)),
    key("no-new-privileges", Kind::Boolean),
    key("node-generic-resources", Kind::Pairs),
    key("nri-opts", Kind::Map),
    until("oom-score-adjust", Kind::Integer(-1000, 1000), "25.0"),
    key("pidfile", Kind::Text),
    key("proxies", Kind::Table(PROXIES)),
    key("raw-logs", Kind::Boolean),
    key("registry-mirrors", Kind::Texts),
    key("resolv-conf", Kind::Text),
    key("rootless", Kind::Boolean),
    key("runtimes", Kind::Tables(RUNTIME)),
    key("seccomp-profile", Kind::Text),
    key("selinux-enabled", Kind::Boolean),
    key("shutdown-timeout", Kind::Integer(-1, i32::MAX as i64)),
    key("storage-driver", Kind::Text),
    key("storage-opts", Kind::Texts),
    key("swarm-default-advertise-addr", Kind::Text),
    key("swarm-raft-election-tick", COUNT),
    key("swarm-raft-heartbeat-tick", COUNT),
    key("tls", Kind::Boolean),
    key("tlscacert", Kind::Text),
    key("tlscert", Kind::Text),
    key("tlskey", Kind::Text),
    key("tlsverify", Kind::Boolean),
    key("userland-proxy", Kind::Boolean),
    key("userland-proxy-path", Kind::Text),
    key("userns-remap", Kind::Text),
];

const PROXIES: &[Key] = &[key("http-proxy", Kind::Text), key("https-proxy", Kind::Text), key("no-proxy", Kind::Text)];

const ULIMIT: &[Key] = &[key("Name", Kind::Text), key("Hard", NUMBER), key("Soft", NUMBER)];

const RUNTIME: &[Key] = &[
    key("path", Kind::Text),
    key("runtimeArgs", Kind::Texts),
    key("runtimeType", Kind::Text),
    key("options", Kind::Map),
];

const BUILDER: &[Key] = &[
    key("gc", Kind::Table(GC)),
    key("Entitlements", Kind::BooleanMap),
    key("history", Kind::Map),
    key("proxy-network", Kind::Boolean),
];

const GC: &[Key] = &[
    key("enabled", Kind::Boolean),
    key("defaultKeepStorage", Kind::Text),
    key("defaultReservedSpace", Kind::Text),
    key("defaultMaxUsedSpace", Kind::Text),
    key("defaultMinFreeSpace", Kind::Text),
    key("policy", Kind::List(POLICY)),
];

const POLICY: &[Key] = &[
    key("all", Kind::Boolean),
    // A list of texts; once a map.
    key("filter", Kind::Texts),
    key("keepStorage", Kind::Text),
    key("reservedSpace", Kind::Text),
    key("maxUsedSpace", Kind::Text),
    key("minFreeSpace", Kind::Text),
];

/// The key of a name, among these. Only the names at the top are compared with their capitals: those below are no options of dockerd's.
#[must_use]
pub fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    let at_top = std::ptr::eq(keys, KEYS);
    keys.iter().find(|key| key.name == name || (!at_top && key.name.eq_ignore_ascii_case(name)))
}

/// Keys of which dockerd has an option of another name, as people write them into the file: there they say nothing, or keep it from
/// starting.
pub const OPTIONS: &[(&str, &str)] = &[
    ("authorization-plugin", "authorization-plugins"),
    ("cluster-store-opt", "cluster-store-opts"),
    ("config-file", ""),
    ("default-address-pool", "default-address-pools"),
    ("default-network-opt", "default-network-opts"),
    ("default-ulimit", "default-ulimits"),
    ("dns-opt", "dns-opts"),
    ("exec-opt", "exec-opts"),
    ("host", "hosts"),
    ("insecure-registry", "insecure-registries"),
    ("label", "labels"),
    ("log-opt", "log-opts"),
    ("node-generic-resource", "node-generic-resources"),
    ("registry-mirror", "registry-mirrors"),
    ("add-runtime", "runtimes"),
    ("storage-opt", "storage-opts"),
    ("http-proxy", "proxies: { http-proxy: … }"),
    ("https-proxy", "proxies: { https-proxy: … }"),
    ("no-proxy", "proxies: { no-proxy: … }"),
    ("feature", "features"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_once_and_sorted() {
        let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        for (option, key) in OPTIONS {
            assert!(find(KEYS, option).is_none(), "{option}");
            assert!(key.is_empty() || find(KEYS, key.split(':').next().unwrap()).is_some(), "{key}");
        }
    }

    #[test]
    fn capitals_count_at_the_top_alone() {
        assert!(find(KEYS, "IPv6").is_none() && find(KEYS, "ipv6").is_some());
        assert!(find(BUILDER, "GC").is_some() && find(GC, "defaultkeepstorage").is_some());
    }
}
