//! `diffcr bench`: what a step of a bundle costs, dense and routed: operations, time and memory.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::device::DeviceArg;
use super::help;
use super::shared::{Shared, size};
use crate::bundle::folder::load_folder;
use crate::bundle::manifest::Part;
use crate::bundle::routing::{Preset, Routing, ScoreScale};
use crate::bundle::{Loaded, Weights};
use crate::device::memory;
use crate::error::{Error, Result};
use crate::flops::ImageCost;
use crate::model::ratios::{Compression, KeepTable};
use crate::pipeline::options::Values;
use crate::pipeline::{GenerateOptions, Pipeline, Run};

/// The preset that a model without routers is given.
const EVEN: &str = "even";

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The bundle.
    dir: PathBuf,
    /// Shares of the tokens to skip, each a row for every way of spreading it.
    #[arg(long, value_delimiter = ',', default_value = "0.2,0.3,0.5")]
    compression: Vec<f64>,
    /// Steps that are timed, after one that is not.
    #[arg(help = help::steps(), long, default_value_t = 8)]
    steps: usize,
    /// Tokens of the caption, whose states are zero.
    #[arg(long, default_value_t = 20)]
    caption: usize,
    /// Pixels [default: the model's own size].
    #[arg(long)]
    width: Option<usize>,
    #[arg(long)]
    height: Option<usize>,
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArg,
}

/// A way of spreading the tokens that are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    /// None are.
    Dense,
    /// By layer and region of the timesteps, as the model learned it.
    Lt,
    /// By layer alone: the mean of the regions.
    L,
    /// Evenly, as mixture of depths does.
    Mod,
}

impl Spread {
    fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Lt => "LT",
            Self::L => "L",
            Self::Mod => "MoD",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    spread: &'static str,
    /// Mean keep ratio of the layers over the run.
    keep: f64,
    /// Of a step, without the caption's share.
    gflops: f64,
    /// Median of the steps.
    step_ms: f64,
    /// Of the process while the row was run, where the system tells.
    peak_bytes: Option<u64>,
}

