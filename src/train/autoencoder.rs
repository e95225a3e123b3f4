//! An autoencoder to be trained: an `AutoencoderTiny` whose latents a denoiser can learn from.
//!
//! It sees crops of pictures. The loss is the mean absolute error of the pixels, that of the differences between neighbours, and how
//! far each channel of the latents is from mean 0 and deviation 1, so that a noise schedule made for unit variance fits them. The
//! decoder sees the latents with a little noise, which makes them smooth.

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::json;

use super::config::TrainConfig;
use super::encoding::read_tiny;
use super::gradient::Gradient;
use super::held_out::HeldOut;
use super::objective::{Exported, Moment, Objective};
use super::parameters::{Leaves, Parameters};
use super::progress::Worth;
use super::stage::Stage;
use super::step::{Outcome, Workers, value};
use super::{export, init};
use crate::bundle::Weights;
use crate::bundle::config::TinyVaeConfig;
use crate::convert::progress::Progress;
use crate::data::random::Random;
use crate::data::{Batch, Crops, Source};
use crate::error::{Error, Result};
use crate::model::vae::tiny::Tiny;
use crate::sampler::noise::gaussian;

/// Streams of the run's seed.
const INIT: u64 = 1;
/// Pictures that are rebuilt at once.
const TOGETHER: usize = 4;
const PREFIX: &str = "vae_tiny";

/// An autoencoder and what it is trained for.
#[derive(Debug)]
pub struct Autoencoder<'a> {
    config: &'a TrainConfig,
    network: TinyVaeConfig,
    held_out: HeldOut<'a>,
}

impl<'a> Autoencoder<'a> {
    /// A new one, or the one in the folder `config.from`, and its parameters.
    ///
    /// # Errors
    /// `InvalidInput` on a setting; what the folder's files say.
    pub fn new(config: &'a TrainConfig) -> Result<(Self, Parameters)> {
        let (network, trained) = match &config.from {
            Some(dir) => read_tiny(dir)?,
            None => {
                let network = network(config);
                let tensors = init::make(init::autoencoder(&network), &mut Random::new(config.seed, INIT));
                (network, Parameters::new(tensors)?)
            }
        };
        if !network.encoder {
            return Err(Error::input("from", "the autoencoder there has no encoder"));
        }
        let crop = config.autoencoder.crop;
        if !crop.is_multiple_of(network.scale()) {
            return Err(Error::input("autoencoder.crop", format!("is no multiple of {}", network.scale())));
        }
        Ok((Self { config, network, held_out: HeldOut::new(config)? }, trained))
    }

    /// The network over `trained`, and the leaves of its graph where `device` has autodiff.
    fn network(&self, leaves: &Leaves, trained: &Parameters, device: &Device) -> Result<Tiny> {
        let mut weights = Weights::new(device);
        trained.insert_into(&mut weights, leaves, |_| true);
        let network = Tiny::load(&mut weights.scope(PREFIX), &self.network)?;
        weights.finish()?;
        Ok(network)
    }

    /// Mean over the pictures of the signal to noise of what comes back, in dB of 255.
    fn psnr(&self, workers: &Workers, average: &Parameters, pictures: &Batch) -> Result<f64> {
        let picture = pictures.channels * pictures.size * pictures.size;
        let parts: Vec<&[f32]> = pictures.images.chunks(TOGETHER * picture).collect();
        let device = workers.plain();
        let errors = workers.map(parts.len(), |i| {
            let shape = [parts[i].len() / picture, pictures.channels, pictures.size, pictures.size];
            let x = Tensor::<4>::from_data(TensorData::new(parts[i].to_vec(), shape), device);
            let network = self.network(&average.leaves(device), average, device)?;
            let difference = network.decode(network.encode(x.clone())?).clamp(-1.0, 1.0) - x;
            let squares: Tensor<2> = (difference.clone() * difference).reshape([shape[0], picture]).mean_dim(1);
            squares.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))
        })?;
        let decibels: Vec<f64> = errors.into_iter().flatten().map(|e| -10.0 * (f64::from(e) / 4.0).log10()).collect();
        Ok(decibels.iter().sum::<f64>() / decibels.len().max(1) as f64)
    }
}

/// The network that the settings describe.
fn network(config: &TrainConfig) -> TinyVaeConfig {
    let a = &config.autoencoder;
    TinyVaeConfig {
        in_channels: 3,
        out_channels: 3,
        latent_channels: a.latent_channels,
        encoder_block_channels: a.widths.clone(),
        decoder_block_channels: a.widths.iter().rev().copied().collect(),
        encoder_blocks: a.encoder_blocks.clone(),
        decoder_blocks: a.decoder_blocks.clone(),
        upsampling_factor: 2,
        patch_size: a.patch,
        latent_magnitude: 3.0,
        scaling_factor: 1.0,
        encoder: true,
    }
}

