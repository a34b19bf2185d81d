//! The forms that single texts of the inventory must have, and their values. Pure.
//!
//! Each is used twice: on the text as written, and again on what a template made of it.

use std::net::IpAddr;
use std::str::FromStr as _;

use ipnet::IpNet;

use super::jump;
use super::model::Owner;
use crate::name::RemotePath;
use crate::visible::first_harmful;

pub(crate) mod cron;
mod docker;
pub(in crate::inventory) mod limits;
mod repository;

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Any text.
    Any,
    /// One line of at most so many characters.
    Line(usize),
    /// Text of at most so many characters.
    Block(usize),
    /// Name of a group or runner spec.
    Name,
    /// Name of a host in the inventory.
    HostName,
    /// Host name or IP address to connect to.
    Address,
    /// Jump hosts, or `none`.
    Jump,
    /// User name on a host.
    User,
    /// `user` or `user:group`.
    Owner,
    /// Octal permission bits, such as `0644`.
    Mode,
    /// Absolute path on a host.
    HostPath,
    /// Path on the machine that rprov runs on.
    LocalPath,
    /// Length of time with a unit, in seconds between two bounds.
    Duration(u64, u64),
    /// Five-field cron expression.
    Cron,
    /// IP address or CIDR network.
    Cidr,
    /// The same, or the word `internal`.
    DeniedNet,
    /// Port or range of ports.
    Ports,
    /// Container image reference.
    Image,
    /// Base URL of a GitLab.
    GitlabUrl,
    /// Container restart policy.
    Restart,
    /// Mount as `docker run -v` takes it.
    Mount,
    /// Published port as `docker run -p` takes it.
    Publish,
    /// `host:address`.
    ExtraHost,
    /// Name of a package.
    Package,
    /// Version of a package.
    PackageVersion,
    /// Name of a package, or a pattern.
    PackagePattern,
    /// Version of GitLab Runner, with or without the package's own suffix.
    RunnerVersion,
    /// Name of a file that apt reads.
    FileName,
    /// Address of a package repository.
    RepositoryUri,
    /// Release, component or architecture of a package repository.
    Suite,
    /// Address of a file on the web.
    WebUrl,
    /// Fingerprint of an OpenPGP key.
    Fingerprint,
    /// GitLab runner tag.
    Tag,
    /// Key of a CI/CD variable.
    VariableKey,
    /// Name of an environment variable.
    EnvName,
    /// Full path of a group or project.
    FullPath,
    /// Shell pattern of a directory name.
    DirPattern,
    /// Name of a container or Docker network.
    DockerName,
    /// Key of a container label.
    LabelKey,
    /// Name of a Docker volume.
    VolumeName,
    /// IP address.
    IpAddress,
    /// Amount of memory, such as `512m`; at least so many bytes.
    Bytes(u64),
    /// The same, or -1 for no limit.
    SwapBytes,
    /// Number of processors, such as `1.5`.
    Cpus,
    /// Processors by number, such as `0-3,6`.
    Cpuset,
    /// Name of a resource limit, such as `nofile`.
    UlimitName,
    /// `SOFT:HARD`, or one number for both.
    Ulimit,
    /// User inside a container.
    ContainerUser,
    /// Linux capability.
    Capability,
    /// Device as `docker run --device` takes it.
    Device,
    /// GPUs as `docker run --gpus` takes them.
    Gpus,
    /// Name of a registry as image references begin with it.
    RegistryHost,
    /// System id of a runner manager.
    SystemId,
}

/// Why a text does not have a form: the message continues "`TEXT` …" and the help says what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub help: Option<String>,
}

fn bad<T>(message: impl Into<String>, help: &str) -> Result<T, Bad> {
    Err(Bad { message: message.into(), help: (!help.is_empty()).then(|| help.to_owned()) })
}

