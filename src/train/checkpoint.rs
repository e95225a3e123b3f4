//! A run on disk, whole in one file: parameters, their average and the optimizer's moments by name, and the run's state in the
//! header. It is written and read a tensor at a time, and takes its name when it is complete, so a crash leaves the one before.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config::TrainConfig;
use super::controller::Controller;
use super::exact;
use super::files;
use super::optimizer::AdamW;
use super::parameters::Parameters;
use super::stage::Stage;
use crate::data::safetensors_file::read_header;
use crate::error::{Error, Result};

/// Its name in the folder of the run.
pub const FILE: &str = "checkpoint.safetensors";
/// What the names of those begin with that stay beside it.
const KEPT: &str = "checkpoint-";
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
    /// The same of each region of the timesteps.
    #[serde(with = "exact::list", default)]
    pub region_losses: Vec<f64>,
}

impl State {
    /// The first field that no run of these stages has.
    fn check(&self, stages: &[Stage], regions: usize) -> std::result::Result<(), &'static str> {
        let before: u64 = stages.iter().take(self.stage).map(|stage| stage.steps).sum();
        let length = stages.get(self.stage).map_or(0, |stage| stage.steps);
        let rules = [
            (self.stage <= stages.len(), "stage"),
            (self.stage_step <= length, "stageStep"),
            (before.checked_add(self.stage_step) == Some(self.step), "step"),
            (self.images <= u64::MAX / 2, "images"),
            (self.updates <= self.stage_step.max(self.step), "updates"),
            (self.seconds.is_finite() && self.seconds >= 0.0, "seconds"),
            (!self.loss.is_infinite(), "loss"),
            (self.controller.is_sound(), "controller"),
            (
                self.region_losses.len() <= regions.max(1) && !self.region_losses.iter().any(|v| v.is_infinite()),
                "regionLosses",
            ),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, field)| Err(*field))
    }
}

/// The tensors of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunTensors {
    pub values: Parameters,
    pub average: Parameters,
    pub adam: AdamW,
}

/// Settings that may change between a stop and a resume.
const FREE: [&str; 6] = ["out", "work", "name", "license", "device", "progress"];

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

/// Writes the checkpoint of `dir`; where more than one is to be kept, it also stays as `checkpoint-STEP.safetensors`, and the oldest
/// beyond `keep` go.
///
/// # Errors
/// `Io` naming the file.
pub fn save(dir: &Path, tensors: &RunTensors, state: &State, keep: usize) -> Result<()> {
    let step = state.step;
    let state = serde_json::to_string(state).map_err(|e| Error::internal(e.to_string()))?;
    let sources = [tensors.values.values(), tensors.average.values(), &tensors.adam.first, &tensors.adam.second];
    let named = KINDS.iter().zip(sources).flat_map(|(kind, all)| {
        tensors.values.views().filter_map(move |v| {
            let values = all.get(tensors.values.range(v.name)?)?;
            Some((format!("{kind}.{}", v.name), v.shape.to_vec(), values))
        })
    });
    let path = dir.join(FILE);
    files::write(&path, named, Some(HashMap::from([(STATE.to_owned(), state)])))?;
    if keep < 2 {
        return Ok(());
    }
    let kept = dir.join(format!("{KEPT}{step:08}.safetensors"));
    if !kept.exists() {
        // The next checkpoint takes the place of this one's name, not of its bytes.
        std::fs::hard_link(&path, &kept)
            .or_else(|_| std::fs::copy(&path, &kept).map(drop))
            .map_err(|e| Error::io(&kept, e))?;
    }
    let entries = std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))?;
    let is_kept = |p: &PathBuf| p.file_name().is_some_and(|name| name.to_string_lossy().starts_with(KEPT));
    let mut all: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_kept).collect();
    all.sort();
    let old = all.len().saturating_sub(keep);
    all.iter().take(old).try_for_each(|path| std::fs::remove_file(path).map_err(|e| Error::io(path, e)))
}

