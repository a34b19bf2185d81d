//! Forms of texts as regular expressions, for editors: they take everything that `Format::check` and
//! `runner_config::forms::check` take, and refuse most of what these refuse. Pure.
//!
//! The expressions keep to what JavaScript (with the flag `u`), Python and Rust read alike.

use crate::inventory::format::Format;
use crate::inventory::format::limits::ULIMITS;
use crate::runner_config::forms::Form;

/// A text that the template engine renders.
pub(super) const TEMPLATE: &str = r"\{\{|\{%";

/// How a text of a form can be written in YAML, and what it must look like.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// An expression for the whole text; empty: any.
    pub pattern: String,
    /// Fewest and most characters.
    pub length: (Option<usize>, Option<usize>),
    /// A number may stand for it, without quotes.
    pub number: Number,
}

/// Whether a number may stand where a text is meant.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// No number is such a text.
    #[default]
    No,
    /// Whole numbers between two bounds.
    Whole(i64, i64),
    /// Any number.
    Any,
}

const HOST: &str = "(?![^:]+:[0-9]+$)[^-@/ \\t\\r\\n\"'`$;&|<>(){}\\\\,*?!#][^@/ \\t\\r\\n\"'`$;&|<>(){}\\\\,*?!#]*";
const USER: &str = r"[A-Za-z0-9._$@\\+][A-Za-z0-9._$@\\+-]{0,63}";
const NET: &str = r"(?=.*[.:])[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?";
const PORTS: &str = "0*[0-9]{1,5}(?:-0*[0-9]{1,5})?";
const URL_REST: &str = "[^/@ \\t\\r\\n\"'`<>\\\\^|#]+(?:/[^ \\t\\r\\n\"'`<>\\\\^|#]*)?";
const BYTES: &str = "[0-9]+(?:[kKmMgGtT]?(?:[iI]?[bB])?)";
const NUMBERS: &str = "[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*";
/// A registry's name, where it is one, stands before the first slash.
const IMAGE: &str = concat!(
    "(?:(?:[A-Za-z0-9.-]*\\.[A-Za-z0-9.-]*|[A-Za-z0-9.-]+(?=:)|localhost)(?::0*[0-9]{1,5}(?:-0*[0-9]{1,5})?)?/)?",
    "[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9A-Fa-f]{64})?",
);

