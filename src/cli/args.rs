//! The command line as typed. Data only.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::ui::report::Form;
use crate::ui::style::ColorChoice;

/// Everything on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "rprov",
    version,
    about = "Plan and apply for GitLab Runner hosts.\n\nOne YAML inventory says what hosts and runners should be; `rprov plan` shows what differs on \
             every host and in GitLab, `rprov apply` makes it so over SSH.",
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  rprov validate                      check the inventory, connect to nothing\n  rprov plan                          show what would change\n  \
                  rprov plan --limit gpu,'!gpu-3'     … on the group gpu but for one host\n  rprov apply                         make it so, after asking\n  \
                  rprov apply --yes                   make it so, in CI\n\nExit codes:\n  0  done\n  1  error: command line, inventory, secrets, no approval\n  \
                  2  plan --detailed-exitcode: there are changes\n  3  some hosts failed\n  4  the host changed after its plan was made\n  5  locked by another run"
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The inventory: a YAML file
    #[arg(
        short,
        long,
        value_name = "FILE",
        global = true,
        env = "RPROV_INVENTORY",
        hide_env_values = true,
        default_value = "inventory.yml"
    )]
    pub inventory: PathBuf,
    /// Show everything: whole values, whole diffs, steps, output of commands
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Colours: auto, always or never; NO_COLOR, CLICOLOR and CLICOLOR_FORCE are honoured
    #[arg(long, value_name = "WHEN", global = true, value_enum, default_value_t, hide_possible_values = true)]
    pub color: ColorChoice,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the inventory; connects to nothing
    #[command(after_help = "Examples:\n  rprov validate\n  rprov validate -i inventories/prod.yml --format json")]
    Validate(ValidateArgs),
    /// Show what would change on hosts and in GitLab; changes nothing
    #[command(
        after_help = "Examples:\n  rprov plan\n  rprov plan --limit ci.example.com -v\n  rprov plan --limit 'gpu-*','!gpu-3'\n  \
                            rprov plan --orphans                # also runners that no host has\n  \
                            rprov plan --format json | jq .totals\n  rprov plan --detailed-exitcode      # 2 if there are changes, 0 if not\n  \
                            rprov plan --out plan.json          # to be applied later: rprov apply plan.json\n  \
                            rprov plan --report terraform=tfplan.json   # for GitLab's merge request widget"
    )]
    Plan(PlanArgs),
    /// Show a plan that was saved; connects to nothing
    #[command(after_help = "Examples:\n  rprov show plan.json\n  rprov show plan.json --format json | jq .totals\n  \
                            rprov show plan.json --report markdown=note.md")]
    Show(ShowArgs),
    /// Make hosts and GitLab what the inventory says, after showing the plan and asking; or carry out a saved plan
    #[command(
        after_help = "Examples:\n  rprov apply\n  rprov apply --yes --lock-timeout 5m   # in CI\n  rprov apply --limit gpu-1\n  \
                            rprov apply plan.json                 # what was approved, and nothing else\n\n\
                            Ctrl-C stops after the changes that are under way; twice stops at once. The next run goes on from there."
    )]
    Apply(ApplyArgs),
    /// Show the files that rprov writes on a host, secrets by name; connects to nothing
    #[command(
        after_help = "Examples:\n  rprov render ci.example.com\n  rprov render ci.example.com /etc/docker/daemon.json\n  \
                            rprov render ci.example.com --probe    # what is run on the host to read it"
    )]
    Render(RenderArgs),
    /// Explain a key of the inventory: what it is for, where it is set, what holds for a host; connects to nothing
    #[command(after_help = "Examples:\n  rprov explain\n  rprov explain runners.docker.pull_policy\n  \
                            rprov explain config.concurrent --host ci.example.com   # which layer said so")]
    Explain(ExplainArgs),
    /// Print a JSON Schema of the inventory, for editors
    #[command(after_help = "Examples:\n  rprov schema > rprov.schema.json\n\n\
                            Then begin the inventory with this line:\n  # yaml-language-server: $schema=rprov.schema.json")]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = "Examples:\n  rprov completions bash > /etc/bash_completion.d/rprov\n  \
                            rprov completions zsh > \"${fpath[1]}/_rprov\"\n  rprov completions fish > ~/.config/fish/completions/rprov.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    #[command(after_help = "Example:\n  rprov version")]
    Version,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs: one JSON document.
    Json,
}

