//! Low-rank adapters (LoRA): what PEFT puts on layers of a transformer, in the names that the graph and the checkpoint use.
//!
//! A layer's weight `NAME` has two factors: `NAME.lora_a` `[rank, in]` and `NAME.lora_b` `[out, rank]`. The graph applies them to
//! activations and never builds `B A`; only [`merge`] does, at the end.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use serde_json::json;

use super::config::LoraConfig;
use super::files;
use super::frozen::Frozen;
use super::init::Tensors;
use super::parameters::{Leaves, Parameters, View};
use crate::bundle::Weights;
use crate::data::random::Random;
use crate::error::{Error, Result};

const A: &str = ".lora_a";
const B: &str = ".lora_b";
/// Where the tensors of a model's transformer are.
const TRANSFORMER: &str = "transformer.";
/// What PEFT puts before the names of a model's layers.
const PEFT: &str = "base_model.model.";

/// Whether a parameter is a factor of an adapter.
pub fn is_factor(name: &str) -> bool {
    name.ends_with(A) || name.ends_with(B)
}

/// Whether the weight `name` of the transformer is a layer's that one of the targets names.
pub fn is_adapted(name: &str, targets: &[String]) -> bool {
    let layer = name.strip_prefix(TRANSFORMER).and_then(|name| name.strip_suffix(".weight"));
    let ends = |layer: &str, target: &str| {
        layer.strip_suffix(target).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    layer.is_some_and(|layer| targets.iter().any(|target| ends(layer, target)))
}

/// Fresh adapters: A uniform in ±1/√in, B zero, so that they change nothing yet.
///
/// # Errors
/// `InvalidInput` where no layer is named by the targets.
pub fn init(base: &Tensors, config: &LoraConfig, random: &mut Random) -> Result<Tensors> {
    let mut adapters = Tensors::new();
    for (name, (shape, _)) in base.iter().filter(|(name, _)| is_adapted(name, &config.targets)) {
        let (Some(&output), input) = (shape.first(), shape.iter().skip(1).product::<usize>()) else { continue };
        let bound = 1.0 / (input as f64).sqrt();
        let values = (0..config.rank * input).map(|_| random.uniform(-bound, bound) as f32).collect();
        adapters.insert(format!("{name}{A}"), (vec![config.rank, input], values));
        adapters.insert(format!("{name}{B}"), (vec![output, config.rank], vec![0.0; output * config.rank]));
    }
    if adapters.is_empty() {
        return Err(Error::input("lora.targets", format!("no layer is called {}", config.targets.join(", "))));
    }
    Ok(adapters)
}

/// Has the layers take the second factors of `leaves` times `scale`.
pub fn scale(weights: &mut Weights, trained: &Parameters, leaves: &Leaves, scale: f64) {
    for (name, leaf) in leaves.iter().filter(|(name, _)| name.ends_with(B) && scale != 1.0) {
        if let Some(view) = trained.get(name) {
            weights.insert_tensor(name, view.shape, leaf.clone() * scale);
        }
    }
}

/// The frozen tensors with their adapters folded in, one at a time.
///
/// # Errors
/// `Internal` where a factor does not fit.
pub fn merge(frozen: &Frozen, trained: &Parameters, scale: f64) -> Result<Tensors> {
    let device = crate::device::cpu();
    let mut merged = Tensors::new();
    for (name, shape, mut values) in frozen.values() {
        let factors = trained.get(&format!("{name}{A}")).zip(trained.get(&format!("{name}{B}")));
        if let Some((a, b)) = factors {
            let (&[rank, input], &[output, _]) = (a.shape, b.shape) else {
                return Err(Error::internal(format!(
                    "the adapter of {name} has shapes {:?} and {:?}",
                    a.shape, b.shape
                )));
            };
            let of = |values: &[f32], shape| Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device);
            let change = of(b.values, [output, rank]).matmul(of(a.values, [rank, input])) * scale; // [out, in]
            let change = change.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))?;
            values.iter_mut().zip(&change).for_each(|(value, change)| *value += change);
        }
        merged.insert(name, (shape, values));
    }
    Ok(merged)
}