/// `latents` with their loss: how far their channels are from mean 0 and deviation 1.
fn moments(latents: &Tensor<4>) -> Tensor<1> {
    let [b, c, h, w] = latents.dims();
    let flat = latents.clone().swap_dims(0, 1).reshape([c, b * h * w]); // [C, B·h·w]
    let mean = flat.clone().mean_dim(1); // [C, 1]
    let centred = flat - mean.clone();
    let deviation = ((centred.clone() * centred).mean_dim(1) + 1e-6).sqrt() - 1.0; // [C, 1]
    (mean.clone() * mean + deviation.clone() * deviation).mean()
}

/// Mean absolute difference of what lies `[dy, dx]` apart in two pictures.
fn edges(a: &Tensor<4>, b: &Tensor<4>, [dy, dx]: [usize; 2]) -> Tensor<1> {
    let [_, _, h, w] = a.dims();
    let slope = |t: &Tensor<4>| {
        t.clone().narrow(2, dy, h - dy).narrow(3, dx, w - dx) - t.clone().narrow(2, 0, h - dy).narrow(3, 0, w - dx)
    };
    (slope(a) - slope(b)).abs().mean()
}

impl Objective for Autoencoder<'_> {
    fn granularity(&self) -> usize {
        self.network.scale()
    }

    fn enter(&mut self, _: &Stage) {}

    fn prepare(&self, source: Box<dyn Source>) -> Result<Box<dyn Source>> {
        Ok(match self.config.autoencoder.crop {
            0 => source,
            side => Box::new(Crops::new(source, side, self.config.seed)),
        })
    }

    fn step(&self, workers: &Workers, trained: &Parameters, batch: Batch, at: &Moment) -> Result<Outcome> {
        let a = &self.config.autoencoder;
        let (size, channels) = (batch.size, batch.channels);
        let picture = channels * size * size;
        let total = batch.images.len() / picture.max(1);
        let parts: Vec<&[f32]> = batch.images.chunks(self.config.optimizer.micro_batch * picture).collect();
        let device = workers.autodiff();
        workers.sum(parts.len(), |i| {
            let shape = [parts[i].len() / picture, channels, size, size];
            let leaves = trained.leaves(device);
            let network = self.network(&leaves, trained, device)?;
            let x = Tensor::<4>::from_data(TensorData::new(parts[i].to_vec(), shape), device);
            let latents = network.encode(x.clone())?; // [b, C, h, w]
            let cells = latents.dims();
            let noise = gaussian(self.config.seed, at.noise_stream(i), cells.iter().product());
            let noise = Tensor::<4>::from_data(TensorData::new(noise, cells), device) * a.noise;
            let y = network.decode(latents.clone() + noise);
            let pixels = (y.clone() - x.clone()).abs().mean();
            let slopes = edges(&y, &x, [0, 1]) + edges(&y, &x, [1, 0]);
            let share = shape[0] as f64 / total as f64;
            let loss = (pixels + slopes * a.edges + moments(&latents) * a.moments) * share;
            let found = value(&loss);
            let gradients = loss.backward();
            Ok(Outcome {
                gradient: Gradient::of(trained, &leaves, &gradients, device)?,
                loss: found,
                region_losses: vec![],
            })
        })
    }

    fn validate(&self, workers: &Workers, trained: &Parameters, average: &Parameters) -> Result<Option<Worth>> {
        let Some(pictures) = self.held_out.pictures()? else { return Ok(None) };
        let [current, average] = [trained, average].map(|values| self.psnr(workers, values, pictures));
        Ok(Some(Worth { current: current?, average: average?, unit: "dB".into() }))
    }

    /// A folder as diffusers writes an `AutoencoderTiny`; `patch_size`, and widths that differ, are ours.
    fn export(&self, average: &Parameters, _: &mut dyn Progress) -> Result<Exported> {
        let c = &self.network;
        let config = json!({
            "_class_name": "AutoencoderTiny",
            "act_fn": "relu",
            "upsample_fn": "nearest",
            "in_channels": c.in_channels,
            "out_channels": c.out_channels,
            "latent_channels": c.latent_channels,
            "encoder_block_out_channels": c.encoder_block_channels,
            "decoder_block_out_channels": c.decoder_block_channels,
            "num_encoder_blocks": c.encoder_blocks,
            "num_decoder_blocks": c.decoder_blocks,
            "upsampling_scaling_factor": c.upsampling_factor,
            "patch_size": c.patch_size,
            "latent_magnitude": c.latent_magnitude,
            "scaling_factor": c.scaling_factor,
        });
        export::network(self.config, &config, "diffusion_pytorch_model.safetensors", average, "vae_tiny.")
    }
}
