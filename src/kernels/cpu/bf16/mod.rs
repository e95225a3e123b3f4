//! Matrix products of numbers rounded to bf16, summed in f32: what processors with AMX do many times faster than products of f32.
//!
//! Operands are packed into tiles of 16 rows by 32 inputs, blocks of two by two tiles are multiplied by what the processor has
//! ([`Engine`]), and the results agree between engines up to the order of their sums.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod pack;
#[cfg(target_arch = "x86_64")]
mod pack_avx512;
mod plain;
mod tile;

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

pub use pack::Operand;
use pack::Order;
use tile::{SIDE, Tile};

/// Rows and columns of a block: two tiles each way.
const BLOCK: usize = 2 * SIDE;
/// Bytes of `b` that stay in a core's second cache while every row of `a` goes by.
const CACHED: usize = 1 << 20;

/// What multiplies tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    /// Tile registers.
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// Dot products of pairs.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    Plain,
}

impl Engine {
    /// All that this processor and system have, the fastest first.
    fn all() -> Vec<Self> {
        let mut all = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            if wide && is_x86_feature_detected!("avx512bf16") {
                if amx::allowed() {
                    all.push(Self::Amx);
                }
                all.push(Self::Avx512);
            }
        }
        all.push(Self::Plain);
        all
    }

    fn fastest() -> Self {
        static FASTEST: OnceLock<Engine> = OnceLock::new();
        *FASTEST.get_or_init(|| Self::all()[0])
    }

    /// `c[r][j] = Σ a[r] b[j]` of two panels each, for `c` of 32 rows `stride` apart.
    fn block(self, a: [&[Tile]; 2], b: [&[Tile]; 2], c: &mut [MaybeUninit<f32>], stride: usize) {
        let depth = a[0].len();
        assert!(a[1].len() == depth && b.iter().all(|b| b.len() == depth), "panels of one depth");
        assert!(stride >= BLOCK && c.len() >= (BLOCK - 1) * stride + BLOCK, "a block's place");
        match self {
            // SAFETY: `all` offers an engine only where it can run; the lengths were checked above.
            #[cfg(target_arch = "x86_64")]
            Self::Amx => unsafe { amx::block(a, b, c, stride) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::block(a, b, c, stride) },
            Self::Plain => plain::block(a, b, c, stride),
        }
    }
}

/// Packed operands of the product at hand, kept for the next one of this thread.
#[derive(Default)]
struct Scratch {
    a: Vec<Tile>,
    b: Vec<Tile>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// `Σ a[i] b[j]` over their inner dimension, `[a.outer, b.outer]`.
///
/// # Panics
/// Where the inner dimensions differ, or the values are not as many as the shape says.
pub fn product(a: Operand, b: Operand) -> Vec<f32> {
    product_by(Engine::fastest(), a, b)
}

fn product_by(engine: Engine, a: Operand, b: Operand) -> Vec<f32> {
    assert_eq!(a.inner, b.inner, "the inner dimensions of a product");
    let (rows, columns) = (a.outer, b.outer);
    let depth = pack::depth(a.inner);
    if depth == 0 {
        return vec![0.0; rows * columns];
    }
    let mut values = Vec::with_capacity(rows * columns);
    let y = &mut values.spare_capacity_mut()[..rows * columns];
    SCRATCH.with_borrow_mut(|Scratch { a: left, b: right }| {
        let vectors = engine != Engine::Plain;
        pack::pack(a, Order::Rows, vectors, left);
        pack::pack(b, Order::Pairs, vectors, right);
        #[cfg(target_arch = "x86_64")]
        let _tiles = (engine == Engine::Amx).then(amx::Configured::new);
        let panel = |tiles: &'_ [Tile], block: usize| -> [std::ops::Range<usize>; 2] {
            debug_assert!(tiles.len() >= (2 * block + 2) * depth);
            [2 * block * depth..(2 * block + 1) * depth, (2 * block + 1) * depth..(2 * block + 2) * depth]
        };
        let at_once = (CACHED / (2 * depth * size_of::<Tile>())).max(1);
        let (down, across) = (rows.div_ceil(BLOCK), columns.div_ceil(BLOCK));
        let mut edge = [MaybeUninit::uninit(); BLOCK * BLOCK];
        for first in (0..across).step_by(at_once) {
            for i in 0..down {
                let [a0, a1] = panel(left, i);
                for j in first..across.min(first + at_once) {
                    let [b0, b1] = panel(right, j);
                    let (a, b) = ([&left[a0.clone()], &left[a1.clone()]], [&right[b0], &right[b1]]);
                    let (row, column) = (i * BLOCK, j * BLOCK);
                    let (height, width) = (BLOCK.min(rows - row), BLOCK.min(columns - column));
                    if height == BLOCK && width == BLOCK {
                        engine.block(a, b, &mut y[row * columns + column..], columns);
                        continue;
                    }
                    engine.block(a, b, &mut edge, BLOCK);
                    for (r, line) in edge.chunks_exact(BLOCK).take(height).enumerate() {
                        let start = (row + r) * columns + column;
                        y[start..start + width].copy_from_slice(&line[..width]);
                    }
                }
            }
        }
    });
    // SAFETY: the blocks cover every row and column, and each was written.
    unsafe { values.set_len(rows * columns) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: f32, count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i as f32 * 0.7311 + seed).sin() * 43_758.547).fract() - 0.5).collect()
    }

    fn rounded(x: f32) -> f64 {
        f64::from(half::bf16::from_f32(x).to_f32())
    }

    /// Every engine, every layout of both operands, and sizes that fill no tile.
    #[test]
    fn it_is_the_product_of_rounded_numbers() {
        for engine in Engine::all() {
            for (m, n, k) in [(1, 1, 1), (32, 32, 32), (33, 17, 65), (64, 96, 256), (5, 70, 31), (40, 1, 64)] {
                let (a, b) = (numbers(0.0, m * k), numbers(1.0, n * k));
                for (a_by_inner, b_by_inner) in [(true, true), (true, false), (false, true), (false, false)] {
                    let a = Operand { values: &a, outer: m, inner: k, by_inner: a_by_inner };
                    let b = Operand { values: &b, outer: n, inner: k, by_inner: b_by_inner };
                    let at = |x: &Operand, o: usize, i: usize| {
                        rounded(x.values[if x.by_inner { o * k + i } else { i * x.outer + o }])
                    };
                    let ours = product_by(engine, a, b);
                    for (place, y) in ours.iter().enumerate() {
                        let (r, c) = (place / n, place % n);
                        let expected: f64 = (0..k).map(|i| at(&a, r, i) * at(&b, c, i)).sum();
                        let off = (f64::from(*y) - expected).abs();
                        assert!(off < 1e-5 * (k as f64).sqrt(), "{engine:?} {m}×{n}×{k} at {r}, {c}: {off}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for engine in Engine::all() {
            for bad in [f32::NAN, f32::from_bits(0x7fff_ffff), f32::INFINITY] {
                let (a, b) = ([bad, 1.0], [0.0, 1.0]);
                let operand = |values| Operand { values, outer: 1, inner: 2, by_inner: true };
                assert!(product_by(engine, operand(&a), operand(&b))[0].is_nan(), "{engine:?} {bad}");
            }
        }
    }

    #[test]
    fn nothing_in_common_is_zero() {
        let empty = |outer| Operand { values: &[], outer, inner: 0, by_inner: true };
        assert_eq!(product(empty(2), empty(3)), [0.0; 6]);
    }
}
