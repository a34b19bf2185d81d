//! What ssh_config says of one host: the first value wins, block after block. Pure.

use super::directive::{Criterion, Family, Kind, Setting, Test};
use super::file::{Block, Condition, File, Item, Place, Wrong};
use super::pattern;
use super::token;
use crate::inventory::model::JumpSpec;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Set<T> {
    pub(in super::super) value: T,
    pub(in super::super) place: Place,
}

/// How the host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Proxy {
    /// The first one first; none: directly.
    Jump(Vec<JumpSpec>),
    /// `none` included.
    Command(String),
}

/// What is said of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Answer {
    /// `%h` already replaced.
    pub(in super::super) host_name: Option<Set<String>>,
    pub(in super::super) port: Option<Set<u16>>,
    pub(in super::super) user: Option<Set<String>>,
    pub(in super::super) identity_files: Vec<Set<String>>,
    pub(in super::super) certificate_files: Vec<Set<String>>,
    pub(in super::super) identities_only: Option<Set<bool>>,
    pub(in super::super) identity_agent: Option<Set<String>>,
    pub(in super::super) proxy: Option<Set<Proxy>>,
    pub(in super::super) fdpass: Option<Set<bool>>,
    pub(in super::super) user_known_hosts: Option<Set<Vec<String>>>,
    pub(in super::super) global_known_hosts: Option<Set<Vec<String>>>,
    pub(in super::super) host_key_alias: Option<Set<String>>,
    pub(in super::super) revoked_host_keys: Option<Set<Vec<String>>>,
    pub(in super::super) connect_timeout: Option<Set<u64>>,
    pub(in super::super) family: Option<Set<Family>>,
    pub(in super::super) bind_address: Option<Set<String>>,
    pub(in super::super) algorithms: Vec<(Kind, Set<String>)>,
    canonicalize: Option<Set<bool>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Stopped {
    /// A value is wrong.
    Wrong(Wrong),
    /// Only `ssh` itself can tell: what stands in the way, and where.
    AskSsh { what: String, place: Place },
}

/// Who is asked about.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Question<'a> {
    /// As on the command line of `ssh`.
    pub(in super::super) host: &'a str,
    /// Named already, as by `ssh -l`.
    pub(in super::super) user: Option<&'a str>,
    pub(in super::super) local_user: &'a str,
}

/// Asks files, the first one first.
pub(in super::super) fn evaluate(files: &[File], question: Question<'_>) -> Result<Answer, Stopped> {
    let mut state =
        State { question, host: question.host.to_owned(), again: false, wanted: false, out: Answer::default() };
    state.files(files, true)?;
    if let Some(Set { value: true, place }) = &state.out.canonicalize {
        return Err(Stopped::AskSsh { what: "CanonicalizeHostname".to_owned(), place: place.clone() });
    }
    if state.wanted {
        state.host = state.host_name()?.to_lowercase();
        state.again = true;
        state.files(files, true)?;
    }
    if let Some(place) = state.out.host_name.as_ref().map(|name| name.place.clone()) {
        state.out.host_name = Some(Set { value: state.host_name()?, place });
    }
    Ok(state.out)
}

struct State<'a> {
    question: Question<'a>,
    /// What `Host` patterns are compared with.
    host: String,
    /// The second reading, which `Match final` asks for.
    again: bool,
    wanted: bool,
    out: Answer,
}

