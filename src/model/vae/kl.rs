//! `AutoencoderKL` of any width and depth, with the names of its diffusers checkpoints.

mod attention;
mod decoder;
mod encoder;
mod mid_block;
mod resnet;

use burn::module::Module;
use burn::tensor::{Tensor, s};

use self::decoder::Decoder;
use self::encoder::Encoder;
use super::checks::{check_image, check_levels, no_encoder};
use crate::bundle::Scope;
use crate::bundle::config::VaeConfig;
use crate::error::Result;
use crate::model::conv::{Conv2d, Conv2dConfig};

/// `AutoencoderKL` (Kingma & Welling, 2014, as trained by Rombach et al., 2022).
#[derive(Module, Debug)]
pub struct Kl {
    encoder: Option<KlEncoder>,
    post_quant_conv: Option<Conv2d>,
    decoder: Decoder,
    #[module(skip)]
    config: VaeConfig,
}

/// Its half that reads pictures, which may be loaded apart.
#[derive(Module, Debug)]
pub struct KlEncoder {
    encoder: Encoder,
    quant_conv: Option<Conv2d>,
    #[module(skip)]
    config: VaeConfig,
}

/// A 1 × 1 convolution that keeps the channels.
fn pointwise(scope: &mut Scope, name: &str, channels: usize) -> Result<Conv2d> {
    Conv2d::load(&mut scope.enter(name), Conv2dConfig::new(channels, channels, 1))
}

impl KlEncoder {
    /// Takes the encoder from the autoencoder's tensors.
    ///
    /// # Errors
    /// As [`Kl::load`].
    pub fn load(scope: &mut Scope, config: &VaeConfig) -> Result<Self> {
        let (first, last) = check_levels("blockOutChannels", &config.block_out_channels)?;
        let encoder = Encoder::load(&mut scope.enter("encoder"), config, first, last)?;
        let quant_conv = config.quant_conv.then(|| pointwise(scope, "quant_conv", 2 * config.latent_channels));
        Ok(Self { encoder, quant_conv: quant_conv.transpose()?, config: config.clone() })
    }

    /// As [`Kl::encode`].
    ///
    /// # Errors
    /// `INVALID_INPUT` if the image does not fit it.
    pub fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>> {
        Ok(self.moments(image)?.slice(s![.., ..self.config.latent_channels])) // [B, latent, h, w]
    }

    /// Means and logarithms of variances, `[B, 2·latent, h, w]`.
    fn moments(&self, image: Tensor<4>) -> Result<Tensor<4>> {
        check_image(image.dims(), self.config.in_channels, self.config.scale())?;
        let moments = self.encoder.forward(image);
        Ok(match &self.quant_conv {
            Some(conv) => conv.forward(moments),
            None => moments,
        })
    }
}

impl Kl {
    /// Takes the decoder and, where `config.encoder` says so, the encoder.
    ///
    /// # Errors
    /// `MODEL_INVALID` naming a missing or misshapen tensor, or a setting that describes no network.
    pub fn load(scope: &mut Scope, config: &VaeConfig) -> Result<Self> {
        let (first, last) = check_levels("blockOutChannels", &config.block_out_channels)?;
        let post_quant_conv =
            config.post_quant_conv.then(|| pointwise(scope, "post_quant_conv", config.latent_channels));
        Ok(Self {
            encoder: config.encoder.then(|| KlEncoder::load(scope, config)).transpose()?,
            post_quant_conv: post_quant_conv.transpose()?,
            decoder: Decoder::load(&mut scope.enter("decoder"), config, first, last)?,
            config: config.clone(),
        })
    }

    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// Means of the latents, not yet multiplied by the scaling factor:
    /// image `[B, in, H, W]` in [-1, 1] → `[B, latent, H/scale, W/scale]`.
    ///
    /// # Errors
    /// `INVALID_INPUT` if the bundle carries no encoder or the image does not fit it.
    pub fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>> {
        self.encoder.as_ref().ok_or_else(no_encoder)?.encode(image)
    }

    /// Means, as of [`Self::encode`], and standard deviations of the latents, in the same units.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn posterior(&self, image: Tensor<4>) -> Result<(Tensor<4>, Tensor<4>)> {
        let moments = self.encoder.as_ref().ok_or_else(no_encoder)?.moments(image)?;
        let channels = self.config.latent_channels;
        let deviation = (moments.clone().slice(s![.., channels..]).clamp(-30.0, 20.0) * 0.5).exp();
        Ok((moments.slice(s![.., ..channels]), deviation))
    }

    /// Latents already divided by the scaling factor, `[B, latent, h, w]` → image `[B, out, h·scale, w·scale]`, in
    /// [-1, 1] but for overshoots.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let latents = match &self.post_quant_conv {
            Some(conv) => conv.forward(latents),
            None => latents,
        };
        self.decoder.forward(latents)
    }

    /// One of the decoder's convolutions of every kind, each with the side of the map that it goes over, from latents of that side on.
    pub fn convolutions(&self, side: usize) -> Vec<(&Conv2d, usize)> {
        self.decoder.convolutions(side)
    }

    /// Values of the decoder's largest feature map for one cell of the latents.
    pub fn peak_values_per_cell(&self) -> usize {
        self.config.peak_values_per_cell()
    }
}
