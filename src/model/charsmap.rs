//! Checks the character map of a SentencePiece tokenizer before it is used: its reader follows whatever indices it finds.
//!
//! The map is a byte trie (a double array, as in Darts) whose leaves point into a string of replacements: the trie's length in
//! bytes, its units, then the string, every number a little-endian `u32`.

use std::collections::VecDeque;

/// Where a reader would leave the map.
const OUTSIDE: &str = "its character map points outside itself";
/// Bytes that a byte becomes, at most: in the map of T5, U+FDFA becomes eleven times as many.
const MAX_GROWTH: usize = 12;

/// Walks all that a prompt could reach.
///
/// # Errors
/// What is wrong with the map, where a reader would leave its bounds.
pub(super) fn check(base64: &str) -> Result<(), &'static str> {
    let bytes = decode_base64(base64).ok_or("its character map is not base64")?;
    let (length, rest) = bytes.split_first_chunk().ok_or("its character map is empty")?;
    let length = u32::from_le_bytes(*length) as usize / 4 * 4;
    let (units, replacements) = rest.split_at_checked(length).ok_or("its character map is cut short")?;
    let units: Vec<usize> =
        units.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    let replacements = std::str::from_utf8(replacements).map_err(|_| "its character map is not UTF-8")?;
    check_trie(&units, replacements)
}

/// From a base, byte `c` leads to the unit at `base ^ c`, which exists if its low byte says `c` (and its top bit is clear).
/// That unit holds the next base, relative to itself, and says whether the base holds the place of a replacement.
fn check_trie(units: &[usize], replacements: &str) -> Result<(), &'static str> {
    let offset = |unit: usize| (unit >> 10) << ((unit & (1 << 9)) >> 6);
    let mut seen = vec![false; units.len()];
    let mut bases = VecDeque::from([(1, offset(*units.first().ok_or(OUTSIDE)?))]);
    while let Some((length, base)) = bases.pop_front() {
        if base | 0xff >= units.len() {
            return Err(OUTSIDE);
        }
        if std::mem::replace(&mut seen[base], true) {
            continue;
        }
        for c in 1..=0xff {
            let at = base ^ c;
            let unit = units[at];
            if unit & (1 << 31 | 0xff) != c {
                continue;
            }
            let next = at ^ offset(unit);
            if unit & (1 << 8) != 0 {
                let replacement = units.get(next).and_then(|at| replacements.get(at & !(1 << 31)..)).ok_or(OUTSIDE)?;
                let written = replacement.split('\0').next().unwrap_or_default().len();
                if written > length * MAX_GROWTH {
                    return Err("its character map makes a text over 12 times longer");
                }
            }
            bases.push_back((length + 1, next));
        }
    }
    Ok(())
}

/// The standard alphabet, with or without padding.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut word = 0u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(value);
        }
        word <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&word.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A map from `a` to `é`, in units `0..512`.
    pub fn map() -> (Vec<u32>, &'static str) {
        let mut units = vec![0; 512];
        units[0] = 256 << 10; // the root's base is 256
        units[256 ^ 0x61] = 1 << 10 | 1 << 8 | 0x61; // `a`: next base is 353 ^ 1 = 352, a leaf
        units[352] = 2; // the replacement starts at byte 2
        (units, "x\0é\0")
    }

    pub fn encode((units, replacements): (&[u32], &str)) -> String {
        let length = units.len() as u32 * 4;
        let words = std::iter::once(&length).chain(units).flat_map(|w| w.to_le_bytes());
        let bytes: Vec<u8> = words.chain(replacements.bytes()).collect();
        let digit =
            |v: u32| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[v as usize & 63]);
        let group = |b: &[u8]| {
            let word = b.iter().fold(0, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - b.len()));
            (0..=b.len()).map(|i| digit(word >> (18 - 6 * i))).collect::<String>()
        };
        bytes.chunks(3).map(group).collect()
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zg", "f"), ("Zm8=", "fo"), ("Zm9vYmE", "fooba"), ("fn5+Pz8/", "~~~???")]
        {
            assert_eq!(decode_base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(decode_base64("Zm9v!"), None);
    }

    #[test]
    fn a_sound_map_passes() {
        let (units, replacements) = map();
        assert_eq!(check(&encode((&units, replacements))), Ok(()));
    }

    #[test]
    fn every_way_out_of_bounds_is_refused() {
        let (good, replacements) = map();
        for (at, unit, what) in [
            (0, 512 << 10, "the root's base"),
            (0, 1 << 9 | 2 << 10, "the root's base, in its long form"),
            (256 ^ 0x61, 1 << 20 | 1 << 8 | 0x61, "a leaf"),
            (256 ^ 0x61, 1 << 20 | 0x61, "an inner base"),
            (352, 7, "a place past the replacements"),
            (352, 3, "a place inside a character"),
        ] {
            let mut units = good.clone();
            units[at] = unit;
            assert_eq!(
                check(&encode((&units, replacements))),
                Err("its character map points outside itself"),
                "{what}"
            );
        }
        for text in ["", "A", "/////w", "AAAAAA", "!"] {
            assert!(check(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_map_that_makes_much_of_little_is_refused() {
        let (units, _) = map();
        let made = |length: usize| check(&encode((&units, format!("x\0{}\0", "e".repeat(length)).leak())));
        assert_eq!(made(12), Ok(()));
        assert_eq!(made(13), Err("its character map makes a text over 12 times longer"));
    }

    #[test]
    fn a_trie_that_loops_ends() {
        let (mut units, replacements) = map();
        units[256 ^ 0x61] = (0x61 << 10) | 0x61; // back to base 256
        assert_eq!(check(&encode((&units, replacements))), Ok(()));
    }
}
