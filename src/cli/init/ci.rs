//! `rprov init ci`: writes a pipeline for GitLab.

use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::template::{self, Engine, Value};
use crate::ui::style::sanitize;

use super::super::args::Global;
use super::super::console::Console;
use super::super::exit::Exit;
use super::answers::scalar;

/// The pipeline.
const TEMPLATE: &str = include_str!("../../../templates/init/gitlab-ci.yml.j2");

pub(super) fn run(global: &Global, out: &Path, console: &Console) -> Result<Exit, Exit> {
    super::refuse_existing(out, console)?;
    let Some(inventory) = global.inventory.to_str() else {
        return Err(console.stop(Diagnostic::error("the inventory's path is not UTF-8 text")));
    };
    let text = text(inventory).map_err(|why| console.stop(Diagnostic::error(why)))?;
    super::write(out, &text, console)?;
    console.tell(&next(out));
    Ok(Exit::Ok)
}

fn text(inventory: &str) -> Result<String, String> {
    // GitLab replaces variables within the values of variables.
    let inventory = scalar(&inventory.replace('$', "$$"));
    let values = template::map([("inventory", Value::from(inventory))]);
    let rendered = Engine::new(std::collections::BTreeMap::new()).render("gitlab-ci.yml.j2", TEMPLATE, &values);
    rendered.map(|text| text.redacted()).map_err(|problem| problem.message)
}

/// What is left to do by hand.
fn next(out: &Path) -> String {
    let written = match out.to_str() {
        Some("-") => String::new(),
        _ => format!("{} is written. ", sanitize(&out.to_string_lossy())),
    };
    format!(
        "\n{written}What is left to do:\n\
         \n  1. Build an image with rprov in it and push it to the project's registry, as\
         \n     `rprov`; or name another one in RPROV_IMAGE in the file.\
         \n  2. Make the CI/CD variables that the file names at its top:\n     \
         SSH_PRIVATE_KEY, SSH_KNOWN_HOSTS, GITLAB_TOKEN.\
         \n  3. Choose the runner of these jobs by `tags`: none of the inventory's own.\
         \n  4. Make a schedule for the job that looks for drift.\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_path_is_one_text_of_yaml(inventory in "\\PC{1,30}") {
            // A template's mark for secrets is refused.
            let Ok(text) = text(&inventory) else { return Ok(()) };
            let read: serde_json::Value = serde_yaml::from_str(&text).unwrap();
            prop_assert_eq!(read["variables"]["RPROV_INVENTORY"].as_str(), Some(&*inventory.replace('$', "$$")));
            prop_assert_eq!(read.as_object().unwrap().len(), 9);
        }
    }
}
