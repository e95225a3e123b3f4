//! `diffcr embed`: what the text encoder makes of prompts, kept in the bundle, so that drawing them takes no text encoder.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::device::DeviceArg;
use super::shared::{Shared, size};
use super::text::stream_folder;
use crate::bundle::folder::{read_file, read_manifest, write_manifest};
use crate::bundle::load::hex;
use crate::bundle::manifest::{FileEntry, Manifest, Part};
use crate::bundle::prompts;
use crate::error::{Error, Result};
use crate::files;
use crate::model::text_stream::TextEncoderStream;
use crate::model::tokenizer::Tokenizer;

/// Tokens that pass through the encoder together: their states are in memory at once.
const TOKENS_OF_A_PASS: usize = 1 << 15;

#[derive(Debug, Args)]
pub struct EmbedArgs {
    /// The bundle, which gets (or gets anew) its prompts.safetensors.
    dir: PathBuf,
    /// The prompts: a line each, or a JSON list. The empty one, which guidance steers away from, is always added.
    #[arg(long)]
    prompts: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArg,
}

pub fn run(args: &EmbedArgs, shared: &Shared) -> Result<()> {
    let mut manifest = read_manifest(&args.dir)?;
    let tokenizer = tokenizer(&args.dir, &manifest)?;
    files::check_target("BUNDLE", &args.dir.join(prompts::FILE))?;
    let (mut rows, mut cut): (Vec<Vec<u32>>, Vec<String>) = (Vec::new(), Vec::new());
    for prompt in std::iter::once(String::new()).chain(read(&args.prompts)?) {
        let (ids, lost) = tokenizer.encode_counting(&prompt)?;
        if lost > 0 {
            let limit = tokenizer.max_length();
            cut.push(format!("note: the last {lost} tokens of {prompt:?} are beyond the {limit} that the model reads"));
        }
        if !rows.contains(&ids) {
            rows.push(ids);
        }
    }
    let device = args.device.init()?;
    let text = |entry: &&FileEntry| entry.part == Part::TextEncoder;
    let passes = passes(rows);
    let bytes = manifest.files.iter().filter(text).map(|entry| entry.bytes).sum::<u64>();
    let bar = shared.bytes_bar(bytes * passes.len() as u64);
    let mut known = Vec::new();
    for rows in passes {
        let stream = TextEncoderStream::new(manifest.clone(), &device, rows.clone())?;
        known.extend(stream_folder(stream, &args.dir, rows, &bar)?);
    }
    bar.finish_and_clear();

    let file = prompts::write(&known)?;
    let path = manifest.prompts_file().map_or(prompts::FILE, |entry| &entry.path).to_owned();
    manifest.files.retain(|entry| entry.part != Part::Prompts);
    let sha256 = hex(&Sha256::digest(&file));
    manifest.files.push(FileEntry { path: path.clone(), bytes: file.len() as u64, sha256, part: Part::Prompts });
    files::replace(&args.dir.join(&path), &file)?;
    write_manifest(&args.dir, manifest)?;
    let done = format!("{}: {} prompts, {}", args.dir.join(&path).display(), known.len(), size(file.len() as u64));
    cut.push(done);
    shared.result(
        &json!({ "file": path, "prompts": known.len(), "bytes": file.len(), "cut": cut.len() - 1 }),
        &cut.join("\n"),
    )
}

fn tokenizer(dir: &Path, manifest: &Manifest) -> Result<Tokenizer> {
    let entry = manifest.files.iter().find(|entry| entry.part == Part::Tokenizer);
    match (entry, &manifest.parts.tokenizer, &manifest.parts.text_encoder) {
        (Some(entry), Some(config), Some(_)) => {
            Tokenizer::from_json(&read_file(dir, entry)?, config, manifest.parts.vocab_size())
        }
        _ => Err(Error::input("BUNDLE", format!("{} has no text encoder", dir.display()))),
    }
}

/// Prompts of a file: a JSON list of strings, or its lines without the empty ones.
fn read(path: &Path) -> Result<Vec<String>> {
    let text = files::read_text(path)?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text)
            .map_err(|e| Error::input("prompts", format!("not a JSON list of strings: {e}")));
    }
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Prompts in groups of so many tokens as pass through the encoder together.
fn passes(rows: Vec<Vec<u32>>) -> Vec<Vec<Vec<u32>>> {
    let mut passes: Vec<Vec<Vec<u32>>> = Vec::new();
    let mut room = 0;
    for row in rows {
        match passes.last_mut() {
            Some(pass) if row.len() <= room => {
                room -= row.len();
                pass.push(row);
            }
            _ => {
                room = TOKENS_OF_A_PASS.saturating_sub(row.len());
                passes.push(vec![row]);
            }
        }
    }
    passes
}
