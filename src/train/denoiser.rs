//! A denoiser to be trained: a transformer and its text encoder, with routers or without, over pixels or an autoencoder's latents.

use std::borrow::Cow;
use std::sync::OnceLock;

use burn::tensor::{Device, Gradients};

use super::config::{Kind, Recompute, Sigma, TrainConfig};
use super::controller::{Controller, target_at};
use super::gradient::Gradient;
use super::latents::EncodedSource;
use super::net::{Frame, Goal, Losses, Net, RATIO};
use super::noise::{Caption, MicroBatch, Noisy, timesteps};
use super::objective::{Exported, Moment, Objective, once};
use super::origin::{Origin, mean};
use super::parameters::Parameters;
use super::progress::Worth;
use super::stage::Stage;
use super::step::{Outcome, Workers, value};
use super::vlb::Bound;
use super::{export, recompute, samples, source};
use crate::convert::progress::{Progress, Unwatched};
use crate::data::random::Random;
use crate::data::{Batch, Source};
use crate::device;
use crate::error::{Error, Result};
use crate::model::ratios::{limits, region};
use crate::model::tokenizer::Tokenizer;
use crate::sampler::schedule::Schedule;

/// Streams of the run's seed for a step's choices.
const CHOICES: u64 = 1 << 32;
/// A step that no run reaches: held-out pictures have its choices and its noise.
const HELD_OUT: u64 = 1 << 30;

#[derive(Debug)]
pub struct Denoiser<'a> {
    config: &'a TrainConfig,
    kind: Kind,
    frame: Frame,
    tokenizer: Tokenizer,
    tokenizer_bytes: Vec<u8>,
    schedule: Schedule,
    bound: Option<Bound>,
    /// The present one.
    stage: Stage,
    /// Pictures of its size that are not trained on, once they were asked for.
    held_out: OnceLock<Option<Vec<MicroBatch>>>,
}

impl<'a> Denoiser<'a> {
    /// The model that `config` starts from, and its parameters.
    ///
    /// # Errors
    /// As [`Origin::new`].
    pub fn new(config: &'a TrainConfig, kind: Kind, device: &Device) -> Result<(Self, Parameters)> {
        let Origin { frame, trained, tokenizer: tokenizer_bytes } = Origin::new(config, kind, device)?;
        let tokenizer = frame.parts.tokenizer.as_ref().ok_or_else(|| Error::input("from", "it has no tokenizer"))?;
        let tokenizer = Tokenizer::from_json(&tokenizer_bytes, tokenizer, frame.parts.vocab_size())?;
        let schedule = Schedule::new(&frame.parts.scheduler)?;
        let bound = (config.loss.sigma == Sigma::Vlb).then(|| Bound::new(&schedule));
        let held_out = OnceLock::new();
        let stage = config.stages()?.first().copied().ok_or_else(|| Error::input("stage", "there is none"))?;
        Ok((Self { config, kind, frame, tokenizer, tokenizer_bytes, schedule, bound, stage, held_out }, trained))
    }

    /// A loss as that of its region alone: every region has as many pictures of a step.
    fn of_region(&self, region: usize, loss: f64) -> Vec<f64> {
        let regions = self.frame.routing.as_ref().map_or(0, |r| r.regions);
        (0..regions).map(|r| if r == region { loss * regions as f64 } else { 0.0 }).collect()
    }

    /// The denoising loss of `trained` over some micro-batches, without a graph.
    fn loss(&self, workers: &Workers, trained: &Parameters, batches: &[MicroBatch]) -> Result<f64> {
        let trained = self.rounded(trained)?;
        let goal = Goal { total: pictures(batches), target: 1.0, bound: None };
        let losses = workers.map(batches.len(), |i| {
            let net = Net::new(&self.frame, &trained, workers.plain())?;
            Ok(value(&self.losses(&net, &batches[i], goal)?.denoise))
        })?;
        Ok(losses.iter().sum())
    }

