//! `--untrusted`: what an inventory that somebody pushed may make rprov do. It gets what the target branch's inventory, which
//! somebody approved, does already: its hosts as that one reaches them, its secrets for what that one uses them for, its
//! GitLab with the token that that one names. Everything else is refused, and said.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::apply::Refused;
use crate::desired::shown::Shown;
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::inventory;
use crate::inventory::model::{
    Connection, HostSpec, Inventory, RepositoryKey, SecretKind, SecretSource, SshConfig, SshSpec,
};
use crate::local_file::Within;
use crate::plan::Problem;
use crate::resource::variable::Variable;
use crate::secret::SecretId;
use crate::text::in_quotes;

use super::args::{Format, Global, UntrustedArgs};
use super::console::Console;
use super::exit::Exit;
use super::{input, needed};

/// An inventory of which only that is left which may be used, and what is refused.
pub(super) struct Untrusted {
    pub(super) inventory: Inventory,
    pub(super) refused: Refused,
    /// Secrets of the target branch's inventory that hosts hold: nothing that is shown may hold them.
    pub(super) kept_out: BTreeSet<SecretId>,
    /// Every word of the pushed inventory, as its files and what was read of them have it.
    pub(super) pushed: String,
}

/// Whether this is a job of a merge request's pipeline, where the inventory at hand is the one that somebody pushed.
pub(super) fn in_merge_request() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    set("CI_MERGE_REQUEST_IID")
        || std::env::var_os("CI_PIPELINE_SOURCE").is_some_and(|from| from == "merge_request_event")
}

/// Refuses what does as the inventory says and has no way to do less.
pub(super) fn refuse_in_merge_request(command: &str, console: &Console) -> Result<(), Exit> {
    if !in_merge_request() {
        return Ok(());
    }
    let problem =
        format!("`{command}` is not for a merge request's pipeline: it would do whatever the pushed inventory says");
    let help = "`rprov plan --untrusted` shows what the merge request would change; run this one for the target branch";
    Err(console.stop(Diagnostic::error(problem).help(help)))
}

/// Reads both inventories and says what is refused.
pub(super) fn inventory(
    global: &Global,
    args: &UntrustedArgs,
    format: Format,
    console: &Console,
) -> Result<Untrusted, Exit> {
    let pushed = input::confined_inventory(global, format, console)?;
    let trusted = trusted(global, args, console)?;
    let job = std::env::var("CI_SERVER_URL").ok().filter(|url| !url.is_empty());
    let gitlabs: Vec<String> = args.gitlab_url.iter().cloned().chain(job).collect();
    let file = args.trusted_inventory.as_deref().unwrap_or(Path::new(""));
    let within = Within::directory_of(file).ok();
    let grounds = Grounds {
        pushed: directory(&global.inventory),
        trusted: directory(file),
        gitlabs: &gitlabs,
        is_set: &|name| std::env::var_os(name).is_some(),
        holds: &|path| within.as_ref().is_some_and(|within| within.holds(path)),
    };
    let (judged, told) = grounds.judge(pushed, trusted);
    console.problems(&told, &judged.inventory.sources);
    Ok(judged)
}

/// The target branch's inventory; `None`: there is none, which is said.
fn trusted(global: &Global, args: &UntrustedArgs, console: &Console) -> Result<Option<Inventory>, Exit> {
    const NOTHING: &str = "so no host is connected to, no secret is read, and GitLab is not asked";
    let Some(file) = &args.trusted_inventory else {
        let warning = Diagnostic::warning(format!("no inventory of the target branch is named, {NOTHING}"));
        console.note(warning.help("`--trusted-inventory FILE` names it; `rprov init ci` writes how a job gets it"));
        return Ok(None);
    };
    let pushed = Within::directory_of(&global.inventory).ok();
    if pushed.is_some_and(|pushed| pushed.holds(file)) {
        let problem = format!("{} lies in the directory of the inventory that is not trusted", file.display());
        let help =
            "whoever pushed the one could have pushed the other: fetch the target branch into a directory elsewhere";
        return Err(console.stop(Diagnostic::error(problem).help(help)));
    }
    if !file.exists() {
        let warning = format!("the target branch has no inventory ({} is not there), {NOTHING}", file.display());
        console.note(Diagnostic::warning(warning));
        return Ok(None);
    }
    match inventory::load_confined(file) {
        Ok(inventory) => Ok(Some(inventory)),
        Err(failure) => {
            let first = failure.diagnostics.iter().find(|problem| problem.severity == Severity::Error);
            let why = first.map(|problem| match &problem.span {
                Some(span) => format!("{span}: {}", problem.message),
                None => problem.message.clone(),
            });
            let warning = Diagnostic::warning(format!("the target branch's inventory cannot be used, {NOTHING}"));
            console.note(warning.help(why.unwrap_or_default()));
            Ok(None)
        }
    }
}

