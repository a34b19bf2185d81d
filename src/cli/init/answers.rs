//! What `rprov init` has to know: from options, and from whoever is there to be asked. Each answer is checked when it is
//! given. Pure: how to ask is the caller's.

use crate::inventory::format::{Bad, Format};
use crate::template::{self, Engine, Value};

use super::super::args::{Executor, InitArgs, Manager};

/// The release of GitLab Runner that the shipped inventories have.
const RUNNER_VERSION: &str = "17.9.0";
/// What the inventory is made of.
const TEMPLATE: &str = include_str!("../../../templates/init/inventory.yml.j2");

/// All answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) host: String,
    pub(super) user: String,
    pub(super) gitlab: String,
    pub(super) manager: Manager,
    pub(super) executor: Executor,
    pub(super) scope: Scope,
}

/// Whose the runner is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    Instance,
    Group(String),
    Project(String),
}

/// Why there are no answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody can be asked for these options.
    Missing(Vec<&'static str>),
    /// What is wrong, and what to write.
    Wrong(String, Option<String>),
}

/// Asks: what to show, and what was typed; `None`: nobody is there, or they went away.
pub(super) type Ask<'a> = &'a mut dyn FnMut(&str) -> Option<String>;

/// Reads the options and asks for the rest.
pub(super) fn gather(args: &InitArgs, ask: Option<Ask<'_>>) -> Result<Answers, Refusal> {
    let mut known = Known {
        host: args.host.clone(),
        user: args.user.clone(),
        gitlab: args.gitlab.clone(),
        manager: args.manager,
        executor: args.executor,
        scope: match (&args.group, &args.project) {
            (Some(path), _) => Some(Scope::Group(path.clone())),
            (None, Some(path)) => Some(Scope::Project(path.clone())),
            (None, None) => None,
        },
    };
    // `--host deploy@ci-1.example.com`, as one would say it to ssh.
    if let (Some(login), None) = (&known.host, &known.user)
        && let Some((user, host)) = login.split_once('@')
    {
        (known.user, known.host) = (Some(user.to_owned()), Some(host.to_owned()));
    }
    known.check()?;
    if let Some(ask) = ask {
        known.ask(ask)?;
    }
    known.whole()
}

/// The answers so far.
#[derive(Clone)]
struct Known {
    host: Option<String>,
    user: Option<String>,
    gitlab: Option<String>,
    manager: Option<Manager>,
    executor: Option<Executor>,
    scope: Option<Scope>,
}

impl Known {
    /// What is there must be right.
    fn check(&self) -> Result<(), Refusal> {
        let scope = match &self.scope {
            Some(Scope::Group(path)) => Some(("--group", path)),
            Some(Scope::Project(path)) => Some(("--project", path)),
            _ => None,
        };
        let texts = [
            self.host.as_ref().map(|text| ("--host", text, Format::HostName)),
            self.user.as_ref().map(|text| ("--user", text, Format::User)),
            self.gitlab.as_ref().map(|text| ("--gitlab", text, Format::GitlabUrl)),
            scope.map(|(option, text)| (option, text, Format::FullPath)),
        ];
        for (option, text, format) in texts.into_iter().flatten() {
            sound(text, format)
                .map_err(|bad| Refusal::Wrong(format!("{option}: `{text}` {}", bad.message), bad.help))?;
        }
        if (self.manager, self.executor) == (Some(Manager::Container), Some(Executor::Shell)) {
            let what = "a runner in a container has no shell of the host's to run jobs in";
            let help = "write `--executor docker`, or `--manager package`";
            return Err(Refusal::Wrong(what.to_owned(), Some(help.to_owned())));
        }
        if self.executor == Some(Executor::Shell) && matches!(self.scope, Some(Scope::Group(_) | Scope::Instance)) {
            let what = "jobs in a shell share the host and each other's files";
            let help = "give the runner to one project: `--project acme/app`; or write `--executor docker`";
            return Err(Refusal::Wrong(what.to_owned(), Some(help.to_owned())));
        }
        Ok(())
    }

