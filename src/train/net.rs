//! The network of a step: text encoder, transformer and ratios as one graph over the trained parameters, and its loss.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::encoding::Encoding;
use super::frozen::Frozen;
use super::lora;
use super::noise::{Caption, MicroBatch, Noisy};
use super::parameters::{Leaves, Parameters};
use super::rounding::Rounding;
use super::soft_ratio::SoftRatios;
use super::vlb::{Bound, Posterior};
use crate::bundle::Weights;
use crate::bundle::manifest::Parts;
use crate::device::is_host;
use crate::error::{Error, Result};
use crate::model::attention::MASKED;
use crate::model::layer::{Keep, Layer, LayerInput};
use crate::model::text_encoder::TextLayers;
use crate::model::transformer::{Captions, Transformer};

/// Name of the learned table among the parameters: `[regions, layers]`.
pub const RATIO: &str = "ratio";
const EMBEDDING: &str = "text_encoder.shared.weight";

/// What stays the same through a stage.
#[derive(Debug, Clone)]
pub struct Frame {
    pub parts: Parts,
    /// Tensors that are not trained.
    pub frozen: Frozen,
    /// What the product of an adapter's factors is multiplied by.
    pub lora_scale: f64,
    pub routing: Option<Routing>,
    pub rounding: Option<Rounding>,
    /// What makes latents of pictures.
    pub encoding: Encoding,
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
    /// None where captions come as states.
    text: Option<Text>,
    transformer: Transformer,
    ratios: Option<SoftRatios>,
    leaves: Leaves,
    device: Device,
}

/// The text encoder.
#[derive(Debug)]
struct Text {
    /// `[vocabulary, E]`.
    embedding: Tensor<2>,
    layers: TextLayers,
}

/// The losses of a micro-batch as parts of the step's: their sums over all micro-batches are the step's losses.
#[derive(Debug, Clone)]
pub struct Losses {
    pub denoise: Tensor<1>,
    /// Of the variance, where it learns.
    pub vlb: Option<Tensor<1>>,
    pub ratio: Option<Tensor<1>>,
}

impl Losses {
    /// What is minimized, where the ratios' loss weighs `lambda`.
    pub fn total(&self, lambda: f64) -> Tensor<1> {
        let others = [self.vlb.clone(), self.ratio.clone().map(|ratio| ratio * lambda)];
        others.into_iter().flatten().fold(self.denoise.clone(), |sum, other| sum + other)
    }
}

/// What a step's losses are measured against, beside its micro-batches.
#[derive(Debug, Clone, Copy)]
pub struct Goal<'a> {
    /// Pictures of the step.
    pub total: usize,
    /// Mean keep ratio asked for.
    pub target: f64,
    /// What a learned variance costs, where it learns.
    pub bound: Option<&'a Bound>,
}

impl Net {
    /// # Errors
    /// `ModelInvalid` naming a tensor that is missing, unknown or misshapen.
    pub fn new(frame: &Frame, trained: &Parameters, device: &Device) -> Result<Self> {
        let config = &frame.parts.transformer;
        let leaves = trained.leaves(device);
        let mut weights = Weights::new(device);
        frame.frozen.insert_into(&mut weights, device);
        trained.insert_into(&mut weights, &leaves, |name| name != RATIO);
        lora::scale(&mut weights, trained, &leaves, frame.lora_scale);
        let text = frame.parts.text_encoder.as_ref().map(|text| {
            let embedding = weights.scope("text_encoder").take("shared.weight", [text.vocab_size, text.d_model])?;
            let layers = TextLayers::load(&mut weights.scope("text_encoder").enter("encoder"), text)?;
            Ok(Text { embedding, layers })
        });
        let text = text.transpose()?;
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
        Ok(Self { text, transformer, ratios, leaves, device: device.clone() })
    }

