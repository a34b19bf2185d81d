//! What a host says when it is read, up to the plan that comes of it. The inventory beside this crate asks for something
//! of every kind.

use std::path::Path;

use rprov::desired;
use rprov::facts::{Facts, ProbeSpec};
use rprov::inventory::load;
use rprov::plan::SealedPlan;
use rprov::plan::json::PlanV1;
use rprov::resource::Resource;
use rprov::script::probe::parse;
use rprov::secret::{Secret, SecretBook};
use rprov::ui::plan_human;
use rprov::ui::style::Look;

/// The nonce of `rprov render HOST --probe`, so that what its script prints can be put into the corpus.
const NONCE: &str = "rprov";

struct Host {
    name: String,
    resources: Vec<Box<dyn Resource>>,
    spec: ProbeSpec,
}

thread_local! {
    static WORLD: (Vec<Host>, SecretBook) = world();
}

fn world() -> (Vec<Host>, SecretBook) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory.yml");
    let inventory = load(&path).unwrap_or_else(|failure| panic!("{:?}", failure.diagnostics));
    let mut book = SecretBook::default();
    for id in inventory.secrets.keys() {
        book.bind(id.clone(), Secret::new("a secret of 24 letters..".to_owned()));
    }
    let host = |host: &rprov::inventory::model::HostSpec| {
        let resources = desired::resources(host, inventory.gitlab.as_ref());
        let spec = desired::probe(&resources);
        Host { name: host.name.clone(), resources, spec }
    };
    (inventory.hosts.iter().map(host).collect(), book)
}

/// The first byte chooses the host and, if the answer is a good one, where it is cut to make a bad one of it.
pub fn one(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    WORLD.with(|(hosts, book)| {
        let host = &hosts[usize::from(choice) % hosts.len()];
        // As it is; then between the words that frame an answer.
        let _ = parse(&host.spec, data, NONCE).map_err(|error| error.to_string());
        let framed = [b"noise\n@rprov begin\n", data, b"@rprov end\n"].concat();
        let Ok(facts) = parse(&host.spec, &framed, NONCE) else { return };
        answered(&host.spec, &facts);
        // An answer that was cut short is never taken for a whole one: what is missing would look as if it were absent.
        let cut = framed.len() - 1 - usize::from(choice) % (framed.len() - 1).min(200);
        assert!(parse(&host.spec, &framed[..cut], NONCE).is_err(), "cut at {cut} of {}", framed.len());
        planned(host, &facts, book);
    });
}

/// Whatever was asked for has an answer, be it that nobody knows.
fn answered(spec: &ProbeSpec, facts: &Facts) {
    assert!(spec.paths.keys().all(|path| facts.paths.contains_key(path)));
    assert!(spec.packages.iter().all(|package| facts.packages.contains_key(package)));
    assert!(spec.units.iter().all(|unit| facts.units.contains_key(unit)));
    assert!(spec.containers.iter().all(|container| facts.containers.contains_key(container)));
    assert!(spec.images.keys().all(|image| facts.images.contains_key(image)));
    assert!(spec.nft_tables.iter().all(|table| facts.nft_tables.contains_key(table)));
    assert_eq!(spec.docker, facts.docker.is_some());
}

fn planned(host: &Host, facts: &Facts, book: &SecretBook) {
    let plan = SealedPlan::of([desired::plan(&host.name, &host.resources, facts, &mut book.clone())]);
    for look in [Look::plain(80), Look::plain(120).verbose(true)] {
        super::assert_harmless(&plan_human::render(&plan, look));
    }
    let json = PlanV1::from(&plan);
    let text = serde_json::to_string(&json).expect("a plan is JSON");
    assert_eq!(serde_json::from_str::<PlanV1>(&text).expect("and can be read again"), json);
    assert!(!text.contains("a secret of 24 letters"), "a secret is in the plan");
}
