//! The PixArt block, written once: what a dense layer runs on all tokens and a routed layer on the selected ones.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::attention::{Attention, KeyValue};
use super::config::TransformerConfig;
use super::linear::Linear;
use super::norm::modulated_layer_norm;
use crate::bundle::Scope;
use crate::bundle::weights::param;
use crate::error::Result;

/// Self-attention, cross-attention to the caption and an MLP, modulated by the timestep.
#[derive(Module, Debug)]
pub struct Block {
    /// `[6, D]`: shift, scale and gate of the attention, then of the MLP.
    scale_shift_table: Param<Tensor<2>>,
    attn1: Attention,
    attn2: Attention,
    ff_in: Linear,
    ff_out: Linear,
}

/// Keys, values and mask of the caption, as one block's cross-attention reads them.
#[derive(Debug, Clone)]
pub struct Caption<'a> {
    pub key_value: &'a KeyValue,
    /// `[B, 1, 1, S]`, added to the logits; absent where no caption of the batch is padded.
    pub bias: Option<&'a Tensor<4>>,
}

impl Block {
    pub fn load(scope: &mut Scope, config: &TransformerConfig) -> Result<Self> {
        let width = config.width();
        Ok(Self {
            scale_shift_table: param(scope.take("scale_shift_table", [6, width])?),
            attn1: Attention::load(&mut scope.enter("attn1"), width, config.heads)?,
            attn2: Attention::load(&mut scope.enter("attn2"), width, config.heads)?,
            ff_in: Linear::load(&mut scope.enter("ff.net.0.proj"), width, 4 * width, true)?,
            ff_out: Linear::load(&mut scope.enter("ff.net.2"), 4 * width, width, true)?,
        })
    }

    /// Keys and values of a projected caption `[B, S, D]`: once per prompt, for they do not depend on the timestep.
    pub fn caption(&self, caption: Tensor<3>) -> KeyValue {
        self.attn2.key_value(caption)
    }

    /// Keys and values that the tokens `x` `[B, S, D]` have in this block's self-attention.
    pub fn lent(&self, x: Tensor<3>, six: Tensor<3>) -> KeyValue {
        let rows = self.scale_shift_table.val().unsqueeze::<3>() + six; // [B, 6, D]
        self.attn1.key_value(modulated_layer_norm(x, rows.clone().narrow(1, 0, 1), rows.narrow(1, 1, 1)))
    }

    /// The tokens `x` `[B, k, D]` before the MLP's residual add, and the gated MLP branch to add.
    ///
    /// `six` `[B, 6, D]` is the step's modulation.
    pub fn forward(&self, x: Tensor<3>, caption: Caption, six: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let (x, branch, _) = self.forward_among(x, None, caption, six);
        (x, branch)
    }

    /// As [`Block::forward`], where `x` also attends to `others` that do not run themselves; and the keys and values of `x`.
    pub fn forward_among(
        &self,
        x: Tensor<3>,
        others: Option<&KeyValue>,
        caption: Caption,
        six: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>, KeyValue) {
        let table = self.scale_shift_table.val().unsqueeze::<3>() + six; // [B, 6, D]
        let row = |i: usize| table.clone().narrow(1, i, 1); // [B, 1, D]
        let (shift_attn, scale_attn, gate_attn) = (row(0), row(1), row(2));
        let (shift_mlp, scale_mlp, gate_mlp) = (row(3), row(4), row(5));

        let h = modulated_layer_norm(x.clone(), shift_attn, scale_attn);
        let (x, own) = self.attn1.forward_self(h, others, x, gate_attn); // [B, k, D]
        let x = self.attn2.forward(x.clone(), caption.key_value.clone(), caption.bias, x, None); // [B, k, D]
        let h = modulated_layer_norm(x.clone(), shift_mlp, scale_mlp);
        let h = self.ff_in.forward_gelu(h); // [B, k, 4D]
        (x, gate_mlp * self.ff_out.forward(h), own) // [B, k, D] twice
    }
}