    /// Asks for what is missing.
    fn ask(&mut self, ask: Ask<'_>) -> Result<(), Refusal> {
        if self.host.is_none() || self.user.is_none() {
            let question = match (&self.host, &self.user) {
                (Some(_), _) => "Who logs in there, by SSH? (such as deploy; best with sudo)\n> ",
                (None, Some(_)) => "Which host? (such as ci-1.example.com)\n> ",
                (None, None) => "Which host, and who logs in there by SSH? (such as deploy@ci-1.example.com)\n> ",
            };
            self.put(ask, question, |known, answer| match (&known.host, &known.user) {
                (Some(_), _) => known.user = Some(answer.to_owned()),
                (None, Some(_)) => known.host = Some(answer.to_owned()),
                (None, None) => {
                    // Without a user the whole is asked for again.
                    let (user, host) = answer.split_once('@').unwrap_or(("", answer));
                    (known.user, known.host) = (Some(user.to_owned()), Some(host.to_owned()));
                }
            })?;
        }
        if self.gitlab.is_none() {
            let question = "Which GitLab? (its address, such as https://gitlab.example.com)\n> ";
            self.put(ask, question, |known, answer| known.gitlab = Some(answer.to_owned()))?;
        }
        let whole = match self.manager {
            None => false,
            Some(Manager::Container) => true,
            Some(Manager::Package) => self.executor.is_some(),
        };
        if !whole {
            self.ask_how(ask)?;
        }
        if self.scope.is_none() && self.needs_scope() {
            let question = match self.executor {
                Some(Executor::Shell) => {
                    "Which project may use it? Jobs in a shell share the host. (such as acme/app)\n> "
                }
                _ => "Which group may use it? Instance runners of gitlab.com are GitLab's. (such as acme)\n> ",
            };
            let shell = self.executor == Some(Executor::Shell);
            self.put(ask, question, |known, answer| {
                let path = answer.to_owned();
                known.scope = Some(if shell { Scope::Project(path) } else { Scope::Group(path) });
            })?;
        }
        Ok(())
    }

    fn ask_how(&mut self, ask: Ask<'_>) -> Result<(), Refusal> {
        let all = [
            ("gitlab-runner in a container, jobs in Docker containers", Manager::Container, Executor::Docker),
            ("gitlab-runner as a service, jobs in Docker containers", Manager::Package, Executor::Docker),
            ("gitlab-runner as a service, jobs in the host's shell", Manager::Package, Executor::Shell),
        ];
        let fits = |manager: Manager, executor: Executor| {
            self.manager.is_none_or(|known| known == manager) && self.executor.is_none_or(|known| known == executor)
        };
        let ways: Vec<_> = all.into_iter().filter(|(_, manager, executor)| fits(*manager, *executor)).collect();
        if let [(_, manager, executor)] = ways.as_slice() {
            (self.manager, self.executor) = (Some(*manager), Some(*executor));
            return Ok(());
        }
        let mut question = "How is it to run?\n".to_owned();
        for (number, (words, ..)) in ways.iter().enumerate() {
            question += &format!("  {}  {words}\n", number + 1);
        }
        question += "> ";
        // Until it is one of these, or the input is at its end.
        loop {
            let answer = ask(&question).ok_or_else(gone)?;
            let chosen = answer.trim().parse::<usize>().ok().and_then(|number| ways.get(number.checked_sub(1)?));
            if let Some((_, manager, executor)) = chosen {
                (self.manager, self.executor) = (Some(*manager), Some(*executor));
                return Ok(());
            }
            question = format!("Write a number from 1 to {}.\n> ", ways.len());
        }
    }

