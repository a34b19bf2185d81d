//! The forms of config.toml's texts that GitLab Runner or Docker read further: sizes, addresses, volumes, patterns. What
//! is refused here fails every job, or keeps the runner from starting. Pure.

use super::keys::{GLOBAL, Key};

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `512m`, `2g`, and `-1` for swap.
    Size,
    /// A number of processors: `1.5`.
    Cpus,
    /// Processors by number: `0-3,6`.
    CpuSet,
    /// A quantity of Kubernetes: `500m`, `2Gi`.
    Quantity,
    /// `ADDRESS:PORT`, `:PORT`.
    Address,
    /// The same; the port may be left out.
    Metrics,
    /// A volume of Docker's: `/cache`, `/builds:/builds:ro`.
    Volume,
    /// A pattern of images or services: `registry.example.com/**/*:*`.
    Pattern,
    /// `all`, a number, or `device=…`.
    Gpus,
    /// A port in a text.
    Port,
}

/// What is wrong, to follow "`TEXT` …", and what would be right.
pub type Wrong = (&'static str, &'static str);

const DOCKER: &str = "runners[].docker";
const KUBERNETES: &str = "runners[].kubernetes";

/// The form of a key's text, or of each text in its list.
#[must_use]
pub fn of(key: &Key) -> Option<Form> {
    Some(match (key.section, key.name) {
        (GLOBAL, "listen_address") => Form::Metrics,
        ("session_server", "listen_address") => Form::Address,
        ("runners[].ssh", "port") => Form::Port,
        (
            DOCKER,
            "memory"
            | "memory_swap"
            | "memory_reservation"
            | "service_memory"
            | "service_memory_swap"
            | "service_memory_reservation",
        ) => Form::Size,
        (DOCKER, "cpus" | "service_cpus") => Form::Cpus,
        (DOCKER, "cpuset_cpus" | "cpuset_mems" | "service_cpuset_cpus") => Form::CpuSet,
        (DOCKER, "gpus" | "service_gpus") => Form::Gpus,
        (DOCKER, "volumes") => Form::Volume,
        (
            DOCKER | KUBERNETES,
            "allowed_images" | "allowed_services" | "allowed_privileged_images" | "allowed_privileged_services",
        ) => Form::Pattern,
        (KUBERNETES, name) if is_quantity(name) => Form::Quantity,
        _ => return None,
    })
}

fn is_quantity(name: &str) -> bool {
    let name = name.strip_suffix("_overwrite_max_allowed").unwrap_or(name);
    let name = name.strip_suffix("_limit").or_else(|| name.strip_suffix("_request")).unwrap_or_default();
    ["cpu", "memory", "ephemeral_storage"].iter().any(|kind| name.ends_with(kind))
}

/// Checks a text. An empty one means "not set", and what a variable (`$NAME`) becomes is unknown.
///
/// # Errors
/// When it does not have the form.
pub fn check(form: Form, text: &str) -> Result<(), Wrong> {
    if text.is_empty() || text.contains('$') {
        return Ok(());
    }
    let fine = match form {
        Form::Size => size(text),
        Form::Cpus => text.parse::<f64>().is_ok_and(|cpus| cpus.is_finite() && cpus >= 0.0),
        Form::CpuSet => text.split(',').all(range),
        Form::Quantity => quantity(text),
        Form::Address => address(text, false),
        Form::Metrics => address(text, true),
        Form::Volume => return volume(text),
        Form::Pattern => pattern(text),
        Form::Gpus => gpus(text),
        Form::Port => port(text),
    };
    if fine { Ok(()) } else { Err(wrong(form)) }
}

