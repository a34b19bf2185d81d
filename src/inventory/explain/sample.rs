//! Examples of keys: a value that says something, and the way to it as YAML. Pure.

use super::{Format, Kind, Step, about, keys, words};
use crate::inventory::schema::{Field, Table};
use crate::runner_config::forms::{self, Form};
use crate::runner_config::keys::Key;

/// A value that a key of the inventory takes, short.
pub(super) fn of_field(field: &Field) -> Option<String> {
    let told = such_as(field.doc);
    match (field.kind, told) {
        (Kind::List(_), Some(told)) => Some(format!("[{told}]")),
        (Kind::Boolean, _) => Some(other_than(field.default())),
        (Kind::Word(_), _) => sample(field.kind),
        (_, Some(told)) => Some(told),
        (kind, None) => field.default().map(quoted).or_else(|| sample(kind)),
    }
}

/// The example that a text gives.
fn such_as(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("such as ")?;
    let end = [";", ",", " or "].iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
    let told = rest[..end].trim_matches('`');
    let is_yaml = told.starts_with(['{', '"']);
    (is_yaml || !told.contains(' ')).then(|| if is_yaml { told.to_owned() } else { quoted(told) })
}

/// In quotes, where YAML might take it for something else.
fn quoted(text: &str) -> String {
    // A mode is a text.
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '-') && !text.starts_with('0');
    if plain { text.to_owned() } else { format!("\"{text}\"") }
}

/// What holds anyhow is worth no line.
fn other_than(default: Option<&str>) -> String {
    (default != Some("true")).to_string()
}

fn sample(kind: Kind) -> Option<String> {
    let text = match kind {
        Kind::Text(format) | Kind::TextOrSecret(format) => text_sample(format)?.to_owned(),
        Kind::Boolean => "true".to_owned(),
        Kind::Word(known) => known.iter().find(|word| !word.later)?.name.to_owned(),
        Kind::Secret => "{ env: NAME }".to_owned(),
        Kind::Scope => "instance".to_owned(),
        Kind::List(of) => format!("[{}]", sample(*of)?),
        Kind::OneOrList(of) => sample(*of)?,
        Kind::Table(table) => table_sample(table)?,
        Kind::ShortOr(table) => sample(table.fields.first()?.kind)?,
        Kind::Named(_, table) => format!("{{ NAME: {} }}", table_sample(table)?),
        Kind::Texts(key, value) => format!("{{ {}: {} }}", text_sample(key)?, text_sample(value)?),
        Kind::TextsOrSecrets(_) => "{ NAME: value }".to_owned(),
        Kind::RunnerList => "[NAME]".to_owned(),
        Kind::Config(keys::GLOBAL) => "{ concurrent: 10 }".to_owned(),
        Kind::Config(_) => "{ executor: docker }".to_owned(),
        Kind::Unchecked(_) | Kind::Free => "{ new_key: value }".to_owned(),
        Kind::UncheckedJson => "{ new-key: value }".to_owned(),
        Kind::Json => "{ log-driver: local }".to_owned(),
        Kind::Integer(..) => return None,
    };
    Some(text)
}

/// The keys that must be there.
fn table_sample(table: &Table) -> Option<String> {
    let is_chosen = |name: &str| {
        let mut choices = table.choices.iter().filter(|choice| choice.required);
        choices.any(|choice| choice.of.first().is_some_and(|first| *first == name))
    };
    let fields = table.fields.iter().filter(|field| field.required || is_chosen(field.name));
    let value = |field: &Field| {
        of_field(field).unwrap_or_else(|| match field.kind {
            Kind::Integer(least, most) => 500.clamp(least, most).to_string(),
            Kind::Text(_) | Kind::TextOrSecret(_) => "text".to_owned(),
            _ => "{}".to_owned(),
        })
    };
    let needed: Vec<String> = fields.map(|field| format!("{}: {}", field.name, value(field))).collect();
    (!needed.is_empty()).then(|| format!("{{ {} }}", needed.join(", ")))
}

