//! Executors and their sections of config.toml: which one reads which, and what it cannot do without. Pure.

use super::super::Build;
use super::value;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::model::{ConfigTable, ConfigValue, HostSpec, RunnerSpec};

/// An executor.
struct Executor {
    name: &'static str,
    /// The sections that it reads.
    sections: &'static [&'static str],
    /// Section and key without which no job runs, and an example.
    needs: &'static [(&'static str, &'static str, &'static str)],
}

const SSH_HOST: (&str, &str, &str) = ("ssh", "host", "build-1.example.com");
/// The section alone.
const SSH: (&str, &str, &str) = ("ssh", "", "ssh: { user: builder, identity_file: /etc/gitlab-runner/id_ed25519 }");
const BASE: &str = "debian-12";
const PLUGIN: (&str, &str, &str) = ("autoscaler", "plugin", "aws");

const EXECUTORS: &[Executor] = &[
    Executor { name: "shell", sections: &[], needs: &[] },
    Executor { name: "docker", sections: &["docker"], needs: &[] },
    Executor { name: "docker-windows", sections: &["docker"], needs: &[] },
    Executor {
        name: "docker+machine",
        sections: &["docker", "machine"],
        needs: &[("machine", "MachineDriver", "amazonec2"), ("machine", "MachineName", "ci-%s")],
    },
    Executor { name: "docker-autoscaler", sections: &["docker", "autoscaler"], needs: &[PLUGIN] },
    Executor { name: "instance", sections: &["instance", "autoscaler"], needs: &[PLUGIN] },
    Executor { name: "kubernetes", sections: &["kubernetes"], needs: &[] },
    Executor { name: "ssh", sections: &["ssh"], needs: &[SSH_HOST] },
    Executor { name: "parallels", sections: &["parallels", "ssh"], needs: &[("parallels", "base_name", BASE), SSH] },
    Executor { name: "virtualbox", sections: &["virtualbox", "ssh"], needs: &[("virtualbox", "base_name", BASE), SSH] },
    Executor { name: "custom", sections: &["custom"], needs: &[("custom", "run_exec", "/opt/driver/run.sh")] },
];

/// Every section that belongs to some executor.
const SECTIONS: &[&str] =
    &["docker", "machine", "autoscaler", "instance", "kubernetes", "ssh", "parallels", "virtualbox", "custom"];

/// Whether an executor reads a table of a runner's; `None` where it is no executor's own, or the executor is unknown.
pub(in crate::inventory) fn reads(executor: &str, section: &str) -> Option<bool> {
    let known = EXECUTORS.iter().find(|known| known.name == executor)?;
    SECTIONS.contains(&section).then(|| known.sections.contains(&section))
}

