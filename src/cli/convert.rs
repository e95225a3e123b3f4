//! `diffcr convert`: the arguments, the progress bar and Ctrl-C around the converter.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::generate::parse_solver;
use super::shared::{Shared, Watched, size};
use crate::bundle::config::SolverKind;
use crate::bundle::manifest::Encoding;
use crate::convert::lora::Adapter;
use crate::convert::policy::{Exception, GROUPS, Policy, Scheme, encoding_of};
use crate::convert::quality::table;
use crate::convert::{ConvertOptions, Converted, Places, Probe, convert};
use crate::error::Result;

#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// A diffusers folder, the transformer's checkpoint alone (.safetensors or .pth), or a bundle to store another way.
    src: PathBuf,
    /// The folder the bundle becomes.
    #[arg(long)]
    out: PathBuf,
    /// The bundle's name [default: the source's].
    #[arg(long)]
    name: Option<String>,
    /// The weights' license, noted in the manifest.
    #[arg(long)]
    license: Option<String>,
    /// f32, f16, q8, q4 or mixed (feed-forwards q4, the rest of the linear layers q8) [default: f32; a quantized bundle stays as it is].
    #[arg(long)]
    encoding: Option<Scheme>,
    /// Inputs that share a scale: 32, 64 or 128; less where a matrix's width asks for it.
    #[arg(long, default_value = "64", value_parser = parse_group)]
    group: usize,
    /// Tensors with an encoding of their own: PATTERN=f32|f16|q8|q4, with * for any text. The first that matches counts.
    #[arg(long)]
    tensor: Vec<Exception>,
    /// Scales always reach a group's largest value, even where clipping it has the smaller error.
    #[arg(long)]
    no_clip: bool,
    /// Run the quantized transformer against the source's, which takes memory for it in f32; done without being asked up to 268 million parameters.
    #[arg(long, conflicts_with = "no_probe")]
    probe: bool,
    /// Do not.
    #[arg(long)]
    no_probe: bool,
    /// MiB of a chunk, at most; a larger tensor is split by rows.
    #[arg(long, default_value = "16", value_parser = parse_chunk)]
    chunk_mib: f64,
    /// Safetensors file with `router.N` for every layer and `keep`.
    #[arg(long)]
    routers: Option<PathBuf>,
    /// A tiny autoencoder: a diffusers folder, a TAESD file, or a folder with its encoder and decoder.
    #[arg(long)]
    vae_tiny: Option<PathBuf>,
    /// The text encoder's folder, a repository with a `text_encoder` in it, or a file, in place of the source's; or f32, f16, q8 or q4 for
    /// its linear layers [default: as --encoding says]. May be given twice, once for each.
    #[arg(long, value_parser = parse_text_encoder)]
    text_encoder: Vec<TextEncoder>,
    /// f32, f16, q8 or q4 for the text encoder's table [default: as --encoding says].
    #[arg(long, value_parser = parse_encoding)]
    table: Option<Encoding>,
    /// The same of the tokenizer.
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// The same of the autoencoder.
    #[arg(long)]
    vae: Option<PathBuf>,
    /// The same of the scheduler: a folder or its scheduler_config.json.
    #[arg(long)]
    scheduler: Option<PathBuf>,
    /// The solver to draw with by default, in place of the scheduler's own: of an unsupported scheduler the noise schedule is kept.
    #[arg(long, value_parser = parse_solver)]
    solver: Option<SolverKind>,
    /// A LoRA adapter to merge into the transformer, FILE or FILE:SCALE; may be given several times.
    #[arg(long)]
    lora: Vec<Adapter>,
    /// Parts to leave out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Without>,
    /// Replace a bundle that is there.
    #[arg(long)]
    force: bool,
    /// Attention heads, where a checkpoint file's width is not made of heads of 72.
    #[arg(long)]
    heads: Option<usize>,
    /// Latent side the model was trained for (32, 64, 128, 256), where a checkpoint file has no position table to tell it.
    #[arg(long)]
    sample_size: Option<usize>,
    /// What positions are divided by (0.5, 1, 2, 4), where a checkpoint file does not tell an alpha from a Sigma.
    #[arg(long)]
    interpolation_scale: Option<f64>,
    /// What latents are multiplied by, where an autoencoder has no config.json beside it (SDXL and Sigma 0.13025, SD and alpha 0.18215).
    #[arg(long)]
    vae_scaling_factor: Option<f64>,
    /// Of a .pth that holds its weights twice, those averaged over training.
    #[arg(long)]
    ema: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Without {
    /// The text encoder and its tokenizer.
    TextEncoder,
    Vae,
}

