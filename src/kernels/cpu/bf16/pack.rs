//! Operands as tiles of pairs: rows as they are multiplied from the left, pairs of rows as they are from the right.

#[cfg(target_arch = "x86_64")]
use super::pack_avx512;
use super::tile::{SIDE, Tile};
use crate::kernels::cpu::wide;

/// Inputs of a tile.
const DEPTH: usize = 32;

/// What the words of a tile are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `[row][pair of inputs]`.
    Rows,
    /// `[pair of inputs][column]`.
    Pairs,
}

/// A matrix as one side of a product, `inner` being what is summed over.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    pub values: &'a [f32],
    pub outer: usize,
    pub inner: usize,
    /// `[outer, inner]` in memory, else `[inner, outer]`.
    pub by_inner: bool,
}

/// Tiles that so many inputs take.
pub fn depth(inner: usize) -> usize {
    inner.div_ceil(DEPTH)
}

/// Fills `tiles` with panels of 16 rows, an even number of them, each [`depth`] tiles; what no value fills is zero.
///
/// `vectors` says that the processor has AVX-512 F, BW and BF16.
///
/// # Panics
/// Where the values are not as many as the shape says.
pub fn pack(of: Operand, order: Order, vectors: bool, tiles: &mut Vec<Tile>) {
    assert_eq!(of.values.len(), of.outer * of.inner, "values of an operand");
    let depth = depth(of.inner);
    tiles.resize(of.outer.div_ceil(2 * SIDE) * 2 * depth, Tile([0; SIDE * SIDE]));
    let stored = if of.by_inner { Order::Rows } else { Order::Pairs };
    let panels = tiles.len() / depth.max(1);
    for i in 0..tiles.len() {
        // In the order of memory.
        let (panel, step) = if of.by_inner { (i / depth, i % depth) } else { (i % panels, i / panels) };
        let tile = &mut tiles[panel * depth + step];
        let (outer, inner) = (panel * SIDE, step * DEPTH);
        let (height, width) = (SIDE.min(of.outer.saturating_sub(outer)), DEPTH.min(of.inner - inner));
        if height < SIDE || width < DEPTH {
            tile.0.fill(0);
        }
        if height == 0 {
            continue;
        }
        let whole = vectors && height == SIDE && width == DEPTH;
        match stored {
            Order::Rows => rows(&of.values[outer * of.inner + inner..], of.inner, (height, width), whole, tile),
            Order::Pairs => pairs(&of.values[inner * of.outer + outer..], of.outer, (height, width), whole, tile),
        }
        if stored != order {
            transpose(tile, vectors);
        }
    }
}

/// Bits of the nearest bf16, in the upper half.
#[inline(always)]
fn round(value: f32) -> u32 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    if value.is_nan() { 0x7fc0_0000 } else { nearest }
}

/// `[row][pair]` from rows of inputs, `stride` apart; `vectors` of a whole tile.
#[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables))]
fn rows(values: &[f32], stride: usize, (height, width): (usize, usize), vectors: bool, tile: &mut Tile) {
    #[cfg(target_arch = "x86_64")]
    if vectors {
        // SAFETY: the caller knows the processor.
        return unsafe { pack_avx512::rows(values, stride, tile) };
    }
    some_rows(values, stride, height, width, tile);
}

/// `[pair][column]` from inputs of columns, `stride` apart; `vectors` of a whole tile.
#[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables))]
fn pairs(values: &[f32], stride: usize, (height, width): (usize, usize), vectors: bool, tile: &mut Tile) {
    #[cfg(target_arch = "x86_64")]
    if vectors {
        // SAFETY: the caller knows the processor.
        return unsafe { pack_avx512::pairs(values, stride, tile) };
    }
    some_pairs(values, stride, height, width, tile);
}

wide! {
    /// `[row][pair]` from `height` rows of `width` inputs, `stride` apart.
    pub fn some_rows(values: &[f32], stride: usize, height: usize, width: usize, tile: &mut Tile) {
        let halves: &mut [u16] = bytemuck::cast_slice_mut(&mut tile.0);
        for (row, to) in values.chunks(stride).zip(halves.chunks_exact_mut(DEPTH)).take(height) {
            if width == DEPTH {
                for i in 0..DEPTH {
                    to[i] = (round(row[i]) >> 16) as u16;
                }
            } else {
                for i in 0..width {
                    to[i] = (round(row[i]) >> 16) as u16;
                }
            }
        }
    }
}

wide! {
    /// `[pair][column]` from `width` inputs of `height` columns, `stride` apart.
    pub fn some_pairs(values: &[f32], stride: usize, height: usize, width: usize, tile: &mut Tile) {
        let inputs = &values[..(width - 1) * stride + height];
        for (pair, to) in tile.0.chunks_exact_mut(SIDE).take(width.div_ceil(2)).enumerate() {
            let first = &inputs[2 * pair * stride..][..height];
            if 2 * pair + 1 == width {
                to.iter_mut().zip(first).for_each(|(to, a)| *to = round(*a) >> 16);
                continue;
            }
            let second = &inputs[(2 * pair + 1) * stride..][..height];
            for ((to, a), b) in to.iter_mut().zip(first).zip(second) {
                *to = round(*a) >> 16 | round(*b) & 0xffff_0000;
            }
        }
    }
}

#[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables))]
fn transpose(tile: &mut Tile, vectors: bool) {
    #[cfg(target_arch = "x86_64")]
    if vectors {
        // SAFETY: the caller knows the processor.
        return unsafe { pack_avx512::transpose(tile) };
    }
    let words = tile.0;
    for i in 0..SIDE {
        for j in 0..SIDE {
            tile.0[j * SIDE + i] = words[i * SIDE + j];
        }
    }
}
