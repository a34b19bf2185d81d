//! The command line as typed. Data only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Arg, ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use super::complete;
use super::limit::Shard;
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
    after_help = "Examples:
  rprov init                      write an inventory for a first host
  rprov doctor                    what would stop a run, and how to fix it
  rprov plan                      show what would change
  rprov plan --limit gpu,'!gpu-3' … on the group gpu but for one host
  rprov apply                     make it so, after asking
  rprov apply --yes               make it so, in CI

Exit codes:
  0  done
  1  error: command line, inventory, secrets, no approval
  2  plan --detailed-exitcode: there are changes
  3  some hosts failed
  4  the host changed after its plan was made
  5  locked by another run"
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
    #[arg(short, long, global = true, overrides_with = "verbose")]
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
    /// Write an inventory for a first host, or with `ci` a pipeline; overwrites nothing
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:
  rprov init                          # asks
  rprov init --host ci-1.example.com --user deploy \\
      --gitlab https://gitlab.example.com --manager container
  rprov init ci                       # writes .gitlab-ci.yml"
    )]
    Init(InitArgs),
    /// Show what would change on hosts and in GitLab; changes nothing
    #[command(after_help = "Examples:
  rprov plan
  rprov plan --limit ci.example.com -v
  rprov plan --limit 'gpu-*','!gpu-3'
  rprov plan --orphans                # also runners that no host has
  rprov plan --format json | jq .totals
  rprov plan --detailed-exitcode      # 2 if there are changes, 0 if not
  rprov plan --out plan.json          # for later: rprov apply plan.json
  rprov plan --report terraform=tfplan.json   # for the merge request")]
    Plan(PlanArgs),
    /// Show a plan that was saved; connects to no host
    #[command(after_help = "Examples:\n  rprov show plan.json\n  rprov show plan.json --format json | jq .totals\n  \
                            rprov show plan.json --report markdown=note.md")]
    Show(ShowArgs),
    /// Make hosts and GitLab what the inventory says, after showing the plan and asking; or carry out a saved plan
    #[command(after_help = "Examples:
  rprov apply
  rprov apply --yes --lock-timeout 5m   # in CI
  rprov apply --limit gpu-1
  rprov apply plan.json                 # what was approved, nothing else

Ctrl-C stops after the changes that are under way; twice stops at once.
The next run goes on from there.")]
    Apply(ApplyArgs),
    /// Show how hosts and runners are now: one line per host; changes nothing
    #[command(after_help = "Examples:
  rprov status
  rprov status --limit gpu -v            # every runner, every disk
  rprov status --watch                   # again every 10 s
  rprov status --format json |
      jq '.hosts[] | select(.reachable | not).name'

DRIFT is how much an apply would change, JOBS are running now, FREE is the
least free space where jobs live.")]
    Status(StatusArgs),
    /// Say what would stop a run, host by host, and how to fix it; changes nothing
    #[command(after_help = "Examples:
  rprov doctor
  rprov doctor ci.example.com -v
  rprov doctor --format json |
      jq '.parts[].findings[] | select(.level == \"stops\")'

