//! Prompts of the command line: a bundle whose text encoder may pass by, and the prompts that only it can read.

use std::path::Path;

use burn::tensor::Device;
use indicatif::ProgressBar;

use crate::bundle::folder::{load_sections, read_file, read_manifest};
use crate::bundle::manifest::Part;
use crate::bundle::prompts::PromptStates;
use crate::bundle::section::Section;
use crate::device;
use crate::error::Result;
use crate::model::text_stream::TextEncoderStream;
use crate::pipeline::read_back::read_back;
use crate::pipeline::residency::TextEncoderMode;
use crate::pipeline::{GenerateOptions, Pipeline};

/// The bundle in `dir`, without its text encoder where that is to pass by, and without what reads pictures where there is none to read.
///
/// # Errors
/// As the loader's.
pub fn open(dir: &Path, device: &Device, mode: TextEncoderMode, edits: bool) -> Result<Pipeline> {
    let manifest = read_manifest(dir)?;
    let streams = mode.streams(&manifest, device::profile(device).backend);
    let reads = edits || manifest.parts.transformer.takes_mask();
    let wanted = |section| match section {
        Section::Part(Part::TextEncoder) => !streams,
        Section::VaeEncoder => reads,
        Section::Part(_) => true,
    };
    Pipeline::new(load_sections(dir, device, wanted)?)
}

/// Has the text encoder of `dir` read what `pipeline` does not know of the prompts of a run.
///
/// # Errors
/// As the loader's.
pub fn read_unknown(pipeline: &Pipeline, dir: &Path, options: &GenerateOptions, bar: &ProgressBar) -> Result<()> {
    let unknown = pipeline.unknown_prompts(options)?;
    if unknown.is_empty() {
        return Ok(());
    }
    let stream = pipeline.text_stream(unknown.clone())?;
    stream_folder(stream, dir, unknown, bar)?.into_iter().try_for_each(|prompt| pipeline.remember_prompt(prompt))
}

/// Every file of `stream` from `dir`, and what came of its prompts.
///
/// # Errors
/// As the loader's, and [`PromptStates::rounded`]'s.
pub fn stream_folder(
    mut stream: TextEncoderStream,
    dir: &Path,
    prompts: Vec<Vec<u32>>,
    bar: &ProgressBar,
) -> Result<Vec<PromptStates>> {
    for entry in stream.files() {
        stream.add_file(&entry.path, read_file(dir, &entry)?, false)?;
        device::memory::give_back();
        bar.inc(entry.bytes);
    }
    let known = prompts.into_iter().zip(stream.finish()?);
    known.map(|(ids, states)| PromptStates::rounded(ids, &pollster::block_on(read_back(states))?)).collect()
}
