//! The settings of `train vae`.

use serde::{Deserialize, Serialize};

/// A new autoencoder, of the kind of `AutoencoderTiny`, and what it is trained for.
///
/// The loss is the mean absolute error of the pixels, `edges` times that of the differences between neighbours, and `moments` times
/// how far the latents' channels are from mean 0 and deviation 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AutoencoderConfig {
    pub latent_channels: usize,
    /// Side of the squares of pixels that enter and leave as channels.
    pub patch: usize,
    /// Channels of the levels, from the picture to the latents; each level halves the side of the one before.
    pub widths: Vec<usize>,
    /// Residual blocks of the encoder's levels, from the picture to the latents.
    pub encoder_blocks: Vec<usize>,
    /// Of the decoder's, from the latents to the picture.
    pub decoder_blocks: Vec<usize>,
    /// What is trained on: a square of this side, somewhere in a picture; 0 takes the whole picture.
    pub crop: usize,
    /// Deviation of the noise that the decoder sees on the latents: the more, the smoother are they.
    pub noise: f64,
    pub edges: f64,
    pub moments: f64,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            latent_channels: 8,
            patch: 2,
            widths: vec![32, 64, 96],
            encoder_blocks: vec![1, 1, 2],
            decoder_blocks: vec![2, 2, 2],
            crop: 64,
            noise: 0.1,
            edges: 1.0,
            moments: 0.05,
        }
    }
}