    /// The leaves of the graph.
    pub fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// States `[b, S, E]` of captions, padded to the longest, and their lengths.
    ///
    /// # Errors
    /// `InvalidInput` where a caption is empty, outside the vocabulary, or of another kind than the others.
    pub fn encode(&self, captions: &[Caption]) -> Result<(Tensor<3>, Vec<usize>)> {
        let ids: Vec<&[u32]> =
            captions.iter().filter_map(|c| if let Caption::Ids(ids) = c { Some(&ids[..]) } else { None }).collect();
        let states: Vec<&[f32]> =
            captions.iter().filter_map(|c| if let Caption::States(s) = c { Some(&s[..]) } else { None }).collect();
        match &self.text {
            Some(text) if ids.len() == captions.len() => text.encode(&ids, &self.device),
            _ if states.len() == captions.len() => self.pad(&states),
            _ => Err(Error::input("captions", "the model has no text encoder for them")),
        }
    }

    /// States `[tokens, E]` of several captions as one tensor.
    fn pad(&self, states: &[&[f32]]) -> Result<(Tensor<3>, Vec<usize>)> {
        let width = self.transformer.config().caption_channels;
        if states.iter().any(|s| s.is_empty() || s.len() % width != 0) {
            return Err(Error::input("captions", format!("the states of one are not {width} wide")));
        }
        let lengths: Vec<usize> = states.iter().map(|s| s.len() / width).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut padded = Vec::with_capacity(states.len() * longest * width);
        for row in states {
            padded.extend_from_slice(row);
            padded.resize(padded.len() + longest * width - row.len(), 0.0);
        }
        let padded = TensorData::new(padded, [states.len(), longest, width]);
        Ok((Tensor::from_data(padded, &self.device), lengths))
    }

    /// The losses of a micro-batch of a step.
    ///
    /// # Errors
    /// `InvalidInput` where the micro-batch does not fit the network.
    pub fn losses(&self, batch: &MicroBatch, noisy: Noisy, frame: &Frame, goal: Goal) -> Result<Losses> {
        let captions = self.captions(batch)?;
        let seen = self.latents(batch, &noisy, frame);
        let output = self.transformer.forward_with(seen, &timesteps(batch), &captions, |i, layer, input| {
            self.layer(frame, batch.region, i, layer, input)
        })?; // [b, out, size, size]
        Ok(self.compare(output, batch, noisy, frame, goal))
    }

    pub fn transformer(&self) -> &Transformer {
        &self.transformer
    }

    /// The same ratios, and layers as `transformer` has them, without a graph.
    pub fn plain(&self) -> Plain {
        Plain { transformer: self.transformer.valid(), ratios: self.ratios.as_ref().map(SoftRatios::plain) }
    }

    /// Captions as every layer reads them.
    pub fn captions(&self, batch: &MicroBatch) -> Result<Captions> {
        let (states, lengths) = self.encode(&batch.captions)?;
        self.transformer.captions(states, &lengths)
    }

    /// What the transformer sees of a micro-batch: `[b, C, size, size]`.
    pub fn latents(&self, batch: &MicroBatch, noisy: &Noisy, frame: &Frame) -> Tensor<4> {
        let channels = frame.parts.transformer.in_channels;
        let shape = [batch.timesteps.len(), channels, batch.size, batch.size];
        Tensor::from_data(TensorData::new(noisy.latents.clone(), shape), &self.device)
    }

    /// Layer `i` at the ratio of its region.
    pub fn layer(&self, frame: &Frame, region: usize, i: usize, layer: &Layer, input: LayerInput) -> Tensor<3> {
        run_layer(self.ratios.as_ref(), frame, region, i, layer, input)
    }