    /// Asks until the answer fits.
    fn put(&mut self, ask: Ask<'_>, question: &str, take: impl Fn(&mut Self, &str)) -> Result<(), Refusal> {
        let mut question = question.to_owned();
        loop {
            let answer = ask(&question).ok_or_else(gone)?;
            if answer.trim().is_empty() {
                continue;
            }
            let mut tried = self.clone();
            take(&mut tried, answer.trim());
            match tried.check() {
                Ok(()) => {
                    *self = tried;
                    return Ok(());
                }
                Err(Refusal::Wrong(what, help)) => {
                    // Who is asked gave no option.
                    let what = what.split_once(": ").map_or(&*what, |(_, what)| what);
                    let help = help.map(|help| format!("; {help}")).unwrap_or_default();
                    question = format!("{}{help}\n> ", what.replace("``", "that"));
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// GitLab's own service has no instance runners of its customers', and a shell is for one project.
    fn needs_scope(&self) -> bool {
        let gitlab = self.gitlab.as_deref().unwrap_or_default().to_ascii_lowercase();
        let address = gitlab.split("://").nth(1).unwrap_or_default();
        let host = address.split(['/', ':']).next().unwrap_or_default();
        self.executor == Some(Executor::Shell) || matches!(host, "gitlab.com" | "www.gitlab.com")
    }

    fn whole(self) -> Result<Answers, Refusal> {
        let executor = match (self.manager, self.executor) {
            (Some(Manager::Container), None) => Some(Executor::Docker),
            (_, executor) => executor,
        };
        let with = Self { executor, ..self };
        let scope = match (&with.scope, executor) {
            (None, Some(Executor::Shell)) => Some("--project"),
            (None, _) if with.needs_scope() => Some("--group"),
            _ => None,
        };
        let missing = [
            with.host.is_none().then_some("--host"),
            with.user.is_none().then_some("--user"),
            with.gitlab.is_none().then_some("--gitlab"),
            with.manager.is_none().then_some("--manager"),
            // A container leaves no choice.
            (executor.is_none() && with.manager.is_some()).then_some("--executor"),
            scope,
        ];
        match with {
            Self { host: Some(host), user: Some(user), gitlab: Some(gitlab), manager: Some(manager), .. }
                if scope.is_none() && executor.is_some() =>
            {
                let gitlab = gitlab.trim_end_matches('/').to_owned();
                let scope = with.scope.unwrap_or(Scope::Instance);
                Ok(Answers { host, user, gitlab, manager, executor: executor.unwrap_or(Executor::Docker), scope })
            }
            _ => Err(Refusal::Missing(missing.into_iter().flatten().collect())),
        }
    }
}

fn gone() -> Refusal {
    Refusal::Wrong("there was no answer, so nothing was written".to_owned(), None)
}

/// What the inventory takes, and nothing that it would render.
fn sound(text: &str, format: Format) -> Result<(), Bad> {
    if text.is_empty() {
        let (message, help) = match format {
            Format::User => ("names no user", "such as deploy@ci-1.example.com"),
            _ => ("is no answer", "leave nothing out"),
        };
        return Err(Bad { message: message.to_owned(), help: Some(help.to_owned()) });
    }
    if text.contains("{{") || text.contains("{%") {
        return Err(Bad { message: "holds a template".to_owned(), help: Some("write the value itself".to_owned()) });
    }
    format.check(text)
}

impl Answers {
    /// The inventory's text.
    pub(super) fn inventory(&self) -> Result<String, String> {
        let (manager, executor) = (self.manager, self.executor);
        let scope = match &self.scope {
            Scope::Instance => "instance".to_owned(),
            Scope::Group(path) => format!("{{ group: {} }}", scalar(path)),
            Scope::Project(path) => format!("{{ project: {} }}", scalar(path)),
        };
        let executor = match executor {
            Executor::Docker => "docker",
            Executor::Shell => "shell",
        };
        let text = |text: &str| Value::from(text);
        let values = template::map([
            ("gitlab", text(&scalar(&self.gitlab))),
            ("host", text(&scalar(&self.host))),
            ("user", text(&scalar(&self.user))),
            ("root", Value::from(self.user == "root")),
            ("scope", text(&scope)),
            ("runner", text(executor)),
            ("executor", text(executor)),
            ("docker", Value::from(executor == "docker")),
            ("manager", text(if manager == Manager::Container { "container" } else { "package" })),
            ("version", text(RUNNER_VERSION)),
        ]);
        let rendered = Engine::new(std::collections::BTreeMap::new()).render("inventory.yml.j2", TEMPLATE, &values);
        rendered.map(|text| text.redacted()).map_err(|problem| problem.message)
    }
}

/// A text as YAML has it, also within `{ }`: bare where it can mean nothing else.
pub(super) fn scalar(text: &str) -> String {
    let (address, path) = text.split_once("://").unwrap_or(("", text));
    let plain = |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&&*text.to_ascii_lowercase());
    if begins && !word && plain(address, "") && plain(path, "._/-") {
        return text.to_owned();
    }
    // A JSON string is one of YAML too.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
