//! Text from values: strings of the inventory that hold `{{ … }}` or `{% … %}`, and whole files from `templates/`.
//! A name that is not there is an error, never an empty text. Pure: whoever makes an [`Engine`] brings the user's files.
//!
//! Secrets enter as [`secret`]: a template can place one, but neither change it nor look into it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Environment, UndefinedBehavior};

pub use minijinja::Value;

use self::bounds::work;
use crate::secret::SecretId;
use crate::text::Text;

mod bounds;
mod filters;
mod places;
mod problem;

pub use problem::Problem;

/// The templates in the binary: name and text. A file of the same name beside the inventory takes its place.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("cleanup.sh.j2", include_str!("../templates/cleanup.sh.j2")),
    ("cleanup.cron.j2", include_str!("../templates/cleanup.cron.j2")),
];

/// Steps after which rendering stops: some hundred times what the longest template here needs.
const FUEL: u64 = 2_000_000;

/// Steps that a rendering is taken for that fails early.
const FEW_STEPS: u64 = 2_000;

/// Units of work that a text counts for, besides its length.
const SOURCE: usize = 100;

/// Bytes that all texts of one engine may have together: a template of `defaults` is rendered for each of a thousand hosts.
const ALL_TEXTS: usize = 256 << 20;

/// Renders templates.
pub struct Engine {
    /// Bytes that were made so far.
    made: AtomicUsize,
    /// Units of work that are left for all renderings.
    left: AtomicUsize,
    /// The longest text between tags of the templates that others may include.
    included: usize,
    /// For files, which may hold Jinja's `{# comments #}`.
    environment: Environment<'static>,
    /// For texts within the inventory: `${#name}` is shell there, not the start of a comment that swallows what follows.
    inline: Environment<'static>,
    /// For templates of config.toml, as teams bring them from Ansible.
    ansible: Environment<'static>,
}

/// What a template of config.toml makes: text that is not to be shown before it is parsed, since secrets are marked in it.
pub struct Rendered {
    /// With marks where secrets belong ([`Text::from_marked`]).
    pub marked: String,
    lines: Option<Vec<usize>>,
}

impl Rendered {
    /// The line of the template that made a line of the text, both from 1; `None`: it is not known.
    #[must_use]
    pub fn template_line(&self, line: usize) -> Option<usize> {
        self.lines.as_ref()?.get(line.checked_sub(1)?).copied()
    }
}

/// Private-use characters as comment marks: no text has them, so no text has comments.
const NO_COMMENT: (&str, &str) = ("\u{f8f2}", "\u{f8f3}");

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    File,
    Inline,
    Ansible,
}

fn environment(own: Arc<BTreeMap<String, String>>, dialect: Dialect) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_recursion_limit(50);
    environment.set_fuel(Some(FUEL));
    environment.set_syntax(syntax_of(dialect));
    bounds::add_to(&mut environment);
    filters::add_to(&mut environment);
    let written = syntax_of(dialect);
    environment.set_loader(move |name| {
        let built_in = || BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        let Some(source) = own.get(name).cloned().or_else(built_in) else { return Ok(None) };
        let fit = bounds::rewrite::rewrite(&source, &written);
        fit.map(|fit| Some(fit.source)).map_err(|why| involved(&format!("{why}, in templates/{name}")))
    });
    environment
}

fn syntax_of(dialect: Dialect) -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true);
    match dialect {
        Dialect::File => {}
        Dialect::Inline => {
            syntax.comment_delimiters(NO_COMMENT.0, NO_COMMENT.1);
        }
        // The line break after a tag goes, as with Ansible.
        Dialect::Ansible => {
            syntax.trim_blocks(true);
        }
    }
    // The delimiters are literals of this crate, and good ones.
    syntax.build().unwrap_or_default()
}

