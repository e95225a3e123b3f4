//! PixArt transformer: latents, a timestep and a caption become the network's prediction.

use core::cell::OnceCell;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::adapter::Adapter;
use super::attention::{KeyValue, MASKED};
use super::block::Caption;
use super::embed::{CaptionProjection, Modulation, TimestepModulation, position_table};
use super::layer::{Keep, Layer, LayerInput, Routed};
use super::linear::Linear;
use super::norm::modulated_layer_norm;
use super::ratios::tokens;
use crate::bundle::Scope;
use crate::bundle::config::TransformerConfig;
use crate::error::{Error, Result};
use crate::kernels::cast::{block_dtype, cast};
use crate::kernels::residual::{ModulationRow, Residual};
use crate::kernels::weight::param;

/// Pixels of an image along a latent cell, as alpha's size conditions count them.
const SIZE_CONDITION_SCALE: usize = 8;

#[derive(Module, Debug)]
pub struct Transformer {
    patch_embed: Linear,
    modulation: TimestepModulation,
    caption_projection: CaptionProjection,
    layers: Vec<Layer>,
    /// `[2, D]`: shift and scale of the last norm.
    scale_shift_table: Param<Tensor<2>>,
    proj_out: Linear,
    #[module(skip)]
    config: TransformerConfig,
}

/// A batch of captions as every layer reads them: computed once per prompt.
#[derive(Debug, Clone)]
pub struct Captions {
    layers: Vec<KeyValue>,
    bias: Option<Tensor<4>>,
    /// The position table of the run's first step.
    positions: OnceCell<Positions>,
}

impl Captions {
    /// What layer `i` reads.
    ///
    /// # Panics
    /// Where the model has no such layer.
    pub fn layer(&self, i: usize) -> Caption<'_> {
        Caption { key_value: &self.layers[i], bias: self.bias.as_ref() }
    }
}

/// What enters the layers.
#[derive(Debug, Clone)]
pub struct Entered {
    /// The tokens `[B, N, D]`.
    pub x: Tensor<3>,
    /// Of the step.
    pub modulation: Modulation,
}

/// Where the tokens of a grid are.
#[derive(Debug, Clone)]
struct Positions {
    grid: [usize; 2],
    /// `[1, N, D]`.
    table: Tensor<3>,
}

/// How the layers of one step route.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRouting {
    /// Keep ratio of every layer.
    pub keep: Vec<f64>,
    /// What the scores are multiplied by (`scoreGain`).
    pub gain: f64,
}

/// How many tokens each layer of a step takes: those that [`StepRouting`] says, or all.
pub(super) struct Rule<'a> {
    ratios: &'a [f64],
    pub gain: f64,
}

impl<'a> Rule<'a> {
    pub fn new(model: &Transformer, routing: Option<&'a StepRouting>) -> Result<Self> {
        let (ratios, gain) = routing.map_or((&[][..], 1.0), |r| (&r.keep[..], r.gain));
        let layers = model.layers.len();
        if !ratios.is_empty() && ratios.len() != layers {
            return Err(Error::input("keep", format!("{} ratios for {layers} layers", ratios.len())));
        }
        Ok(Self { ratios, gain })
    }

    /// Of `n` tokens, those that layer `i` takes.
    pub fn keep(&self, i: usize, n: usize) -> Keep {
        Keep { k: self.ratios.get(i).map_or(n, |&ratio| tokens(ratio, n)), gain: self.gain }
    }
}

