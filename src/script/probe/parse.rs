//! The probe's answer as [`Facts`]. Whatever a host says is checked: an answer that does not fit is an error or "unread",
//! never "absent". Pure: no I/O.

use std::collections::BTreeMap;

use crate::facts::{
    AptSource, Content, Facts, Known, MachineFact, PackageFact, PathFact, PathKind, ProbeSpec, Room, SystemFacts,
    UnitFact, Way, Why,
};
use crate::name::RemotePath;
use crate::script::environment;
use crate::script::obstacle::Obstacle;
use crate::script::reply::{self, BadReply};
use crate::text::shorten;

mod docker;
mod routes;

/// Why something is unread for a user without privileges.
const NOT_ROOT: &str = "only root may read it";
/// Files larger than this are not what rprov manages.
const LARGEST: u64 = 1 << 20;

/// Reads the lines of one answer.
pub(super) struct Lines<'a>(pub(super) std::iter::Peekable<std::str::Lines<'a>>);

impl<'a> Lines<'a> {
    fn next(&mut self, expected: &str) -> Result<&'a str, BadReply> {
        self.0.next().ok_or_else(|| BadReply::Garbled(format!("it ends where {expected} should stand")))
    }

    /// The rest of the next line if it starts with `prefix` and a blank, or is `prefix`.
    pub(super) fn tagged(&mut self, prefix: &str) -> Option<&'a str> {
        let line = self.0.peek()?;
        let rest = line.strip_prefix(prefix)?;
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix(' ')? };
        self.0.next();
        Some(rest)
    }

    pub(super) fn expect(&mut self, prefix: &str) -> Result<&'a str, BadReply> {
        let found = self.0.peek().copied().unwrap_or("").to_owned();
        self.tagged(prefix)
            .ok_or_else(|| BadReply::Garbled(format!("`{prefix}` expected, `{}` found", shorten(&found, 80))))
    }
}

/// Parses the standard output of [`super::script`] with the same spec and nonce.
///
/// # Errors
/// When the script did not run to its end or its answer makes no sense.
pub fn parse(spec: &ProbeSpec, stdout: &[u8], nonce: &str) -> Result<Facts, BadReply> {
    let text = String::from_utf8_lossy(stdout);
    let body = reply::body(&text, nonce)?;
    let mut lines = Lines(body.lines().peekable());
    let mut facts = Facts::default();
    let boot_ns = system(&mut lines, &mut facts.system)?;
    paths(spec, &mut lines, &mut facts)?;
    packages(spec, &mut lines, &mut facts)?;
    units(spec, &mut lines, &mut facts, boot_ns)?;
    docker::docker(spec, &mut lines, &mut facts)?;
    nft(spec, &mut lines, &mut facts)?;
    docker_ways(spec, &mut lines, &mut facts)?;
    runner_files(spec, &mut lines, &mut facts)?;
    going(spec, &mut lines, &mut facts)?;
    apt_sources(spec, &mut lines, &mut facts)?;
    service_jobs(spec, &mut lines, &mut facts)?;
    super::access::read(&mut lines, &mut facts)?;
    inside(spec, &mut lines, &mut facts)?;
    rooms(spec, &mut lines, &mut facts)?;
    facts.learn_owned();
    match lines.0.next() {
        None => Ok(facts),
        Some(line) => Err(BadReply::Garbled(format!("`{}` was not asked for", shorten(line, 80)))),
    }
}

