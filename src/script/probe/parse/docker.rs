//! What Docker and the registries answered. Pure: no I/O.

use std::collections::BTreeSet;

use crate::facts::{
    DOCKER_GONE, DOCKER_STOPPED, DockerFact, Facts, ImageFact, Known, NO_CURL, OtherEngine, ProbeSpec, Reason,
    RunnerContainer, VolumeFact, Why,
};
use crate::script::environment;
use crate::script::reply::BadReply;

use super::Lines;

/// One answer of Docker's: a body and whether it was there.
struct Answer {
    body: String,
    /// HTTP status, or the client's exit status mapped to one.
    code: u16,
}

/// Bytes of what Docker says of one container, image, volume: some kilobytes, as long as Docker says it. As values, JSON
/// can take some forty times its own memory.
const LONGEST_OBJECT: usize = 1 << 20;
/// Bytes of a list of containers: some kilobytes each.
const LONGEST_LIST: usize = 8 << 20;

/// JSON of at most so many bytes.
fn values<T: serde::de::DeserializeOwned>(body: &str, most: usize) -> Result<T, String> {
    if body.len() > most {
        return Err(format!("Docker's answer has {} bytes, and more than {most} make no sense", body.len()));
    }
    serde_json::from_str(body).map_err(|error| format!("Docker's answer is no JSON: {error}"))
}

pub(super) fn docker(spec: &ProbeSpec, lines: &mut Lines<'_>, facts: &mut Facts) -> Result<(), BadReply> {
    if !spec.docker {
        return Ok(());
    }
    if let Some(unit) = lines.tagged("docker-unit") {
        facts.other_engine = Some(OtherEngine::Unit(unit.to_owned()));
    }
    let how = lines.expect("docker")?;
    let all = |facts: &mut Facts, why: Option<Why>| {
        let why = why.as_ref();
        for name in &spec.containers {
            facts.containers.insert(name.clone(), why.map_or(Known::Absent, |why| Known::Unread(why.clone())));
        }
        for name in spec.images.keys() {
            facts.images.insert(name.clone(), why.map_or(Known::Absent, |why| Known::Unread(why.clone())));
        }
        for name in &spec.volumes {
            facts.volumes.insert(name.clone(), why.map_or(Known::Absent, |why| Known::Unread(why.clone())));
        }
        for name in &spec.networks {
            facts.networks.insert(name.clone(), why.map_or(Known::Absent, |why| Known::Unread(why.clone())));
        }
        if spec.runner_containers {
            let none = why.map_or_else(|| Known::Present(Vec::new()), |why| Known::Unread(why.clone()));
            facts.runner_containers = Some(none);
        }
        why.map_or(Known::Absent, |why| Known::Unread(why.clone()))
    };
    let engine = match how {
        "none" => all(facts, None),
        "stopped" => all(facts, Some(Why::of(Reason::DockerStopped, DOCKER_STOPPED))),
        "gone" => all(facts, Some(Why::of(Reason::DockerGone, DOCKER_GONE))),
        "snap" => {
            facts.other_engine = Some(OtherEngine::Snap);
            all(facts, Some("Docker from snap does not run".into()))
        }
        "served" => {
            facts.other_engine = Some(OtherEngine::Unknown);
            all(facts, Some("something else than Docker listens at its socket".into()))
        }
        "denied" => all(facts, Some("only root and the group docker may ask Docker".into())),
        "socketless" => all(
            facts,
            Some(
                Why::from("Docker runs without its socket /var/run/docker.sock")
                    .help("`systemctl restart docker.socket docker` makes it anew"),
            ),
        ),
        "clientless" => all(facts, Some("Docker runs, and neither curl nor Docker's client is there to ask it".into())),
        "curl" | "client" => {
            let (answers, status) = answers(lines, "docker-status")?;
            let count = 2
                + spec.containers.len()
                + spec.images.len()
                + spec.volumes.len()
                + spec.networks.len()
                + usize::from(spec.runner_containers);
            let asked = how == "curl" && spec.images.values().any(|asked| *asked);
            // Docker's own answers come first and must all be there. A registry that does not answer ends curl early, with
            // a status of its own: what is missing stays unread.
            let whole = answers.len() >= count && (status == "0" || asked);
            let (own, registry) = answers.split_at(count.min(answers.len()));
            if !whole || own.iter().any(|answer| answer.code == 0) {
                all(
                    facts,
                    Some(
                        Why::from(format!("Docker did not answer (status {status})"))
                            .help("see `journalctl -u docker`"),
                    ),
                )
            } else {
                docker_facts(spec, facts, own, asked.then_some(registry))
            }
        }
        // Its programs are there, where rprov does not start any: no Docker is what it is not.
        other => match (other.strip_prefix("unsafe "), other.strip_prefix("linked ")) {
            (Some(why), _) => all(facts, Some(Why::from(why).help(environment::FIX))),
            (_, Some(to)) => {
                facts.other_engine = Some(OtherEngine::Link(to.to_owned()));
                all(facts, Some("its socket is a link to another one".into()))
            }
            _ => return Err(BadReply::Garbled(format!("`docker {other}`"))),
        },
    };
    facts.docker = Some(engine);
    Ok(())
}

