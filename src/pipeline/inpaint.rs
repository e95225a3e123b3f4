//! Inpainting with any bundle: an image and a mask make a run one that redraws what the mask covers.
//!
//! Latent blending: the run starts at the step that `strength` says, from the image's latents with noise; after each step
//! the cells outside the mask return to the image's, noised for the next step ([`super::edit`]); at the end only the pixels of the
//! mask are pasted back ([`super::paste`]), so the others stay as they are to the bit.

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

use super::Pipeline;
use super::crop::{Region, working_size};
use super::edit::{Cells, Edit};
use super::limits::{FEATHER, MAX_SIDE, STRENGTH};
use super::mask::Mask;
use super::mask_aware::{MaskAwareOptions, RunShape};
use super::options::GenerateOptions;
use super::paste::Paste;
use super::picture::{MaskFrom, Picture};
use super::resample::resize;
use crate::error::{Error, Result};
use crate::sampler::Sampler;

/// What is inpainted. Without `width` and `height` among the options of the run the image is worked on at its own size where that is
/// near the model's, else at the model's; `latents` is the unit noise.
#[derive(Debug, Clone)]
pub struct EditOptions {
    pub image: Picture,
    /// White is redrawn: `[1, 1, H, W]` of at least one half, or pixels as [`InpaintSettings::mask_from`] says.
    pub mask: Picture,
    pub how: InpaintSettings,
}

/// How an image is inpainted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct InpaintSettings {
    /// Share of the steps that are run: 1 redraws from noise alone, 0 changes nothing. @default 1
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub strength: f64,
    /// Computes what the hole needs and not the whole image, where nothing is lost by it. @default true
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub mask_aware: MaskAware,
    /// Draws the mask's surroundings alone, at the model's size: details for small holes, and images of any size. @default false
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub crop_to_mask: bool,
    /// Pixels outside the mask over which the drawing fades into the image. @default 0
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub feather: f64,
    /// What of the mask says what is redrawn: `lightness`, of a picture in black and white, or `alpha`, its transparent part. @default 'lightness'
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub mask_from: MaskFrom,
}

/// Whether the cost follows the hole: yes, no, or how.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(untagged)]
pub enum MaskAware {
    Switch(bool),
    Options(MaskAwareOptions),
}

impl Default for InpaintSettings {
    fn default() -> Self {
        Self {
            strength: STRENGTH.default,
            mask_aware: MaskAware::Switch(true),
            crop_to_mask: false,
            feather: FEATHER.default,
            mask_from: MaskFrom::default(),
        }
    }
}

impl MaskAware {
    fn options(self) -> Option<MaskAwareOptions> {
        match self {
            Self::Switch(on) => on.then(MaskAwareOptions::default),
            Self::Options(options) => Some(options),
        }
    }
}

/// An edit whose image and mask are checked and placed.
pub(super) struct Placed {
    paste: Paste,
    how: InpaintSettings,
}

/// The run that an edit is part of.
pub(super) struct EditedRun<'a> {
    pub pipeline: &'a Pipeline,
    pub sampler: &'a Sampler,
    /// Unit noise that the run starts from: `[1, C, h, w]`.
    pub noise: &'a Tensor<4>,
    /// Images of a step.
    pub batch: usize,
}

/// What an edit makes of a run.
pub(super) struct Prepared {
    pub edit: Edit,
    /// The step the run starts at, of the sampler's.
    pub first: usize,
    /// What a model that was trained to inpaint takes beside the latents: `[1, 1 + C, h, w]`.
    pub condition: Option<Tensor<4>>,
}

impl Placed {
    /// # Errors
    /// `InvalidInput` naming the option.
    pub fn new(pipeline: &Pipeline, generate: &GenerateOptions, edit: &EditOptions) -> Result<Self> {
        let EditOptions { image, mask, how } = edit;
        STRENGTH.check(how.strength)?;
        let (size, mask_size) = (image.size("image", 3)?, mask.size("mask", 1)?);
        let mask = Mask::new(&mask.mask(how.mask_from)?, mask_size, size)?.feathered(how.feather)?;
        let (region, work) = place(pipeline, generate, how, &mask);
        Ok(Self { paste: Paste { picture: image.clone(), mask, region, work }, how: how.clone() })
    }

    /// Width and height that the run draws.
    pub fn size(&self) -> (usize, usize) {
        self.paste.work
    }

    /// Encodes the image and stands at the first step.
    pub fn prepare(self, run: EditedRun) -> Result<Prepared> {
        let Self { mut paste, how } = self;
        let EditedRun { pipeline, sampler, noise, batch } = run;
        let ((width, height), device) = (paste.work, pipeline.device());
        let (across, down) = (width / pipeline.pixel_scale(), height / pipeline.pixel_scale());
        let cells = Cells { weight: paste.mask.cells(paste.region, across, down), width: across };

        let region = paste.region;
        let planes = resize(&paste.picture.planes(region), (region.width, region.height), paste.work);
        let image = Tensor::<4>::from_data(TensorData::new(planes, [1, 3, height, width]), device);
        let clean = pipeline.encode(image.clone())?; // [1, C, h, w]
        if clean.dims() != noise.dims() {
            let (found, wanted) = (clean.dims(), noise.dims());
            return Err(Error::model("vae", format!("an image becomes latents {found:?}, the model takes {wanted:?}")));
        }
        let condition = if pipeline.takes_mask() { Some(condition(pipeline, image, &paste)?) } else { None };
        let first = sampler.start(how.strength);
        let steps = sampler.steps() - first;
        let plan = match how.mask_aware.options() {
            // Compressed keys and values need the whole grid.
            Some(_) if pipeline.transformer().config().kv_compression.is_some() => None,
            Some(options) => {
                let config = pipeline.transformer().config();
                // Keys and values, f32.
                let bytes_per_token = 2 * 4 * batch * config.layers * config.width();
                let shape = RunShape { columns: across, patch: config.patch_size, steps, bytes_per_token };
                options.plan(&cells.redrawn(), shape, device)?
            }
            None => None,
        };
        if steps == 0 {
            paste.mask.weight.fill(0.0); // not even by a VAE's hand
        }
        Ok(Prepared { edit: Edit { clean, noise: noise.clone(), cells, paste, plan }, first, condition })
    }
}

/// The part of the image that is worked on, and at what size (width, height).
fn place(
    pipeline: &Pipeline,
    generate: &GenerateOptions,
    how: &InpaintSettings,
    mask: &Mask,
) -> (Region, (usize, usize)) {
    let GenerateOptions { width, height, latents, .. } = generate;
    let (side, scale) = (pipeline.default_side(), pipeline.pixel_scale());
    // Given noise has a size of its own.
    let noise = latents.as_ref().and_then(|l| match l.shape[..] {
        [_, _, h, w] => Some((w.saturating_mul(scale), h.saturating_mul(scale))),
        _ => None,
    });
    let asked = (width.or(noise.map(|n| n.0)), height.or(noise.map(|n| n.1)));
    let image = (mask.width, mask.height);
    let region = if how.crop_to_mask {
        let aspect = match asked {
            (Some(width), Some(height)) => width.max(1) as f64 / height.max(1) as f64,
            _ => 1.0,
        };
        mask.bounds().padded(aspect, image)
    } else {
        Region::whole(image.0, image.1)
    };
    let own = if how.crop_to_mask {
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