    /// The parameters as they will be stored, where they learn that.
    fn rounded<'p>(&self, trained: &'p Parameters) -> Result<Cow<'p, Parameters>> {
        match &self.frame.rounding {
            Some(rounding) => rounding.apply(&*trained.read()?).map(Cow::Owned),
            None => Ok(Cow::Borrowed(trained)),
        }
    }

    fn losses(&self, net: &Net, batch: &MicroBatch, goal: Goal) -> Result<Losses> {
        net.losses(batch, self.noisy(batch)?, &self.frame, goal)
    }

    fn noisy(&self, batch: &MicroBatch) -> Result<Noisy> {
        batch.noisy(&self.schedule, self.frame.parts.scheduler.prediction, self.config.loss.weight_cap)
    }

    /// A batch as micro-batches of one region each.
    fn split(&self, batch: Batch, at: &Moment) -> Result<Vec<MicroBatch>> {
        let (config, count) = (self.config, at.stage.batch);
        let mut random = Random::new(config.seed, CHOICES + at.step);
        let regions = self.frame.routing.as_ref().map_or(1, |r| r.regions);
        let train_timesteps = self.schedule.timesteps();
        let timesteps = timesteps(&mut random, count, regions, train_timesteps, config.loss.shift);
        let empty = config.loss.empty_captions;
        let mut captions = Vec::with_capacity(count);
        for (i, caption) in batch.captions.iter().enumerate() {
            let dropped = random.unit() < empty;
            captions.push(match batch.states.get(i).filter(|_| self.frame.parts.text_encoder.is_none()) {
                Some(_) if dropped => Caption::States(batch.empty_states.clone()),
                Some(states) => Caption::States(states.clone()),
                None => Caption::Ids(self.tokenizer.encode(if dropped { "" } else { caption })?),
            });
        }
        let plane = batch.size * batch.size;
        let picture = batch.channels * plane;
        if batch.images.len() != picture * count || captions.len() != count {
            return Err(Error::internal("the source gave a batch of another size"));
        }
        let of = |t: usize| region(t as f64, regions, train_timesteps);
        let mut parts: Vec<MicroBatch> = Vec::new();
        let pictures = batch.images.chunks(picture);
        for (i, ((t, caption), image)) in timesteps.into_iter().zip(captions).zip(pictures).enumerate() {
            let full = |p: &MicroBatch| p.region != of(t) || p.timesteps.len() >= config.optimizer.micro_batch;
            if parts.last().is_none_or(full) {
                parts.push(MicroBatch {
                    region: of(t),
                    channels: batch.channels,
                    size: batch.size,
                    timesteps: vec![],
                    images: vec![],
                    masks: vec![],
                    captions: vec![],
                    noise: (config.seed, at.noise_stream(parts.len())),
                });
            }
            if let Some(part) = parts.last_mut() {
                part.timesteps.push(t);
                part.images.extend(image);
                part.masks.extend(batch.masks.get(i * plane..(i + 1) * plane).unwrap_or_default());
                part.captions.push(caption);
            }
        }
        Ok(parts)
    }
}

