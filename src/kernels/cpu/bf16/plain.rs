//! Blocks by plain arithmetic, for processors that know no bf16.

use std::mem::MaybeUninit;

use super::tile::{SIDE, Tile};
use crate::kernels::cpu::wide;

wide! {
    /// As [`super::Engine::block`].
    pub fn block(a: [&[Tile]; 2], b: [&[Tile]; 2], c: &mut [MaybeUninit<f32>], stride: usize) {
        for (down, a) in a.iter().enumerate() {
            for (across, b) in b.iter().enumerate() {
                for row in 0..SIDE {
                    let mut sums = [0.0f32; SIDE];
                    for (a, b) in a.iter().zip(b.iter()) {
                        for (pair, b) in b.0.chunks_exact(SIDE).enumerate() {
                            let word = a.0[row * SIDE + pair];
                            let (first, second) = (f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000));
                            for (sum, b) in sums.iter_mut().zip(b) {
                                *sum += first * f32::from_bits(b << 16) + second * f32::from_bits(b & 0xffff_0000);
                            }
                        }
                    }
                    let line = &mut c[(down * SIDE + row) * stride + across * SIDE..][..SIDE];
                    for (c, sum) in line.iter_mut().zip(sums) {
                        c.write(sum);
                    }
                }
            }
        }
    }
}
