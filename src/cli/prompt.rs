//! Questions for secrets: asked on the terminal without echo, before anything is shown of a run, each at most once. Where
//! nobody can be asked, a clear error.

use crate::diagnostic::Diagnostic;
use crate::host::Connector;
use crate::host::ssh::LockedKey;
use crate::inventory::model::{Connection, Inventory};
use crate::secret::{Secret, SecretBook, SecretId};
use crate::ui::style::{count, sanitize};

use super::args::HostArgs;
use super::console::Console;
use super::exit::Exit;
use super::input;

/// The name under which a password that was typed is kept out of what is shown.
const TYPED: &str = "typed:sudo-password";

/// How often a passphrase may be mistyped.
const TRIES: usize = 3;

/// Gathers what opens the selected hosts for the one that connects to them.
pub(super) async fn gather(
    connector: &mut Connector,
    inventory: &Inventory,
    selected: &[usize],
    args: &HostArgs,
    book: &mut SecretBook,
    console: &Console,
) -> Result<(), Exit> {
    let connections: Vec<&Connection> = selected.iter().map(|index| &inventory.hosts[*index].connection).collect();
    passwords(&connections, args.ask_become_pass, book, connector, console)?;
    let locked = connector.locked_keys(connections.iter().copied()).await;
    let named = locked.iter().filter_map(|key| key.passphrase.clone()).collect();
    book.extend(input::some_secrets(inventory, named, args.format, console)?);
    for key in &locked {
        unlock(key, inventory, book, connector, console)?;
    }
    Ok(())
}

/// Password for sudo.
fn passwords(
    connections: &[&Connection],
    ask: bool,
    book: &mut SecretBook,
    connector: &mut Connector,
    console: &Console,
) -> Result<(), Exit> {
    let through_sudo = || connections.iter().filter(|connection| connection.sudo());
    if ask {
        let hosts = through_sudo().count();
        if hosts == 0 {
            console.note(Diagnostic::warning("--ask-become-pass has no effect: no selected host has `become: sudo`"));
            return Ok(());
        }
        let Some(password) = question(&format!("sudo password for {}: ", count(hosts, "host"))) else {
            let problem = Diagnostic::error("there is no terminal to ask for sudo's password on");
            let help = "in CI, name the password in the inventory: `ssh.become_password: { env: SUDO_PASSWORD }`";
            return Err(console.stop(problem.help(help)));
        };
        if password.expose().is_empty() {
            return Err(console.stop(Diagnostic::error("no password was typed")));
        }
        book.bind(SecretId::new(TYPED), password.clone());
        connector.access.use_password(password);
        return Ok(());
    }
    for id in through_sudo().filter_map(|connection| connection.become_password()) {
        let Some(value) = book.get(id) else { continue };
        if value.expose().contains(['\n', '\r', '\0']) {
            let problem = Diagnostic::error(format!("{id} is more than one line, so it is no password for sudo"));
            return Err(console.stop(problem.help("`ssh.become_password` names it")));
        }
        connector.access.add_password(id.clone(), value.clone());
    }
    Ok(())
}

/// Unlocks one key, with the passphrase of the inventory or one that is typed. Where nobody can be asked, or whoever is
/// asked types nothing, it stays locked: the hosts that need it say so.
fn unlock(
    key: &LockedKey,
    inventory: &Inventory,
    book: &SecretBook,
    connector: &mut Connector,
    console: &Console,
) -> Result<(), Exit> {
    let path = key.path.display();
    if let Some((id, passphrase)) = key.passphrase.as_ref().and_then(|id| Some((id, book.get(id)?))) {
        if connector.access.keys.unlock(key, passphrase) {
            return Ok(());
        }
        let problem = Diagnostic::error(format!("{id} is not the passphrase of {path}"));
        let origin = inventory.secrets.get(id).map(|source| &source.origin);
        let problem = origin.map_or_else(|| problem.clone(), |origin| problem.clone().at(origin));
        console.problems(&[problem], &inventory.sources);
        return Err(Exit::Error);
    }
    for _ in 0..TRIES {
        match question(&format!("Passphrase of {path}: ")) {
            Some(passphrase) if !passphrase.expose().is_empty() => {
                if connector.access.keys.unlock(key, &passphrase) {
                    return Ok(());
                }
            }
            _ => return Ok(()),
        }
        console.tell("That is not its passphrase.\n");
    }
    Err(console.stop(Diagnostic::error(format!("{path} was not unlocked"))))
}

/// Asks for one secret. `None`: nobody is there to be asked.
fn question(question: &str) -> Option<Secret> {
    // The terminal itself: standard input and output may be pipes. What a path holds must not steer it.
    rpassword::prompt_password(sanitize(question)).map(Secret::new).ok()
}