/// Every word of an inventory: as it was written, as it was read (a template joins pieces), and as that is written between quotes.
fn words(inventory: &Inventory) -> String {
    let read = format!("{:?}", (&inventory.gitlab, &inventory.hosts, &inventory.groups));
    let values = std::cell::RefCell::new(String::new());
    let _ = in_quotes(&read, &|value| {
        values.borrow_mut().push_str(value);
        values.borrow_mut().push('\n');
        value.to_owned()
    });
    let written = inventory.sources.0.iter().map(|(file, text)| format!("{file}\n{text}\n"));
    written.chain([values.into_inner(), read]).collect()
}

/// The directory of an inventory, as paths in it are written.
fn directory(inventory: &Path) -> PathBuf {
    let parent = inventory.parent().unwrap_or(Path::new(""));
    parent.components().filter(|part| *part != Component::CurDir).collect()
}

/// What a secret is good for: a name that is used for something is not thereby good for something else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// Text on hosts: files, config.toml, environments, what the clean-up tells.
    Content,
    /// The value of a CI/CD variable.
    Variable,
    /// A password for this registry.
    Registry(String),
}

/// What a judgement stands on.
struct Grounds<'a> {
    pushed: PathBuf,
    trusted: PathBuf,
    /// GitLabs that the token may be sent to.
    gitlabs: &'a [String],
    /// Whether there is such a variable in the environment.
    is_set: &'a dyn Fn(&str) -> bool,
    /// Whether a path lies in the trusted inventory's directory.
    holds: &'a dyn Fn(&Path) -> bool,
}

fn refusal(why: &str, at: &Span) -> Problem {
    Problem { message: format!("refused: {why} ({at})"), help: None, unknown_only: false }
}

/// Without the place, which a diagnostic has beside it.
fn plain(message: &str, at: &Span) -> String {
    message.strip_suffix(&format!(" ({at})")).unwrap_or(message).to_owned()
}