/// Writes the adapters as PEFT does: `PeftModel.from_pretrained(transformer, dir)` reads them.
///
/// # Errors
/// `Io` naming the file.
pub fn write(dir: &Path, config: &LoraConfig, base: &str, frozen: &Frozen, trained: &Parameters) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    let alpha = if config.alpha().fract() == 0.0 { json!(config.alpha() as u64) } else { json!(config.alpha()) };
    let settings = json!({
        "peft_type": "LORA", "task_type": null, "base_model_name_or_path": base, "r": config.rank,
        "lora_alpha": alpha, "target_modules": config.targets, "lora_dropout": 0.0, "bias": "none",
        "fan_in_fan_out": false, "use_dora": false, "use_rslora": false, "inference_mode": true,
    });
    let text = serde_json::to_string_pretty(&settings).map_err(|e| Error::internal(e.to_string()))? + "\n";
    files::replace(&dir.join("adapter_config.json"), text.as_bytes())?;
    let factors: BTreeMap<String, _> = trained.views().filter_map(|v| Some((peft(v.name)?, v))).collect();
    files::write(
        &dir.join("adapter_model.safetensors"),
        factors.into_iter().map(|(name, v)| (name, peft_shape(&v, frozen), v.values)),
        None,
    )
}

/// The factors of a convolution, as the patch embedding is one, are convolutions too: the first with its kernel, the second with one of
/// 1 × 1.
fn peft_shape(factor: &View, frozen: &Frozen) -> Vec<usize> {
    let (first, second) = (factor.name.strip_suffix(A), factor.name.strip_suffix(B));
    let kernel = first.or(second).and_then(|weight| frozen.shape(weight)).and_then(|shape| shape.get(1..));
    match (factor.shape, kernel) {
        (&[rank, _], Some(kernel)) if kernel.len() > 1 && first.is_some() => [&[rank], kernel].concat(),
        (&[output, rank], Some(kernel)) if kernel.len() > 1 => vec![output, rank, 1, 1],
        (shape, _) => shape.to_vec(),
    }
}

/// The name that PEFT gives a factor; none for other parameters.
pub fn peft(name: &str) -> Option<String> {
    let (weight, factor) = match (name.strip_suffix(A), name.strip_suffix(B)) {
        (Some(weight), _) => (weight, "lora_A"),
        (_, Some(weight)) => (weight, "lora_B"),
        _ => return None,
    };
    let layer = weight.strip_prefix(TRANSFORMER)?.strip_suffix(".weight")?;
    Some(format!("{PEFT}{layer}.{factor}.weight"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::Base;

    const NAME: &str = "transformer.transformer_blocks.0.ff.net.2.weight";

    #[test]
    fn a_fresh_adapter_changes_nothing_and_a_trained_one_is_merged() {
        let base: Tensors = [(NAME.to_owned(), (vec![2, 3], vec![1.0; 6]))].into();
        let frozen = Frozen::new(base.clone(), Base::F32, &crate::device::cpu());
        let mut adapters = init(&base, &LoraConfig::new(1), &mut Random::new(0, 0)).unwrap();
        let values = |adapters: &Tensors| {
            let merged = merge(&frozen, &Parameters::new(adapters.clone()).unwrap(), 2.0).unwrap();
            merged[NAME].1.clone()
        };
        assert_eq!(values(&adapters), base[NAME].1);
        adapters.insert(format!("{NAME}.lora_a"), (vec![1, 3], vec![1.0, 2.0, 3.0]));
        adapters.insert(format!("{NAME}.lora_b"), (vec![2, 1], vec![10.0, 100.0]));
        assert_eq!(values(&adapters), [21.0, 41.0, 61.0, 201.0, 401.0, 601.0]);
    }

    #[test]
    fn targets_are_ends_of_names() {
        let targets = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let block = "transformer.transformer_blocks.3.";
        assert!(is_adapted(&format!("{block}attn1.to_q.weight"), &targets(&["to_q"])));
        assert!(is_adapted(&format!("{block}attn1.to_q.weight"), &targets(&["attn2.to_q", "attn1.to_q"])));
        assert!(is_adapted("transformer.proj_out.weight", &targets(&["proj_out"])));
        assert!(!is_adapted(&format!("{block}attn1.to_q.bias"), &targets(&["to_q"])));
        assert!(!is_adapted(&format!("{block}attn1.to_out.0.weight"), &targets(&["out.0"])));
        assert!(!is_adapted("text_encoder.to_q.weight", &targets(&["to_q"])));
        let none = init(&Tensors::new(), &LoraConfig::new(1), &mut Random::new(0, 0)).unwrap_err();
        assert!(none.to_string().starts_with("lora.targets: no layer is called to_k, "), "{none}");
    }

    #[test]
    fn factors_have_the_names_that_peft_gives_them() {
        let name = format!("{NAME}.lora_b");
        assert_eq!(peft(&name).unwrap(), "base_model.model.transformer_blocks.0.ff.net.2.lora_B.weight");
        assert!(peft(NAME).is_none() && is_factor(&name) && !is_factor(NAME));
    }
}
