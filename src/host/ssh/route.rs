//! From the inventory's wishes and ssh_config to where a connection goes, and through which hosts. Opens nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::config::{
    self, Answer, Config, Here, Oracle, Place, Proxy, Question, Set, Stopped, There, Wrong, environment,
};
use super::local_user::LocalUser;
use super::settings::{Agent, Hop, Label, Settings, Via};
use crate::host::HostError;
use crate::inventory::model::{JumpSpec, SshConfig, SshSpec};

/// Jump hosts behind jump hosts. More is a circle.
const DEPTH: usize = 16;

/// Finds ways; keeps what it has read.
#[derive(Debug, Default)]
pub(super) struct Guide {
    read: Mutex<HashMap<SshConfig, Result<Arc<Config>, HostError>>>,
    here: OnceCell<Here>,
    oracle: Oracle,
    no_programs: bool,
}

impl Guide {
    /// Refuses what would start a program of this machine.
    pub(super) fn without_programs(self) -> Self {
        Self { no_programs: true, ..self }
    }

    /// The way to a host of the inventory.
    pub(super) async fn way(&self, spec: &SshSpec, local: &LocalUser) -> Result<Hop, HostError> {
        let here = self.here.get_or_try_init(|| async {
            let name = if self.no_programs { local.name_on_file() } else { local.name().await };
            let user = name.map_err(|why| HostError::Connect { address: spec.address.clone(), why })?;
            Ok(config::here(local, user))
        });
        let here = here.await?;
        let wish = Wish {
            host: spec.address.clone(),
            port: spec.port,
            user: spec.user.clone(),
            jump: spec.proxy_jump.clone(),
            label: Label::default(),
        };
        let config = self.config(&spec.config, local, here)?;
        let run = Run { guide: self, config: &config, here, spec };
        run.hop(wish, 0).await
    }

    fn config(&self, which: &SshConfig, local: &LocalUser, here: &Here) -> Result<Arc<Config>, HostError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let load = || Config::load(which, local, here).map(Arc::new).map_err(wrong);
        read.entry(which.clone()).or_insert_with(load).clone()
    }
}

/// Where to, before ssh_config is asked.
struct Wish {
    host: String,
    port: Option<u16>,
    user: Option<String>,
    /// Hosts to go through; `None`: as ssh_config says.
    jump: Option<Vec<JumpSpec>>,
    label: Label,
}

/// The way to one host of the inventory.
struct Run<'a> {
    guide: &'a Guide,
    config: &'a Config,
    here: &'a Here,
    spec: &'a SshSpec,
}

