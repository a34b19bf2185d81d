//! What the harness is asked for.

use super::inflict::Fault;

/// The command line of `tests/lab/faults`.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Each so-many-th point of a list, and each kind of step and each request at least once.
    pub(crate) sample: usize,
    /// Of each pair, only the point of this number.
    pub(crate) only: Option<usize>,
    /// Only points whose name contains this.
    pub(crate) point: Option<String>,
    /// Only pairs whose name contains this.
    pub(crate) scenario: Option<String>,
    /// Not those whose name contains this.
    pub(crate) without: Option<String>,
    /// Only these faults.
    pub(crate) faults: Vec<Fault>,
    /// Names the points and disturbs nothing.
    pub(crate) list: bool,
    /// No run begins later than so many minutes after the start.
    pub(crate) minutes: Option<usize>,
    /// Hosts at once.
    pub(crate) hosts: usize,
}

pub(crate) const USAGE: &str = "\
usage: tests/lab/faults [--sample K] [--faults kill,cut,sshd,power,link] [--scenario NAME] [--without NAME] [--only N] [--point TEXT] [--hosts N]
                        [--minutes N] [--list]

  --sample K       each K-th point, and of each kind of step and each request at least one; default 1: all of them
  --faults LIST    only these; default all
  --scenario NAME  only pairs of inventories whose name contains NAME
  --without NAME   no pairs whose name contains NAME
  --only N         of these, the point number N, as messages name it
  --minutes N      begins no run later than that; what was left out is counted and said
  --list           names the points with their numbers, and disturbs nothing
  --point TEXT     only points whose name, as --list prints it, contains TEXT
  --hosts N        hosts at once; default 4
";

impl Options {
    /// Reads the command line; `Err`: what is wrong with it.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            sample: 1,
            only: None,
            point: None,
            scenario: None,
            without: None,
            faults: Fault::ALL.to_vec(),
            list: false,
            minutes: None,
            hosts: 4,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let number = |text: String| match text.parse::<usize>() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("`{text}` is no number above 0")),
            };
            match word.as_str() {
                "--sample" => options.sample = number(value()?)?,
                "--only" => options.only = Some(number(value()?)?),
                "--minutes" => options.minutes = Some(number(value()?)?),
                "--hosts" => options.hosts = number(value()?)?,
                "--list" => options.list = true,
                "--point" => options.point = Some(value()?),
                "--scenario" => options.scenario = Some(value()?),
                "--without" => options.without = Some(value()?),
                "--faults" => {
                    let list = value()?;
                    let found =
                        list.split(',').map(|name| Fault::named(name).ok_or_else(|| format!("no fault `{name}`")));
                    options.faults = found.collect::<Result<_, _>>()?;
                }
                other => return Err(format!("unknown option {other}")),
            }
        }
        Ok(options)
    }
}
