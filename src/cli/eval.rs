//! `diffcr eval`: bundles and compressions side by side on held-out prompts, as a table, CSV, JSON and a plot.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::device::DeviceArg;
use super::help;
use super::shared::Shared;
use crate::data::stickers::Pairs;
use crate::data::stickers::art::INSTALLED;
use crate::error::{Error, Result};
use crate::eval::exam::Exam;
use crate::eval::generation::{EvalOptions, EvalOutcome, EvalRow, HeldOut, report};
use crate::eval::scenes::SceneExam;
use crate::eval::stickers::exam::StickerExam;
use crate::files;
use crate::model::ratios::Compression;
use crate::pipeline::limits::STEPS;
use crate::pipeline::png;

/// Pictures in a row of a sheet.
const COLUMNS: usize = 4;

#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The bundles; each must draw what the prompts ask for.
    #[arg(required = true)]
    bundles: Vec<PathBuf>,
    /// Whose captions the prompts are, and who judges.
    #[arg(long, value_enum, default_value_t = Subject::Scenes)]
    source: Subject,
    /// With `stickers`: the folder that `train classifier` wrote, which tells whether a thing is what was asked for.
    #[arg(long)]
    classifier: Option<PathBuf>,
    /// With `stickers`: prompts of the pairs of thing and colour that training never sees.
    #[arg(long)]
    held_out_pairs: bool,
    /// With `stickers`: the `node_modules` with the drawings.
    #[arg(long, default_value = INSTALLED)]
    art: PathBuf,
    /// Held-out prompts a row.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    prompts: u32,
    #[arg(long, default_value_t = STEPS.default as u32, value_parser = help::steps_range())]
    steps: u32,
    #[arg(long, default_value_t = 3.0)]
    guidance: f64,
    /// Rows of every bundle: learned, off, presets or shares, with commas between. What a dense bundle cannot do is left out.
    #[arg(long, value_delimiter = ',', default_value = "learned")]
    compression: Vec<Compression>,
    /// Of every bundle also a row of true pictures through its autoencoder: the most that a model of its latents can reach.
    #[arg(long)]
    autoencoder: bool,
    /// A folder for eval.csv, eval.json, eval.svg, and of each row the verdicts and a sheet of pictures.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Images drawn at a time [default: one a core, 1 on a GPU].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    Scenes,
    Stickers,
}

fn exam(args: &EvalArgs) -> Result<Box<dyn Exam>> {
    let count = args.prompts as usize;
    if args.source == Subject::Stickers {
        let pairs = if args.held_out_pairs { Pairs::HeldOut } else { Pairs::Training };
        return Ok(Box::new(StickerExam::new(count, pairs, &args.art, args.classifier.as_deref())?));
    }
    if args.classifier.is_some() || args.held_out_pairs {
        let option = if args.held_out_pairs { "heldOutPairs" } else { "classifier" };
        return Err(Error::input(option, "goes with `--source stickers`"));
    }
    Ok(Box::new(SceneExam::new(count)?))
}

pub fn run(args: &EvalArgs, shared: &Shared) -> Result<()> {
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).map_err(|e| Error::io(out, e))?;
        files::check_target("out", &out.join("eval.csv"))?;
    }
    let options = EvalOptions {
        prompts: args.prompts as usize,
        steps: args.steps as usize,
        guidance: args.guidance,
        threads: args.device.threads(args.threads).min(args.prompts as usize),
    };
    let exam = exam(args)?;
    let held_out = HeldOut::new(&*exam)?;
    let mut outcomes = vec![held_out.truth().clone()];
    for bundle in &args.bundles {
        if args.autoencoder {
            let bar = shared.count_bar("image", options.prompts);
            outcomes.extend(held_out.rebuilt(bundle, &args.device.init()?, &|| bar.inc(1))?);
            bar.finish_and_clear();
        }
        for compression in applicable(bundle, &args.compression)? {
            let bar = shared.count_bar("image", options.prompts);
            let device = || args.device.init();
            let outcome = held_out.evaluate(bundle, &device, &options, &compression, &|| bar.inc(1))?;
            bar.finish_and_clear();
            outcomes.push(outcome);
        }
    }
    let rows: Vec<EvalRow> = outcomes.iter().map(|o| o.row.clone()).collect();
    let settings = json!({ "prompts": args.prompts, "steps": args.steps, "guidance": args.guidance });
    let value = json!({ "settings": settings, "rows": rows });
    if let Some(out) = &args.out {
        files::replace(&out.join("eval.csv"), report::csv(&rows).as_bytes())?;
        files::replace(&out.join("eval.json"), format!("{value:#}\n").as_bytes())?;
        files::replace(&out.join("eval.svg"), report::svg(&rows).as_bytes())?;
        for (i, outcome) in outcomes.iter().enumerate() {
            let EvalOutcome { row, verdicts, samples, side } = outcome;
            let name = [row.name.as_str(), row.compression.as_str()].join(" ");
            let name = name.trim().replace(|c: char| !c.is_alphanumeric() && c != '.', "-");
            files::replace(&out.join(format!("{i}-{name}.csv")), report::verdicts(exam.marks(), verdicts).as_bytes())?;
            files::replace(&out.join(format!("{i}-{name}.png")), &png::sheet(samples, *side, COLUMNS)?)?;
        }
    }
    shared.result(&value, &report::text(&rows))
}

/// The compressions that mean something to a bundle: for a dense one, running dense, once.
fn applicable(bundle: &std::path::Path, asked: &[Compression]) -> Result<Vec<Compression>> {
    let routed = crate::bundle::folder::read_manifest(bundle)?.routing.is_some();
    if routed {
        return Ok(asked.to_vec());
    }
    match asked.iter().find(|c| c.asks_for_nothing()) {
        Some(_) => Ok(vec![Compression::Name("off".into())]),
        None => Err(Error::input("compression", format!("{} has no routers: it runs dense", bundle.display()))),
    }
}