Looks at SSH, root's rights, the clock, the way to GitLab and to registries,
disks, Docker, the kernel's firewall, and at the API token: its scopes, which
calls of this inventory GitLab would refuse, which scopes are enough.")]
    Doctor(DoctorArgs),
    /// Show the files that rprov writes on a host, secrets by name; connects to nothing
    #[command(
        after_help = "Examples:\n  rprov render ci.example.com\n  rprov render ci.example.com /etc/docker/daemon.json\n  \
                            rprov render ci.example.com --probe    # what reads the host"
    )]
    Render(RenderArgs),
    /// Explain a key of the inventory: what it is for, where it is set, what holds for a host; connects to nothing
    #[command(after_help = "Examples:\n  rprov explain\n  rprov explain runners.docker.pull_policy\n  \
                            rprov explain concurrent --host ci.example.com   # which layer said so")]
    Explain(ExplainArgs),
    /// Print a JSON Schema of the inventory, for editors
    #[command(args = unlisted(), after_help = "Examples:\n  rprov schema > rprov.schema.json\n\n\
                            Then begin the inventory with this line:\n  # yaml-language-server: $schema=rprov.schema.json")]
    Schema,
    /// Print a completion script for a shell; it completes hosts and groups of the inventory too
    #[command(args = unlisted(), after_help = "Examples:\n  rprov completions bash > /etc/bash_completion.d/rprov\n  \
                            rprov completions zsh > \"${fpath[1]}/_rprov\"\n  rprov completions fish > ~/.config/fish/completions/rprov.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands into a directory
    #[command(args = unlisted(), after_help = "Examples:\n  rprov man | man -l -\n  rprov man /usr/local/share/man/man1")]
    Man {
        /// Where the pages go
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: Option<PathBuf>,
    },
    /// Print the version
    #[command(args = unlisted(), after_help = "Example:\n  rprov version")]
    Version,
}

/// Options of every command that mean nothing to this one: taken, as everywhere, and not listed.
fn unlisted() -> [Arg; 2] {
    let inventory = Arg::new("inventory").short('i').long("inventory").value_parser(clap::value_parser!(PathBuf));
    let verbose = Arg::new("verbose").short('v').long("verbose").action(ArgAction::SetTrue);
    [inventory.hide(true), verbose.overrides_with("verbose").hide(true)]
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
    /// The inventory may be anybody's, as in a merge request: read nothing outside its directory
    #[arg(long)]
    pub untrusted: bool,
    /// How the result is written to standard output: human or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// `rprov init`: what is not given is asked, where somebody is there to be asked.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Something else than an inventory.
    #[command(subcommand)]
    pub other: Option<InitOther>,
    /// The host's name or address, also as USER@HOST
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Who logs in on it, by SSH
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// GitLab's address, such as `https://gitlab.example.com`
    #[arg(long, value_name = "URL")]
    pub gitlab: Option<String>,
    /// How gitlab-runner runs: container or package (a service)
    #[arg(long, value_name = "KIND", value_enum, hide_possible_values = true)]
    pub manager: Option<Manager>,
    /// Where jobs run: docker (containers) or shell (the host's; only with `--manager package`)
    #[arg(long, value_name = "KIND", value_enum, hide_possible_values = true)]
    pub executor: Option<Executor>,
    /// The group whose jobs the runner takes; without this and --project all of the instance
    #[arg(long, value_name = "PATH", conflicts_with = "project")]
    pub group: Option<String>,
    /// The project whose jobs the runner takes
    #[arg(long, value_name = "PATH")]
    pub project: Option<String>,
    /// The inventory to write, if not the one of `-i`; - for standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What else `rprov init` writes.
#[derive(Debug, Subcommand)]
pub enum InitOther {
    /// Write a pipeline that plans in merge requests and applies after the merge
    #[command(after_help = "Examples:\n  rprov init ci\n  rprov init ci -i inventories/prod.yml --out ci/prod.yml")]
    Ci {
        /// The pipeline to write, for the inventory of `-i`; - for standard output
        #[arg(long, value_name = "FILE", default_value = ".gitlab-ci.yml")]
        out: PathBuf,
    },
}

/// How gitlab-runner runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Manager {
    /// In a container.
    Container,
    /// As a service, from its package.
    Package,
}

/// Where jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Executor {
    /// In containers.
    Docker,
    /// In the host's shell.
    Shell,
}

/// Which hosts, and how many at once.
#[derive(Debug, Clone, Args)]
pub struct HostArgs {
    /// Only these hosts: names, groups, globs; prefix with `!` to exclude
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',', add = ArgValueCompleter::new(complete::patterns))]
    pub limit: Vec<String>,
    /// Part I of N parts of the hosts, for parallel jobs; what belongs to GitLab and to no host is in part 1
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub shard: Option<Shard>,
    /// Hosts at once
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_parallel)]
    pub parallel: usize,
    /// Ask for sudo's password, for all hosts; instead of `ssh.become_password`
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
    /// How the result is written to standard output: human or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// An inventory that somebody pushed.
