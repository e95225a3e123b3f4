//! `diffcr probe`: one part of a bundle on given inputs, for comparison with other implementations.

use std::path::PathBuf;

use burn::tensor::{Int, Tensor};
use clap::{Args, ValueEnum};

use super::device::DeviceArg;
use super::tensors::{Output, TensorFile, write};
use crate::bundle::folder::load_folder;
use crate::error::{Error, Result};
use crate::model::ratios::Compression;
use crate::model::transformer::StepRouting;
use crate::pipeline::Pipeline;
use crate::pipeline::image::read_back;
use crate::pipeline::options::Values;

#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The bundle.
    dir: PathBuf,
    #[arg(long, value_enum)]
    part: ProbePart,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProbePart {
    /// `latents`, `context`, `mask`, `timestep` to `output`.
    Transformer,
    /// `input_ids` and `attention_mask`, or prompts, to `states`.
    TextEncoder,
    /// `image` to `latents` (mean, unscaled).
    VaeEncode,
    /// `latents` (unscaled) to `image`.
    VaeDecode,
}

pub fn run(args: &ProbeArgs) -> Result<()> {
    let pipeline = Pipeline::new(load_folder(&args.dir, &args.device.init()?, None)?)?;
    let inputs = || match &args.inputs {
        Some(path) => TensorFile::read(path),
        None => Err(Error::input("inputs", "this part reads a file of inputs")),
    };
    let outputs = match args.part {
        ProbePart::Transformer => transformer(&pipeline, &inputs()?, &args.compression)?,
        ProbePart::TextEncoder => {
            let rows = match &args.prompts {
                Some(path) => prompt_ids(&pipeline, path)?,
                None => input_ids(&inputs()?)?,
            };
            text_encoder(&pipeline, rows)?
        }
        ProbePart::VaeEncode => {
            let image = inputs()?.get("image")?.tensor("image", pipeline.device())?;
            vec![("latents".to_owned(), floats(pipeline.vae(args.tiny)?.encode_unscaled(image)?)?)]
        }
        ProbePart::VaeDecode => {
            let latents = inputs()?.get("latents")?.tensor("latents", pipeline.device())?;
            vec![("image".to_owned(), floats(pipeline.vae(args.tiny)?.decode_unscaled(latents))?)]
        }
    };
    write(&args.out, &outputs)
}

fn transformer(pipeline: &Pipeline, inputs: &TensorFile, compression: &Compression) -> Result<Vec<(String, Output)>> {
    let device = pipeline.device();
    let latents = inputs.get("latents")?.tensor::<4>("latents", device)?;
    let states = inputs.get("context")?.tensor::<3>("context", device)?;
    let timesteps = &inputs.get("timestep")?.data;
    let lengths = match inputs.find("mask") {
        Some(mask) => lengths(mask)?,
        None => vec![states.dims()[1]; states.dims()[0]],
    };
    let captions = pipeline.transformer().captions(states, &lengths)?;
    let table = pipeline.keep_table(compression)?;
    let routing = table.zip(pipeline.score_gain()).zip(timesteps.first());
    let routing = routing.map(|((table, gain), &t)| StepRouting { keep: table.ratios(t as f64).to_vec(), gain });
    let (output, routed) = pipeline.transformer().forward(latents, timesteps, &captions, routing.as_ref())?;
    let mut outputs = vec![("output".to_owned(), floats(output)?)];
    for (i, choice) in routed.into_iter().enumerate() {
        if let Some(choice) = choice {
            outputs.push((format!("index.{i}"), ints(choice.index)?));
            outputs.push((format!("score.{i}"), floats(choice.score)?));
        }
    }
    Ok(outputs)
}

/// Real tokens of every row of a mask `[B, S]`: ones, then zeros.
fn lengths(mask: &Values) -> Result<Vec<usize>> {
    let &[_, tokens] = &mask.shape[..] else {
        return Err(Error::input("mask", format!("the shape is {:?}, not [B, S]", mask.shape)));
    };
    mask.data
        .chunks(tokens.max(1))
        .map(|row| {
            let length = row.iter().take_while(|&&v| v > 0.5).count();
            match row[length..].iter().all(|&v| v <= 0.5) {
                true => Ok(length),
                false => Err(Error::input("mask", "padding must come after the tokens")),
            }
        })
        .collect()
}

fn prompt_ids(pipeline: &Pipeline, path: &PathBuf) -> Result<Vec<Vec<u32>>> {
    let json = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let prompts: Vec<String> =
        serde_json::from_str(&json).map_err(|e| Error::input("prompts", format!("not a JSON list of strings: {e}")))?;
    prompts.iter().map(|prompt| pipeline.tokenize(prompt)).collect()
}

fn input_ids(inputs: &TensorFile) -> Result<Vec<Vec<u32>>> {
    let (ids, mask) = (inputs.get("input_ids")?, inputs.get("attention_mask")?);
    let lengths = lengths(mask)?;
    if ids.shape != mask.shape {
        return Err(Error::input("input_ids", format!("{:?} does not fit the mask {:?}", ids.shape, mask.shape)));
    }
    let rows = ids.data.chunks(ids.shape[1].max(1));
    Ok(rows.zip(lengths).map(|(row, n)| row[..n].iter().map(|&v| v as u32).collect()).collect())
}

/// States of every row, padded with zeros to the bundle's prompt length (or the longest row).
fn text_encoder(pipeline: &Pipeline, rows: Vec<Vec<u32>>) -> Result<Vec<(String, Output)>> {
    let encoder = pipeline.text_encoder()?;
    let width = encoder.config().d_model;
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let tokens = pipeline.manifest().parts.tokenizer.as_ref().map_or(longest, |t| t.max_length.max(longest));
    let pad = pipeline.manifest().parts.tokenizer.as_ref().map_or(0, |t| t.pad_id as i32);
    let (mut states, mut ids, mut mask) = (Vec::new(), Vec::new(), Vec::new());
    for (i, row) in rows.iter().enumerate() {
        states.extend(pollster::block_on(read_back(encoder.forward(row)?))?);
        states.resize((i + 1) * tokens * width, 0.0);
        ids.extend(row.iter().map(|&id| id as i32));
        ids.resize((i + 1) * tokens, pad);
        mask.extend(std::iter::repeat_n(1, row.len()));
        mask.resize((i + 1) * tokens, 0);
    }
    let shape = vec![rows.len(), tokens];
    Ok(vec![
        ("states".to_owned(), Values { shape: vec![rows.len(), tokens, width], data: states }.into()),
        ("input_ids".to_owned(), Output::Int { shape: shape.clone(), data: ids }),
        ("attention_mask".to_owned(), Output::Int { shape, data: mask }),
    ])
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Output> {
    let shape = tensor.dims().to_vec();
    Ok(Values { shape, data: pollster::block_on(read_back(tensor))? }.into())
}

fn ints<const D: usize>(tensor: Tensor<D, Int>) -> Result<Output> {
    let shape = tensor.dims().to_vec();
    let values = pollster::block_on(read_back(tensor.float()))?;
    Ok(Output::Int { shape, data: values.into_iter().map(|v| v as i32).collect() })
}
