//! A GPU that is not there.

use crate::error::Error;

/// That there is no `kind` of that index, with the names of those that were found.
pub fn absent(kind: &str, index: usize, names: &[String]) -> Error {
    let names: Vec<String> = names.iter().enumerate().map(|(i, name)| format!("{i}: {name}")).collect();
    let found = if names.is_empty() { "none".into() } else { names.join(", ") };
    Error::NoAdapter { reason: format!("there is no {kind} {index}; found: {found}") }
}
