//! How well a bundle inpaints, and at what cost: an object is erased and another asked for in its place, for holes of several sizes,
//! with full compute and with steps that follow the hole.

pub mod report;
mod task;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use serde::Serialize;

use self::task::Task;
use super::generation::Share;
use super::judge::judge;
use super::judge::picture::SIDE;
use crate::bundle::folder::load_folder;
use crate::error::{Error, Result};
use crate::flops;
use crate::model::ratios::Compression;
use crate::pipeline::inpaint::{InpaintSettings, MaskAware};
use crate::pipeline::mask_aware::{MaskAwareOptions, StepMode};
use crate::pipeline::options::Values;
use crate::pipeline::picture::Picture;
use crate::pipeline::{EditOptions, GenerateOptions, Pipeline, Run};
use crate::sampler::Sampler;
use crate::sampler::guidance::is_guided;

/// Tasks that are drawn alone to tell their latency.
const TIMED: usize = 7;
/// Pictures kept to be looked at.
const SAMPLES: usize = 8;

/// What is compared.
#[derive(Debug, Clone)]
pub struct InpaintEvalOptions {
    pub scenes: usize,
    /// Shares of the picture that holes cover, in percent.
    pub holes: Vec<u32>,
    pub modes: Vec<Mode>,
    pub steps: usize,
    pub guidance: f64,
    pub compression: Compression,
    /// Tasks at a time, each with a pipeline of its own.
    pub threads: usize,
}

/// `off` (full compute), `on` (as shipped), or `RING:REFRESH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub Option<MaskAwareOptions>);

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').map(|(ring, refresh)| (ring.parse(), refresh.parse()));
        match (text, parts) {
            ("off", _) => Ok(Self(None)),
            ("on", _) => Ok(Self(Some(MaskAwareOptions::default()))),
            (_, Some((Ok(ring), Ok(refresh)))) => {
                Ok(Self(Some(MaskAwareOptions { ring, refresh, min_steps: 0, max_active: 100 })))
            }
            _ => Err("use off, on or RING:REFRESH".into()),
        }
    }
}

impl Mode {
    fn label(self) -> String {
        match self.0 {
            None => "off".into(),
            Some(own) if own == MaskAwareOptions::default() => "on".into(),
            Some(MaskAwareOptions { ring, refresh, .. }) => format!("{ring}:{refresh}"),
        }
    }
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InpaintEvalRow {
    pub name: String,
    /// Share of the picture that is redrawn, in percent.
    pub hole: u32,
    pub mode: String,
    /// The asked object's shape and colour.
    pub object: Share,
    /// The background around and behind it, as the caption has it.
    pub context: Share,
    /// Everything that was asked.
    pub all: Share,
    /// Mean difference from the true background just inside the mask's border, of 255.
    pub seam: f64,
    /// Mean difference in the hole from full compute, of 255.
    pub difference: f64,
    /// Mean share of the tokens in focus; 1 where all run.
    pub in_focus: f64,
    pub gflops: f64,
    /// Of the denoising steps, median of a few tasks alone.
    pub steps_ms: f64,
    /// Of the whole task, text included.
    pub latency_ms: f64,
}

/// Rows, and the first pictures of each: what was given, then what came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub rows: Vec<InpaintEvalRow>,
    pub samples: BTreeMap<u32, Vec<Vec<f32>>>,
    pub side: usize,
}

