//! Foreign names become ours: what a table says about a name, and a table applied to a whole checkpoint.

use safetensors::tensor::Dtype;

use super::checkpoint_tensor::Tensors;
use super::kind;
use crate::error::{Error, Result};

/// What becomes of a foreign tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// It is ours under this name.
    Is(String),
    /// Equal shares of its rows are ours under these names.
    Rows(Vec<String>),
    /// It is no parameter: a table or a buffer that can be worked out.
    Drop,
    /// It belongs to a variant that is not supported, for this reason.
    Refuse(&'static str),
    /// The table does not know it.
    Unknown,
}

/// Renames every tensor by `table` and puts `prefix` in front. Two tensors for one name, and any refused or unknown one, are errors.
pub fn rename(tensors: Tensors, prefix: &str, table: impl Fn(&str) -> Key) -> Result<Tensors> {
    kind::check_names(&tensors)?;
    let mut ours = Tensors::new();
    for (name, tensor) in tensors {
        let names = match table(&name) {
            Key::Is(ours) => vec![ours],
            Key::Rows(ours) => ours,
            Key::Drop => continue,
            Key::Refuse(reason) => return Err(Error::model(name, reason)),
            Key::Unknown => return Err(Error::model(name, format!("unknown tensor: no {prefix} has it"))),
        };
        if !matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            let reason = format!(
                "its type is {:?}, not F32, F16 or BF16: convert the checkpoint from its 16 or 32 bit weights",
                tensor.dtype
            );
            return Err(Error::model(name, reason));
        }
        let shares = names.len();
        let rows = tensor.shape.first().copied().unwrap_or(1);
        if shares > 1 && rows % shares != 0 {
            return Err(Error::model(name, format!("{rows} rows are not {shares} equal shares")));
        }
        for (i, ours_name) in names.into_iter().enumerate() {
            let part = if shares == 1 { tensor.clone() } else { tensor.rows(i * (rows / shares), rows / shares)? };
            let ours_name = format!("{prefix}.{ours_name}");
            if let Some(other) = ours.insert(ours_name.clone(), part) {
                return Err(Error::model(name, format!("it and {} are both {ours_name}", other.name)));
            }
        }
    }
    Ok(ours)
}

/// Splits `blocks.N.rest` under `list` into N and the rest.
pub fn numbered<'a>(name: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let (number, rest) = name.strip_prefix(list)?.strip_prefix('.')?.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// How many numbered entries `list` has among `names`; they must be 0, 1, 2, … without a gap.
pub fn count<'a>(names: impl Iterator<Item = &'a String>, list: &str) -> Result<usize> {
    let numbers: std::collections::BTreeSet<usize> = names.filter_map(|n| Some(numbered(n, list)?.0)).collect();
    match numbers.iter().enumerate().find(|(i, n)| i != *n) {
        None => Ok(numbers.len()),
        Some((i, _)) => Err(Error::model(format!("{list}.{i}"), "the tensor is missing")),
    }
}

/// `name` without its first element that is `old`, with `new` instead.
pub fn swap(name: &str, pairs: &[(&str, &str)]) -> Option<String> {
    pairs.iter().find_map(|(old, new)| {
        let rest = name.strip_prefix(old)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| format!("{new}{rest}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_counted_without_gaps() {
        let names = |numbers: &[usize]| numbers.iter().map(|n| format!("blocks.{n}.weight")).collect::<Vec<_>>();
        assert_eq!(count(names(&[0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]).iter(), "blocks").unwrap(), 11);
        assert_eq!(count(names(&[]).iter(), "blocks").unwrap(), 0);
        let error = count(names(&[0, 2]).iter(), "blocks").unwrap_err();
        assert_eq!(error.to_string(), "blocks.1: the tensor is missing");
    }

    #[test]
    fn only_whole_elements_are_swapped() {
        assert_eq!(swap("a.b.weight", &[("a.b", "x")]).as_deref(), Some("x.weight"));
        assert_eq!(swap("a.bc.weight", &[("a.b", "x")]), None);
    }
}