fn wrong(form: Form) -> Wrong {
    match form {
        Form::Size => ("is no size", "a whole number with b, k, m or g, such as 512m or 2g"),
        Form::Cpus => ("is no number of processors", "such as \"2\" or \"1.5\""),
        Form::CpuSet => ("is no list of processors", "their numbers, such as \"0-3\" or \"0,2\""),
        Form::Quantity => ("is no quantity of Kubernetes", "such as 500m, \"2\", 512Mi or 2Gi"),
        Form::Address => ("is no address to listen on", "ADDRESS:PORT, such as 0.0.0.0:8093 or \"[::]:8093\""),
        Form::Metrics => ("is no address to listen on", "ADDRESS:PORT, such as \":9252\" or 127.0.0.1:9252"),
        Form::Volume => ("is no volume", "a path inside the job such as /cache, or SOURCE:TARGET, or SOURCE:TARGET:ro"),
        Form::Pattern => ("is no pattern of images", "such as ruby:*, or registry.example.com/team/**/*:*"),
        Form::Gpus => ("is no choice of GPUs", "all, their number, or device=0"),
        Form::Port => ("is no port", "a number between 1 and 65535, in quotes"),
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn port(text: &str) -> bool {
    digits(text) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

fn size(text: &str) -> bool {
    if text == "-1" {
        return true;
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    number.parse::<f64>().is_ok() && (unit.is_empty() || (unit.len() == 1 && "kmgtp".contains(unit)))
}

fn range(text: &str) -> bool {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    digits(first) && digits(last) && first.parse::<u32>().ok() <= last.parse::<u32>().ok()
}

fn quantity(text: &str) -> bool {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let units = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    number.parse::<f64>().is_ok() && (units.contains(&unit) || exponent(unit))
}

fn exponent(text: &str) -> bool {
    text.strip_prefix(['e', 'E']).is_some_and(|rest| digits(rest.trim_start_matches(['+', '-'])))
}

fn address(text: &str, without_port: bool) -> bool {
    let plain = |host: &str| !host.contains(|c: char| c.is_whitespace() || "/[]\"'".contains(c));
    let host_fits = |host: &str| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => plain(host) && !host.contains(':'),
    };
    match text.rsplit_once(':').filter(|(_, last)| !last.ends_with(']')) {
        Some((host, last)) => port(last) && host_fits(host),
        None => without_port && host_fits(text),
    }
}

/// Windows' drives have a colon of their own.
fn volume(text: &str) -> Result<(), Wrong> {
    let drive = |text: &str| text.as_bytes().get(1) == Some(&b':') && text.contains('\\');
    if drive(text) || text.contains(":\\") || text.contains("\\\\") {
        return Ok(());
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("/", target, ""),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(wrong(Form::Volume)),
    };
    let named = source.starts_with(|c: char| c.is_ascii_alphanumeric())
        && source.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if !target.starts_with('/') || !(source.starts_with('/') || named) || text.contains(char::is_control) {
        return Err(wrong(Form::Volume));
    }
    let known = ["ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent"];
    let spread = ["shared", "slave", "private", "rshared", "rslave", "rprivate"];
    if !options.is_empty() && !options.split(',').all(|option| known.contains(&option) || spread.contains(&option)) {
        return Err(("has an unknown mount option", "ro, rw, z, Z, or one of the propagation modes"));
    }
    Ok(())
}

fn pattern(text: &str) -> bool {
    let balanced = |open: char, close: char| text.matches(open).count() == text.matches(close).count();
    !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && !text.contains("://")
        && balanced('[', ']')
        && balanced('{', '}')
}

fn gpus(text: &str) -> bool {
    text == "all" || digits(text) || text.trim_matches(['"', '\'']).split(',').any(|part| part.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner_config::keys;

    #[test]
    fn what_fits_and_what_does_not() {
        let cases: &[(Form, &[&str], &[&str])] = &[
            (Form::Size, &["512m", "2g", "1.5GB", "-1", "1024", "64MiB", ""], &["512x", "g", "1 000m", "-2", "m512"]),
            (Form::Cpus, &["2", "1.5", ".5"], &["two", "-1", "1,5", "inf"]),
            (Form::CpuSet, &["0-3", "0,2", "1"], &["3-0", "a", "0-", "0 1"]),
            (Form::Quantity, &["500m", "2", "1.5Gi", "1e3"], &["500mb", "Gi", "1 Gi"]),
            (
                Form::Address,
                &["[::]:8093", "0.0.0.0:8093", ":8093"],
                &["8093", "0.0.0.0", "http://x:80", ":0", ":70000"],
            ),
            (Form::Metrics, &[":9252", "localhost", "127.0.0.1:9252"], &["a b", "x:y", "[::1", "::1:9252"]),
            (
                Form::Volume,
                &["/cache", "/builds:/builds", "name:/x:ro", "c:\\cache", "/a:/b:ro,z", "$HOME:/x"],
                &["cache", "/a:b", "a b:/x", "/a:/b:/c:/d", "/a:/b:wo"],
            ),
            (Form::Pattern, &["ruby:*", "a/**/*:*", "{ruby,node}:[0-9]*"], &["ruby *", "https://x/*", "{ruby:*"]),
            (Form::Gpus, &["all", "2", "device=0", "\"device=0,1\""], &["every", "-1"]),
            (Form::Port, &["22"], &["ssh", "0", "65536", "+22"]),
        ];
        for (form, right, wrong) in cases {
            for text in *right {
                assert!(check(*form, text).is_ok(), "{form:?} {text}");
            }
            for text in *wrong {
                assert!(check(*form, text).is_err(), "{form:?} {text}");
            }
        }
    }

    #[test]
    fn keys_that_have_a_form() {
        let form = |section, name| of(keys::find(section, name).unwrap());
        assert_eq!(form("runners[].kubernetes", "helper_memory_limit_overwrite_max_allowed"), Some(Form::Quantity));
        assert_eq!(form("runners[].kubernetes", "retry_limit"), None);
        assert_eq!(form("runners[].docker", "services_limit"), None);
        assert_eq!(form("runners[].docker", "allowed_services"), Some(Form::Pattern));
        assert_eq!(form(GLOBAL, "listen_address"), Some(Form::Metrics));
    }
}
