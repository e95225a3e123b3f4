//! What a caller asks for, and the check that makes it the settings of a run: every fault names its field.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Pipeline;
use super::limits::{self, GUIDANCE, MAX_SIDE, STEPS};
use crate::bundle::Manifest;
use crate::bundle::config::SolverKind;
use crate::error::{Error, Result};
use crate::model::ratios::Compression;

/// Options of `generate`, as they come from JavaScript or from the command line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(optional_fields, rename = "RunRequest"))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GenerateOptions {
    /// What to draw. @default ''
    pub prompt: Option<String>,
    /// What to steer away from. @default ''
    pub negative_prompt: Option<String>,
    /// Of the noise. @default 0
    pub seed: Option<u64>,
    /// Denoising steps. @default 20; 4 with the LCM solver, 1 with DMD
    pub steps: Option<usize>,
    /// Weight of the prompt against the negative prompt; off at 1 and below. @default 4.5; 1 with LCM and DMD
    pub guidance: Option<f64>,
    /// Pixels. @default the model's own size
    pub width: Option<usize>,
    /// Pixels. @default the model's own size
    pub height: Option<usize>,
    /// @default the one that the model's publisher chose
    pub solver: Option<SolverKind>,
    /// How many tokens the layers of a routed model skip: `'learned'`, `'off'`, a preset of the model, or a share from 0 to 0.9.
    /// @default 'learned'
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub compression: Compression,
    /// Unit noise to start from, `[1, C, h, w]`, instead of the seed's.
    pub latents: Option<Values>,
    /// Text states `[1, S, E]` instead of a prompt.
    pub prompt_embeds: Option<Values>,
    /// The same instead of the negative prompt.
    pub negative_prompt_embeds: Option<Values>,
    /// Which of `promptEmbeds` are tokens, `[1, S]`: ones, then zeros for padding. @default all
    pub prompt_attention_mask: Option<Values>,
    /// The same of `negativePromptEmbeds`.
    pub negative_prompt_attention_mask: Option<Values>,
    /// Whether the run keeps a record of the tokens its layers kept. @default false
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub return_routing: bool,
}

/// A tensor in host memory, row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(rename = "Tensor"))]
#[serde(deny_unknown_fields)]
pub struct Values {
    pub shape: Vec<usize>,
    #[cfg_attr(test, ts(type = "Float32Array"))]
    pub data: Vec<f32>,
}

impl Values {
    /// As a tensor; the shape's rank is checked by the caller's pattern.
    ///
    /// # Errors
    /// `InvalidInput` naming `field`: the values do not fill the shape, or one is not finite.
    pub fn tensor<const D: usize>(&self, field: &str, device: &Device) -> Result<Tensor<D>> {
        let shape: [usize; D] =
            self.shape.clone().try_into().map_err(|_| {
                Error::input(field, format!("the shape is {:?}, it must have {D} dimensions", self.shape))
            })?;
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count != Some(self.data.len()) || self.data.is_empty() {
            return Err(Error::input(field, format!("{} values do not fill the shape {shape:?}", self.data.len())));
        }
        if !self.data.iter().all(|v| v.is_finite()) {
            return Err(Error::input(field, "a value is not finite"));
        }
        Ok(Tensor::from_data(TensorData::new(self.data.clone(), shape), device))
    }
}

/// Checked settings of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(rename = "RunSettings"))]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub seed: u64,
    pub steps: usize,
    pub guidance: f64,
    pub solver: SolverKind,
    pub compression: Compression,
    /// Pixels.
    pub height: usize,
    pub width: usize,
}

impl GenerateOptions {
    /// The solver of a run of `manifest`'s model.
    fn solver(&self, manifest: &Manifest) -> SolverKind {
        self.solver.unwrap_or(manifest.parts.scheduler.solver)
    }

    /// The guidance of a run of `manifest`'s model.
    pub fn guidance(&self, manifest: &Manifest) -> f64 {
        self.guidance.unwrap_or(limits::solver_defaults(self.solver(manifest)).1)
    }

    /// Fills in defaults and checks every value against the model.
    pub fn settings(&self, pipeline: &Pipeline) -> Result<Settings> {
        let solver = self.solver(pipeline.manifest());
        let steps = self.steps.unwrap_or(limits::solver_defaults(solver).0);
        STEPS.check(steps as f64)?;
        let guidance = self.guidance(pipeline.manifest());
        GUIDANCE.check(guidance)?;
        let (height, width) = self.size(pipeline)?;
        Ok(Settings {
            seed: self.seed.unwrap_or(0),
            steps,
            guidance,
            solver,
            compression: self.compression.clone(),
            height,
            width,
        })
    }

    /// The image's (height, width): what is asked for, what the given latents mean, or the model's own.
    fn size(&self, pipeline: &Pipeline) -> Result<(usize, usize)> {
        let (scale, side) = (pipeline.pixel_scale(), pipeline.default_side());
        let (own_height, own_width) = match self.latents.as_ref().map(|l| &l.shape[..]) {
            None => (side, side),
            Some(&[1, c, h, w]) if c == pipeline.latent_channels() => {
                (h.saturating_mul(scale), w.saturating_mul(scale))
            }
            Some(shape) => {
                let c = pipeline.latent_channels();
                return Err(Error::input(
                    "latents",
                    format!("the shape is {shape:?}, the model asks for [1, {c}, h, w]"),
                ));
            }
        };
        let size = (self.height.unwrap_or(own_height), self.width.unwrap_or(own_width));
        if self.latents.is_some() && size != (own_height, own_width) {
            return Err(Error::input("latents", format!("they are of a {own_height} x {own_width} image")));
        }
        let multiple = pipeline.side_multiple();
        for (field, side) in [("height", size.0), ("width", size.1)] {
            if side == 0 || side > MAX_SIDE || side % multiple != 0 {
                return Err(Error::input(field, format!("{side} is no multiple of {multiple} up to {MAX_SIDE}")));
            }
        }
        Ok(size)
    }
}
