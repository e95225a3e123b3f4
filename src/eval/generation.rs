//! How well a bundle draws what it is asked: held-out prompts, drawn, judged, compared with true pictures, and what that cost.

mod accuracy;
pub mod report;

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

use super::edges::Edges;
use super::exam::{Exam, Judged, PATCH};
use super::features::Statistics;
use crate::bundle::folder::load_folder;
use crate::device::memory;
use crate::error::{Error, Result};
use crate::flops::ImageCost;
use crate::model::ratios::Compression;
use crate::pipeline::read_back::read_back;
use crate::pipeline::{GenerateOptions, Pipeline, Run};
use crate::sampler::Sampler;
use crate::sampler::guidance::is_guided;
pub use accuracy::{Accuracy, Share};

/// Images that are drawn alone to tell their latency.
const TIMED: usize = 5;
/// Pictures kept to be looked at.
pub const SAMPLES: usize = 16;

/// How prompts are drawn.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    pub prompts: usize,
    pub steps: usize,
    pub guidance: f64,
    /// Images at a time, each with a pipeline of its own.
    pub threads: usize,
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
    /// Energy of the differences between neighbours along the borders of patches, over that elsewhere; of the prompts' true pictures it is 1. None
    /// where the pictures have another size than the true ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seam: Option<f64>,
    /// That energy of all neighbours, over that of the true pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharpness: Option<f64>,
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
    /// The marks of every prompt.
    pub verdicts: Vec<(String, Vec<Option<bool>>)>,
    pub samples: Vec<Vec<f32>>,
    pub side: usize,
}

/// An exam, those who take it, and what true pictures of its prompts score: the best a model can do.
pub struct HeldOut<'a> {
    exam: &'a dyn Exam,
    truth: EvalOutcome,
    /// Of the true pictures.
    edges: Edges,
}

/// One drawn picture.
struct Drawn {
    judged: Judged,
    edges: Edges,
    picture: Option<Vec<f32>>,
    side: usize,
}

impl<'a> HeldOut<'a> {
    /// # Errors
    /// Where the true pictures cannot be drawn.
    pub fn new(exam: &'a dyn Exam) -> Result<Self> {
        let one = |i: usize| {
            let (picture, side) = exam.true_picture(i)?;
            score(exam, i, &picture, side)
        };
        let drawn = (0..exam.prompts().len()).map(one).collect::<Result<_>>()?;
        let (mut truth, edges) = outcome(exam, "true pictures".into(), String::new(), drawn, None)?;
        (truth.row.seam, truth.row.sharpness) = Some(edges.relative_to(&edges)).unzip();
        Ok(Self { exam, truth, edges })
    }

    /// What true pictures of the prompts score.
    pub fn truth(&self) -> &EvalOutcome {
        &self.truth
    }

    /// What true pictures of the prompts score after the autoencoder of the bundle in `dir` took them apart and put them together:
    /// the best a model of its latents can do. `None` where the bundle draws pixels.
    ///
    /// # Errors
    /// Where the bundle cannot be loaded or has no encoder.
    pub fn rebuilt(&self, dir: &Path, device: &Device, progress: &dyn Fn()) -> Result<Option<EvalOutcome>> {
        let pipeline = Pipeline::new(load_folder(dir, device, None)?)?;
        if pipeline.decoders().next().is_none() {
            return Ok(None);
        }
        let one = |i: usize| {
            let (picture, side) = self.exam.true_picture(i)?;
            let picture = Tensor::<4>::from_data(TensorData::new(picture, [1, 3, side, side]), device);
            let rebuilt = pipeline.decode(pipeline.encode(picture)?)?.clamp(-1.0, 1.0);
            let rebuilt = pollster::block_on(read_back(rebuilt))?;
            progress();
            score(self.exam, i, &rebuilt, side)
        };
        let drawn = (0..self.exam.prompts().len()).map(one).collect::<Result<_>>()?;
        let name = format!("true pictures through {}", name_of(dir));
        Ok(Some(self.compared(outcome(self.exam, name, String::new(), drawn, None)?)))
    }