impl Transformer {
    pub fn load(scope: &mut Scope, config: &TransformerConfig) -> Result<Self> {
        let (width, patch) = (config.width(), config.patch_size);
        let patch_values = config.in_channels * patch * patch;
        let adapter = Adapter::load(&mut scope.enter("pos_embed.proj"), patch_values, width)?;
        let weight = scope.take("pos_embed.proj.weight", [width, config.in_channels, patch, patch])?;
        let bias = scope.take("pos_embed.proj.bias", [width])?;
        let layers = (0..config.layers)
            .map(|i| Layer::load(&mut scope.enter(format_args!("transformer_blocks.{i}")), config, i))
            .collect::<Result<_>>()?;
        Ok(Self {
            patch_embed: Linear::new(weight.reshape([width, patch_values]), Some(bias)).with_adapter(adapter),
            modulation: TimestepModulation::load(&mut scope.enter("adaln_single"), config)?,
            caption_projection: CaptionProjection::load(&mut scope.enter("caption_projection"), config)?,
            layers,
            scale_shift_table: param(scope.take("scale_shift_table", [2, width])?),
            proj_out: Linear::load(&mut scope.enter("proj_out"), width, patch * patch * config.out_channels, true)?,
            config: config.clone(),
        })
    }

    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What makes the modulation of a step.
    pub fn modulation(&self) -> &TimestepModulation {
        &self.modulation
    }

    /// Prepares text states `[B, S, E]`; `lengths` are the captions' real tokens, the rest of a row is padding.
    ///
    /// # Errors
    /// `InvalidInput` where the states' width is not the model's, or a length is 0 or beyond S.
    pub fn captions(&self, states: Tensor<3>, lengths: &[usize]) -> Result<Captions> {
        let [batch, tokens, width] = states.dims();
        if width != self.config.caption_channels {
            let wanted = self.config.caption_channels;
            return Err(Error::input("promptEmbeds", format!("states are {width} wide, the model reads {wanted}")));
        }
        if lengths.len() != batch || lengths.iter().any(|&n| n == 0 || n > tokens) {
            return Err(Error::input(
                "promptEmbeds",
                format!("lengths {lengths:?} do not fit {batch} x {tokens} states"),
            ));
        }
        let longest = lengths.iter().copied().max().unwrap_or(tokens);
        let states = states.narrow(1, 0, longest); // [B, S', E]
        let bias = padding_bias(lengths, longest, &states.device());
        let caption = self.caption_projection.forward(states); // [B, S', D]
        let caption = cast(caption, block_dtype(self.config.width()));
        let layers = self.layers.iter().map(|l| l.block.caption(caption.clone())).collect();
        Ok(Captions { layers, bias, positions: OnceCell::new() })
    }

    /// Whether the layers have routers.
    pub fn is_routed(&self) -> bool {
        self.layers.iter().any(|l| l.router.is_some())
    }

    /// The network's output `[B, out, H, W]` for `latents` `[B, C, H, W]` at `timesteps` `[B]` (0 … 999).
    ///
    /// `routing` is read by layers with a router; without it they keep every token. The second value is what they chose, by
    /// layer.
    ///
    /// # Errors
    /// `InvalidInput` where H or W is no multiple of the patch size, or the channels, the batch or the ratios do not fit.
    pub fn forward(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        captions: &Captions,
        routing: Option<&StepRouting>,
    ) -> Result<(Tensor<4>, Vec<Option<Routed>>)> {
        let rule = Rule::new(self, routing)?;
        let mut routed = Vec::with_capacity(self.layers.len());
        let output = self.forward_with(latents, timesteps, captions, |i, layer, input| {
            let keep = rule.keep(i, input.x.dims()[1]);
            let (x, choice) = layer.forward(input, keep);
            routed.push(choice);
            x
        })?;
        Ok((output, routed))
    }

    /// As [`Transformer::forward`], with layer `i` run by `run(i, layer, input)`: tokens `[B, N, D]` to the same.
    pub fn forward_with(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        captions: &Captions,
        mut run: impl FnMut(usize, &Layer, LayerInput) -> Tensor<3>,
    ) -> Result<Tensor<4>> {
        let [_, _, height, width] = latents.dims();
        let Entered { mut x, modulation } = self.enter(latents, timesteps, captions)?; // [B, N, D]
        let grid = Some([height, width].map(|side| side / self.config.patch_size));
        for (i, layer) in self.layers.iter().enumerate() {
            let input = LayerInput { x, caption: captions.layer(i), modulation: modulation.blocks.clone(), grid };
            x = run(i, layer, input); // [B, N, D]
        }
        Ok(self.leave(x, modulation.embedded, [height, width]))
    }

