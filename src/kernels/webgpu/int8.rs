//! Activations in 8 bits, for products with packed weights.

use burn::tensor::DType;

use super::launch::{Buffer, Launch, launch};
use crate::kernels::wgsl::folded;
use crate::kernels::wgsl::format::Format;
use crate::kernels::wgsl::quantize::{QuantizeShader, UNIT, WORKGROUP};

/// `x` `[rows, in]` in 8 bits as the tile reads it next to a weight of that format: a row of words, then an f32 for each group of the
/// row, its largest value over 127.
pub(super) fn quantize(x: &Buffer, weight: Format, [rows, inputs]: [usize; 2], group: usize) -> Buffer {
    let groups = inputs / group;
    let y = x.beside([rows, pitch(inputs, group)], DType::I32);
    let words = [rows * groups, groups, group / UNIT];
    let workgroups = folded((rows * groups).div_ceil(WORKGROUP));
    launch(
        QuantizeShader { weight, x: x.scalar() },
        Launch { inputs: &[x], outputs: &[&y], words: &words, groups: workgroups },
    );
    y
}

/// Words of a quantized row.
fn pitch(inputs: usize, group: usize) -> usize {
    inputs / 4 + (inputs / group).next_multiple_of(2)
}

/// What the `words` of [`quantize`] stand for, each value with its scale.
pub(super) fn dequantized(words: &[u32], weight: Format, inputs: usize, group: usize) -> Vec<(f32, f32)> {
    let value = |row: &[u32], i: usize| {
        let (unit, place) = (i / UNIT, i % UNIT);
        let (word, byte) = if weight == Format::Q4 { (place % 2, place / 2) } else { (place / 4, place % 4) };
        let scale = f32::from_bits(row[inputs / 4 + i / group]);
        (f32::from((row[2 * unit + word] >> (8 * byte)) as i8) * scale, scale)
    };
    words.chunks_exact(pitch(inputs, group)).flat_map(|row| (0..inputs).map(move |i| value(row, i))).collect()
}
