//! Members of tar archives, found by their headers alone: where each one's bytes lie.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};

const BLOCK: u64 = 512;

/// A regular file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub offset: u64,
    pub length: u64,
}

/// The members of the archive at `path`, in its order; their bytes are not read.
///
/// # Errors
/// `Io`, or `InvalidInput` naming an archive that is damaged or cut off.
pub fn members(path: &Path) -> Result<Vec<Member>> {
    let io = |e| Error::io(path, e);
    let fault = |reason: &str| Error::input(path.display().to_string(), reason);
    let mut file = File::open(path).map_err(io)?;
    let total = file.metadata().map_err(io)?.len();
    let (mut members, mut at, mut long_name) = (Vec::new(), 0, None);
    let mut block = [0; BLOCK as usize];
    while at + BLOCK <= total {
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        file.read_exact(&mut block).map_err(io)?;
        if block.iter().all(|b| *b == 0) {
            break;
        }
        let sum: u64 =
            block.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u64::from(*b) }).sum();
        if octal(&block[148..156]) != Some(sum) {
            return Err(fault(&format!("it is no tar archive: the header at byte {at} is damaged")));
        }
        let length = octal(&block[124..136]).ok_or_else(|| fault("a member has no size"))?;
        let offset = at + BLOCK;
        if offset.checked_add(length).is_none_or(|end| end > total) {
            return Err(fault("it is cut off"));
        }
        let mut body = || {
            let mut bytes = vec![0; length as usize];
            file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(io)?;
            Ok::<_, Error>(bytes)
        };
        match block[156] {
            b'L' => long_name = Some(text(&body()?)),
            b'x' => long_name = pax_path(&body()?).or(long_name),
            b'0' | 0 => {
                let prefix = if &block[257..262] == b"ustar" { text(&block[345..500]) } else { String::new() };
                let short = text(&block[..100]);
                let joined = if prefix.is_empty() { short } else { format!("{prefix}/{short}") };
                members.push(Member { name: long_name.take().unwrap_or(joined), offset, length });
            }
            _ => long_name = None,
        }
        at = offset + length.next_multiple_of(BLOCK);
    }
    Ok(members)
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn octal(bytes: &[u8]) -> Option<u64> {
    if bytes[0] & 0x80 != 0 {
        return bytes[1..].iter().try_fold(0u64, |sum, b| sum.checked_mul(256)?.checked_add(u64::from(*b)));
    }
    u64::from_str_radix(text(bytes).trim(), 8).ok()
}

/// `path` of an extended header: lines of `LENGTH KEY=VALUE`.
fn pax_path(bytes: &[u8]) -> Option<String> {
    String::from_utf8_lossy(bytes).lines().find_map(|line| line.split_once(" path=").map(|(_, path)| path.to_owned()))
}
