//! Pictures as an autoencoder's latents: what a model behind one is trained on.

use burn::tensor::{Tensor, TensorData};
use rayon::ThreadPool;

use super::step::single;
use crate::data::{Batch, Source};
use crate::device;
use crate::error::{Error, Result};
use crate::model::vae::Vae;

/// Pictures that are encoded at once.
const TOGETHER: usize = 8;

/// A source of pictures behind the encoder of `vae`: batches are `[B, C, size / scale, size / scale]`, scaling factor included.
pub struct Latents {
    pictures: Box<dyn Source>,
    vae: Vae,
    pool: ThreadPool,
}

impl Latents {
    /// # Errors
    /// `InvalidInput` on an autoencoder without an encoder; `Internal` where no thread can be started.
    pub fn new(pictures: Box<dyn Source>, vae: Vae) -> Result<Self> {
        if !vae.has_encoder() {
            return Err(Error::input("from", "its autoencoder has no encoder: pictures cannot become latents"));
        }
        Ok(Self { pictures, vae, pool: single()? })
    }
}

impl Source for Latents {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        let batch = self.pictures.batch(count, size)?;
        let picture = batch.channels * size * size;
        let encode = |part: &[f32]| {
            let shape = [part.len() / picture.max(1), batch.channels, size, size];
            let image = Tensor::<4>::from_data(TensorData::new(part.to_vec(), shape), &device::cpu());
            let latents = self.vae.encode(image)?; // [b, C, size / scale, size / scale]
            latents.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))
        };
        let parts = || batch.images.chunks(TOGETHER * picture.max(1)).map(encode).collect::<Result<Vec<_>>>();
        let images = self.pool.install(parts)?.concat();
        Ok(Batch { images, channels: self.vae.latent_channels(), size: size / self.vae.scale(), ..batch })
    }

    fn seek(&mut self, index: u64) {
        self.pictures.seek(index);
    }
}