    /// The losses of the network's `output` `[b, out, size, size]`.
    pub fn compare(&self, output: Tensor<4>, batch: &MicroBatch, noisy: Noisy, frame: &Frame, goal: Goal) -> Losses {
        let Goal { total, target, bound } = goal;
        let (b, size, drawn) = (batch.timesteps.len(), batch.size, batch.channels);
        let shape = [b, drawn, size, size];
        let share = b as f64 / total as f64;
        let vlb = bound.map(|bound| {
            let clean = Tensor::<4>::from_data(TensorData::new(batch.images.clone(), shape), &self.device);
            let seen = self.latents(batch, &noisy, frame).narrow(1, 0, drawn);
            let (prediction, timesteps) = (frame.parts.scheduler.prediction, &batch.timesteps[..]);
            bound.of(Posterior { output: output.clone(), prediction, clean, noisy: seen, timesteps }).mean() * share
        });
        let target_values = Tensor::<4>::from_data(TensorData::new(noisy.target, shape), &self.device);
        let difference = output.narrow(1, 0, drawn) - target_values;
        let weights = Tensor::<1>::from_data(TensorData::new(noisy.weights, [b]), &self.device).reshape([b, 1, 1, 1]);
        let values = (total * drawn * size * size) as f64;
        let mut error = difference.clone() * difference * weights;
        if !noisy.emphasis.is_empty() {
            error = error * Tensor::from_data(TensorData::new(noisy.emphasis, [b, 1, size, size]), &self.device);
        }
        let denoise = error.sum() / values; // [1]
        Losses { denoise, vlb, ratio: self.ratios.as_ref().map(|r| r.loss(target) * share) }
    }
}

/// The layers of a network and its ratios, without a graph.
#[derive(Debug)]
pub struct Plain {
    transformer: Transformer,
    ratios: Option<SoftRatios>,
}

impl Plain {
    /// Layer `i` at the ratio of its region.
    pub fn layer(&self, frame: &Frame, region: usize, i: usize, input: LayerInput) -> Tensor<3> {
        run_layer(self.ratios.as_ref(), frame, region, i, &self.transformer.layers()[i], input)
    }
}

fn run_layer(
    ratios: Option<&SoftRatios>,
    frame: &Frame,
    region: usize,
    i: usize,
    layer: &Layer,
    input: LayerInput,
) -> Tensor<3> {
    let n = input.x.dims()[1];
    match (ratios, &frame.routing) {
        (Some(ratios), _) => ratios.forward(region, i, layer, input),
        (None, Some(r)) => {
            let k = crate::model::ratios::tokens(r.uniform.unwrap_or(1.0), n);
            layer.forward(input, Keep { k, gain: r.gain }).0
        }
        (None, None) => layer.forward(input, Keep { k: n, gain: 1.0 }).0,
    }
}

/// The timesteps of a micro-batch as the transformer reads them.
pub fn timesteps(batch: &MicroBatch) -> Vec<f32> {
    batch.timesteps.iter().map(|&t| t as f32).collect()
}

impl Text {
    fn encode(&self, ids: &[&[u32]], device: &Device) -> Result<(Tensor<3>, Vec<usize>)> {
        let lengths: Vec<usize> = ids.iter().map(|row| row.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let [rows, width] = self.embedding.dims();
        if lengths.contains(&0) || ids.iter().copied().flatten().any(|&id| id as usize >= rows) {
            return Err(Error::input("captions", "a caption is empty or outside the vocabulary"));
        }
        let (mut flat, mut bias) = (Vec::new(), Vec::new());
        for row in ids {
            flat.extend((0..longest).map(|i| row.get(i).map_or(0, |&id| id as i32)));
            bias.extend((0..longest).map(|i| if i < row.len() { 0.0 } else { MASKED }));
        }
        let flat = Tensor::<1, Int>::from_data(TensorData::new(flat, [ids.len() * longest]), device);
        // A GPU adds the rows of a gradient one after another, and multiplies matrices fast.
        let embedded = match device.is_autodiff() && !is_host(device) {
            true => flat.one_hot::<2>(rows).float().matmul(self.embedding.clone()),
            false => self.embedding.clone().select(0, flat),
        };
        let embedded = embedded.reshape([ids.len(), longest, width]); // [b, S, E]
        let bias = Tensor::from_data(TensorData::new(bias, [ids.len(), 1, 1, longest]), device);
        Ok((self.layers.forward(embedded, Some(bias)), lengths))
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