/// Fills in the system; returns when it booted, in nanoseconds since 1970, if the host says.
fn system(lines: &mut Lines<'_>, system: &mut SystemFacts) -> Result<Option<i128>, BadReply> {
    system.root = lines.expect("uid")?.trim() == "0";
    while let Some(line) = lines.tagged("os") {
        if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            match key {
                "ID" => system.os = value,
                "VERSION_ID" => system.os_version = value,
                "VERSION_CODENAME" => system.codename = value,
                _ => {}
            }
        }
    }
    system.systemd = lines.tagged("systemd").is_some();
    system.apt = lines.tagged("apt").is_some();
    let clock = lines.expect("clock")?;
    let (now, uptime) = clock.split_once(' ').unwrap_or((clock, ""));
    // busybox's date leaves `%N` as it is.
    let now_ns = decimal_ns(now.trim_end_matches(".%N").trim_end_matches('.'))
        .ok_or_else(|| BadReply::Garbled(format!("the clock says `{now}`")))?;
    system.now = i64::try_from(now_ns / 1_000_000_000).unwrap_or(0);
    let peer = lines.expect("peer")?;
    let mut peer = peer.split(' ');
    system.peer = peer.next().filter(|peer| !peer.is_empty()).map(str::to_owned);
    system.sshd_address = peer.nth(1).and_then(|address| address.parse().ok());
    system.sshd_port = peer.next().and_then(|port| port.parse().ok());
    while let Some(told) = lines.tagged("logged-in") {
        let mut words = told.split(' ');
        let from = words.next().and_then(|address| address.parse().ok());
        if !system.logins.contains(&from) {
            system.logins.push(from);
        }
        let (address, port) = (words.nth(1), words.next());
        system.sshd_address = system.sshd_address.or_else(|| address?.parse().ok());
        system.sshd_port = system.sshd_port.or_else(|| port?.parse().ok());
    }
    if let Some(machine) = lines.tagged("machine") {
        system.machine = machine_of(machine);
    }
    Ok(decimal_ns(uptime).map(|uptime| now_ns - uptime))
}

/// `ID BOOT-ID STATE PPID ...`: the ids, and what /proc/1/stat has behind the name of process 1.
fn machine_of(line: &str) -> MachineFact {
    let mut words = line.split(' ');
    let hex = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let mut id = |length: usize| words.next().filter(|word| word.len() == length && hex(word)).map(str::to_owned);
    // `uninitialized`, or nothing, is what an image has before its first boot.
    let (machine, boot) = (id(32), id(36));
    // The 22nd field; the first that is reported is the third.
    MachineFact { id: machine, boot, init: words.nth(19).and_then(|word| word.parse().ok()) }
}

/// Seconds that a time of a host can have: far beyond any clock, and small enough to be reckoned with in nanoseconds.
const MAX_SECONDS: i128 = 1 << 62;

/// `12.34` as nanoseconds.
fn decimal_ns(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let seconds = whole.parse::<i128>().ok().filter(|seconds| (0..MAX_SECONDS).contains(seconds))?;
    Some(seconds * 1_000_000_000 + i128::from(digits.parse::<u32>().ok()?))
}

/// `2026-11-20 18:43:59.123456789 +0000` (GNU) or without fraction (busybox), in UTC.
fn timestamp_ns(text: &str) -> Option<i128> {
    let text = text.trim().trim_end_matches(" +0000");
    let when: jiff::civil::DateTime = text.replacen(' ', "T", 1).parse().ok()?;
    Some(when.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond())
}

fn paths(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if spec.paths.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = lines.expect("paths")?.split(' ').filter(|code| !code.is_empty()).collect();
    if codes.len() != spec.paths.len() {
        return Err(BadReply::Garbled(format!("{} paths asked for, {} answered", spec.paths.len(), codes.len())));
    }
    let there: Vec<&RemotePath> = spec
        .paths
        .keys()
        .zip(&codes)
        .filter(|(_, code)| matches!(**code, "0" | CLOSED))
        .map(|(path, _)| path)
        .collect();
    let mut stats = Vec::new();
    if !there.is_empty() {
        while let Some(line) = lines.tagged("stat") {
            stats.push(line);
        }
        lines.expect("stat-status")?;
    }
    let complete = stats.len() == there.len();
    for (path, code) in spec.paths.keys().zip(&codes) {
        let known = match *code {
            // It follows further below.
            LOOSE => continue,
            "0" | CLOSED if !complete => Known::unread("stat failed: it changed while it was being read".to_owned()),
            "0" | CLOSED => {
                let at = there.iter().position(|there| *there == path).unwrap_or(usize::MAX);
                let way = Way { closed: *code == CLOSED, ..Way::default() };
                stat(stats.get(at).copied().unwrap_or("")).map_or_else(
                    || Known::unread("stat gave an answer that makes no sense".to_owned()),
                    |fact| Known::Present(PathFact { way, ..fact }),
                )
            }
            other => not_there(other),
        };
        facts.paths.insert(path.clone(), known);
    }
    for path in spec.paths.iter().filter(|(_, content)| **content).map(|(path, _)| path) {
        let content = content(lines)?;
        if let (Some(Known::Present(fact)), Some(content)) = (facts.paths.get_mut(path), content) {
            fact.content = Some(content);
        }
    }
    for (path, _) in spec.paths.keys().zip(&codes).filter(|(_, code)| **code == LOOSE) {
        let known = careful(path, lines)?;
        facts.paths.insert(path.clone(), known);
    }
    Ok(())
}