impl Run<'_> {
    async fn hop(&self, wish: Wish, depth: usize) -> Result<Hop, HostError> {
        let question = Question { host: &wish.host, user: wish.user.as_deref(), local_user: &self.here.user };
        let answer = match self.config.of(question) {
            Ok(answer) => answer,
            Err(Stopped::Wrong(why)) => return Err(wrong(why)),
            Err(Stopped::AskSsh { what, place }) if self.guide.no_programs => return Err(no_program(&what, &place)),
            Err(Stopped::AskSsh { what, place }) => {
                let asked = self.guide.oracle.ask(self.config, question, wish.port, (&what, &place));
                asked.await.map_err(wrong)?
            }
        };
        let address = answer.host_name.as_ref().map_or_else(|| wish.host.clone(), |name| name.value.clone());
        let there = There {
            original: wish.host.clone(),
            host: address.to_lowercase(),
            port: wish.port.or(value(answer.port.as_ref())).unwrap_or(22),
            user: wish.user.clone().or(value(answer.user.as_ref())).unwrap_or_else(|| self.here.user.clone()),
            alias: value(answer.host_key_alias.as_ref()),
            jump: jumps(&answer),
        };
        let settings = self.settings(&wish, &answer, &there, depth > 0)?;
        let via = self.via(&wish, &answer, &there, depth).await?;
        Ok(Hop { settings, via, label: wish.label })
    }

    fn settings(&self, wish: &Wish, answer: &Answer, there: &There, jump: bool) -> Result<Settings, HostError> {
        if let Some(Set { value, place }) = &answer.revoked_host_keys
            && value.iter().any(|file| file != "none")
        {
            let help = "mark these keys @revoked in a known_hosts file, and take the line out for this host";
            let why = "RevokedHostKeys is not supported, and must not be passed over".to_owned();
            return Err(wrong(Wrong { place: place.clone(), why, help: Some(help.to_owned()) }));
        }
        let known = |own: Option<&Set<Vec<String>>>, usual: &[&str]| match own {
            None => usual.iter().map(|path| self.usual(path)).collect(),
            Some(set) => self.paths(set.value.iter().map(|text| (text, &set.place)), there),
        };
        let mut known_hosts = Vec::new();
        if answer.user_known_hosts.is_some() || answer.global_known_hosts.is_some() {
            known_hosts = known(answer.user_known_hosts.as_ref(), &["~/.ssh/known_hosts", "~/.ssh/known_hosts2"])?;
            let global = &["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];
            known_hosts.extend(known(answer.global_known_hosts.as_ref(), global)?);
            if known_hosts.is_empty() {
                // No file at all is what was asked for, which is not the same as nothing said.
                known_hosts.push(PathBuf::from("/dev/null"));
            }
        }
        let files = |named: &[Set<String>]| self.paths(named.iter().map(|set| (&set.value, &set.place)), there);
        let identity_files = files(&answer.identity_files)?;
        // Of the host itself, the inventory's own word counts first. Of a jump host it does where ssh_config has none:
        // these are the user's keys and the hosts that the user knows, wherever they are shown.
        let choose = |inventory: &Vec<PathBuf>, config: Vec<PathBuf>| {
            let first = if jump { !config.is_empty() } else { inventory.is_empty() };
            if first { config } else { inventory.clone() }
        };
        let own_keys = !self.spec.identity_files.is_empty();
        let no_usual_files = !answer.identity_files.is_empty() && identity_files.is_empty() && (jump || !own_keys);
        let identity_files =
            if no_usual_files { identity_files } else { choose(&self.spec.identity_files, identity_files) };
        let timeout = value(answer.connect_timeout.as_ref()).filter(|seconds| *seconds > 0);
        Ok(Settings {
            address: there.host.clone(),
            port: there.port,
            user: Some(there.user.clone()),
            identity_files,
            identities_only: value(answer.identities_only.as_ref()).unwrap_or_default(),
            no_usual_files,
            certificate_files: choose(&self.spec.certificate_files, files(&answer.certificate_files)?),
            agent: self.agent(answer.identity_agent.as_ref(), there)?,
            known_hosts: choose(&self.spec.known_hosts, known_hosts),
            host_key_alias: there.alias.clone(),
            connect_timeout: self.spec.connect_timeout.or(timeout).unwrap_or(10),
            family: value(answer.family.as_ref()).unwrap_or_default(),
            bind_address: value(answer.bind_address.as_ref()),
            algorithms: answer.algorithms.iter().map(|(kind, set)| (*kind, set.value.clone())).collect(),
            origins: origins(wish, answer),
        })
    }

    fn usual(&self, path: &str) -> Result<PathBuf, HostError> {
        let home = self.here.home.as_deref();
        Ok(match (path.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        })
    }

    /// Files by name; `none` is none.
    fn paths<'t>(
        &self,
        texts: impl Iterator<Item = (&'t String, &'t Place)>,
        there: &There,
    ) -> Result<Vec<PathBuf>, HostError> {
        let texts = texts.filter(|(text, _)| !text.eq_ignore_ascii_case("none"));
        texts.map(|(text, place)| self.path(text, place, there)).collect()
    }

    fn path(&self, text: &str, place: &Place, there: &There) -> Result<PathBuf, HostError> {
        let path = config::path(text, self.here, Some(there), &environment);
        path.map_err(|why| wrong(Wrong { place: place.clone(), why: format!("`{text}`: {why}"), help: None }))
    }

    fn agent(&self, named: Option<&Set<String>>, there: &There) -> Result<Agent, HostError> {
        let Some(Set { value, place }) = named else { return Ok(Agent::Usual) };
        Ok(match value.as_str() {
            "SSH_AUTH_SOCK" => Agent::Usual,
            text if text.eq_ignore_ascii_case("none") => Agent::Nobody,
            text => match text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
                Some(name) => environment(name).map_or(Agent::Nobody, |socket| Agent::Socket(PathBuf::from(socket))),
                None => Agent::Socket(self.path(text, place, there)?),
            },
        })
    }

    async fn via(&self, wish: &Wish, answer: &Answer, there: &There, depth: usize) -> Result<Via, HostError> {
        let (jumps, from) = match (&wish.jump, &answer.proxy) {
            (Some(jumps), _) => (jumps, None),
            (None, None) => return Ok(Via::Direct),
            (None, Some(Set { value: Proxy::Command(text), .. })) if text.eq_ignore_ascii_case("none") => {
                return Ok(Via::Direct);
            }
            (None, Some(Set { value: Proxy::Command(_), place })) if self.guide.no_programs => {
                return Err(no_program("ProxyCommand", place));
            }
            (None, Some(Set { value: Proxy::Command(text), place })) => {
                let bad = |why: &str, help| wrong(Wrong { place: place.clone(), why: why.to_owned(), help });
                if value(answer.fdpass.as_ref()).unwrap_or_default() {
                    let help = "a command that passes bytes on its standard input and output, without ProxyUseFdpass";
                    return Err(bad("ProxyUseFdpass is not supported", Some(help.to_owned())));
                }
                let command = config::command(text, there).map_err(|why| bad(&format!("ProxyCommand: {why}"), None))?;
                return Ok(Via::Command(command, Label(format!("ProxyCommand ({place})"))));
            }
            (None, Some(Set { value: Proxy::Jump(jumps), place })) => (jumps, Some(place)),
        };
        let mut via = None;
        for (n, jump) in jumps.iter().enumerate() {
            let expand = |text: &str| match from {
                Some(place) => config::jump(text, there)
                    .map_err(|why| wrong(Wrong { place: place.clone(), why: format!("ProxyJump: {why}"), help: None })),
                None => Ok(text.to_owned()),
            };
            let host = expand(&jump.host)?;
            let label = match from {
                Some(place) => format!("ProxyJump {host} ({place})"),
                None => format!("`ssh.proxy_jump` {host} ({})", self.spec.origin),
            };
            if depth == DEPTH {
                let why = format!("more than {DEPTH} jump hosts behind each other: the way goes in a circle");
                let help = "`ProxyJump none` for the jump host itself, before the line that says it for all hosts";
                return Err(HostError::Config { place: label, why, help: Some(help.to_owned()) });
            }
            let wish = Wish {
                host,
                port: jump.port,
                user: jump.user.as_deref().map(expand).transpose()?,
                // The first one is reached as ssh_config says; each further one through the one before.
                jump: (n > 0).then(Vec::new),
                label: Label(label),
            };
            let mut hop = Box::pin(self.hop(wish, depth + 1)).await?;
            if let Some(before) = via.take() {
                hop.via = Via::Jump(Arc::new(before));
            }
            via = Some(hop);
        }
        Ok(via.map_or(Via::Direct, |hop| Via::Jump(Arc::new(hop))))
    }
}