impl Grounds<'_> {
    fn judge(&self, pushed: Inventory, trusted: Option<Inventory>) -> (Untrusted, Vec<Diagnostic>) {
        let mut told = Vec::new();
        let words = words(&pushed);
        let mut out =
            Untrusted { inventory: pushed, refused: Refused::default(), kept_out: BTreeSet::new(), pushed: words };
        let wanted = uses(&out.inventory);
        let declared = std::mem::take(&mut out.inventory.secrets);
        match &trusted {
            Some(trusted) => {
                out.inventory.sources.0.extend(trusted.sources.0.clone());
                self.content(&wanted, declared, trusted, &mut out, &mut told);
                self.gitlab(trusted, &mut out, &mut told);
                self.hosts(trusted, &mut out, &mut told);
            }
            None => {
                let why = "there is no inventory of the target branch that would have it";
                for host in &out.inventory.hosts {
                    out.refused.hosts.insert(host.name.clone(), refusal(why, &host.origin));
                }
                out.refused.gitlab = out.inventory.gitlab.as_ref().map(|gitlab| refusal(why, &gitlab.origin));
            }
        }
        (out, told)
    }

    /// Secrets that stand in what hosts and GitLab are to hold.
    fn content(
        &self,
        wanted: &BTreeMap<SecretId, BTreeSet<Use>>,
        declared: BTreeMap<SecretId, SecretSource>,
        trusted: &Inventory,
        out: &mut Untrusted,
        told: &mut Vec<Diagnostic>,
    ) {
        let of_trusted = uses(trusted);
        let mut known: BTreeMap<String, (&SecretSource, &BTreeSet<Use>)> = BTreeMap::new();
        for (id, uses) in &of_trusted {
            if let Some(source) = trusted.secrets.get(id)
                && let Some(name) = name(&source.kind, &self.trusted)
            {
                known.insert(name, (source, uses));
            }
        }
        for (id, source) in declared {
            let Some(uses) = wanted.get(&id) else { continue };
            let own = name(&source.kind, &self.pushed);
            let ground = own.as_ref().and_then(|name| known.get(name));
            match ground {
                Some((trusted, known)) if uses.is_subset(known) => {
                    // Where it is read is the trusted inventory's word, where that is reported is this one's.
                    let source = SecretSource { kind: trusted.kind.clone(), origin: source.origin };
                    self.read(id, source, out, told);
                }
                other => told.push(withheld(&source, other.is_some())),
            }
        }
        for id in of_trusted.keys() {
            let Some(source) = trusted.secrets.get(id) else { continue };
            let readable = match &source.kind {
                SecretKind::Env(name) => (self.is_set)(name),
                SecretKind::File(path) => (self.holds)(path),
                SecretKind::Command(_) => false,
            };
            if readable {
                let id = renamed(id);
                out.inventory.secrets.insert(id.clone(), source.clone());
                out.kept_out.insert(id);
            }
        }
    }

    /// Lets a secret be read, if it can be without starting a program or leaving the directory.
    fn read(&self, id: SecretId, source: SecretSource, out: &mut Untrusted, told: &mut Vec<Diagnostic>) -> bool {
        let refused = match &source.kind {
            SecretKind::Command(words) => {
                let program = words.first().map(String::as_str).unwrap_or_default();
                Some(format!("refused: `{program}` is not started, so the secret that it prints is not known"))
            }
            SecretKind::File(path) if !(self.holds)(path) => {
                let path = path.display();
                Some(format!("refused: {path} is not read: it lies outside the inventory's directory"))
            }
            SecretKind::Env(name) if !(self.is_set)(name) => {
                Some(format!("the environment variable {name} is not set, so what needs it is not known"))
            }
            SecretKind::File(_) | SecretKind::Env(_) => None,
        };
        match refused {
            Some(why) => {
                told.push(Diagnostic::warning(why).at(&source.origin));
                false
            }
            None => {
                out.inventory.secrets.insert(id, source);
                true
            }
        }
    }

    /// A secret of the trusted inventory under a name that no other use of it in the pushed one has.
    fn take(&self, id: &SecretId, trusted: &Inventory, out: &mut Untrusted, told: &mut Vec<Diagnostic>) -> SecretId {
        let own = renamed(id);
        if !out.inventory.secrets.contains_key(&own)
            && let Some(source) = trusted.secrets.get(id)
        {
            self.read(own.clone(), source.clone(), out, told);
        }
        own
    }

    /// Whether both name the same secret.
    fn same(&self, pushed: Option<&SecretKind>, trusted: Option<&SecretKind>) -> bool {
        match (pushed, trusted) {
            (None, None) => true,
            (Some(SecretKind::Command(pushed)), Some(SecretKind::Command(trusted))) => pushed == trusted,
            (Some(pushed), Some(trusted)) => {
                name(pushed, &self.pushed).is_some_and(|own| Some(own) == name(trusted, &self.trusted))
            }
            _ => false,
        }
    }

    fn gitlab(&self, trusted: &Inventory, out: &mut Untrusted, told: &mut Vec<Diagnostic>) {
        let Some(mut gitlab) = out.inventory.gitlab.take() else { return };
        let Some(own) = &trusted.gitlab else {
            let why = "the target branch's inventory names no GitLab, so no token is sent to this one";
            let problem = refusal(why, &gitlab.origin);
            told.push(Diagnostic::warning(plain(&problem.message, &gitlab.origin)).at(&gitlab.origin));
            out.refused.gitlab = Some(problem);
            gitlab.api_token = renamed(&gitlab.api_token);
            out.inventory.gitlab = Some(gitlab);
            return;
        };
        let allowed = self.gitlabs.iter().any(|known| same_url(known, &gitlab.url));
        if !allowed {
            let known: Vec<&str> = self.gitlabs.iter().map(String::as_str).collect();
            let known = if known.is_empty() {
                "neither CI_SERVER_URL nor --gitlab-url names one".to_owned()
            } else {
                format!("only to {}", known.join(", "))
            };
            let why = format!("the API token is not sent to {}: {known}", gitlab.url);
            out.refused.gitlab = Some(refusal(&why, &gitlab.origin));
        } else if gitlab.api_token != own.api_token && !same_name(&gitlab.api_token, &own.api_token, self) {
            let why = "`api_token` names another secret than the target branch's inventory";
            out.refused.gitlab = Some(refusal(why, &gitlab.origin));
        }
        if let Some(problem) = &out.refused.gitlab {
            told.push(Diagnostic::warning(plain(&problem.message, &gitlab.origin)).at(&gitlab.origin));
        }
        if out.refused.gitlab.is_none() {
            gitlab.api_token = self.take(&own.api_token, trusted, out, told);
            if same_url(&own.url, &gitlab.url) {
                out.refused.ca_pem.clone_from(&own.ca_pem);
                out.refused.variables = own.variables.iter().map(|one| Variable(one.clone()).key()).collect();
                for variable in &mut gitlab.variables {
                    let key = Variable(variable.clone()).key();
                    let same = own.variables.iter().find(|own| Variable((*own).clone()).key() == key);
                    // What GitLab has is shown if the target branch says so.
                    variable.show &= same.is_some_and(|own| own.show && !own.value.is_tainted());
                }
            }
        } else {
            // Under this name nothing is read.
            gitlab.api_token = renamed(&gitlab.api_token);
            out.inventory.secrets.remove(&gitlab.api_token);
        }
        out.inventory.gitlab = Some(gitlab);
    }

    fn hosts(&self, trusted: &Inventory, out: &mut Untrusted, told: &mut Vec<Diagnostic>) {
        let mut hosts = std::mem::take(&mut out.inventory.hosts);
        for host in &mut hosts {
            let Some(own) = trusted.hosts.iter().find(|own| own.name == host.name) else {
                let why = "the target branch's inventory does not have this host, so it is not connected to";
                out.refused.hosts.insert(host.name.clone(), refusal(why, &host.origin));
                continue;
            };
            match self.connection(host, own) {
                Ok(ssh) => {
                    let mut ssh = ssh.clone();
                    ssh.become_password = ssh.become_password.map(|id| self.take(&id, trusted, out, told));
                    ssh.identity_passphrase = ssh.identity_passphrase.map(|id| self.take(&id, trusted, out, told));
                    host.connection = Connection::Ssh(Box::new(ssh));
                    let mut shown = Shown::of(own, trusted.gitlab.as_ref());
                    shown.narrow(host, own);
                    out.refused.shown.insert(host.name.clone(), shown);
                }
                Err(problem) => drop(out.refused.hosts.insert(host.name.clone(), problem)),
            }
        }
        for own in &trusted.hosts {
            let repositories = crate::desired::repositories(own);
            out.refused.keys.extend(repositories.iter().filter_map(|repository| match &repository.spec.key {
                Some(RepositoryKey::Fetched { url, .. }) => Some(url.clone()),
                _ => None,
            }));
        }
        out.inventory.hosts = hosts;
    }

    /// How the trusted inventory reaches a host, if this one does it in the same way.
    fn connection<'t>(&self, host: &HostSpec, own: &'t HostSpec) -> Result<&'t SshSpec, Problem> {
        let local = "`connection: local` would run programs on this machine, which is not done here";
        let (ssh, other) = match (&host.connection, &own.connection) {
            (Connection::Ssh(ssh), Connection::Ssh(other)) => (ssh, other),
            _ => return Err(refusal(local, &host.origin)),
        };
        let files = |own: &[PathBuf], other: &[PathBuf]| {
            own.len() == other.len() && own.iter().zip(other).all(|(own, other)| self.same_path(own, other))
        };
        let config = match (&ssh.config, &other.config) {
            (SshConfig::File(own), SshConfig::File(other)) => self.same_path(own, other),
            (own, other) => own == other,
        };
        let secret = |own: Option<&SecretId>, other: Option<&SecretId>| match (own, other) {
            (None, None) => true,
            (Some(own), Some(other)) => own == other || same_name(own, other, self),
            _ => false,
        };
        let differs: Vec<&str> = [
            ("address", ssh.address == other.address),
            ("port", ssh.port == other.port),
            ("user", ssh.user == other.user),
            ("become", ssh.sudo == other.sudo),
            ("become_password", secret(ssh.become_password.as_ref(), other.become_password.as_ref())),
            ("identity_passphrase", secret(ssh.identity_passphrase.as_ref(), other.identity_passphrase.as_ref())),
            ("identity_file", files(&ssh.identity_files, &other.identity_files)),
            ("certificate_file", files(&ssh.certificate_files, &other.certificate_files)),
            ("known_hosts", files(&ssh.known_hosts, &other.known_hosts)),
            ("config", config),
            ("proxy_jump", ssh.proxy_jump == other.proxy_jump),
        ]
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(key, _)| key)
        .collect();
        if differs.is_empty() {
            return Ok(other);
        }
        let keys = differs.iter().map(|key| format!("`ssh.{key}`")).collect::<Vec<_>>().join(", ");
        let why = format!("{keys} differs from the target branch's inventory, so the host is not connected to");
        Err(refusal(&why, &ssh.origin))
    }

    /// Whether two paths name the same place, each seen from its own inventory.
    fn same_path(&self, pushed: &Path, trusted: &Path) -> bool {
        match (pushed.strip_prefix(&self.pushed), trusted.strip_prefix(&self.trusted)) {
            (Ok(pushed), Ok(trusted)) if pushed.is_relative() && trusted.is_relative() => pushed == trusted,
            _ => pushed.is_absolute() && pushed == trusted,
        }
    }
}