/// The code of a path that is there, and that not everybody can get to.
const CLOSED: &str = "10";

/// The code of a path that is looked at with care.
const LOOSE: &str = "70";

/// What a code other than 0 says.
fn not_there(code: &str) -> Known<PathFact> {
    Known::Unread(match code {
        "44" => return Known::Absent,
        "13" => NOT_ROOT.into(),
        // A file system that a user has mounted keeps root out.
        "5" => Why::from("the host cannot tell whether it is there").help("see `stat` on it").in_the_way(),
        "42" => Why::from(SWAPPED).in_the_way(),
        "40" | "41" | "45" => Why::from("a link or something that is no directory is on the way to it")
            .help("the host cannot say more: see `ls -ld` on each directory above it")
            .in_the_way(),
        other => format!("code {other}").into(),
    })
}

fn too_long(length: usize) -> Why {
    Why::from(format!("it is {length} bytes long, and rprov manages files of up to {LARGEST}")).help(
        "see on the host who made it and whether somebody needs it; move it to another name, or name another path in the inventory",
    )
    .in_the_way()
}

/// Who may write to a directory may change it at any time.
const SWAPPED: &str = "it was swapped for something else while it was being read";

/// The answer about a path with a link on the way, or where others than root may write.
fn careful(path: &RemotePath, lines: &mut Lines<'_>) -> Result<Known<PathFact>, BadReply> {
    let answer = lines.expect("careful")?;
    let (code, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    if let Some(met) = Obstacle::of(code, rest) {
        return Ok(Known::Unread(met.why(Some(path))));
    }
    if code != "0" {
        return Ok(not_there(code));
    }
    let mut words = rest.split(' ');
    let (exposed, closed) = (words.next() == Some("exposed"), words.next() != Some("open"));
    let link = words.next() == Some("link");
    let real = String::from_utf8_lossy(&reply::base64(words.next().unwrap_or_default())?).into_owned();
    let fact = lines.tagged("stat").and_then(stat);
    let content = if lines.0.peek().is_some_and(|line| line.starts_with("content ")) { content(lines)? } else { None };
    let end = lines.expect("careful-end")?;
    let (status, fields) = end.split_once(' ').unwrap_or((end, ""));
    let Some(fact) = fact else {
        if let Some(met) = Obstacle::of(status, fields) {
            return Ok(Known::Unread(met.why(Some(path))));
        }
        return Ok(Known::Unread(match status {
            "124" => Why::from("it could not be opened within 5 seconds")
                .help("somebody who may write to its directory keeps it; see on the host who that is")
                .in_the_way(),
            _ => Why::from(SWAPPED).in_the_way(),
        }));
    };
    if fact.kind == PathKind::Link {
        return Ok(Known::Unread(Why::from(SWAPPED).in_the_way()));
    }
    let way = Way { exposed, closed, link, real: (!real.is_empty()).then_some(real) };
    Ok(Known::Present(PathFact { way, content, ..fact }))
}

pub(super) fn stat(line: &str) -> Option<PathFact> {
    let mut fields = line.splitn(5, ' ');
    let mode = u32::from_str_radix(fields.next()?, 16).ok()?;
    let _size: u64 = fields.next()?.parse().ok()?;
    let user = fields.next()?.to_owned();
    let group = fields.next()?.to_owned();
    let mtime_ns = timestamp_ns(fields.next()?)?;
    let kind = match mode & 0o170_000 {
        0o100_000 => PathKind::File,
        0o040_000 => PathKind::Directory,
        0o120_000 => PathKind::Link,
        _ => PathKind::Other,
    };
    Some(PathFact { kind, mode: mode & 0o7777, user, group, mtime_ns, content: None, way: Way::default() })
}

pub(super) fn content(lines: &mut Lines<'_>) -> Result<Option<Known<Content>>, BadReply> {
    match lines.expect("content")? {
        "none" => Ok(None),
        "denied" => Ok(Some(Known::unread(NOT_ROOT.to_owned()))),
        "base64" => {
            let mut encoded = String::new();
            loop {
                if let Some(status) = lines.tagged("content-status") {
                    if status == "127" {
                        let why = Why::from("the host has no program `base64`").help("install its package, coreutils");
                        return Ok(Some(Known::Unread(why)));
                    }
                    if status != "0" {
                        let why = Why::from(format!("reading it failed with status {status}"));
                        return Ok(Some(Known::Unread(why.in_the_way())));
                    }
                    break;
                }
                encoded.push_str(lines.next("the end of a file")?);
            }
            let bytes = reply::base64(&encoded)?;
            if bytes.len() as u64 > LARGEST {
                return Ok(Some(Known::Unread(too_long(bytes.len()))));
            }
            Ok(Some(Known::Present(Content::of(bytes))))
        }
        other => Err(BadReply::Garbled(format!("`content {other}`"))),
    }
}

fn packages(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if spec.packages.is_empty() {
        return Ok(());
    }
    let mut seen = BTreeMap::new();
    while let Some(line) = lines.tagged("package") {
        let mut fields = line.splitn(3, ' ');
        if let (Some(name), Some(version), Some(status)) = (fields.next(), fields.next(), fields.next()) {
            let fact = PackageFact {
                version: version.to_owned(),
                installed: status == "install ok installed" || status == "hold ok installed",
                status: status.to_owned(),
            };
            seen.insert(name.to_owned(), fact);
        }
    }
    let status = lines.expect("packages-status")?;
    for name in &spec.packages {
        let known = match (status, seen.remove(name)) {
            // dpkg-query: 1 says that some of the names matched nothing.
            ("0" | "1", Some(fact))
                if fact.status.ends_with(" config-files") || fact.status.ends_with(" not-installed") =>
            {
                Known::Absent
            }
            ("0" | "1", Some(fact)) => Known::Present(fact),
            ("0" | "1", None) => Known::Absent,
            ("none", _) => Known::unread("this host has no dpkg: only Debian and Ubuntu are supported".to_owned()),
            (other, _) => Known::unread(format!("dpkg-query failed with status {other}")),
        };
        facts.packages.insert(name.clone(), known);
    }
    Ok(())
}

fn units(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts, boot_ns: Option<i128>) -> Result<(), BadReply> {
    if spec.units.is_empty() {
        return Ok(());
    }
    let mut blocks: Vec<BTreeMap<&str, &str>> = Vec::new();
    let mut unread = None;
    if lines.tagged("units").is_some() {
        let mut block = BTreeMap::new();
        let status = loop {
            if let Some(status) = lines.tagged("units-status") {
                break status;
            }
            let line = lines.next("the end of the units")?;
            match line.split_once('=') {
                Some((key, value)) => {
                    block.insert(key, value);
                }
                None if line.is_empty() && !block.is_empty() => blocks.push(std::mem::take(&mut block)),
                None => {}
            }
        };
        if !block.is_empty() {
            blocks.push(block);
        }
        if status != "0" || blocks.len() != spec.units.len() {
            unread = Some(format!("systemctl failed with status {status}"));
        }
    } else {
        lines.expect("units-status")?;
        unread = Some("this host does not run systemd".to_owned());
    }
    for (at, unit) in spec.units.iter().enumerate() {
        let known = match (&unread, blocks.get(at)) {
            (Some(why), _) => Known::unread(why.clone()),
            (None, Some(block)) => unit_fact(block, boot_ns),
            (None, None) => Known::unread("systemctl did not mention it".to_owned()),
        };
        facts.units.insert(unit.clone(), known);
    }
    Ok(())
}

/// What [`UnitFact::properties`] holds.
const PROPERTIES: [&str; 4] = ["KillSignal", "KillMode", "TimeoutStopUSec", "DropInPaths"];

fn unit_fact(block: &BTreeMap<&str, &str>, boot_ns: Option<i128>) -> Known<UnitFact> {
    let field = |key: &str| (*block.get(key).unwrap_or(&"")).to_owned();
    if field("LoadState") == "not-found" {
        return Known::Absent;
    }
    let moment = |key: &str| {
        let us: u64 = field(key).parse().ok()?;
        if us == 0 { None } else { Some(boot_ns? + i128::from(us) * 1000) }
    };
    Known::Present(UnitFact {
        enabled: field("UnitFileState"),
        active: field("ActiveState"),
        active_since_ns: moment("ActiveEnterTimestampMonotonic"),
        changed_ns: moment("StateChangeTimestampMonotonic"),
        needs_daemon_reload: field("NeedDaemonReload") == "yes",
        properties: PROPERTIES
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), (*block.get(key)?).to_owned())))
            .collect(),
    })
}

