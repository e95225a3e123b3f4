//! The loop: stage by stage, step by step, with a checkpoint at intervals and a bundle at the end.

use std::path::Path;
use std::time::Instant;

use super::checkpoint::{self, RunTensors, State};
use super::config::{Kind, Task, TrainConfig};
use super::controller::{Controller, target_at};
use super::export::Trained;
use super::muon::{Matrix, Rates};
use super::net::{Frame, RATIO};
use super::noise::{MicroBatch, timesteps};
use super::optimizer::{AdamW, Group, clip, rate_shape};
use super::origin::{Origin, groups, matrices, mean};
use super::parameters::Parameters;
use super::progress::{Log, LogRow};
use super::stage::Stage;
use super::step::{Terms, Workers};
use super::{ema, export, muon, reach};
use crate::bundle::manifest::Manifest;
use crate::convert::progress::Progress;
use crate::data::random::Random;
use crate::data::stickers::Art;
use crate::data::stickers::art::INSTALLED;
use crate::data::{Batch, FolderSource, Prefetch, ScenesSource, Source, StickersSource};
use crate::device;
use crate::error::{Error, Result};
use crate::model::ratios::{limits, region};
use crate::model::tokenizer::Tokenizer;
use crate::sampler::schedule::Schedule;

/// Streams of the run's seed: one a step for its choices, a thousand a step for its noise.
const CHOICES: u64 = 1 << 32;
const NOISE: u64 = 1 << 48;
const NOISE_OF_STEP: u64 = 1 << 16;
/// Batches that wait for the loop.
const AHEAD: usize = 2;
/// Share of the newest loss in the smoothed one.
const NEWEST: f64 = 0.02;

/// Who watches a run.
pub trait Monitor: Progress {
    /// A line of progress.
    fn line(&mut self, line: &str);
}

/// What a finished run has to say.
#[derive(Debug)]
pub struct Summary {
    pub manifest: Manifest,
    pub steps: u64,
    pub images: u64,
    pub seconds: f64,
    /// Smoothed.
    pub loss: f64,
    /// Of the exported table; 1 without routers.
    pub mean_keep: f64,
}

/// A run under way.
struct Run<'a> {
    config: &'a TrainConfig,
    kind: Kind,
    stages: Vec<Stage>,
    frame: Frame,
    tokenizer: Tokenizer,
    tokenizer_bytes: Vec<u8>,
    tensors: RunTensors,
    state: State,
    groups: Vec<Group>,
    matrices: Vec<Matrix>,
    schedule: Schedule,
    workers: Workers,
    log: Log,
}

/// Where a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At its first step; a run that is there already is left alone.
    New,
    /// At its checkpoint.
    Resume,
    /// Nowhere: the checkpoint's average becomes the bundle as it is.
    Export,
}

/// Trains what `config` says, or goes on with it, and writes its bundle.
///
/// # Errors
/// `InvalidInput` naming a setting, `Cancelled` when the monitor says so (after a checkpoint), and what files and models say.
pub fn run(config: &TrainConfig, kind: Kind, begin: Begin, monitor: &mut dyn Monitor) -> Result<Summary> {
    let mut run = Run::new(config, kind, begin != Begin::New)?;
    if begin != Begin::Export
        && let Some(warning) = run.warning()
    {
        monitor.line(&warning);
    }
    while let Some(stage) = run.stages.get(run.state.stage).copied().filter(|_| begin != Begin::Export) {
        run.stage(stage, monitor)?;
    }
    if let Some(last) = run.stages.get(run.state.stage).or(run.stages.last()).copied() {
        run.enter(&last);
    }
    let (average, frame) = (&run.tensors.average, &run.frame);
    let manifest = export::export(config, kind, Trained { frame, average, tokenizer: &run.tokenizer_bytes }, monitor)?;
    Ok(Summary {
        manifest,
        steps: run.state.step,
        images: run.state.images,
        seconds: run.state.seconds,
        loss: run.state.loss,
        mean_keep: run.mean_keep(average),
    })
}

