//! The fault matrix: real runs against real hosts, disturbed at every point that they have. It looks at the program from
//! outside only.

// What the end-to-end tests have for hosts, GitLab and runs.
#[path = "../suite/gitlab.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod gitlab;
#[path = "../suite/host.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod host;
#[path = "../suite/inventory.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod inventory;
#[path = "../suite/lab.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod lab;
#[path = "../suite/ping.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod ping;
#[path = "../suite/plan.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod plan;
#[path = "../suite/rprov.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod rprov;
#[path = "../suite/world.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod world;

mod bench;
mod fault;
mod inflict;
mod kinds;
pub(crate) mod options;
mod owners;
mod points;
mod scenarios;
mod shims;
mod table;
mod trial;
mod verdict;
mod watchman;
pub(crate) mod work;