fn nft(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if spec.nft_tables.is_empty() {
        return Ok(());
    }
    let how = lines.expect("nft")?;
    for table in &spec.nft_tables {
        if how == "tables" && lines.tagged("nft-unconfirmed").is_some() {
            facts.unconfirmed_tables.insert(table.clone());
        }
        let known = match how {
            "none" => Known::Absent,
            "denied" => Known::unread(NOT_ROOT.to_owned()),
            "failed" => Known::unread("`nft list tables` failed".to_owned()),
            "tables" if lines.tagged("nft-absent").is_some() => Known::Absent,
            "tables" => {
                lines.expect("nft-table")?;
                let mut text = String::new();
                let status = loop {
                    if let Some(status) = lines.tagged("nft-status") {
                        break status;
                    }
                    text.push_str(lines.next("the end of a table")?);
                    text.push('\n');
                };
                if status == "0" {
                    Known::Present(text)
                } else {
                    Known::unread(format!("nft failed with status {status}"))
                }
            }
            other => match other.strip_prefix("unsafe ") {
                Some(why) => Known::Unread(Why::from(why).help(environment::FIX)),
                None => return Err(BadReply::Garbled(format!("`nft {other}`"))),
            },
        };
        facts.nft_tables.insert(table.clone(), known);
    }
    routes::read(lines, facts);
    super::access::tunnels(lines, facts)
}

