//! Attention without a score matrix.

use core::fmt::{self, Display, Formatter};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::choices::{Terms, TuneKey, chosen};
use super::launch::{Buffer, Launch, launch};
use crate::kernels::attention::AttentionInput;
use crate::kernels::wgsl::attention::{AttentionShader, Stream};

/// Attention with heads so wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttentionKey {
    pub head_dim: usize,
}

impl Display for AttentionKey {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "attention with heads of {}", self.head_dim)
    }
}

impl TuneKey for AttentionKey {
    type Variant = Stream;

    const KIND: &'static str = "attention";

    /// A GPU has no registers for a wide query and what comes of it. On a CPU two narrow queries share what they read, and two wide ones
    /// hardly fit.
    fn default_variant(self, software: bool) -> Stream {
        match software {
            false => Stream::Tile,
            true if self.head_dim <= 64 => Stream::Double,
            true => Stream::Single,
        }
    }

    fn candidates(self, terms: Terms) -> Vec<Stream> {
        match self.head_dim {
            ..=32 if !terms.software => vec![Stream::Shared],
            _ if !terms.software => Vec::new(),
            ..=64 => vec![Stream::Single, Stream::Shared],
            65..=96 => vec![Stream::Double, Stream::Shared],
            _ => vec![Stream::Shared],
        }
    }

    fn accepts_from(self, other: Self, stream: Stream) -> bool {
        (self.head_dim <= 64) == (other.head_dim <= 64) || matches!(stream, Stream::Shared | Stream::Tile)
    }
}

/// Whether [`attention`] takes this width of a head.
pub fn fits(head_dim: usize) -> bool {
    head_dim.is_multiple_of(4) && (4..=128).contains(&head_dim)
}

/// `softmax(scale · query keyᵀ + bias) value` (views and repeated dimensions welcome), to `[B, H, N, d]` that lies in memory as
/// `[B, N, H, d]`, stored as the queries are. The head must [`fits`].
pub fn attention(input: AttentionInput) -> Tensor<4> {
    attention_in(chosen(AttentionKey { head_dim: input.query.dims()[3] }), input)
}

/// [`attention`] in the given variant.
pub fn attention_in(stream: Stream, input: AttentionInput) -> Tensor<4> {
    let scale = input.scale() as f32;
    let AttentionInput { query, key, value, bias, .. } = input;
    let [b, heads, n, d] = query.dims();
    let s = key.dims()[2];
    let mut words = vec![n, s, heads, scale.to_bits() as usize];
    let mut buffers = Vec::with_capacity(4);
    for x in [query, key, value] {
        let (buffer, strides) = vectors(x);
        words.extend(strides);
        buffers.push(buffer);
    }
    let [query, key] = [0, 1].map(|i: usize| buffers[i].scalar());
    let shader = AttentionShader { vectors: d / 4, stream, bias: bias.is_some(), query, key };
    if let Some(bias) = bias {
        let buffer = Buffer::strided(bias);
        words.extend((0..4).map(|dim| buffer.stride(dim)));
        buffers.push(buffer);
    } else {
        words.extend([0; 4]);
    }
    let y = buffers[0].beside([b, n, heads, d], query.dtype());
    let groups = [n.div_ceil(shader.queries()), heads, b];
    let inputs: Vec<&Buffer> = buffers.iter().collect();
    launch(shader, Launch { inputs: &inputs, outputs: &[&y], words: &words, groups });
    y.float::<4>().swap_dims(1, 2)
}

/// `x` readable in vectors of four along its last dimension, with the strides of the others in vectors; copied where it must be.
fn vectors(x: Tensor<4>) -> (Buffer, [usize; 3]) {
    let [_, h, n, d] = x.dims();
    let as_it_lies = Buffer::strided(x.clone());
    let strides = [0, 1, 2].map(|dim| as_it_lies.stride(dim));
    if as_it_lies.stride(3) == 1 && strides.iter().all(|s| s.is_multiple_of(4)) {
        return (as_it_lies, strides.map(|s| s / 4));
    }
    (Buffer::packed(x), [h * n * d, n * d, d].map(|s| s / 4))
}

/// [`attention`] in tensor operations, none of which asks for more than WebGPU guarantees.
pub fn attention_reference(input: AttentionInput) -> Tensor<4> {
    let scale = input.scale() as f32;
    let [b, h, n, d] = input.query.dims();
    let s = input.key.dims()[2];
    let query = input.query.reshape([b * h, n, 1, d]);
    let products = query * input.key.reshape([b * h, 1, s, d]); // [B·H, N, S, d]
    let mut scores = products.sum_dim(3).reshape([b, h, n, s]) * scale;
    if let Some(bias) = input.bias {
        scores = scores + bias;
    }
    let weights = burn::tensor::activation::softmax(scores, 3).reshape([b * h, n, s, 1]);
    let weighted = weights * input.value.reshape([b * h, 1, s, d]); // [B·H, N, S, d]
    weighted.sum_dim(2).reshape([b, h, n, d])
}
