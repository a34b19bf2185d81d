//! Forms that Docker gives: images, mounts, ports, restart policies. Pure.

use std::net::IpAddr;
use std::str::FromStr as _;

use super::{Bad, Format, all, bad, host_name, host_path, ports};

pub(super) fn image(text: &str) -> Result<(), Bad> {
    let help = "write it as gitlab/gitlab-runner:v17.9.0 or registry.example.com:5000/team/image@sha256:…";
    let no = || bad("is not an image reference", help);
    if text.contains("://") {
        return bad("is not an image reference", "leave out `https://`: it begins with the registry's name");
    }
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return bad("is not an image reference", "a digest is `@sha256:` and 64 hexadecimal digits");
        }
    }
    // A colon after the last slash begins the tag; one before it belongs to the registry's port.
    let after_slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match rest[after_slash..].find(':') {
        Some(at) => (&rest[..after_slash + at], Some(&rest[after_slash + at + 1..])),
        None => (rest, None),
    };
    if let Some(tag) = tag {
        let fine = !tag.starts_with(['.', '-']) && tag.len() <= 128 && all(tag, "_.-", "", "").is_ok();
        if !fine {
            return bad("is not an image reference", "the tag after `:` takes letters, digits, `_`, `.` and `-`");
        }
    }
    let mut parts = path.split('/').peekable();
    let mut first = true;
    while let Some(part) = parts.next() {
        let registry = first && parts.peek().is_some() && (part.contains(['.', ':']) || part == "localhost");
        first = false;
        if registry {
            let (host, port) = part.split_once(':').unwrap_or((part, "443"));
            if all(host, ".-", "", "").is_err() || ports(port).is_err() {
                return no();
            }
        } else if part.chars().any(|c| c.is_ascii_uppercase()) {
            return bad("is not an image reference", "image names are lower case");
        } else if all(part, "._-", "", "").is_err() || part.starts_with(['.', '_', '-']) {
            return no();
        }
    }
    Ok(())
}

pub(super) fn restart(text: &str) -> Result<(), Bad> {
    let tries = text.strip_prefix("on-failure:");
    if matches!(text, "no" | "always" | "unless-stopped" | "on-failure")
        || tries.is_some_and(|n| n.parse::<u32>().is_ok_and(|n| n > 0))
    {
        return Ok(());
    }
    bad("is not a restart policy", "write always, unless-stopped, on-failure, on-failure:5 or \"no\"")
}

pub(super) fn mount(text: &str) -> Result<(), Bad> {
    let help = "write SOURCE:TARGET or SOURCE:TARGET:ro, such as /cache:/cache";
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target) = match parts[..] {
        [source, target] | [source, target, _] => (source, target),
        _ => return bad("is not a mount", help),
    };
    if text.contains(char::is_control) || source.is_empty() || !target.starts_with('/') {
        return bad("is not a mount", help);
    }
    if source.starts_with('/') {
        host_path(source).map(drop)?;
    } else if Format::DockerName.check(source).is_err() {
        return bad("is not a mount", "the source is an absolute path or the name of a volume");
    }
    if let Some(options) = parts.get(2) {
        let known = ["ro", "rw", "z", "Z", "cached", "delegated", "consistent", "nocopy", "volume-nocopy"];
        let spread = ["shared", "slave", "private", "rshared", "rslave", "rprivate"];
        if !options.split(',').all(|option| known.contains(&option) || spread.contains(&option)) {
            return bad(
                "has an unknown mount option",
                "after the second `:` stand ro, rw, z, Z, or one of the propagation modes",
            );
        }
    }
    host_path(target).map(drop)
}

pub(super) fn publish(text: &str) -> Result<(), Bad> {
    let help = "write PORT:PORT or ADDRESS:PORT:PORT, such as 127.0.0.1:9252:9252";
    let (rest, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let fine = matches!(protocol, "tcp" | "udp") && {
        let (rest, inner) = rest.rsplit_once(':').unwrap_or(("", rest));
        let (address, outer) = rest.rsplit_once(':').unwrap_or(("", rest));
        let address = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
        ports(inner).is_ok()
            && (outer.is_empty() || ports(outer).is_ok())
            && (address.is_empty() || IpAddr::from_str(address).is_ok())
    };
    if fine { Ok(()) } else { bad("is not a published port", help) }
}

pub(super) fn extra_host(text: &str) -> Result<(), Bad> {
    let (host, address) = text.split_once(':').unwrap_or((text, ""));
    let address = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    if host_name(host).is_ok() && (address == "host-gateway" || IpAddr::from_str(address).is_ok()) {
        return Ok(());
    }
    bad("is not a host entry", "write NAME:ADDRESS, such as gitlab.example.com:10.0.0.5")
}

pub(super) fn volume_name(text: &str) -> Result<(), Bad> {
    if text.contains('/') {
        return bad("is not the name of a volume", "a directory of the host is `config_dir`");
    }
    if text.len() < 2 || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return bad(
            "is not the name of a volume",
            "it begins with a letter or a digit, and has at least two characters",
        );
    }
    all(text, "_.-", "is not the name of a volume", "letters, digits, `_`, `.` and `-`")
}

pub(super) fn device(text: &str) -> Result<(), Bad> {
    let help = "/dev/NAME, /dev/NAME:/dev/NAME or /dev/NAME:/dev/NAME:rwm";
    let mut parts = text.splitn(3, ':');
    let rights = |text: &str| !text.is_empty() && text.bytes().all(|b| b"rwm".contains(&b));
    let fine = host_path(parts.next().unwrap_or_default()).is_ok()
        && match (parts.next(), parts.next()) {
            (None, _) => true,
            (Some(second), None) => host_path(second).is_ok() || rights(second),
            (Some(second), Some(third)) => host_path(second).is_ok() && rights(third),
        };
    if fine { Ok(()) } else { bad("is not a device", help) }
}

pub(super) fn gpus(text: &str) -> Result<(), Bad> {
    let devices = text.strip_prefix("device=");
    if text == "all"
        || text.parse::<u16>().is_ok_and(|count| count > 0)
        || devices.is_some_and(|list| list.split(',').all(|one| all(one, ".:-", "", "").is_ok()))
    {
        return Ok(());
    }
    bad("names no GPUs", "all, a number, or device=0,1")
}

pub(super) fn registry_host(text: &str) -> Result<(), Bad> {
    let help = "the registry's name as image references begin with it, such as registry.example.com:5000";
    if text.contains('/') {
        return bad("is not a registry", &format!("{help}; without https:// and without a path"));
    }
    let (host, port) = text.split_once(':').unwrap_or((text, "443"));
    if !text.contains(['.', ':']) && text != "localhost" {
        return bad("is not a registry", &format!("{help}; docker.io is Docker Hub"));
    }
    if matches!(text, "index.docker.io" | "hub.docker.com" | "registry-1.docker.io") {
        return bad("is not how image references name Docker Hub", "docker.io");
    }
    if all(host, ".-", "", "").is_err() || ports(port).is_err() || port.contains('-') {
        return bad("is not a registry", help);
    }
    Ok(())
}
