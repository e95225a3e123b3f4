//! Values that lie packed in a checkpoint: bytes of 8-bit floats, and the blocks of GGUF, as their reference formulas read them.

use half::f16;
use safetensors::tensor::Dtype;

/// Values of a block of GGUF's `K` types.
const K_BLOCK: usize = 256;

/// Blocks of so many elements in so many bytes each.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    pub elements: usize,
    pub bytes: usize,
    unpack: fn(&[u8], &mut Vec<f32>),
}

impl Packing {
    /// Of a safetensors type, where that is one of 8 bits.
    pub fn of_dtype(dtype: Dtype) -> Option<Self> {
        let byte = |unpack| Self { elements: 1, bytes: 1, unpack };
        match dtype {
            Dtype::F8_E4M3 => Some(byte(|block, out| out.extend(block.iter().map(|b| e4m3(*b))))),
            Dtype::F8_E5M2 => Some(byte(|block, out| out.extend(block.iter().map(|b| e5m2(*b))))),
            _ => None,
        }
    }

    /// Of a GGUF type by its number, where it is packed and read.
    pub fn of_gguf(kind: u32) -> Option<Self> {
        Some(match kind {
            8 => Self { elements: 32, bytes: 34, unpack: q8_0 },
            12 => Self { elements: K_BLOCK, bytes: 144, unpack: q4_k },
            13 => Self { elements: K_BLOCK, bytes: 176, unpack: q5_k },
            14 => Self { elements: K_BLOCK, bytes: 210, unpack: q6_k },
            _ => return None,
        })
    }

    /// The values of whole blocks.
    pub fn unpack(&self, bytes: &[u8]) -> Vec<f32> {
        let mut values = Vec::with_capacity(bytes.len() / self.bytes * self.elements);
        bytes.chunks_exact(self.bytes).for_each(|block| (self.unpack)(block, &mut values));
        values
    }
}

/// Four bits of exponent (bias 7), three of fraction; no infinity, and one NaN of either sign.
fn e4m3(byte: u8) -> f32 {
    let (exponent, fraction) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
    let value = match (exponent, byte & 7) {
        (15, 7) => f32::NAN,
        (0, _) => fraction * 2f32.powi(-9),
        _ => (1.0 + fraction / 8.0) * 2f32.powi(exponent - 7),
    };
    if byte & 0x80 == 0 { value } else { -value }
}

/// Five bits of exponent, two of fraction: the upper half of an f16.
fn e5m2(byte: u8) -> f32 {
    f16::from_bits(u16::from(byte) << 8).to_f32()
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_bits(u16::from_le_bytes([block[at], block[at + 1]])).to_f32()
}

/// A scale, then 32 signed bytes.
fn q8_0(block: &[u8], out: &mut Vec<f32>) {
    let d = half_at(block, 0);
    out.extend(block[2..].iter().map(|q| d * f32::from(*q as i8)));
}

/// Six bits each of scale and minimum of one of eight groups, out of twelve bytes.
fn scale_and_min(group: usize, packed: &[u8]) -> (f32, f32) {
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let (low, high) = (packed[group + 4], [packed[group - 4], packed[group]]);
        (low & 15 | (high[0] >> 6) << 4, low >> 4 | (high[1] >> 6) << 4)
    };
    (f32::from(scale), f32::from(min))
}

/// Two scales, eight groups' scales and minima, then 4-bit integers: the low halves of 32 bytes, then their high ones.
fn q4_k(block: &[u8], out: &mut Vec<f32>) {
    k_groups(block, out, &block[16..], |_, _| 0);
}

/// As `Q4_K`, with a fifth bit for every integer in 32 bytes before them.
fn q5_k(block: &[u8], out: &mut Vec<f32>) {
    let high = &block[16..48];
    k_groups(block, out, &block[48..], |group, i| (high[i] >> group & 1) << 4);
}

fn k_groups(block: &[u8], out: &mut Vec<f32>, integers: &[u8], high: impl Fn(usize, usize) -> u8) {
    let (d, d_min) = (half_at(block, 0), half_at(block, 2));
    for group in 0..8 {
        let (scale, min) = scale_and_min(group, &block[4..16]);
        let (scale, min) = (d * scale, d_min * min);
        let bytes = &integers[group / 2 * 32..][..32];
        let value = |(i, byte): (usize, &u8)| {
            let low = if group % 2 == 0 { byte & 15 } else { byte >> 4 };
            scale * f32::from(low | high(group, i)) - min
        };
        out.extend(bytes.iter().enumerate().map(value));
    }
}

