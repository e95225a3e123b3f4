//! Inpainting with any bundle: an image, a mask and a prompt become a run that redraws what the mask covers.
//!
//! Latent blending: the run starts at the step that `strength` says, from the image's latents with noise; after each step
//! the cells outside the mask return to the image's, noised for the next step ([`super::edit`]); at the end only the pixels of the
//! mask are pasted back ([`super::paste`]), so the others stay as they are to the bit.

use std::rc::Rc;

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

use super::Pipeline;
use super::crop::{Region, working_size};
use super::edit::{Cells, Edit};
use super::generate::Run;
use super::mask::Mask;
use super::options::{GenerateOptions, MAX_SIDE};
use super::paste::Paste;
use super::picture::Picture;
use super::spotlight::{Shape, Spotlight};
use crate::error::{Error, Result};
use crate::sampler::guidance::is_guided;

/// Options of `inpaint`. Without `width` and `height` the image is worked on at its own size where that is near the
/// model's, else at the model's; `latents` is the unit noise.
#[derive(Debug, Clone)]
pub struct InpaintOptions {
    pub generate: GenerateOptions,
    pub image: Picture,
    /// White is redrawn: `[1, 1, H, W]` of at least one half, or light opaque pixels.
    pub mask: Picture,
    pub how: InpaintSettings,
}

/// How an image is inpainted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct InpaintSettings {
    /// Share of the steps that are run: 1 redraws from noise alone, 0 changes nothing.
    pub strength: f64,
    pub mask_aware: MaskAware,
    /// Works on the mask's surroundings alone, at the model's size.
    pub crop_to_mask: bool,
    /// Pixels outside the mask over which the drawing fades into the image.
    pub feather: f64,
}

/// Whether the cost follows the hole: yes, no, or how.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum MaskAware {
    Switch(bool),
    Spotlight(Spotlight),
}

impl Default for InpaintSettings {
    fn default() -> Self {
        Self { strength: 1.0, mask_aware: MaskAware::Switch(true), crop_to_mask: false, feather: 0.0 }
    }
}

impl MaskAware {
    fn spotlight(self) -> Option<Spotlight> {
        match self {
            Self::Switch(on) => on.then(Spotlight::default),
            Self::Spotlight(spotlight) => Some(spotlight),
        }
    }
}

impl Run {
    /// Checks the options, encodes prompts and image, and stands at the first step.
    ///
    /// # Errors
    /// `InvalidInput` naming the option.
    pub fn inpaint(pipeline: Rc<Pipeline>, options: &InpaintOptions) -> Result<Self> {
        let how = &options.how;
        if !(0.0..=1.0).contains(&how.strength) {
            return Err(Error::input("strength", format!("{} is not in 0 … 1", how.strength)));
        }
        let size = options.image.size("image", 3)?;
        let mask_size = options.mask.size("mask", 1)?;
        let mask = Mask::new(&options.mask.lightness(), mask_size, size)?.feathered(how.feather)?;
        let (region, work) = place(&pipeline, options, &mask);
        let generate = GenerateOptions { width: Some(work.0), height: Some(work.1), ..options.generate.clone() };
        let mut run = Run::new(pipeline, &generate)?;

        let paste = Paste { picture: options.image.clone(), mask, region, work };
        run.start_edit(paste, how)?;
        Ok(run)
    }

    /// Makes a fresh run of text to image one that edits.
    fn start_edit(&mut self, mut paste: Paste, how: &InpaintSettings) -> Result<()> {
        let pipeline = self.pipeline.clone();
        let ((width, height), device) = (paste.work, pipeline.device());
        let (across, down) = (width / pipeline.pixel_scale(), height / pipeline.pixel_scale());
        let cells = Cells { weight: paste.mask.cells(paste.region, across, down), width: across };

        let region = paste.region;
        let planes = super::resample::resize(&paste.picture.planes(region), (region.width, region.height), paste.work);
        let image = Tensor::<4>::from_data(TensorData::new(planes, [1, 3, height, width]), device);
        let clean = pipeline.encode(image.clone())?; // [1, C, h, w]
        if clean.dims() != self.latents.dims() {
            let (found, wanted) = (clean.dims(), self.latents.dims());
            return Err(Error::model("vae", format!("an image becomes latents {found:?}, the model takes {wanted:?}")));
        }
        if pipeline.takes_mask() {
            self.condition = Some(condition(&pipeline, image, &paste)?);
        }
        let first = self.sampler.start(how.strength);
        let steps = self.sampler.steps() - first;
        let plan = match how.mask_aware.spotlight() {
            Some(spotlight) => {
                let config = pipeline.transformer().config();
                let batch = if is_guided(self.settings().guidance) { 2 } else { 1 };
                // Keys and values, f32.
                let bytes_per_token = 2 * 4 * batch * config.layers * config.width();
                let shape = Shape { columns: across, patch: config.patch_size, steps, bytes_per_token };
                spotlight.plan(&cells.redrawn(), shape, device)?
            }
            None => None,
        };
        if steps == 0 {
            paste.mask.weight.fill(0.0); // not even by a VAE's hand
        }
        let edit = Edit { clean, noise: self.noise.clone(), cells, paste, plan };
        if first > 0 {
            self.latents = edit.at(self.sampler.noise_at(first));
        }
        (self.first, self.next, self.edit) = (first, first, Some(edit));
        Ok(())
    }
}

/// The part of the image that is worked on, and at what size (width, height).
fn place(pipeline: &Pipeline, options: &InpaintOptions, mask: &Mask) -> (Region, (usize, usize)) {
    let GenerateOptions { width, height, latents, .. } = &options.generate;
    let (side, scale) = (pipeline.default_side(), pipeline.pixel_scale());
    // Given noise has a size of its own.
    let noise = latents.as_ref().and_then(|l| match l.shape[..] {
        [_, _, h, w] => Some((w.saturating_mul(scale), h.saturating_mul(scale))),
        _ => None,
    });
    let asked = (width.or(noise.map(|n| n.0)), height.or(noise.map(|n| n.1)));
    let image = (mask.width, mask.height);
    let region = if options.how.crop_to_mask {
        let aspect = match asked {
            (Some(width), Some(height)) => width.max(1) as f64 / height.max(1) as f64,
            _ => 1.0,
        };
        mask.bounds().padded(aspect, image)
    } else {
        Region::whole(image.0, image.1)
    };
    let own = if options.how.crop_to_mask {
        // Never at its own size: small holes gain from the model's whole resolution.
        working_size((region.width * side, region.height * side), side, pipeline.side_multiple(), MAX_SIDE)
    } else {
        working_size(image, side, pipeline.side_multiple(), MAX_SIDE)
    };
    (region, (asked.0.unwrap_or(own.0), asked.1.unwrap_or(own.1)))
}

/// `[1, 1 + C, h, w]`: 1 where cells are redrawn, and the latents of the image without its hole.
fn condition(pipeline: &Pipeline, image: Tensor<4>, paste: &Paste) -> Result<Tensor<4>> {
    let (width, height) = paste.work;
    let drawn = |columns: usize, rows: usize| {
        let weight = paste.mask.cells(paste.region, columns, rows).into_iter().map(|w| f32::from(u8::from(w > 0.0)));
        Tensor::<4>::from_data(TensorData::new(weight.collect(), [1, 1, rows, columns]), pipeline.device())
    };
    let kept = drawn(width, height) * -1.0 + 1.0;
    let scale = pipeline.pixel_scale();
    Ok(Tensor::cat(vec![drawn(width / scale, height / scale), pipeline.encode(image * kept)?], 1))
}
