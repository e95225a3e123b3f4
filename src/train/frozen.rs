//! What a run does not train: tensors on the device, uploaded once and shared by every graph.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::config::Base;
use super::init::Tensors;
use crate::bundle::Weights;

/// Tensors by name, flat.
#[derive(Debug, Clone, Default)]
pub struct Frozen(BTreeMap<String, (Vec<usize>, Tensor<1>)>);

impl Frozen {
    /// On `device`, the transformer's matrices in the precision of `base`.
    pub fn new(tensors: Tensors, base: Base, device: &Device) -> Self {
        let upload = |(name, (shape, values)): (String, (Vec<usize>, Vec<f32>))| {
            let flat = Tensor::<1>::from_data(TensorData::new(values, [shape.iter().product::<usize>()]), device);
            let matrix = shape.len() > 1 && name.starts_with("transformer.") && name.ends_with(".weight");
            let flat = if base == Base::Bf16 && matrix { flat.cast(DType::BF16) } else { flat };
            (name, (shape, flat))
        };
        Self(tensors.into_iter().map(upload).collect())
    }

    /// Hands the tensors to the layers that will take them, as constants of graphs on `device`.
    pub fn insert_into(&self, weights: &mut Weights, device: &Device) {
        for (name, (shape, flat)) in &self.0 {
            let flat = if device.is_autodiff() { flat.clone().autodiff() } else { flat.clone() };
            weights.insert_tensor(name, shape, flat);
        }
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|(shape, _)| &shape[..])
    }

    /// Name, shape and values of every tensor.
    pub fn values(&self) -> impl Iterator<Item = (String, Vec<usize>, Vec<f32>)> {
        let read = |flat: &Tensor<1>| flat.clone().into_data().convert::<f32>().try_to_vec().unwrap_or_default();
        self.0.iter().map(move |(name, (shape, flat))| (name.clone(), shape.clone(), read(flat)))
    }
}
