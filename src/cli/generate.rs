//! `diffcr generate`: a prompt becomes a PNG.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{Shared, png};
use super::device::DeviceArg;
use super::tensors::{self, write_file};
use crate::bundle::folder::load_folder;
use crate::error::{Error, Result};
use crate::model::config::SolverKind;
use crate::model::ratios::Compression;
use crate::pipeline::options::Values;
use crate::pipeline::{GenerateOptions, Pipeline, Run};

#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// The bundle.
    dir: PathBuf,
    #[arg(long)]
    prompt: String,
    #[arg(long)]
    negative: Option<String>,
    /// Denoising steps [default: 20; lcm 4, dmd 1].
    #[arg(long)]
    steps: Option<usize>,
    /// Weight of the prompt; 1 and below turn guidance off [default: 4.5; lcm and dmd 1].
    #[arg(long)]
    guidance: Option<f64>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Pixels [default: the model's own size].
    #[arg(long)]
    width: Option<usize>,
    #[arg(long)]
    height: Option<usize>,
    /// dpm++, dpm++1, ddim, euler, lcm or dmd [default: the model's own].
    #[arg(long, value_parser = parse_solver)]
    solver: Option<SolverKind>,
    /// learned, off, a preset, or a share of tokens to skip (0 … 0.9).
    #[arg(long, default_value = "learned")]
    compression: Compression,
    /// Safetensors file with `init_latents`, the unit noise to start from.
    #[arg(long)]
    latents: Option<PathBuf>,
    /// Row of `init_latents`, where it is a batch.
    #[arg(long, default_value_t = 0)]
    index: usize,
    /// Safetensors file to write with `final_latents` and `image`.
    #[arg(long)]
    save_latents: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArg,
    /// The picture to write.
    #[arg(long)]
    out: PathBuf,
}

fn parse_solver(name: &str) -> Result<SolverKind, String> {
    serde_json::from_value(json!(name)).map_err(|_| "use dpm++, dpm++1, ddim, euler, lcm or dmd".into())
}

pub fn run(args: &GenerateArgs, shared: &Shared) -> Result<()> {
    let started = Instant::now();
    let pipeline = Rc::new(Pipeline::new(load_folder(&args.dir, &args.device.init()?, None)?)?);
    let loaded = started.elapsed();
    let options = GenerateOptions {
        prompt: Some(args.prompt.clone()),
        negative_prompt: args.negative.clone(),
        seed: Some(args.seed),
        steps: args.steps,
        guidance: args.guidance,
        width: args.width,
        height: args.height,
        solver: args.solver,
        compression: args.compression.clone(),
        latents: args.latents.as_deref().map(|path| initial_latents(path, args.index)).transpose()?,
        ..Default::default()
    };
    let mut run = Run::new(pipeline, &options)?;
    let bar = progress(run.total(), shared);
    while let Some(report) = run.step()? {
        pollster::block_on(run.wait())?;
        bar.set_position(report.step as u64);
    }
    let output = pollster::block_on(run.finish())?;
    bar.finish_and_clear();

    let (width, height) = (output.image.width, output.image.height);
    write_file(&args.out, &png::encode(&output.pixels.data, width, height)?)?;
    if let Some(path) = &args.save_latents {
        tensors::write(
            path,
            &[("final_latents".to_owned(), output.latents.into()), ("image".to_owned(), output.pixels.into())],
        )?;
    }
    let settings = run.settings();
    shared.result(
        &json!({
            "out": args.out, "width": width, "height": height, "seed": settings.seed,
            "steps": settings.steps, "guidance": settings.guidance, "solver": settings.solver,
            "loadMs": loaded.as_millis() as u64, "totalMs": started.elapsed().as_millis() as u64,
        }),
        &format!("{} ({} steps, {:.1} s)", args.out.display(), settings.steps, started.elapsed().as_secs_f64()),
    );
    Ok(())
}

/// Row `index` of `init_latents` `[B, C, h, w]`.
fn initial_latents(path: &Path, index: usize) -> Result<Values> {
    let file = tensors::read(path)?;
    let latents = file.get("init_latents");
    let latents = latents.ok_or_else(|| Error::input("latents", format!("{} has no init_latents", path.display())))?;
    let &[batch, channels, height, width] = &latents.shape[..] else {
        return Err(Error::input("latents", format!("the shape of init_latents is {:?}", latents.shape)));
    };
    if index >= batch {
        return Err(Error::input("index", format!("init_latents has {batch} rows")));
    }
    let size = channels * height * width;
    Ok(Values { shape: vec![1, channels, height, width], data: latents.data[index * size..][..size].to_vec() })
}

fn progress(steps: usize, shared: &Shared) -> ProgressBar {
    let target = if shared.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{bar:30} step {pos}/{len} {eta}").unwrap_or(ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(steps as u64), target).with_style(style)
}
