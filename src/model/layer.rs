//! A transformer layer: the block on all tokens, or on those that the layer's router picks.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::attention::KeyValue;
use super::block::{Block, Caption, Tokens};
use super::router::{Router, Selection};
use crate::bundle::Scope;
use crate::bundle::config::TransformerConfig;
use crate::error::Result;
use crate::kernels::select::Selected;

/// A block with its router; a layer without one is dense.
#[derive(Module, Debug)]
pub struct Layer {
    pub block: Block,
    pub router: Option<Router>,
}

/// What a routed layer chose.
#[derive(Debug, Clone)]
pub struct Routed {
    /// Kept tokens, ascending: `[B, k]`.
    pub index: Tensor<2, Int>,
    /// The router's scores of all tokens: `[B, N]`.
    pub score: Tensor<2>,
}

/// What a layer works on in a step.
#[derive(Debug, Clone)]
pub struct LayerInput<'a> {
    /// `[B, N, D]`.
    pub x: Tensor<3>,
    pub caption: Caption<'a>,
    /// Of the step: `[B, 6, D]`.
    pub modulation: Tensor<3>,
    /// Rows and columns of the tokens, where they are all of a picture.
    pub grid: Option<[usize; 2]>,
}

/// How many tokens a routed layer takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keep {
    /// 1 ≤ k ≤ N.
    pub k: usize,
    /// What scores are multiplied by to be the weights of the MLP branch.
    pub gain: f64,
}

impl Layer {
    /// Layer `index` of a transformer.
    pub fn load(scope: &mut Scope, config: &TransformerConfig, index: usize) -> Result<Self> {
        let router = match scope.has("router.weight") {
            true => Some(Router::load(&mut scope.enter("router"), config.width())?),
            false => None,
        };
        Ok(Self { block: Block::load(scope, config, index)?, router })
    }

    /// The tokens `[B, N, D]` after the layer. With a router the best run the block among themselves, their MLP branch times
    /// `gain · score`; the others keep their values.
    pub fn forward(&self, input: LayerInput, keep: Keep) -> (Tensor<3>, Option<Routed>) {
        self.forward_among(input, None, keep)
    }

    /// As [`Layer::forward`], where the tokens also attend to `others` that do not run themselves.
    pub fn forward_among(
        &self,
        input: LayerInput,
        others: Option<&KeyValue>,
        keep: Keep,
    ) -> (Tensor<3>, Option<Routed>) {
        let Some(router) = &self.router else {
            let LayerInput { x, caption, modulation, grid } = input;
            let tokens = Tokens { grid, ..Tokens::all(x) };
            return (self.block.forward_among(tokens, others, caption, modulation).0, None);
        };
        if let Some(Selected { index, score, tokens }) = router.select(&input.x, keep.k, keep.gain) {
            let LayerInput { x, caption, modulation, .. } = input;
            let tokens = Tokens { selected: Some(tokens), ..Tokens::all(x) };
            let (x, _) = self.block.forward_among(tokens, others, caption, modulation); // [B, N, D]
            return (x, Some(Routed { index, score }));
        }
        let score = router.score(input.x.clone()); // [B, N]
        let (x, index) = self.forward_best(input, score.clone(), others, keep); // [B, N, D]
        (x, Some(Routed { index, score }))
    }

    /// The routed layer on scores `[B, N]` that are there already: the tokens after it, and the indices `[B, k]` of the kept ones.
    pub fn forward_best(
        &self,
        input: LayerInput,
        score: Tensor<2>,
        others: Option<&KeyValue>,
        keep: Keep,
    ) -> (Tensor<3>, Tensor<2, Int>) {
        let LayerInput { x, caption, modulation, .. } = input;
        let selection = Selection::top(score.clone(), keep.k);
        let kept = selection.gather(x.clone()); // [B, k, D]
        let weight = selection.gather_scores(score).unsqueeze_dim::<3>(2) * keep.gain; // [B, k, 1]
        let kept = Tokens { weight: Some(weight), ..Tokens::all(kept) };
        let (tokens, _) = self.block.forward_among(kept, others, caption, modulation); // [B, k, D]
        (selection.merge(x, tokens), selection.index) // [B, N, D]
    }
}