fn answers(lines: &mut Lines<'_>, end: &str) -> Result<(Vec<Answer>, String), BadReply> {
    let mut found = Vec::new();
    let mut body = String::new();
    loop {
        if let Some(status) = lines.tagged(end) {
            return Ok((found, status.to_owned()));
        }
        let line = lines.next("Docker's answer")?;
        let code = match line.strip_prefix("@http ") {
            Some(code) => code.parse().ok(),
            None => line.strip_prefix("@status ").map(|status| match status {
                "0" => 200,
                "44" => 404,
                _ => 0,
            }),
        };
        match code {
            Some(code) => found.push(Answer { body: std::mem::take(&mut body), code }),
            None => {
                body.push_str(line);
                body.push('\n');
            }
        }
    }
}

fn docker_facts(
    spec: &ProbeSpec,
    facts: &mut Facts,
    answers: &[Answer],
    registry: Option<&[Answer]>,
) -> Known<DockerFact> {
    let mut rest = answers.iter();
    let json = |answer: Option<&Answer>| -> Known<serde_json::Value> {
        match answer {
            Some(answer) if answer.code == 404 => Known::Absent,
            Some(answer) if answer.code == 200 => match values(&answer.body, LONGEST_OBJECT) {
                // The client answers with a list of one.
                Ok(serde_json::Value::Array(mut list)) if list.len() == 1 => Known::Present(list.remove(0)),
                Ok(value) => Known::Present(value),
                Err(why) => Known::unread(why),
            },
            Some(answer) => Known::unread(format!("Docker answers with HTTP status {}", answer.code)),
            None => Known::unread("Docker did not answer".to_owned()),
        }
    };
    let text =
        |value: &serde_json::Value, key: &str| value.get(key).and_then(|value| value.as_str()).unwrap_or("").to_owned();
    let version = json(rest.next());
    let jobs = rest.next().map(job_count);
    for name in &spec.containers {
        facts.containers.insert(name.clone(), json(rest.next()));
    }
    let asked: Vec<&String> = spec.images.iter().filter(|(_, asked)| **asked).map(|(name, _)| name).collect();
    for name in spec.images.keys() {
        let known = match json(rest.next()) {
            Known::Present(image) => Known::Present(ImageFact {
                id: text(&image, "Id"),
                repo_digests: strings(image.get("RepoDigests")),
                env: strings(image.pointer("/Config/Env")),
                labels: image
                    .pointer("/Config/Labels")
                    .and_then(|map| serde_json::from_value(map.clone()).ok())
                    .unwrap_or_default(),
                runs: ["Entrypoint", "Cmd", "User"].map(|key| {
                    image.pointer("/Config").and_then(|config| config.get(key)).cloned().unwrap_or_default()
                }),
                registry: asked.iter().position(|asked| *asked == name).map(|at| registry_digest(registry, at)),
            }),
            Known::Absent => Known::Absent,
            Known::Unread(why) => Known::unread(why),
        };
        facts.images.insert(name.clone(), known);
    }
    for name in &spec.volumes {
        facts.volumes.insert(name.clone(), map(json(rest.next()), |volume| volume_fact(&volume)));
    }
    for name in &spec.networks {
        facts.networks.insert(name.clone(), map(json(rest.next()), drop));
    }
    if spec.runner_containers {
        facts.runner_containers =
            Some(rest.next().map_or_else(|| Known::unread("Docker did not answer".to_owned()), runner_containers));
    }
    if let Known::Present(version) = &version
        && is_podman(version)
    {
        facts.other_engine = Some(OtherEngine::Podman);
    }
    match (version, jobs) {
        (Known::Present(version), Some(Ok(jobs))) => {
            Known::Present(DockerFact { version: text(&version, "Version"), jobs })
        }
        (Known::Unread(why), _) => Known::Unread(why),
        (_, Some(Err(why))) => Known::unread(why),
        _ => Known::unread("Docker did not answer".to_owned()),
    }
}