impl Build<'_> {
    pub(super) fn executors(&mut self, host: &HostSpec) {
        for runner in host.runners.iter().filter(|runner| !runner.absent) {
            let at = runner.origins.get("config").unwrap_or(&runner.origin);
            let Some((_, executor)) = runner.config.iter().find(|(key, _)| key == "executor") else {
                if self.templated {
                    let message = format!("neither the template nor `config` names an executor for `{}`", runner.name);
                    self.error(Diagnostic::error(message).at(at).help("such as `executor: docker`"));
                }
                continue;
            };
            let ConfigValue::String(name) = &executor.value else { continue };
            let name = name.redacted();
            let Some(known) = EXECUTORS.iter().find(|executor| executor.name == name) else { continue };
            self.sections_of(runner, known, &executor.origin);
            self.image_of(runner, known, &executor.origin);
            self.cache_of(runner);
            if known.name == "docker+machine" {
                let warning = Diagnostic::warning("`docker+machine` is deprecated, and GitLab Runner 20.0 removes it");
                self.warn(warning.at(&executor.origin).help("`docker-autoscaler` takes its place"));
            }
        }
    }

    fn sections_of(&mut self, runner: &RunnerSpec, executor: &Executor, at: &Span) {
        for (name, entry) in &runner.config {
            if SECTIONS.contains(&name.as_str()) && !executor.sections.contains(&name.as_str()) {
                let message = format!("the executor `{}` does not read `{name}`", executor.name);
                let readers: Vec<_> =
                    EXECUTORS.iter().filter(|other| other.sections.contains(&name.as_str())).map(|e| e.name).collect();
                let help = format!("remove it, or use an executor that does: {}", readers.join(", "));
                self.warn(Diagnostic::warning(message).at(&entry.origin).help(help));
            }
        }
        for (section, key, example) in executor.needs {
            let place = runner.config.iter().find(|(name, _)| name == section).map_or(at, |(_, entry)| &entry.origin);
            if key.is_empty() {
                if table_at(&runner.config, section).is_none() {
                    let message = format!("the executor `{}` needs `{section}`", executor.name);
                    self.error(Diagnostic::error(message).at(place).help(format!("such as `{example}`")));
                }
            } else if text_at(&runner.config, section, key).is_none() {
                let message = format!("the executor `{}` needs `{section}.{key}`", executor.name);
                self.error(Diagnostic::error(message).at(place).help(format!("such as `{key}: {example}`")));
            }
        }
        if let Some(ConfigValue::Table(machine)) = value(&runner.config, "machine")
            && executor.sections.contains(&"machine")
            && let Some((_, entry)) = machine.iter().find(|(key, _)| key == "MachineName")
            && text_at(&runner.config, "machine", "MachineName").is_some_and(|name| !name.contains("%s"))
        {
            let problem = Diagnostic::error("`MachineName` needs `%s`, which becomes a number of each machine's own");
            self.error(problem.at(&entry.origin).help("such as `MachineName: ci-%s`"));
        }
    }

    /// Without an image of the runner's, a job that names none fails.
    fn image_of(&mut self, runner: &RunnerSpec, executor: &Executor, at: &Span) {
        if !executor.sections.contains(&"docker") || text_at(&runner.config, "docker", "image").is_some() {
            return;
        }
        let place = runner.config.iter().find(|(name, _)| name == "docker").map_or(at, |(_, entry)| &entry.origin);
        let warning = Diagnostic::warning("jobs that name no `image` fail here").at(place);
        self.warn(warning.help("give the runner one for them: `docker: { image: debian:12 }`"));
    }

    /// The cache's type and the section that it reads.
    fn cache_of(&mut self, runner: &RunnerSpec) {
        let Some((cache, at)) = table_at(&runner.config, "cache") else { return };
        let chosen = value(cache, "Type").and_then(text);
        let kinds = [("s3", "BucketName"), ("gcs", "BucketName"), ("azure", "ContainerName")];
        for (kind, _) in kinds {
            let Some((_, section)) = table_at(cache, kind) else { continue };
            if chosen.as_deref() != Some(kind) {
                let message = match &chosen {
                    Some(chosen) => format!("a cache of the type `{chosen}` does not read `{kind}`"),
                    None => format!("without `Type` the cache does not read `{kind}`, and stays on the host"),
                };
                self.warn(Diagnostic::warning(message).at(section).help(format!("set `Type: {kind}`, or remove it")));
            }
        }
        let Some((kind, bucket)) = kinds.into_iter().find(|(kind, _)| chosen.as_deref() == Some(kind)) else { return };
        if text_at(cache, kind, bucket).is_none() {
            let place = table_at(cache, kind).map_or(at, |(_, section)| section);
            let problem = Diagnostic::warning(format!("without `{kind}.{bucket}` jobs have no cache"));
            self.warn(problem.at(place).help(format!("such as `{kind}: {{ {bucket}: runner-cache }}`")));
        }
    }
}

/// A table in a table, and its place.
pub(super) fn table_at<'a>(table: &'a ConfigTable, key: &str) -> Option<(&'a ConfigTable, &'a Span)> {
    table.iter().find(|(name, _)| name == key).and_then(|(_, entry)| match &entry.value {
        ConfigValue::Table(table) => Some((table, &entry.origin)),
        _ => None,
    })
}

/// A value of a section that is not empty.
pub(super) fn text_at(table: &ConfigTable, section: &str, key: &str) -> Option<String> {
    table_at(table, section).and_then(|(inner, _)| value(inner, key)).and_then(text)
}

pub(super) fn text(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::String(text) => Some(text.redacted()).filter(|text| !text.is_empty()),
        ConfigValue::Integer(number) => Some(number.to_string()).filter(|text| text != "0"),
        _ => None,
    }
}
