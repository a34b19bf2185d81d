//! What the inventory says of a container, and what `docker inspect` says, in one form that can be compared. Docker 20.10
//! to 28 spell some of it in different ways. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::CONFIG_MOUNT;

/// A value to be shown; `None` for all that Docker writes where nothing was asked for.
pub(super) fn plain(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null | Value::Bool(false) => None,
        Value::Array(list) if list.is_empty() => None,
        Value::Object(map) if map.is_empty() => None,
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Number(number) => (number.as_f64() != Some(0.0)).then(|| number.to_string()),
        other => Some(other.to_string()),
    }
}

pub(super) fn short(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

/// A list of texts; `null` is empty.
pub(super) fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()).unwrap_or_default()
}

/// A map of texts; `null` is empty.
pub(super) fn texts(map: Option<&Value>) -> BTreeMap<String, String> {
    map.and_then(|map| serde_json::from_value(map.clone()).ok()).unwrap_or_default()
}

/// Bytes as a user would write them.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [(40, "t"), (30, "g"), (20, "m"), (10, "k")];
    let unit = units.into_iter().find(|(shift, _)| bytes >= 1 << shift && bytes.trailing_zeros() >= *shift);
    unit.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// Billionths of a processor as a user would write them.
pub(super) fn cpus(nano: u64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A signal by its whole name, whichever way it was given.
pub(super) fn signal(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "" => String::new(),
        "2" => "SIGINT".to_owned(),
        "3" => "SIGQUIT".to_owned(),
        "9" => "SIGKILL".to_owned(),
        "15" => "SIGTERM".to_owned(),
        name => format!("SIG{name}"),
    }
}

pub(super) fn network(name: &str) -> String {
    if name.is_empty() || name == "default" { "bridge".to_owned() } else { name.to_owned() }
}

