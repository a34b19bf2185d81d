//! The program itself, run in a namespace with an inventory of the test's.

use std::path::Path;
use std::process::{Child, Stdio};

use super::host::Keys;
use super::network::command_in;

/// What it printed, and how it ended.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// It must have ended so.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// All that was printed, without the breaks of long lines.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}", self.out, self.err).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Starts it; `namespace` as for [`command_in`].
pub(crate) fn start(keys: &Keys, namespace: Option<&str>, arguments: &[&str]) -> Child {
    let mut command = command_in(namespace, Path::new(env!("CARGO_BIN_EXE_rprov")));
    command.args(arguments).current_dir(keys.dir.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", keys.dir.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end.
pub(crate) fn end(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs it.
pub(crate) fn run(keys: &Keys, namespace: Option<&str>, arguments: &[&str]) -> Run {
    end(start(keys, namespace, arguments))
}

/// Writes the inventory: `ssh` beside the keys for all hosts, `wants` for all hosts, and the hosts.
pub(crate) fn write_inventory(keys: &Keys, ssh: &str, wants: &str, hosts: &[(String, String)]) {
    let mut text = format!(
        "defaults:\n  ssh: {{ user: root, config: none, identity_file: {}, known_hosts: {}{ssh} }}\n{wants}hosts:\n",
        keys.path("client").display(),
        keys.path("known_hosts").display(),
    );
    for (name, address) in hosts {
        text.push_str(&format!("  {name}: {{ ssh: {{ address: {address} }} }}\n"));
    }
    std::fs::write(keys.path("inventory.yml"), text).unwrap();
}
