//! The cost model: every matrix product of a run, from the shapes it really has.
//!
//! One multiply-add is two operations. Counted are the products (linear layers, attention); norms, activations, residuals, softmax,
//! top-k and gathers are not, as in the literature.

use serde::Serialize;

use crate::bundle::config::{TransformerConfig, VaeConfig};
use crate::model::ratios::{KeepTable, tokens};

/// Features of the timestep's sinusoid.
const SINUSOID: u64 = 256;

/// Operations by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Flops {
    /// Queries, keys, values and outputs of self-attention, queries and outputs of cross-attention.
    pub projections: u64,
    /// Logits and weighted sums of self- and cross-attention.
    pub attention: u64,
    pub mlp: u64,
    pub router: u64,
    /// Caption projection, and keys and values of cross-attention: once per prompt.
    pub caption: u64,
    /// Patches in and out, timestep.
    pub embedding: u64,
}

impl Flops {
    pub fn total(&self) -> u64 {
        self.projections + self.attention + self.mlp + self.router + self.caption + self.embedding
    }

    fn map(self, f: impl Fn(u64) -> u64) -> Self {
        Self {
            projections: f(self.projections),
            attention: f(self.attention),
            mlp: f(self.mlp),
            router: f(self.router),
            caption: f(self.caption),
            embedding: f(self.embedding),
        }
    }
}

impl std::ops::Mul<u64> for Flops {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        self.map(|flops| flops * times)
    }
}

impl std::ops::Add for Flops {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            projections: self.projections + other.projections,
            attention: self.attention + other.attention,
            mlp: self.mlp + other.mlp,
            router: self.router + other.router,
            caption: self.caption + other.caption,
            embedding: self.embedding + other.embedding,
        }
    }
}

impl std::iter::Sum for Flops {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::default(), |a, b| a + b)
    }
}

/// A caption of `length` tokens: its projection, and every layer's keys and values. Done once, not at every step.
pub fn caption(config: &TransformerConfig, length: usize) -> Flops {
    let (d, e, s) = (config.width() as u64, config.caption_channels as u64, length as u64);
    let macs = s * (e * d + d * d) + config.layers as u64 * 2 * s * d * d;
    Flops { caption: 2 * macs, ..Flops::default() }
}

/// One pass over one image of `n` tokens and a caption of `length` tokens, without the caption's own cost.
///
/// `keep` are the layers' ratios of a routed model, whose routers are counted too; `None` is a dense one.
pub fn step(config: &TransformerConfig, n: usize, length: usize, keep: Option<&[f64]>) -> Flops {
    let (d, n64, s) = (config.width() as u64, n as u64, length as u64);
    let layer = |index: usize| {
        let k = keep.map_or(n, |keep| tokens(keep.get(index).copied().unwrap_or(1.0), n)) as u64;
        // Tokens to a key; where there are several, every key and value meets a weight for each channel.
        let area = (config.kv_scale(index) as u64).pow(2);
        let compression = if area > 1 { 2 * k * d } else { 0 };
        Flops {
            projections: 6 * k * d * d + compression,
            attention: 2 * k * (k / area) * d + 2 * k * s * d,
            mlp: 8 * k * d * d,
            router: if keep.is_some() { n64 * d } else { 0 },
            ..Flops::default()
        }
    };
    let patch = (config.patch_size * config.patch_size) as u64;
    let ends = n64 * d * patch * (config.in_channels + config.out_channels) as u64;
    let number = |width: u64| SINUSOID * width + width * width;
    let size = if config.size_conditions { 3 * number(d / 3) } else { 0 };
    let embedding = Flops { embedding: ends + number(d) + size + 6 * d * d, ..Flops::default() };
    let macs: Flops = (0..config.layers).map(layer).sum();
    (macs + embedding).map(|macs| 2 * macs)
}