impl<'a> Run<'a> {
    fn new(config: &'a TrainConfig, kind: Kind, resume: bool) -> Result<Self> {
        let stages = config.stages()?;
        let Origin { frame, trained, tokenizer: tokenizer_bytes } = Origin::new(config, kind)?;
        let patch = frame.parts.transformer.patch_size;
        if let Some(i) = stages.iter().position(|s| s.size % patch != 0) {
            let reason = format!("{} pixels are no multiple of the patch {patch}", stages[i].size);
            return Err(Error::input(format!("stage[{i}]"), reason));
        }
        let tokenizer = frame.parts.tokenizer.as_ref().ok_or_else(|| Error::input("from", "it has no tokenizer"))?;
        let tokenizer = Tokenizer::from_json(&tokenizer_bytes, tokenizer)?;
        std::fs::create_dir_all(&config.work).map_err(|e| Error::io(&config.work, e))?;
        let there = config.work.join(checkpoint::FILE).is_file();
        let (tensors, state) = match (resume, there) {
            (true, true) => checkpoint::load(&config.work, config, &trained)?,
            (true, false) => {
                return Err(Error::input("resume", format!("{} has no checkpoint", config.work.display())));
            }
            (false, true) => {
                return Err(Error::input("work", format!("{} holds a run: give --resume", config.work.display())));
            }
            (false, false) => {
                let adam = AdamW::new(trained.values().len(), config.optimizer.betas);
                let state = State {
                    config: checkpoint::fingerprint(config)?,
                    stage: 0,
                    stage_step: 0,
                    step: 0,
                    images: 0,
                    seconds: 0.0,
                    updates: 0,
                    controller: Controller::new(config.routing.lambda),
                    loss: f64::NAN,
                };
                (RunTensors { average: trained.clone(), values: trained.clone(), adam }, state)
            }
        };
        Ok(Self {
            config,
            kind,
            stages,
            groups: groups(&trained, config),
            matrices: matrices(&trained, config),
            schedule: Schedule::new(&frame.parts.scheduler)?,
            workers: Workers::new(config.optimizer.threads, &device::cpu())?,
            log: Log::open(&config.work, state.step),
            frame,
            tokenizer,
            tokenizer_bytes,
            tensors,
            state,
        })
    }

    /// Positions are those of the stage's size.
    fn enter(&mut self, stage: &Stage) {
        self.frame.parts.transformer.sample_size = stage.size;
        self.frame.parts.transformer.interpolation_scale = stage.scale;
    }

    fn stage(&mut self, stage: Stage, monitor: &mut dyn Monitor) -> Result<()> {
        self.enter(&stage);
        let total: u64 = self.stages.iter().map(|s| s.steps).sum();
        let mut data = prefetch(self.config, &self.state, &stage)?;
        let (mut since, mut images) = (Instant::now(), 0u64);
        while self.state.stage_step < stage.steps {
            if monitor.cancelled() {
                self.save()?;
                let step = self.state.step;
                monitor.line(&format!("stopped after step {step}: go on with --resume"));
                return Err(Error::Cancelled);
            }
            let started = Instant::now();
            let rate = self.step(&stage, data.next_batch()?, total)?;
            images += stage.batch as u64;
            self.state.seconds += started.elapsed().as_secs_f64();
            if self.state.step.is_multiple_of(self.config.progress.log_every) || self.state.step == total {
                let row = self.row(&stage, rate, images as f64 / since.elapsed().as_secs_f64().max(1e-9), total);
                let left = self.images_left() / row.images_per_second.max(1e-9);
                monitor.line(&row.line(total, self.config.is_routed(self.kind), left));
                self.log.add(row);
                (since, images) = (Instant::now(), 0);
            }
            if self.state.stage_step == stage.steps {
                self.next_stage();
            }
            if self.state.step.is_multiple_of(self.config.progress.checkpoint_every) || self.state.stage_step == 0 {
                self.save()?;
            }
            if self.state.stage_step == 0 {
                break;
            }
        }
        Ok(())
    }

