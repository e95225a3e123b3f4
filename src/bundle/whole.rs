//! Whether a bundle can run: every part against its own configuration, and the parts against each other.
//!
//! The converter asks before it writes, `verify` before it says so, and every loader before it fetches: what passes here has every tensor that
//! the networks take, in its shape, and no other.

#[cfg(feature = "cli")]
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::config::TransformerConfig;
use super::manifest::{FileEntry, Manifest, Part, Parts};
use super::shapes::{self, Shapes};
use crate::error::{Error, Result};

/// Channels of a picture.
const PICTURE: usize = 3;
/// How a router's tensor is called in its layer.
const ROUTER: &str = ".router.weight";

impl Manifest {
    /// What `version` must be: 16 hex digits that change with any file.
    pub fn content_version(&self) -> String {
        version_of(self.files.iter())
    }

    /// The same of the text encoder's files alone; none without one.
    pub fn text_encoder_version(&self) -> Option<String> {
        let files = self.files.iter().filter(|file| file.part == Part::TextEncoder);
        self.parts.text_encoder.as_ref().map(|_| version_of(files))
    }
}

fn version_of<'a>(files: impl Iterator<Item = &'a FileEntry>) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.path.as_bytes());
        hash.update(file.sha256.as_bytes());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Checks the parts of `manifest` and its tensors' names and shapes.
///
/// # Errors
/// `ManifestInvalid` on a configuration that no model has; `ModelInvalid` naming the tensor that is missing, misshapen or unknown, or the
/// setting in which two parts differ.
pub fn check(manifest: &Manifest) -> Result<()> {
    let parts = &manifest.parts;
    parts.check()?;
    fit(parts)?;
    let mut known = BTreeSet::new();
    visit(parts, &mut |name, wanted| {
        let tensor = manifest.tensors.get(name).ok_or_else(|| Error::model(name, "the tensor is missing"))?;
        if tensor.shape != wanted {
            return Err(Error::model(name, format!("its shape is {:?}, not {wanted:?}", tensor.shape)));
        }
        known.insert(name.to_owned());
        Ok(())
    })?;
    let routers = routers(manifest)?;
    let unknown = manifest.tensors.keys().find(|name| !known.contains(*name) && !routers.contains(name.as_str()));
    unknown.map_or(Ok(()), |name| Err(Error::model(name, "no model of this configuration has such a tensor")))
}

/// Names and shapes of the tensors of a dense model of `parts`.
///
/// # Errors
/// As [`check`]'s, on parts that do not fit.
#[cfg(feature = "cli")]
pub fn tensors(parts: &Parts) -> Result<BTreeMap<String, Vec<usize>>> {
    parts.check()?;
    fit(parts)?;
    let mut tensors = BTreeMap::new();
    visit(parts, &mut |name, shape| {
        tensors.insert(name.to_owned(), shape.to_vec());
        Ok(())
    })?;
    Ok(tensors)
}

/// Tells of every tensor of the parts, the routers' apart.
fn visit(parts: &Parts, visit: &mut dyn FnMut(&str, &[usize]) -> Result<()>) -> Result<()> {
    shapes::transformer(&parts.transformer, &mut Shapes::new(Part::Transformer.prefix(), visit))?;
    if let Some(config) = &parts.text_encoder {
        shapes::text_encoder(config, &mut Shapes::new(Part::TextEncoder.prefix(), visit))?;
    }
    if let Some(config) = &parts.vae {
        shapes::vae(config, &mut Shapes::new(Part::Vae.prefix(), visit))?;
    }
    if let Some(config) = &parts.vae_tiny {
        shapes::vae_tiny(config, &mut Shapes::new(Part::VaeTiny.prefix(), visit))?;
    }
    Ok(())
}

/// The routers' tensors: a routed model has some, a dense one none.
fn routers(manifest: &Manifest) -> Result<BTreeSet<&str>> {
    let config = &manifest.parts.transformer;
    let mut found = BTreeSet::new();
    for (name, tensor) in manifest.tensors.iter().filter(|(name, _)| name.ends_with(ROUTER)) {
        let layer = name.strip_prefix("transformer.transformer_blocks.").and_then(|rest| rest.strip_suffix(ROUTER));
        if layer.and_then(|n| n.parse::<usize>().ok()).is_none_or(|n| n >= config.layers) {
            return Err(Error::model(name, format!("the transformer has {} layers", config.layers)));
        }
        if tensor.shape != [1, config.width()] {
            return Err(Error::model(name, format!("its shape is {:?}, not [1, {}]", tensor.shape, config.width())));
        }
        if layer.and_then(|n| n.parse().ok()).is_some_and(|n| config.kv_scale(n) > 1) {
            return Err(Error::model(
                name,
                "a routed layer cannot compress its keys and values, which needs the whole grid",
            ));
        }
        if manifest.routing.is_none() {
            return Err(Error::model(name, "a router of a model without routing"));
        }
        found.insert(name.as_str());
    }
    if manifest.routing.is_some() && found.is_empty() {
        return Err(Error::model("routing", "no layer of the model has a router"));
    }
    Ok(found)
}

/// What one part hands to another has the size that the other takes.
fn fit(parts: &Parts) -> Result<()> {
    let fault = |name: &str, reason: String| Err(Error::model(name, reason));
    let transformer = &parts.transformer;
    let Some(latents) = transformer.latent_channels() else {
        let TransformerConfig { in_channels: i, out_channels: o, .. } = transformer;
        return fault(
            "transformer.proj_out.weight",
            format!(
                "{i} channels in and {o} out are not a PixArt's: out is in, or twice in with a variance, where no mask comes in"
            ),
        );
    };
    if let Some(text) = &parts.text_encoder
        && text.d_model != transformer.caption_channels
    {
        let (has, reads) = (text.d_model, transformer.caption_channels);
        return fault(
            "text_encoder.shared.weight",
            format!("its states are {has} wide, the transformer reads {reads}"),
        );
    }
    let vae = parts.vae.as_ref().map(|c| ("vae", c.latent_channels, [c.in_channels, c.out_channels], c.scale()));
    let tiny = parts.vae_tiny.as_ref();
    let tiny = tiny.map(|c| ("vae_tiny", c.latent_channels, [c.in_channels, c.out_channels], c.scale()));
    for (name, channels, pixels, _) in vae.iter().chain(&tiny) {
        if *channels != latents {
            return fault(name, format!("its latents have {channels} channels, the transformer's have {latents}"));
        }
        if let Some(other) = pixels.iter().find(|n| **n != PICTURE) {
            return fault(name, format!("its pictures have {other} channels, not {PICTURE}"));
        }
    }
    match (vae, tiny) {
        (Some((_, _, _, own)), Some((name, _, _, scale))) if own != scale => {
            fault(name, format!("a cell of its latents is {scale} pixels wide, of the other autoencoder's {own}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