/// Inpaints every task of every hole size in every mode with the bundle in `dir`.
///
/// # Errors
/// What the bundle or the options are refused for.
pub fn evaluate(
    dir: &Path,
    device: &(dyn Fn() -> Result<Device> + Sync),
    options: &InpaintEvalOptions,
    progress: &(dyn Fn() + Sync),
) -> Result<Outcome> {
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
    let first = Painter::load(dir, device()?, options)?;
    let side = first.pipeline.default_side();
    let (mut rows, mut samples) = (Vec::new(), BTreeMap::new());
    for &hole in &options.holes {
        let next = AtomicUsize::new(0);
        let work = |painter: &Painter| -> Result<Vec<(usize, Vec<Painted>)>> {
            let mut done = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= options.scenes {
                    return Ok(done);
                }
                let task = Task::new(hole, i as u64, side);
                let painted = painter.every_mode(&task, i);
                done.push((i, painted.inspect_err(|_| next.store(options.scenes, Ordering::Relaxed))?));
                progress();
            }
        };
        let helper = || work(&Painter::load(dir, device()?, options)?);
        let mut done = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..options.threads).map(|_| scope.spawn(helper)).collect();
            let mut done = work(&first)?;
            for thread in helpers {
                done.extend(thread.join().map_err(|_| Error::internal("a drawing thread panicked"))??);
            }
            Ok::<_, Error>(done)
        })?;
        done.sort_by_key(|(i, _)| *i);
        let times = first.times(hole, side)?;
        for (m, mode) in options.modes.iter().enumerate() {
            let painted: Vec<&Painted> = done.iter().filter_map(|(_, modes)| modes.get(m)).collect();
            let (steps_ms, latency_ms) = times.get(m).copied().unwrap_or_default();
            rows.push(InpaintEvalRow { steps_ms, latency_ms, ..row(&name, hole, *mode, &painted) });
        }
        let shown = done.into_iter().take(SAMPLES).flat_map(|(i, modes)| {
            let given = Task::new(hole, i as u64, side).image;
            std::iter::once(given).chain(modes.into_iter().map(|p| p.picture))
        });
        samples.insert(hole, shown.collect());
    }
    Ok(Outcome { rows, samples, side })
}

/// One task done in one mode.
struct Painted {
    picture: Vec<f32>,
    object: bool,
    context: bool,
    all: bool,
    seam: f64,
    difference: f64,
    in_focus: f64,
    flops: u64,
}

fn row(name: &str, hole: u32, mode: Mode, painted: &[&Painted]) -> InpaintEvalRow {
    let share = |hit: fn(&Painted) -> bool| {
        let hits = painted.iter().filter(|p| hit(p)).count();
        Share { hits, asked: painted.len() }
    };
    let mean = |value: fn(&Painted) -> f64| painted.iter().map(|p| value(p)).sum::<f64>() / painted.len().max(1) as f64;
    InpaintEvalRow {
        name: name.into(),
        hole,
        mode: mode.label(),
        object: share(|p| p.object),
        context: share(|p| p.context),
        all: share(|p| p.all),
        seam: mean(|p| p.seam),
        difference: mean(|p| p.difference),
        in_focus: mean(|p| p.in_focus),
        gflops: mean(|p| p.flops as f64 / 1e9),
        steps_ms: 0.0,
        latency_ms: 0.0,
    }
}

/// A loaded bundle and how it inpaints.
struct Painter<'a> {
    pipeline: Rc<Pipeline>,
    options: &'a InpaintEvalOptions,
}

impl<'a> Painter<'a> {
    fn load(dir: &Path, device: Device, options: &'a InpaintEvalOptions) -> Result<Self> {
        let pipeline = Rc::new(Pipeline::new(load_folder(dir, &device, None)?)?);
        let side = pipeline.default_side();
        if side < SIDE {
            return Err(Error::input("bundle", format!("it draws {side} pixels, the judge needs {SIDE}")));
        }
        Ok(Self { pipeline, options })
    }

    fn start(&self, task: &Task, i: usize, mode: Mode) -> Result<Run> {
        let side = self.pipeline.default_side();
        let values = |channels: usize, data: &[f32]| {
            Picture::Values(Values { shape: vec![1, channels, side, side], data: data.to_vec() })
        };
        let generate = GenerateOptions {
            prompt: Some(task.request.caption()),
            seed: Some(i as u64),
            steps: Some(self.options.steps),
            guidance: Some(self.options.guidance),
            compression: self.options.compression.clone(),
            ..Default::default()
        };
        let mask_aware = mode.0.map_or(MaskAware::Switch(false), MaskAware::Options);
        let how = InpaintSettings { mask_aware, ..Default::default() };
        let edit = EditOptions { image: values(3, &task.image), mask: values(1, &task.mask), how };
        Run::new(self.pipeline.clone(), &generate, Some(&edit))
    }