/// An `AutoencoderKL` making a picture of so many latent cells: its convolutions.
pub fn decode(config: &VaeConfig, cells: usize) -> u64 {
    let conv = |inputs: usize, outputs: usize| 9 * inputs as u64 * outputs as u64;
    let widths: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
    let (last, first) = (widths.first().copied().unwrap_or(0), widths.last().copied().unwrap_or(0));
    let mut macs = conv(config.latent_channels, last) + 4 * conv(last, last);
    let (mut area, mut width) = (1u64, last); // pixels a cell
    for (level, &channels) in widths.iter().enumerate() {
        macs += area * (conv(width, channels) + (2 * config.layers_per_block as u64 + 1) * conv(channels, channels));
        if level + 1 < widths.len() {
            area *= 4;
            macs += area * conv(channels, channels);
        }
        width = channels;
    }
    macs += area * conv(first, config.out_channels);
    2 * macs * cells as u64
}

/// A step's tokens in focus of `n` (`model::focus`): all of them run, and the others are only seen.
pub fn focused(config: &TransformerConfig, n: usize, active: usize, length: usize, keep: Option<&[f64]>) -> Flops {
    let (d, a, s) = (config.width() as u64, active as u64, length as u64);
    let ratio = |index: usize| keep.map_or(1.0, |keep| keep.get(index).copied().unwrap_or(1.0));
    let layer = |index: usize| {
        let seen = tokens(ratio(index), n - active) as u64;
        Flops {
            projections: 6 * a * d * d,
            attention: 2 * a * (a + seen) * d + 2 * a * s * d,
            mlp: 8 * a * d * d,
            router: if keep.is_some() { a * d } else { 0 },
            ..Flops::default()
        }
    };
    let macs: Flops = (0..config.layers).map(layer).sum();
    let embedding = Flops { embedding: step(config, n, length, keep).embedding, ..Flops::default() };
    macs.map(|macs| 2 * macs) + embedding
}

/// What a full step does beside [`step`] so that focused ones can follow: nothing in a dense model, whose keys and values are there
/// anyway; in a routed one scores of the `n − active` others, and keys and values of the best.
pub fn remembering(config: &TransformerConfig, n: usize, active: usize, keep: Option<&[f64]>) -> Flops {
    let (d, others) = (config.width() as u64, n - active);
    let layer = |ratio: &f64| {
        let best = tokens(*ratio, others) as u64;
        Flops { projections: 2 * best * d * d, router: others as u64 * d, ..Flops::default() }
    };
    keep.unwrap_or_default().iter().map(layer).sum::<Flops>().map(|macs| 2 * macs)
}

/// What an image costs.
#[derive(Debug, Clone, Copy)]
pub struct ImageCost<'a> {
    pub config: &'a TransformerConfig,
    /// Tokens of the image.
    pub tokens: usize,
    /// Tokens of the captions in the batch: `[negative, positive]` under guidance, else `[positive]`. All are computed at the
    /// longest's length.
    pub captions: &'a [usize],
    /// The timestep of every step.
    pub timesteps: &'a [f64],
    /// Keep ratios of a routed model.
    pub keep: Option<&'a KeepTable>,
}