fn involved(why: &str) -> minijinja::Error {
    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, why.to_owned())
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that knows the built-in templates and, over these, the user's own by name.
    #[must_use]
    pub fn new(own: BTreeMap<String, String>) -> Self {
        let longest = |text: &str| {
            bounds::rewrite::rewrite(text, &syntax_of(Dialect::File)).map_or(text.len(), |fit| fit.longest)
        };
        let built_in = BUILT_IN.iter().map(|(_, text)| *text);
        let included = own.values().map(String::as_str).chain(built_in).map(longest).max().unwrap_or_default();
        let own = Arc::new(own);
        let mut ansible = environment(Arc::clone(&own), Dialect::Ansible);
        // What it makes is parsed, and written anew: a secret's mark may be quoted.
        filters::quote_secrets(&mut ansible);
        Self {
            made: AtomicUsize::new(0),
            left: AtomicUsize::new(work::ALL_WORK),
            included,
            environment: environment(Arc::clone(&own), Dialect::File),
            inline: environment(own, Dialect::Inline),
            ansible,
        }
    }

    /// Renders a template of config.toml, with the places its lines come from.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn render_lines(&self, name: &str, source: &str, values: &Value) -> Result<Rendered, Problem> {
        let render = |source: &str| self.made(&self.ansible, Dialect::Ansible, name, source, values);
        let marked = render(source).map_err(|error| self.problem(&error, name, source, values))?;
        let lines = render(&places::mark(source)).ok().and_then(|other| places::lines(&marked, &other));
        Ok(Rendered { marked, lines })
    }

    /// Renders a text of the inventory.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn render_inline(&self, name: &str, source: &str, values: &Value) -> Result<Text, Problem> {
        self.render_in(&self.inline, Dialect::Inline, name, source, values)
    }

    /// The names that a text of the inventory looks up, with what is looked up in them as far as it is written plainly:
    /// `vars.rack`. Sorted; `None`: the text cannot be read as a template.
    #[must_use]
    pub fn names(&self, source: &str) -> Option<Vec<String>> {
        if bounds::depth::too_deep(source, &syntax_of(Dialect::Inline)).is_some() {
            return None;
        }
        let template = self.inline.template_from_str(source).ok()?;
        let mut names: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        names.sort();
        Some(names)
    }

    /// Renders a file's text; `name` is for messages.
    ///
    /// # Errors
    /// When its syntax is wrong, it uses a name that is not there, or a filter fails.
    pub fn render(&self, name: &str, source: &str, values: &Value) -> Result<Text, Problem> {
        self.render_in(&self.environment, Dialect::File, name, source, values)
    }

    fn render_in(
        &self,
        environment: &Environment<'static>,
        dialect: Dialect,
        name: &str,
        source: &str,
        values: &Value,
    ) -> Result<Text, Problem> {
        let rendered = self
            .made(environment, dialect, name, source, values)
            .map_err(|error| self.problem(&error, name, source, values))?;
        finish(&rendered)
    }

    /// Renders within bounds of time and size.
    fn made(
        &self,
        environment: &Environment<'static>,
        dialect: Dialect,
        name: &str,
        source: &str,
        values: &Value,
    ) -> Result<String, minijinja::Error> {
        self.take(SOURCE + source.len() / 4);
        if self.left.load(Ordering::Relaxed) == 0 {
            return Err(involved(work::ALL_SPENT));
        }
        let fit = bounds::rewrite::rewrite(source, &syntax_of(dialect)).map_err(involved)?;
        let includes = ["include", "import", "extends"].iter().any(|word| source.contains(word));
        let longest = if includes { fit.longest.max(self.included) } else { fit.longest };
        self.run(environment, bounds::fuel(longest, FUEL), |environment| {
            let template = environment.template_from_named_str(name, &fit.source)?;
            finished(&template.render_captured(values.clone())?)
        })
    }

    /// Renders with so many steps at most, and within what all templates together may take.
    fn run(
        &self,
        environment: &Environment<'static>,
        fuel: u64,
        render: impl Fn(&Environment<'static>) -> Result<(String, u64), minijinja::Error>,
    ) -> Result<String, minijinja::Error> {
        let with = |fuel: u64, units: usize| {
            bounds::begin();
            work::begin(units);
            let rendered = if fuel < FUEL {
                let mut environment = environment.clone();
                environment.set_fuel(Some(fuel));
                render(&environment)
            } else {
                render(environment)
            };
            self.take(units - work::left().min(units));
            rendered
        };
        let left = self.left.load(Ordering::Relaxed);
        let units = work::WORK.min(left);
        let most = u64::try_from(left / work::STEP).unwrap_or(FUEL).max(1);
        let rendered = with(fuel.min(most), units);
        let steps = match &rendered {
            Ok((_, steps)) => *steps,
            Err(error) if is_slow(error) => fuel,
            // The engine does not tell how far it came. Most come not far.
            Err(_) => {
                let few = FEW_STEPS.min(fuel);
                let again = with(few, units);
                if again.is_err_and(|error| is_slow(&error)) { fuel } else { few }
            }
        };
        self.take(usize::try_from(steps).unwrap_or(usize::MAX).saturating_mul(work::STEP));
        let (rendered, _) = rendered.map_err(|error| {
            let all = is_slow(&error) && self.left.load(Ordering::Relaxed) == 0;
            if all { involved(work::ALL_SPENT).with_source(error) } else { error }
        })?;
        self.count(rendered.len())?;
        Ok(rendered)
    }

    /// Takes units off what is left for all.
    fn take(&self, units: usize) {
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(units)));
    }

    fn count(&self, bytes: usize) -> Result<(), minijinja::Error> {
        let before = self.made.fetch_add(bytes, Ordering::Relaxed);
        if bytes > bounds::LONGEST || before.saturating_add(bytes) > ALL_TEXTS {
            return Err(involved(bounds::TOO_MUCH));
        }
        Ok(())
    }

    /// Renders a template by name: the user's own or a built-in one.
    ///
    /// # Errors
    /// As [`Engine::render`], and when there is none of this name.
    pub fn render_named(&self, name: &str, values: &Value) -> Result<Text, Problem> {
        let template = match self.environment.get_template(name) {
            Ok(template) => template,
            Err(error) => return Err(self.problem(&error, name, "", values)),
        };
        let fuel = bounds::fuel(self.included, FUEL);
        let rendered = self.run(&self.environment, fuel, |environment| {
            finished(&environment.get_template(name)?.render_captured(values.clone())?)
        });
        match rendered {
            Ok(rendered) => finish(&rendered),
            Err(error) => Err(self.problem(&error, name, template.source(), values)),
        }
    }
}

