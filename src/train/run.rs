//! The loop: stage by stage, step by step, with a checkpoint at intervals and what was learned at the end.

mod update;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Instant;

use super::autoencoder::Autoencoder;
use super::checkpoint::{self, RunTensors, State};
use super::classifier::Judge;
use super::config::{Kind, TrainConfig};
use super::controller::Controller;
use super::denoiser::Denoiser;
use super::muon::Matrix;
use super::net::RATIO;
use super::objective::{Exported, Moment, Objective};
use super::optimizer::{AdamW, Group, rate_shape};
use super::origin::{groups, matrices, mean};
use super::progress::{Event, Log, Metrics};
use super::resident::Resident;
use super::stage::Stage;
use super::step::Workers;
use super::{reach, source};
use crate::convert::output;
use crate::convert::progress::Progress;
use crate::data::{Batch, Prefetch};
use crate::device::{self, memory};
use crate::error::{Error, Result};

/// Name of the file in a run's folder that the process at work holds.
const LOCK: &str = "lock";
/// Batches that wait for the loop.
const AHEAD: usize = 2;
/// Share of the newest loss in the smoothed one.
const NEWEST: f64 = 0.02;

/// Who watches a run.
pub trait Monitor: Progress {
    /// A line of progress.
    fn line(&mut self, line: &str);

    /// `done` of `total` steps.
    fn step(&mut self, _done: u64, _total: u64) {}
}

/// What a finished run has to say.
#[derive(Debug)]
pub struct Summary {
    pub exported: Exported,
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
    objective: Box<dyn Objective + 'a>,
    tensors: RunTensors,
    state: State,
    groups: Vec<Group>,
    matrices: Vec<Matrix>,
    /// The numbers of `tensors` on the device that trains them, unless that is the CPU; `tensors` are then those of the last checkpoint.
    resident: Option<Resident>,
    workers: Workers,
    log: Log,
}

/// What a step was.
#[derive(Debug, Clone, Copy)]
struct StepSummary {
    rate: f64,
    /// Before it was clipped.
    gradient_norm: f64,
}

/// What went by since the last line.
struct Since {
    start: Instant,
    images: u64,
    /// Seconds that were spent waiting for pictures.
    waited: f64,
}

impl Since {
    fn now() -> Self {
        Self { start: Instant::now(), images: 0, waited: 0.0 }
    }
}

/// Where a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At its first step; a run that is there already is left alone.
    New,
    /// At its checkpoint.
    Resume,
    /// Nowhere: the checkpoint's average is exported as it is.
    Export,
}

/// Trains what `config` says, or goes on with it, and writes what it learned.
///
/// # Errors
/// `InvalidInput` naming a setting, `Cancelled` when the monitor says so (after a checkpoint), and what files and models say.
pub fn run(config: &TrainConfig, kind: Kind, begin: Begin, monitor: &mut dyn Monitor) -> Result<Summary> {
    config.fits()?;
    // A run of days is not to end at a place that cannot be written.
    output::check(&config.out, true)?;
    std::fs::create_dir_all(&config.work).map_err(|e| Error::io(&config.work, e))?;
    let _lock = lock(&config.work)?;
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
        run.objective.enter(&last);
    }
    let average = &run.tensors.average;
    if !average.values().iter().all(|value| value.is_finite()) {
        let (step, total) = (run.state.step as usize, run.stages.iter().map(|s| s.steps as usize).sum());
        return Err(Error::NotFinite { what: "averaged weights", step, total });
    }
    Ok(Summary {
        exported: run.objective.export(average, monitor)?,
        steps: run.state.step,
        images: run.state.images,
        seconds: run.state.seconds,
        loss: run.state.loss,
        mean_keep: run.objective.mean_keep(average),
    })
}

/// Holds the folder of a run: two at once would write over each other.
///
/// # Errors
/// `InvalidInput` on `work` where another process holds it.
fn lock(work: &Path) -> Result<File> {
    let path = work.join(LOCK);
    let file = File::options().create(true).append(true).open(&path).map_err(|e| Error::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::input("work", format!("another process is training in {}", work.display())))
        }
        Err(TryLockError::Error(e)) => Err(Error::io(&path, e)),
    }
}