fn text_sample(format: Format) -> Option<&'static str> {
    Some(match format {
        Format::Any | Format::Line(_) | Format::Block(_) => return None,
        Format::Duration(..) => ["30s", "30m", "2h"].into_iter().find(|text| format.check(text).is_ok())?,
        Format::Name | Format::Tag | Format::FileName => "docker",
        Format::HostName | Format::Address => "ci.example.com",
        Format::Jump => "jump.example.com",
        Format::User => "deploy",
        Format::Owner => "root:docker",
        Format::Mode => "\"0644\"",
        Format::HostPath => "/srv/data",
        Format::LocalPath => "files/name",
        Format::Cron => "\"0 4 * * *\"",
        Format::Cidr | Format::DeniedNet => "10.0.0.0/8",
        Format::Ports => "443",
        Format::Image => "debian:12",
        Format::GitlabUrl => "https://gitlab.example.com",
        Format::Restart => "always",
        Format::Mount => "/srv/cache:/cache",
        Format::Publish => "127.0.0.1:9252:9252",
        Format::ExtraHost => "gitlab.example.com:10.0.0.5",
        Format::Package => "curl",
        Format::PackageVersion => "2.39.5-0+deb12u2",
        Format::PackagePattern => "docker-ce",
        Format::RunnerVersion => "17.9.0",
        Format::RepositoryUri => "https://download.docker.com/linux/debian",
        Format::Suite => "bookworm",
        Format::WebUrl => "https://download.docker.com/linux/debian/gpg",
        Format::Fingerprint => "\"3411 C0FE 448A B775 AF7D 1B99 3FCC 7197 020A 2A13\"",
        Format::VariableKey | Format::EnvName => "NAME",
        Format::FullPath => "acme/app",
        Format::DirPattern => "gitlab-job-*",
        Format::DockerName => "gitlab-runner",
        Format::LabelKey => "com.example.team",
        Format::VolumeName => "gitlab-runner-config",
        Format::IpAddress => "10.0.0.53",
        Format::Bytes(_) => "512m",
        Format::SwapBytes => "1g",
        Format::Cpus => "\"1.5\"",
        Format::Cpuset => "0-3",
        Format::UlimitName => "nofile",
        Format::Ulimit => "65536",
        Format::ContainerUser => "\"1000:1000\"",
        Format::Capability => "NET_ADMIN",
        Format::Device => "/dev/kvm",
        Format::Gpus => "all",
        Format::RegistryHost => "registry.example.com",
        Format::SystemId => "r_0123456789ab",
    })
}

/// A value that a key of config.toml takes, short.
pub(super) fn of_config(key: &Key) -> Option<String> {
    use keys::Kind as Toml;
    let told = Some(about::of(key).default).filter(|default| !default.is_empty());
    let word = words::of(key).and_then(|words| words.first().copied());
    let such_as = such_as(about::of(key).meaning);
    let own = told.or(word).or_else(|| forms::of(key).map(|form| form_sample(form, key.name)));
    let text = such_as.or_else(|| own.map(str::to_owned));
    let sample = match key.kind {
        _ if key.secret => "{ env: NAME }".to_owned(),
        // What a helper is made of is not the user's.
        _ if words::is_image(key) && key.name == "helper_image" => return None,
        _ if words::is_image(key) => "debian:12".to_owned(),
        Toml::String if text.as_deref().is_some_and(|text| text.parse::<f64>().is_ok()) => format!("\"{}\"", text?),
        Toml::String | Toml::Time | Toml::StringOrArray | Toml::Integer | Toml::Float => text?,
        Toml::Boolean => other_than(told),
        Toml::Duration => text.unwrap_or_else(|| "30s".to_owned()),
        Toml::StringArray => format!("[{}]", text?),
        Toml::BooleanMap => "{ FF_USE_FASTZIP: true }".to_owned(),
        Toml::StringMap if key.name == "log_options" => "{ env: NAME }".to_owned(),
        Toml::IntegerArray | Toml::FloatArray | Toml::StringMap | Toml::AnyMap => return None,
        Toml::IntegerMap | Toml::StringArrayMap | Toml::Table(_) | Toml::TableArray(_) => return None,
    };
    Some(sample)
}

fn form_sample(form: Form, name: &str) -> &'static str {
    match form {
        Form::Size => "512m",
        Form::Cpus => "\"1.5\"",
        Form::CpuSet => "0-3",
        Form::Quantity if name.contains("cpu") => "500m",
        Form::Quantity => "512Mi",
        Form::Address => "\":8093\"",
        Form::Metrics => "\":9252\"",
        Form::Volume => "/cache",
        Form::Pattern => "\"ruby:*\"",
        Form::Gpus => "all",
        Form::Port => "\"22\"",
    }
}

/// The way to a value as YAML, a key a line.
pub(super) fn yaml(steps: &[Step], value: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0);
    let mut item = false;
    for (at, step) in steps.iter().enumerate() {
        let name = match step {
            Step::Key(name) => (*name).to_owned(),
            Step::Name(Some(name)) => name.clone(),
            Step::Name(None) => "NAME".to_owned(),
            Step::Items => {
                item = true;
                continue;
            }
        };
        let indent = "  ".repeat(depth);
        let dash = if std::mem::take(&mut item) { "- " } else { "" };
        let end = if at + 1 == steps.len() { format!(" {value}") } else { String::new() };
        out += &format!("{indent}{dash}{name}:{end}\n");
        depth += 1 + dash.len() / 2;
    }
    out
}