/// Reads the checkpoint of `dir` for a run with parameters like `like`.
///
/// # Errors
/// `Integrity` naming the file where it is damaged; `InvalidInput` on `resume` where it belongs to a run with other settings.
pub fn load(dir: &Path, config: &TrainConfig, like: &Parameters) -> Result<(RunTensors, State)> {
    let path = dir.join(FILE);
    let io = |e: std::io::Error| Error::io(&path, e);
    let mut file = crate::files::open(&path)?;
    let damaged = |reason: String| Error::integrity(path.display().to_string(), reason);
    let (header, start) = read_header(&mut file, &path)?;
    let state =
        header.metadata().as_ref().and_then(|m| m.get(STATE)).ok_or_else(|| damaged("it has no state".into()))?;
    let state: State = serde_json::from_str(state).map_err(|e| damaged(e.to_string()))?;
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| damaged(e.to_string()));
    if let Some(field) = first_difference(&parse(&state.config)?, &parse(&fingerprint(config)?)?) {
        return Err(Error::input("resume", format!("{} was made with another `{field}`", path.display())));
    }
    state
        .check(&config.stages()?, config.routing.regions)
        .map_err(|field| damaged(format!("its state has an impossible `{field}`")))?;
    let mut read = |kind: &str| {
        let mut tensors = BTreeMap::new();
        for view in like.views() {
            let name = format!("{kind}.{}", view.name);
            let info = header.info(&name).ok_or_else(|| damaged(format!("{name} is missing")))?;
            if info.shape != view.shape || info.dtype != Dtype::F32 {
                return Err(damaged(format!("{name}: {:?} {:?}", info.dtype, info.shape)));
            }
            let mut values = vec![0f32; view.values.len()];
            file.seek(SeekFrom::Start(start + info.data_offsets.0 as u64)).map_err(io)?;
            file.read_exact(bytemuck::cast_slice_mut(&mut values)).map_err(io)?;
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(damaged(format!("{name} holds {value}")));
            }
            tensors.insert(view.name.to_owned(), (view.shape.to_vec(), values));
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
            let of = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or_default();
            let inner = first_difference(&of(a), &of(b))?;
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
        assert_eq!(first_difference(&a, &json!({ "seed": 2, "optimizer": {} })).as_deref(), Some("optimizer.clip"));
        let nothing = json!({});
        assert_eq!(first_difference(&a, &nothing).as_deref(), Some("optimizer"));
        assert_eq!(first_difference(&nothing, &a).as_deref(), Some("optimizer"));
        assert_eq!(first_difference(&json!({ "lora": null }), &nothing), None, "nothing is what is not there");
    }

    #[test]
    fn a_state_that_no_run_has_is_named() {
        let stage = |steps| Stage { size: 8, scale: 1.0, batch: 1, steps, rate: 1e-3, plain: 0.0, pairs: 0.0 };
        let stages = [stage(10), stage(20)];
        let good = State {
            config: String::new(),
            stage: 1,
            stage_step: 5,
            step: 15,
            images: 15,
            seconds: 1.0,
            updates: 5,
            controller: Controller::new(1.0),
            loss: f64::NAN,
            region_losses: vec![],
        };
        assert_eq!(good.check(&stages, 1), Ok(()));
        assert_eq!(State { stage: 2, stage_step: 0, step: 30, ..good.clone() }.check(&stages, 1), Ok(()));
        for (state, field) in [
            (State { stage: 3, ..good.clone() }, "stage"),
            (State { stage: usize::MAX, ..good.clone() }, "stage"),
            (State { stage_step: 21, ..good.clone() }, "stageStep"),
            (State { step: u64::MAX, ..good.clone() }, "step"),
            (State { images: u64::MAX, ..good.clone() }, "images"),
            (State { updates: 1 << 60, ..good.clone() }, "updates"),
            (State { seconds: f64::INFINITY, ..good.clone() }, "seconds"),
            (State { loss: f64::INFINITY, ..good.clone() }, "loss"),
            (State { controller: Controller::new(f64::NAN), ..good.clone() }, "controller"),
            (State { region_losses: vec![0.0; 2], ..good.clone() }, "regionLosses"),
        ] {
            assert_eq!(state.check(&stages, 1), Err(field));
        }
    }
}
