//! Token routing: routers and keep ratios from a DiffCR checkpoint or from a file of their own become tensors and a preset.

use std::path::Path;

use super::checkpoint;
use super::checkpoint_tensor::{CheckpointTensor, Tensors};
use super::keys::numbered;
use crate::bundle::config::TransformerConfig;
use crate::bundle::routing::{Preset, Routing, ScoreScale};
use crate::error::{Error, Result};
use crate::model::ratios::limits;

/// The keep ratios a layer can run at, where the checkpoint does not list its own.
const BINS: [f64; 10] = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
/// The name of the preset that a checkpoint's ratios become.
const LEARNED: &str = "learned";

/// What a DiffCR checkpoint says about its blocks, under whichever of the two names it gives them.
#[derive(Debug, Default)]
pub struct Ratios {
    /// By block.
    keep: Vec<(usize, CheckpointTensor)>,
    candidates: Vec<CheckpointTensor>,
}

impl Ratios {
    pub fn find(tensors: &Tensors) -> Self {
        let mut found = Self::default();
        for (name, tensor) in tensors {
            match numbered(name, "blocks").or_else(|| numbered(name, "transformer_blocks")) {
                Some((n, "diff_ratio")) => found.keep.push((n, tensor.clone())),
                Some((_, "kept_ratio_candidate")) => found.candidates.push(tensor.clone()),
                _ => {}
            }
        }
        found.keep.sort_by_key(|(n, _)| *n);
        found
    }
}

/// The routing of a checkpoint whose routers are already among `tensors`; none where it has none.
pub fn from_checkpoint(tensors: &Tensors, ratios: &Ratios, config: &TransformerConfig) -> Result<Option<Routing>> {
    let routers = tensors.keys().filter(|name| name.ends_with(".router.weight")).count();
    if routers == 0 && ratios.keep.is_empty() {
        return Ok(None);
    }
    for n in 0..config.layers {
        let router =
            tensors.get(&router_name(n)).ok_or_else(|| Error::model(router_name(n), "the router is missing"))?;
        if router.shape != [1, config.width()] {
            let reason = format!("its shape is {:?}, not [1, {}]", router.shape, config.width());
            return Err(Error::model(router_name(n), reason));
        }
        if ratios.keep.get(n).map(|(at, _)| *at) != Some(n) {
            return Err(Error::model(format!("blocks.{n}.diff_ratio"), "the block has a router and no keep ratio"));
        }
    }
    let columns = ratios.keep.iter().map(|(_, tensor)| tensor.read()).collect::<Result<Vec<_>>>()?;
    let regions = columns.first().map_or(0, Vec::len);
    if let Some((n, extra)) = ratios.keep.iter().find(|(n, _)| *n >= config.layers || regions == 0) {
        return Err(Error::model(&extra.name, format!("block {n} has no use for it")));
    }
    if let Some(i) = columns.iter().position(|column| column.len() != regions) {
        return Err(Error::model(&ratios.keep[i].1.name, format!("it is not of {regions} regions, as the others are")));
    }
    let bins = bins(&ratios.candidates)?;
    let keep = (0..regions).map(|r| columns.iter().filter_map(|c| c.get(r).copied()).collect()).collect();
    routing("diff_ratio", bins, keep).map(Some)
}

/// The routing of a `--routers` file: `router.N` `[D]` for every layer and `keep` `[L]` or `[R, L]`. Its routers replace those in `tensors`.
pub fn from_file(path: &Path, tensors: &mut Tensors, config: &TransformerConfig) -> Result<Routing> {
    let file = checkpoint::open(path)?;
    let find =
        |name: &str| file.get(name).ok_or_else(|| Error::model(name, format!("{} does not hold it", path.display())));
    for n in 0..config.layers {
        let router = find(&format!("router.{n}"))?.reshape(vec![1, config.width()])?;
        tensors.insert(router_name(n), router);
    }
    if let Ok(extra) = find(&format!("router.{}", config.layers)) {
        return Err(Error::model(&extra.name, format!("the transformer has {} layers", config.layers)));
    }
    let keep = find("keep")?;
    if !matches!(keep.shape.as_slice(), [_] | [_, _])
        || keep.shape.last() != Some(&config.layers)
        || keep.elements() == 0
    {
        let (shape, layers) = (&keep.shape, config.layers);
        let reason = format!("its shape is {shape:?}, not [{layers}] or [regions, {layers}]");
        return Err(Error::model("keep", reason));
    }
    let rows = keep.read()?.chunks(config.layers).map(<[f32]>::to_vec).collect();
    routing("keep", BINS.to_vec(), rows)
}

fn router_name(n: usize) -> String {
    format!("transformer.transformer_blocks.{n}.router.weight")
}

/// The bins a checkpoint lists, the same in every block.
fn bins(candidates: &[CheckpointTensor]) -> Result<Vec<f64>> {
    let Some(first) = candidates.first() else { return Ok(BINS.to_vec()) };
    let values = first.read()?;
    for other in candidates {
        if other.read()? != values {
            return Err(Error::model(&other.name, "its candidates differ from those of the other blocks"));
        }
    }
    let mut bins: Vec<f64> = values.into_iter().map(decimal).filter(|r| *r > 0.0 && *r <= 1.0).collect();
    bins.sort_by(|a, b| b.total_cmp(a));
    bins.dedup();
    if bins.is_empty() { Err(Error::model(&first.name, "no candidate is in (0, 1]")) } else { Ok(bins) }
}

/// A learned ratio is used within the bins, as in training.
fn routing(name: &str, bins: Vec<f64>, keep: Vec<Vec<f32>>) -> Result<Routing> {
    if keep.iter().flatten().any(|r| !r.is_finite()) {
        return Err(Error::model(name, "a keep ratio is not a number"));
    }
    let (most, least) = limits(&bins);
    let regions = keep.len();
    let keep = keep.into_iter().map(|row| row.into_iter().map(|r| decimal(r).clamp(least, most)).collect()).collect();
    let preset = Preset { name: LEARNED.into(), keep, dense_steps: 0.0 };
    Ok(Routing {
        bins,
        regions,
        score_scale: ScoreScale::Mlp,
        score_gain: 1.0,
        presets: vec![preset],
        default: LEARNED.into(),
    })
}

/// The shortest decimal that is this f32: 0.8, not 0.800000011920929.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(value.into())
}
