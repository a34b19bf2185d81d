//! Network namespaces, bridges and links between them, inside the namespaces of one test.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Commands of `ip`, carried out together.
#[derive(Default)]
pub(crate) struct Batch(String);

impl Batch {
    /// Adds a command.
    pub(crate) fn add(&mut self, command: &str) -> &mut Self {
        writeln!(self.0, "{command}").unwrap();
        self
    }

    /// Carries all of them out in a namespace; `None`: the test's own.
    pub(crate) fn run(&self, namespace: Option<&str>) {
        let mut ip = Command::new("ip");
        if let Some(namespace) = namespace {
            ip.args(["-n", namespace]);
        }
        let mut ip = ip.args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        ip.stdin.take().unwrap().write_all(self.0.as_bytes()).unwrap();
        assert!(ip.wait().unwrap().success(), "{}", self.0);
    }
}

/// Makes namespaces.
pub(crate) fn namespaces<'a>(names: impl Iterator<Item = &'a str>) {
    let mut batch = Batch::default();
    for name in names {
        batch.add(&format!("netns add {name}"));
    }
    batch.run(None);
}

/// Links `one` (in its namespace) with `other` (in its own), both up, with an address each.
pub(crate) fn link(one: (Option<&str>, &str, Option<&str>), other: (&str, &str, &str)) {
    let (namespace, name, address) = one;
    let (other_namespace, other_name, other_address) = other;
    let mut batch = Batch::default();
    batch.add(&format!("link add {name} type veth peer name {other_name} netns {other_namespace}"));
    if let Some(address) = address {
        batch.add(&format!("addr add {address} dev {name}"));
    }
    batch.add(&format!("link set {name} up"));
    batch.run(namespace);
    let mut batch = Batch::default();
    batch.add(&format!("addr add {other_address} dev {other_name}"));
    batch.add(&format!("link set {other_name} up")).add("link set lo up");
    batch.run(Some(other_namespace));
}

/// A program in a namespace.
pub(crate) fn command_in(namespace: Option<&str>, program: &Path) -> Command {
    let Some(namespace) = namespace else { return Command::new(program) };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}
