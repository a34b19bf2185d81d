//! How much a template may make. The engine counts instructions, and one instruction can double a text: thirty of them, and
//! there is no memory left. So everything that makes a text or a list out of others is counted while it works, in bytes:
//! operators, filters, methods, and what is written out. Pure, but for a counter of the thread that renders.
//!
//! Operators cannot be replaced in the engine. They are in the source ([`rewrite`]): `a ~ b` becomes a filter of ours, on
//! the same line, before the engine sees it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, filters};

pub(super) mod depth;
pub(super) mod rewrite;
pub(super) mod work;

/// Bytes that one rendering may make, those of texts between its steps included.
const BUDGET: usize = 32 << 20;
/// Bytes that one text or list of it may have: as many as a file that is copied.
pub(super) const LONGEST: usize = 4 << 20;
/// What an item of a list costs.
const ITEM: usize = 24;
/// How the reason begins when it is too much.
pub(super) const TOO_MUCH: &str = "it makes too much text";

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(BUDGET) };
}

/// A rendering begins.
pub(super) fn begin() {
    LEFT.set(BUDGET);
}

fn too_much() -> Error {
    Error::new(ErrorKind::InvalidOperation, TOO_MUCH)
}

/// What the next value may have.
fn room() -> usize {
    LEFT.get().min(LONGEST)
}

/// Takes bytes off what is left.
fn spend(bytes: usize) -> Result<(), Error> {
    let left = LEFT.get().checked_sub(bytes).ok_or_else(too_much)?;
    LEFT.set(left);
    work::spend(bytes / work::BYTES)
}

/// Whether so many bytes are left.
pub(super) fn allow(bytes: Option<usize>) -> Result<(), Error> {
    if bytes.is_some_and(|bytes| bytes <= room()) { Ok(()) } else { Err(too_much()) }
}

/// What a value costs to hold, what it refers to left out.
fn size(value: &Value) -> usize {
    match value.as_str() {
        Some(text) => text.len(),
        None => value.len().map_or(ITEM, |items| items.saturating_mul(ITEM)),
    }
}

/// Counts what is written and keeps nothing.
struct Counter {
    bytes: usize,
    most: usize,
}

impl Write for Counter {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.bytes += text.len();
        if self.bytes > self.most { Err(std::fmt::Error) } else { Ok(()) }
    }
}

/// How long a value is when it is written out, if there is room for it.
fn written(value: &Value) -> Result<usize, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.len());
    }
    // A long list of nothing takes time, too.
    allow(Some(size(value)))?;
    let mut counter = Counter { bytes: 0, most: room() };
    write!(counter, "{value}").map_err(|_| too_much())?;
    Ok(counter.bytes)
}

/// The largest whole number among the arguments, those with names included.
fn largest(args: &[Value]) -> usize {
    let number = |value: &Value| value.as_usize().unwrap_or_default();
    let named = |value: &Value| -> usize {
        let keys = value.try_iter().into_iter().flatten();
        keys.filter_map(|key| value.get_item(&key).ok()).map(|value| number(&value)).max().unwrap_or_default()
    };
    args.iter().map(|arg| if arg.kind() == ValueKind::Map { named(arg) } else { number(arg) }).max().unwrap_or_default()
}

fn text(args: &[Value], at: usize) -> &str {
    args.get(at).and_then(Value::as_str).unwrap_or_default()
}

