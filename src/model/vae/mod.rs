//! The autoencoders: images → latents → images.
//!
//! - [`kl`]: `AutoencoderKL`, the one a model was trained with.
//! - [`tiny`]: `AutoencoderTiny`, its fast likeness, for previews and small devices.
//! - [`tiled`]: decoding in overlapping tiles, for images that do not fit whole.
//!
//! [`Vae`] is either, in the model's own units: what the transformer sees goes in and comes out.

mod checks;
mod group_norm;
pub mod kl;
pub mod tiled;
pub mod tiny;

use burn::module::Module;
use burn::tensor::Tensor;

use self::checks::check_image;
use self::kl::{Kl, KlEncoder};
use self::tiled::{TileConfig, decode_tiled, encode_tiled};
use self::tiny::Tiny;
use crate::error::Result;
use crate::model::conv::Conv2d;

/// An autoencoder between images in [-1, 1] and the latents that the transformer works on.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // One lives for as long as the model.
pub enum Vae {
    Kl(Kl),
    Tiny(Tiny),
}

impl Vae {
    /// Image `[B, 3, H, W]` → the model's latents `[B, C, H/scale, W/scale]`, scaling factor included.
    ///
    /// # Errors
    /// `INVALID_INPUT` if the bundle carries no encoder or the image does not fit it.
    pub fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>> {
        Ok(self.encode_unscaled(image)? * self.scaling_factor())
    }

    /// The model's latents `[B, C, h, w]` → image `[B, 3, h·scale, w·scale]`.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.decode_unscaled(latents / self.scaling_factor())
    }

    /// What an image's latents are drawn from when a model is trained: [`Self::encode`] and, where the encoder tells them, standard
    /// deviations, scaling factor included in both.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn posterior(&self, image: Tensor<4>) -> Result<(Tensor<4>, Option<Tensor<4>>)> {
        let factor = self.scaling_factor();
        match self {
            Self::Kl(kl) => kl.posterior(image).map(|(mean, deviation)| (mean * factor, Some(deviation * factor))),
            Self::Tiny(tiny) => Ok((tiny.encode(image)? * factor, None)),
        }
    }

    /// As [`Self::encode`], before the scaling factor: the encoder's mean itself.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_unscaled(&self, image: Tensor<4>) -> Result<Tensor<4>> {
        match self {
            Self::Kl(kl) => kl.encode(image),
            Self::Tiny(tiny) => tiny.encode(image),
        }
    }

    /// As [`Self::decode`], of latents already divided by the scaling factor.
    pub fn decode_unscaled(&self, latents: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Kl(kl) => kl.decode(latents),
            Self::Tiny(tiny) => tiny.decode(latents),
        }
    }

    /// [`Self::decode`] in tiles, where the latents are larger than one.
    ///
    /// # Errors
    /// `INVALID_INPUT` if `tiles` makes no progress.
    pub fn decode_tiled(&self, latents: Tensor<4>, tiles: TileConfig) -> Result<Tensor<4>> {
        decode_tiled(latents, tiles, self.scale(), |tile| Ok(self.decode(tile)))
    }

    /// [`Self::encode`] in tiles, where the image is larger than one.
    ///
    /// # Errors
    /// As [`Self::encode`], and `INVALID_INPUT` if `tiles` makes no progress.
    pub fn encode_tiled(&self, image: Tensor<4>, tiles: TileConfig) -> Result<Tensor<4>> {
        let scale = self.scale();
        let [_, channels, height, width] = image.dims();
        check_image([1, channels, height, width], channels, scale)?;
        encode_tiled(image, tiles, scale, |tile| self.encode(tile))
    }

    /// As [`Self::encode_tiled`], by an encoder that was loaded apart.
    ///
    /// # Errors
    /// As there.
    pub fn encode_tiled_by(&self, encoder: &KlEncoder, image: Tensor<4>, tiles: TileConfig) -> Result<Tensor<4>> {
        let (scale, factor) = (self.scale(), self.scaling_factor());
        let [_, channels, height, width] = image.dims();
        check_image([1, channels, height, width], channels, scale)?;
        encode_tiled(image, tiles, scale, |tile| Ok(encoder.encode(tile)? * factor))
    }

    /// The model's latents are the encoder's times this.
    pub fn scaling_factor(&self) -> f64 {
        match self {
            Self::Kl(kl) => kl.config().scaling_factor,
            Self::Tiny(tiny) => tiny.config().scaling_factor,
        }
    }

    /// Pixels of an image along one latent cell.
    pub fn scale(&self) -> usize {
        match self {
            Self::Kl(kl) => kl.config().scale(),
            Self::Tiny(tiny) => tiny.config().scale(),
        }
    }

    pub fn latent_channels(&self) -> usize {
        match self {
            Self::Kl(kl) => kl.config().latent_channels,
            Self::Tiny(tiny) => tiny.config().latent_channels,
        }
    }

    pub fn has_encoder(&self) -> bool {
        match self {
            Self::Kl(kl) => kl.config().encoder,
            Self::Tiny(tiny) => tiny.config().encoder,
        }
    }

    /// One of the decoder's convolutions of every kind, each with the side of the map that it goes over, from latents of that side on.
    pub fn convolutions(&self, side: usize) -> Vec<(&Conv2d, usize)> {
        match self {
            Self::Kl(kl) => kl.convolutions(side),
            Self::Tiny(tiny) => tiny.convolutions(side),
        }
    }

    /// Values of the decoder's largest feature map for one cell of the latents; see [`TileConfig::fitting`].
    pub fn peak_values_per_cell(&self) -> usize {
        match self {
            Self::Kl(kl) => kl.peak_values_per_cell(),
            Self::Tiny(tiny) => tiny.peak_values_per_cell(),
        }
    }
}
