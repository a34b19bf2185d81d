//! Tells files of other tools by their first lines or their keys, so that one message says what they are instead of a
//! hundred that say what they are not. Pure.

use super::node::{Node, Value};
use super::schema;
use crate::diagnostic::{Diagnostic, Span};

/// What a file is instead of an inventory, and where its contents belong.
#[derive(Debug, Clone, Copy)]
struct Other {
    what: &'static str,
    help: &'static str,
}

const ANSIBLE: Other = Other {
    what: "an Ansible inventory",
    help: "in rprov's, hosts are under `hosts:`, `ansible_host` is `ssh: { address: … }`, groups are under `groups:`",
};
const PLAYBOOK: Other = Other {
    what: "an Ansible playbook",
    help: "an inventory of rprov's says what hosts are to be, under `hosts:`, not what is to be done",
};
const ROLE: Other = Other {
    what: "a file of variables for an Ansible role",
    help: "runners go under `runners:`, with `config` in config.toml's own keys; hosts under `hosts:`",
};
const COMPOSE: Other = Other {
    what: "a Docker Compose file",
    help: "gitlab-runner's own container is `manager: { container: { image: …, config_dir: … } }`, under `defaults` or a host",
};
const KUBERNETES: Other =
    Other { what: "a Kubernetes manifest", help: "an inventory begins with `hosts:` and names the hosts" };
const HELM: Other = Other {
    what: "a file of values for the Helm chart of GitLab Runner",
    help: "runners go under `runners:` with a `scope` and a `config`; hosts under `hosts:`",
};
const CI: Other = Other {
    what: "a pipeline (.gitlab-ci.yml)",
    help: "an inventory names the hosts that run pipelines; it begins with `hosts:`",
};
const TOML: Other = Other {
    what: "a TOML file, such as config.toml of GitLab Runner",
    help: "in an inventory its global keys are `manager: { config: … }`, each [[runners]] is a runner spec's `config`",
};
const SSH: Other = Other {
    what: "an ssh_config file",
    help: "rprov reads ~/.ssh/config by itself; an inventory begins with `hosts:`",
};
const TERRAFORM: Other = Other { what: "a Terraform file", help: "an inventory is YAML and begins with `hosts:`" };
const PEM: Other = Other {
    what: "a key or a certificate",
    help: "name the inventory with `-i FILE`; certificates go into `gitlab: { ca_file: … }`",
};
const WEB: Other = Other { what: "an HTML or XML page", help: "was it downloaded without logging in?" };
const SCRIPT: Other = Other { what: "a script", help: "name the inventory with `-i FILE`" };
const CLOUD: Other = Other { what: "a cloud-init file", help: "an inventory begins with `hosts:` and names the hosts" };
const ENCRYPTED: Other = Other {
    what: "an encrypted file",
    help: "rprov reads plain YAML, in which secrets are only named: { env: NAME }, { file: PATH } or { command: […] }",
};

/// The problem, if the text is not one of an inventory and it shows whose it is. `root` is what YAML made of it, if it is
/// YAML at all.
pub(super) fn problem(file: &Span, root: Option<&Node>, text: &str) -> Option<Diagnostic> {
    let is_map = root.is_some_and(|root| matches!(root.value, Value::Map(_)));
    let found = if is_map { by_keys(root?) } else { root.and_then(by_items).or_else(|| by_text(file, text)) };
    let (other, at) = found?;
    Some(Diagnostic::error(format!("this is {}, not an inventory of rprov's", other.what)).at(&at).help(other.help))
}

/// Of a map: telltale keys, where none of the language's own but `hosts` is.
fn by_keys(root: &Node) -> Option<(Other, Span)> {
    let entries = root.entries();
    let own = |name: &str| name != "hosts" && schema::ROOT.field(name).is_some();
    let helm = ["runnerToken", "runnerRegistrationToken", "gitlabUrl", "rbac"];
    if let Some(entry) = entries.iter().find(|entry| helm.contains(&&*entry.key)) {
        return Some((HELM, entry.span.clone()));
    }
    // A group of Ansible's that happens to be called as a key of ours.
    if let Some(entry) = entries.iter().find(|entry| &*entry.key == "runners" && entry.value.get("hosts").is_some()) {
        return Some((ANSIBLE, entry.span.clone()));
    }
    if entries.iter().any(|entry| own(&entry.key)) {
        return None;
    }
    let has = |name: &str| entries.iter().any(|entry| &*entry.key == name);
    entries.iter().find_map(|entry| {
        let is_map = matches!(entry.value.value, Value::Map(_));
        let other = match &*entry.key {
            "sops" => ENCRYPTED,
            "apiVersion" if has("kind") => KUBERNETES,
            "services" if is_map => COMPOSE,
            "plugin" => ANSIBLE,
            "stages" | "before_script" | "workflow" => CI,
            name if name.starts_with("gitlab_runner_") => ROLE,
            "hosts" => return None,
            _ if entry.value.get("script").is_some() || entry.value.get("stage").is_some() => CI,
            name if is_map && (matches!(name, "all" | "ungrouped") || entry.value.get("children").is_some()) => ANSIBLE,
            _ if entry.value.get("hosts").is_some() => ANSIBLE,
            _ => return None,
        };
        Some((other, entry.span.clone()))
    })
}

fn by_items(root: &Node) -> Option<(Other, Span)> {
    let first = root.items().first()?;
    let play =
        ["tasks", "roles", "import_playbook", "gather_facts", "become"].iter().any(|key| first.get(key).is_some());
    play.then(|| (PLAYBOOK, first.span.clone()))
}

/// Of anything else: the first line that says something.
fn by_text(file: &Span, text: &str) -> Option<(Other, Span)> {
    let begin = text.trim_start_matches('\u{feff}');
    let lines = || begin.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let early = begin.lines().next().unwrap_or_default();
    let at = |line: usize| Span { line, column: 1, ..file.clone() };
    if early.starts_with("#!") {
        return Some((SCRIPT, at(1)));
    }
    if early.starts_with("#cloud-config") {
        return Some((CLOUD, at(1)));
    }
    let says =
        |line: &str| !line.is_empty() && !line.starts_with(['#', ';']) && !line.starts_with("//") && line != "---";
    let (number, first) = lines().find(|(_, line)| says(line))?;
    let words: Vec<&str> = first.split_whitespace().collect();
    let word = words.first().copied().unwrap_or_default();
    let other = if first.starts_with("-----BEGIN ") {
        PEM
    } else if first.starts_with("$ANSIBLE_VAULT") {
        ENCRYPTED
    } else if first.starts_with("[[") || words.get(1) == Some(&"=") {
        TOML
    } else if first.starts_with('[') && first.ends_with(']') && !first.contains([',', '"', '\'']) {
        let next = lines().find(|(line, text)| *line > number && says(text)).map_or("", |(_, text)| text);
        if next.split_whitespace().nth(1) == Some("=") { TOML } else { ANSIBLE }
    } else if words.iter().any(|word| word.starts_with("ansible_")) {
        ANSIBLE
    } else if matches!(word, "Host" | "Match") && !first.contains(':') {
        SSH
    } else if matches!(word, "resource" | "variable" | "provider" | "module" | "terraform") && first.ends_with('{') {
        TERRAFORM
    } else if first.starts_with("<!") || first.starts_with("<?") || first.starts_with("<html") {
        WEB
    } else {
        return None;
    };
    Some((other, at(number)))
}