fn value<T: Clone>(set: Option<&Set<T>>) -> Option<T> {
    set.map(|set| set.value.clone())
}

/// `%j`
fn jumps(answer: &Answer) -> String {
    let Some(Set { value: Proxy::Jump(jumps), .. }) = &answer.proxy else { return String::new() };
    // What ssh puts there is the last one alone.
    jumps.last().map(|jump| jump.host.clone()).unwrap_or_default()
}

/// Where the address, the port and the user come from, if ssh_config says them.
fn origins(wish: &Wish, answer: &Answer) -> Label {
    let mut parts: Vec<String> = Vec::new();
    let mut add = |name: &str, place: Option<&Place>| {
        parts.extend(place.map(|place| format!("{name} from {place}")));
    };
    add("HostName", answer.host_name.as_ref().map(|set| &set.place));
    add("Port", answer.port.as_ref().map(|set| &set.place).filter(|_| wish.port.is_none()));
    add("User", answer.user.as_ref().map(|set| &set.place).filter(|_| wish.user.is_none()));
    Label(parts.join(", "))
}

fn no_program(what: &str, place: &Place) -> HostError {
    let why = format!("refused: {what} would start a program, and none is started here");
    HostError::Config { place: place.to_string(), why, help: None }
}

fn wrong(wrong: Wrong) -> HostError {
    HostError::Config { place: wrong.place.to_string(), why: wrong.why, help: wrong.help }
}