/// `rprov validate`
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// How the result is written to standard output: human or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// Which hosts, and how many at once.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// Only these hosts: names, groups, globs; `!` in front takes hosts away
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    pub limit: Vec<String>,
    /// Hosts at once
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_parallel)]
    pub parallel: usize,
    /// Ask for sudo's password, for all hosts; instead of `ssh.become_password`
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
    /// Delete this inventory's orphans in GitLab, if nothing uses them; all hosts must be readable
    #[arg(long)]
    pub delete_orphans: bool,
    /// How the result is written to standard output: human or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// A plan in a form that GitLab shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub form: Form,
    /// Where it goes.
    pub path: PathBuf,
}

/// `rprov plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Which hosts.
    #[command(flatten)]
    pub hosts: HostArgs,
    /// Look for orphans: runners of GitLab that rprov made and that no host has; one call for each runner
    #[arg(long)]
    pub orphans: bool,
    /// Exit with 2 if there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Save the plan, to be carried out by `rprov apply FILE`; it holds no secret
    #[arg(long, value_name = "FILE", conflicts_with_all = ["orphans", "delete_orphans"])]
    pub out: Option<PathBuf>,
    /// Write the plan for GitLab too: terraform=FILE, junit=FILE or markdown=FILE
    #[arg(long, value_name = "FORM=FILE", value_parser = parse_report)]
    pub report: Vec<Report>,
}

/// `rprov show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The saved plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Write the plan for GitLab too: terraform=FILE, junit=FILE or markdown=FILE
    #[arg(long, value_name = "FORM=FILE", value_parser = parse_report)]
    pub report: Vec<Report>,
    /// How the result is written to standard output: human or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// `rprov apply`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A plan that `rprov plan --out` saved: carried out without asking, where all is as it was then
    #[arg(value_name = "PLAN", conflicts_with_all = ["limit", "delete_orphans"])]
    pub plan: Option<PathBuf>,
    /// Which hosts.
    #[command(flatten)]
    pub hosts: HostArgs,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait for a host that another run has locked: 30s, 5m, 1h
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    pub lock_timeout: Duration,
}

/// `rprov render`
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The host, as the inventory names it
    pub host: String,
    /// Only this file, and nothing but its text
    #[arg(conflicts_with = "probe")]
    pub path: Option<String>,
    /// The script that reads the host instead
    #[arg(long)]
    pub probe: bool,
}

/// `rprov explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The key, such as firewall.ssh_from; names in between may be left out
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
    /// What holds for this host, and the layers it comes from
    #[arg(long, value_name = "HOST", requires = "key")]
    pub host: Option<String>,
    /// How the result is written to standard output: human or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

fn parse_report(text: &str) -> Result<Report, String> {
    let forms = Form::ALL;
    let (word, path) = text.split_once('=').unwrap_or((text, ""));
    match forms.iter().find(|(name, _)| *name == word) {
        Some((_, form)) if !path.is_empty() => Ok(Report { form: *form, path: path.into() }),
        Some(_) => Err(format!("write {word}=FILE")),
        None => Err("write terraform=FILE, junit=FILE or markdown=FILE".to_owned()),
    }
}

fn parse_parallel(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// `90`, `90s`, `5m`, `1h`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err("write a length of time such as 30s, 5m or 1h".to_owned()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| "write a length of time such as 30s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("rprov {}", command.get_name())), "{}: {help}", command.get_name());
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        for bad in ["", "m", "5 m", "-1s", "5d", "99999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reports_name_a_form_and_a_file() {
        let report = |form, path: &str| Ok(Report { form, path: path.into() });
        assert_eq!(parse_report("junit=a=b.xml"), report(Form::Junit, "a=b.xml"));
        assert_eq!(parse_report("terraform=out/plan.json"), report(Form::Terraform, "out/plan.json"));
        for bad in ["", "junit", "markdown=", "html=x", "=x", "JUNIT=x"] {
            assert!(parse_report(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_can_be_listed_and_repeated() {
        let cli =
            Cli::try_parse_from(["rprov", "plan", "--limit", "a,!b", "--limit", "c", "-i", "x.yml", "-v"]).unwrap();
        let Command::Plan(args) = cli.command else { panic!("{cli:?}") };
        assert_eq!(args.hosts.limit, ["a", "!b", "c"]);
        assert_eq!(cli.global.inventory, PathBuf::from("x.yml"));
        assert!(cli.global.verbose);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            &["rprov", "plan", "--parallel", "0"][..],
            &["rprov", "plan", "--yes"],
            &["rprov", "plan", "--format", "xml"],
            &["rprov", "render"],
            &["rprov", "render", "a", "/b", "--probe"],
            &["rprov", "aply"],
        ] {
            assert!(Cli::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