impl Format {
    /// Checks a text.
    ///
    /// # Errors
    /// When the text does not have this form.
    pub fn check(self, text: &str) -> Result<(), Bad> {
        let is_name = !matches!(self, Self::Any | Self::Line(_) | Self::Block(_));
        // Of ASCII, most forms say themselves what they take; a path takes all but a line break.
        let is_path = matches!(self, Self::HostPath | Self::LocalPath);
        let odd = |c: &char| is_name && if c.is_ascii() { is_path && !"\0\t\n\r".contains(*c) } else { true };
        if let Some(c) = first_harmful(text).filter(odd) {
            let number = format!("U+{:04X}", u32::from(c));
            let message = format!("holds {number}, which cannot be seen");
            return bad(message, "take it out: to readers it is another name than to programs");
        }
        match self {
            Self::Any => Ok(()),
            Self::Line(max) if text.contains(['\n', '\r', '\0']) => {
                bad("holds a line break", &format!("write one line of at most {max} characters"))
            }
            Self::Line(max) | Self::Block(max) => longest(text, max),
            Self::Name => name(text),
            Self::HostName | Self::Address => host_name(text),
            Self::Jump => jump_hosts(text),
            Self::User => user(text),
            Self::Owner => owner(text).map(drop),
            Self::Mode => mode(text).map(drop),
            Self::HostPath => host_path(text).map(drop),
            Self::LocalPath if text.is_empty() || text.contains('\0') => {
                bad("is not a path", "name a file, relative to the inventory")
            }
            Self::LocalPath => Ok(()),
            Self::Duration(min, max) => {
                let seconds = duration(text)?;
                if seconds < min || seconds > max {
                    let (least, most) = (show_duration(min), show_duration(max));
                    return bad("is out of range", &format!("write a length of time from {least} to {most}"));
                }
                Ok(())
            }
            Self::Cron => cron::check(text),
            Self::Cidr => cidr(text).map(drop),
            Self::DeniedNet => denied_net(text),
            Self::Ports => ports(text).map(drop),
            Self::Image => docker::image(text),
            Self::GitlabUrl => gitlab_url(text),
            Self::Restart => docker::restart(text),
            Self::Mount => docker::mount(text),
            Self::Publish => docker::publish(text),
            Self::ExtraHost => docker::extra_host(text),
            Self::Package => package(text),
            Self::PackageVersion => all(text, "+.~:-^_", "is not a package version", "such as 17.9.0-1"),
            Self::PackagePattern => all(text, "+._-*?[]", "is not a package name or pattern", "such as docker-*"),
            Self::RunnerVersion => repository::runner_version(text),
            Self::FileName => repository::file_name(text),
            Self::RepositoryUri => repository::uri(text),
            Self::Suite => repository::suite(text),
            Self::WebUrl => repository::web_url(text),
            Self::Fingerprint => repository::fingerprint(text),
            Self::Tag => tag(text),
            Self::VariableKey if text.len() > 255 => bad("is longer than 255 characters", ""),
            Self::VariableKey => all(text, "_", "is not a variable key", "letters, digits and `_`"),
            Self::EnvName if text.starts_with(|c: char| c.is_ascii_digit()) => {
                bad("is not the name of an environment variable", "it may not begin with a digit")
            }
            Self::EnvName => all(text, "_", "is not the name of an environment variable", "letters, digits and `_`"),
            Self::FullPath => full_path(text),
            Self::DirPattern => dir_pattern(text),
            Self::DockerName if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
                bad("is not a name that Docker takes", "it begins with a letter or a digit")
            }
            Self::DockerName => {
                all(text, "_.-:", "is not a name that Docker takes", "letters, digits, `_`, `.` and `-`")
            }
            Self::VolumeName => docker::volume_name(text),
            Self::IpAddress if IpAddr::from_str(text).is_ok() => Ok(()),
            Self::IpAddress => bad("is not an IP address", "such as 10.0.0.53"),
            Self::Bytes(least) => limits::bytes(text, least).map(drop),
            Self::SwapBytes => limits::swap(text).map(drop),
            Self::Cpus => limits::nano_cpus(text).map(drop),
            Self::Cpuset => limits::cpuset(text),
            Self::UlimitName => limits::ulimit_name(text),
            Self::Ulimit => limits::ulimit(text).map(drop),
            Self::ContainerUser => all(text, "_.-:", "is not a user", "a name or number, or user:group"),
            Self::Capability => all(text, "_", "is not a capability", "such as NET_ADMIN"),
            Self::Device => docker::device(text),
            Self::Gpus => docker::gpus(text),
            Self::RegistryHost => docker::registry_host(text),
            Self::SystemId => system_id(text),
            Self::LabelKey => all(text, "_.-/", "is not a label key", "letters, digits, `_`, `.`, `-` and `/`"),
        }
    }
}

