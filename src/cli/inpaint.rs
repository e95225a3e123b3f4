//! `diffcr inpaint`: the masked part of a picture is drawn anew, the rest stays as it is to the bit.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::generate::DrawingArgs;
use super::help;
use super::shared::Shared;
use super::tensors;
use crate::error::{Error, Result};
use crate::files;
use crate::pipeline::EditOptions;
use crate::pipeline::crop::Region;
use crate::pipeline::generate::GenerateOutput;
use crate::pipeline::inpaint::{InpaintSettings, MaskAware};
use crate::pipeline::limits::{FEATHER, STRENGTH};
use crate::pipeline::mask_aware::{MaskAwareOptions, StepMode};
use crate::pipeline::options::Values;
use crate::pipeline::photo;
use crate::pipeline::picture::{MaskFrom, Picture};
use crate::pipeline::png;

#[derive(Debug, Args)]
pub struct InpaintArgs {
    #[command(flatten)]
    drawing: DrawingArgs,
    /// The picture: a PNG, JPEG or WebP of 8 bits a channel (turned upright, brought to sRGB), or a safetensors file with `image` [1, 3, H, W] in [-1, 1].
    #[arg(long)]
    image: PathBuf,
    /// What to redraw, in white: a PNG, JPEG or WebP, or a safetensors file with `mask` [1, 1, H, W].
    #[arg(long)]
    mask: PathBuf,
    /// The mask is where its picture is transparent, not where it is white.
    #[arg(long)]
    mask_from_alpha: bool,
    /// Share of the steps to run: 1 redraws from noise alone, 0 changes nothing.
    #[arg(long, default_value_t = STRENGTH.default)]
    strength: f64,
    /// Compute what the hole needs, or everything.
    #[arg(long, value_enum, default_value_t)]
    mask_aware: Switch,
    /// Mask-aware: tokens around the hole that run at every step [default: 0].
    #[arg(long)]
    ring: Option<usize>,
    #[arg(help = help::refresh(), long)]
    refresh: Option<usize>,
    /// Draw the mask's surroundings alone, at the model's size.
    #[arg(long)]
    crop_to_mask: bool,
    /// Pixels outside the mask over which the drawing fades into the picture.
    #[arg(long, default_value_t = FEATHER.default)]
    feather: f64,
    /// Safetensors file with `noise` [1, C, h, w], the unit noise to use.
    #[arg(long)]
    noise: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Switch {
    #[default]
    On,
    Off,
}

pub fn run(args: &InpaintArgs, shared: &Shared) -> Result<()> {
    let (image, alpha) = picture(&args.image, "image")?;
    let (mask, _) = picture(&args.mask, "mask")?;
    let noise = args.noise.as_deref().map(|path| tensor(path, "noise")).transpose()?;
    let own = MaskAwareOptions::default();
    let mask_aware =
        MaskAwareOptions { ring: args.ring.unwrap_or(own.ring), refresh: args.refresh.unwrap_or(own.refresh), ..own };
    let how = InpaintSettings {
        strength: args.strength,
        mask_aware: match args.mask_aware {
            Switch::On => MaskAware::Options(mask_aware),
            Switch::Off => MaskAware::Switch(false),
        },
        crop_to_mask: args.crop_to_mask,
        feather: args.feather,
        mask_from: if args.mask_from_alpha { MaskFrom::Alpha } else { MaskFrom::Lightness },
    };
    let (options, edit) = (args.drawing.options(noise)?, EditOptions { image, mask, how });
    let drawn = args.drawing.draw(shared, &options, Some(&edit))?;

    let GenerateOutput { image, pixels, latents, composite, .. } = &drawn.output;
    files::replace(&args.drawing.out, &png::encode_image(image, alpha)?)?;
    if let Some(path) = &args.drawing.save_latents {
        let composite = composite.clone().unwrap_or_else(|| Values {
            shape: vec![1, 3, image.height, image.width],
            data: Picture::Bytes(image.clone()).planes(Region::whole(image.width, image.height)),
        });
        let named = [("final_latents", latents), ("decoded", pixels), ("composite", &composite)];
        tensors::write(path, &named.map(|(name, values)| (name.to_owned(), values.clone().into())))?;
    }
    let full = (0..drawn.run.total()).filter(|&i| drawn.run.mode(i).0 != StepMode::Active).count();
    args.drawing.report(
        shared,
        &drawn,
        &[
            ("stepsRun", json!(drawn.run.total())),
            ("fullSteps", json!(full)),
            ("tokensInFocus", json!(drawn.run.mode(0).1)),
        ],
    )
}

/// A picture, and whether it has an alpha channel.
fn picture(path: &Path, field: &str) -> Result<(Picture, bool)> {
    if path.extension().is_some_and(|e| e == "safetensors") {
        return Ok((Picture::Values(tensor(path, field)?), false));
    }
    let (image, alpha) = photo::read(path, field)?;
    Ok((Picture::Bytes(image), alpha))
}

fn tensor(path: &Path, name: &str) -> Result<Values> {
    let tensor = tensors::read(path)?.remove(name);
    tensor.ok_or_else(|| Error::input(name, format!("{} has no tensor {name}", path.display())))
}