fn docker_ways(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if !spec.docker_ways {
        return Ok(());
    }
    if spec.nft_tables.is_empty() {
        routes::read(lines, facts);
    }
    while let Some(server) = lines.tagged("nameserver") {
        // With a zone, maybe (`fe80::1%eth0`).
        facts.nameservers.extend(server.split('%').next().and_then(|server| server.parse::<std::net::IpAddr>().ok()));
    }
    facts.docker_files = files("docker-file", lines);
    lines.expect("docker-files-end").map(drop)
}

fn runner_files(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if spec.jobs_of.is_none() {
        return Ok(());
    }
    facts.runner_files = files("runner-file", lines);
    lines.expect("runner-files-end").map(drop)
}

/// Files by path, each line of theirs behind a blank.
fn files(tag: &str, lines: &mut Lines<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    while let Some(path) = lines.tagged(tag) {
        let mut text = String::new();
        while let Some(line) = lines.0.next_if(|line| line.starts_with(' ')) {
            text.push_str(line.get(1..).unwrap_or_default());
            text.push('\n');
        }
        all.insert(path.to_owned(), text);
    }
    all
}

/// The version of what goes stands in brackets.
pub(super) fn going(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if spec.going.is_empty() {
        return Ok(());
    }
    let mut gone = Vec::new();
    while let Some(line) = lines.tagged("going") {
        let (name, version) = line.split_once(' ').unwrap_or((line, ""));
        let name = name.split(':').next().unwrap_or(name);
        let asked = |own: &String| own.split(':').next() == Some(name);
        if !spec.going.iter().any(asked) {
            gone.push((name.to_owned(), version.trim_matches(['[', ']']).to_owned()));
        }
    }
    facts.taken_along = Known::Present(gone);
    lines.expect("going-end").map(drop)
}

