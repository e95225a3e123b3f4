//! A run on disk, whole in one file: parameters, their average and the optimizer's moments by name, and the run's state in the
//! header. The file takes its name when it is complete, so a crash leaves the one before.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::TrainConfig;
use super::controller::Controller;
use super::exact;
use super::export;
use super::optimizer::AdamW;
use super::parameters::Parameters;
use crate::error::{Error, Result};

/// Its name in the folder of the run.
pub const FILE: &str = "checkpoint.safetensors";
const STATE: &str = "state";
const KINDS: [&str; 4] = ["value", "average", "first", "second"];

/// Everything a run needs to go on, beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The settings it was made with, as JSON.
    pub config: String,
    /// Index of the stage, and steps done in it.
    pub stage: usize,
    pub stage_step: u64,
    /// Steps done in all.
    pub step: u64,
    pub images: u64,
    #[serde(with = "exact")]
    pub seconds: f64,
    /// Updates the optimizer made in this stage.
    pub updates: u64,
    pub controller: Controller,
    /// Smoothed loss; not a number before the first step.
    #[serde(with = "exact")]
    pub loss: f64,
}

/// The tensors of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunTensors {
    pub values: Parameters,
    pub average: Parameters,
    pub adam: AdamW,
}

/// Settings that may change between a stop and a resume.
const FREE: [&str; 5] = ["out", "work", "name", "license", "progress"];

/// The settings that decide what a run computes.
pub fn fingerprint(config: &TrainConfig) -> Result<String> {
    let mut value = serde_json::to_value(config).map_err(|e| Error::internal(e.to_string()))?;
    if let Some(object) = value.as_object_mut() {
        FREE.iter().for_each(|field| drop(object.remove(*field)));
        if let Some(optimizer) = object.get_mut("optimizer").and_then(Value::as_object_mut) {
            optimizer.remove("threads");
        }
    }
    Ok(value.to_string())
}

/// Writes the checkpoint of `dir`.
///
/// # Errors
/// `Io` naming the file.
pub fn save(dir: &Path, tensors: &RunTensors, state: &State) -> Result<()> {
    let state = serde_json::to_string(state).map_err(|e| Error::internal(e.to_string()))?;
    let sources = [tensors.values.values(), tensors.average.values(), &tensors.adam.first, &tensors.adam.second];
    let named = KINDS.iter().zip(sources).flat_map(|(kind, all)| {
        tensors.values.views().filter_map(move |v| {
            let values = all.get(tensors.values.range(v.name)?)?;
            Some((format!("{kind}.{}", v.name), v.shape.to_vec(), values))
        })
    });
    export::write(&dir.join(FILE), named, Some(HashMap::from([(STATE.to_owned(), state)])))
}

/// Reads the checkpoint of `dir` for a run with parameters like `like`.
///
/// # Errors
/// `Integrity` naming the file where it is damaged; `InvalidInput` on `resume` where it belongs to a run with other settings.
pub fn load(dir: &Path, config: &TrainConfig, like: &Parameters) -> Result<(RunTensors, State)> {
    let path = dir.join(FILE);
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    let damaged = |reason: String| Error::integrity(path.display().to_string(), reason);
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let state =
        header.metadata().as_ref().and_then(|m| m.get(STATE)).ok_or_else(|| damaged("it has no state".into()))?;
    let state: State = serde_json::from_str(state).map_err(|e| damaged(e.to_string()))?;
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| damaged(e.to_string()));
    if let Some(field) = first_difference(&parse(&state.config)?, &parse(&fingerprint(config)?)?) {
        return Err(Error::input("resume", format!("{} was made with another `{field}`", path.display())));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
    let read = |kind: &str| {
        let mut tensors = BTreeMap::new();
        for view in like.views() {
            let name = format!("{kind}.{}", view.name);
            let tensor = file.tensor(&name).map_err(|e| damaged(format!("{name}: {e}")))?;
            if tensor.shape() != view.shape || tensor.dtype() != safetensors::Dtype::F32 {
                return Err(damaged(format!("{name}: {:?} {:?}", tensor.dtype(), tensor.shape())));
            }
            let words = tensor.data().chunks_exact(4).map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]]));
            tensors.insert(view.name.to_owned(), (view.shape.to_vec(), words.collect::<Vec<f32>>()));
        }
        Parameters::new(tensors)
    };
    let [values, average, first, second] = [read(KINDS[0])?, read(KINDS[1])?, read(KINDS[2])?, read(KINDS[3])?];
    let mut adam = AdamW::new(0, config.optimizer.betas);
    (adam.first, adam.second, adam.count) = (first.values().to_vec(), second.values().to_vec(), state.updates);
    Ok((RunTensors { values, average, adam }, state))
}

/// The first setting that differs, as a path.
fn first_difference(a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => a.keys().chain(b.keys()).find_map(|key| {
            let inner = first_difference(a.get(key)?, b.get(key)?)?;
            Some(if inner.is_empty() { key.clone() } else { format!("{key}.{inner}") })
        }),
        _ => (a != b).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_named() {
        let a = json!({ "seed": 1, "optimizer": { "clip": 1.0 } });
        assert_eq!(first_difference(&a, &a), None);
        let b = json!({ "seed": 1, "optimizer": { "clip": 2.0 } });
        assert_eq!(first_difference(&a, &b).as_deref(), Some("optimizer.clip"));
        assert_eq!(first_difference(&a, &json!({ "seed": 2, "optimizer": {} })).as_deref(), Some("seed"));
    }
}
