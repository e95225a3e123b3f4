//! JSON as Python and Windows write it: a byte order mark is passed over, `Infinity`, `-Infinity` and `NaN` are read as null. Fields are asked for with their type.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::files;

/// Reads and parses `path`.
pub fn read(path: &Path) -> Result<Value> {
    let text = files::read_text(path)?;
    parse(text.trim_start_matches('\u{feff}'))
        .map_err(|e| Error::integrity(path.display().to_string(), format!("not JSON: {e}")))
}

fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text).or_else(|error| {
        let plain = without_non_numbers(text);
        if plain == text { Err(error) } else { serde_json::from_str(&plain) }
    })
}

/// `text` with the three words outside of strings replaced by null.
fn without_non_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(c) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !quoted && rest.starts_with(word));
        let step = match word {
            Some(word) => {
                out.push_str("null");
                word.len()
            }
            None if quoted && c == '\\' => {
                let escaped = rest.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&rest[..escaped]);
                escaped
            }
            None => {
                quoted ^= c == '"';
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[step..];
    }
    out
}

/// A configuration file: its fields by name and type, and the file's name for errors.
#[derive(Debug)]
pub struct Config {
    file: String,
    json: Value,
}

impl Config {
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self { file: path.display().to_string(), json: read(path)? })
    }

    /// The configuration that says nothing, in place of the file that is not there.
    pub fn empty(path: &Path) -> Self {
        Self { file: path.display().to_string(), json: Value::Null }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.json.is_null()
    }

    #[cfg(test)]
    pub fn new(json: Value) -> Self {
        Self { file: "config.json".into(), json }
    }

    /// The error of a field: what it is and why that is not possible.
    pub fn fault(&self, field: &str, reason: impl std::fmt::Display) -> Error {
        Error::model(&self.file, format!("{field} {reason}"))
    }

    /// A field that is there and not null.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.json.get(field).filter(|value| !value.is_null())
    }

    pub fn text(&self, field: &str) -> Result<Option<&str>> {
        self.typed(field, "a string", Value::as_str)
    }

    pub fn number(&self, field: &str) -> Result<Option<f64>> {
        self.typed(field, "a number", Value::as_f64)
    }

    pub fn flag(&self, field: &str) -> Result<Option<bool>> {
        self.typed(field, "true or false", Value::as_bool)
    }

    pub fn count(&self, field: &str) -> Result<Option<usize>> {
        self.typed(field, "a count", |value| value.as_u64().and_then(|n| n.try_into().ok()))
    }

    pub fn counts(&self, field: &str) -> Result<Option<Vec<usize>>> {
        let list = |value: &Value| {
            value.as_array()?.iter().map(|n| n.as_u64().and_then(|n| n.try_into().ok())).collect::<Option<Vec<_>>>()
        };
        self.typed(field, "a list of counts", list)
    }

    /// Fails unless `field` is one of `allowed`, or absent.
    pub fn only(&self, field: &str, allowed: &[Value]) -> Result<()> {
        match self.get(field) {
            None => Ok(()),
            Some(value) if allowed.iter().any(|a| same(a, value)) => Ok(()),
            Some(value) => Err(self.fault(field, format_args!("{value} is not supported"))),
        }
    }

    fn typed<'a, T>(&'a self, field: &str, kind: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        self.get(field)
            .map(|value| read(value).ok_or_else(|| self.fault(field, format_args!("is {value}, not {kind}"))))
            .transpose()
    }
}

/// Equal, where 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_json_is_read() {
        let text = r#"{"a": -Infinity, "b": [NaN, Infinity], "c": "NaN \" -Infinity", "d": 1}"#;
        let value = parse(text).unwrap();
        assert_eq!(value, serde_json::json!({ "a": null, "b": [null, null], "c": "NaN \" -Infinity", "d": 1 }));
        assert!(parse("{").is_err());
        assert!(parse("{\"a\": Infinit}").is_err());
    }

    #[test]
    fn fields_of_another_type_are_named() {
        let config = Config::new(serde_json::json!({ "layers": "x", "none": null, "one": 1 }));
        assert_eq!(config.count("layers").unwrap_err().to_string(), "config.json: layers is \"x\", not a count");
        assert_eq!(config.count("none").unwrap(), None);
        assert!(config.only("one", &[serde_json::json!(1.0)]).is_ok());
        let error = config.only("one", &[serde_json::json!(2)]).unwrap_err();
        assert_eq!(error.to_string(), "config.json: one 1 is not supported");
    }
}