impl State<'_> {
    fn files(&mut self, files: &[File], active: bool) -> Result<(), Stopped> {
        files.iter().try_for_each(|file| file.0.iter().try_for_each(|block| self.block(block, active)))
    }

    fn block(&mut self, block: &Block, active: bool) -> Result<(), Stopped> {
        let meant = match &block.condition {
            Condition::Always => true,
            Condition::Host(patterns) => pattern::any(patterns.iter().map(String::as_str), &self.host),
            Condition::Match(criteria) => self.matches(criteria, &block.place, active)?,
        };
        let active = active && meant;
        for item in &block.items {
            match item {
                Item::Set(setting, place) if active => self.set(setting, place),
                Item::Set(..) => {}
                Item::Include(files) => self.files(files, active)?,
            }
        }
        Ok(())
    }

    fn matches(&mut self, criteria: &[Criterion], place: &Place, active: bool) -> Result<bool, Stopped> {
        let mut foreign = None;
        let mut result = active;
        for Criterion { negated, test } in criteria {
            let found = match test {
                Test::All => true,
                Test::Again { wanted } => {
                    self.wanted |= wanted;
                    self.again
                }
                Test::Host(list) => pattern::any_host(list, &self.host_name()?),
                Test::OriginalHost(list) => pattern::any_host(list, self.question.host),
                Test::User(list) => {
                    let set = self.out.user.as_ref().map(|user| user.value.as_str());
                    let user = self.question.user.or(set).unwrap_or(self.question.local_user);
                    pattern::any(list.split(','), user)
                }
                Test::LocalUser(list) => pattern::any(list.split(','), self.question.local_user),
                Test::Foreign(name) => {
                    foreign = Some(name);
                    !negated
                }
            };
            result &= found != *negated;
        }
        match foreign {
            Some(name) if result => Err(Stopped::AskSsh { what: format!("Match {name}"), place: place.clone() }),
            _ => Ok(result),
        }
    }

    /// The host's name as far as it is known.
    fn host_name(&self) -> Result<String, Stopped> {
        match &self.out.host_name {
            Some(name) => {
                let wrong = |why| Wrong { place: name.place.clone(), why: format!("hostname {why}"), help: None };
                token::host_name(&name.value, self.question.host).map_err(|why| Stopped::Wrong(wrong(why)))
            }
            None => Ok(self.question.host.to_owned()),
        }
    }

    fn set(&mut self, setting: &Setting, place: &Place) {
        let out = &mut self.out;
        match setting {
            // The name that the second reading goes by stays.
            Setting::HostName(_) if self.again => {}
            Setting::HostName(value) => first(&mut out.host_name, value, place),
            Setting::Port(value) => first(&mut out.port, value, place),
            Setting::User(value) => first(&mut out.user, value, place),
            Setting::IdentityFile(value) => one_more(&mut out.identity_files, value, place),
            Setting::CertificateFile(value) => one_more(&mut out.certificate_files, value, place),
            Setting::IdentitiesOnly(value) => first(&mut out.identities_only, value, place),
            Setting::IdentityAgent(value) => first(&mut out.identity_agent, value, place),
            Setting::ProxyJump(value) => first(&mut out.proxy, &Proxy::Jump(value.clone()), place),
            // To OpenSSH, `ProxyJump none` rules out other jump hosts, not a program.
            Setting::ProxyCommand(value)
                if out.proxy.as_ref().is_some_and(|set| set.value == Proxy::Jump(Vec::new())) =>
            {
                out.proxy = Some(Set { value: Proxy::Command(value.clone()), place: place.clone() });
            }
            Setting::ProxyCommand(value) => first(&mut out.proxy, &Proxy::Command(value.clone()), place),
            Setting::ProxyUseFdpass(value) => first(&mut out.fdpass, value, place),
            Setting::UserKnownHosts(value) => first(&mut out.user_known_hosts, value, place),
            Setting::GlobalKnownHosts(value) => first(&mut out.global_known_hosts, value, place),
            Setting::HostKeyAlias(value) => first(&mut out.host_key_alias, value, place),
            Setting::RevokedHostKeys(value) => first(&mut out.revoked_host_keys, value, place),
            // `none` is as good as nothing, also to OpenSSH: a later value counts.
            Setting::ConnectTimeout(None) => {}
            Setting::ConnectTimeout(Some(value)) => first(&mut out.connect_timeout, value, place),
            Setting::AddressFamily(value) => first(&mut out.family, value, place),
            Setting::BindAddress(value) => first(&mut out.bind_address, value, place),
            Setting::Canonicalize(value) => first(&mut out.canonicalize, value, place),
            Setting::Algorithms(kind, value) => {
                if out.algorithms.iter().all(|(known, _)| known != kind) {
                    out.algorithms.push((*kind, Set { value: value.clone(), place: place.clone() }));
                }
            }
        }
    }
}

fn first<T: Clone>(slot: &mut Option<Set<T>>, value: &T, place: &Place) {
    slot.get_or_insert_with(|| Set { value: value.clone(), place: place.clone() });
}

fn one_more(list: &mut Vec<Set<String>>, value: &str, place: &Place) {
    if list.iter().all(|known| known.value != value) {
        list.push(Set { value: value.to_owned(), place: place.clone() });
    }
}
