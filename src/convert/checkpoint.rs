//! Opens a checkpoint: a file of either kind, or the files of a component's folder.

use std::collections::BTreeMap;
use std::path::Path;

use super::checkpoint_file::CheckpointFile;
use super::checkpoint_tensor::{CheckpointTensor, Tensors};
use super::safetensors_file::open_safetensors;
use super::{gguf, json, kind, torch};
use crate::error::{Error, Result};

/// What stands before the ending of a file's name, by preference: nothing, or the variant that it is.
const VARIANTS: [&str; 4] = ["", ".fp32", ".fp16", ".bf16"];

/// The tensors of a checkpoint file: safetensors, told by its name or by its first bytes, or whatever `torch.save` wrote.
pub fn open(path: &Path) -> Result<Tensors> {
    Ok(open_weights(path, false)?.0)
}

/// As [`open`]; of a file that holds weights twice, as they are and averaged over training, the averaged ones where `ema`. And what people should
/// know of the choice.
///
/// # Errors
/// As [`open`]'s, and `InvalidInput` on `ema` where the file holds no averaged weights.
pub fn open_weights(path: &Path, ema: bool) -> Result<(Tensors, Vec<String>)> {
    let (tensors, notes) = read(path, ema)?;
    Ok((scaled(tensors)?, notes))
}

fn read(path: &Path, ema: bool) -> Result<(Tensors, Vec<String>)> {
    let file = CheckpointFile::open(path)?;
    kind::check_head(&file)?;
    if file.read_at(0, 4).is_ok_and(|magic| magic == gguf::MAGIC) {
        return Ok((gguf::open(&file)?, vec![]));
    }
    let json_header = file.read_at(8, 1).is_ok_and(|byte| byte == b"{") && file.read_at(0, 2)? != b"PK";
    if path.extension().is_some_and(|e| e == "safetensors") || json_header {
        return Ok((open_safetensors(&file)?, vec![]));
    }
    torch::open(&file, ema)
}

/// The tensors of a component's folder: `STEM.safetensors`, its shards, or the `.bin` twins where only those exist.
pub fn open_folder(dir: &Path, stems: &[&str]) -> Result<Tensors> {
    for extension in ["safetensors", "bin"] {
        for (stem, variant) in stems.iter().flat_map(|stem| VARIANTS.map(|variant| (stem, variant))) {
            // Of a variant, `fp16.safetensors.index.json` in older and `safetensors.index.fp16.json` in newer diffusers.
            let index = [format!("{variant}.{extension}.index.json"), format!(".{extension}.index{variant}.json")];
            let index = index.map(|end| dir.join(format!("{stem}{end}"))).into_iter().find(|path| path.is_file());
            if let Some(index) = index {
                return open_shards(dir, &index);
            }
            let single = dir.join(format!("{stem}{variant}.{extension}"));
            if single.is_file() {
                return open(&single);
            }
        }
    }
    let wanted = stems.iter().map(|s| format!("{s}.safetensors")).collect::<Vec<_>>().join(" or ");
    Err(Error::input("SRC", format!("{} holds no {wanted}, whole or in shards", dir.display())))
}

/// Weights of 8-bit floats times the factor that lies beside them, `NAME.scale_weight` or `NAME.weight_scale`.
fn scaled(mut tensors: Tensors) -> Result<Tensors> {
    if !tensors.values().any(CheckpointTensor::is_packed) {
        return Ok(tensors);
    }
    // Marks and factors of activations, which stay what they are here.
    tensors.retain(|name, _| {
        !name.ends_with("scaled_fp8") && !name.ends_with(".scale_input") && !name.ends_with(".input_scale")
    });
    let factors = tensors.keys().filter_map(|name| {
        let layer = name.strip_suffix(".scale_weight").or_else(|| name.strip_suffix(".weight_scale"))?;
        Some((name.clone(), format!("{layer}.weight")))
    });
    for (name, weight) in factors.collect::<Vec<_>>() {
        if !tensors.get(&weight).is_some_and(CheckpointTensor::is_packed) {
            continue;
        }
        let factors = tensors.remove(&name).map(|factor| factor.read()).transpose()?.unwrap_or_default();
        if let Some(tensor) = tensors.remove(&weight) {
            let scaled = tensor.scaled(&factors).map_err(|e| Error::model(name, e.to_string()))?;
            tensors.insert(weight, scaled);
        }
    }
    Ok(tensors)
}

fn open_shards(dir: &Path, index: &Path) -> Result<Tensors> {
    let fault = |reason: String| Error::integrity(index.display().to_string(), reason);
    let json = json::read(index)?;
    let map = json.get("weight_map").and_then(|m| m.as_object()).ok_or_else(|| fault("it has no weight_map".into()))?;
    let mut shards: BTreeMap<&str, Tensors> = BTreeMap::new();
    let mut tensors = Tensors::new();
    for (name, file) in map {
        let file = file.as_str().filter(|f| !f.contains(['/', '\\']) && *f != "..");
        let file = file.ok_or_else(|| fault(format!("the file of {name:?} is not a plain file name")))?;
        if !shards.contains_key(file) {
            shards.insert(file, open(&dir.join(file))?);
        }
        let tensor = shards.get_mut(file).and_then(|shard| shard.remove(name));
        let tensor = tensor.ok_or_else(|| fault(format!("{file} does not hold {name:?}")))?;
        tensors.insert(name.clone(), tensor);
    }
    match shards.iter().find_map(|(file, rest)| Some((file, rest.keys().next()?))) {
        None => Ok(tensors),
        Some((file, name)) => Err(fault(format!("{file} holds {name:?}, which it does not list"))),
    }
}