/// What `--text-encoder` says.
#[derive(Debug, Clone)]
enum TextEncoder {
    Place(PathBuf),
    Encoding(Encoding),
}

#[allow(clippy::unnecessary_wraps)] // as clap wants it
fn parse_text_encoder(text: &str) -> Result<TextEncoder, String> {
    Ok(encoding_of(text).map_or_else(|| TextEncoder::Place(text.into()), TextEncoder::Encoding))
}

/// An encoding by its name.
pub fn parse_encoding(text: &str) -> Result<Encoding, String> {
    encoding_of(text).ok_or_else(|| "use f32, f16, q8 or q4".into())
}

fn parse_group(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|g| GROUPS.contains(g)).ok_or_else(|| "use 32, 64 or 128".into())
}

pub fn parse_chunk(text: &str) -> Result<f64, String> {
    let mib = text.parse().ok().filter(|mib| (0.001..=1024.0).contains(mib));
    mib.ok_or_else(|| "use a number between 0.001 and 1024".into())
}

pub fn run(args: &ConvertArgs, shared: &Shared) -> Result<()> {
    let (mut text_encoder, mut text_encoding) = (None, None);
    for value in &args.text_encoder {
        match value {
            TextEncoder::Place(path) => text_encoder = Some(path.clone()),
            TextEncoder::Encoding(encoding) => text_encoding = Some(*encoding),
        }
    }
    let options = ConvertOptions {
        src: args.src.clone(),
        out: args.out.clone(),
        force: args.force,
        name: args.name.clone(),
        license: args.license.clone(),
        policy: Policy {
            scheme: args.encoding.unwrap_or(Scheme::F32),
            group: args.group,
            clip: !args.no_clip,
            text_encoder: text_encoding,
            table: args.table,
            exceptions: args.tensor.clone(),
        },
        encoded: args.encoding.is_some() || !args.tensor.is_empty() || text_encoding.is_some() || args.table.is_some(),
        probe: match (args.probe, args.no_probe) {
            (true, _) => Probe::Always,
            (_, true) => Probe::Never,
            _ => Probe::Small,
        },
        chunk_bytes: (args.chunk_mib * 1_048_576.0) as u64,
        routers: args.routers.clone(),
        vae_tiny: args.vae_tiny.clone(),
        solver: args.solver,
        places: Places {
            scheduler: args.scheduler.clone(),
            text_encoder,
            tokenizer: args.tokenizer.clone(),
            vae: args.vae.clone(),
        },
        loras: args.lora.clone(),
        without_text_encoder: args.without.contains(&Without::TextEncoder),
        without_vae: args.without.contains(&Without::Vae),
        heads: args.heads,
        sample_size: args.sample_size,
        interpolation_scale: args.interpolation_scale,
        vae_scaling_factor: args.vae_scaling_factor,
        ema: args.ema,
    };
    let mut watched = Watched::new(shared.bytes_bar(0))?;
    let converted = convert(&options, &mut watched);
    watched.bar.finish_and_clear();
    let Converted { manifest, losses, psnr, notes } = converted?;
    let (files, tensors, bytes) = (manifest.files.len(), manifest.tensors.len(), manifest.total_bytes());
    shared.result(
        &json!({
            "out": args.out, "name": manifest.name, "version": manifest.version,
            "files": files, "tensors": tensors, "bytes": bytes, "psnr": psnr, "notes": notes,
            "errors": losses.iter().map(|(name, loss)| (name, loss.relative())).collect::<BTreeMap<_, _>>(),
        }),
        &[
            (!notes.is_empty())
                .then(|| notes.iter().map(|note| format!("note: {note}")).collect::<Vec<_>>().join("\n")),
            (!losses.is_empty()).then(|| table(&losses)),
            psnr.map(|psnr| format!("probe against the source: {psnr:.1} dB")),
            Some(format!("{}: {files} files, {tensors} tensors, {}", args.out.display(), size(bytes))),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n"),
    )
}