pub fn run(args: &BenchArgs, shared: &Shared) -> Result<()> {
    let parts = [Part::Transformer, Part::Vae, Part::VaeTiny];
    let mut loaded = load_folder(&args.dir, &args.device.init()?, Some(&parts))?;
    (loaded.manifest.parts.text_encoder, loaded.manifest.parts.tokenizer) = (None, None);
    let learned = loaded.manifest.routing.clone();
    let routing = match &learned {
        Some(routing) => routing.clone(),
        None => even(&mut loaded)?,
    };
    let mut spreads = vec![(Spread::Dense, 0.0)];
    for &share in &args.compression {
        let ways: &[Spread] = if learned.is_some() { &[Spread::Lt, Spread::L, Spread::Mod] } else { &[Spread::Mod] };
        spreads.extend(ways.iter().map(|&way| (way, share)));
    }
    let presets = spreads.iter().enumerate().map(|(i, &(spread, share))| preset(&routing, i, spread, share));
    let presets: Vec<Preset> = presets.collect::<Result<_>>()?;
    let mut bins = routing.bins.clone();
    bins.extend(presets.iter().flat_map(|p| p.keep.iter().flatten()));
    bins.sort_by(|a, b| b.total_cmp(a));
    bins.dedup();
    let default = presets.first().map_or_else(String::new, |p| p.name.clone());
    loaded.manifest.routing = Some(Routing { bins, presets: presets.clone(), default, ..routing });

    let pipeline = Rc::new(Pipeline::new(loaded)?);
    let bar = shared.count_bar("row", presets.len());
    let mut rows = Vec::new();
    for ((spread, _), preset) in spreads.iter().zip(&presets) {
        rows.push(row(args, &pipeline, *spread, preset)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let untrained = if learned.is_some() { "" } else { "; it has no routers: those of these rows are made up" };
    let name = &pipeline.manifest().name;
    shared.result(
        &json!({ "name": name, "routed": learned.is_some(), "steps": args.steps, "caption": args.caption, "rows": rows }),
        &format!("{name}, {} steps, a caption of {} tokens{untrained}\n{}", args.steps, args.caption, table(&rows)),
    )
}

/// A table of ratios with that share of the tokens skipped.
fn preset(routing: &Routing, index: usize, spread: Spread, share: f64) -> Result<Preset> {
    let learned = KeepTable::new(routing, &Compression::Share(share), 1)?;
    let (regions, layers) = (learned.table().len(), learned.table().first().map_or(0, Vec::len));
    let mean = |layer: usize| learned.table().iter().map(|row| row[layer]).sum::<f64>() / regions.max(1) as f64;
    let keep = match spread {
        Spread::Dense => vec![vec![1.0; layers]; regions],
        Spread::Lt => learned.table().to_vec(),
        Spread::L => vec![(0..layers).map(mean).collect(); regions],
        Spread::Mod => vec![vec![1.0 - share; layers]; regions],
    };
    Ok(Preset { name: format!("row-{index}"), keep, dense_steps: 0.0 })
}

/// Gives a dense model routers that prefer nothing, and the ratios of one that compresses evenly.
fn even(loaded: &mut Loaded) -> Result<Routing> {
    let t = &loaded.manifest.parts.transformer;
    let (layers, width) = (t.layers, t.width());
    add_routers(&mut loaded.weights, layers, width);
    let preset = Preset { name: EVEN.into(), keep: vec![vec![1.0; layers]], dense_steps: 0.0 };
    let bins = (0..10).map(|i| f64::from(10 - i) / 10.0).collect();
    let (score_scale, default) = (ScoreScale::Mlp, EVEN.into());
    Ok(Routing { bins, regions: 1, score_scale, score_gain: 1.0, presets: vec![preset], default })
}

fn add_routers(weights: &mut Weights, layers: usize, width: usize) {
    for i in 0..layers {
        weights.insert(format!("transformer.transformer_blocks.{i}.router.weight"), &[1, width], vec![0.0; width]);
    }
}

fn row(args: &BenchArgs, pipeline: &Rc<Pipeline>, spread: Spread, preset: &Preset) -> Result<Row> {
    let config = pipeline.transformer().config();
    let width = config.caption_channels;
    if !(1..=4096).contains(&args.caption) {
        return Err(Error::input("caption", "is outside 1..4096"));
    }
    let states = Values { shape: vec![1, args.caption, width], data: vec![1.0; args.caption * width] };
    let options = GenerateOptions {
        prompt_embeds: Some(states),
        steps: Some(args.steps + 1),
        guidance: Some(1.0),
        width: args.width,
        height: args.height,
        compression: Compression::Name(preset.name.clone()),
        ..Default::default()
    };
    let mut run = Run::new(pipeline.clone(), &options, None)?;
    memory::forget_peak();
    let (mut timesteps, mut times) = (Vec::new(), Vec::new());
    loop {
        let started = Instant::now();
        let Some(report) = run.step()? else { break };
        pollster::block_on(run.wait())?;
        times.push(started.elapsed());
        timesteps.push(report.timestep);
    }
    times.remove(0);
    times.sort();
    let settings = run.settings();
    let cell = pipeline.pixel_scale() * config.patch_size;
    let keep = pipeline.keep_table(&options.compression)?;
    let tokens = (settings.height / cell) * (settings.width / cell);
    let cost = |keep: Option<&KeepTable>| {
        let image = ImageCost { config, tokens, captions: &[args.caption], timesteps: &timesteps, keep };
        let flops = image.flops();
        (flops.total() - flops.caption) as f64 / timesteps.len() as f64 / 1e9
    };
    let mean = |table: &KeepTable| {
        let rows = timesteps.iter().map(|&t| table.ratios(t));
        rows.map(|row| row.iter().sum::<f64>() / row.len() as f64).sum::<f64>() / timesteps.len() as f64
    };
    Ok(Row {
        spread: spread.name(),
        keep: keep.as_ref().map_or(1.0, mean),
        gflops: cost(keep.as_ref().filter(|_| spread != Spread::Dense)),
        step_ms: times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e3,
        peak_bytes: memory::peak_mib().map(|mib| (mib * f64::from(1 << 20)) as u64),
    })
}

fn table(rows: &[Row]) -> String {
    let dense = rows.first().map_or(1.0, |row| row.gflops);
    let head = "         keep    GFLOPs  of dense   ms a step        peak".to_owned();
    let line = |row: &Row| {
        let peak = row.peak_bytes.map_or_else(|| "-".into(), size);
        format!(
            "{:<6} {:>6.3} {:>9.2} {:>7.0} % {:>11.1} {:>11}",
            row.spread,
            row.keep,
            row.gflops,
            100.0 * row.gflops / dense,
            row.step_ms,
            peak
        )
    };
    std::iter::once(head).chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}