/// Whether two ids of secrets, each seen from its own inventory, mean the same one.
fn same_name(pushed: &SecretId, trusted: &SecretId, grounds: &Grounds<'_>) -> bool {
    let path = |id: &SecretId| id.as_str().strip_prefix("file:").map(PathBuf::from);
    match (path(pushed), path(trusted)) {
        (Some(pushed), Some(trusted)) => {
            grounds.same(Some(&SecretKind::File(pushed)), Some(&SecretKind::File(trusted)))
        }
        _ => pushed == trusted,
    }
}

/// Under this name a secret is used for what the trusted inventory uses it for, and for nothing else.
fn renamed(id: &SecretId) -> SecretId {
    SecretId::new(format!("{} of the target branch", id.as_str()))
}

/// What two inventories call the same secret; `None`: there is no saying.
fn name(kind: &SecretKind, directory: &Path) -> Option<String> {
    match kind {
        SecretKind::Env(name) => Some(format!("env:{name}")),
        SecretKind::File(path) if path.is_relative() || path.starts_with(directory) => {
            path.strip_prefix(directory).ok().map(|path| format!("file:{}", path.display()))
        }
        SecretKind::File(path) => Some(format!("file:{}", path.display())),
        SecretKind::Command(words) => Some(format!("command:{}", words.join("\0"))),
    }
}

