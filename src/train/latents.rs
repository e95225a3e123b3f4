//! Pictures as an autoencoder's latents: what a model behind one is trained on.

use burn::tensor::{Tensor, TensorData};
use rayon::ThreadPool;

use super::step::single;
use crate::data::random::Random;
use crate::data::{Batch, Latents, Source};
use crate::device;
use crate::error::{Error, Result};
use crate::model::vae::Vae;

/// Pictures that are encoded at once.
const TOGETHER: usize = 8;
/// Streams of the seed.
const DRAWS: u64 = 1 << 62;

/// The latents of a batch's pictures, `[B, C, size / scale, size / scale]`, scaling factor included.
///
/// # Errors
/// `InvalidInput` where the pictures do not fit the encoder.
pub fn encode(vae: &Vae, pictures: &Batch) -> Result<Latents> {
    let (channels, size) = (pictures.channels, pictures.size);
    let picture = (channels * size * size).max(1);
    let mut latents = Latents::default();
    for part in pictures.images.chunks(TOGETHER * picture) {
        let shape = [part.len() / picture, channels, size, size];
        let image = Tensor::<4>::from_data(TensorData::new(part.to_vec(), shape), &device::cpu());
        let (mean, deviation) = vae.posterior(image)?; // [b, C, size / scale, size / scale]
        let values = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()));
        latents.mean.extend(values(mean)?);
        latents.deviation.extend(deviation.map(values).transpose()?.unwrap_or_default());
    }
    Ok(latents)
}

/// A source of pictures behind the encoder of `vae`; where it tells deviations, every latent is drawn anew.
pub struct EncodedSource {
    pictures: Box<dyn Source>,
    vae: Vae,
    pool: ThreadPool,
    seed: u64,
    next: u64,
}

impl EncodedSource {
    /// # Errors
    /// `InvalidInput` on an autoencoder without an encoder; `Internal` where no thread can be started.
    pub fn new(pictures: Box<dyn Source>, vae: Vae, seed: u64) -> Result<Self> {
        if !vae.has_encoder() {
            return Err(Error::input("from", "its autoencoder has no encoder: pictures cannot become latents"));
        }
        Ok(Self { pictures, vae, pool: single()?, seed, next: 0 })
    }
}

impl Source for EncodedSource {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        let mut random = Random::new(self.seed, DRAWS + self.next);
        self.next += 1;
        let batch = self.pictures.batch(count, size)?;
        let Latents { mut mean, deviation } = self.pool.install(|| encode(&self.vae, &batch))?;
        mean.iter_mut().zip(deviation).for_each(|(mean, d)| *mean += d * random.gaussian() as f32);
        Ok(Batch { images: mean, channels: self.vae.latent_channels(), size: size / self.vae.scale(), ..batch })
    }

    fn seek(&mut self, index: u64) {
        self.next = index;
        self.pictures.seek(index);
    }
}