impl<'a> Run<'a> {
    fn new(config: &'a TrainConfig, kind: Kind, resume: bool) -> Result<Self> {
        let stages = config.stages()?;
        let device = config.device.open()?;
        let (objective, trained): (Box<dyn Objective>, _) = match kind {
            Kind::Base | Kind::Diffcr => {
                let (denoiser, trained) = Denoiser::new(config, kind, &device)?;
                (Box::new(denoiser), trained)
            }
            Kind::Vae => {
                let (autoencoder, trained) = Autoencoder::new(config)?;
                (Box::new(autoencoder), trained)
            }
            Kind::Classifier => {
                let (judge, trained) = Judge::new(config)?;
                (Box::new(judge), trained)
            }
        };
        let granularity = objective.granularity();
        if let Some(i) = stages.iter().position(|s| s.size % granularity != 0) {
            let reason = format!("{} pixels are no multiple of {granularity}", stages[i].size);
            return Err(Error::input(format!("stage[{i}]"), reason));
        }
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
                    region_losses: vec![],
                };
                (RunTensors { average: trained.clone(), values: trained.clone(), adam }, state)
            }
        };
        let (groups, matrices) = (groups(&trained, config), matrices(&trained, config));
        Ok(Self {
            config,
            kind,
            stages,
            objective,
            groups,
            matrices,
            resident: None,
            workers: Workers::with_precision(config.optimizer.threads, &device, config.precision)?,
            log: Log::open(&config.work, state.step),
            tensors,
            state,
        })
    }

    fn stage(&mut self, stage: Stage, monitor: &mut dyn Monitor) -> Result<()> {
        self.objective.enter(&stage);
        let device = self.workers.plain();
        if !device::is_host(device) {
            self.resident = Some(Resident::new(&mut self.tensors, &self.groups, &self.matrices, device));
        }
        let total: u64 = self.stages.iter().map(|s| s.steps).sum();
        let mut pictures = self.objective.prepare(source::of_stage(self.config, self.state.stage, &stage)?)?;
        pictures.seek(self.state.stage_step);
        let mut data = Prefetch::new(pictures, stage.batch, stage.size, AHEAD);
        let mut since = Since::now();
        while self.state.stage_step < stage.steps {
            if monitor.cancelled() {
                self.read_back()?;
                self.save()?;
                let step = self.state.step;
                monitor.line(&format!("stopped after step {step}: go on with --resume"));
                return Err(Error::Cancelled);
            }
            let started = Instant::now();
            let batch = data.next_batch()?;
            since.waited += started.elapsed().as_secs_f64();
            let done = self.step(&stage, batch, total)?;
            monitor.step(self.state.step, total);
            since.images += stage.batch as u64;
            self.state.seconds += started.elapsed().as_secs_f64();
            if self.state.step.is_multiple_of(self.config.progress.log_every) || self.state.step == total {
                let metrics = self.metrics(&stage, done, &since, total);
                let left = self.images_left() / metrics.images_per_second.max(1e-9);
                monitor.line(&metrics.line(total, self.config.is_routed(self.kind), left));
                self.log.add(Event::Train(metrics))?;
                since = Since::now();
            }
            if self.state.stage_step == stage.steps {
                self.read_back()?;
                self.next_stage();
            }
            if self.state.step.is_multiple_of(self.config.progress.checkpoint_every) || self.state.stage_step == 0 {
                self.read_back()?;
                self.validate(monitor)?;
                self.save()?;
                self.objective.sample(&self.tensors.average, self.state.step)?;
            }
            if self.state.stage_step == 0 {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, stage: &Stage, batch: Batch, total: u64) -> Result<StepSummary> {
        let config = self.config;
        let at = Moment {
            stage: *stage,
            step: self.state.step,
            done: self.state.step as f64 / total as f64,
            controller: self.state.controller,
        };
        let shape = rate_shape(&config.optimizer, stage, self.state.stage_step);
        let outcome = self.objective.step(&self.workers, &self.tensors.values, batch, &at)?;
        self.state.stage_step += 1;
        let norm = self.update(outcome.gradient, outcome.loss, stage.rate, shape)?;
        let RunTensors { values, adam, .. } = &self.tensors;
        self.state.updates = adam.count;
        self.state.step += 1;
        self.state.images += stage.batch as u64;
        let smooth = |old: f64, new: f64| if old.is_nan() { new } else { old + NEWEST * (new - old) };
        self.state.loss = smooth(self.state.loss, outcome.loss);
        self.state.region_losses.resize(outcome.region_losses.len(), f64::NAN);
        let regions = self.state.region_losses.iter_mut().zip(&outcome.region_losses);
        regions.for_each(|(old, new)| *old = smooth(*old, *new));
        if values.get(RATIO).is_some() {
            self.state.controller.update(self.objective.mean_keep(values), self.objective.target(at.done));
        }
        Ok(StepSummary { rate: stage.rate * shape, gradient_norm: norm })
    }

    /// The next stage starts from the average, with an optimizer that remembers nothing.
    fn next_stage(&mut self) {
        self.state.stage += 1;
        self.state.stage_step = 0;
        self.resident = None;
        self.tensors.values.set_resident(None);
        if self.state.stage < self.stages.len() {
            self.state.updates = 0;
            self.tensors.values = self.tensors.average.clone();
            self.tensors.adam = AdamW::new(self.tensors.values.values().len(), self.config.optimizer.betas);
        }
    }

    fn metrics(&self, stage: &Stage, done: StepSummary, since: &Since, total: u64) -> Metrics {
        let elapsed = since.start.elapsed().as_secs_f64().max(1e-9);
        Metrics {
            step: self.state.step,
            stage: self.state.stage,
            size: stage.size,
            images: self.state.images,
            loss: self.state.loss,
            region_losses: self.state.region_losses.clone(),
            mean_keep: self.objective.mean_keep(&self.tensors.values),
            target: self.objective.target(self.state.step as f64 / total as f64),
            lambda: self.state.controller.lambda,
            rate: done.rate,
            gradient_norm: done.gradient_norm,
            images_per_second: since.images as f64 / elapsed,
            data_wait: since.waited / elapsed,
            peak_mib: memory::peak_mib(),
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

    /// Where learned ratios have too few steps left to meet their target.
    fn warning(&self) -> Option<String> {
        let ratios = self.tensors.values.get(RATIO)?;
        let stages = self.stages.get(self.state.stage..)?;
        reach::warning(self.config, stages, self.state.stage_step, mean(ratios.values))
    }

    fn validate(&mut self, monitor: &mut dyn Monitor) -> Result<()> {
        let RunTensors { values, average, .. } = &self.tensors;
        if let Some(worth) = self.objective.validate(&self.workers, values, average)? {
            monitor.line(&worth.line());
            self.log.add(Event::HeldOut { step: self.state.step, worth })?;
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        self.log.write(self.objective.keep_table(&self.tensors.values).as_deref())?;
        checkpoint::save(&self.config.work, &self.tensors, &self.state, self.config.progress.keep)
    }
}
