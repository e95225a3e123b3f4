//! What enters a PixArt transformer beside the tokens' content: positions, timesteps, sizes and captions.

use burn::module::Module;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor, TensorData};

use super::linear::Linear;
use crate::bundle::Scope;
use crate::bundle::config::TransformerConfig;
use crate::error::Result;

/// Features of a sinusoid that a number is turned into before its MLP.
const SINUSOID: usize = 256;

/// Position table of a `height × width` grid of tokens, `[1, height·width, D]`.
///
/// The first half of the channels is for x, the second for y; each half is `[sin(p ω), cos(p ω)]` with
/// `ω_i = 10000^(−i/(D/4))` and `p = index / (grid / base) / interpolation scale`, `base = sample_size / patch`
/// (`get_2d_sincos_pos_embed` of diffusers).
pub fn position_table(config: &TransformerConfig, height: usize, width: usize, device: &Device) -> Tensor<3> {
    let quarter = config.width() / 4;
    let base = (config.sample_size / config.patch_size) as f64;
    let position = |index: usize, grid: usize| index as f64 / (grid as f64 / base) / config.interpolation_scale;
    let omega: Vec<f64> = (0..quarter).map(|i| libm::pow(10000.0, -(i as f64) / quarter as f64)).collect();
    let mut table = Vec::with_capacity(height * width * config.width());
    for y in 0..height {
        for x in 0..width {
            for p in [position(x, width), position(y, height)] {
                table.extend(omega.iter().map(|w| libm::sin(p * w) as f32));
                table.extend(omega.iter().map(|w| libm::cos(p * w) as f32));
            }
        }
    }
    Tensor::from_data(TensorData::new(table, [1, height * width, config.width()]), device)
}

/// `[cos(v f), sin(v f)]` of every value, `f_i = exp(−ln 10000 · i / 128)`: `[values, 256]`.
///
/// In f32 as PyTorch does it: at large timesteps the rounding of `v f` shows.
fn sinusoid(values: &[f32], device: &Device) -> Tensor<2> {
    let half = SINUSOID / 2;
    let frequency: Vec<f32> = (0..half).map(|i| libm::expf(-(10000f64.ln() as f32) * i as f32 / half as f32)).collect();
    let mut data = Vec::with_capacity(values.len() * SINUSOID);
    for &v in values {
        data.extend(frequency.iter().map(|f| libm::cosf(v * f)));
        data.extend(frequency.iter().map(|f| libm::sinf(v * f)));
    }
    Tensor::from_data(TensorData::new(data, [values.len(), SINUSOID]), device)
}

/// `Linear(SiLU(Linear(sinusoid(v))))`: a number as a vector.
#[derive(Module, Debug)]
struct NumberEmbedding {
    linear_1: Linear,
    linear_2: Linear,
}

impl NumberEmbedding {
    fn load(scope: &mut Scope, width: usize) -> Result<Self> {
        Ok(Self {
            linear_1: Linear::load(&mut scope.enter("linear_1"), SINUSOID, width, true)?,
            linear_2: Linear::load(&mut scope.enter("linear_2"), width, width, true)?,
        })
    }

    /// `[values, width]`.
    fn forward(&self, values: &[f32], device: &Device) -> Tensor<2> {
        self.linear_2.forward(self.linear_1.forward_silu(sinusoid(values, device)))
    }
}

/// adaLN-single: the timestep (and the size, where the model has it) as the modulation that all blocks share.
#[derive(Module, Debug)]
pub struct TimestepModulation {
    timestep: NumberEmbedding,
    size: Option<SizeEmbedding>,
    linear: Linear,
}

/// Alpha at 1024: height, width and their ratio, each a third of the width.
#[derive(Module, Debug)]
struct SizeEmbedding {
    resolution: NumberEmbedding,
    aspect_ratio: NumberEmbedding,
}

/// The modulation of one step.
#[derive(Debug, Clone)]
pub struct Modulation {
    /// `temb` `[B, 1, D]`: what the final layer reads.
    pub embedded: Tensor<3>,
    /// `t6` `[B, 6, D]`: what every block adds to its table.
    pub blocks: Tensor<3>,
}

impl TimestepModulation {
    pub fn load(scope: &mut Scope, config: &TransformerConfig) -> Result<Self> {
        let width = config.width();
        let timestep = NumberEmbedding::load(&mut scope.enter("emb.timestep_embedder"), width)?;
        let size = if config.size_conditions {
            Some(SizeEmbedding {
                resolution: NumberEmbedding::load(&mut scope.enter("emb.resolution_embedder"), width / 3)?,
                aspect_ratio: NumberEmbedding::load(&mut scope.enter("emb.aspect_ratio_embedder"), width / 3)?,
            })
        } else {
            None
        };
        Ok(Self { timestep, size, linear: Linear::load(&mut scope.enter("linear"), width, 6 * width, true)? })
    }

    /// The layer that makes the modulation.
    pub fn linear(&self) -> &Linear {
        &self.linear
    }

    /// `timesteps` `[B]`; `pixels` is the image's (height, width), read only by models with size conditions.
    pub fn forward(&self, timesteps: &[f32], pixels: (usize, usize), device: &Device) -> Modulation {
        let mut temb = self.timestep.forward(timesteps, device); // [B, D]
        let [batch, width] = temb.dims();
        if let Some(size) = &self.size {
            let (height, width) = (pixels.0 as f32, pixels.1 as f32);
            let resolution = size.resolution.forward(&[height, width], device); // [2, D/3]
            let resolution = resolution.reshape([1, -1]); // [1, 2D/3]
            let ratio = size.aspect_ratio.forward(&[height / width], device); // [1, D/3]
            temb = temb + Tensor::cat(vec![resolution, ratio], 1);
        }
        let blocks = self.linear.forward(silu(temb.clone())).reshape([batch, 6, width]); // [B, 6, D]
        Modulation { embedded: temb.unsqueeze_dim(1), blocks }
    }
}

/// `Linear → GELU(tanh) → Linear`: text states to the width of the tokens.
#[derive(Module, Debug)]
pub struct CaptionProjection {
    linear_1: Linear,
    linear_2: Linear,
}

impl CaptionProjection {
    pub fn load(scope: &mut Scope, config: &TransformerConfig) -> Result<Self> {
        let width = config.width();
        Ok(Self {
            linear_1: Linear::load(&mut scope.enter("linear_1"), config.caption_channels, width, true)?,
            linear_2: Linear::load(&mut scope.enter("linear_2"), width, width, true)?,
        })
    }

    /// `[B, S, E]` to `[B, S, D]`.
    pub fn forward(&self, states: Tensor<3>) -> Tensor<3> {
        self.linear_2.forward(self.linear_1.forward_gelu(states))
    }
}
