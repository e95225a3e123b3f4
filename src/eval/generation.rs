//! How well a bundle draws what it is asked: held-out prompts, drawn, judged, compared with true pictures, and what that cost.

pub mod report;

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use serde::Serialize;

use super::features::{Extractor, Statistics};
use super::judge::picture::{Picture, SIDE};
use super::judge::{Verdict, judge};
use crate::bundle::folder::load_folder;
use crate::data::random::Random;
use crate::data::scenes::{Request, Scene, describe, render};
use crate::device::memory;
use crate::error::{Error, Result};
use crate::flops::ImageCost;
use crate::model::ratios::Compression;
use crate::pipeline::{GenerateOptions, Pipeline, Run};
use crate::sampler::Sampler;
use crate::sampler::guidance::is_guided;

/// Seed of the held-out scenes; training must not use it. Prompt `i` is of stream `i`, the true pictures are of a second seed.
pub const HELD_OUT_SEED: u64 = 0x4845_4C44_4F55_5421;
const REFERENCE_SEED: u64 = HELD_OUT_SEED + 1;
/// Images that are drawn alone to tell their latency.
const TIMED: usize = 5;
/// Pictures kept to be looked at.
const SAMPLES: usize = 16;

/// How prompts are drawn.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    pub prompts: usize,
    pub steps: usize,
    pub guidance: f64,
    /// Images at a time, each with a pipeline of its own.
    pub threads: usize,
}

/// Share of those asked for that were recognised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Share {
    pub hits: usize,
    pub asked: usize,
}

impl Share {
    fn add(&mut self, hit: Option<bool>) {
        if let Some(hit) = hit {
            self.hits += usize::from(hit);
            self.asked += 1;
        }
    }

    pub fn percent(&self) -> f64 {
        100.0 * self.hits as f64 / self.asked.max(1) as f64
    }

    /// Standard error of the percentage.
    pub fn error(&self) -> f64 {
        let p = self.percent() / 100.0;
        100.0 * (p * (1.0 - p) / self.asked.max(1) as f64).sqrt()
    }
}

/// What the judge recognised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Accuracy {
    /// Everything but the size.
    pub prompt: Share,
    pub shape: Share,
    pub color: Share,
    pub place: Share,
    pub size: Share,
    pub background: Share,
}

impl Accuracy {
    fn add(&mut self, verdict: Verdict) {
        self.prompt.add(Some(verdict.accepted()));
        self.shape.add(Some(verdict.shape));
        self.color.add(Some(verdict.color));
        self.place.add(verdict.place);
        self.size.add(verdict.size);
        self.background.add(Some(verdict.background));
    }
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvalRow {
    pub name: String,
    pub compression: String,
    pub accuracy: Accuracy,
    /// From as many true pictures of other scenes.
    pub frechet: f64,
    /// Of the drawing network, without text encoder and decoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Share of the tokens that layers skip, mean over the steps and layers of a run.
    pub skipped: f64,
    pub gflops_per_image: f64,
    /// Median of an image drawn alone, text and decoding included.
    pub latency_ms: f64,
    /// The process at its largest while the row was made, where the system tells.
    pub peak_mib: Option<f64>,
}

/// A row, what it sums up, and the first of its pictures, `[3, side, side]` each.
#[derive(Debug, Clone)]
pub struct EvalOutcome {
    pub row: EvalRow,
    /// Of every prompt.
    pub verdicts: Vec<(String, Verdict)>,
    pub samples: Vec<Vec<f32>>,
    pub side: usize,
}

/// The prompts, and the true pictures that sets of pictures are compared with.
#[derive(Debug)]
pub struct HeldOut {
    prompts: Vec<Request>,
    extractor: Extractor,
    reference: Statistics,
}

/// One drawn picture.
struct Drawn {
    verdict: Verdict,
    features: Vec<f32>,
    picture: Option<Vec<f32>>,
    side: usize,
}

impl HeldOut {
    /// `count` prompts, the same for every model.
    ///
    /// # Errors
    /// `InvalidInput` on `prompts` below 2.
    pub fn new(count: usize) -> Result<Self> {
        if count < 2 {
            return Err(Error::input("prompts", "a distribution needs at least 2"));
        }
        let extractor = Extractor::default();
        let prompts = scenes(HELD_OUT_SEED, count).map(|s| Request::parse(&s.caption)).collect::<Result<_>>()?;
        let features = scenes(REFERENCE_SEED, count).map(|s| extractor.features(&render(&s, SIDE), SIDE));
        let reference = Statistics::new(&features.collect::<Result<Vec<_>>>()?)?;
        Ok(Self { prompts, extractor, reference })
    }

