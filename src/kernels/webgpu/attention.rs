//! Attention without a score matrix: each invocation streams over the keys with a running maximum.

mod contest;
mod flash;

use burn::tensor::Tensor;

pub(super) use self::contest::Heads;
pub use self::contest::SelfAttention;
use self::flash::Flash;
pub(super) use self::flash::Stream;
use super::launch::{Buffer, launch};
use super::timings::chosen;

/// Whether [`attention`] takes this width of a head.
pub fn fits(head_dim: usize) -> bool {
    head_dim.is_multiple_of(4) && (4..=128).contains(&head_dim)
}

/// `softmax(scale · query keyᵀ + bias) value`: `query` `[B, H, N, d]`, `key` and `value` `[B, H, S, d]`, `bias` `[B, H, N, S]` (views
/// and repeated dimensions welcome), to `[B, H, N, d]` that lies in memory as `[B, N, H, d]`, stored as the queries are. The head
/// must [`fits`].
pub fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, bias: Option<Tensor<4>>, scale: f32) -> Tensor<4> {
    let stream = chosen(Heads { head_dim: query.dims()[3] });
    attention_in(stream, query, key, value, bias, scale)
}

/// [`attention`] in the given way.
pub(super) fn attention_in(
    stream: Stream,
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<Tensor<4>>,
    scale: f32,
) -> Tensor<4> {
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
    let shader = Flash { vectors: d / 4, stream, bias: bias.is_some(), query, key };
    if let Some(bias) = bias {
        let buffer = Buffer::strided(bias);
        words.extend((0..4).map(|dim| buffer.stride(dim)));
        buffers.push(buffer);
    } else {
        words.extend([0; 4]);
    }
    let y = buffers[0].beside([b, n, heads, d], query.dtype());
    let groups = [n.div_ceil(stream.workgroup() * stream.queries()), heads, b];
    launch(shader, &buffers.iter().collect::<Vec<_>>(), &[&y], &words, groups);
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

/// [`attention`] in plain tensor operations.
pub fn attention_reference(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<Tensor<4>>,
    scale: f32,
) -> Tensor<4> {
    let mut scores = query.matmul(key.swap_dims(2, 3)) * scale; // [B, H, N, S]
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    burn::tensor::activation::softmax(scores, 3).matmul(value)
}
