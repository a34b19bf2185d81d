//! The documentation as tests: links lead somewhere, commands exist, the example inventory is valid, and what comes from the
//! program is what it says: the example plan, the page of messages, the pages of keys and commands.
//! `UPDATE_DOCS=1 cargo test --test docs` writes the latter.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/config_toml.rs"]
mod config_toml;
#[path = "docs/errors.rs"]
mod errors;
#[path = "docs/page.rs"]
mod page;
#[path = "docs/reference.rs"]
mod reference;
#[path = "docs/sample.rs"]
mod sample;
#[path = "docs/schema.rs"]
mod schema;
#[path = "situations/mod.rs"]
mod situations;

use page::Page;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the repository.
fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !matches!(name.as_str(), "target" | ".git" | ".state") {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(Page::read(&path));
            }
        }
    }
    found
}

fn readme() -> Page {
    Page::read(&root().join("README.md"))
}

/// What is wrong with the links of a page.
fn broken_links(page: &Page) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, target) in page.links() {
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let path = page.path.parent().unwrap().join(file);
        let anchors = || if file.is_empty() { page.anchors() } else { Page::read(&path).anchors() };
        if !path.exists() {
            wrong.push(format!("{}:{line}: {target} does not exist", page.path.display()));
        } else if !anchor.is_empty() && !anchors().contains(anchor) {
            wrong.push(format!("{}:{line}: {file} has no heading #{anchor}", page.path.display()));
        }
    }
    wrong
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    assert!(pages.len() >= 6, "{} pages", pages.len());
    let wrong: Vec<String> = pages.iter().flat_map(broken_links).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Pages of the book, with the path that its summary names them by.
fn chapters() -> Vec<(String, Page)> {
    let summary = Page::read(&root().join("docs/SUMMARY.md"));
    let named = summary.links().into_iter().map(|(_, target)| target);
    named.map(|target| (target.clone(), Page::read(&root().join("docs").join(target)))).collect()
}

