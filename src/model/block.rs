//! The PixArt block, written once: what a dense layer runs on all tokens and a routed layer on the selected ones.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use super::attention::{Attention, KeyValue};
use super::feed_forward::{FeedForward, FeedForwardInput};
use super::linear::Linear;
use super::norm::modulated_layer_norm;
use crate::bundle::Scope;
use crate::bundle::config::TransformerConfig;
use crate::error::Result;
use crate::kernels::cast::cast;
use crate::kernels::residual::{ModulationRow, Residual, SelectedTokens, TokenIndexing};
use crate::kernels::weight::param;

/// Tokens of the caption of [`Block::forward_for_tuning`].
const TUNING_CAPTION_TOKENS: usize = 16;

/// Self-attention, cross-attention to the caption and an MLP, modulated by the timestep.
#[derive(Module, Debug)]
pub struct Block {
    /// `[6, D]`: shift, scale and gate of the attention, then of the MLP.
    scale_shift_table: Param<Tensor<2>>,
    attn1: Attention,
    attn2: Attention,
    ff: FeedForward,
}

/// The tokens that a block runs.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// `[B, N, D]`.
    pub all: Tensor<3>,
    /// The k of them that run, where the kernels at hand read and write them in place; otherwise all do.
    pub selected: Option<SelectedTokens>,
    /// What the MLP branch of each is multiplied by, `[B, N, 1]`, where no selection says it; otherwise 1.
    pub weight: Option<Tensor<3>>,
    /// Rows and columns, where all tokens of a picture run: what a layer that compresses keys and values needs.
    pub grid: Option<[usize; 2]>,
}

impl Tokens {
    pub fn all(all: Tensor<3>) -> Self {
        Self { all, selected: None, weight: None, grid: None }
    }

    /// All tokens of a picture.
    pub fn of_grid(all: Tensor<3>, grid: [usize; 2]) -> Self {
        Self { grid: Some(grid), ..Self::all(all) }
    }
}

/// Keys, values and mask of the caption, as one block's cross-attention reads them.
#[derive(Debug, Clone)]
pub struct Caption<'a> {
    pub key_value: &'a KeyValue,
    /// `[B, 1, 1, S]`, added to the logits; absent where no caption of the batch is padded.
    pub bias: Option<&'a Tensor<4>>,
}

impl Caption<'_> {
    /// What a block's kernels hand values on in: F32, or F16 where the device is faster with it.
    pub fn dtype(&self) -> DType {
        self.key_value.key.dtype()
    }
}

impl Block {
    /// Of layer `index`.
    pub fn load(scope: &mut Scope, config: &TransformerConfig, index: usize) -> Result<Self> {
        let width = config.width();
        Ok(Self {
            scale_shift_table: param(scope.take("scale_shift_table", [6, width])?),
            attn1: Attention::load_self(
                &mut scope.enter("attn1"),
                width,
                config.heads,
                config.qk_norm,
                config.kv_scale(index),
            )?,
            attn2: Attention::load(&mut scope.enter("attn2"), width, config.heads)?,
            ff: FeedForward::load(&mut scope.enter("ff"), width)?,
        })
    }

    /// One linear layer of every shape.
    pub fn linears(&self) -> [&Linear; 3] {
        let [input, output] = self.ff.linears();
        [self.attn1.linear(), input, output]
    }

    /// `x` `[1, N, D]` after the block with a caption of ones and an unmodulated step, handing on values of that type.
    pub fn forward_for_tuning(&self, x: Tensor<3>, dtype: DType) -> Tensor<3> {
        let (device, width) = (x.device(), x.dims()[2]);
        let key_value = self.caption(cast(Tensor::ones([1, TUNING_CAPTION_TOKENS, width], &device), dtype));
        let caption = Caption { key_value: &key_value, bias: None };
        self.forward(Tokens::all(x), caption, Tensor::zeros([1, 6, width], &device))
    }

    /// Keys and values of a projected caption `[B, S, D]`: once per prompt, for they do not depend on the timestep. Its type is what
    /// the block's kernels hand on.
    pub fn caption(&self, caption: Tensor<3>) -> KeyValue {
        self.attn2.key_value(caption)
    }

    /// Keys and values that the tokens `x` `[B, S, D]` have in this block's self-attention.
    pub fn self_key_value(&self, x: Tensor<3>, modulation: Tensor<3>, dtype: DType) -> KeyValue {
        let table = self.scale_shift_table.val().unsqueeze::<3>() + modulation; // [B, 6, D]
        let [shift, scale] = [0, 1].map(|row| ModulationRow { table: table.clone(), row });
        self.attn1.key_value(modulated_layer_norm(x, None, shift, scale, dtype))
    }

    /// `tokens` after the block, `[B, N, D]`: the selected ones where some are, with the others as they were.
    ///
    /// `modulation` `[B, 6, D]` is the step's modulation.
    pub fn forward(&self, tokens: Tokens, caption: Caption, modulation: Tensor<3>) -> Tensor<3> {
        self.forward_among(tokens, None, caption, modulation).0
    }

    /// As [`Block::forward`], where the tokens also attend to `others` that do not run themselves; and their own keys and values.
    pub fn forward_among(
        &self,
        tokens: Tokens,
        others: Option<&KeyValue>,
        caption: Caption,
        modulation: Tensor<3>,
    ) -> (Tensor<3>, KeyValue) {
        let table = self.scale_shift_table.val().unsqueeze::<3>() + modulation; // [B, 6, D]
        let [shift_attn, scale_attn, gate_attn, shift_mlp, scale_mlp, gate_mlp] =
            core::array::from_fn(|row| ModulationRow { table: table.clone(), row });

        let Tokens { all, selected, weight, grid } = tokens;
        let dtype = caption.dtype();
        let h = modulated_layer_norm(all.clone(), selected.as_ref(), shift_attn, scale_attn, dtype); // [B, k, D]
        let residual = Residual::new(all.clone()).gated(gate_attn);
        let residual = match &selected {
            Some(selected) => residual.indexed(TokenIndexing::Gather(selected.clone())),
            None => residual,
        };
        let (x, own) = self.attn1.forward_self(h, grid, others, residual); // [B, k, D]
        let x = self.attn2.forward(x.clone(), caption.key_value.clone(), caption.bias, Residual::new(x)); // [B, k, D]

        let x = self.ff.forward(FeedForwardInput {
            x,
            shift: shift_mlp,
            scale: scale_mlp,
            gate: gate_mlp,
            scatter: selected.map(|selected| (selected, all)),
            weight,
            dtype,
        }); // [B, k, D], or [B, N, D] where tokens are selected
        (x, own)
    }
}
