//! How long a template may take. One instruction of the engine can compare two lists of a hundred thousand items, and a list
//! that holds another one twice, forty times over, has a trillion of them. So a list or a map is weighed when it is built: as
//! often as something is in it, it counts, and nothing is nested without bound, since the engine compares, prints and
//! drops by recursion. What looks through whole values pays for what it looks at. Pure, but for a counter of the thread
//! that renders.

use std::cell::Cell;
use std::collections::BTreeMap;

use minijinja::value::{Kwargs, Tuple, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value, functions, tests};

use super::rewrite;

/// Units that one rendering may take. One is a value that is looked at, some tens of nanoseconds.
pub(in crate::template) const WORK: usize = 20_000_000;
/// Units that all renderings of an inventory may take together: a few seconds.
pub(in crate::template) const ALL_WORK: usize = 100_000_000;
/// Units that a step of the engine counts for.
pub(in crate::template) const STEP: usize = 2;
/// Bytes of text that count as one unit.
pub(super) const BYTES: usize = 16;
/// Values that one value may hold, what it holds twice counted twice: more than the longest `range`.
const NODES: usize = 200_000;
/// How deep they may be nested.
const DEPTH: usize = 64;

/// How the reasons begin.
pub(in crate::template) const TOO_LONG: &str = "it takes too long";
pub(in crate::template) const ALL_SPENT: &str = "all templates together take too long";
pub(in crate::template) const TOO_NESTED: &str = "a list or map in it is too large";
pub(in crate::template) const NOT_KEPT: &str =
    "a namespace, a loop or a module cannot be put into a list, a map or a namespace";

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(WORK) };
}

/// A rendering begins that may take so many units.
pub(in crate::template) fn begin(units: usize) {
    LEFT.set(units);
}

/// Units that the rendering left.
pub(in crate::template) fn left() -> usize {
    LEFT.get()
}

fn error(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

/// Takes units off what is left.
pub(in crate::template) fn spend(units: usize) -> Result<(), Error> {
    let left = LEFT.get().checked_sub(units);
    LEFT.set(left.unwrap_or_default());
    left.map(drop).ok_or_else(|| error(TOO_LONG))
}

/// Pays for looking through a whole value.
pub(super) fn weigh(value: &Value) -> Result<(), Error> {
    let mut nodes = 0;
    let fits = count(value, 0, &mut nodes);
    spend(nodes)?;
    fits
}

fn count(value: &Value, depth: usize, nodes: &mut usize) -> Result<(), Error> {
    *nodes += 1 + value.as_str().map_or(0, str::len) / BYTES;
    if depth > DEPTH || *nodes > NODES.min(LEFT.get()).max(1) {
        // One text may be long: it is no deeper for that.
        let why = if depth > DEPTH || *nodes > NODES && depth > 0 { TOO_NESTED } else { TOO_LONG };
        return if depth == 0 && *nodes <= LEFT.get() { Ok(()) } else { Err(error(why)) };
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                count(&item, depth + 1, nodes)?;
            }
        }
        ValueKind::Map => {
            if depth > 0 && is_alive(value) {
                return Err(error(NOT_KEPT));
            }
            for key in value.try_iter()? {
                count(&key, depth + 1, nodes)?;
                count(&value.get_item(&key)?, depth + 1, nodes)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether it is the engine's own, which changes later or holds what it does not show: with it values could hold
/// themselves.
fn is_alive(value: &Value) -> bool {
    let of = |object: &minijinja::value::DynObject| {
        ["::Namespace", "::Loop", "::Module"].iter().any(|name| object.type_name().ends_with(name))
    };
    value.as_object().is_some_and(of)
}

/// A value that was just made: weighed, and without what the engine made it from, which it would go through each time.
pub(super) fn settle(value: Value) -> Result<Value, Error> {
    weigh(&value)?;
    let plain = value.downcast_object_ref::<Vec<Value>>().is_some() || value.downcast_object_ref::<Tuple>().is_some();
    Ok(match value.kind() {
        ValueKind::Seq | ValueKind::Iterable if !plain => Value::from(value.try_iter()?.collect::<Vec<Value>>()),
        ValueKind::Map if value.as_object().is_some_and(|object| object.type_name().ends_with("::MergeDict")) => {
            let mut all = BTreeMap::new();
            for key in value.try_iter()? {
                let held = value.get_item(&key)?;
                all.insert(key, held);
            }
            Value::from_object(all)
        }
        _ => value,
    })
}

/// What a namespace is to keep.
fn kept(value: Value) -> Result<Value, Error> {
    if is_alive(&value) {
        return Err(error(NOT_KEPT));
    }
    settle(value)
}

/// Has everything weighed that looks through whole values or builds them.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter(rewrite::WEIGHED, |value: Value| weigh(&value).map(|()| value));
    environment.add_filter(rewrite::KEPT, kept);
    for (names, test) in COMPARISONS {
        for name in *names {
            environment.add_test(*name, move |value: &Value, other: &Value| -> Result<bool, Error> {
                weigh(value)?;
                weigh(other)?;
                Ok(test(value, other))
            });
        }
    }
    environment.add_test("in", |state: &State, value: &Value, other: &Value| -> Result<bool, Error> {
        weigh(value)?;
        weigh(other)?;
        tests::is_in(state, value, other)
    });
    for (name, test) in [("lower", tests::is_lower as fn(&Value) -> bool), ("upper", tests::is_upper)] {
        environment.add_test(name, move |value: &Value| weigh(value).map(|()| test(value)));
    }
    environment.add_function("namespace", |given: Option<ValueOrKwargs>| -> Result<Value, Error> {
        let given = given.map(ValueOrKwargs::into_value);
        given.as_ref().map_or(Ok(()), weigh)?;
        match given {
            Some(given) => functions::namespace(Some(ValueOrKwargs::from(given))),
            None => functions::namespace(None),
        }
    });
    environment.add_function("dict", |value: Option<Value>, more: Kwargs| settle(functions::dict(value, more)?));
}

/// Tests that compare, under each of their names.
type Comparison = fn(&Value, &Value) -> bool;
const COMPARISONS: &[(&[&str], Comparison)] = &[
    (&["eq", "equalto", "=="], tests::is_eq),
    (&["ne", "!="], tests::is_ne),
    (&["lt", "lessthan", "<"], tests::is_lt),
    (&["le", "<="], tests::is_le),
    (&["gt", "greaterthan", ">"], tests::is_gt),
    (&["ge", ">="], tests::is_ge),
];