pub(super) fn capability(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

/// `key:value` and `key=value` are the same, and so is a `true` that need not be said. Of a profile only that there is
/// one is known: Docker keeps its text, and the inventory its place.
pub(super) fn security(text: &str) -> String {
    let text = match text.split_once(['=', ':']) {
        Some((key, value)) => format!("{key}={value}"),
        None => text.to_owned(),
    };
    match text.strip_prefix("seccomp=") {
        Some(profile) if profile.starts_with(['/', '{']) => "seccomp=(a profile)".to_owned(),
        _ => text.strip_suffix("=true").map_or_else(|| text.clone(), str::to_owned),
    }
}

/// `/dev/a[:/dev/b[:rwm]]` with all its parts.
pub(super) fn wanted_device(text: &str) -> String {
    let mut parts = text.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    let (inside, rights) = match (parts.next(), parts.next()) {
        (Some(rights), None) if !rights.starts_with('/') => (host, rights),
        (inside, rights) => (inside.unwrap_or(host), rights.unwrap_or("rwm")),
    };
    format!("{host}:{inside}:{rights}")
}

pub(super) fn found_devices(list: Option<&Value>) -> BTreeSet<String> {
    let text = |device: &Value, key: &str| device.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let one = |device: &Value| {
        let (host, inside) = (text(device, "PathOnHost"), text(device, "PathInContainer"));
        let rights = text(device, "CgroupPermissions");
        let inside = if inside.is_empty() { host.clone() } else { inside };
        format!("{host}:{inside}:{}", if rights.is_empty() { "rwm" } else { &rights })
    };
    list.and_then(Value::as_array).into_iter().flatten().map(one).collect()
}

/// What `--gpus` made of its value; other requests for devices as Docker has them.
pub(super) fn found_gpus(list: Option<&Value>) -> Option<String> {
    let requests = list.and_then(Value::as_array).filter(|list| !list.is_empty())?;
    let [request] = requests.as_slice() else { return Some(Value::Array(requests.clone()).to_string()) };
    let is_gpu =
        request.pointer("/Capabilities/0").is_some_and(|all| strings(Some(all)).iter().any(|one| one == "gpu"));
    if !is_gpu {
        return Some(request.to_string());
    }
    let ids = strings(request.get("DeviceIDs"));
    Some(match request.get("Count").and_then(Value::as_i64) {
        _ if !ids.is_empty() => format!("device={}", ids.join(",")),
        Some(-1) => "all".to_owned(),
        count => count.unwrap_or(0).to_string(),
    })
}

pub(super) fn ulimit((soft, hard): (i64, i64)) -> String {
    if soft == hard { soft.to_string() } else { format!("{soft}:{hard}") }
}

pub(super) fn found_ulimits(list: Option<&Value>) -> BTreeMap<String, String> {
    let one = |limit: &Value| {
        let number = |key: &str| limit.get(key).and_then(Value::as_i64).unwrap_or(0);
        Some((limit.get("Name")?.as_str()?.to_owned(), ulimit((number("Soft"), number("Hard")))))
    };
    list.and_then(Value::as_array).into_iter().flatten().filter_map(one).collect()
}

/// `NAME:ADDRESS`, without the brackets that an IPv6 address may have.
pub(super) fn extra_host(text: &str) -> String {
    match text.split_once([':', '=']) {
        Some((name, address)) => format!("{name}:{}", address.trim_start_matches('[').trim_end_matches(']')),
        None => text.to_owned(),
    }
}

/// A `-v` value as destination and `source[:options]`; `rw` is what Docker does by default.
pub(super) fn wanted_mount(mount: &str) -> (String, String) {
    let mut parts = mount.splitn(3, ':');
    let source = parts.next().unwrap_or("").to_owned();
    let destination = parts.next().unwrap_or("").trim_end_matches('/').to_owned();
    let mut options: Vec<&str> = parts
        .next()
        .unwrap_or("")
        .split(',')
        .filter(|option| !["", "rw", "rprivate", "z", "Z"].contains(option))
        .collect();
    options.sort_unstable();
    let source = if source.len() > 1 { source.trim_end_matches('/').to_owned() } else { source };
    (destination, join_mount(&source, &options))
}

fn join_mount(source: &str, options: &[&str]) -> String {
    if options.is_empty() { source.to_owned() } else { format!("{source}:{}", options.join(",")) }
}

/// Whether a volume has no name of anybody's.
pub(super) fn is_anonymous(volume: &str) -> bool {
    volume.len() == 64 && volume.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The container's mounts likewise; volumes without a name are the image's own, except where the configuration lies.
pub(super) fn found_mounts(found: &Value) -> BTreeMap<String, String> {
    let mut mounts = BTreeMap::new();
    for mount in found.pointer("/Mounts").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or("");
        let volume = text("Type") == "volume";
        let name = text("Name");
        if volume && is_anonymous(name) && text("Destination") != CONFIG_MOUNT {
            continue;
        }
        let mut options: Vec<&str> =
            text("Mode").split(',').filter(|option| !["", "rw", "ro", "rprivate", "z", "Z"].contains(option)).collect();
        if mount.get("RW").and_then(Value::as_bool) == Some(false) {
            options.push("ro");
        }
        options.sort_unstable();
        mounts.insert(text("Destination").to_owned(), join_mount(if volume { name } else { text("Source") }, &options));
    }
    mounts
}

/// `[IP:]HOST:CONTAINER[/PROTOCOL]` as Docker keeps it: one entry for each port of a range.
pub(super) fn wanted_ports(port: &str) -> Vec<String> {
    let (rest, protocol) = port.rsplit_once('/').unwrap_or((port, "tcp"));
    let (host, container) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (ip, host) = host.rsplit_once(':').unwrap_or(("", host));
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    let range = |text: &str| {
        let (first, last) = text.split_once('-')?;
        Some((first.parse::<u16>().ok()?, last.parse::<u16>().ok()?))
    };
    match (range(host), range(container)) {
        (Some((h1, h2)), Some((c1, c2))) if h2.wrapping_sub(h1) == c2.wrapping_sub(c1) => {
            (h1..=h2).zip(c1..=c2).map(|(host, container)| format!("{ip}:{host}:{container}/{protocol}")).collect()
        }
        (None, Some((c1, c2))) if host.is_empty() => {
            (c1..=c2).map(|container| format!("{ip}::{container}/{protocol}")).collect()
        }
        _ => vec![format!("{ip}:{host}:{container}/{protocol}")],
    }
}

pub(super) fn found_ports(found: &Value) -> BTreeSet<String> {
    let mut ports = BTreeSet::new();
    for (container, bindings) in
        found.pointer("/HostConfig/PortBindings").and_then(Value::as_object).into_iter().flatten()
    {
        for binding in bindings.as_array().into_iter().flatten() {
            let text = |key: &str| binding.get(key).and_then(Value::as_str).unwrap_or("");
            ports.insert(format!("{}:{}:{container}", text("HostIp"), text("HostPort")));
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mounts_and_ports_read_as_docker_means_them() {
        assert_eq!(wanted_mount("/a/:/b:rw"), ("/b".to_owned(), "/a".to_owned()));
        assert_eq!(wanted_mount("/a:/b:ro"), ("/b".to_owned(), "/a:ro".to_owned()));
        assert_eq!(wanted_ports("8093:8093"), [":8093:8093/tcp"]);
        assert_eq!(wanted_ports("127.0.0.1:53:53/udp"), ["127.0.0.1:53:53/udp"]);
        assert_eq!(wanted_ports("[::1]:80:80"), ["::1:80:80/tcp"]);
        assert_eq!(wanted_ports("8000-8001:9000-9001"), [":8000:9000/tcp", ":8001:9001/tcp"]);
        assert_eq!(wanted_ports("9000-9001"), ["::9000/tcp", "::9001/tcp"]);
    }

    #[test]
    fn values_have_one_form() {
        assert_eq!((bytes(512 << 20), bytes(3 << 30), bytes(1000)), ("512m".into(), "3g".into(), "1000".into()));
        assert_eq!((cpus(1_500_000_000), cpus(2_000_000_000)), ("1.5".to_owned(), "2".to_owned()));
        assert_eq!([signal("QUIT"), signal("3"), signal("sigterm")], ["SIGQUIT", "SIGQUIT", "SIGTERM"]);
        assert_eq!(security("no-new-privileges:true"), security("no-new-privileges"));
        assert_eq!(security("seccomp=/etc/p.json"), security("seccomp={\"defaultAction\":1}"));
        assert_eq!(security("apparmor:x"), "apparmor=x");
        assert_eq!(wanted_device("/dev/a"), "/dev/a:/dev/a:rwm");
        assert_eq!(wanted_device("/dev/a:r"), "/dev/a:/dev/a:r");
        assert_eq!(wanted_device("/dev/a:/dev/b:rw"), "/dev/a:/dev/b:rw");
        assert_eq!(extra_host("a:[::1]"), extra_host("a:::1"));
        assert_eq!(capability("cap_net_admin"), "NET_ADMIN");
    }

    #[test]
    fn requests_for_gpus_read_as_they_were_asked_for() {
        let request = |count: i64, ids: Value| json!([{"Driver": "", "Count": count, "DeviceIDs": ids, "Capabilities": [["gpu"]], "Options": {}}]);
        assert_eq!(found_gpus(Some(&request(-1, Value::Null))).as_deref(), Some("all"));
        assert_eq!(found_gpus(Some(&request(2, Value::Null))).as_deref(), Some("2"));
        assert_eq!(found_gpus(Some(&request(0, json!(["0", "1"])))).as_deref(), Some("device=0,1"));
        assert_eq!(found_gpus(Some(&Value::Null)), None);
    }
}
