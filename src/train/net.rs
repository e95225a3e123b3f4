//! The network of a step: text encoder, transformer and ratios as one graph over the trained parameters, and its loss.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::lora;
use super::noise::{MicroBatch, Noisy};
use super::parameters::Parameters;
use super::rounding::Rounding;
use super::soft_ratio::SoftRatios;
use crate::bundle::Weights;
use crate::bundle::manifest::Parts;
use crate::error::{Error, Result};
use crate::model::attention::MASKED;
use crate::model::layer::Keep;
use crate::model::text_encoder::TextLayers;
use crate::model::transformer::Transformer;

/// Name of the learned table among the parameters: `[regions, layers]`.
pub const RATIO: &str = "ratio";
const EMBEDDING: &str = "text_encoder.shared.weight";

/// What stays the same through a stage.
#[derive(Debug, Clone)]
pub struct Frame {
    pub parts: Parts,
    /// Tensors that are not trained.
    pub frozen: Parameters,
    pub routing: Option<Routing>,
    pub rounding: Option<Rounding>,
}

/// How the layers of a training step route.
#[derive(Debug, Clone)]
pub struct Routing {
    /// Descending.
    pub bins: Vec<f64>,
    pub regions: usize,
    pub gain: f64,
    /// The one ratio of all layers, where it is not learned.
    pub uniform: Option<f64>,
    /// Mean keep ratio before the first step.
    pub start: f64,
}

/// The graph over one set of parameters.
#[derive(Debug)]
pub struct Net {
    embedding: Tensor<2>,
    text: TextLayers,
    transformer: Transformer,
    ratios: Option<SoftRatios>,
    leaves: BTreeMap<String, Tensor<1>>,
    device: Device,
}

/// The losses of a micro-batch as parts of the step's: their sums over all micro-batches are the step's losses.
#[derive(Debug, Clone)]
pub struct Losses {
    pub denoise: Tensor<1>,
    pub ratio: Option<Tensor<1>>,
}

impl Net {
    /// # Errors
    /// `ModelInvalid` naming a tensor that is missing, unknown or misshapen.
    pub fn new(frame: &Frame, trained: &Parameters, device: &Device) -> Result<Self> {
        let config = &frame.parts.transformer;
        let text =
            frame.parts.text_encoder.as_ref().ok_or_else(|| Error::model("textEncoder", "the model has none"))?;
        let leaves = trained.leaves(device);
        let mut weights = Weights::new(device);
        for view in trained.views().filter(|v| v.name != RATIO && !v.name.contains(".lora_")) {
            if let Some(leaf) = leaves.get(view.name) {
                weights.insert_tensor(view.name, view.shape, leaf.clone());
            }
        }
        for view in frame.frozen.views() {
            let base = Tensor::from_data(TensorData::new(view.values.to_vec(), [view.values.len()]), device);
            weights.insert_tensor(view.name, view.shape, lora::adapt(base, view.name, view.shape, &leaves)?);
        }
        let embedding = weights.scope("text_encoder").take("shared.weight", [text.vocab_size, text.d_model])?;
        let text = TextLayers::load(&mut weights.scope("text_encoder").enter("encoder"), text)?;
        let transformer = Transformer::load(&mut weights.scope("transformer"), config)?;
        weights.finish()?;

        let learned = leaves.get(RATIO).zip(trained.get(RATIO)).zip(frame.routing.as_ref());
        let ratios = match (learned, &frame.routing) {
            (Some(((leaf, view), r)), _) => {
                let values = view.values.iter().map(|&v| f64::from(v)).collect();
                Some(SoftRatios::new(leaf.clone(), values, config.layers, &r.bins, r.gain)?)
            }
            _ => None,
        };
        Ok(Self { embedding, text, transformer, ratios, leaves, device: device.clone() })
    }

    /// The leaves of the graph.
    pub fn leaves(&self) -> &BTreeMap<String, Tensor<1>> {
        &self.leaves
    }

