//! `AutoencoderTiny` (TAESD and its relatives): plain convolutions, fast enough for a preview at every step.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::tanh;

use super::checks::{check_image, check_levels, no_encoder};
use crate::bundle::Scope;
use crate::bundle::config::TinyVaeConfig;
use crate::error::{Error, Result};
use crate::model::conv::{Conv2d, Conv2dConfig};

/// `AutoencoderTiny` of any depth. In TAESD all levels are equally wide and there is no pixel-unshuffle; here a convolution between
/// two levels goes from the width of one to that of the other, and squares of `patchSize` pixels may enter and leave as channels.
#[derive(Module, Debug)]
pub struct Tiny {
    encoder: Option<Encoder>,
    decoder: Decoder,
    #[module(skip)]
    config: TinyVaeConfig,
}

/// Stages of a convolution, which halves the size from the second stage on, and blocks; then a convolution.
#[derive(Module, Debug)]
struct Encoder {
    stages: Vec<EncoderStage>,
    conv_out: Conv2d,
}

#[derive(Module, Debug)]
struct EncoderStage {
    conv: Conv2d,
    blocks: Vec<TinyBlock>,
}

/// A convolution; then stages of blocks, an enlargement, which the last stage lacks, and a convolution.
#[derive(Module, Debug)]
struct Decoder {
    conv_in: Conv2d,
    stages: Vec<DecoderStage>,
}

#[derive(Module, Debug)]
struct DecoderStage {
    blocks: Vec<TinyBlock>,
    conv: Conv2d,
}

impl Tiny {
    /// Takes the decoder and, where `config.encoder` says so, the encoder.
    ///
    /// # Errors
    /// `MODEL_INVALID` naming a missing or misshapen tensor, or a setting that describes no network.
    pub fn load(scope: &mut Scope, config: &TinyVaeConfig) -> Result<Self> {
        let decoder = Decoder::load(&mut scope.enter("decoder").enter("layers"), config)?;
        let encoder = if config.encoder {
            Some(Encoder::load(&mut scope.enter("encoder").enter("layers"), config)?)
        } else {
            None
        };
        Ok(Self { encoder, decoder, config: config.clone() })
    }

    pub fn config(&self) -> &TinyVaeConfig {
        &self.config
    }

    /// Image `[B, in, H, W]` in [-1, 1] → latents `[B, latent, H/scale, W/scale]`, not yet multiplied by the scaling
    /// factor, which is 1 in every checkpoint.
    ///
    /// # Errors
    /// `INVALID_INPUT` if the bundle carries no encoder or the image does not fit it.
    pub fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>> {
        check_image(image.dims(), self.config.in_channels, self.config.scale())?;
        let Some(encoder) = &self.encoder else { return Err(no_encoder()) };
        Ok(encoder.forward(pixel_unshuffle((image + 1.0) / 2.0, self.config.patch_size)))
    }

    /// Latents already divided by the scaling factor, `[B, latent, h, w]` → image `[B, out, h·scale, w·scale]`, in
    /// [-1, 1] but for overshoots.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let magnitude = self.config.latent_magnitude;
        let image = self.decoder.forward(tanh(latents / magnitude) * magnitude);
        pixel_shuffle(image, self.config.patch_size) * 2.0 - 1.0
    }

    /// One of the decoder's convolutions of every kind, each with the side of the largest map that it goes over, from latents of that
    /// side on.
    pub fn convolutions(&self, side: usize) -> Vec<(&Conv2d, usize)> {
        let mut found = Vec::new();
        for (level, stage) in self.decoder.stages.iter().enumerate().rev() {
            let convs = [stage.blocks.last().map(|block| &block.conv4), Some(&stage.conv)];
            found.extend(convs.into_iter().flatten().map(|conv| (conv, side << level)));
        }
        found
    }

    /// Values of the decoder's largest feature map for one cell of the latents.
    pub fn peak_values_per_cell(&self) -> usize {
        self.config.peak_values_per_cell()
    }
}

impl Encoder {
    fn load(scope: &mut Scope, config: &TinyVaeConfig) -> Result<Self> {
        let widths = widths("encoder", &config.encoder_block_channels, &config.encoder_blocks)?;
        let levels = config.encoder_blocks.len();
        if levels != config.decoder_blocks.len() || (levels > 1 && config.upsampling_factor != 2) {
            return Err(Error::model("encoderBlocks", "the encoder must shrink as much as the decoder enlarges"));
        }
        let mut layers = Layers { scope, next: 0 };
        let mut stages = Vec::new();
        let mut from = config.in_channels * config.patch_size.pow(2);
        for (stage, (&count, &width)) in config.encoder_blocks.iter().zip(widths).enumerate() {
            let conv = match stage {
                0 => Conv2dConfig::new(from, width, 3),
                _ => Conv2dConfig::new(from, width, 3).with_stride(2).without_bias(),
            };
            from = width;
            stages.push(EncoderStage {
                conv: Conv2d::load(&mut layers.next(), conv)?,
                blocks: TinyBlock::load_row(&mut layers, count, width)?,
            });
        }
        let conv_out = Conv2d::load(&mut layers.next(), Conv2dConfig::new(from, config.latent_channels, 3))?;
        Ok(Self { stages, conv_out })
    }

