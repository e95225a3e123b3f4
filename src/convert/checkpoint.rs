//! Opens a checkpoint: a file of either kind, or the files of a component's folder.

use std::collections::BTreeMap;
use std::path::Path;

use super::checkpoint_file::CheckpointFile;
use super::checkpoint_tensor::Tensors;
use super::safetensors_file::open_safetensors;
use super::{json, kind, torch};
use crate::error::{Error, Result};

/// The tensors of a checkpoint file: safetensors, told by its name or by its first bytes, or whatever `torch.save` wrote.
pub fn open(path: &Path) -> Result<Tensors> {
    let file = CheckpointFile::open(path)?;
    kind::check_head(&file)?;
    let json_header = file.read_at(8, 1).is_ok_and(|byte| byte == b"{") && file.read_at(0, 2)? != b"PK";
    if path.extension().is_some_and(|e| e == "safetensors") || json_header {
        return open_safetensors(&file);
    }
    torch::open(&file)
}

/// The tensors of a component's folder: `STEM.safetensors`, its shards, or the `.bin` twins where only those exist.
pub fn open_folder(dir: &Path, stems: &[&str]) -> Result<Tensors> {
    for extension in ["safetensors", "bin"] {
        for stem in stems {
            let index = dir.join(format!("{stem}.{extension}.index.json"));
            if index.is_file() {
                return open_shards(dir, &index);
            }
            let single = dir.join(format!("{stem}.{extension}"));
            if single.is_file() {
                return open(&single);
            }
            let variant = dir.join(format!("{stem}.fp16.{extension}"));
            if variant.is_file() {
                return open(&variant);
            }
        }
    }
    let wanted = stems.iter().map(|s| format!("{s}.safetensors")).collect::<Vec<_>>().join(" or ");
    Err(Error::input("SRC", format!("{} holds no {wanted}, whole or in shards", dir.display())))
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
