//! Steps on a part of the tokens: the active ones run, the others are attended to with the keys and values of an earlier full step.
//!
//! Inpainting replaces the latents of known regions after every step, so what the network makes of their tokens is thrown away; all
//! they are needed for is what others see of them in self-attention. That changes little from one step to the next. So a
//! full step ([`Transformer::forward_caching`]) caches every layer's keys and values of the other tokens, and the steps after
//! it ([`Transformer::forward_active`]) run the active tokens alone, attending to themselves and to what is cached:
//!
//! ```text
//! full     all tokens ─────────────────────────────────> layer ──> …      14 N D² and 2 N² D products a layer
//!                      └─ the others ─> keys, values ┐
//! active   active ones ──────────────────────────────> layer ──> …         14 A D² and 2 A N D
//! ```
//!
//! In a routed model the others are forced to bypass, as if their scores were −∞, and their best by the layer's share (`keep`) are
//! cached. All active tokens run: a hole is where the picture is made, and a router that compares its tokens with the whole
//! picture's keeps more than its share of them.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::attention::KeyValue;
use super::block::Tokens;
use super::layer::{Keep, LayerInput};
use super::router::Selection;
use super::transformer::{Captions, Rule, StepRouting, Transformer};
use crate::error::{Error, Result};

/// The tokens of a grid that run, and where they go. The same for every image of a batch.
#[derive(Debug, Clone)]
pub struct ActiveTokens {
    /// Those that run, ascending: `[A]`.
    active: Tensor<1, Int>,
    /// The others: `[N − A]`.
    others: Tensor<1, Int>,
    /// Where a token of the grid stands among the active ones (0 for the others): `[N]`.
    place: Tensor<1, Int>,
}

/// Keys and values of the tokens that do not run, layer by layer: empty before the first full step, which leaves nothing to attend to.
#[derive(Debug, Clone, Default)]
pub struct KeyValueCache {
    layers: Vec<KeyValue>,
}

impl ActiveTokens {
    /// `None` where all tokens are active, or none is.
    pub fn new(is_active: &[bool], device: &Device) -> Option<Self> {
        let indices = |wanted: bool| {
            let chosen = is_active.iter().enumerate().filter(move |(_, f)| **f == wanted);
            chosen.map(|(i, _)| i as i32).collect::<Vec<i32>>()
        };
        let (active, others) = (indices(true), indices(false));
        if active.is_empty() || others.is_empty() {
            return None;
        }
        let place = is_active.iter().scan(0, |next, f| {
            let place = if *f { *next } else { 0 };
            *next += i32::from(*f);
            Some(place)
        });
        let tensor = |values: Vec<i32>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        Some(Self { place: tensor(place.collect()), active: tensor(active), others: tensor(others) })
    }

    /// Tokens that run.
    pub fn active(&self) -> usize {
        self.active.dims()[0]
    }

    /// Tokens that do not.
    pub fn others(&self) -> usize {
        self.others.dims()[0]
    }
}

/// What the network is asked in a step.
#[derive(Debug, Clone)]
pub struct StepInput<'a> {
    /// `[B, C, H, W]`.
    pub latents: Tensor<4>,
    /// `[B]`, 0 … 999.
    pub timesteps: &'a [f32],
    pub captions: &'a Captions,
    pub routing: Option<&'a StepRouting>,
}

impl Transformer {
    /// [`Transformer::forward`], caching what the steps that follow attend to of the tokens that are not `active`.
    ///
    /// # Errors
    /// As [`Transformer::forward`].
    pub fn forward_caching(
        &self,
        step: StepInput,
        active: &ActiveTokens,
        cache: &mut KeyValueCache,
    ) -> Result<Tensor<4>> {
        let StepInput { latents, timesteps, captions, routing } = step;
        let rule = Rule::new(self, routing)?;
        self.check_active()?;
        cache.layers.clear();
        self.forward_with(latents, timesteps, captions, |i, layer, input| {
            let Some(router) = &layer.router else {
                let LayerInput { x, caption, modulation, .. } = input;
                let (x, own) = layer.block.forward_among(Tokens::all(x), None, caption, modulation);
                cache.layers.push(own.of(&active.others));
                return x;
            };
            let others = input.x.clone().select(1, active.others.clone()); // [B, N − A, D]
            let keep = rule.keep(i, others.dims()[1]);
            let best = Selection::top(router.score(others.clone()), keep.k).gather(others); // [B, k, D]
            let dtype = input.caption.dtype();
            cache.layers.push(layer.block.self_key_value(best, input.modulation.clone(), dtype));
            let keep = rule.keep(i, input.x.dims()[1]);
            layer.forward(input, keep).0
        })
    }

    /// Compressed keys and values are those of squares of the whole grid.
    fn check_active(&self) -> Result<()> {
        match self.config().kv_compression {
            None => Ok(()),
            Some(_) => Err(Error::input("maskAware", "a model with KV compression runs all tokens at every step")),
        }
    }

    /// The network's output where tokens are `active`; elsewhere it is meaningless, but finite.
    ///
    /// # Errors
    /// As [`Transformer::forward`].
    pub fn forward_active(&self, step: StepInput, active: &ActiveTokens, cache: &KeyValueCache) -> Result<Tensor<4>> {
        let StepInput { latents, timesteps, captions, routing } = step;
        let rule = Rule::new(self, routing)?;
        self.check_active()?;
        let last = self.config().layers - 1;
        self.forward_with(latents, timesteps, captions, |i, layer, input| {
            let LayerInput { x, caption, modulation, .. } = input;
            let x = if i == 0 { x.select(1, active.active.clone()) } else { x }; // [B, A, D]
            let keep = Keep { k: x.dims()[1], gain: rule.gain };
            let input = LayerInput { x, caption, modulation, grid: None };
            let (x, _) = layer.forward_among(input, cache.layers.get(i), keep); // [B, A, D]
            if i == last { x.select(1, active.place.clone()) } else { x } // [B, N, D] at last
        })
    }
}
