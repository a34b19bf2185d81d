//! Request parameters the way Grape sees them: query and body merged, coerced, checked, all faults in one line.
//! Unknown parameters are ignored, as GitLab ignores them. Knows no endpoint.

use crate::reply::Reply;
use serde_json::{Map, Value};

/// Query, body and path parameters of one request.
pub(crate) type Params = Map<String, Value>;

/// A parameter: absent, null, or a value.
pub(crate) type Field<T> = Option<Option<T>>;

/// Percent-decodes; `+` is a space only in queries and forms.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&b) = bytes.get(i) {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (b, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                i += 2;
            }
            (b'+', _) if plus => out.push(b' '),
            _ => out.push(b),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads `a=1&b[]=2&c[d]=3` into `params`, Rack's nesting one level deep.
pub(crate) fn read_form(text: &str, params: &mut Params) {
    for pair in text.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decode(key, true), Value::String(decode(value, true)));
        match key.split_once('[') {
            Some((outer, "]")) => match params.entry(outer).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(list) => list.push(value),
                other => *other = Value::Array(vec![value]),
            },
            Some((outer, inner)) => {
                let inner = inner.trim_end_matches(']').to_owned();
                match params.entry(outer).or_insert_with(|| Value::Object(Map::new())) {
                    Value::Object(map) => _ = map.insert(inner, value),
                    other => *other = Value::Object([(inner, value)].into_iter().collect()),
                }
            }
            None => _ = params.insert(key, value),
        }
    }
}

/// Checks parameters one after the other and collects what is wrong.
pub(crate) struct Check<'a> {
    params: &'a Params,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    /// Starts on the parameters of a request.
    pub(crate) fn new(params: &'a Params) -> Self {
        Self { params, faults: Vec::new() }
    }

    /// Records a fault found elsewhere.
    pub(crate) fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    /// Ends the check: the 400 that Grape answers, if anything was wrong.
    pub(crate) fn finish(self) -> Result<(), Reply> {
        if self.faults.is_empty() { Ok(()) } else { Err(Reply::error(400, self.faults.join(", "))) }
    }

    /// Notes `name is missing` when the key is not there at all.
    pub(crate) fn require(&mut self, name: &str) {
        if !self.params.contains_key(name) {
            self.fault(format!("{name} is missing"));
        }
    }

    /// At least one of `names` must be given.
    pub(crate) fn at_least_one(&mut self, names: &[&str]) {
        if !names.iter().any(|n| self.params.contains_key(*n)) {
            self.fault(format!("{} are missing, at least one parameter must be provided", names.join(", ")));
        }
    }

    /// At most one of `names` may be given.
    pub(crate) fn exclusive(&mut self, names: &[&str]) {
        if names.iter().filter(|n| self.params.contains_key(**n)).count() > 1 {
            self.fault(format!("{} are mutually exclusive", names.join(", ")));
        }
    }

    /// Coerces one parameter; `read` answers `None` for a value of the wrong type.
    fn field<T>(&mut self, name: &str, read: impl Fn(&Value) -> Option<Option<T>>) -> Field<T> {
        let value = self.params.get(name)?;
        if value.is_null() {
            return Some(None);
        }
        let found = read(value);
        if found.is_none() {
            self.fault(format!("{name} is invalid"));
        }
        found
    }

    /// A string; numbers and booleans become strings.
    pub(crate) fn string(&mut self, name: &str) -> Field<String> {
        self.field(name, |value| match value {
            Value::String(s) => Some(Some(s.clone())),
            Value::Number(n) => Some(Some(n.to_string())),
            Value::Bool(b) => Some(Some(b.to_string())),
            _ => None,
        })
    }

    /// A boolean, in any of the spellings that Grape takes.
    pub(crate) fn boolean(&mut self, name: &str) -> Field<bool> {
        self.field(name, |value| {
            let text = match value {
                Value::Bool(b) => return Some(Some(*b)),
                Value::String(s) => s.clone(),
                Value::Number(n) => n.to_string(),
                _ => return None,
            };
            match text.to_lowercase().as_str() {
                "" => Some(None),
                "1" | "on" | "t" | "true" | "y" | "yes" => Some(Some(true)),
                "0" | "off" | "f" | "false" | "n" | "no" => Some(Some(false)),
                _ => None,
            }
        })
    }

    /// An integer, or a string that is one.
    pub(crate) fn integer(&mut self, name: &str) -> Field<i64> {
        self.field(name, |value| match value {
            Value::Number(n) => n.as_i64().map(Some),
            Value::String(s) if s.is_empty() => Some(None),
            Value::String(s) => s.parse().ok().map(Some),
            _ => None,
        })
    }

    /// A string out of a closed list.
    pub(crate) fn choice(&mut self, name: &str, allowed: &[&str]) -> Field<String> {
        let found = self.string(name);
        if let Some(Some(text)) = &found
            && !allowed.contains(&text.as_str())
        {
            self.fault(format!("{name} does not have a valid value"));
        }
        found
    }

    /// A list of strings: an array, or one string with commas. An element's commas split too.
    pub(crate) fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let value = self.params.get(name)?;
        let parts = match value {
            Value::String(s) => vec![s.clone()],
            Value::Array(items) => {
                let scalar = |v: &Value| match v {
                    Value::String(s) => Some(s.clone()),
                    Value::Number(n) => Some(n.to_string()),
                    Value::Bool(b) => Some(b.to_string()),
                    Value::Null => Some(String::new()),
                    _ => None,
                };
                let Some(parts) = items.iter().map(scalar).collect::<Option<Vec<_>>>() else {
                    self.fault(format!("{name} is invalid"));
                    return None;
                };
                parts
            }
            _ => Vec::new(),
        };
        let mut out: Vec<String> = Vec::new();
        for part in parts.iter().flat_map(|p| p.split(',')).map(str::trim).filter(|p| !p.is_empty()) {
            if !out.iter().any(|seen| seen == part) {
                out.push(part.to_owned());
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, Params, decode, read_form};
    use serde_json::json;

    #[test]
    fn forms_nest_one_level() {
        let mut params = Params::new();
        read_form("a=1+2&b%5B%5D=x&b[]=y&filter[environment_scope]=prod%2F*&flag", &mut params);
        let want = json!({"a": "1 2", "b": ["x", "y"], "filter": {"environment_scope": "prod/*"}, "flag": ""});
        assert_eq!(serde_json::Value::Object(params), want);
        assert_eq!(decode("a%2Fb+c%zz", false), "a/b+c%zz");
    }

    #[test]
    fn faults_are_reported_together() {
        let value = json!({"paused": "maybe", "active": 1, "n": "x", "tags": [" a ", "b,c", "a"]});
        let params = value.as_object().cloned().unwrap();
        let mut check = Check::new(&params);
        check.require("token");
        check.exclusive(&["active", "paused"]);
        assert_eq!(check.boolean("active"), Some(Some(true)));
        check.boolean("paused");
        check.integer("n");
        assert_eq!(check.list("tags"), Some(vec!["a".into(), "b".into(), "c".into()]));
        let reply = check.finish().unwrap_err();
        let text = "token is missing, active, paused are mutually exclusive, paused is invalid, n is invalid";
        assert_eq!(reply.body.unwrap(), json!({ "error": text }));
    }
}
