//! `diffcr generate`: a prompt becomes a PNG.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::device::DeviceArg;
use super::help;
use super::shared::Shared;
use super::{tensors, text};
use crate::bundle::config::SolverKind;
use crate::bundle::manifest::Part;
use crate::error::{Error, Result};
use crate::files::{self, check_target};
use crate::model::ratios::Compression;
use crate::pipeline::generate::GenerateOutput;
use crate::pipeline::options::Values;
use crate::pipeline::png;
use crate::pipeline::residency::TextEncoderMode;
use crate::pipeline::{EditOptions, GenerateOptions, Run};

#[derive(Debug, Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    drawing: DrawingArgs,
    /// Safetensors file with `init_latents`, the unit noise to start from.
    #[arg(long)]
    latents: Option<PathBuf>,
    /// Row of `init_latents`, where it is a batch.
    #[arg(long, default_value_t = 0)]
    index: usize,
    /// JSON file to write with the tokens that every layer kept at every step.
    #[arg(long)]
    save_routing: Option<PathBuf>,
}

/// What every way of drawing a picture takes.
#[derive(Debug, Args)]
pub struct DrawingArgs {
    /// The bundle.
    dir: PathBuf,
    #[arg(long, required_unless_present = "prompt_embeds")]
    prompt: Option<String>,
    #[arg(long)]
    negative: Option<String>,
    /// Safetensors file with text states in place of prompts: `prompt_embeds` [1, S, E] and, with guidance, `negative_prompt_embeds`. Of a
    /// `prompt_attention_mask` (`negative_prompt_attention_mask`) [1, S] the first 0 ends them.
    #[arg(long, conflicts_with = "prompt")]
    prompt_embeds: Option<PathBuf>,
    #[arg(help = help::steps(), long)]
    steps: Option<usize>,
    #[arg(help = help::guidance(), long)]
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
    /// Safetensors file to write with `final_latents` and `image` (inpainting: `decoded` and `composite` in its place).
    #[arg(long)]
    pub save_latents: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArg,
    /// Whether the text encoder is loaded with the rest, or passes by a layer at a time; auto: what takes more than 256 MiB passes by.
    #[arg(long, value_enum, default_value_t)]
    text_encoder: TextEncoderMode,
    /// The picture to write, a PNG.
    #[arg(long, value_parser = parse_out)]
    pub out: PathBuf,
}

/// A solver by the name that users type.
pub fn parse_solver(name: &str) -> Result<SolverKind, String> {
    serde_json::from_value(json!(name)).map_err(|_| "use dpm++, dpm++1, ddim, euler, lcm or dmd".into())
}

/// A run that is over, and the times it took.
pub struct Drawn {
    pub run: Run,
    pub output: GenerateOutput,
    load: Duration,
    total: Duration,
}

/// A picture's name, which says that it is a PNG, or nothing.
fn parse_out(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match path.extension() {
        Some(ending) if !ending.eq_ignore_ascii_case("png") => {
            Err(format!("pictures are written as PNG: use a name that ends in .png, not .{}", ending.to_string_lossy()))
        }
        _ => Ok(path),
    }
}

impl DrawingArgs {
    /// The flags as options, with the unit noise to start from.
    ///
    /// # Errors
    /// `InvalidInput` naming a tensor of `--prompt-embeds` that is missing or has another shape.
    pub fn options(&self, latents: Option<Values>) -> Result<GenerateOptions> {
        let (prompt_embeds, negative_prompt_embeds) = match &self.prompt_embeds {
            Some(path) => embeds(path)?,
            None => (None, None),
        };
        Ok(GenerateOptions {
            prompt: self.prompt.clone(),
            prompt_embeds,
            negative_prompt_embeds,
            negative_prompt: self.negative.clone(),
            seed: Some(self.seed),
            steps: self.steps,
            guidance: self.guidance,
            width: self.width,
            height: self.height,
            solver: self.solver,
            compression: self.compression.clone(),
            latents,
            ..Default::default()
        })
    }