/// Only ASCII letters, digits and some more characters, and not empty.
fn all(text: &str, more: &str, message: &str, help: &str) -> Result<(), Bad> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c)) {
        return Ok(());
    }
    bad(message, help)
}

fn longest(text: &str, max: usize) -> Result<(), Bad> {
    let length = text.chars().count();
    if length <= max {
        return Ok(());
    }
    bad(format!("is {length} characters long"), &format!("at most {max} characters"))
}

fn name(text: &str) -> Result<(), Bad> {
    let help = "letters, digits, `.`, `_` and `-`, beginning with a letter or a digit, at most 100 characters";
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || text.len() > 100 {
        return bad("is not a usable name", help);
    }
    all(text, "._-", "is not a usable name", help)
}

fn host_name(text: &str) -> Result<(), Bad> {
    if let Some((user, host)) = text.split_once('@') {
        return bad(
            "holds a user name",
            &format!("name the host `{host}` and write `ssh: {{ user: {user} }}` under it"),
        );
    }
    if let Some((host, port)) = text.split_once(':')
        && !host.is_empty()
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        let help = format!("name the host `{host}` and write `ssh: {{ port: {port} }}` under it");
        return bad("holds a port", &help);
    }
    if text.starts_with('-') {
        return bad("is not a host name", "it may not begin with `-`");
    }
    if text.contains("://") || text.contains('/') {
        return bad("is not a host name", "the name or the address alone, without `ssh://` and without a path");
    }
    if text.is_empty() || text.len() > 253 {
        return bad("is not a host name", "between 1 and 253 characters");
    }
    if text.contains('[') && text.contains(':') && !text.starts_with('[') {
        return bad("is a range of names", "rprov has no ranges: name each host on a line of its own");
    }
    let odd = |c: char| c.is_control() || c.is_whitespace() || "\"'`$;&|<>(){}\\,*?!#".contains(c);
    if text.contains(odd) {
        return bad("is not a host name", "it has letters, digits, `.`, `-`, `_` and `:` alone");
    }
    Ok(())
}

fn jump_hosts(text: &str) -> Result<(), Bad> {
    let help = "[USER@]HOST[:PORT], several in a list, or none; an IPv6 address with a port stands in [ ]";
    let hops = jump::parse(text).or_else(|why| bad(why, help))?;
    if text.contains('%') {
        return bad(
            "holds a `%`",
            "tokens such as %r are ssh_config's; a template does the same here: {{ host.name }}",
        );
    }
    for hop in hops {
        host_name(&hop.host)?;
        hop.user.as_deref().map_or(Ok(()), user)?;
    }
    Ok(())
}

fn user(text: &str) -> Result<(), Bad> {
    if text.starts_with('-') || text.len() > 64 {
        return bad("is not a user name", "it may not begin with `-`, and has at most 64 characters");
    }
    all(text, "._-$@\\+", "is not a user name", "letters, digits, `.`, `_` and `-`, such as deploy")
}

/// `user` or `user:group`; the group is the user's name by default.
pub(super) fn owner(text: &str) -> Result<Owner, Bad> {
    let (user_name, group) = text.split_once(':').unwrap_or((text, text));
    for part in [user_name, group] {
        if user(part).is_err() {
            return bad("is not an owner", "write `user` or `user:group`, such as root:docker");
        }
    }
    Ok(Owner { user: user_name.to_owned(), group: group.to_owned() })
}

