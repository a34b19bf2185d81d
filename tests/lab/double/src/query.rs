//! A GraphQL query as a tree: one operation, its variables put in. Knows no field. Fragments and directives are not taken.

use serde_json::{Map, Value};

/// Deeper than any query that is meant.
const DEEPEST: usize = 12;

/// A field that is asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    /// Under which it is answered.
    pub(crate) alias: String,
    pub(crate) name: String,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) fields: Vec<Field>,
}

/// What is asked.
#[derive(Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) mutation: bool,
    pub(crate) fields: Vec<Field>,
}

/// Reads a query, or says what is wrong with it.
pub(crate) fn parse(text: &str, variables: &Value) -> Result<Query, String> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, variables, declared: Vec::new(), depth: 0 };
    let mut mutation = false;
    if reader.peek() != Some("{") {
        let kind = reader.next()?;
        mutation = match kind.as_str() {
            "query" => false,
            "mutation" => true,
            other => return Err(format!("Expected one of query, mutation, actual: {other}")),
        };
        if !matches!(reader.peek(), Some("{" | "(")) {
            reader.next()?;
        }
        if reader.peek() == Some("(") {
            reader.declarations()?;
        }
    }
    let fields = reader.selection()?;
    match reader.peek() {
        None => Ok(Query { mutation, fields }),
        Some(more) => Err(format!("Unexpected: {more}")),
    }
}

/// Names, numbers, strings with their quotes, and marks.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        let Some(first) = rest.chars().next() else { return Ok(out) };
        let end = if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c: char| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            end.map(|end| end + 2).ok_or("a string has no end")?
        } else if first.is_ascii_alphanumeric() || first == '_' || first == '-' {
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        out.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
}

struct Reader<'a> {
    tokens: Vec<String>,
    at: usize,
    variables: &'a Value,
    declared: Vec<String>,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Result<String, String> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().ok_or_else(|| "Unexpected end of document".to_owned())
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        let found = self.next()?;
        if found == mark { Ok(()) } else { Err(format!("Expected {mark}, actual: {found}")) }
    }

    fn name(&mut self) -> Result<String, String> {
        let found = self.next()?;
        let is_name = found.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if is_name { Ok(found) } else { Err(format!("Expected a name, actual: {found}")) }
    }

    /// `($path: ID!, $after: String)`
    fn declarations(&mut self) -> Result<(), String> {
        self.expect("(")?;
        while self.peek() != Some(")") {
            self.expect("$")?;
            let name = self.name()?;
            self.expect(":")?;
            let kind = self.name()?;
            let required = self.peek() == Some("!");
            if required {
                self.next()?;
            }
            let value = self.variables.get(&name).unwrap_or(&Value::Null);
            if (required && value.is_null()) || !(value.is_null() || value.is_string()) {
                return Err(format!("Variable ${name} of type {kind} was provided invalid value"));
            }
            self.declared.push(name);
        }
        self.expect(")")
    }

    fn selection(&mut self) -> Result<Vec<Field>, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("Query has depth of more than {DEEPEST}"));
        }
        self.expect("{")?;
        let mut fields = Vec::new();
        while self.peek() != Some("}") {
            let mut field =
                Field { alias: self.name()?, name: String::new(), arguments: Map::new(), fields: Vec::new() };
            field.name.clone_from(&field.alias);
            if self.peek() == Some(":") {
                self.next()?;
                field.name = self.name()?;
            }
            if self.peek() == Some("(") {
                self.next()?;
                while self.peek() != Some(")") {
                    let name = self.name()?;
                    self.expect(":")?;
                    let value = self.value()?;
                    field.arguments.insert(name, value);
                }
                self.expect(")")?;
            }
            if self.peek() == Some("{") {
                field.fields = self.selection()?;
            }
            fields.push(field);
        }
        self.expect("}")?;
        self.depth -= 1;
        if fields.is_empty() { Err("Unexpected: }".to_owned()) } else { Ok(fields) }
    }

    /// Words of an enumeration are kept as text.
    fn value(&mut self) -> Result<Value, String> {
        let found = self.next()?;
        if found == "$" {
            let name = self.name()?;
            if !self.declared.contains(&name) {
                return Err(format!("Variable ${name} is used by anonymous query but not declared"));
            }
            return Ok(self.variables.get(&name).cloned().unwrap_or(Value::Null));
        }
        if found.starts_with('"') {
            return serde_json::from_str(&found).map_err(|_| format!("Parse error on {found}"));
        }
        Ok(match found.as_str() {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => word.parse::<i64>().map_or_else(|_| Value::from(word), Value::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::{Value, json};

    #[test]
    fn a_query_and_what_is_none() {
        let text =
            "query($p:ID!,$a:String){group(fullPath:$p){own:runners(first:2,type:GROUP_TYPE,after:$a){nodes{id}}}}";
        let query = parse(text, &json!({"p": "acme", "a": null})).unwrap();
        let group = &query.fields[0];
        assert_eq!((group.name.as_str(), &group.arguments["fullPath"]), ("group", &json!("acme")));
        let runners = &group.fields[0];
        assert_eq!((runners.alias.as_str(), runners.name.as_str()), ("own", "runners"));
        assert_eq!(Value::Object(runners.arguments.clone()), json!({"first": 2, "type": "GROUP_TYPE", "after": null}));
        for wrong in [
            "",
            "query",
            "{",
            "{}",
            "{a",
            "{a(b:}",
            "{a(b:$c)}",
            "{a} {b}",
            "subscription{a}",
            "{a(b:\"x)}",
            "{1}",
            "query($p:ID!){a(b:$p)}",
        ] {
            assert!(parse(wrong, &Value::Null).is_err(), "{wrong}");
        }
    }
}