/// Whether there is room for what a filter or a method will make, before it makes it. `args` begins with the value.
fn before(name: &str, args: &[Value]) -> Result<(), Error> {
    for arg in args {
        allow(Some(size(arg)))?;
    }
    let left = room();
    let Some(value) = args.first() else { return Ok(()) };
    match name {
        "join" => {
            // As a method it is the joiner that comes first.
            let (items, joiner) = if value.as_str().is_some() && args.len() > 1 && args[1].as_str().is_none() {
                (&args[1], size(value))
            } else {
                (value, args.iter().skip(1).map(|arg| written(arg).unwrap_or(left)).max().unwrap_or_default())
            };
            let mut bytes = 0_usize;
            for item in items.try_iter().into_iter().flatten() {
                bytes = bytes.saturating_add(written(&item)?).saturating_add(joiner);
                allow(Some(bytes))?;
            }
        }
        "replace" => {
            let (text, old, new) = (text(args, 0), text(args, 1), text(args, 2));
            let count = if old.is_empty() { text.len() + 1 } else { text.matches(old).count() };
            allow(count.checked_mul(new.len()).and_then(|bytes| bytes.checked_add(text.len())))?;
        }
        "indent" => {
            let lines = text(args, 0).matches('\n').count() + 1;
            allow(largest(&args[1..]).checked_mul(lines).and_then(|bytes| bytes.checked_add(size(value))))?;
        }
        "format" => {
            let pattern = text(args, 0);
            let fields = pattern.matches(['%', '{']).count();
            let mut longest = 0;
            for arg in &args[1..] {
                longest = longest.max(written(arg)?);
            }
            let widths = pattern.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
            let widths = widths.map(|number| number.parse().unwrap_or(usize::MAX)).fold(0, usize::saturating_add);
            // A width may be an argument.
            let each = longest.saturating_add(largest(&args[1..]));
            allow(fields.checked_mul(each).and_then(|bytes| bytes.checked_add(widths)))?;
        }
        // Lists are joined one by one, each time with all that came before.
        "sum" if value.try_iter().is_ok_and(|mut items| items.any(|item| item.len().is_some())) => {
            let items = value.len().unwrap_or_default();
            work::spend(items.saturating_mul(items))?;
        }
        // A text becomes as many items as it has letters, lines or parts.
        "list" | "sort" | "unique" | "reverse" | "map" | "select" | "reject" | "batch" | "slice" | "zip" | "chain"
        | "groupby" | "selectattr" | "rejectattr"
            if value.as_str().is_some() =>
        {
            allow(text(args, 0).chars().count().checked_mul(ITEM))?;
            allow(largest(&args[1..]).checked_mul(ITEM))?;
        }
        "split" | "lines" | "splitlines" => {
            let (text, by) = (text(args, 0), text(args, 1));
            let parts = match (name, by) {
                ("split", "") => text.split_whitespace().count(),
                ("split", by) => text.matches(by).count(),
                _ => text.matches(['\n', '\r']).count(),
            };
            allow((parts + 1).checked_mul(ITEM))?;
        }
        "batch" | "slice" => allow(largest(&args[1..]).checked_mul(ITEM))?,
        "string" | "json" | "tojson" | "to_json" | "toml" | "shquote" => {
            let indent = largest(&args[1..]).saturating_add(1);
            allow(written(value)?.checked_mul(indent))?;
        }
        "lower" | "upper" | "title" | "capitalize" => allow(size(value).checked_mul(3))?,
        _ => {}
    }
    Ok(())
}

/// A call that is paid for.
fn paid(name: &str, args: &[Value], call: impl FnOnce() -> Result<Value, Error>) -> Result<Value, Error> {
    args.iter().try_for_each(work::weigh)?;
    before(name, args)?;
    let value = call()?;
    spend(size(&value))?;
    work::settle(value)
}

/// The name under which a filter's own function is.
pub(super) fn own(name: &str) -> String {
    format!("rprov own {name}")
}

/// Has a filter counted that is there under [`own`] name.
pub(super) fn count(environment: &mut Environment<'static>, name: &'static str) {
    let inner = own(name);
    environment.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
        let args = args.into_values();
        paid(name, &args, || state.apply_filter(&inner, &args))
    });
}

macro_rules! counted {
    ($environment:expr, $($name:literal: $function:path),+ $(,)?) => {
        $(
            $environment.add_filter($crate::template::bounds::own($name), $function);
            $crate::template::bounds::count($environment, $name);
        )+
    };
}
pub(super) use counted;