/// The text, and how many steps it took.
fn finished(captured: &minijinja::Captured<'_>) -> Result<(String, u64), minijinja::Error> {
    let steps = captured.state().fuel_levels().map_or(FUEL, |(consumed, _)| consumed);
    Ok((captured.output().to_owned(), steps))
}

/// Whether an error means that it took too long.
fn is_slow(error: &minijinja::Error) -> bool {
    let mut inner = error;
    while let Some(deeper) = std::error::Error::source(inner).and_then(|source| source.downcast_ref()) {
        inner = deeper;
    }
    inner.kind() == minijinja::ErrorKind::OutOfFuel || inner.detail() == Some(work::TOO_LONG)
}

fn finish(rendered: &str) -> Result<Text, Problem> {
    Text::from_marked(rendered).map_err(Problem::new)
}

/// A map as a value for templates. Loops over it go by the order of its keys.
#[must_use]
pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::from(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<String, Value>>())
}

/// A secret as a value for templates: it renders as its marker.
#[must_use]
pub fn secret(id: &SecretId) -> Value {
    Value::from_object(Placed(id.clone()))
}

struct Placed(SecretId);

// What a list or a map that holds it is rendered with.
impl fmt::Debug for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Text::marker(&self.0))
    }
}

impl Object for Placed {
    // Anything but `Plain` would make it false in conditions, and `{}` in JSON.
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Text::marker(&self.0))
    }
}

#[cfg(test)]
mod tests;
