//! `diffcr eval-inpaint`: how well and how cheaply bundles fill holes of several sizes, as a table, CSV, JSON and pictures.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::device::DeviceArg;
use super::help;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::eval::inpainting::{InpaintEvalOptions, Mode, evaluate, report};
use crate::files;
use crate::model::ratios::Compression;
use crate::pipeline::limits::STEPS;
use crate::pipeline::png;

#[derive(Debug, Args)]
pub struct EvalInpaintArgs {
    /// The bundles; each must draw scenes.
    #[arg(required = true)]
    bundles: Vec<PathBuf>,
    /// Scenes a hole size, in each an object to replace.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    scenes: u32,
    /// Shares of the picture that holes cover, in percent.
    #[arg(long, value_delimiter = ',', default_value = "2,10,25,50", value_parser = clap::value_parser!(u32).range(1..=60))]
    holes: Vec<u32>,
    /// off (full compute), on (as shipped), or RING:REFRESH; `off` first, so that the others are compared with it.
    #[arg(long, value_delimiter = ',', default_value = "off,on")]
    modes: Vec<Mode>,
    #[arg(long, default_value_t = STEPS.default as u32, value_parser = help::steps_range())]
    steps: u32,
    #[arg(long, default_value_t = 3.0)]
    guidance: f64,
    /// learned, off, a preset, or a share of tokens to skip.
    #[arg(long, default_value = "learned")]
    compression: Compression,
    /// A folder for inpaint.csv, inpaint.json and a sheet of pictures a hole size: given, then every mode.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Scenes at a time [default: one a core, 1 on a GPU].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: Option<u32>,
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArg,
}

pub fn run(args: &EvalInpaintArgs, shared: &Shared) -> Result<()> {
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).map_err(|e| Error::io(out, e))?;
        files::check_target("out", &out.join("inpaint.csv"))?;
    }
    let options = InpaintEvalOptions {
        scenes: args.scenes as usize,
        holes: args.holes.clone(),
        modes: args.modes.clone(),
        steps: args.steps as usize,
        guidance: args.guidance,
        compression: args.compression.clone(),
        threads: args.device.threads(args.threads),
    };
    let mut rows = Vec::new();
    for (i, bundle) in args.bundles.iter().enumerate() {
        let bar = shared.count_bar("scene", options.scenes * options.holes.len());
        let outcome = evaluate(bundle, &|| args.device.init(), &options, &|| bar.inc(1))?;
        bar.finish_and_clear();
        if let Some(out) = &args.out {
            for (hole, pictures) in &outcome.samples {
                let sheet = png::sheet(pictures, outcome.side, options.modes.len() + 1)?;
                files::replace(&out.join(format!("{i}-{hole}.png")), &sheet)?;
            }
        }
        rows.extend(outcome.rows);
    }
    let settings = json!({ "scenes": args.scenes, "steps": args.steps, "guidance": args.guidance });
    let value = json!({ "settings": settings, "rows": rows });
    if let Some(out) = &args.out {
        files::replace(&out.join("inpaint.csv"), report::csv(&rows).as_bytes())?;
        files::replace(&out.join("inpaint.json"), format!("{value:#}\n").as_bytes())?;
    }
    shared.result(&value, &report::text(&rows))
}