/// Bounds everything of an environment that makes texts and lists.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    counted!(
        environment,
        "lower": filters::lower,
        "upper": filters::upper,
        "title": filters::title,
        "capitalize": filters::capitalize,
        "replace": filters::replace,
        "dictsort": filters::dictsort,
        "items": filters::items,
        "reverse": filters::reverse,
        "trim": filters::trim,
        "join": filters::join,
        "split": filters::split,
        "lines": filters::lines,
        "sort": filters::sort,
        "list": filters::list,
        "string": filters::string,
        "batch": filters::batch,
        "slice": filters::slice,
        "indent": filters::indent,
        "select": filters::select,
        "reject": filters::reject,
        "selectattr": filters::selectattr,
        "rejectattr": filters::rejectattr,
        "map": filters::map,
        "groupby": filters::groupby,
        "unique": filters::unique,
        "chain": filters::chain,
        "zip": filters::zip,
        "format": filters::format,
        "length": filters::length,
        "count": filters::length,
        "first": filters::first,
        "last": filters::last,
        "min": filters::min,
        "max": filters::max,
        "sum": filters::sum,
        "int": filters::int,
        "float": filters::float,
    );
    environment.add_filter(rewrite::CONCAT, |state: &State, left: &Value, right: &Value| {
        defined(state, left, right)?;
        let bytes = written(left)?.saturating_add(written(right)?);
        allow(Some(bytes))?;
        spend(bytes)?;
        operation("a ~ b", left, right)
    });
    environment.add_filter(rewrite::ADD, |state: &State, left: &Value, right: &Value| {
        defined(state, left, right)?;
        allow(size(left).checked_add(size(right)))?;
        paid("+", &[], || operation("a + b", left, right))
    });
    environment.add_filter(rewrite::TIMES, |state: &State, left: &Value, right: &Value| {
        defined(state, left, right)?;
        let times = |value: &Value, number: &Value| match number.as_usize() {
            Some(number) if number > 1 && (value.as_str().is_some() || value.len().is_some()) => {
                size(value).checked_mul(number)
            }
            _ => Some(0),
        };
        allow(times(left, right))?;
        allow(times(right, left))?;
        paid("*", &[], || operation("a * b", left, right))
    });
    environment.add_filter(rewrite::PAID, |value: Value| {
        spend(size(&value))?;
        work::settle(value)
    });
    work::add_to(environment);
    environment.set_unknown_method_callback(|state, value, method, args| {
        let all: Vec<Value> = std::iter::once(value).chain(args).cloned().collect();
        paid(method, &all, || minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args))
    });
    environment.set_formatter(emit);
    // It prints everything that there is.
    environment.remove_global("debug");
}

/// Whether both are there; the engine's own error names the one that is not.
fn defined(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<(), Error> {
    let missing = [left, right].into_iter().find(|value| value.is_undefined());
    missing.map_or(Ok(()), |value| filters::string(state, value).map(drop))
}

/// Writes a value out. Texts that macros and blocks make go through here as well, before they are values.
fn emit(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    spend(written(value)?)?;
    minijinja::escape_formatter(out, state, value)
}

/// An operator as the engine has it, with its own errors.
fn operation(expression: &'static str, left: &Value, right: &Value) -> Result<Value, Error> {
    static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment
    });
    let values = BTreeMap::from([("a", left.clone()), ("b", right.clone())]);
    PLAIN.compile_expression(expression)?.eval(Value::from(values))
}

/// Steps that a template may take. What stands between its tags is written without being counted, so that with a long text
/// there, fewer steps make as much.
pub(super) fn fuel(longest: usize, most: u64) -> u64 {
    let steps = BUDGET / longest.max(1);
    u64::try_from(steps).unwrap_or(most).clamp(64, most)
}

#[cfg(test)]
mod tests;
