//! `diffcr export`: a bundle becomes what other programs read.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::shared::{Shared, Watched, size};
use crate::error::Result;
use crate::export::{self, ExportOptions, Exported};

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The bundle.
    src: PathBuf,
    /// What it becomes.
    #[arg(long, value_enum)]
    to: Layout,
    /// The folder (diffusers) or file (diffcr-pth) to write.
    #[arg(long)]
    out: PathBuf,
    /// How values are stored.
    #[arg(long, value_enum, default_value_t)]
    dtype: Dtype,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// A folder that diffusers' pipelines load; routers and ratios lie beside the transformer's tensors.
    Diffusers,
    /// The transformer as torch.save writes it, under PixArt's names, with DiffCR's routers and ratios.
    DiffcrPth,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Dtype {
    #[default]
    F32,
    F16,
}

pub fn run(args: &ExportArgs, shared: &Shared) -> Result<()> {
    let options = ExportOptions {
        src: args.src.clone(),
        out: args.out.clone(),
        layout: match args.to {
            Layout::Diffusers => export::Layout::Diffusers,
            Layout::DiffcrPth => export::Layout::DiffcrPth,
        },
        precision: match args.dtype {
            Dtype::F32 => export::Precision::F32,
            Dtype::F16 => export::Precision::F16,
        },
    };
    let mut watched = Watched::new(shared.bytes_bar(0))?;
    let exported = export::export(&options, &mut watched);
    watched.bar.finish_and_clear();
    let Exported { tensors, bytes, notes } = exported?;
    let mut lines: Vec<String> = notes.iter().map(|note| format!("note: {note}")).collect();
    lines.push(format!("{}: {tensors} tensors, {}", args.out.display(), size(bytes)));
    shared.result(&json!({ "out": args.out, "tensors": tensors, "bytes": bytes, "notes": notes }), &lines.join("\n"))
}