fn apt_sources(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if !spec.apt_sources {
        return Ok(());
    }
    let mut found = Vec::new();
    let mut denied = None;
    let mut modes = Vec::new();
    loop {
        if lines.tagged("apt-end").is_some() {
            break;
        }
        if let Some(mode) = lines.tagged("apt-mode") {
            modes.push(mode);
            continue;
        }
        if let Some(path) = lines.tagged("apt-denied") {
            denied = Some(format!("{path}: {NOT_ROOT}"));
            continue;
        }
        let path = RemotePath::new(lines.expect("apt-source")?).map_err(|bad| BadReply::Garbled(bad.to_string()))?;
        let mut text = String::new();
        while lines.0.peek().is_some_and(|line| line.starts_with([' ', '+'])) {
            let line = lines.next("a line of a source")?;
            text.push_str(line.get(1..).unwrap_or_default());
            if line.starts_with(' ') {
                text.push('\n');
            }
        }
        found.push(AptSource { path, text, mode: 0, user: String::new(), group: String::new(), public: false });
    }
    // Those of the two directories come first.
    let mode = |line: &&str| u32::from_str_radix(line.split(' ').next()?, 8).ok();
    let open = modes.iter().take(2).all(|line| mode(line).is_some_and(|mode| mode & 0o001 != 0));
    for (at, source) in found.iter_mut().enumerate() {
        let mut words = modes.get(at + 2).copied().unwrap_or_default().split(' ');
        let told = (words.next().and_then(|mode| u32::from_str_radix(mode, 8).ok()), words.next(), words.next());
        let (Some(mode), Some(user), Some(group)) = told else {
            denied = Some(format!("{}: it changed while it was being read", source.path));
            break;
        };
        (source.mode, source.user, source.group) = (mode, user.to_owned(), group.to_owned());
        source.public = open && mode & 0o004 != 0;
    }
    facts.apt_sources = Some(denied.map_or(Known::Present(found), Known::unread));
    Ok(())
}

fn service_jobs(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if spec.jobs_of.is_none() {
        return Ok(());
    }
    facts.service_jobs = Some(match lines.expect("service-jobs")? {
        "none" => Known::Absent,
        "" => Known::unread("the host does not tell a process's children".to_owned()),
        count => match count.parse() {
            Ok(count) => Known::Present(count),
            Err(_) => return Err(BadReply::Garbled(format!("`service-jobs {count}`"))),
        },
    });
    Ok(())
}

fn inside(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    for path in &spec.inside {
        let known = match lines.expect("inside")? {
            "none" => Known::Absent,
            "denied" => Known::unread("what lies in it cannot be seen"),
            count => match count.parse() {
                Ok(count) => Known::Present(count),
                Err(_) => return Err(BadReply::Garbled(format!("`inside {count}`"))),
            },
        };
        facts.inside.insert(path.clone(), known);
    }
    Ok(())
}

fn rooms(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    for path in &spec.rooms {
        let told = lines.expect("room")?;
        let kib = |text: &str| text.parse::<u64>().ok()?.checked_mul(1024);
        let room = match told.split(' ').collect::<Vec<_>>()[..] {
            [free, size, there @ ("yes" | "no")] => match (kib(free), kib(size)) {
                (Some(free), Some(size)) => Some(Room { free, size, there: there == "yes" }),
                _ => None,
            },
            _ => None,
        };
        let known = room.map_or_else(|| Known::unread("df does not tell".to_owned()), Known::Present);
        facts.rooms.insert(path.clone(), known);
    }
    if !spec.rooms.is_empty() {
        facts.utc_offset = utc_offset(lines.expect("zone")?);
    }
    Ok(())
}

/// `+0130` in seconds.
fn utc_offset(text: &str) -> Option<i32> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let digits = text.get(1..).filter(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))?;
    let (hours, minutes): (i32, i32) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}
