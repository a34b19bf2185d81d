//! Text from values: strings of the inventory that hold `{{ … }}` or `{% … %}`, and whole files from `templates/`.
//! A name that is not there is an error, never an empty text. Pure: whoever makes an [`Engine`] brings the user's files.
//!
//! Secrets enter as [`secret`]: a template can place one, but neither change it nor look into it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Environment, UndefinedBehavior};

pub use minijinja::Value;

use crate::secret::SecretId;
use crate::text::Text;

mod filters;
mod problem;

pub use problem::Problem;

/// The templates in the binary: name and text. A file of the same name beside the inventory takes its place.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("cleanup.sh.j2", include_str!("../templates/cleanup.sh.j2")),
    ("cleanup.cron.j2", include_str!("../templates/cleanup.cron.j2")),
];

/// Steps after which rendering stops: some hundred times what the longest template here needs.
const FUEL: u64 = 2_000_000;

/// Renders templates.
pub struct Engine {
    /// For files, which may hold Jinja's `{# comments #}`.
    environment: Environment<'static>,
    /// For texts within the inventory: `${#name}` is shell there, not the start of a comment that swallows what follows.
    inline: Environment<'static>,
}

/// Private-use characters as comment marks: no text has them, so no text has comments.
const NO_COMMENT: (&str, &str) = ("\u{f8f2}", "\u{f8f3}");

fn environment(
    own: Arc<BTreeMap<String, String>>,
    comment: Option<(&'static str, &'static str)>,
) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_recursion_limit(50);
    environment.set_fuel(Some(FUEL));
    let mut syntax = minijinja::syntax::SyntaxConfig::builder();
    syntax.keep_trailing_newline(true);
    if let Some((open, close)) = comment {
        syntax.comment_delimiters(open, close);
    }
    if let Ok(syntax) = syntax.build() {
        environment.set_syntax(syntax);
    }
    filters::add_to(&mut environment);
    environment.set_loader(move |name| {
        let built_in = || BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        Ok(own.get(name).cloned().or_else(built_in))
    });
    environment
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
        let own = Arc::new(own);
        Self { environment: environment(Arc::clone(&own), None), inline: environment(own, Some(NO_COMMENT)) }
    }

    /// Renders a text of the inventory.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn render_inline(&self, name: &str, source: &str, values: &Value) -> Result<Text, Problem> {
        self.render_in(&self.inline, name, source, values)
    }

    /// Renders a file's text; `name` is for messages.
    ///
    /// # Errors
    /// When its syntax is wrong, it uses a name that is not there, or a filter fails.
    pub fn render(&self, name: &str, source: &str, values: &Value) -> Result<Text, Problem> {
        self.render_in(&self.environment, name, source, values)
    }

    fn render_in(
        &self,
        environment: &Environment<'static>,
        name: &str,
        source: &str,
        values: &Value,
    ) -> Result<Text, Problem> {
        let rendered = environment
            .template_from_named_str(name, source)
            .and_then(|template| template.render(values.clone()))
            .map_err(|error| self.problem(&error, name, source, values))?;
        finish(&rendered)
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
        match template.render(values.clone()) {
            Ok(rendered) => finish(&rendered),
            Err(error) => Err(self.problem(&error, name, template.source(), values)),
        }
    }
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
