//! Low-rank adapters: `W = W₀ + B A` with `W₀` frozen, on every linear layer of the transformer's blocks.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::parameters::Parameters;
use crate::data::random::Random;
use crate::error::{Error, Result};

/// Whether a tensor is a weight that gets an adapter.
pub fn is_adapted(name: &str, shape: &[usize]) -> bool {
    let linear = |part: &str| name.contains(part);
    name.starts_with("transformer.transformer_blocks.")
        && name.ends_with(".weight")
        && shape.len() == 2
        && (linear(".attn1.") || linear(".attn2.") || linear(".ff."))
}

fn names(name: &str) -> (String, String) {
    (format!("{name}.lora_a"), format!("{name}.lora_b"))
}

/// Fresh adapters of `rank`: A uniform in ±1/√in, B zero, so that they change nothing yet.
pub fn init(base: &Parameters, rank: usize, random: &mut Random) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut adapters = BTreeMap::new();
    for view in base.views().filter(|v| is_adapted(v.name, v.shape)) {
        let &[output, input] = view.shape else { continue };
        let (a, b) = names(view.name);
        let bound = 1.0 / (input as f64).sqrt();
        let values = (0..rank * input).map(|_| random.uniform(-bound, bound) as f32).collect();
        adapters.insert(a, (vec![rank, input], values));
        adapters.insert(b, (vec![output, rank], vec![0.0; output * rank]));
    }
    adapters
}

/// The weight that adapters make of `base` `[out, in]`, flat, in a graph; `base` itself where it has none.
///
/// # Errors
/// `Internal` where the adapters do not fit the weight.
pub fn adapt(base: Tensor<1>, name: &str, shape: &[usize], leaves: &BTreeMap<String, Tensor<1>>) -> Result<Tensor<1>> {
    let (a, b) = names(name);
    let (Some(a), Some(b), &[output, input]) = (leaves.get(&a), leaves.get(&b), shape) else { return Ok(base) };
    let rank = a.dims()[0] / input.max(1);
    if a.dims()[0] != rank * input || b.dims()[0] != rank * output {
        return Err(Error::internal(format!("the adapters of {name} do not fit {shape:?}")));
    }
    let change = b.clone().reshape([output, rank]).matmul(a.clone().reshape([rank, input])); // [out, in]
    Ok(base + change.reshape([output * input]))
}

/// The frozen weights with their adapters folded in.
///
/// # Errors
/// `Internal` where the adapters do not fit.
pub fn merge(frozen: &Parameters, trained: &Parameters) -> Result<Parameters> {
    let device = crate::device::cpu();
    let leaves = trained.leaves(&device);
    let mut tensors = BTreeMap::new();
    for (name, base) in frozen.leaves(&device) {
        let shape = frozen.get(&name).map_or_else(Vec::new, |v| v.shape.to_vec());
        let values = adapt(base, &name, &shape, &leaves)?.into_data().try_to_vec::<f32>();
        tensors.insert(name, (shape, values.map_err(|e| Error::internal(e.to_string()))?));
    }
    Parameters::new(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "transformer.transformer_blocks.0.ff.net.2.weight";

    #[test]
    fn a_fresh_adapter_changes_nothing_and_a_trained_one_is_merged() {
        let base = Parameters::new([(NAME.to_owned(), (vec![2, 3], vec![1.0; 6]))].into()).unwrap();
        let mut adapters = init(&base, 1, &mut Random::new(0, 0));
        let merged = merge(&base, &Parameters::new(adapters.clone()).unwrap()).unwrap();
        assert_eq!(merged.values(), base.values());
        adapters.insert(format!("{NAME}.lora_a"), (vec![1, 3], vec![1.0, 2.0, 3.0]));
        adapters.insert(format!("{NAME}.lora_b"), (vec![2, 1], vec![10.0, 100.0]));
        let merged = merge(&base, &Parameters::new(adapters).unwrap()).unwrap();
        assert_eq!(merged.values(), [11.0, 21.0, 31.0, 101.0, 201.0, 301.0]);
    }
}
