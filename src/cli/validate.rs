//! `rprov validate`: checks the inventory and says so. Connects to nothing.

use crate::inventory;
use crate::ui::diagnostics;
use crate::ui::style::{Role, count, sanitize};

use super::args::{Format, Global, ValidateArgs};
use super::console::Console;
use super::exit::Exit;

pub(super) fn run(global: &Global, args: &ValidateArgs, console: &Console) -> Result<Exit, Exit> {
    // Here the problems are the result, so they go to standard output.
    let loaded = if args.untrusted { inventory::load_confined } else { inventory::load }(&global.inventory);
    let (problems, sources, about) = match loaded {
        Ok(inventory) => {
            let about = format!("{}, {}", count(inventory.hosts.len(), "host"), count(inventory.groups.len(), "group"));
            (inventory.warnings, inventory.sources, Some(about))
        }
        Err(failure) => (failure.diagnostics, failure.sources, None),
    };
    match args.format {
        Format::Json => console.json(&diagnostics::json(&problems))?,
        Format::Human => {
            console.result(&diagnostics::render(&problems, &sources, console.out))?;
            if let Some(about) = &about {
                let file = global.inventory.display().to_string();
                let verdict = format!("{} is valid: {about}.", sanitize(&file));
                console.result(&(console.out.paint(Role::Add, &verdict) + "\n"))?;
            }
        }
    }
    Ok(if about.is_some() { Exit::Ok } else { Exit::Error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::Look;

    /// How many problems are reported, and with which text.
    fn told(text: &str) -> (usize, String) {
        let failure = inventory::load::check(std::path::Path::new("i.yml"), text).unwrap_err();
        let drawn = diagnostics::render(&failure.diagnostics, &failure.sources, Look::plain(80));
        (failure.diagnostics.len(), drawn)
    }

    /// What grows with the square of them takes many minutes here.
    #[test]
    fn any_number_of_mistakes_on_one_line_is_told_in_no_time() {
        let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(", ");
        let hosts = |inner: &str| format!("hosts: {{ h: {{ {inner} }} }}\n");
        for (what, text) in [
            ("unknown", hosts(&many(15_000, &|n| format!("unknown{n}: hunter{n}")))),
            ("twice", hosts(&many(15_000, &|n| format!("vars: {{ a: {n} }}")))),
            ("path", hosts(&format!("directories: [{}]", many(10_000, &|n| format!("{{ path: no/path{n} }}"))))),
            ("port", format!("hosts: {{ {} }}\n", many(5_000, &|n| format!("h{n}: {{ ssh: {{ port: x{n} }} }}")))),
            (
                "nope",
                hosts(&format!(
                    "files: [{}]",
                    many(2_500, &|n| format!("{{ path: /a{n}, content: \"{{{{ nope{n} }}}}\" }}"))
                )),
            ),
            // Short enough to be quoted, and quoted for each of them.
            ("unknown", hosts(&many(240, &|n| format!("unknown{n}: hun{n}")))),
            ("unknown", hosts(&many(240, &|n| format!("unknown{n}: \"a: b: c\"")))),
        ] {
            let (count, drawn) = told(&text);
            assert!(count > 200 && drawn.contains(what), "{what}: {count}");
            assert!(!drawn.contains("hunter") && !drawn.contains("hun1"), "{what}");
        }
    }

    /// Whether a line belongs to the value of a secret key, the lines above it say.
    #[test]
    fn mistakes_far_down_in_a_file_are_told_in_no_time() {
        let lines = |one: &dyn Fn(usize) -> String| (0..15_000).map(one).collect::<String>();
        let long = lines(&|n| format!("      - /srv/a{n}\n"));
        let wrong: String = (0..300).map(|n| format!("      unknown{n}: 1\n")).collect();
        let (count, drawn) = told(&format!("hosts:\n  h:\n    vars:\n      list:\n{long}    ssh:\n{wrong}"));
        assert!(count > 200 && drawn.contains("unknown"), "{count}");
    }
}