fn withheld(source: &SecretSource, known: bool) -> Diagnostic {
    let what = match &source.kind {
        SecretKind::Env(name) => format!("the environment variable {name}"),
        SecretKind::File(path) => path.display().to_string(),
        SecretKind::Command(words) => format!("`{}`", words.first().map(String::as_str).unwrap_or_default()),
    };
    let why = match known {
        true => "the target branch's inventory uses it for something else",
        false => "the target branch's inventory does not use it",
    };
    let done = if matches!(source.kind, SecretKind::Command(_)) { "started" } else { "read" };
    let warning = Diagnostic::warning(format!("refused: {what} is not {done}: {why}")).at(&source.origin);
    warning.help("what needs this secret is not known before the merge")
}

/// What an inventory uses its secrets for, but for what opens GitLab and hosts.
fn uses(inventory: &Inventory) -> BTreeMap<SecretId, BTreeSet<Use>> {
    let mut all: BTreeMap<SecretId, BTreeSet<Use>> = BTreeMap::new();
    let mut add = |ids: BTreeSet<SecretId>, what: &Use| {
        ids.into_iter().for_each(|id| {
            all.entry(id).or_default().insert(what.clone());
        });
    };
    for host in &inventory.hosts {
        add(needed::content(host), &Use::Content);
        for login in crate::desired::logins(host) {
            add(BTreeSet::from([login.password.clone()]), &Use::Registry(login.registry.clone()));
        }
    }
    if let Some(gitlab) = &inventory.gitlab {
        add(needed::variables(gitlab), &Use::Variable);
    }
    all
}

/// Whether two addresses are the same server and path, whoever reads them: in another way of writing they are not the same.
fn same_url(one: &str, other: &str) -> bool {
    fn plain(url: &str) -> Option<(String, String, &str)> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(usual).unwrap_or(&host).to_owned();
        let odd = |c: char| c.is_whitespace() || c.is_control() || "@\\?#%".contains(c);
        let known = matches!(scheme.as_str(), "https" | "http") && !host.is_empty();
        (known && !host.contains(odd) && !path.contains(odd)).then(|| (scheme, host, path.trim_end_matches('/')))
    }
    plain(one).is_some_and(|one| Some(one) == plain(other))
}

#[cfg(test)]
mod tests;