/// Two halves of 128: 4-bit integers, two more bits for each, a signed scale for 16, and one for all at the end.
fn q6_k(block: &[u8], out: &mut Vec<f32>) {
    let (low, high, scales, d) = (&block[..128], &block[128..192], &block[192..208], half_at(block, 208));
    for half in 0..2 {
        let (low, high, scales) = (&low[64 * half..], &high[32 * half..], &scales[8 * half..]);
        for quarter in 0..4 {
            out.extend((0..32).map(|i| {
                let byte = low[i + 32 * (quarter % 2)];
                let four = if quarter < 2 { byte & 15 } else { byte >> 4 };
                let integer = i32::from(four | (high[i] >> (2 * quarter) & 3) << 4) - 32;
                d * f32::from(scales[i / 16 + 2 * quarter] as i8) * integer as f32
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bit_floats_are_those_of_the_format() {
        for (byte, value) in [
            (0x00, 0.0),
            (0x01, 0.001953125),
            (0x07, 0.013671875),
            (0x08, 0.015625),
            (0x38, 1.0),
            (0x3c, 1.5),
            (0x7e, 448.0),
            (0xb8, -1.0),
            (0xfe, -448.0),
        ] {
            assert_eq!(e4m3(byte), value, "{byte:#x}");
        }
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan());
        for (byte, value) in [(0x3c, 1.0), (0x7b, 57344.0), (0x01, f32::EPSILON * 128.0), (0xbe, -1.5)] {
            assert_eq!(e5m2(byte), value, "{byte:#x}");
        }
        assert!(e5m2(0x7c).is_infinite());
    }

    #[test]
    fn blocks_are_unpacked_as_their_bits_lie() {
        let block = |bytes: usize, parts: &[(usize, &[u8])]| {
            let mut block = vec![0; bytes];
            parts.iter().for_each(|(at, values)| block[*at..][..values.len()].copy_from_slice(values));
            block
        };
        let half = |v: f32| f16::from_f32(v).to_le_bytes();
        let of = |kind: u32, block: &[u8]| Packing::of_gguf(kind).unwrap().unpack(block);
        let q8 = of(8, &block(34, &[(0, &half(0.5)), (2, &[2, 0xff])]));
        assert_eq!((q8.len(), &q8[..3]), (32, [1.0, -0.5, 0.0].as_slice()));

        // Group 0: scale 3, minimum 2; group 5: scale 33 and minimum 18 over both bytes. 9 is the first low half, 7 the first high one.
        let mut scales = [0; 12];
        (scales[0], scales[4], scales[1], scales[5], scales[9]) = (3, 2, 2 << 6, 1 << 6, 1 | 2 << 4);
        let parts: [(usize, &[u8]); 4] = [(0, &half(0.5)), (2, &half(0.25)), (4, &scales), (16, &[9 | 7 << 4])];
        let q4 = of(12, &block(144, &parts));
        assert_eq!((q4.len(), q4[0], q4[1]), (256, 0.5 * 3.0 * 9.0 - 0.5, -0.5));
        assert_eq!(q4[160], -0.25 * 18.0);
        let mut five = block(144, &parts);
        five[16 + 64] = 1 << 4; // the first integer of group 5
        assert_eq!(of(12, &five)[160], 0.5 * 33.0 - 0.25 * 18.0);
        let q5 = of(13, &block(176, &[(0, &half(0.5)), (2, &half(0.25)), (4, &scales), (16, &[1]), (48, &[9])]));
        assert_eq!((q5.len(), q5[0]), (256, 0.5 * 3.0 * 25.0 - 0.5));

        // The second half's third quarter begins with integer 3·16 + 5 − 32 and has the scale −2 of its first 16.
        let q6 = of(14, &block(210, &[(64, &[5 << 4]), (160, &[3 << 4]), (192 + 8 + 4, &[0xfe]), (208, &half(0.5))]));
        assert_eq!((q6.len(), q6[128 + 64], q6[0]), (256, 0.5 * -2.0 * 21.0, 0.0));
    }

    #[test]
    fn blocks_are_what_the_formats_own_programs_make_of_them() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/packed/packed.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let of = |name: &str| file.tensor(name).unwrap().data().to_vec();
        let packings = [
            ("q8_0", Packing::of_gguf(8)),
            ("q4_k", Packing::of_gguf(12)),
            ("q5_k", Packing::of_gguf(13)),
            ("q6_k", Packing::of_gguf(14)),
            ("e4m3", Packing::of_dtype(Dtype::F8_E4M3)),
            ("e5m2", Packing::of_dtype(Dtype::F8_E5M2)),
        ];
        for (name, packing) in packings {
            let found = packing.unwrap().unpack(&of(&format!("{name}.bytes")));
            let expected = of(&format!("{name}.values"));
            let expected: Vec<f32> = expected.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}