impl ImageCost<'_> {
    /// All steps and captions, without text encoder and VAE.
    pub fn flops(&self) -> Flops {
        let length = self.captions.iter().copied().max().unwrap_or(0);
        let steps = self.timesteps.len();
        let at = |(i, t): (usize, &f64)| {
            let keep = self.keep.map(|table| table.at(i, steps, *t));
            step(self.config, self.tokens, length, keep.as_deref())
        };
        let once = self.timesteps.iter().enumerate().map(at).sum::<Flops>() + caption(self.config, length);
        once.map(|flops| flops * self.captions.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::routing::{Preset, Routing, ScoreScale};
    use crate::model::ratios::Compression;

    fn tiny() -> TransformerConfig {
        TransformerConfig {
            layers: 2,
            heads: 2,
            head_dim: 4,
            in_channels: 3,
            out_channels: 3,
            patch_size: 2,
            caption_channels: 5,
            sample_size: 8,
            interpolation_scale: 1.0,
            size_conditions: false,
            qk_norm: false,
            kv_compression: None,
        }
    }

    #[test]
    fn a_small_model_by_hand() {
        // D = 8, N = 16, S = 3. A layer: 6·16·64 = 6144; 2·16·16·8 + 2·16·3·8 = 4864; 8·16·64 = 8192.
        let dense = step(&tiny(), 16, 3, None);
        // Ends: 16·8·4·6 = 3072; timestep: 256·8 + 64 = 2112; modulation: 6·64 = 384.
        let expected = Flops { projections: 24576, attention: 19456, mlp: 32768, embedding: 11136, ..Flops::default() };
        assert_eq!(dense, expected);
        // Projection 3·(5·8 + 64) = 312; keys and values of two layers 2·2·3·64 = 768.
        assert_eq!(caption(&tiny(), 3).total(), 2 * (312 + 768));
    }

    #[test]
    fn kept_tokens_are_what_counts() {
        let routed = step(&tiny(), 16, 3, Some(&[1.0, 0.5]));
        // The second layer runs 8: 3072; 2·8·8·8 + 2·8·3·8 = 1408; 4096. Two routers: 2·16·8.
        assert_eq!((routed.projections, routed.attention, routed.mlp), (2 * 9216, 2 * 6272, 2 * 12288));
        assert_eq!((routed.router, routed.embedding), (512, 11136));
    }

    #[test]
    fn a_focused_step_by_hand() {
        // Of 16 tokens 4 run. A layer: 6·4·64 = 1536; 2·4·16·8 + 2·4·3·8 = 1216; 8·4·64 = 2048. The ends are those of all tokens.
        let dense = focused(&tiny(), 16, 4, 3, None);
        let expected = Flops { projections: 6144, attention: 4864, mlp: 8192, embedding: 11136, ..Flops::default() };
        assert_eq!(dense, expected);
        // All of them, and half of the others to see: 2·4·(4 + 6)·8 + 2·4·3·8 = 832.
        let routed = focused(&tiny(), 16, 4, 3, Some(&[0.5, 0.5]));
        assert_eq!((routed.projections, routed.attention, routed.router), (6144, 2 * 2 * 832, 2 * 64));
        // Keys and values of 6 of 12 others, with the scores of all: 2·6·64 + 12·8.
        assert_eq!(remembering(&tiny(), 16, 4, None).total(), 0);
        assert_eq!(remembering(&tiny(), 16, 4, Some(&[0.5, 0.5])).total(), 2 * 2 * (768 + 96));
    }

    #[test]
    fn an_image_is_its_steps_in_their_regions() {
        let preset = Preset { name: "learned".into(), keep: vec![vec![1.0, 1.0], vec![0.5, 0.5]], dense_steps: 0.0 };
        let routing = Routing {
            bins: vec![1.0, 0.5],
            regions: 2,
            score_scale: ScoreScale::Mlp,
            score_gain: 1.0,
            presets: vec![preset],
            default: "learned".into(),
        };
        let table = KeepTable::new(&routing, &Compression::default(), 1000).unwrap();
        let config = tiny();
        let cost = ImageCost {
            config: &config,
            tokens: 16,
            captions: &[1, 3],
            timesteps: &[900.0, 100.0],
            keep: Some(&table),
        };
        let one = step(&config, 16, 3, Some(&[0.5, 0.5])).total() + step(&config, 16, 3, Some(&[1.0, 1.0])).total();
        assert_eq!(cost.flops().total(), 2 * (one + caption(&config, 3).total()));
    }

    /// The paper's 17361.7 GFLOPs for PixArt-Σ at 512², batch 16: its counter leaves the attention products out, and its captions are
    /// of 120 tokens.
    #[test]
    fn the_papers_dense_model() {
        let sigma = TransformerConfig {
            layers: 28,
            heads: 16,
            head_dim: 72,
            in_channels: 4,
            out_channels: 8,
            patch_size: 2,
            caption_channels: 4096,
            sample_size: 64,
            interpolation_scale: 1.0,
            size_conditions: false,
            qk_norm: false,
            kv_compression: None,
        };
        let pass = |keep: Option<&[f64]>| {
            let flops = step(&sigma, 1024, 120, keep) + caption(&sigma, 120);
            16.0 * (flops.total() - flops.attention) as f64 / 1e9
        };
        assert!((pass(None) / 17361.7 - 1.0).abs() < 1e-3, "{}", pass(None));
        // Its MoD at 20 %: 13949.3.
        assert!((pass(Some(&[0.8; 28])) / 13949.3 - 1.0).abs() < 5e-3, "{}", pass(Some(&[0.8; 28])));
    }
}
