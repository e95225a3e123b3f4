//! Steps on a part of the tokens: those in focus run, the others lend the keys and values they had in an earlier full step.
//!
//! Inpainting replaces the latents of known regions after every step, so what the network makes of their tokens is thrown away; all
//! they are needed for is what others see of them in self-attention. That changes little from one step to the next. So a
//! full step ([`Transformer::forward_full`]) remembers every layer's keys and values of the tokens out of focus, and the steps after
//! it ([`Transformer::forward_focused`]) run the tokens in focus alone, attending to themselves and to what is remembered:
//!
//! ```text
//! full     all tokens ──────────────────────────────────> layer ──> …      14 N D² and 2 N² D products a layer
//!                      └─ out of focus ─> keys, values ┐
//! focused  in focus ─────────────────────────────────> layer ──> …         14 A D² and 2 A N D
//! ```
//!
//! In a routed model what is out of focus is forced to bypass, as if its score were −∞, and its best by the layer's share (`keep`) are
//! remembered. All that is in focus runs: a hole is where the picture is made, and a router that compares its tokens with the whole
//! picture's keeps more than its share of them.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::attention::KeyValue;
use super::block::Tokens;
use super::router::Selection;
use super::transformer::{Captions, Rule, StepRouting, Transformer};
use crate::error::Result;

/// The tokens of a grid that run, and where they go. The same for every image of a batch.
#[derive(Debug, Clone)]
pub struct Focus {
    /// In focus, ascending: `[A]`.
    active: Tensor<1, Int>,
    /// The others: `[N − A]`.
    others: Tensor<1, Int>,
    /// Where a token of the grid stands among those in focus (0 for the others): `[N]`.
    place: Tensor<1, Int>,
}

/// What the tokens out of focus lend, layer by layer: empty before the first full step, which leaves nothing to attend to.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    layers: Vec<KeyValue>,
}

impl Focus {
    /// `None` where all tokens are in focus, or none is.
    pub fn new(in_focus: &[bool], device: &Device) -> Option<Self> {
        let indices = |wanted: bool| {
            let chosen = in_focus.iter().enumerate().filter(move |(_, f)| **f == wanted);
            chosen.map(|(i, _)| i as i32).collect::<Vec<i32>>()
        };
        let (active, others) = (indices(true), indices(false));
        if active.is_empty() || others.is_empty() {
            return None;
        }
        let place = in_focus.iter().scan(0, |next, f| {
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

    /// Tokens in focus.
    pub fn active(&self) -> usize {
        self.active.dims()[0]
    }

    /// Tokens out of focus.
    pub fn others(&self) -> usize {
        self.others.dims()[0]
    }
}

impl Transformer {
    /// [`Transformer::forward`], remembering what the tokens out of `focus` lend to the steps that follow.
    ///
    /// # Errors
    /// As [`Transformer::forward`].
    pub fn forward_full(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        captions: &Captions,
        routing: Option<&StepRouting>,
        focus: &Focus,
        memory: &mut Memory,
    ) -> Result<Tensor<4>> {
        let rule = Rule::new(self, routing)?;
        memory.layers.clear();
        self.forward_with(latents, timesteps, captions, |i, layer, x, caption, six| {
            let Some(router) = &layer.router else {
                let (x, own) = layer.block.forward_among(Tokens::all(x), None, caption, six);
                memory.layers.push(own.of(&focus.others));
                return x;
            };
            let others = x.clone().select(1, focus.others.clone()); // [B, N − A, D]
            let k = rule.count(i, others.dims()[1]);
            let best = Selection::top(router.score(others.clone()), k).gather(others); // [B, k, D]
            memory.layers.push(layer.block.lent(best, six.clone(), caption.handed()));
            let k = rule.count(i, x.dims()[1]);
            layer.forward(x, caption, six, k, rule.gain).0
        })
    }

    /// The network's output where tokens are in `focus`; elsewhere it is meaningless, but finite.
    ///
    /// # Errors
    /// As [`Transformer::forward`].
    pub fn forward_focused(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        captions: &Captions,
        routing: Option<&StepRouting>,
        focus: &Focus,
        memory: &Memory,
    ) -> Result<Tensor<4>> {
        let rule = Rule::new(self, routing)?;
        let last = self.config().layers - 1;
        self.forward_with(latents, timesteps, captions, |i, layer, x, caption, six| {
            let x = if i == 0 { x.select(1, focus.active.clone()) } else { x }; // [B, A, D]
            let active = x.dims()[1];
            let (x, _) = layer.forward_among(x, memory.layers.get(i), caption, six, active, rule.gain); // [B, A, D]
            if i == last { x.select(1, focus.place.clone()) } else { x } // [B, N, D] at last
        })
    }
}
