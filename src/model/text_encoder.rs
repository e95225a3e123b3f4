//! T5 encoder: token ids to the states that a transformer's cross-attention reads.

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::attention::{join_heads, split_heads};
use super::linear::Linear;
use super::norm::RmsNorm;
use crate::bundle::Scope;
use crate::bundle::config::{FeedForward, TextEncoderConfig};
use crate::bundle::weights::HostTable;
use crate::error::{Error, Result};
use crate::kernels::attention::{AttentionInput, scaled_dot_product};
use crate::kernels::residual::Residual;
use crate::kernels::weight::param;

/// Name of the norm behind the last layer.
pub const FINAL_NORM: &str = "final_layer_norm";

/// The encoder with its embedding table in host memory: a table of millions of values is read a few rows at a time.
#[derive(Debug)]
pub struct TextEncoder {
    embedding: HostTable,
    layers: TextLayers,
    config: TextEncoderConfig,
    device: Device,
}

/// Everything behind the embedding.
#[derive(Module, Debug)]
pub struct TextLayers {
    layers: Vec<TextLayer>,
    relative_bias: RelativeBias,
    final_norm: RmsNorm,
}

/// The learned bias of each pair's distance: block 0's table, shared by all layers.
#[derive(Module, Debug)]
pub struct RelativeBias {
    /// `[buckets, heads]`.
    table: Param<Tensor<2>>,
    buckets: usize,
    max_distance: usize,
}

#[derive(Module, Debug)]
pub struct TextLayer {
    attention_norm: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    mlp_norm: RmsNorm,
    wi: Linear,
    /// The linear half of a gated MLP; absent in the first T5.
    wi_linear: Option<Linear>,
    wo: Linear,
    heads: usize,
}

impl TextEncoder {
    pub fn load(scope: &mut Scope, config: &TextEncoderConfig) -> Result<Self> {
        Ok(Self {
            embedding: scope.take_host("shared.weight", [config.vocab_size, config.d_model])?,
            layers: TextLayers::load(&mut scope.enter("encoder"), config)?,
            config: config.clone(),
            device: scope.device(),
        })
    }

    pub fn config(&self) -> &TextEncoderConfig {
        &self.config
    }

    /// States `[1, S, E]` of one prompt's unpadded ids. Equal to a padded run's states at the real places.
    ///
    /// # Errors
    /// `InvalidInput` where there is no id or one is outside the vocabulary.
    pub fn forward(&self, ids: &[u32]) -> Result<Tensor<3>> {
        if ids.is_empty() {
            return Err(Error::input("input_ids", "there is no token"));
        }
        let rows = self.embedding.gather(ids)?;
        let x = Tensor::from_data(TensorData::new(rows, [1, ids.len(), self.config.d_model]), &self.device);
        Ok(self.layers.forward(x, None))
    }
}

impl TextLayers {
    pub fn load(scope: &mut Scope, config: &TextEncoderConfig) -> Result<Self> {
        Ok(Self {
            relative_bias: RelativeBias::load(scope, config)?,
            layers: (0..config.layers).map(|i| TextLayer::load(scope, config, i)).collect::<Result<_>>()?,
            final_norm: final_norm(scope, config)?,
        })
    }

    /// States of embedded tokens `[B, S, E]`; `padding` `[B, 1, 1, S]` is added to the logits.
    pub fn forward(&self, mut x: Tensor<3>, padding: Option<Tensor<4>>) -> Tensor<3> {
        let [b, s, _] = x.dims();
        let mut bias = self.relative_bias.forward(s, &x.device()).expand([b as i64, -1, -1, -1]); // [B, H, S, S]
        if let Some(padding) = padding {
            bias = bias + padding;
        }
        for layer in &self.layers {
            x = layer.forward(x, bias.clone()); // [B, S, E]
        }
        self.final_norm.forward(x)
    }
}

impl RelativeBias {
    /// Name of its table in the encoder.
    pub const NAME: &'static str = "block.0.layer.0.SelfAttention.relative_attention_bias.weight";

    /// Takes the table from the encoder's tensors.
    pub fn load(scope: &mut Scope, config: &TextEncoderConfig) -> Result<Self> {
        let table = param(scope.take(Self::NAME, [config.relative_buckets, config.heads])?);
        Ok(Self { table, buckets: config.relative_buckets, max_distance: config.relative_max_distance })
    }