    /// `[B, in, H, W]` in [0, 1] → `[B, latent, h, w]`
    fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let x = self.stages.iter().fold(image, |x, stage| {
            let x = stage.conv.forward(x); // [B, width, H/2, W/2], at the first stage [B, width, H, W]
            stage.blocks.iter().fold(x, |x, block| block.forward(x))
        });
        self.conv_out.forward(x) // [B, latent, h, w]
    }
}

impl Decoder {
    fn load(scope: &mut Scope, config: &TinyVaeConfig) -> Result<Self> {
        let widths = widths("decoder", &config.decoder_block_channels, &config.decoder_blocks)?;
        if !(1..=8).contains(&config.upsampling_factor) {
            return Err(Error::model("upsamplingFactor", format!("{} is not in 1..=8", config.upsampling_factor)));
        }
        let mut layers = Layers { scope, next: 0 };
        let first = widths.first().copied().unwrap_or(1);
        let conv_in = Conv2d::load(&mut layers.next(), Conv2dConfig::new(config.latent_channels, first, 3))?;
        layers.skip(); // ReLU
        let mut stages = Vec::new();
        for (stage, (&count, &width)) in config.decoder_blocks.iter().zip(widths).enumerate() {
            let blocks = TinyBlock::load_row(&mut layers, count, width)?;
            let conv = if let Some(&next) = widths.get(stage + 1) {
                layers.skip(); // Upsample
                Conv2dConfig::new(width, next, 3).with_upsampling(config.upsampling_factor).without_bias()
            } else {
                Conv2dConfig::new(width, config.out_channels * config.patch_size.pow(2), 3)
            };
            stages.push(DecoderStage { blocks, conv: Conv2d::load(&mut layers.next(), conv)? });
        }
        Ok(Self { conv_in, stages })
    }

    /// `[B, latent, h, w]` → `[B, out, H, W]` in [0, 1]
    fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let x = self.conv_in.forward_relu(latents); // [B, width, h, w]
        self.stages.iter().fold(x, |x, stage| {
            let x = stage.blocks.iter().fold(x, |x, block| block.forward(x)); // [B, width, h, w]
            stage.conv.forward(x) // [B, width, 2h, 2w], at the last stage [B, out, H, W]
        })
    }
}

/// `relu(x + conv.4(relu(conv.2(relu(conv.0(x))))))`.
#[derive(Module, Debug)]
struct TinyBlock {
    conv0: Conv2d,
    conv2: Conv2d,
    conv4: Conv2d,
}

impl TinyBlock {
    fn load(scope: &mut Scope, width: usize) -> Result<Self> {
        let mut scope = scope.enter("conv");
        let mut conv = |index: usize| Conv2d::load(&mut scope.enter(index), Conv2dConfig::new(width, width, 3));
        Ok(Self { conv0: conv(0)?, conv2: conv(2)?, conv4: conv(4)? })
    }

    fn load_row(layers: &mut Layers, count: usize, width: usize) -> Result<Vec<Self>> {
        (0..count).map(|_| Self::load(&mut layers.next(), width)).collect()
    }

    /// `[B, width, H, W]` → the same.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = self.conv0.forward_relu(x.clone());
        let h = self.conv2.forward_relu(h);
        self.conv4.forward_residual_relu(h, x)
    }
}

/// `layers.N`: numbered through, layers without weights included.
struct Layers<'a, 'w> {
    scope: &'a mut Scope<'w>,
    next: usize,
}

impl Layers<'_, '_> {
    fn next(&mut self) -> Scope<'_> {
        let scope = self.scope.enter(self.next);
        self.next += 1;
        scope
    }

    fn skip(&mut self) {
        self.next += 1;
    }
}

/// The widths of a half's levels.
fn widths<'a>(half: &str, channels: &'a [usize], blocks: &[usize]) -> Result<&'a [usize]> {
    let name = format!("{half}BlockChannels");
    check_levels(&name, channels)?;
    if channels.len() != blocks.len() {
        return Err(Error::model(name, format!("{half}Blocks has another length")));
    }
    Ok(channels)
}

/// `[B, C, H, W]` → `[B, C·side², H/side, W/side]`, as `torch.nn.PixelUnshuffle`.
fn pixel_unshuffle(x: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return x;
    }
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, h / side, side, w / side, side])
        .permute([0, 1, 3, 5, 2, 4]) // [B, C, side, side, H/side, W/side]
        .reshape([b, c * side * side, h / side, w / side])
}

/// `[B, C·side², h, w]` → `[B, C, h·side, w·side]`, as `torch.nn.PixelShuffle`.
fn pixel_shuffle(x: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return x;
    }
    let [b, c, h, w] = x.dims();
    let c = c / (side * side);
    x.reshape([b, c, side, side, h, w])
        .permute([0, 1, 4, 2, 5, 3]) // [B, C, h, side, w, side]
        .reshape([b, c, h * side, w * side])
}
