//! `diffcr probe`: one part of a bundle on given inputs, for comparison with other implementations.

use std::path::{Path, PathBuf};

use clap::Args;

use super::device::DeviceArg;
use super::tensors;
use crate::bundle::folder::load_folder;
use crate::error::{Error, Result};
use crate::files;
use crate::model::ratios::Compression;
use crate::pipeline::Pipeline;
use crate::pipeline::probe::Part;

#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The bundle.
    dir: PathBuf,
    #[arg(long, value_enum)]
    part: Part,
    /// Safetensors file with the part's inputs.
    #[arg(long, required_unless_present = "prompts")]
    inputs: Option<PathBuf>,
    /// JSON list of prompts, for the text encoder.
    #[arg(long, conflicts_with = "inputs")]
    prompts: Option<PathBuf>,
    /// Safetensors file to write.
    #[arg(long)]
    out: PathBuf,
    /// Use the tiny VAE.
    #[arg(long)]
    tiny: bool,
    /// learned, off, a preset, or a share of tokens to skip.
    #[arg(long, default_value = "learned")]
    compression: Compression,
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArg,
}

pub fn run(args: &ProbeArgs) -> Result<()> {
    files::check_target("out", &args.out)?;
    let pipeline = Pipeline::new(load_folder(&args.dir, &args.device.init()?, None)?)?;
    let outputs = match (&args.prompts, &args.inputs) {
        (Some(path), _) if args.part == Part::TextEncoder => {
            let rows: Vec<Vec<u32>> =
                prompts(path)?.iter().map(|prompt| pipeline.tokenize(prompt)).collect::<Result<_>>()?;
            pollster::block_on(pipeline.probe_text_encoder(&rows))?
        }
        (_, Some(path)) => {
            let inputs = tensors::read(path)?;
            pollster::block_on(pipeline.probe(args.part, &inputs, &args.compression, args.tiny))?
        }
        _ => return Err(Error::input("prompts", "only the text encoder reads prompts")),
    };
    tensors::write(&args.out, &outputs)
}

fn prompts(path: &Path) -> Result<Vec<String>> {
    let json = files::read_text(path)?;
    serde_json::from_str(&json).map_err(|e| Error::input("prompts", format!("not a JSON list of strings: {e}")))
}