/// Permission bits.
pub(super) fn mode(text: &str) -> Result<u32, Bad> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(bits) if bits <= 0o7777 && !digits.starts_with('+') && (3..=5).contains(&digits.len()) => Ok(bits),
        _ => bad("is not a file mode", "write three or four octal digits in quotes, such as \"0644\""),
    }
}

/// An absolute path on a host.
pub(super) fn host_path(text: &str) -> Result<RemotePath, Bad> {
    if text.contains(char::is_control) {
        return bad("holds control characters", "a path is one line of plain text");
    }
    RemotePath::new(text).or_else(|_| {
        if text.starts_with('~') {
            return bad(
                "is not an absolute path",
                "`~` means nothing to rprov on a host: write the whole path, such as /root",
            );
        }
        if !text.starts_with('/') {
            return bad("is not an absolute path", "it begins with `/`, such as /etc/motd");
        }
        bad("holds `..`", "write the path that it leads to")
    })
}

/// Seconds of `90m`, `1h30m`, `2d`.
pub(super) fn duration(text: &str) -> Result<u64, Bad> {
    let help = "write a number with a unit: 90s, 10m, 2h, 1h30m, 7d";
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return bad("has no unit", &format!("write {text}s for seconds, or another unit: 10m, 2h, 1h30m, 7d"));
    }
    let (mut total, mut number, mut last) = (0u64, String::new(), u64::MAX);
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            'w' => 604_800,
            _ => return bad("is not a length of time", help),
        };
        // Units descend, so that `5m2h` is caught as the slip it is.
        let Some(value) = number.parse::<u64>().ok().filter(|_| unit < last).and_then(|n| n.checked_mul(unit)) else {
            return bad("is not a length of time", help);
        };
        let Some(sum) = total.checked_add(value) else { return bad("is out of range", help) };
        (total, last) = (sum, unit);
        number.clear();
    }
    if number.is_empty() && last != u64::MAX { Ok(total) } else { bad("is not a length of time", help) }
}

/// Seconds as a user would write them.
pub(super) fn show_duration(seconds: u64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        s if s % 86400 == 0 => format!("{}d", s / 86400),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// A network; an address alone is a network of one.
pub(super) fn cidr(text: &str) -> Result<IpNet, Bad> {
    if let Ok(address) = IpAddr::from_str(text) {
        return Ok(IpNet::from(address));
    }
    let Ok(net) = IpNet::from_str(text) else {
        if matches!(text.to_ascii_lowercase().as_str(), "any" | "all" | "everyone" | "everywhere" | "*") {
            return bad("is not a network", "everyone is [0.0.0.0/0, \"::/0\"]");
        }
        if text.contains('.') && text.ends_with(|c: char| c.is_ascii_alphabetic()) && !text.contains([':', '/']) {
            return bad(
                "is a name",
                "write its address, such as 203.0.113.7: what a name means can change, rules do not",
            );
        }
        return bad("is not a network", "write an address such as 203.0.113.7, or a network such as 203.0.113.0/24");
    };
    if net.addr() != net.network() {
        let (whole, one) = (net.trunc(), net.addr());
        return bad(
            "has address bits beyond its prefix",
            &format!("write {whole} for the network, or {one} for the one address"),
        );
    }
    Ok(net)
}

fn denied_net(text: &str) -> Result<(), Bad> {
    if text == "internal" {
        return Ok(());
    }
    let Err(wrong) = cidr(text) else { return Ok(()) };
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.contains([':', '.', '/']) {
        return bad("is not a network", "write a network such as 10.0.0.0/8, or `internal` for all private ones");
    }
    Err(wrong)
}

/// First and last port.
pub(super) fn ports(text: &str) -> Result<(u16, u16), Bad> {
    if let Some((first, last)) = text.split_once(':') {
        return bad("is not a range of ports", &format!("write {first}-{last}"));
    }
    let help = "write a port from 1 to 65535, or a range such as 8000-8010";
    let one =
        |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0 && text.bytes().all(|b| b.is_ascii_digit()));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (one(first), one(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        (Some(first), Some(last)) => bad("runs backwards", &format!("write {last}-{first}")),
        _ => bad("is not a port", help),
    }
}

fn gitlab_url(text: &str) -> Result<(), Bad> {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return bad("is not a URL", "it begins with https:// (or http://), such as https://gitlab.example.com");
    };
    if let Some(at) = text.find("/api/v") {
        return bad("must not hold /api/v4, which is the API's", &format!("write the base URL alone: {}", &text[..at]));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return bad("holds a user name or token", "write the URL alone; the token belongs to `api_token`");
    }
    if rest.contains(['?', '#']) {
        return bad("is not a base URL", "write it without `?` and `#`");
    }
    let odd = |c: char| c.is_control() || c.is_whitespace() || "\"'`<>{}\\^|".contains(c);
    let port = authority.rsplit_once(':').filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
    let bad_port = port.is_some_and(|(_, port)| ports(port).is_err() || port.contains('-'));
    if authority.is_empty() || authority.starts_with([':', '-', '.']) || rest.contains(odd) || bad_port {
        return bad("is not a GitLab URL", "such as https://gitlab.example.com");
    }
    Ok(())
}