    /// What true pictures of the prompts score: the best a model can do.
    pub fn truth(&self) -> Result<EvalOutcome> {
        let scenes = scenes(HELD_OUT_SEED, self.prompts.len()).enumerate();
        let drawn =
            scenes.map(|(i, scene)| self.score(i, &render(&scene, 2 * SIDE), 2 * SIDE)).collect::<Result<_>>()?;
        self.outcome("true pictures".into(), String::new(), drawn, None)
    }

    /// Draws every prompt with the bundle in `dir` and judges it. `device` is called once a thread, `progress` once an image.
    ///
    /// # Errors
    /// What the bundle, the compression or the options are refused for.
    pub fn evaluate(
        &self,
        dir: &Path,
        device: &(dyn Fn() -> Result<Device> + Sync),
        options: &EvalOptions,
        compression: &Compression,
        progress: &(dyn Fn() + Sync),
    ) -> Result<EvalOutcome> {
        reset_peak();
        let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
        let next = AtomicUsize::new(0);
        let work = |artist: &Artist| -> Result<Vec<(usize, Drawn)>> {
            let mut drawn = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = self.prompts.get(i) else { return Ok(drawn) };
                let (picture, side) =
                    artist.draw(request, i).inspect_err(|_| next.store(self.prompts.len(), Ordering::Relaxed))?;
                drawn.push((i, self.score(i, &picture, side)?));
                progress();
            }
        };
        let first = Artist::load(dir, device()?, options, compression)?;
        let cost = first.cost(&self.prompts)?;
        let helper = || work(&Artist::load(dir, device()?, options, compression)?);
        let mut drawn = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..options.threads).map(|_| scope.spawn(helper)).collect();
            let mut drawn = work(&first)?;
            for thread in helpers {
                let more = thread.join().map_err(|_| Error::internal("a drawing thread panicked"))?;
                drawn.extend(more?);
            }
            Ok::<_, Error>(drawn)
        })?;
        drawn.sort_by_key(|(i, _)| *i);
        let drawn = drawn.into_iter().map(|(_, drawn)| drawn).collect();
        let cost = Cost { peak_mib: memory::peak_mib(), ..cost };
        self.outcome(name, compression.label(), drawn, Some(cost))
    }

    fn score(&self, i: usize, picture: &[f32], side: usize) -> Result<Drawn> {
        let request = self.prompts.get(i).ok_or_else(|| Error::internal(format!("there is no prompt {i}")))?;
        let features = self.extractor.features(&Picture::new(picture, side)?.planes(), SIDE)?;
        let verdict = judge(picture, side, request)?;
        Ok(Drawn { verdict, features, picture: (i < SAMPLES).then(|| picture.to_vec()), side })
    }

    fn outcome(&self, name: String, compression: String, drawn: Vec<Drawn>, cost: Option<Cost>) -> Result<EvalOutcome> {
        let mut accuracy = Accuracy::default();
        drawn.iter().for_each(|d| accuracy.add(d.verdict));
        let side = drawn.first().map_or(SIDE, |d| d.side);
        let captions = self.prompts.iter().map(Request::caption);
        let verdicts = captions.zip(drawn.iter().map(|d| d.verdict)).collect();
        let (features, pictures): (Vec<_>, Vec<_>) = drawn.into_iter().map(|d| (d.features, d.picture)).unzip();
        let frechet = Statistics::new(&features)?.frechet(&self.reference)?;
        let row = EvalRow { name, compression, accuracy, frechet, cost };
        Ok(EvalOutcome { row, verdicts, samples: pictures.into_iter().flatten().collect(), side })
    }
}