/// The look of a form of the inventory's.
pub(super) fn look(format: Format) -> Look {
    let with =
        |pattern: String, number: Number| Look { pattern: format!("^(?:{pattern})$"), number, ..Look::default() };
    let text = |pattern: &str| with(pattern.to_owned(), Number::No);
    let any = |pattern: &str| with(pattern.to_owned(), Number::Any);
    match format {
        Format::Any => Look { number: Number::Any, ..Look::default() },
        Format::Line(most) => Look { length: (None, Some(most)), ..any("[^\\r\\n]*") },
        Format::Block(most) => Look { length: (None, Some(most)), number: Number::Any, ..Look::default() },
        Format::LocalPath => Look { length: (Some(1), None), number: Number::Any, ..Look::default() },
        Format::Name => any("[A-Za-z0-9][A-Za-z0-9._-]{0,99}"),
        Format::HostName | Format::Address => any(HOST),
        Format::Jump => any("[^%\"'`&|<>(){}*?!#]+"),
        Format::User => any(USER),
        Format::Owner => any(&format!("{USER}(?::{USER})?")),
        Format::Mode => text("(?:0o)?0?[0-7]{3,4}"),
        Format::HostPath => text(r"(?:/(?!\.\.(?:/|$))[^/\t\r\n]*)+"),
        Format::Duration(..) => text("(?=[0-9])(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?"),
        Format::Cron => text(r"[ \t]*[0-9A-Za-z*/,-]+(?:[ \t]+[0-9A-Za-z*/,-]+){4}[ \t]*"),
        Format::Cidr => text(NET),
        Format::DeniedNet => text(&format!("internal|{NET}")),
        Format::Ports => with(PORTS.to_owned(), Number::Whole(1, 65535)),
        Format::Image => any(IMAGE),
        Format::GitlabUrl => text(&format!("https?://(?![-.:])(?!.*(?:/api/v|\\?)){URL_REST}")),
        Format::RepositoryUri | Format::WebUrl => text(&format!("https?://(?![-.:]){URL_REST}")),
        Format::Restart => text(r"no|always|unless-stopped|on-failure(?::\+?[0-9]+)?"),
        Format::Mount => text("[^:\\r\\n]+:/[^:\\r\\n]*(?::[A-Za-z,-]+)?"),
        Format::Publish => with(r"[\[\]0-9A-Fa-f:.-]+(?:/(?:tcp|udp))?".to_owned(), Number::Whole(1, 65535)),
        Format::ExtraHost => text(r"[^: \t\r\n]+:\[?(?:host-gateway|[0-9A-Fa-f:.]+)\]?"),
        Format::Package => any("[A-Za-z0-9][A-Za-z0-9+._:-]{0,199}"),
        Format::PackageVersion => any("[A-Za-z0-9+.~:^_-]+"),
        Format::PackagePattern => any(r"[A-Za-z0-9+._*?\[\]-]+"),
        Format::RunnerVersion => text(r"[0-9]+\.[0-9]+\.[0-9]+(?:[~-][A-Za-z0-9+.~-]*)?"),
        Format::FileName => any("[A-Za-z0-9][A-Za-z0-9_-]{0,59}"),
        Format::Suite => any("[A-Za-z0-9._/+~][A-Za-z0-9._/+~-]*"),
        Format::Fingerprint => any(r"[\s:]*(?:0[\s:]*x)?(?:[\s:]*[0-9A-Fa-f]){40}[\s:]*"),
        Format::Tag => Look { length: (None, Some(255)), ..any("[^ ,](?:[^,\\r\\n]*[^ ,])?") },
        Format::VariableKey => any("[A-Za-z0-9_]{1,255}"),
        Format::EnvName => text("[A-Za-z_][A-Za-z0-9_]*"),
        Format::FullPath => any("[A-Za-z0-9._][A-Za-z0-9._-]*(?:/[A-Za-z0-9._][A-Za-z0-9._-]*)*"),
        Format::DirPattern => any(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_*?\[\]][A-Za-z0-9._*?\[\]-]*"),
        Format::DockerName => any("[A-Za-z0-9][A-Za-z0-9_.:-]*"),
        Format::LabelKey => any("[A-Za-z0-9_./-]+"),
        Format::VolumeName => any("[A-Za-z0-9][A-Za-z0-9_.-]+"),
        Format::IpAddress => text("[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]*"),
        Format::Bytes(least) => {
            with(BYTES.to_owned(), Number::Whole(i64::try_from(least).unwrap_or(i64::MAX), 1 << 50))
        }
        Format::SwapBytes => with(format!("-1|{BYTES}"), Number::Whole(-1, 1 << 50)),
        Format::Cpus => any(r"(?=.*[0-9])[0-9]{0,5}(?:\.[0-9]{1,9})?"),
        Format::Cpuset => with(NUMBERS.to_owned(), Number::Whole(0, 65535)),
        Format::UlimitName => text(&ULIMITS.join("|")),
        Format::Ulimit => with("[+-]?[0-9]+(?::[+-]?[0-9]+)?".to_owned(), Number::Whole(-1, i64::MAX)),
        Format::ContainerUser => any("[A-Za-z0-9_.:-]+"),
        Format::Capability => any("[A-Za-z0-9_]+"),
        Format::Device => text("/[^\\r\\n]*"),
        Format::Gpus => with(r"all|\+?[0-9]+|device=[^ \t\r\n]+".to_owned(), Number::Whole(1, 65535)),
        Format::RegistryHost => any("localhost|(?=.*[.:])[A-Za-z0-9.-]+(?::0*[0-9]{1,5})?"),
        Format::SystemId => text("[rs]_[A-Za-z0-9]{12}"),
    }
}

/// What to write, for whoever wrote something else.
pub(super) fn hint(format: Format) -> Option<String> {
    ["\n ", ""].into_iter().find_map(|wrong| format.check(wrong).err()?.help).filter(|help| !help.contains('\n'))
}

/// The look of a form of config.toml's. An empty text means "not set", and what a variable becomes is unknown.
pub(super) fn of_config(form: Form) -> String {
    let port = "0*[0-9]{1,5}";
    let host = r#"(?:\[[0-9A-Fa-f:.]*\]|[^: \t\r\n/\[\]"']*)"#;
    let pattern = match form {
        Form::Size => r"-1|[0-9.]+\s*[kmgtpKMGTP]?(?:[iI]?[bB])?".to_owned(),
        Form::Cpus => "[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?".to_owned(),
        Form::CpuSet => NUMBERS.to_owned(),
        Form::Quantity => "[0-9.]+(?:m|k|[MGTPE]|[KMGTPE]i|[eE][+-]*[0-9]+)?".to_owned(),
        Form::Address => format!("{host}:{port}"),
        Form::Metrics => format!("{host}(?::{port})?"),
        Form::Volume => r"(?:[^:]+:)?/[^:]*(?::[A-Za-z,]*)?|.*\\.*".to_owned(),
        Form::Pattern => r"(?!.*://)[^ \t\r\n]+".to_owned(),
        Form::Gpus => "all|[0-9]+|.*=.*".to_owned(),
        Form::Port => port.to_owned(),
    };
    format!(r"^(?:{pattern})?$|\$|{TEMPLATE}")
}

/// A length of time as Go reads it.
pub(super) const GO_DURATION: &str = "[+-]?(?:0|(?:[0-9]*\\.?[0-9]*(?:ns|us|\u{b5}s|\u{3bc}s|ms|s|m|h))+)";

/// An image of jobs: what a variable in it becomes is unknown.
pub(super) fn image_of_jobs() -> String {
    format!(r"^(?:{IMAGE})$|\$|{TEMPLATE}")
}

/// Any of these words, as an expression.
pub(super) fn words(words: &[&str]) -> String {
    format!("^(?:{})$|{TEMPLATE}", words.iter().map(|word| word.replace('+', "\\+")).collect::<Vec<_>>().join("|"))
}
