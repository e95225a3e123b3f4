//! A folder as diffusers' pipelines save it: a component each, with its configuration.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::configs;
use super::options::{Exported, Precision};
use super::reader::BundleReader;
use super::safetensors::{self, Tally};
use super::tensor::{ForeignTensor, ratios};
use crate::bundle::manifest::{Manifest, Part};
use crate::convert::progress::Progress;
use crate::error::{Error, Result};

const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// A component with weights.
struct Component {
    folder: &'static str,
    part: Part,
    file: &'static str,
    config: Value,
}

/// Writes the components into `dir`.
///
/// # Errors
/// As [`super::export`].
pub fn write(
    manifest: &Manifest,
    reader: &mut BundleReader,
    dir: &Path,
    precision: Precision,
    exported: &mut Exported,
    progress: &mut dyn Progress,
) -> Result<()> {
    let parts = &manifest.parts;
    let component = |folder, part, file, config| Component { folder, part, file, config };
    let transformer = configs::transformer(&parts.transformer)?;
    let mut components = vec![component("transformer", Part::Transformer, WEIGHTS, transformer)];
    if let Some(config) = &parts.text_encoder {
        components.push(component(
            "text_encoder",
            Part::TextEncoder,
            "model.safetensors",
            configs::text_encoder(config),
        ));
    }
    if let Some(config) = &parts.vae {
        components.push(component("vae", Part::Vae, WEIGHTS, configs::vae(config)));
    }
    if let Some(config) = &parts.vae_tiny {
        let folder = if parts.vae.is_some() { "vae_tiny" } else { "vae" };
        components.push(component(folder, Part::VaeTiny, WEIGHTS, configs::vae_tiny(config)));
        if config.patch_size > 1 {
            exported
                .notes
                .push("diffusers' AutoencoderTiny does not begin with a pixel-unshuffle: it will not load vae".into());
        }
    }
    let of = |component: &Component| tensors(manifest, component.part);
    let all = components.iter().map(of).collect::<Result<Vec<_>>>()?;
    let total = all.iter().flatten().map(|t| t.bytes(precision) as u64).sum();
    let mut tally = Tally { done: 0, total, progress };
    let mut index = Map::from_iter([("_class_name".to_owned(), json!(configs::pipeline(parts)))]);
    for (component, tensors) in components.iter().zip(&all) {
        let folder = dir.join(component.folder);
        std::fs::create_dir(&folder).map_err(|e| Error::io(&folder, e))?;
        write_json(&folder.join("config.json"), &component.config)?;
        safetensors::write(&folder.join(component.file), tensors, reader, precision, exported, &mut tally)?;
        if component.folder != "vae_tiny" {
            let class = component.config.get("_class_name").and_then(Value::as_str);
            let entry = class.map_or(json!(["transformers", "T5EncoderModel"]), |class| json!(["diffusers", class]));
            index.insert(component.folder.into(), entry);
        }
    }
    let (class, scheduler) = configs::scheduler(&parts.scheduler);
    index.insert("scheduler".into(), json!(["diffusers", class]));
    let folder = dir.join("scheduler");
    std::fs::create_dir(&folder).map_err(|e| Error::io(&folder, e))?;
    write_json(&folder.join("scheduler_config.json"), &scheduler)?;
    if let Some(config) = &parts.tokenizer {
        let folder = dir.join("tokenizer");
        std::fs::create_dir(&folder).map_err(|e| Error::io(&folder, e))?;
        let entry = manifest.file(&config.file).ok_or_else(|| Error::integrity(&config.file, "it is not listed"))?;
        let bytes = reader.bytes(entry)?;
        let path = folder.join("tokenizer.json");
        std::fs::write(&path, &bytes).map_err(|e| Error::io(&path, e))?;
        write_json(&folder.join("tokenizer_config.json"), &configs::tokenizer(config, &bytes)?)?;
        index.insert("tokenizer".into(), json!(["transformers", "PreTrainedTokenizerFast"]));
    }
    for missing in ["text_encoder", "tokenizer", "vae"].iter().filter(|name| !dir.join(name).exists()) {
        index.insert((*missing).to_owned(), json!([null, null]));
        exported.notes.push(format!("the bundle has no {missing}, which diffusers' pipeline asks for"));
    }
    write_json(&dir.join("model_index.json"), &Value::Object(index))
}

fn write_json(path: &Path, json: &Value) -> Result<()> {
    std::fs::write(path, format!("{json:#}\n")).map_err(|e| Error::io(path, e))
}

/// The tensors of a part, in the order of the files they lie in.
fn tensors(manifest: &Manifest, part: Part) -> Result<Vec<ForeignTensor>> {
    let prefix = format!("{}.", part.prefix());
    let own = manifest.tensors.iter().filter_map(|(name, entry)| Some((name, name.strip_prefix(&prefix)?, entry)));
    let mut own: Vec<_> = own.map(|(name, bare, entry)| (entry.pieces(name), name, bare)).collect();
    own.sort_by_key(|(pieces, _, _)| pieces.first().map(|piece| piece.file.clone()));
    let mut out = Vec::new();
    for (_, name, bare) in own {
        out.push(ForeignTensor::stacked(manifest, bare.to_owned(), vec![name.clone()])?);
    }
    if let Some(routing) = manifest.routing.as_ref().filter(|_| part == Part::Transformer) {
        let layers = manifest.parts.transformer.layers;
        out.extend((0..layers).flat_map(|n| ratios(routing, n, &format!("transformer_blocks.{n}"))));
    }
    Ok(out)
}
