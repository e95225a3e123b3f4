//! What of a bundle is loaded together: its parts, and apart from the rest of the autoencoder the half that reads pictures.

use std::collections::BTreeSet;

use super::manifest::{Manifest, Part};

/// Tensors of the half of an `AutoencoderKL` that reads pictures.
const ENCODER: [&str; 2] = ["vae.encoder.", "vae.quant_conv."];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// A part, or what is left of it.
    Part(Part),
    /// The half of an `AutoencoderKL` that reads pictures: drawing from a prompt alone needs none of it.
    VaeEncoder,
}

impl Section {
    /// That of a tensor of `part`.
    pub fn of_tensor(part: Part, name: &str) -> Self {
        let reads = part == Part::Vae && ENCODER.iter().any(|prefix| name.starts_with(prefix));
        if reads { Self::VaeEncoder } else { Self::Part(part) }
    }

    /// The part that it is of.
    pub fn part(self) -> Part {
        match self {
            Self::Part(part) => part,
            Self::VaeEncoder => Part::Vae,
        }
    }

    /// Those that a bundle has.
    pub fn of_bundle(manifest: &Manifest) -> BTreeSet<Self> {
        let mut sections: BTreeSet<Self> = manifest.files.iter().map(|file| Self::Part(file.part)).collect();
        if manifest.tensors.keys().any(|name| Self::of_tensor(Part::Vae, name) == Self::VaeEncoder) {
            sections.insert(Self::VaeEncoder);
        }
        sections
    }
}
