//! The self-attention of a block, to be timed.

use burn::tensor::{Device, Tensor};

use super::tuner::{SAMPLE, Tunable, input};
use crate::kernels::attention::AttentionInput;
use crate::kernels::webgpu::attention::{AttentionKey, attention_in, fits};
use crate::kernels::wgsl::attention::Stream;

/// Multiply-adds of all heads for which the choice is worth its time.
const LARGE: usize = 1 << 28;
/// Error, of the largest value, up to which a variant may be chosen.
const ERROR: f64 = 1e-4;
/// Keys where variants are only compared.
const SOME: usize = 100;

/// The attention of an image's tokens to one another.
#[derive(Debug, Clone, Copy)]
pub struct SelfAttention {
    pub images: usize,
    pub heads: usize,
    pub head_dim: usize,
    pub tokens: usize,
}

impl Tunable for SelfAttention {
    type Key = AttentionKey;
    /// Queries, keys and values.
    type Input = [Tensor<4>; 3];

    fn key(&self) -> AttentionKey {
        AttentionKey { head_dim: self.head_dim }
    }

    fn should_tune(&self) -> bool {
        fits(self.head_dim) && 2 * self.images * self.heads * self.head_dim * self.tokens.pow(2) >= LARGE
    }

    fn rows(&self) -> usize {
        self.tokens
    }

    fn input(&self, rows: usize, device: &Device) -> Self::Input {
        let keys = if rows <= SAMPLE { SOME } else { self.tokens };
        [rows, keys, keys].map(|tokens| input([self.images, self.heads, tokens, self.head_dim], device))
    }

    fn run(&self, stream: Stream, input: &Self::Input) -> Tensor<3> {
        let [query, key, value] = input.clone();
        attention_in(stream, AttentionInput { query, key, value, bias: None, scale: None }).flatten(0, 1)
    }

    fn tolerance(&self, _: Stream) -> f64 {
        ERROR
    }
}
