//! The fault matrix (`docs/reliability.md`): runs of the real program against hosts of the lab, killed and cut off at every
//! point. `tests/lab/faults` starts it; as one of cargo's tests it does nothing, since it takes its time.

#![allow(
    clippy::exit,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test"
)]

#[path = "lab/faults-suite/mod.rs"]
mod suite;

use suite::options::{Options, USAGE};
use suite::work;

fn main() {
    let Ok(words) = std::env::var("RPROV_FAULTS") else {
        println!("the fault matrix is run by tests/lab/faults");
        return;
    };
    let options = Options::parse(words.lines().map(str::to_owned)).unwrap_or_else(|wrong| {
        eprintln!("tests/lab/faults: {wrong}\n{USAGE}");
        std::process::exit(1);
    });
    let Some(table) = work::run(&options) else { std::process::exit(1) };
    println!("\n{}", table.render(&options.faults).trim_end());
    std::process::exit(i32::from(!table.is_good() && !options.list));
}
