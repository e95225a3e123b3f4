//! Text to image by pulling: every call of [`Run::step`] is one denoising step, and not calling it is a pause.

use std::rc::Rc;

use burn::tensor::{Tensor, TensorData};

use super::Pipeline;
use super::image::{Image, read_back};
use super::options::{GenerateOptions, Settings, Values};
use crate::error::{Error, Result};
use crate::model::ratios::KeepTable;
use crate::model::transformer::{Captions, StepRouting};
use crate::sampler::guidance::{guide, is_guided};
use crate::sampler::noise::gaussian;
use crate::sampler::{History, Sampler};

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
    keep: Option<KeepTable>,
    latents: Tensor<4>,
    denoised: Option<Tensor<4>>,
    next: usize,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps done, from 1.
    pub step: usize,
    pub total: usize,
    /// The timestep the network was told.
    pub timestep: f64,
}

/// What a finished run leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub image: Image,
    /// `[1, 3, H, W]` in [-1, 1].
    pub pixels: Values,
    /// `[1, C, h, w]`.
    pub latents: Values,
}

impl Run {
    /// Checks the options and encodes the prompts.
    pub fn new(pipeline: Rc<Pipeline>, options: &GenerateOptions) -> Result<Self> {
        let settings = options.settings(&pipeline)?;
        let sampler = Sampler::new(&pipeline.manifest().parts.scheduler, settings.solver, settings.steps)?;
        let guided = is_guided(settings.guidance);
        let captions = captions(&pipeline, options, guided)?;
        let device = pipeline.device();
        let scale = pipeline.pixel_scale();
        let shape = [1, pipeline.latent_channels(), settings.height / scale, settings.width / scale];
        let noise = match &options.latents {
            Some(latents) => latents.tensor("latents", device)?,
            None => noise(settings.seed, INITIAL_NOISE, shape, &pipeline),
        };
        let latents = noise * sampler.init_sigma();
        let keep = pipeline.keep_table(&options.compression)?;
        let history = History::default();
        Ok(Self { pipeline, settings, sampler, history, captions, keep, latents, denoised: None, next: 0 })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Denoising steps in all.
    pub fn total(&self) -> usize {
        self.sampler.steps()
    }

    /// Takes one denoising step; `None` once all are done. Work is queued on the device, not waited for.
    pub fn step(&mut self) -> Result<Option<StepReport>> {
        let i = self.next;
        let Some(&timestep) = self.sampler.timesteps().get(i) else { return Ok(None) };
        let output = self.predict(i, timestep)?; // [1, C, h, w]
        let (seed, pipeline, shape) = (self.settings.seed, &self.pipeline, self.latents.dims());
        let fresh = || noise(seed, INITIAL_NOISE + 1 + i as u64, shape, pipeline);
        let step = self.sampler.step(i, output, self.latents.clone(), &mut self.history, fresh);
        self.latents = step.next;
        self.denoised = Some(step.denoised);
        self.next += 1;
        Ok(Some(StepReport { step: self.next, total: self.total(), timestep }))
    }

    /// Ends when the device has done all steps taken so far: one value is read back.
    pub async fn wait(&self) -> Result<()> {
        let [b, c, h, w] = self.latents.dims();
        let last = self.latents.clone().slice([b - 1..b, c - 1..c, h - 1..h, w - 1..w]);
        read_back(last).await.map(|_| ())
    }

    /// The image as the last step estimates it; grey before the first.
    pub async fn preview(&self) -> Result<Image> {
        let latents = self.denoised.clone().unwrap_or_else(|| self.latents.zeros_like());
        Image::read(self.pipeline.decode_preview(latents)?).await
    }

    /// Decodes and reads back the image, after the last step.
    ///
    /// # Errors
    /// `Internal` where steps are left.
    pub async fn finish(&self) -> Result<Output> {
        if self.next < self.total() {
            return Err(Error::internal(format!("{} of {} steps are done", self.next, self.total())));
        }
        let pixels = self.pipeline.decode(self.latents.clone())?.clamp(-1.0, 1.0);
        Ok(Output {
            image: Image::read(pixels.clone()).await?,
            pixels: values(pixels).await?,
            latents: values(self.latents.clone()).await?,
        })
    }

    /// The network's guided output for the current latents, without the variance some models add.
    fn predict(&self, i: usize, timestep: f64) -> Result<Tensor<4>> {
        let x = self.latents.clone() * self.sampler.input_scale(i);
        let channels = x.dims()[1];
        let guided = is_guided(self.settings.guidance);
        let x = if guided { Tensor::cat(vec![x.clone(), x], 0) } else { x }; // [1 or 2, C, h, w]
        let timesteps = vec![timestep as f32; x.dims()[0]];
        let routing =
            self.keep.as_ref().map(|table| table.at(i, self.total(), timestep)).zip(self.pipeline.score_gain());
        let routing = routing.map(|(keep, gain)| StepRouting { keep, gain });
        let (output, _) = self.pipeline.transformer.forward(x, &timesteps, &self.captions, routing.as_ref())?;
        let output = output.narrow(1, 0, channels); // drops a learned variance
        Ok(if guided { guide(output, self.settings.guidance) } else { output })
    }
}

/// The captions of a batch: [negative, positive] under guidance, the positive alone without.
fn captions(pipeline: &Pipeline, options: &GenerateOptions, guided: bool) -> Result<Captions> {
    let states = |field: &str, embeds: &Option<Values>, prompt_field: &str, prompt: Option<&str>| match (embeds, prompt)
    {
        (Some(values), _) => values.tensor::<3>(field, pipeline.device()),
        (None, Some(prompt)) => pipeline.encode_prompt(prompt_field, prompt),
        (None, None) => Err(Error::input(prompt_field, "there is no prompt")),
    };
    let positive = states("promptEmbeds", &options.prompt_embeds, "prompt", options.prompt.as_deref())?;
    if !guided {
        let length = positive.dims()[1];
        return pipeline.transformer.captions(positive, &[length]);
    }
    let negative_prompt = Some(options.negative_prompt.as_deref().unwrap_or(""));
    let negative = states("negativePromptEmbeds", &options.negative_prompt_embeds, "negativePrompt", negative_prompt)?;
    let lengths = [negative.dims()[1], positive.dims()[1]];
    let longest = lengths[0].max(lengths[1]);
    if negative.dims()[2] != positive.dims()[2] {
        return Err(Error::input("negativePromptEmbeds", "its width is not that of the prompt's"));
    }
    let states = Tensor::cat(vec![pad(negative, longest), pad(positive, longest)], 0); // [2, S, E]
    pipeline.transformer.captions(states, &lengths)
}

/// `[1, S, E]` with zeros up to `tokens`.
fn pad(states: Tensor<3>, tokens: usize) -> Tensor<3> {
    let [b, s, e] = states.dims();
    if s == tokens {
        return states;
    }
    let zeros = Tensor::zeros([b, tokens - s, e], &states.device());
    Tensor::cat(vec![states, zeros], 1)
}

fn noise(seed: u64, stream: u64, shape: [usize; 4], pipeline: &Pipeline) -> Tensor<4> {
    let data = gaussian(seed, stream, shape.iter().product());
    Tensor::from_data(TensorData::new(data, shape), pipeline.device())
}

async fn values(tensor: Tensor<4>) -> Result<Values> {
    Ok(Values { shape: tensor.dims().to_vec(), data: read_back(tensor).await? })
}