/// Scene `i` is of stream `i`, so that more prompts begin with the same ones.
fn scenes(seed: u64, count: usize) -> impl Iterator<Item = Scene> {
    (0..count as u64).map(move |i| describe(&mut Random::new(seed, i)))
}

/// A loaded bundle and how it draws.
struct Artist {
    pipeline: Rc<Pipeline>,
    options: EvalOptions,
    compression: Compression,
}

impl Artist {
    fn load(dir: &Path, device: Device, options: &EvalOptions, compression: &Compression) -> Result<Self> {
        let pipeline = Rc::new(Pipeline::new(load_folder(dir, &device, None)?)?);
        let side = pipeline.default_side();
        if side < SIDE {
            return Err(Error::input("bundle", format!("it draws {side} pixels, the judge needs {SIDE}")));
        }
        Ok(Self { pipeline, options: options.clone(), compression: compression.clone() })
    }

    /// The picture `[3, side, side]` of a prompt; its noise is that of seed `i`.
    fn draw(&self, request: &Request, i: usize) -> Result<(Vec<f32>, usize)> {
        let options = GenerateOptions {
            prompt: Some(request.caption()),
            seed: Some(i as u64),
            steps: Some(self.options.steps),
            guidance: Some(self.options.guidance),
            compression: self.compression.clone(),
            ..Default::default()
        };
        let mut run = Run::new(self.pipeline.clone(), &options, None)?;
        while run.step()?.is_some() {}
        let output = pollster::block_on(run.finish())?;
        Ok((output.pixels.data, output.image.width))
    }

    /// Operations, skipped tokens and latency of the prompts, alone.
    fn cost(&self, prompts: &[Request]) -> Result<Cost> {
        let scheduler = &self.pipeline.manifest().parts.scheduler;
        let sampler = Sampler::new(scheduler, scheduler.solver, self.options.steps)?;
        let (timesteps, keep) = (sampler.timesteps(), self.pipeline.keep_table(&self.compression)?);
        let config = self.pipeline.transformer().config();
        let tokens = (config.sample_size / config.patch_size).pow(2);
        let negative = self.pipeline.tokenize("")?.len();
        let mut flops = 0.0;
        for request in prompts {
            let positive = self.pipeline.tokenize(&request.caption())?.len();
            let both = [negative, positive];
            let captions = if is_guided(self.options.guidance) { &both[..] } else { &both[1..] };
            let cost = ImageCost { config, tokens, captions, timesteps, keep: keep.as_ref() };
            flops += cost.flops().total() as f64 / prompts.len() as f64;
        }
        let kept = keep.map_or(1.0, |table| {
            let steps = timesteps.iter().enumerate().map(|(i, t)| table.at(i, timesteps.len(), *t));
            let (sum, count) = steps.flatten().fold((0.0, 0), |(sum, count), keep| (sum + keep, count + 1));
            sum / f64::from(count.max(1))
        });
        let mut times = Vec::new();
        for (i, request) in prompts.iter().cycle().take(TIMED).enumerate() {
            let start = Instant::now();
            self.draw(request, i)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let latency_ms = times.get(times.len() / 2).copied().unwrap_or_default();
        Ok(Cost { skipped: 1.0 - kept, gflops_per_image: flops / 1e9, latency_ms, peak_mib: None })
    }
}

/// Forgets the process's largest size so far (Linux; elsewhere nothing happens).
fn reset_peak() {
    // Where it is refused, the peak is of the whole process: too large, never too small.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_pictures_score_full_marks() {
        let outcome = HeldOut::new(40).unwrap().truth().unwrap();
        let accuracy = outcome.row.accuracy;
        assert!(accuracy.prompt.percent() >= 97.0 && accuracy.prompt.asked == 40);
        assert!(accuracy.place.asked < 40 && accuracy.size.asked < 40);
        assert_eq!((outcome.samples.len(), outcome.side), (SAMPLES, 128));
        assert!(outcome.row.frechet.is_finite());
        assert!(HeldOut::new(1).is_err());
    }

    #[test]
    fn shares_have_their_error() {
        let share = Share { hits: 75, asked: 100 };
        assert!((share.percent() - 75.0).abs() < 1e-12 && (share.error() - 4.330).abs() < 1e-3);
        assert_eq!(Share::default().percent(), 0.0);
    }
}