    /// What the first layer reads.
    ///
    /// # Errors
    /// As [`Transformer::forward`].
    pub fn enter(&self, latents: Tensor<4>, timesteps: &[f32], captions: &Captions) -> Result<Entered> {
        self.check(&latents, timesteps)?;
        let [_, _, height, width] = latents.dims();
        let pixels = (height * SIZE_CONDITION_SCALE, width * SIZE_CONDITION_SCALE);
        let modulation = self.modulation.forward(timesteps, pixels, &latents.device());
        Ok(Entered { x: self.embed(latents, captions), modulation })
    }

    /// The network's output `[B, out, H, W]` of the tokens `x` `[B, N, D]` after the last layer; `embedded` `[B, 1, D]` is the step's.
    pub fn leave(&self, x: Tensor<3>, embedded: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<4> {
        let table = self.scale_shift_table.val().unsqueeze::<3>() + embedded; // [B, 2, D]
        let [shift, scale] = [0, 1].map(|row| ModulationRow { table: table.clone(), row });
        let x = modulated_layer_norm(x, None, shift, scale, DType::F32);
        self.unpatchify(self.proj_out.forward(x), height, width)
    }

    fn check(&self, latents: &Tensor<4>, timesteps: &[f32]) -> Result<()> {
        let [batch, channels, height, width] = latents.dims();
        let (patch, wanted) = (self.config.patch_size, self.config.in_channels);
        if channels != wanted {
            return Err(Error::input("latents", format!("{channels} channels, the model reads {wanted}")));
        }
        if height == 0 || width == 0 || height % patch != 0 || width % patch != 0 {
            return Err(Error::input("latents", format!("{height} x {width} is not a multiple of the patch {patch}")));
        }
        let scale = self.config.kv_compression.as_ref().map_or(1, |c| c.scale);
        if height.min(width) / patch < scale {
            return Err(Error::input(
                "latents",
                format!("{height} x {width} is too small for keys and values of {scale} x {scale} tokens"),
            ));
        }
        if timesteps.len() != batch {
            return Err(Error::input("timestep", format!("{} values for a batch of {batch}", timesteps.len())));
        }
        Ok(())
    }

    /// Tokens of the latents, row-major, with their positions.
    fn embed(&self, latents: Tensor<4>, captions: &Captions) -> Tensor<3> {
        let [b, c, height, width] = latents.dims();
        let p = self.config.patch_size;
        let (gh, gw) = (height / p, width / p);
        let compute = || position_table(&self.config, gh, gw, &latents.device()); // [1, N, D]
        let known = captions.positions.get_or_init(|| Positions { grid: [gh, gw], table: compute() });
        let positions = if known.grid == [gh, gw] { known.table.clone() } else { compute() };
        let patches = latents
            .reshape([b, c, gh, p, gw, p])
            .permute([0, 2, 4, 1, 3, 5]) // [B, gh, gw, C, p, p]
            .reshape([b, gh * gw, c * p * p]);
        self.patch_embed.forward_residual(patches, Residual::new(positions)) // [B, N, D]
    }

    /// `[B, N, p·p·out]` to `[B, out, H, W]`.
    fn unpatchify(&self, x: Tensor<3>, height: usize, width: usize) -> Tensor<4> {
        let (p, c) = (self.config.patch_size, self.config.out_channels);
        let b = x.dims()[0];
        x.reshape([b, height / p, width / p, p, p, c])
            .permute([0, 5, 1, 3, 2, 4]) // [B, out, gh, p, gw, p]
            .reshape([b, c, height, width])
    }
}

/// `[B, 1, 1, S]` with [`MASKED`] at padded places; none where nothing is padded.
fn padding_bias(lengths: &[usize], tokens: usize, device: &Device) -> Option<Tensor<4>> {
    if lengths.iter().all(|&n| n == tokens) {
        return None;
    }
    let data = lengths.iter().flat_map(|&n| (0..tokens).map(move |i| if i < n { 0.0 } else { MASKED })).collect();
    Some(Tensor::from_data(TensorData::new(data, [lengths.len(), 1, 1, tokens]), device))
}
