//! A picture by pulling, drawn from noise or into an image: every call of [`Run::step`] is one denoising step, and not calling it is a pause.

use std::rc::Rc;

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use super::Pipeline;
use super::budget::{Budget, BudgetRequest};
use super::captions::BatchCaptions;
use super::edit::Edit;
use super::image::Image;
use super::inpaint::{EditOptions, EditedRun, Placed, Prepared};
use super::mask_aware::StepMode;
use super::options::{GenerateOptions, Settings, Values};
use super::read_back::read_back;
use super::record::{Notes, RoutingRecord};
use super::warning::Warning;
use crate::error::{Error, Result};
use crate::flops::{self, Flops};
use crate::model::active_tokens::StepInput;
use crate::model::ratios::KeepTable;
use crate::model::transformer::{Captions, StepRouting};
use crate::sampler::guidance::{guide, is_guided};
use crate::sampler::noise::gaussian;
use crate::sampler::{History, Level, Sampler};

/// Channels of a picture, which a model without a VAE draws itself.
const PICTURE_CHANNELS: usize = 3;
/// The stream of the seed's noise that the latents start from.
const INITIAL_NOISE: u64 = 0;

/// One image on its way.
#[derive(Debug)]
pub struct Run {
    pipeline: Rc<Pipeline>,
    settings: Settings,
    sampler: Sampler,
    history: History<Tensor<4>>,
    captions: Captions,
    /// Tokens of the longest caption.
    caption_length: usize,
    warnings: Vec<Warning>,
    keep: Option<KeepTable>,
    latents: Tensor<4>,
    denoised: Option<Tensor<4>>,
    /// Present where the routing is to be returned.
    notes: Option<Notes>,
    /// The step the run starts at, of the sampler's.
    first: usize,
    next: usize,
    /// What a model that was trained to inpaint takes beside the latents: `[1, 1 + C, h, w]`.
    condition: Option<Tensor<4>>,
    /// Present where an image is inpainted.
    edit: Option<Edit>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(optional_fields))]
pub struct StepReport {
    /// Steps done, from 1.
    pub step: usize,
    pub total: usize,
    /// The timestep the network was told.
    pub timestep: f64,
    /// Share of the tokens that each layer ran; none of a dense model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Vec<f64>>,
}

/// What a finished run leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOutput {
    pub image: Image,
    /// What the decoder gave, `[1, 3, H, W]`: in [-1, 1], but for the overshoots of an inpainting.
    pub pixels: Values,
    /// The inpainted image `[1, 3, H, W]` in [-1, 1], where it came as values.
    pub composite: Option<Values>,
    /// `[1, C, h, w]`.
    pub latents: Values,
    /// Where it was asked for.
    pub routing: Option<RoutingRecord>,
}

