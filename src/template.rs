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

/// Renders templates.
pub struct Engine {
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
    /// The line of the template that made a line of the text, both from 1; `None`: it cannot be told.
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
    let mut syntax = minijinja::syntax::SyntaxConfig::builder();
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
    if let Ok(syntax) = syntax.build() {
        environment.set_syntax(syntax);
    }
    filters::add_to(&mut environment);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
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
        let mut ansible = environment(Arc::clone(&own), Dialect::Ansible);
        // What it makes is parsed, and written anew: a secret's mark may be quoted.
        filters::quote_secrets(&mut ansible);
        Self {
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
        let render = |source: &str| {
            let template = self.ansible.template_from_named_str(name, source)?;
            template.render(values.clone())
        };
        let marked = render(source).map_err(|error| self.problem(&error, name, source, values))?;
        let lines = render(&places::mark(source)).ok().and_then(|other| places::lines(&marked, &other));
        Ok(Rendered { marked, lines })
    }

    /// Renders a text of the inventory.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn render_inline(&self, name: &str, source: &str, values: &Value) -> Result<Text, Problem> {
        self.render_in(&self.inline, name, source, values)
    }

    /// The names that a text of the inventory looks up, with what is looked up in them as far as it is written plainly:
    /// `vars.rack`. Sorted; `None`: the text cannot be read as a template.
    #[must_use]
    pub fn names(&self, source: &str) -> Option<Vec<String>> {
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