    /// One step; returns its learning rate.
    fn step(&mut self, stage: &Stage, batch: Batch, total: u64) -> Result<f64> {
        let (config, done) = (self.config, self.state.step as f64 / total as f64);
        let parts = self.split(stage, batch)?;
        let shape = rate_shape(&config.optimizer, stage, self.state.stage_step);
        let target = self.target(done);
        let terms = Terms {
            schedule: &self.schedule,
            prediction: self.frame.parts.scheduler.prediction,
            weight_cap: config.loss.weight_cap,
            lambda: self.state.controller.lambda,
            target,
        };
        let mut outcome = self.workers.step(&self.frame, &self.tensors.values, &parts, terms)?;
        let norm = clip(&mut outcome.gradient, &self.groups, config.optimizer.clip);
        if !norm.is_finite() || !outcome.denoise.is_finite() {
            let reason = format!("not a number at step {}: lower the learning rate", self.state.step + 1);
            return Err(Error::model("loss", reason));
        }
        let RunTensors { values, average, adam } = &mut self.tensors;
        adam.update(values.values_mut(), &outcome.gradient, &self.groups, stage.rate * shape, shape);
        if let Some(rate) = config.optimizer.muon {
            let (pools, device) = (self.workers.pools(), self.workers.plain());
            let momentum = &mut adam.first;
            let rates = Rates { rate: rate * shape, decay: config.optimizer.weight_decay };
            let state = muon::State { values: values.values_mut(), gradient: &outcome.gradient, momentum };
            muon::update(&self.matrices, rates, state, pools, device)?;
        }
        if let Some(range) = values.range(RATIO) {
            let (most, least) = limits(&config.routing.bins);
            values.values_mut()[range].iter_mut().for_each(|r| *r = r.clamp(least as f32, most as f32));
        }
        self.state.stage_step += 1;
        ema::update(average.values_mut(), values.values(), self.state.stage_step, config.optimizer.ema);
        self.state.updates = adam.count;
        self.state.step += 1;
        self.state.images += stage.batch as u64;
        let smooth = if self.state.loss.is_nan() { outcome.denoise } else { self.state.loss };
        self.state.loss = smooth + NEWEST * (outcome.denoise - smooth);
        if self.tensors.values.get(RATIO).is_some() {
            let mean = self.mean_keep(&self.tensors.values);
            self.state.controller.update(mean, target);
        }
        Ok(stage.rate * shape)
    }

    /// A batch as micro-batches of one region each.
    fn split(&self, stage: &Stage, batch: Batch) -> Result<Vec<MicroBatch>> {
        let (config, step) = (self.config, self.state.step);
        let mut random = Random::new(config.seed, CHOICES + step);
        let regions = self.frame.routing.as_ref().map_or(1, |r| r.regions);
        let train_timesteps = self.schedule.timesteps();
        let timesteps = timesteps(&mut random, stage.batch, regions, train_timesteps, config.loss.shift);
        let empty = config.loss.empty_captions;
        let mut ids = Vec::with_capacity(stage.batch);
        for caption in &batch.captions {
            let dropped = random.unit() < empty;
            ids.push(self.tokenizer.encode(if dropped { "" } else { caption })?);
        }
        let plane = stage.size * stage.size;
        let picture = 3 * plane;
        if batch.images.len() != picture * stage.batch || ids.len() != stage.batch {
            return Err(Error::internal("the source gave a batch of another size"));
        }
        let of = |t: usize| region(t as f64, regions, train_timesteps);
        let mut parts: Vec<MicroBatch> = Vec::new();
        for (i, ((t, ids), image)) in timesteps.into_iter().zip(ids).zip(batch.images.chunks(picture)).enumerate() {
            let full = |p: &MicroBatch| p.region != of(t) || p.timesteps.len() >= config.optimizer.micro_batch;
            if parts.last().is_none_or(full) {
                let stream = NOISE + step * NOISE_OF_STEP + parts.len() as u64;
                let noise = (config.seed, stream);
                parts.push(MicroBatch {
                    region: of(t),
                    size: stage.size,
                    timesteps: vec![],
                    images: vec![],
                    masks: vec![],
                    ids: vec![],
                    noise,
                });
            }
            if let Some(part) = parts.last_mut() {
                part.timesteps.push(t);
                part.images.extend(image);
                part.masks.extend(batch.masks.get(i * plane..(i + 1) * plane).unwrap_or_default());
                part.ids.push(ids);
            }
        }
        Ok(parts)
    }

