//! What the harness is asked for.

use super::fault::Fault;

/// The command line of `tests/lab/faults`.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Each so-many-th point of a list, and each kind of step and each request at least once.
    pub(crate) sample: usize,
    /// Only each kind of step, each phase and each kind of request, by one fault.
    pub(crate) brief: bool,
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
usage: tests/lab/faults [--sample K | --brief] [--faults kill,cut,sshd,power,link] [--scenario NAME] [--without NAME] [--only N] [--point TEXT] [--hosts N]
                        [--minutes N] [--list]

  --sample K       each K-th point, and of each kind of step and each request at least one; default 1: all of them
  --brief          each kind of step, each phase of a run and each kind of request, by one fault each: some minutes
  --faults LIST    only these; default all
  --scenario NAME  only pairs of inventories whose name contains NAME
  --without NAME   no pairs whose name contains NAME
  --only N         of these, the point number N, as messages name it
  --minutes N      begins no run later than that; what was left out is named, and the exit status is 1
  --list           names the points with their numbers, and disturbs nothing
  --point TEXT     only points whose name, as --list prints it, contains TEXT
  --hosts N        hosts at once; default 4
";

impl Options {
    /// Whether all pairs were asked for, so that every kind of step must have its turn.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_none() && self.point.is_none() && self.scenario.is_none() && self.without.is_none() && !self.list
    }

    /// Reads the command line; `Err`: what is wrong with it.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            sample: 1,
            brief: false,
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
                "--brief" => options.brief = true,
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
        if options.brief && (options.sample != 1 || options.only.is_some() || options.point.is_some()) {
            return Err(
                "--brief is a sample of its own: it goes with neither --sample nor --only nor --point".to_owned()
            );
        }
        Ok(options)
    }
}
