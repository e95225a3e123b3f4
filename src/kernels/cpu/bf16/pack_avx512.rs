//! Whole tiles by AVX-512.

use std::arch::x86_64::{
    __m512i, _mm512_cvtne2ps_pbh, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_permutex2var_epi32,
    _mm512_permutexvar_epi16, _mm512_storeu_si512,
};

use super::tile::{SIDE, Tile};

/// `[first 0, second 0, first 1, ..]` of 16 halves of each.
const INTERLEAVED: [u16; 32] = {
    let mut places = [0; 32];
    let mut i = 0;
    while i < 32 {
        places[i] = (i / 2 + i % 2 * 16) as u16;
        i += 1;
    }
    places
};

/// For blocks of `1 << n` words: what a row takes of itself and of the row a block below, and what that one takes.
const SWAPPED: [[[u32; SIDE]; 2]; 4] = {
    let mut places = [[[0; SIDE]; 2]; 4];
    let mut n = 0;
    while n < 4 {
        let mut i = 0;
        while i < SIDE {
            let (block, below) = (1 << n, SIDE as u32);
            let c = i as u32;
            let right = c & block != 0;
            places[n][0][i] = if right { c - block + below } else { c };
            places[n][1][i] = if right { c + below } else { c + block };
            i += 1;
        }
        n += 1;
    }
    places
};

/// Two rows of 16 numbers, as 32 bf16 in that order.
///
/// # Safety
/// Both point at 16 numbers; the processor has AVX-512 F and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn rounded(first: *const f32, second: *const f32) -> __m512i {
    // SAFETY: the caller's; both types are 64 bytes that may hold anything.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(second), _mm512_loadu_ps(first))) }
}

/// `[row][pair]` from 16 rows of 32 inputs, `stride` apart.
///
/// # Safety
/// The processor has AVX-512 F, BW and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub unsafe fn rows(values: &[f32], stride: usize, tile: &mut Tile) {
    assert!(values.len() >= (SIDE - 1) * stride + 2 * SIDE, "a tile of values");
    for row in 0..SIDE {
        // SAFETY: the length was checked, and the tile has 16 words a row.
        unsafe {
            let row_values = values.as_ptr().add(row * stride);
            let words = rounded(row_values, row_values.add(SIDE));
            _mm512_storeu_si512(tile.0.as_mut_ptr().add(row * SIDE).cast(), words);
        }
    }
}

/// `[pair][column]` from 32 inputs of 16 columns, `stride` apart.
///
/// # Safety
/// The processor has AVX-512 F, BW and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub unsafe fn pairs(values: &[f32], stride: usize, tile: &mut Tile) {
    assert!(values.len() >= (2 * SIDE - 1) * stride + SIDE, "a tile of values");
    // SAFETY: the length was checked, the tile has 16 words a row, and the constant is 64 bytes.
    unsafe {
        let interleaved = _mm512_loadu_si512(INTERLEAVED.as_ptr().cast());
        for pair in 0..SIDE {
            let first = values.as_ptr().add(2 * pair * stride);
            let words = _mm512_permutexvar_epi16(interleaved, rounded(first, first.add(stride)));
            _mm512_storeu_si512(tile.0.as_mut_ptr().add(pair * SIDE).cast(), words);
        }
    }
}

/// Swaps rows and columns.
///
/// # Safety
/// The processor has AVX-512 F.
#[target_feature(enable = "avx512f")]
pub unsafe fn transpose(tile: &mut Tile) {
    let words = tile.0.as_mut_ptr();
    // SAFETY: the tile has 16 rows of 16 words, and the constants are 64 bytes each.
    unsafe {
        let mut rows: [__m512i; SIDE] = std::array::from_fn(|i| _mm512_loadu_si512(words.add(i * SIDE).cast()));
        for (n, [upper, lower]) in SWAPPED.iter().enumerate() {
            let block = 1 << n;
            let [upper, lower] = [upper, lower].map(|places| _mm512_loadu_si512(places.as_ptr().cast()));
            for i in (0..SIDE).filter(|i| i & block == 0) {
                let (a, b) = (rows[i], rows[i + block]);
                rows[i] = _mm512_permutex2var_epi32(a, upper, b);
                rows[i + block] = _mm512_permutex2var_epi32(a, lower, b);
            }
        }
        for (i, row) in rows.into_iter().enumerate() {
            _mm512_storeu_si512(words.add(i * SIDE).cast(), row);
        }
    }
}
