//! Cases as data, by kind of resource: what an inventory declares, what was seen of the host, and the plan that must come
//! of it. A new case is a new file; `README.md` beside this file says how to write one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first thing that is not as it should be")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rprov::desired;
use rprov::diagnostic::Diagnostic;
use rprov::facts::Facts;
use rprov::inventory::model::Inventory;
use rprov::plan::{Sealed, SealedPlan};
use rprov::resource::Resource;
use rprov::resource::variable::Variable;
use rprov::secret::{Secret, SecretBook, SecretId};
use rprov::ui::{plan_human, style};

mod after;
mod facts;

/// One file.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows, one sentence; for a plan without changes: why there is none.
    case: String,
    /// A whole inventory with one host.
    inventory: String,
    /// Files beside the inventory: name, and the file of `tests/data` that is put there.
    #[serde(default)]
    files: std::collections::BTreeMap<String, String>,
    /// Values of environment variables that the inventory names as secrets.
    #[serde(default)]
    secrets: std::collections::BTreeMap<String, String>,
    /// What was seen.
    #[serde(default)]
    facts: facts::Seen,
    /// `false`: the plan's steps are not carried out in thought, because one of them has no model here.
    #[serde(default = "yes")]
    follow: bool,
}

fn yes() -> bool {
    true
}

/// What one inventory, read once, plans for its host and for GitLab.
struct World {
    inventory: Inventory,
    resources: Vec<Box<dyn Resource>>,
    variables: Vec<Box<dyn Resource>>,
    book: SecretBook,
}

impl World {
    fn new(case: &Case, dir: &Path) -> Self {
        std::fs::write(dir.join("inventory.yml"), &case.inventory).unwrap();
        // For the inventories that name an authority.
        std::fs::write(dir.join("ca.pem"), include_str!("../data/tls/ca.pem")).unwrap();
        for (name, data) in &case.files {
            let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(data);
            std::fs::copy(data, dir.join(name)).unwrap();
        }
        // A plan names the file as it was given, so it is given by its bare name.
        std::env::set_current_dir(dir).unwrap();
        let inventory = rprov::inventory::load(Path::new("inventory.yml"))
            .unwrap_or_else(|failure| panic!("the inventory does not load:\n{}", shown(&failure.diagnostics)));
        assert_eq!(inventory.hosts.len(), 1, "a case has one host");
        let gitlab = inventory.gitlab.as_ref();
        let resources = desired::resources(&inventory.hosts[0], gitlab);
        let mut variables: Vec<Box<dyn Resource>> = Vec::new();
        for variable in gitlab.map(|gitlab| gitlab.variables.as_slice()).unwrap_or_default() {
            variables.push(Box::new(Variable(variable.clone())));
        }
        let mut book = SecretBook::default();
        for (name, value) in &case.secrets {
            book.bind(SecretId::new(format!("env:{name}")), Secret::new(value.clone()));
        }
        Self { inventory, resources, variables, book }
    }

    fn plan(&self, facts: &Facts, book: &mut SecretBook) -> SealedPlan {
        let mut hosts: Vec<Sealed> = Vec::new();
        if let Some(gitlab) = self.inventory.gitlab.as_ref().filter(|_| !self.variables.is_empty()) {
            let mut plan = desired::plan(&gitlab.url, &self.variables, facts, book);
            plan.amend(book, |plan| {
                plan.summary.clear();
                plan.jobs = None;
            });
            hosts.push(plan);
        }
        hosts.push(desired::plan(&self.inventory.hosts[0].name, &self.resources, facts, book));
        SealedPlan::of(hosts)
    }
}

fn shown(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic:?}\n")).collect()
}

/// The text that the `.expected` file must hold.
fn outcome(path: &Path, dir: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let case: Case = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(case.case.ends_with('.'), "{}: `case` is a sentence", path.display());
    let world = World::new(&case, dir);
    let mut host = after::Simulated::new(&world);
    if case.facts.applied {
        host.converge(&world).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    host.now();
    if let Some(owned) = case.facts.owned(&host.facts) {
        host.list(&owned);
        host.ask_more(&world);
    }
    case.facts.lay_over(&mut host.facts);
    let (facts, mut book) = host.read(&world);
    let plan = world.plan(&facts, &mut book);
    let look = style::Look::plain(100);
    let out = plan_human::render(&plan, look);
    for secret in case.secrets.values().chain(host.tokens()) {
        assert!(!out.contains(secret.as_str()), "{}: the plan shows a secret:\n{out}", path.display());
    }
    if case.follow && !plan.has_problems() {
        host.converge(&world).unwrap_or_else(|e| panic!("{}: {e}\nafter this plan:\n{out}", path.display()));
    }
    out
}

/// With `RPROV_BLESS=1` the expected plans are written anew, for `git diff` to show.
#[test]
fn every_case_plans_what_it_must() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let bless = std::env::var_os("RPROV_BLESS").is_some();
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = String::new();
    let cases = files(&root);
    assert!(cases.len() >= 30, "only {} cases were found", cases.len());
    for path in cases {
        let said = outcome(&path, dir.path());
        let expected = path.with_extension("expected");
        if bless {
            std::fs::write(&expected, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if said != expected {
            writeln!(wrong, "{}: expected\n{expected}\nplanned\n{said}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Every kind of resource has cases, and every case lies with a kind.
#[test]
fn every_kind_has_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |dir: PathBuf, wanted: fn(&Path) -> bool| -> std::collections::BTreeSet<String> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| wanted(path)).map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let mut kinds = names(root.join("src/resource"), |_| true);
    // `manager_package`: until the inventory can ask for it. `veiled` is around any of the others, for inventories that are not
    // trusted, and has no name of its own in a plan; its tests are those of `desired::shown`.
    for not_a_kind in ["mod", "tests", "manager_package", "veiled"] {
        kinds.remove(not_a_kind);
    }
    let cases = names(root.join("tests/cases"), Path::is_dir);
    assert_eq!(kinds, cases, "src/resource/*.rs on the left, directories of tests/cases on the right");
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for kind in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let cases = std::fs::read_dir(kind).unwrap().map(|entry| entry.unwrap().path());
        found.extend(cases.filter(|path| path.extension().is_some_and(|extension| extension == "yml")));
    }
    found.sort();
    found
}