    /// States `[b, S, E]` of captions, padded to the longest, and their lengths.
    ///
    /// # Errors
    /// `InvalidInput` where a caption has no id, or one outside the vocabulary.
    pub fn encode(&self, ids: &[Vec<u32>]) -> Result<(Tensor<3>, Vec<usize>)> {
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let [rows, width] = self.embedding.dims();
        if lengths.contains(&0) || ids.iter().flatten().any(|&id| id as usize >= rows) {
            return Err(Error::input("captions", "a caption is empty or outside the vocabulary"));
        }
        let (mut flat, mut bias) = (Vec::new(), Vec::new());
        for row in ids {
            flat.extend((0..longest).map(|i| row.get(i).map_or(0, |&id| id as i32)));
            bias.extend((0..longest).map(|i| if i < row.len() { 0.0 } else { MASKED }));
        }
        let flat = Tensor::<1, Int>::from_data(TensorData::new(flat, [ids.len() * longest]), &self.device);
        let embedded = self.embedding.clone().select(0, flat).reshape([ids.len(), longest, width]); // [b, S, E]
        let bias = Tensor::from_data(TensorData::new(bias, [ids.len(), 1, 1, longest]), &self.device);
        Ok((self.text.forward(embedded, Some(bias)), lengths))
    }

    /// The losses of a micro-batch of a step with `total` pictures; `target` is the mean keep ratio asked for.
    pub fn losses(&self, batch: &MicroBatch, noisy: Noisy, frame: &Frame, total: usize, target: f64) -> Result<Losses> {
        let (b, size) = (batch.timesteps.len(), batch.size);
        let shape = [b, 3, size, size];
        let (states, lengths) = self.encode(&batch.ids)?;
        let captions = self.transformer.captions(states, &lengths)?;
        let channels = frame.parts.transformer.in_channels;
        let latents = TensorData::new(noisy.latents, [b, channels, size, size]);
        let latents = Tensor::<4>::from_data(latents, &self.device);
        let timesteps: Vec<f32> = batch.timesteps.iter().map(|&t| t as f32).collect();
        let routing = frame.routing.as_ref();
        let output = self.transformer.forward_with(latents, &timesteps, &captions, |i, layer, input| {
            let n = input.x.dims()[1];
            match (&self.ratios, routing) {
                (Some(ratios), _) => ratios.forward(batch.region, i, layer, input),
                (None, Some(r)) => {
                    let k = crate::model::ratios::tokens(r.uniform.unwrap_or(1.0), n);
                    layer.forward(input, Keep { k, gain: r.gain }).0
                }
                (None, None) => layer.forward(input, Keep { k: n, gain: 1.0 }).0,
            }
        })?; // [b, out, size, size]

        let target_values = Tensor::<4>::from_data(TensorData::new(noisy.target, shape), &self.device);
        let difference = output.narrow(1, 0, 3) - target_values;
        let weights = Tensor::<1>::from_data(TensorData::new(noisy.weights, [b]), &self.device).reshape([b, 1, 1, 1]);
        let values = (total * 3 * size * size) as f64;
        let mut error = difference.clone() * difference * weights;
        if !noisy.emphasis.is_empty() {
            error = error * Tensor::from_data(TensorData::new(noisy.emphasis, [b, 1, size, size]), &self.device);
        }
        let denoise = error.sum() / values; // [1]
        let share = b as f64 / total as f64;
        Ok(Losses { denoise, ratio: self.ratios.as_ref().map(|r| r.loss(target) * share) })
    }
}

/// Whether a tensor is a layer's router.
pub fn is_router(name: &str) -> bool {
    name.ends_with(".router.weight")
}

/// Where the text encoder's table is, for groups that treat it apart.
pub fn is_table(name: &str) -> bool {
    name == EMBEDDING
        || name == RATIO
        || name.ends_with("scale_shift_table")
        || name.ends_with("relative_attention_bias.weight")
}