impl Objective for Denoiser<'_> {
    fn granularity(&self) -> usize {
        self.frame.parts.transformer.patch_size * self.frame.encoding.scale()
    }

    /// Positions are those of the stage's size.
    fn enter(&mut self, stage: &Stage) {
        self.frame.parts.transformer.sample_size = stage.size / self.frame.encoding.scale();
        self.frame.parts.transformer.interpolation_scale = stage.scale;
        self.stage = *stage;
        self.held_out = OnceLock::new();
    }

    fn prepare(&self, source: Box<dyn Source>) -> Result<Box<dyn Source>> {
        let encoding = &self.frame.encoding;
        match source.autoencoder() {
            Some(of) if encoding.channels().is_some() && of == encoding.fingerprint() => Ok(source),
            Some(_) => Err(Error::input("source", "its latents are those of another autoencoder")),
            None => Ok(match encoding.vae(&device::cpu())? {
                Some(vae) => Box::new(EncodedSource::new(source, vae, self.config.seed)?),
                None => source,
            }),
        }
    }

    fn step(&self, workers: &Workers, trained: &Parameters, batch: Batch, at: &Moment) -> Result<Outcome> {
        let batches = self.split(batch, at)?;
        let trained = self.rounded(trained)?;
        let goal = Goal { total: pictures(&batches), target: self.target(at.done), bound: self.bound.as_ref() };
        workers.sum(batches.len(), |i| {
            let net = Net::new(&self.frame, &trained, workers.autodiff())?;
            let batch = &batches[i];
            let total = |losses: &Losses| losses.total(at.controller.lambda);
            let mut gradient = Gradient::zero(&trained, workers.plain());
            let mut add = |found: &Gradients| gradient.add_found(&trained, net.leaves(), found);
            let losses = match self.config.recompute {
                Recompute::None => {
                    let losses = self.losses(&net, batch, goal)?;
                    add(&total(&losses).backward())?;
                    losses
                }
                Recompute::Block => {
                    let noisy = self.noisy(batch)?;
                    recompute::backward(&net, batch, noisy, (&self.frame, goal), total, add)?
                }
            };
            let denoise = value(&losses.denoise);
            Ok(Outcome { gradient, loss: denoise, region_losses: self.of_region(batch.region, denoise) })
        })
    }

    fn constrain(&self, values: &mut Parameters) {
        if let Some(range) = values.range(RATIO) {
            let (most, least) = limits(&self.config.routing.bins);
            values.values_mut()[range].iter_mut().for_each(|r| *r = r.clamp(least as f32, most as f32));
        }
    }

    fn target(&self, done: f64) -> f64 {
        let r = &self.config.routing;
        self.frame.routing.as_ref().map_or(1.0, |routing| target_at(routing.start, r.compression, r.ramp, done))
    }

    fn mean_keep(&self, parameters: &Parameters) -> f64 {
        if let Some(view) = parameters.get(RATIO) {
            return mean(view.values);
        }
        self.frame.routing.as_ref().and_then(|r| r.uniform).unwrap_or(1.0)
    }

    fn keep_table(&self, parameters: &Parameters) -> Option<Vec<Vec<f64>>> {
        let rows = parameters.get(RATIO)?.values.chunks(self.frame.parts.transformer.layers);
        Some(rows.map(|row| row.iter().map(|&v| f64::from(v)).collect()).collect())
    }

    fn validate(&self, workers: &Workers, trained: &Parameters, average: &Parameters) -> Result<Option<Worth>> {
        let draw = || {
            let Some(pictures) = source::held_out(self.config)? else { return Ok(None) };
            let stage = Stage { batch: self.config.progress.held_out, ..self.stage };
            let batch = self.prepare(pictures)?.batch(stage.batch, stage.size)?;
            let at = Moment { stage, step: HELD_OUT, done: 1.0, controller: Controller::new(1.0) };
            self.split(batch, &at).map(Some)
        };
        let Some(batches) = once(&self.held_out, draw)? else { return Ok(None) };
        let [current, average] = [trained, average].map(|values| self.loss(workers, values, batches));
        Ok(Some(Worth { current: current?, average: average?, unit: "loss".into() }))
    }

    fn sample(&self, average: &Parameters, step: u64) -> Result<()> {
        let prompts = &self.config.progress.prompts;
        if prompts.is_empty() {
            return Ok(());
        }
        let bundle = self.config.work.join("samples");
        let config = TrainConfig { out: bundle.clone(), ..self.config.clone() };
        let trained = export::Trained { frame: &self.frame, average, tokenizer: &self.tokenizer_bytes };
        export::export(&config, self.kind, trained, &mut Unwatched)?;
        samples::draw(&bundle, prompts, &self.config.work.join(format!("samples-{step:06}.png")))
    }

    fn export(&self, average: &Parameters, progress: &mut dyn Progress) -> Result<Exported> {
        let trained = export::Trained { frame: &self.frame, average, tokenizer: &self.tokenizer_bytes };
        let manifest = export::export(self.config, self.kind, trained, progress)?;
        let bytes = manifest.total_bytes();
        Ok(Exported { name: manifest.name, version: Some(manifest.version), bytes })
    }
}

/// Pictures of some micro-batches.
fn pictures(batches: &[MicroBatch]) -> usize {
    batches.iter().map(|b| b.timesteps.len()).sum()
}
