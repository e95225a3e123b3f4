//! Blocks by AVX-512's dot products of pairs of bf16.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};

use std::mem::MaybeUninit;

use super::tile::{SIDE, Tile};

/// Rows whose sums are held in registers.
const ROWS: usize = 8;

fn halves(words: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes that may hold anything.
    unsafe { std::mem::transmute(words) }
}

/// As [`super::Engine::block`].
///
/// # Safety
/// The processor has AVX-512 F and BF16; panels are equally long, and `c` holds 32 rows of 32, `stride` apart.
#[target_feature(enable = "avx512f,avx512bf16")]
pub unsafe fn block(a: [&[Tile]; 2], b: [&[Tile]; 2], c: &mut [MaybeUninit<f32>], stride: usize) {
    for (down, a) in a.iter().enumerate() {
        for first in (0..SIDE).step_by(ROWS) {
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            for ((a, b0), b1) in a.iter().zip(b[0]).zip(b[1]) {
                for pair in 0..SIDE {
                    // SAFETY: a tile has 16 words for each of 16 pairs.
                    let load =
                        |tile: &Tile| halves(unsafe { _mm512_loadu_si512(tile.0.as_ptr().add(pair * SIDE).cast()) });
                    let (b0, b1) = (load(b0), load(b1));
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let a = halves(_mm512_set1_epi32(a.0[(first + row) * SIDE + pair].cast_signed()));
                        sums[0] = _mm512_dpbf16_ps(sums[0], a, b0);
                        sums[1] = _mm512_dpbf16_ps(sums[1], a, b1);
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                let line: *mut f32 = c[(down * SIDE + first + row) * stride..][..2 * SIDE].as_mut_ptr().cast();
                // SAFETY: the line has 32 places.
                unsafe {
                    _mm512_storeu_ps(line, sums[0]);
                    _mm512_storeu_ps(line.add(SIDE), sums[1]);
                }
            }
        }
    }
}
