//! A transformer layer: the block on all tokens, or on those that the layer's router picks.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::attention::KeyValue;
use super::block::{Block, Caption, Tokens};
use crate::bundle::config::TransformerConfig;
use super::router::{Router, Selection};
use crate::bundle::Scope;
use crate::error::Result;
#[cfg(feature = "webgpu")]
use crate::kernels::webgpu;

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

impl Layer {
    pub fn load(scope: &mut Scope, config: &TransformerConfig) -> Result<Self> {
        let router = match scope.has("router.weight") {
            true => Some(Router::load(&mut scope.enter("router"), config.width())?),
            false => None,
        };
        Ok(Self { block: Block::load(scope, config)?, router })
    }

    /// `x` `[B, N, D]` after the layer. With a router the `k` best tokens run the block among themselves, their MLP branch times
    /// `gain · score`; the others keep their values.
    pub fn forward(
        &self,
        x: Tensor<3>,
        caption: Caption,
        six: Tensor<3>,
        k: usize,
        gain: f64,
    ) -> (Tensor<3>, Option<Routed>) {
        self.forward_among(x, None, caption, six, k, gain)
    }

    /// As [`Layer::forward`], where the tokens also attend to `others` that do not run themselves.
    pub fn forward_among(
        &self,
        x: Tensor<3>,
        others: Option<&KeyValue>,
        caption: Caption,
        six: Tensor<3>,
        k: usize,
        gain: f64,
    ) -> (Tensor<3>, Option<Routed>) {
        let Some(router) = &self.router else {
            return (self.block.forward_among(Tokens::all(x), others, caption, six).0, None);
        };
        #[cfg(feature = "webgpu")]
        if webgpu::runs(&x) {
            let webgpu::Selected { index, score, slots } = router.select(x.clone(), k, gain);
            let tokens = Tokens { all: x, slots: Some(slots), weight: None };
            let (x, _) = self.block.forward_among(tokens, others, caption, six); // [B, N, D]
            return (x, Some(Routed { index, score }));
        }
        let score = router.score(x.clone()); // [B, N]
        let (x, index) = self.forward_best(x, score.clone(), others, caption, six, k, gain); // [B, N, D]
        (x, Some(Routed { index, score }))
    }

    /// The routed layer on scores `[B, N]` that are there already: `x` after it, and the indices `[B, k]` of the kept tokens.
    pub fn forward_best(
        &self,
        x: Tensor<3>,
        score: Tensor<2>,
        others: Option<&KeyValue>,
        caption: Caption,
        six: Tensor<3>,
        k: usize,
        gain: f64,
    ) -> (Tensor<3>, Tensor<2, Int>) {
        let selection = Selection::top(score.clone(), k);
        let kept = selection.gather(x.clone()); // [B, k, D]
        let weight = selection.gather_scores(score).unsqueeze_dim::<3>(2) * gain; // [B, k, 1]
        let kept = Tokens { all: kept, slots: None, weight: Some(weight) };
        let (tokens, _) = self.block.forward_among(kept, others, caption, six); // [B, k, D]
        (selection.merge(x, tokens), selection.index) // [B, N, D]
    }
}