    fn every_mode(&self, task: &Task, i: usize) -> Result<Vec<Painted>> {
        let mut full: Option<Vec<f32>> = None;
        let modes = self.options.modes.iter().map(|&mode| {
            let mut run = self.start(task, i, mode)?;
            while run.step()?.is_some() {}
            let output = pollster::block_on(run.finish())?;
            let picture = output.composite.map_or(output.pixels.data, |values| values.data);
            let verdict = judge(&picture, self.pipeline.default_side(), &task.request)?;
            let difference = full.as_ref().map_or(0.0, |full| task.difference(&picture, full));
            if mode.0.is_none() {
                full = Some(picture.clone());
            }
            let (flops, in_focus) = self.cost(task, &run)?;
            Ok(Painted {
                object: verdict.shape && verdict.color,
                context: verdict.background,
                all: verdict.accepted(),
                seam: task.seam(&picture),
                difference,
                in_focus,
                flops,
                picture,
            })
        });
        modes.collect()
    }

    /// Operations of the denoising network, and the share of the tokens in focus.
    fn cost(&self, task: &Task, run: &Run) -> Result<(u64, f64)> {
        let pipeline = &self.pipeline;
        let config = pipeline.transformer().config();
        let n = (config.sample_size / config.patch_size).pow(2);
        let positive = pipeline.tokenize(&task.request.caption())?.len();
        let (length, batch) = if is_guided(self.options.guidance) {
            (positive.max(pipeline.tokenize("")?.len()), 2)
        } else {
            (positive, 1)
        };
        let scheduler = &pipeline.manifest().parts.scheduler;
        let sampler = Sampler::new(scheduler, scheduler.solver, self.options.steps)?;
        let table = pipeline.keep_table(&self.options.compression)?;
        let mut flops = flops::caption(config, length);
        for (i, timestep) in sampler.timesteps().iter().enumerate() {
            let keep = table.as_ref().map(|table| table.at(i, sampler.steps(), *timestep));
            let keep = keep.as_deref();
            flops = flops
                + match run.mode(i) {
                    (StepMode::All, _) => flops::step(config, n, length, keep),
                    (StepMode::Active, active) => flops::focused(config, n, active, length, keep),
                    (StepMode::Cache, active) => {
                        flops::step(config, n, length, keep) + flops::remembering(config, n, active, keep)
                    }
                };
        }
        let active = match run.mode(0).1 {
            0 => n,
            active => active,
        };
        Ok((batch * flops.total(), active as f64 / n as f64))
    }

    /// Median milliseconds of every mode, (steps, all), the modes in turn so that what else the machine does falls on all of them.
    fn times(&self, hole: u32, side: usize) -> Result<Vec<(f64, f64)>> {
        let mut times = vec![(Vec::new(), Vec::new()); self.options.modes.len()];
        for i in 0..TIMED {
            let task = Task::new(hole, i as u64, side);
            for (mode, (steps, all)) in self.options.modes.iter().zip(&mut times) {
                let started = Instant::now();
                let mut run = self.start(&task, i, *mode)?;
                let stepping = Instant::now();
                while run.step()?.is_some() {}
                pollster::block_on(run.wait())?;
                steps.push(stepping.elapsed().as_secs_f64() * 1e3);
                pollster::block_on(run.finish())?;
                all.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        Ok(times.iter_mut().map(|(steps, all)| (median(steps), median(all))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_back() {
        for text in ["off", "on", "1:5", "0:0"] {
            assert_eq!(text.parse::<Mode>().unwrap().label(), text);
        }
        assert!("1".parse::<Mode>().is_err() && "a:b".parse::<Mode>().is_err());
    }
}