#[derive(Debug, Clone, Args)]
pub struct UntrustedArgs {
    /// The inventory may be anybody's, as in a merge request: read nothing outside its directory, start no program, and do only
    /// what the target branch's inventory does already; what is refused is said
    #[arg(long, conflicts_with_all = ["out", "orphans", "delete_orphans", "ask_become_pass"])]
    pub untrusted: bool,
    /// With --untrusted: the target branch's inventory, whose hosts, secrets and token may be used; not below the other one's
    /// directory
    #[arg(long, value_name = "FILE", requires = "untrusted")]
    pub trusted_inventory: Option<PathBuf>,
    /// With --untrusted: a GitLab that the API token may be sent to, besides the job's own (CI_SERVER_URL)
    #[arg(long, value_name = "URL", requires = "untrusted")]
    pub gitlab_url: Vec<String>,
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
    /// Whose inventory it is.
    #[command(flatten)]
    pub untrusted: UntrustedArgs,
    /// Look for orphans: runners of GitLab that rprov made and that no host has; two calls for each
    #[arg(long, conflicts_with = "shard")]
    pub orphans: bool,
    /// Delete this inventory's orphans in GitLab, if nothing uses them; all hosts must be readable
    #[arg(long, conflicts_with = "shard")]
    pub delete_orphans: bool,
    /// Exit with 2 if there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Save the plan, to be carried out by `rprov apply FILE`; it holds no secret
    #[arg(long, value_name = "FILE", value_parser = file(), conflicts_with_all = ["orphans", "delete_orphans"])]
    pub out: Option<PathBuf>,
    /// Write the plan for GitLab too: terraform=FILE, junit=FILE or markdown=FILE
    #[arg(long, value_name = "FORM=FILE", value_parser = parse_report, add = ArgValueCompleter::new(complete::reports))]
    pub report: Vec<Report>,
    /// Write the plan as one note on the merge request of this CI job; the token is in RPROV_NOTE_TOKEN
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = parse_note_name
    )]
    pub merge_request_note: Option<String>,
}

/// `rprov show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The saved plan
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Write the plan for GitLab too: terraform=FILE, junit=FILE or markdown=FILE
    #[arg(long, value_name = "FORM=FILE", value_parser = parse_report, add = ArgValueCompleter::new(complete::reports))]
    pub report: Vec<Report>,
    /// Write the plan as one note on the merge request of this CI job; the token is in RPROV_NOTE_TOKEN
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_parser = parse_note_name
    )]
    pub merge_request_note: Option<String>,
    /// How the result is written to standard output: human or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// `rprov apply`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A plan that `rprov plan --out` saved: carried out without asking, where all is as it was then
    #[arg(value_name = "PLAN", conflicts_with_all = ["limit", "shard", "delete_orphans"])]
    pub plan: Option<PathBuf>,
    /// Which hosts.
    #[command(flatten)]
    pub hosts: HostArgs,
    /// Delete this inventory's orphans in GitLab, if nothing uses them; all hosts must be readable
    #[arg(long, conflicts_with = "shard")]
    pub delete_orphans: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait for a host that another run has locked: 30s, 5m, 1h
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    pub lock_timeout: Duration,
}

/// `rprov status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which hosts.
    #[command(flatten)]
    pub hosts: HostArgs,
    /// Look again and again, every so often, until Ctrl-C
    #[arg(short, long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "10s", value_parser = parse_duration)]
    pub watch: Option<Duration>,
}

/// `rprov doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Only these hosts, as `--limit` takes them
    #[arg(value_name = "HOST", add = ArgValueCompleter::new(complete::patterns))]
    pub patterns: Vec<String>,
    /// Which hosts.
    #[command(flatten)]
    pub hosts: HostArgs,
}