fn package(text: &str) -> Result<(), Bad> {
    if let Some((name, version)) = text.split_once('=') {
        return bad("holds a version", &format!("write {{ name: {name}, version: \"{version}\" }}"));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || text.len() > 200 {
        return bad("is not a package name", "one name as `apt install` takes it");
    }
    all(text, "+._-:", "is not a package name", "one name as `apt install` takes it, such as docker.io")
}

fn tag(text: &str) -> Result<(), Bad> {
    if text.contains(',') {
        return bad(
            "holds a comma",
            &format!("make it two tags: [{}]", text.split(',').map(str::trim).collect::<Vec<_>>().join(", ")),
        );
    }
    if text.trim() != text || text.is_empty() || text.contains(char::is_control) {
        return bad("is not a tag", "a tag is not empty, and has no blanks at its ends");
    }
    longest(text, 255)
}

fn full_path(text: &str) -> Result<(), Bad> {
    if text.contains("://") {
        let path =
            text.split("://").nth(1).and_then(|rest| rest.split_once('/')).map_or("acme/platform", |(_, path)| path);
        return bad("is a URL", &format!("write the path alone: {}", path.trim_matches('/')));
    }
    if text.split('/').any(|part| part.is_empty() || part.starts_with('-')) {
        return bad(
            "is not the path of a group or project",
            "write it as in GitLab's URLs, without a slash at its ends: acme/platform",
        );
    }
    all(text, "._-/", "is not the path of a group or project", "such as acme/platform")
}

fn dir_pattern(text: &str) -> Result<(), Bad> {
    if !text.contains(|c: char| c.is_ascii_alphanumeric()) {
        return bad("names every directory", "begin it with what only job directories have, such as gitlab-job-*");
    }
    if text.starts_with(['.', '-']) {
        return bad("is not a usable pattern", "it may not begin with `.` or `-`");
    }
    all(text, "._-*?[]", "is not a usable pattern", "letters, digits, `.`, `_`, `-` and the wildcards `*`, `?`, `[…]`")
}

/// What gitlab-runner takes for an id of its own; any other it would replace.
fn system_id(text: &str) -> Result<(), Bad> {
    let rest = text.strip_prefix("r_").or_else(|| text.strip_prefix("s_"));
    if rest.is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|b| b.is_ascii_alphanumeric())) {
        return Ok(());
    }
    bad(
        "is not a system id",
        "`r_` or `s_` and 12 letters or digits, as in the file .runner_system_id beside config.toml",
    )
}

#[cfg(test)]
mod tests;