    /// Loads the bundle and takes every step of a run of `options` with it.
    pub fn draw(&self, shared: &Shared, options: &GenerateOptions, edit: Option<&EditOptions>) -> Result<Drawn> {
        check_target("out", &self.out)?;
        self.save_latents.as_deref().map_or(Ok(()), |path| check_target("save-latents", path))?;
        let started = Instant::now();
        let pipeline = Rc::new(text::open(&self.dir, &self.device.init()?, self.text_encoder, edit.is_some())?);
        let load = started.elapsed();
        let encoder = pipeline.manifest().files.iter().filter(|entry| entry.part == Part::TextEncoder);
        let bar = shared.bytes_bar(encoder.map(|entry| entry.bytes).sum());
        text::read_unknown(&pipeline, &self.dir, options, &bar)?;
        bar.finish_and_clear();
        let mut run = Run::new(pipeline, options, edit)?;
        let bar = shared.count_bar("step", run.total());
        while let Some(report) = run.step()? {
            pollster::block_on(run.wait())?;
            bar.set_position(report.step as u64);
        }
        let output = pollster::block_on(run.finish())?;
        bar.finish_and_clear();
        Ok(Drawn { run, output, load, total: started.elapsed() })
    }

    /// Says what was written.
    ///
    /// # Errors
    /// `Io` where it cannot be said.
    pub fn report(&self, shared: &Shared, drawn: &Drawn, more: &[(&str, Value)]) -> Result<()> {
        let (settings, image) = (drawn.run.settings(), &drawn.output.image);
        let mut value = json!({
            "out": self.out, "width": image.width, "height": image.height, "seed": settings.seed,
            "steps": settings.steps, "guidance": settings.guidance, "solver": settings.solver,
            "loadMs": drawn.load.as_millis() as u64, "totalMs": drawn.total.as_millis() as u64,
        });
        for (key, more) in more {
            value[*key] = more.clone();
        }
        let (steps, seconds) = (drawn.run.total(), drawn.total.as_secs_f64());
        shared.result(&value, &format!("{} ({steps} steps, {seconds:.1} s)", self.out.display()))
    }
}

pub fn run(args: &GenerateArgs, shared: &Shared) -> Result<()> {
    args.save_routing.as_deref().map_or(Ok(()), |path| check_target("save-routing", path))?;
    let latents = args.latents.as_deref().map(|path| initial_latents(path, args.index)).transpose()?;
    let options = GenerateOptions { return_routing: args.save_routing.is_some(), ..args.drawing.options(latents)? };
    let drawn = args.drawing.draw(shared, &options, None)?;
    let GenerateOutput { image, pixels, latents, .. } = &drawn.output;
    files::replace(&args.drawing.out, &png::encode(&pixels.data, image.width, image.height)?)?;
    if let Some(path) = &args.drawing.save_latents {
        let named = [("final_latents", latents), ("image", pixels)];
        tensors::write(path, &named.map(|(name, values)| (name.to_owned(), values.clone().into())))?;
    }
    if let (Some(path), Some(routing)) = (&args.save_routing, &drawn.output.routing) {
        files::replace(path, json!(routing).to_string().as_bytes())?;
    }
    args.drawing.report(shared, &drawn, &[])
}

/// The text states of a file, cut where their masks end.
fn embeds(path: &Path) -> Result<(Option<Values>, Option<Values>)> {
    let mut file = tensors::read(path)?;
    let mut states = |prefix: &str| {
        let name = format!("{prefix}prompt_embeds");
        let Some(mut states) = file.remove(&name) else { return Ok(None) };
        let (&[1, tokens, width] | &[tokens, width]) = &states.shape[..] else {
            return Err(Error::input(name, format!("its shape is {:?}, not [1, S, E]", states.shape)));
        };
        let mask = file.remove(&format!("{prefix}prompt_attention_mask"));
        let kept = mask.map_or(tokens, |mask| mask.data.iter().take_while(|v| **v > 0.5).count()).min(tokens);
        if kept == 0 {
            return Err(Error::input(name, "no token of it is kept"));
        }
        if let Some(value) = states.data.iter().find(|value| !value.is_finite()) {
            return Err(Error::input(name, format!("it holds {value}")));
        }
        states.data.truncate(kept * width);
        Ok(Some(Values { shape: vec![1, kept, width], data: states.data }))
    };
    let (positive, negative) = (states("")?, states("negative_")?);
    match positive {
        Some(_) => Ok((positive, negative)),
        None => Err(Error::input("prompt-embeds", format!("{} has no tensor prompt_embeds", path.display()))),
    }
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
