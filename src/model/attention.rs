//! Multi-head attention: heads split, one scaled dot product, heads joined. Queries and keys may be normed, keys and values compressed.

use burn::module::Module;
use burn::tensor::{DType, Int, Tensor};

use super::kv_compression::KvCompressor;
use super::linear::Linear;
use super::norm::LayerNorm;
use crate::bundle::Scope;
use crate::error::Result;
use crate::kernels::attention::{AttentionInput, scaled_dot_product};
use crate::kernels::cast::cast;
use crate::kernels::residual::Residual;

/// The logit a masked key gets: its weight is exactly zero in f32 unless every key of the row is masked.
pub const MASKED: f32 = -10000.0;

/// Attention of queries over keys and values that come from the same tokens or from a context.
///
/// Keys are diffusers': `to_q`, `to_k`, `to_v`, `to_out.0`, all with bias.
#[derive(Module, Debug)]
pub struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    q_norm: Option<LayerNorm>,
    k_norm: Option<LayerNorm>,
    compressor: Option<KvCompressor>,
    heads: usize,
}

/// Keys and values of a sequence, by head: `[B, H, S, d]` each.
#[derive(Debug, Clone)]
pub struct KeyValue {
    pub key: Tensor<4>,
    pub value: Tensor<4>,
}

impl KeyValue {
    /// Those of some places of the sequence, `index` `[S']`: `[B, H, S', d]`.
    pub fn of(&self, index: &Tensor<1, Int>) -> Self {
        let at = |x: &Tensor<4>| x.clone().select(2, index.clone());
        Self { key: at(&self.key), value: at(&self.value) }
    }

    /// These and then `others`: `[B, H, S + S', d]`.
    pub fn joined(self, others: &Self) -> Self {
        Self {
            key: Tensor::cat(vec![self.key, others.key.clone()], 2),
            value: Tensor::cat(vec![self.value, others.value.clone()], 2),
        }
    }
}

impl Attention {
    pub fn load(scope: &mut Scope, width: usize, heads: usize) -> Result<Self> {
        let mut linear = |name: &str| Linear::load(&mut scope.enter(name), width, width, true);
        Ok(Self {
            to_q: linear("to_q")?,
            to_k: linear("to_k")?,
            to_v: linear("to_v")?,
            to_out: linear("to_out.0")?,
            q_norm: None,
            k_norm: None,
            compressor: None,
            heads,
        })
    }

    /// As [`Attention::load`], with what PixArt's variants add among the tokens of a picture: norms of queries and keys where `qk_norm`, and
    /// `kv_scale`² tokens to a key and a value.
    pub fn load_self(scope: &mut Scope, width: usize, heads: usize, qk_norm: bool, kv_scale: usize) -> Result<Self> {
        let mut norm = |name: &str| qk_norm.then(|| LayerNorm::load(&mut scope.enter(name), width)).transpose();
        let (q_norm, k_norm) = (norm("q_norm")?, norm("k_norm")?);
        let compressor = (kv_scale > 1).then(|| KvCompressor::load(scope, width, kv_scale)).transpose()?;
        Ok(Self { q_norm, k_norm, compressor, ..Self::load(scope, width, heads)? })
    }

    /// One of its layers, which are all alike.
    pub fn linear(&self) -> &Linear {
        &self.to_out
    }

    /// Keys and values of `context` `[B, S, D]`.
    pub fn key_value(&self, context: Tensor<3>) -> KeyValue {
        self.compressed_key_value(context, None)
    }

    /// Keys and values of `context` `[B, S, D]`; where it is a grid and the layer compresses, of the grid's squares.
    fn compressed_key_value(&self, context: Tensor<3>, grid: Option<[usize; 2]>) -> KeyValue {
        let key = normed(self.k_norm.as_ref(), self.to_k.forward(context.clone()));
        let value = self.to_v.forward(context);
        let (key, value) = match self.compressor.as_ref().zip(grid) {
            Some((compressor, grid)) => (compressor.forward(key, grid), compressor.forward(value, grid)),
            None => (key, value),
        };
        KeyValue { key: split_heads(key, self.heads), value: split_heads(value, self.heads) }
    }

    /// `residual` of the queries of `x` `[B, N, D]` over `context`; `bias` `[B, 1, 1, S]` is added to the logits.
    pub fn forward(&self, x: Tensor<3>, context: KeyValue, bias: Option<&Tensor<4>>, residual: Residual) -> Tensor<3> {
        let query = split_heads(normed(self.q_norm.as_ref(), self.to_q.forward(x)), self.heads); // [B, H, N, d]
        let [b, h, n, _] = query.dims();
        let s = context.key.dims()[2];
        let bias = bias.map(|bias| bias.clone().expand([b, h, n, s]));
        let input = AttentionInput { query, key: context.key, value: context.value, bias, scale: None };
        let y = scaled_dot_product(input);
        self.to_out.forward_residual(join_heads(y), residual) // [B, N, D]
    }

    /// `residual` of attention among the tokens of `x` `[B, N, D]`, and over the `others` if given; and the keys and values of `x`. A layer that
    /// compresses them does so where `x` is a whole grid, `[rows, columns]`.
    pub fn forward_self(
        &self,
        x: Tensor<3>,
        grid: Option<[usize; 2]>,
        others: Option<&KeyValue>,
        residual: Residual,
    ) -> (Tensor<3>, KeyValue) {
        let own = self.compressed_key_value(x.clone(), grid);
        let context = match others {
            Some(others) => own.clone().joined(others),
            None => own.clone(),
        };
        (self.forward(x, context, None, residual), own)
    }
}

/// `x` after the norm, where there is one, in its own type.
fn normed(norm: Option<&LayerNorm>, x: Tensor<3>) -> Tensor<3> {
    let Some(norm) = norm else { return x };
    let dtype = x.dtype();
    cast(norm.forward(cast(x, DType::F32)), dtype)
}

/// `[B, N, H·d]` to `[B, H, N, d]`.
pub fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [b, n, width] = x.dims();
    x.reshape([b, n, heads, width / heads]).swap_dims(1, 2)
}

/// `[B, H, N, d]` to `[B, N, H·d]`.
pub fn join_heads(x: Tensor<4>) -> Tensor<3> {
    let [b, heads, n, d] = x.dims();
    x.swap_dims(1, 2).reshape([b, n, heads * d])
}