/// Podman answers as Docker does, and says who it is.
fn is_podman(version: &serde_json::Value) -> bool {
    let parts = version.get("Components").and_then(serde_json::Value::as_array);
    parts.into_iter().flatten().any(|part| part.get("Name").is_some_and(|name| name == "Podman Engine"))
}

fn map<T>(known: Known<serde_json::Value>, value: impl FnOnce(serde_json::Value) -> T) -> Known<T> {
    match known {
        Known::Present(found) => Known::Present(value(found)),
        Known::Absent => Known::Absent,
        Known::Unread(why) => Known::unread(why),
    }
}

fn volume_fact(volume: &serde_json::Value) -> VolumeFact {
    let text = |key: &str| volume.get(key).and_then(|value| value.as_str()).unwrap_or("").to_owned();
    let options = volume.get("Options").and_then(|options| options.as_object());
    let mut options: Vec<String> = options
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    options.sort();
    VolumeFact { driver: text("Driver"), mountpoint: text("Mountpoint"), options }
}

/// From the list of containers, or from what the client says of each of them.
fn runner_containers(answer: &Answer) -> Known<Vec<RunnerContainer>> {
    if answer.code != 200 {
        return Known::unread(format!("Docker answers with HTTP status {}", answer.code));
    }
    // The client says nothing of no containers.
    let body = if answer.body.trim().is_empty() { "[]" } else { &answer.body };
    let list: Vec<serde_json::Value> = match values(body, LONGEST_LIST) {
        Ok(list) => list,
        Err(why) => return Known::Unread(why.into()),
    };
    let one = |container: &serde_json::Value| {
        let name = container.pointer("/Names/0").or_else(|| container.get("Name"))?.as_str()?;
        let mounts = container.get("Mounts")?.as_array()?;
        let is = |mount: &&serde_json::Value| mount.get("Destination").is_some_and(|at| at == "/etc/gitlab-runner");
        let mount = mounts.iter().find(is)?;
        let text = |key: &str| mount.get(key).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
        let running = match container.get("State")? {
            serde_json::Value::String(state) => ["running", "paused", "restarting"].contains(&state.as_str()),
            state => ["Running", "Restarting"].iter().any(|key| state.get(key).is_some_and(|is| is == true)),
        };
        let source = text("Name").or_else(|| text("Source"))?.to_owned();
        Some(RunnerContainer { name: name.trim_start_matches('/').to_owned(), running, source })
    };
    Known::Present(list.iter().filter_map(one).collect())
}

/// A JSON list of strings; `null` is empty.
fn strings(list: Option<&serde_json::Value>) -> Vec<String> {
    let list = list.and_then(|list| list.as_array());
    list.map(|list| list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()).unwrap_or_default()
}

fn registry_digest(registry: Option<&[Answer]>, at: usize) -> Known<String> {
    let Some(answers) = registry else {
        return Known::Unread(Why::of(Reason::NoCurl, NO_CURL));
    };
    let Some(answer) = answers.get(at) else {
        return Known::unread("the registry did not answer".to_owned());
    };
    let value: serde_json::Value = values(&answer.body, LONGEST_OBJECT).unwrap_or_default();
    match value.pointer("/Descriptor/digest").and_then(|digest| digest.as_str()) {
        Some(digest) if answer.code == 200 => Known::Present(digest.to_owned()),
        _ => Known::unread(
            value
                .get("message")
                .and_then(|message| message.as_str())
                .map_or_else(|| format!("the registry did not answer (status {})", answer.code), str::to_owned),
        ),
    }
}

/// Different job ids among running containers of GitLab Runner's.
fn job_count(answer: &Answer) -> Result<usize, String> {
    if answer.code != 200 {
        return Err(format!("Docker answers with HTTP status {}", answer.code));
    }
    let body = answer.body.trim();
    let ids: BTreeSet<String> = if body.starts_with('[') {
        let list: Vec<serde_json::Value> = values(body, LONGEST_LIST)?;
        list.iter()
            .filter_map(|container| container.pointer("/Labels/com.gitlab.gitlab-runner.job.id"))
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect()
    } else {
        body.lines().map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
    };
    Ok(ids.len())
}