impl Run {
    /// Checks the options, encodes the prompts and, where an image is edited, that, and stands at the first step.
    ///
    /// # Errors
    /// `InvalidInput` naming the option; `OutOfMemory` or `LimitTooSmall` where the picture does not fit.
    pub fn new(pipeline: Rc<Pipeline>, options: &GenerateOptions, edit: Option<&EditOptions>) -> Result<Self> {
        let placed = edit.map(|edit| Placed::new(&pipeline, options, edit)).transpose()?;
        let settings = match placed.as_ref().map(Placed::size) {
            Some((width, height)) => {
                GenerateOptions { width: Some(width), height: Some(height), ..options.clone() }.settings(&pipeline)?
            }
            None => options.settings(&pipeline)?,
        };
        if pipeline.decoders().next().is_none() && pipeline.latent_channels() != PICTURE_CHANNELS {
            return Err(Error::input("vae", "this bundle has no VAE to make a picture of its latents"));
        }
        let sampler = Sampler::new(&pipeline.manifest().parts.scheduler, settings.solver, settings.steps)?;
        let guided = is_guided(settings.guidance);
        let request =
            BudgetRequest { width: settings.width, height: settings.height, batch: if guided { 2 } else { 1 } };
        let profile = crate::device::profile(pipeline.device());
        Budget::new(pipeline.manifest(), request, profile.backend).check(&profile)?;
        let BatchCaptions { captions, length: caption_length, warnings } =
            BatchCaptions::new(&pipeline, options, guided)?;
        let scale = pipeline.pixel_scale();
        let shape = [1, pipeline.latent_channels(), settings.height / scale, settings.width / scale];
        let noise = match &options.latents {
            Some(latents) => latents.tensor("latents", pipeline.device())?,
            None => noise(settings.seed, INITIAL_NOISE, shape, &pipeline),
        };
        let keep = pipeline.keep_table(&options.compression)?;
        let mut latents = noise.clone() * sampler.init_sigma();
        let (mut edit, mut first, mut condition) = (None, 0, None);
        if let Some(placed) = placed {
            let batch = if guided { 2 } else { 1 };
            let run = EditedRun { pipeline: &pipeline, sampler: &sampler, noise: &noise, batch };
            let prepared: Prepared = placed.prepare(run)?;
            if prepared.first > 0 {
                latents = prepared.edit.at(sampler.noise_at(prepared.first));
            }
            (edit, first, condition) = (Some(prepared.edit), prepared.first, prepared.condition);
        } else if pipeline.takes_mask() {
            condition = Some(all_to_draw(&pipeline, &settings)?);
        }
        Ok(Self {
            pipeline,
            settings,
            sampler,
            history: History::default(),
            captions,
            caption_length,
            warnings,
            keep,
            latents,
            denoised: None,
            notes: options.return_routing.then(Notes::default),
            first,
            next: first,
            condition,
            edit,
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What of the request was left out.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Operations of the denoising network in the whole run, and what a dense one would take; without text encoder and VAE.
    pub fn flops(&self) -> (Flops, Flops) {
        let config = self.pipeline.transformer.config();
        let (length, batch) = (self.caption_length, if is_guided(self.settings.guidance) { 2 } else { 1 });
        let n = self.grid().iter().product();
        let (mut run, mut dense) = (flops::caption(config, length), flops::caption(config, length));
        for (i, &timestep) in self.sampler.timesteps().iter().enumerate().skip(self.first) {
            let keep = self.keep.as_ref().map(|table| table.at(i, self.sampler.steps(), timestep));
            let keep = keep.as_deref();
            run = run
                + match self.mode(i - self.first) {
                    (StepMode::All, _) => flops::step(config, n, length, keep),
                    (StepMode::Active, active) => flops::focused(config, n, active, length, keep),
                    (StepMode::Cache, active) => {
                        flops::step(config, n, length, keep) + flops::remembering(config, n, active, keep)
                    }
                };
            dense = dense + flops::step(config, n, length, None);
        }
        (run * batch, dense * batch)
    }

    /// Denoising steps in all.
    pub fn total(&self) -> usize {
        self.sampler.steps() - self.first
    }

    /// What step `i` of the run computes, and of how many active tokens.
    pub fn mode(&self, i: usize) -> (StepMode, usize) {
        match self.edit.as_ref().and_then(|edit| edit.plan.as_ref()) {
            Some(plan) => (plan.mode(i), plan.active.active()),
            None => (StepMode::All, 0),
        }
    }

    /// Takes one denoising step; `None` once all are done. Work is queued on the device, not waited for.
    pub fn step(&mut self) -> Result<Option<StepReport>> {
        let i = self.next;
        let Some(&timestep) = self.sampler.timesteps().get(i) else { return Ok(None) };
        let output = self.predict(i, timestep)?; // [1, C, h, w]
        let (seed, pipeline, shape) = (self.settings.seed, &self.pipeline, self.latents.dims());
        let fresh = || noise(seed, INITIAL_NOISE + 1 + i as u64, shape, pipeline);
        let step = self.sampler.step(i, output, self.latents.clone(), &mut self.history, fresh);
        (self.latents, self.denoised) = (step.next, Some(step.denoised));
        if let Some(edit) = &self.edit {
            let (done, total) = (i - self.first, self.total());
            self.latents = edit.blend(self.latents.clone(), done, total, self.sampler.noise_at(i + 1));
            self.history.edited();
            self.denoised = self.denoised.take().map(|x| edit.blend(x, done, total, Level::CLEAN));
        }
        self.next += 1;
        let keep = self.keep.as_ref().map(|table| table.at(i, self.sampler.steps(), timestep));
        Ok(Some(StepReport { step: self.next - self.first, total: self.total(), timestep, keep }))
    }

    /// Ends when the device has done all steps taken so far: the latents are read back.
    ///
    /// # Errors
    /// `NotFinite` naming the step whose latents are no numbers.
    pub async fn wait(&self) -> Result<()> {
        self.finite("latents", &read_back(self.latents.clone()).await?)
    }

    /// `values` of the last step are numbers.
    fn finite(&self, what: &'static str, values: &[f32]) -> Result<()> {
        if values.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        Err(Error::NotFinite { what, step: self.next - self.first, total: self.total() })
    }

    /// The image as the last step estimates it; grey before the first.
    pub async fn preview(&self) -> Result<Image> {
        let latents = self.denoised.clone().unwrap_or_else(|| self.latents.zeros_like());
        let pixels = self.pipeline.decode_preview(latents).await?;
        match &self.edit {
            Some(edit) => Ok(edit.paste.bytes(&read_back(pixels).await?)),
            None => Image::read(pixels).await,
        }
    }

    /// Decodes and reads back the image, after the last step.
    ///
    /// # Errors
    /// `Internal` where steps are left, `NotFinite` where latents or pixels are no numbers.
    pub async fn finish(&self) -> Result<GenerateOutput> {
        if self.next < self.sampler.steps() {
            return Err(Error::internal(format!("{} of {} steps are done", self.next - self.first, self.total())));
        }
        let latents = values(self.latents.clone()).await?;
        self.finite("latents", &latents.data)?;
        let routing = match &self.notes {
            Some(notes) => Some(notes.read(self.grid()).await?),
            None => None,
        };
        let pixels = self.pipeline.decode(self.latents.clone())?;
        let Some(Edit { paste, .. }) = &self.edit else {
            // A clamp may make a number of what is none.
            let mut pixels = values(pixels).await?;
            self.finite("pixels", &pixels.data)?;
            pixels.data.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
            let image = Image::of_values(&pixels)?;
            return Ok(GenerateOutput { image, pixels, composite: None, latents, routing });
        };
        let pixels = values(pixels).await?;
        self.finite("pixels", &pixels.data)?;
        Ok(GenerateOutput {
            image: paste.bytes(&pixels.data),
            composite: paste.values(&pixels.data),
            pixels,
            latents,
            routing,
        })
    }

    /// Rows and columns of tokens.
    fn grid(&self) -> [usize; 2] {
        let [_, _, height, width] = self.latents.dims();
        let patch = self.pipeline.transformer.config().patch_size;
        [height / patch, width / patch]
    }

    /// The network's guided output for the current latents, without the variance some models add.
    fn predict(&mut self, i: usize, timestep: f64) -> Result<Tensor<4>> {
        let x = self.latents.clone() * self.sampler.input_scale(i);
        let channels = x.dims()[1];
        let x = match &self.condition {
            Some(condition) => Tensor::cat(vec![x, condition.clone()], 1),
            None => x,
        };
        let guided = is_guided(self.settings.guidance);
        let x = if guided { Tensor::cat(vec![x.clone(), x], 0) } else { x }; // [1 or 2, C, h, w]
        let timesteps = vec![timestep as f32; x.dims()[0]];
        let routing =
            self.keep.as_ref().map(|table| table.at(i, self.sampler.steps(), timestep)).zip(self.pipeline.score_gain());
        let routing = routing.map(|(keep, gain)| StepRouting { keep, gain });
        let (routing, captions) = (routing.as_ref(), &self.captions);
        let model = &self.pipeline.transformer;
        let plan = self.edit.as_mut().and_then(|edit| edit.plan.as_mut()).map(|plan| (plan.mode(i - self.first), plan));
        let mut routed = Vec::new();
        let output = match plan {
            Some((StepMode::Active, plan)) => {
                let step = StepInput { latents: x, timesteps: &timesteps, captions, routing };
                model.forward_active(step, &plan.active, &plan.cache)?
            }
            Some((StepMode::Cache, plan)) => {
                let step = StepInput { latents: x, timesteps: &timesteps, captions, routing };
                model.forward_caching(step, &plan.active, &mut plan.cache)?
            }
            Some((StepMode::All, _)) | None => {
                let (output, chosen) = model.forward(x, &timesteps, captions, routing)?;
                routed = chosen;
                output
            }
        };
        if let Some(notes) = &mut self.notes {
            notes.add(timestep, routed);
        }
        let output = output.narrow(1, 0, channels); // drops a learned variance
        Ok(if guided { guide(output, self.settings.guidance) } else { output })
    }
}

/// What a model that was trained to inpaint takes where there is nothing to keep: a mask of ones, and the latents of grey.
fn all_to_draw(pipeline: &Pipeline, settings: &Settings) -> Result<Tensor<4>> {
    let (height, width, scale) = (settings.height, settings.width, pipeline.pixel_scale());
    let grey = pipeline.encode(Tensor::zeros([1, 3, height, width], pipeline.device()))?; // [1, C, h, w]
    Ok(Tensor::cat(vec![Tensor::ones([1, 1, height / scale, width / scale], pipeline.device()), grey], 1))
}

fn noise(seed: u64, stream: u64, shape: [usize; 4], pipeline: &Pipeline) -> Tensor<4> {
    let data = gaussian(seed, stream, shape.iter().product());
    Tensor::from_data(TensorData::new(data, shape), pipeline.device())
}

async fn values(tensor: Tensor<4>) -> Result<Values> {
    Ok(Values { shape: tensor.dims().to_vec(), data: read_back(tensor).await? })
}
