//! The autoencoder behind which a denoiser is trained: its settings and numbers, as bundles and folders hold them.

use std::path::Path;

use burn::tensor::Device;
use half::f16;
use sha2::{Digest, Sha256};

use super::parameters::Parameters;
use crate::bundle::Weights;
use crate::bundle::config::{TinyVaeConfig, VaeConfig};
use crate::bundle::folder::load_folder;
use crate::bundle::load::hex;
use crate::bundle::manifest::{MANIFEST_FILE, Part};
use crate::convert::vae;
use crate::device;
use crate::error::{Error, Result};
use crate::model::vae::Vae;
use crate::model::vae::kl::Kl;
use crate::model::vae::tiny::Tiny;

/// None, one or both of the autoencoders that a bundle may have; where there are both, latents are those of the first.
#[derive(Debug, Clone, Default)]
pub struct Encoding {
    pub kl: Option<VaeConfig>,
    pub tiny: Option<TinyVaeConfig>,
    /// `vae.` and `vae_tiny.` in front.
    pub tensors: Parameters,
}

impl Encoding {
    /// That of a bundle, or the `AutoencoderTiny` of a folder or a file.
    ///
    /// # Errors
    /// What their files say; `InvalidInput` on a bundle that has none.
    pub fn open(path: &Path) -> Result<Self> {
        if path.join(MANIFEST_FILE).is_file() {
            let loaded = load_folder(path, &device::cpu(), Some(&[Part::Vae, Part::VaeTiny]))?;
            let parts = loaded.manifest.parts;
            let tensors = Parameters::new(loaded.weights.into_values()?)?;
            if parts.vae.is_none() && parts.vae_tiny.is_none() {
                return Err(Error::input("autoencoder", format!("{} draws pixels", path.display())));
            }
            return Ok(Self { kl: parts.vae, tiny: parts.vae_tiny, tensors });
        }
        let (config, tensors) = read_tiny(path)?;
        Ok(Self { kl: None, tiny: Some(config), tensors })
    }

    /// Channels of the latents; none without an autoencoder.
    pub fn channels(&self) -> Option<usize> {
        self.kl.as_ref().map(|c| c.latent_channels).or(self.tiny.as_ref().map(|c| c.latent_channels))
    }

    /// Pixels along a cell of the latents; 1 without an autoencoder.
    pub fn scale(&self) -> usize {
        self.kl.as_ref().map(VaeConfig::scale).or(self.tiny.as_ref().map(TinyVaeConfig::scale)).unwrap_or(1)
    }

    /// The autoencoder on a device; none without one.
    ///
    /// # Errors
    /// `ModelInvalid` naming a tensor that is missing or misshapen.
    pub fn vae(&self, device: &Device) -> Result<Option<Vae>> {
        let mut weights = Weights::new(device);
        self.tensors.views().for_each(|v| weights.insert(v.name, v.shape, v.values.to_vec()));
        if let Some(config) = &self.kl {
            return Kl::load(&mut weights.scope("vae"), config).map(Vae::Kl).map(Some);
        }
        let tiny = self.tiny.as_ref().map(|config| Tiny::load(&mut weights.scope("vae_tiny"), config));
        tiny.transpose().map(|tiny| tiny.map(Vae::Tiny))
    }

    /// What tells its latents from those of another: a hash of the encoder's numbers, rounded as bundles round them.
    pub fn fingerprint(&self) -> String {
        let prefix = if self.kl.is_some() { "vae." } else { "vae_tiny." };
        let mut hash = Sha256::new();
        for view in self.tensors.views().filter(|v| v.name.starts_with(prefix) && !v.name.contains("decoder.")) {
            hash.update(view.name.as_bytes());
            let rounded: Vec<u8> = view.values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
            hash.update(&rounded);
        }
        let factor = self.kl.as_ref().map(|c| c.scaling_factor).or(self.tiny.as_ref().map(|c| c.scaling_factor));
        hash.update(factor.unwrap_or(1.0).to_le_bytes());
        hex(&hash.finalize())
    }
}

/// The `AutoencoderTiny` of a folder or a file, `vae_tiny.` in front of its tensors' names.
///
/// # Errors
/// What their files say.
pub fn read_tiny(path: &Path) -> Result<(TinyVaeConfig, Parameters)> {
    let (config, tensors) = vae::tiny(path, None)?;
    let read = tensors.into_iter().map(|(name, t)| Ok((name, (t.shape.clone(), t.read()?))));
    Ok((config, Parameters::new(read.collect::<Result<_>>()?)?))
}