    /// The next stage starts from the average, with an optimizer that remembers nothing.
    fn next_stage(&mut self) {
        self.state.stage += 1;
        self.state.stage_step = 0;
        if self.state.stage < self.stages.len() {
            self.state.updates = 0;
            self.tensors.values = self.tensors.average.clone();
            self.tensors.adam = AdamW::new(self.tensors.values.values().len(), self.config.optimizer.betas);
        }
    }

    fn row(&self, stage: &Stage, rate: f64, images_per_second: f64, total: u64) -> LogRow {
        LogRow {
            step: self.state.step,
            stage: self.state.stage,
            size: stage.size,
            images: self.state.images,
            loss: self.state.loss,
            mean_keep: self.mean_keep(&self.tensors.values),
            target: self.target(self.state.step as f64 / total as f64),
            lambda: self.state.controller.lambda,
            rate,
            images_per_second,
            seconds: self.state.seconds,
        }
    }

    /// Pictures still to come, in units of the present stage's cost: a picture's cost goes with its tokens.
    fn images_left(&self) -> f64 {
        let Some(now) = self.stages.get(self.state.stage) else { return 0.0 };
        let tokens = |s: &Stage| (s.size * s.size) as f64;
        let cost = |s: &Stage, steps: u64| steps as f64 * s.batch as f64 * tokens(s) / tokens(now);
        let rest = self.stages.iter().skip(self.state.stage + 1).map(|s| cost(s, s.steps)).sum::<f64>();
        cost(now, now.steps.saturating_sub(self.state.stage_step)) + rest
    }

    /// The mean keep ratio asked for at a share `done` of the run; 1 without routers.
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

    /// Where learned ratios have too few steps left to meet their target.
    fn warning(&self) -> Option<String> {
        let ratios = self.tensors.values.get(RATIO)?;
        let stages = self.stages.get(self.state.stage..)?;
        reach::warning(self.config, stages, self.state.stage_step, mean(ratios.values))
    }

    fn save(&self) -> Result<()> {
        let layers = self.frame.parts.transformer.layers;
        let table = self.tensors.values.get(RATIO).map(|view| {
            view.values.chunks(layers).map(|row| row.iter().map(|&v| f64::from(v)).collect()).collect::<Vec<_>>()
        });
        self.log.write(table.as_deref())?;
        checkpoint::save(&self.config.work, &self.tensors, &self.state)
    }
}

/// The source of a stage on its thread, at the batch that comes next.
fn prefetch(config: &TrainConfig, state: &State, stage: &Stage) -> Result<Prefetch> {
    let seed = Random::new(config.seed, state.stage as u64 + 2).below(1 << 32) as u64;
    let holes = config.task == Task::Inpaint;
    let start = |mut source: Box<dyn Source>| {
        source.seek(state.stage_step);
        Prefetch::new(Boxed(source), stage.batch, stage.size, AHEAD)
    };
    Ok(match config.source.as_str() {
        "scenes" => start(Box::new(ScenesSource::new(seed).with_plain(stage.plain, stage.pairs).with_holes(holes))),
        "stickers" => {
            let art = Art::open(Path::new(INSTALLED))?;
            start(Box::new(StickersSource::new(art, seed).with_plain(stage.plain, stage.pairs).with_holes(holes)))
        }
        folder => start(Box::new(FolderSource::open(Path::new(folder), seed)?.with_holes(holes))),
    })
}

struct Boxed(Box<dyn Source>);

impl Source for Boxed {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        self.0.batch(count, size)
    }

    fn seek(&mut self, index: u64) {
        self.0.seek(index);
    }
}