#[test]
fn the_book_has_every_page_and_leads_nowhere_else() {
    let chapters = chapters();
    let named: BTreeSet<PathBuf> = chapters.iter().map(|(_, page)| page.path.canonicalize().unwrap()).collect();
    let there = pages().into_iter().map(|page| page.path.canonicalize().unwrap());
    let there: BTreeSet<PathBuf> =
        there.filter(|path| path.starts_with(root().join("docs")) && !path.ends_with("SUMMARY.md")).collect();
    assert_eq!(named, there);
    let mut wrong = Vec::new();
    for (name, page) in &chapters {
        for (line, target) in page.links() {
            let file = target.split('#').next().unwrap_or_default();
            let path = page.path.parent().unwrap().join(file);
            if !file.is_empty() && path.canonicalize().is_ok_and(|path| !named.contains(&path)) {
                wrong.push(format!("docs/{name}:{line}: {target} is not in the book"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The attributes of this name in a page of HTML.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let opening = format!(" {name}=\"");
    html.match_indices(&opening).filter_map(|(at, _)| html[at + opening.len()..].split('"').next()).collect()
}

/// The links of a built page that lead nowhere in the book.
fn dead_ends(book: &Path, page: &Path) -> Vec<String> {
    let html = fs::read_to_string(page).unwrap();
    let mut dead = Vec::new();
    for link in attributes(&html, "href").into_iter().chain(attributes(&html, "src")) {
        if link.contains("://") || link.starts_with("data:") || link.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
        let Ok(target) = target.canonicalize() else {
            dead.push(format!("{}: {link}", page.strip_prefix(book).unwrap().display()));
            continue;
        };
        let anchored = || attributes(&fs::read_to_string(&target).unwrap(), "id").contains(&anchor);
        if !anchor.is_empty() && !anchored() {
            dead.push(format!("{}: {link}: no such heading", page.strip_prefix(book).unwrap().display()));
        }
    }
    dead
}

#[test]
fn the_built_book_is_whole() {
    let tools = root().join("target/tools/bin/mdbook");
    let mdbook = if tools.exists() { tools } else { PathBuf::from("mdbook") };
    let built = tempfile::tempdir().unwrap();
    let out = match Command::new(mdbook).arg("build").arg(root().join("docs")).arg("-d").arg(built.path()).output() {
        Ok(out) => out,
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("no mdbook: tests/book installs it"),
        Err(_) => {
            println!("SKIPPED: no mdbook (tests/book installs it)");
            return;
        }
    };
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");
    let book = built.path().canonicalize().unwrap();
    let mut dead = Vec::new();
    for (name, _) in chapters() {
        let html = name.replace("README.md", "index.html").replace(".md", ".html");
        dead.extend(dead_ends(&book, &book.join(html)));
    }
    assert!(dead.is_empty(), "\n{}\n", dead.join("\n"));
    // It finds what is not there.
    let page = book.join("odd.html");
    fs::write(&page, "<a href=\"no.html\"></a><a href=\"index.html#no-such\"></a><a href=\"https://a.b\"></a>")
        .unwrap();
    assert_eq!(dead_ends(&book, &page).len(), 2);
}

/// What is wrong with a command line of the documentation.
fn wrong_command(line: &str) -> Option<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let line = line.split(" | ").next().unwrap_or_default().trim();
    // `NAME="$(…)"` in front of a command.
    let line = line.find("rprov ").filter(|at| line[..*at].contains("=\"$(")).map_or(line, |at| &line[at..]);
    let mut words = line.split_whitespace().peekable();
    // `NAME=value` in front of a command.
    while words.next_if(|word| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'))).is_some() {}
    let first = words.next()?;
    let rest: Vec<&str> = words.collect();
    let own = match (first, rest.as_slice()) {
        ("rprov", rest) => rest,
        ("cargo", ["run", "--release", "--", rest @ ..]) => rest,
        ("cargo" | "export" | "git" | "ssh" | "ssh-keygen" | "ssh-keyscan" | "sh", _) => return None,
        (script, _) => {
            use std::os::unix::fs::PermissionsExt as _;
            let runs = fs::metadata(root().join(script)).is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
            return (!runs).then(|| format!("`{line}`: {script} is no program of this repository"));
        }
    };
    let command = own.iter().find(|word| !word.starts_with('-'))?;
    let out = Command::new(env!("CARGO_BIN_EXE_rprov")).args([command, "--help"]).output().unwrap();
    if !out.status.success() {
        return Some(format!("`{line}`: there is no `rprov {command}`"));
    }
    let help = String::from_utf8(out.stdout).unwrap();
    let known = |option: &str| help.split(|c: char| c.is_whitespace() || ",[=".contains(c)).any(|word| word == option);
    let options = own.iter().filter(|word| word.starts_with('-') && **word != "--");
    let unknown = options.map(|option| option.split('=').next().unwrap_or(option)).find(|option| !known(option));
    if let Some(option) = unknown {
        return Some(format!("`{line}`: `rprov {command}` has no {option}"));
    }
    let inventory = own.iter().skip_while(|word| **word != "-i").nth(1);
    let missing = inventory.filter(|file| file.starts_with("inventories/") && !root().join(file).exists());
    missing.map(|file| format!("`{line}`: {file} does not exist"))
}

#[test]
fn commands_exist() {
    let mut wrong = Vec::new();
    for page in pages() {
        for block in page.blocks("sh") {
            let lines = block.text.lines().map(|line| line.trim_start_matches("$ "));
            wrong.extend(lines.filter(|line| !line.starts_with('#')).filter_map(wrong_command));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(readme().blocks("sh").len() >= 2);
}

/// A part of an inventory, as a whole one: put where its keys belong. `None`: it is none.
fn whole(part: &serde_json::Value) -> Option<serde_json::Value> {
    let keys: Vec<&str> = part.as_object()?.keys().map(String::as_str).collect();
    let has = |known: &[&str]| keys.iter().all(|key| known.contains(key));
    if keys.contains(&"stages") {
        return None;
    }
    if has(&["import", "gitlab", "runners", "defaults", "groups", "hosts"]) && !part["runners"].is_array() {
        return Some(part.clone());
    }
    Some(if has(&["scope", "tags", "config", "accept_risks"]) {
        serde_json::json!({ "runners": { "spec": part } })
    } else {
        serde_json::json!({ "defaults": part })
    })
}

/// By the schema, since most are a part of something: what they name is elsewhere.
#[test]
fn what_is_shown_of_inventories_is_in_the_language() {
    let schema = rprov::inventory::schema::json::schema();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let wrong = |text: &str| -> Vec<String> {
        let part: serde_json::Value = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        let whole = whole(&part);
        whole.iter().flat_map(|whole| validator.iter_errors(whole)).map(|error| error.to_string()).collect()
    };
    let (mut seen, mut problems) = (0, Vec::new());
    for page in pages().iter().filter(|page| !page.path.starts_with(root().join("tests"))) {
        for fence in page.fences().iter().filter(|fence| fence.language == "yaml") {
            seen += 1;
            let found = wrong(&fence.text);
            problems.extend(found.iter().map(|problem| format!("{}:{}: {problem}", page.path.display(), fence.line)));
            if let Some(file) = fence.file() {
                assert_eq!(file, "inventory.yml", "{}:{}", page.path.display(), fence.line);
            }
        }
    }
    assert!(seen >= 25 && problems.is_empty(), "{seen}\n{}\n", problems.join("\n"));
    assert!(!wrong("docker: { sauce: distro }").is_empty() && !wrong("tags: [a]\nconfig: { limit: many }").is_empty());
}

#[test]
fn the_example_inventory_is_valid() {
    let page = readme();
    let block = page.block("yaml");
    assert!(block.text.lines().count() <= 26, "the example is meant to be short");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prod.yml");
    fs::write(&file, &block.text).unwrap();
    let inventory = rprov::inventory::load(&file).unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics));
    assert_eq!(inventory.warnings, Vec::new());
    assert!(inventory.hosts.len() >= 2);
}

#[test]
fn the_example_plan_is_what_the_program_prints() {
    let page = readme();
    let inventory = page.block("yaml").text.clone();
    page.keep_block("text", &sample::plan(&inventory));
}

#[test]
fn the_pipeline_is_what_init_writes() {
    let out = Command::new(env!("CARGO_BIN_EXE_rprov")).args(["init", "ci", "--out", "-"]).output().unwrap();
    assert!(out.status.success());
    Page::read(&root().join("docs/gitlab-ci.md")).keep_block("yaml", &String::from_utf8(out.stdout).unwrap());
}

/// What stands on a page between two marks that name it is this text.
fn keep(page: &str, what: &str, text: &str) {
    let begin = format!("<!-- {what}: written by tests/docs.rs -->");
    Page::read(&root().join("docs").join(page)).keep_between(&begin, &format!("<!-- end of the {what} -->"), text);
}

#[test]
fn the_server_for_a_whole_gitlab_is_the_shipped_one() {
    let shipped = fs::read_to_string(root().join("inventories/dedicated-ci-server.yml")).unwrap();
    let text = shipped.replacen("# yaml-language-server: $schema=rprov.schema.json", "# inventory.yml", 1);
    assert_ne!(text, shipped);
    Page::read(&root().join("docs/how-to/ci-server.md")).keep_block("yaml", &text);
}

#[test]
fn the_keys_of_the_inventory_are_those_of_the_schema() {
    keep("reference/inventory.md", "reference", &reference::text());
}

#[test]
fn the_keys_of_config_toml_are_those_of_the_schema() {
    keep("reference/config-toml.md", "reference", &config_toml::text());
}

#[test]
fn the_page_of_commands_is_the_help() {
    keep("reference/commands.md", "commands", &commands::text());
}

#[test]
fn the_published_schema_is_the_language() {
    let path = root().join("inventories/rprov.schema.json");
    let schema = rprov::inventory::schema::json::text();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == schema, "UPDATE_DOCS=1 cargo test --test docs writes it");
}

/// Whoever starts from one of them has an editor that knows the language.
#[test]
fn shipped_inventories_name_the_schema() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("inventories")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("# yaml-language-server: $schema=rprov.schema.json\n"), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn the_page_of_messages_is_what_the_program_says() {
    keep("errors.md", "messages", &errors::text());
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let out = Command::new(env!("CARGO_BIN_EXE_rprov")).arg("--help").output().unwrap();
    let help = String::from_utf8(out.stdout).unwrap();
    let (_, listed) = help.split_once("Exit codes:\n").unwrap();
    let code = |line: &str| -> Option<(u8, String)> {
        let line = line.replace('`', "").replace('|', " ");
        let (number, words) = line.trim().split_once(' ')?;
        Some((number.parse().ok()?, words.trim().to_owned()))
    };
    let of_help: Vec<_> = listed.lines().filter_map(code).collect();
    let of_readme: Vec<_> = readme().section("Exit codes").lines().filter_map(code).collect();
    assert!(of_help.len() >= 5, "{help}");
    assert_eq!(of_readme, of_help);
}

#[test]
fn the_map_of_the_source_is_whole() {
    let page = Page::read(&root().join("docs/architecture.md"));
    let listed: BTreeSet<String> = page
        .section("The modules")
        .lines()
        .filter_map(|line| line.strip_prefix("| `src/")?.split('`').next())
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect();
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    let there: BTreeSet<String> = entries
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        // `x.rs` beside `x/` is one module.
        .filter(|name| !(name.ends_with(".rs") && root().join("src").join(name.trim_end_matches(".rs")).is_dir()))
        .collect();
    assert_eq!(listed, there);
}

/// The checks must be able to fail.
mod checks {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: root().join("README.md"), text: text.to_owned() }
    }

    #[test]
    fn broken_links_are_found() {
        let text = "# A b\n[x](Cargo.toml) [y](no/such.md) [z](#a-b) [w](#c)\n[v](https://example.com)\n```\n[u](nor-this)\n```\n";
        let wrong = broken_links(&page(text));
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].ends_with("README.md:2: no/such.md does not exist"), "{wrong:?}");
        assert!(wrong[1].contains("no heading #c"), "{wrong:?}");
    }

    #[test]
    fn unknown_commands_are_found() {
        assert_eq!(wrong_command("rprov plan --limit a -v   # x"), None);
        assert_eq!(wrong_command("A=b cargo run --release -- plan"), None);
        assert_eq!(wrong_command("tests/lab/up 3"), None);
        assert!(wrong_command("rprov conjure").unwrap().contains("no `rprov conjure`"));
        assert!(wrong_command("rprov plan --magic").unwrap().contains("has no --magic"));
        assert!(wrong_command("rprov plan -i inventories/none.yml").unwrap().contains("does not exist"));
        assert!(wrong_command("./tests/none").unwrap().contains("no program"));
        assert!(wrong_command("README.md").unwrap().contains("no program"));
    }

    #[test]
    fn pages_are_taken_apart() {
        let page = page("# A\n```sh\na\nb\n```\n## B `c`!\ntext\n### D\nmore\n## E\n");
        assert_eq!(page.blocks("sh").len(), 1);
        assert_eq!(page.block("sh").text, "a\nb\n");
        assert_eq!(page.section("B `c`!"), "text\n### D\nmore\n");
        assert!(page.anchors().contains("b-c"));
    }
}
