//! Arrays as NumPy writes them: `.npy` of floats, whole numbers and booleans, alone or in an `.npz`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use half::f16;

use crate::error::{Error, Result};

/// Bytes of an array, at most.
const MOST: u64 = 256 << 20;

/// An array, as floats.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// # Errors
/// `Io`, or `Integrity` naming the file.
pub fn read(path: &Path) -> Result<Array> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    parse(&bounded(file, path)?).ok_or_else(|| damaged(path, "it is no array of numbers in C order"))
}

/// The shape that stands at the beginning of a file.
///
/// # Errors
/// As [`read`].
pub fn shape(path: &Path) -> Result<Vec<usize>> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    file.take(1 << 16).read_to_end(&mut start).map_err(|e| Error::io(path, e))?;
    header(&start).map(|h| h.shape).ok_or_else(|| damaged(path, "it does not begin as an array of numbers does"))
}

/// The arrays of an `.npz` by their names, in that order.
///
/// # Errors
/// As [`read`], and where one is missing.
pub fn members<const N: usize>(path: &Path, names: [&str; N]) -> Result<[Array; N]> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|e| damaged(path, &e.to_string()))?;
    let mut all = Vec::with_capacity(N);
    for name in names {
        let member = zip.by_name(&format!("{name}.npy")).map_err(|e| damaged(path, &format!("{name}: {e}")))?;
        let array = parse(&bounded(member, path)?);
        all.push(array.ok_or_else(|| damaged(path, &format!("{name} is no array of numbers in C order")))?);
    }
    all.try_into().map_err(|_| Error::internal("as many arrays as names"))
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::integrity(path.display().to_string(), reason)
}

fn bounded(from: impl Read, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > MOST { Err(damaged(path, "it is larger than 256 MiB")) } else { Ok(bytes) }
}

struct Start {
    kind: String,
    shape: Vec<usize>,
    /// Bytes before the values.
    length: usize,
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (8, 64, 64), }` behind the magic number and a length.
fn header(bytes: &[u8]) -> Option<Start> {
    let (&major, rest) = bytes.strip_prefix(b"\x93NUMPY")?.split_first()?;
    let (from, length): (usize, usize) = match major {
        1 => (10, usize::from(u16::from_le_bytes(rest.get(1..3)?.try_into().ok()?))),
        2 | 3 => (12, u32::from_le_bytes(rest.get(1..5)?.try_into().ok()?) as usize),
        _ => return None,
    };
    let length = from.checked_add(length)?;
    let text = std::str::from_utf8(bytes.get(from..length)?).ok()?;
    let after = |key: &str| text.split_once(key)?.1.trim_start().strip_prefix(':').map(str::trim_start);
    if !after("'fortran_order'")?.starts_with("False") {
        return None;
    }
    let kind = after("'descr'")?.strip_prefix('\'')?.split_once('\'')?.0.to_owned();
    let dims = after("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
    let dims = dims.split(',').map(str::trim).filter(|d| !d.is_empty());
    Some(Start { kind, shape: dims.map(|d| d.parse().ok()).collect::<Option<_>>()?, length })
}

fn parse(bytes: &[u8]) -> Option<Array> {
    let Start { kind, shape, length } = header(bytes)?;
    let data = bytes.get(length..)?;
    macro_rules! values {
        ($width:literal, $read:expr) => {{
            let (words, rest) = data.as_chunks::<$width>();
            rest.is_empty().then(|| words.iter().map($read).collect::<Vec<f32>>())?
        }};
    }
    let values = match kind.as_str() {
        "<f2" => values!(2, |b| f16::from_le_bytes(*b).to_f32()),
        "<f4" => values!(4, |b| f32::from_le_bytes(*b)),
        "<f8" => values!(8, |b| f64::from_le_bytes(*b) as f32),
        "<i2" => values!(2, |b| f32::from(i16::from_le_bytes(*b))),
        "<i4" => values!(4, |b| i32::from_le_bytes(*b) as f32),
        "<i8" => values!(8, |b| i64::from_le_bytes(*b) as f32),
        "|b1" | "|u1" | "|i1" => data.iter().map(|b| f32::from(*b)).collect(),
        _ => return None,
    };
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    (values.len() == count).then_some(Array { shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn shapes_kinds_and_damage() {
        let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }\n";
        let array = Array { shape: vec![2], values: vec![1.0, -2.0] };
        assert_eq!(parse(&npy(header, &[1, 0, 254, 255])), Some(array));
        assert_eq!(parse(&npy(header, &[1, 0, 254])), None, "half a number");
        assert_eq!(parse(&npy(header, &[1, 0])), None, "one number too few");
        assert_eq!(parse(&npy(&header.replace("False", "True"), &[1, 0, 254, 255])), None, "columns first");
        assert_eq!(parse(&npy(&header.replace("<i2", "|O"), &[1, 0, 254, 255])), None, "objects");
        assert_eq!(parse(b"\x93NUMPY\x01\x00\xff\xff{"), None);
    }
}