    /// `[1, H, S, S]`.
    pub fn forward(&self, s: usize, device: &Device) -> Tensor<4> {
        let bucket = |q: usize, k: usize| relative_bucket(k as i64 - q as i64, self.buckets, self.max_distance);
        let ids: Vec<i32> = (0..s).flat_map(|q| (0..s).map(move |k| bucket(q, k) as i32)).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [s * s]), device);
        let heads = self.table.val().dims()[1];
        self.table.val().select(0, ids).reshape([1, s, s, heads]).permute([0, 3, 1, 2])
    }
}

/// The norm behind the last layer, from the encoder's tensors.
pub fn final_norm(scope: &mut Scope, config: &TextEncoderConfig) -> Result<RmsNorm> {
    RmsNorm::load(&mut scope.enter(FINAL_NORM), config.d_model, config.layer_norm_eps)
}

impl TextLayer {
    /// Takes layer `i` from the encoder's tensors.
    pub fn load(scope: &mut Scope, config: &TextEncoderConfig, i: usize) -> Result<Self> {
        let mut scope = scope.enter(format_args!("block.{i}"));
        let (width, inner, eps) = (config.d_model, config.heads * config.d_kv, config.layer_norm_eps);
        let attention_norm = RmsNorm::load(&mut scope.enter("layer.0.layer_norm"), width, eps)?;
        let mut attn = scope.enter("layer.0.SelfAttention");
        let q = Linear::load(&mut attn.enter("q"), width, inner, false)?;
        let k = Linear::load(&mut attn.enter("k"), width, inner, false)?;
        let v = Linear::load(&mut attn.enter("v"), width, inner, false)?;
        let o = Linear::load(&mut attn.enter("o"), inner, width, false)?;
        let mlp_norm = RmsNorm::load(&mut scope.enter("layer.1.layer_norm"), width, eps)?;
        let mut mlp = scope.enter("layer.1.DenseReluDense");
        let mut linear = |name: &str, i: usize, o: usize| Linear::load(&mut mlp.enter(name), i, o, false);
        let (wi, wi_linear) = match config.feed_forward {
            FeedForward::GatedGelu => (linear("wi_0", width, config.d_ff)?, Some(linear("wi_1", width, config.d_ff)?)),
            FeedForward::Relu => (linear("wi", width, config.d_ff)?, None),
        };
        let wo = linear("wo", config.d_ff, width)?;
        Ok(Self { attention_norm, q, k, v, o, mlp_norm, wi, wi_linear, wo, heads: config.heads })
    }

    /// `x` `[B, S, E]`, `bias` `[B, H, S, S]`. T5 does not scale the logits.
    pub fn forward(&self, x: Tensor<3>, bias: Tensor<4>) -> Tensor<3> {
        let h = self.attention_norm.forward(x.clone());
        let query = split_heads(self.q.forward(h.clone()), self.heads); // [B, H, S, d]
        let key = split_heads(self.k.forward(h.clone()), self.heads);
        let value = split_heads(self.v.forward(h), self.heads);
        let y = scaled_dot_product(AttentionInput { query, key, value, bias: Some(bias), scale: Some(1.0) });
        let x = self.o.forward_residual(join_heads(y), Residual::new(x)); // [B, S, E]

        let h = self.mlp_norm.forward(x.clone());
        let hidden = match &self.wi_linear {
            Some(linear) => self.wi.forward_gelu(h.clone()) * linear.forward(h), // [B, S, F]
            None => relu(self.wi.forward(h)),
        };
        self.wo.forward_residual(hidden, Residual::new(x)) // [B, S, E]
    }
}

/// Bucket of a relative position, bidirectional: half the buckets for each sign, the nearer half of those exact, the rest
/// logarithmic up to `max_distance`.
fn relative_bucket(relative: i64, buckets: usize, max_distance: usize) -> usize {
    let half = buckets / 2;
    let exact = half / 2;
    let sign = if relative > 0 { half } else { 0 };
    let distance = relative.unsigned_abs() as usize;
    if distance < exact {
        return sign + distance;
    }
    let ratio = libm::log(distance as f64 / exact as f64) / libm::log(max_distance as f64 / exact as f64);
    sign + (exact + (ratio * (half - exact) as f64) as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `T5Attention._relative_position_bucket` of transformers, 32 buckets, distance 128.
    #[test]
    fn buckets_are_those_of_t5() {
        let cases = [
            (0, 0),
            (-1, 1),
            (-7, 7),
            (-8, 8),
            (-11, 8),
            (-12, 9),
            (-16, 10),
            (-127, 15),
            (-500, 15),
            (1, 17),
            (8, 24),
            (64, 30),
            (1000, 31),
        ];
        for (relative, bucket) in cases {
            assert_eq!(relative_bucket(relative, 32, 128), bucket, "{relative}");
        }
    }
}
