//! `diffcr inspect`: what a bundle is made of, and its keep ratios as a heat map.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::shared::{Shared, size};
use super::terminal::plain;
use crate::bundle::folder::read_manifest;
use crate::bundle::manifest::{Manifest, Part};
use crate::bundle::routing::{Preset, Routing};
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::pipeline::budget::{Budget, BudgetRequest};

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The bundle.
    dir: PathBuf,
}

/// What the manifest says about the tensors and files of one part.
#[derive(Debug, Default)]
struct Summary {
    tensors: usize,
    parameters: usize,
    files: usize,
    bytes: u64,
    /// Tensors of each encoding.
    encodings: BTreeMap<String, usize>,
}

pub fn run(args: &InspectArgs, shared: &Shared) -> Result<()> {
    let manifest = read_manifest(&args.dir)?;
    let parts = summaries(&manifest)?;
    let text = text(&manifest, &parts, std::io::stdout().is_terminal())?;
    shared.styled(&value(&manifest, &parts), text.trim_end())
}

fn summaries(manifest: &Manifest) -> Result<BTreeMap<Part, Summary>> {
    let mut parts: BTreeMap<Part, Summary> = BTreeMap::new();
    for file in &manifest.files {
        let part = parts.entry(file.part).or_default();
        part.files += 1;
        part.bytes += file.bytes;
    }
    for (name, tensor) in &manifest.tensors {
        let part = parts.iter_mut().find(|(part, _)| name.split('.').next() == Some(part.prefix()));
        let (_, part) = part.ok_or_else(|| Error::model(name, "it belongs to no part"))?;
        part.tensors += 1;
        part.parameters += tensor.elements();
        let encoding = serde_json::to_value(tensor.encoding).unwrap_or_default();
        *part.encodings.entry(encoding.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    Ok(parts)
}

fn value(manifest: &Manifest, parts: &BTreeMap<Part, Summary>) -> Value {
    let part = |(part, s): (&Part, &Summary)| {
        let sizes = json!({
            "tensors": s.tensors, "parameters": s.parameters, "files": s.files, "bytes": s.bytes, "encodings": s.encodings,
        });
        (part.prefix().to_owned(), sizes)
    };
    json!({
        "name": manifest.name, "version": manifest.version, "formatVersion": manifest.format_version,
        "license": manifest.license, "provenance": manifest.provenance, "bytes": manifest.total_bytes(),
        "sizes": parts.iter().map(part).collect::<serde_json::Map<_, _>>(),
        "parts": manifest.parts, "routing": manifest.routing,
        "needs": { "webgpu": needs(manifest, Backend::Gpu), "cpu": needs(manifest, Backend::Cpu) },
    })
}

/// What a guided picture of the model's own size takes of memory in a browser.
fn needs(manifest: &Manifest, backend: Backend) -> Budget {
    Budget::new(manifest, BudgetRequest::usual(manifest), backend)
}

fn text(manifest: &Manifest, parts: &BTreeMap<Part, Summary>, colour: bool) -> Result<String> {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").map_err(|e| Error::internal(e.to_string()));
    let from = &manifest.provenance;
    line(format!("{}  {}  {}", plain(&manifest.name), plain(&manifest.version), size(manifest.total_bytes())))?;
    line(format!(
        "from {} by {}, license {}",
        plain(&from.source),
        plain(&from.converter),
        plain(manifest.license.as_deref().unwrap_or("not stated"))
    ))?;
    for (part, s) in parts {
        let encodings = s.encodings.iter().map(|(e, n)| format!("{n} {e}")).collect::<Vec<_>>().join(", ");
        let files = format!("{} file{}, {}", s.files, if s.files == 1 { "" } else { "s" }, size(s.bytes));
        line(match s.tensors {
            0 => format!("  {:<13} {files}", part.prefix()),
            _ => format!("  {:<13} {files}, {} parameters, tensors: {encodings}", part.prefix(), s.parameters),
        })?;
    }
    let t = &manifest.parts.transformer;
    line(format!(
        "transformer: {} layers, {} x {} wide, {} -> {} channels, patch {}, captions {}, latents {} (scale {}){}",
        t.layers,
        t.heads,
        t.head_dim,
        t.in_channels,
        t.out_channels,
        t.patch_size,
        t.caption_channels,
        t.sample_size,
        t.interpolation_scale,
        if t.size_conditions { ", size conditions" } else { "" }
    ))?;
    let (gpu, cpu) = (needs(manifest, Backend::Gpu), needs(manifest, Backend::Cpu));
    line(format!(
        "in a browser, at the most: {} on the GPU, {} of wasm memory, bindings of {}; {} on the CPU",
        size(gpu.peak_gpu_bytes),
        size(gpu.peak_heap_bytes),
        size(gpu.max_binding_bytes),
        size(cpu.peak_heap_bytes)
    ))?;
    match &manifest.routing {
        None => line("routing: none, every layer runs every token".into())?,
        Some(routing) => {
            for preset in &routing.presets {
                heat_map(routing, preset, colour).into_iter().try_for_each(&mut line)?;
            }
        }
    }
    Ok(out)
}

/// A row for each region of the timesteps, a column for each layer, darker where more tokens run.
fn heat_map(routing: &Routing, preset: &Preset, colour: bool) -> Vec<String> {
    let mean = |row: &[f64]| row.iter().sum::<f64>() / row.len().max(1) as f64;
    let default = if preset.name == routing.default { " (default)" } else { "" };
    let mut lines = vec![format!(
        "routing: preset {}{default}, keep ratio by layer (across) and region (down)",
        plain(&preset.name)
    )];
    for (region, row) in preset.keep.iter().enumerate() {
        let cells: String = row.iter().map(|keep| cell(*keep, colour)).collect();
        lines.push(format!("  {region:>2} {cells}  mean {:.2}", mean(row)));
    }
    lines
}

/// Per cent in two columns, on a background from blue to red of the 256 colours where the terminal has them.
fn cell(keep: f64, colour: bool) -> String {
    const SCALE: [u8; 6] = [17, 19, 55, 89, 125, 160];
    let text = format!("{:>3}", (keep * 100.0).round());
    let level = ((keep * SCALE.len() as f64).ceil() as usize).clamp(1, SCALE.len()) - 1;
    if colour { format!("\x1b[48;5;{}m{text} \x1b[0m", SCALE[level]) } else { format!("{text} ") }
}