    /// With its edges beside those of the true pictures.
    fn compared(&self, (mut found, edges): (EvalOutcome, Edges)) -> EvalOutcome {
        let comparable = found.side == self.truth.side;
        (found.row.seam, found.row.sharpness) = comparable.then(|| edges.relative_to(&self.edges)).unzip();
        found
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
        let next = AtomicUsize::new(0);
        let work = |artist: &Artist| -> Result<Vec<(usize, Drawn)>> {
            let mut drawn = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(prompt) = self.exam.prompts().get(i) else { return Ok(drawn) };
                let (picture, side) =
                    artist.draw(prompt, i).inspect_err(|_| next.store(self.exam.prompts().len(), Ordering::Relaxed))?;
                drawn.push((i, score(self.exam, i, &picture, side)?));
                progress();
            }
        };
        let load = || Artist::load(dir, device()?, options, compression, self.exam.least_side());
        let first = load()?;
        let cost = first.cost(self.exam.prompts())?;
        let helper = || work(&load()?);
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
        Ok(self.compared(outcome(self.exam, name_of(dir), compression.label(), drawn, Some(cost))?))
    }
}

fn name_of(dir: &Path) -> String {
    dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned()
}

fn score(exam: &dyn Exam, i: usize, picture: &[f32], side: usize) -> Result<Drawn> {
    let mut edges = Edges::new(PATCH)?;
    edges.add(picture, side)?;
    let judged = exam.judge(i, picture, side)?;
    Ok(Drawn { judged, edges, picture: (i < SAMPLES).then(|| picture.to_vec()), side })
}

/// The sum of what was drawn for the prompts, and its edges, which are compared with nothing yet.
fn outcome(
    exam: &dyn Exam,
    name: String,
    compression: String,
    drawn: Vec<Drawn>,
    cost: Option<Cost>,
) -> Result<(EvalOutcome, Edges)> {
    let mut accuracy = Accuracy::new(exam.marks());
    let mut edges = Edges::new(PATCH)?;
    let side = drawn.first().map_or(0, |d| d.side);
    let (mut verdicts, mut features, mut samples) = (Vec::new(), Vec::new(), Vec::new());
    for (prompt, drawn) in exam.prompts().iter().zip(drawn) {
        accuracy.add(&drawn.judged.marks);
        edges.merge(&drawn.edges);
        verdicts.push((prompt.clone(), drawn.judged.marks));
        features.push(drawn.judged.features);
        samples.extend(drawn.picture);
    }
    let frechet = Statistics::new(&features)?.frechet(exam.reference())?;
    let row = EvalRow { name, compression, accuracy, frechet, seam: None, sharpness: None, cost };
    Ok((EvalOutcome { row, verdicts, samples, side }, edges))
}

/// A loaded bundle and how it draws.
struct Artist {
    pipeline: Rc<Pipeline>,
    options: EvalOptions,
    compression: Compression,
}

impl Artist {
    fn load(
        dir: &Path,
        device: Device,
        options: &EvalOptions,
        compression: &Compression,
        least: usize,
    ) -> Result<Self> {
        let pipeline = Rc::new(Pipeline::new(load_folder(dir, &device, None)?)?);
        let side = pipeline.default_side();
        if side < least {
            return Err(Error::input("bundle", format!("it draws {side} pixels, the judge needs {least}")));
        }
        Ok(Self { pipeline, options: options.clone(), compression: compression.clone() })
    }

    /// The picture `[3, side, side]` of a prompt; its noise is that of seed `i`.
    fn draw(&self, prompt: &str, i: usize) -> Result<(Vec<f32>, usize)> {
        let options = GenerateOptions {
            prompt: Some(prompt.to_owned()),
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
    fn cost(&self, prompts: &[String]) -> Result<Cost> {
        let scheduler = &self.pipeline.manifest().parts.scheduler;
        let sampler = Sampler::new(scheduler, scheduler.solver, self.options.steps)?;
        let (timesteps, keep) = (sampler.timesteps(), self.pipeline.keep_table(&self.compression)?);
        let config = self.pipeline.transformer().config();
        let tokens = (config.sample_size / config.patch_size).pow(2);
        let negative = self.pipeline.tokenize("")?.len();
        let mut flops = 0.0;
        for prompt in prompts {
            let positive = self.pipeline.tokenize(prompt)?.len();
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
        for (i, prompt) in prompts.iter().cycle().take(TIMED).enumerate() {
            let start = Instant::now();
            self.draw(prompt, i)?;
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
