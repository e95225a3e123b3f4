//! The T5 encoder's configuration, from its tensors and its `config.json`.

use serde_json::json;

use super::checkpoint_tensor::Tensors;
use super::json::Config;
use super::keys::count;
use crate::bundle::config::{FeedForward, TextEncoderConfig};
use crate::error::{Error, Result};

/// The configuration of `tensors` (under our names, `text_encoder.` in front) and `config`.
pub fn config(tensors: &Tensors, config: &Config) -> Result<TextEncoderConfig> {
    config.only("model_type", &[json!("t5")])?;
    let matrix = |name: &str| {
        let name = format!("text_encoder.{name}");
        let tensor = tensors.get(&name).ok_or_else(|| Error::model(&name, "the tensor is missing"))?;
        match *tensor.shape.as_slice() {
            [rows, width] => Ok((rows, width)),
            _ => Err(Error::model(name, format!("its shape is {:?}, not that of a matrix", tensor.shape))),
        }
    };
    let (vocab_size, d_model) = matrix("shared.weight")?;
    let (inner, _) = matrix("encoder.block.0.layer.0.SelfAttention.q.weight")?;
    let (buckets, heads) = matrix("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight")?;
    let (_, d_ff) = matrix("encoder.block.0.layer.1.DenseReluDense.wo.weight")?;
    let gated = tensors.contains_key("text_encoder.encoder.block.0.layer.1.DenseReluDense.wi_0.weight");
    let usual = if gated { "gated-gelu" } else { "relu" };
    let feed_forward = match config.text("feed_forward_proj")?.unwrap_or(usual) {
        "gated-gelu" => FeedForward::GatedGelu,
        "relu" => FeedForward::Relu,
        other => return Err(config.fault("feed_forward_proj", format_args!("{other:?} is not supported"))),
    };
    let activation = match feed_forward {
        FeedForward::GatedGelu => "gelu_new",
        FeedForward::Relu => "relu",
    };
    config.only("dense_act_fn", &[json!(activation)])?;
    if heads == 0 || inner % heads != 0 {
        return Err(Error::model("text_encoder", format!("{inner} attention channels are not {heads} heads")));
    }
    Ok(TextEncoderConfig {
        vocab_size,
        d_model,
        d_kv: inner / heads,
        heads,
        d_ff,
        layers: count(tensors.keys(), "text_encoder.encoder.block")?,
        relative_buckets: buckets,
        relative_max_distance: config.count("relative_attention_max_distance")?.unwrap_or(128),
        layer_norm_eps: config.number("layer_norm_epsilon")?.unwrap_or(1e-6),
        feed_forward,
    })
}