/// `rprov render`
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The host, as the inventory names it
    #[arg(add = ArgValueCompleter::new(complete::hosts))]
    pub host: String,
    /// Only this file, and nothing but its text; the end of its path will do
    #[arg(conflicts_with = "probe")]
    pub path: Option<String>,
    /// The script that reads the host instead
    #[arg(long)]
    pub probe: bool,
}

/// `rprov explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The key, such as firewall.ssh_from: what stands before it and in between may be left out; or a feature flag
    #[arg(value_name = "KEY", add = ArgValueCompleter::new(complete::keys))]
    pub key: Option<String>,
    /// What holds for this host, and the layers it comes from
    #[arg(long, value_name = "HOST", requires = "key", add = ArgValueCompleter::new(complete::hosts))]
    pub host: Option<String>,
    /// How the result is written to standard output: human or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// Standard output has the plan for people already.
const NO_STREAM: &str = "name a file; standard output holds the plan itself, as JSON with `--format json`";

fn file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| if path == Path::new("-") { Err(NO_STREAM) } else { Ok(path) })
}

fn parse_report(text: &str) -> Result<Report, String> {
    let forms = Form::ALL;
    let (word, path) = text.split_once('=').unwrap_or((text, ""));
    match forms.iter().find(|(name, _)| *name == word) {
        Some(_) if path == "-" => Err(NO_STREAM.to_owned()),
        Some((_, form)) if !path.is_empty() => Ok(Report { form: *form, path: path.into() }),
        Some(_) => Err(format!("write {word}=FILE")),
        None => Err("write terraform=FILE, junit=FILE or markdown=FILE".to_owned()),
    }
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    match numbers {
        Some((index, of)) if index >= 1 && index <= of => Ok(Shard { index, of }),
        _ => Err("write I/N, I from 1 to N: in a job with `parallel:` \"$CI_NODE_INDEX/$CI_NODE_TOTAL\"".to_owned()),
    }
}

fn parse_note_name(text: &str) -> Result<String, String> {
    if text.chars().count() > 100 {
        Err("write a name of at most 100 characters".to_owned())
    } else {
        Ok(text.to_owned())
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

    /// A terminal of 80 columns, or a manual page with its margin, must not break a command.
    #[test]
    fn what_is_below_the_options_fits_into_80_columns() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines() {
                let most = if line.starts_with(' ') { 75 } else { 79 };
                assert!(line.chars().count() <= most, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn options_that_mean_nothing_are_taken_and_not_listed() {
        let mut program = Cli::command();
        program.build();
        for command in ["version", "man", "completions", "schema"] {
            let help = program.find_subcommand_mut(command).unwrap().render_long_help().to_string();
            assert!(help.contains("--color") && !help.contains("--inventory") && !help.contains("--verbose"), "{help}");
        }
        for line in [&["-v", "-i", "a.yml", "schema"][..], &["schema", "-vv", "-i", "a.yml"]] {
            let cli = Cli::try_parse_from(["rprov"].iter().chain(line)).unwrap();
            assert_eq!((cli.global.verbose, cli.global.inventory), (true, "a.yml".into()), "{line:?}");
        }
        let cli = Cli::try_parse_from(["rprov", "schema"]).unwrap();
        assert_eq!((cli.global.verbose, cli.global.inventory), (false, "inventory.yml".into()));
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
    fn shards() {
        assert_eq!(parse_shard("2/3"), Ok(Shard { index: 2, of: 3 }));
        assert_eq!(parse_shard("1/1"), Ok(Shard { index: 1, of: 1 }));
        for bad in ["", "/", "1", "0/3", "4/3", "-1/3", "1/0", "a/b", "1/2/3", "99999999999999999999/3"] {
            assert!(parse_shard(bad).is_err(), "{bad}");
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
