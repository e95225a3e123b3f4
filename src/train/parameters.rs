//! The numbers that are trained: one flat vector in host memory, cut into tensors by name.
//!
//! Optimizer, average and checkpoint see the vector; a step sees leaf tensors made from it, handed to the model's layers by the
//! names a bundle uses.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::bundle::Weights;
use crate::error::{Error, Result};

/// Named tensors in one vector, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    entries: BTreeMap<String, Entry>,
    values: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    shape: Vec<usize>,
    range: Range<usize>,
}

/// Tensors of a graph by name, flat.
pub type Leaves = BTreeMap<String, Tensor<1>>;

/// A tensor of the vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View<'a> {
    pub name: &'a str,
    pub shape: &'a [usize],
    pub values: &'a [f32],
}

impl Parameters {
    /// From tensors by name: their shape and row-major values.
    ///
    /// # Errors
    /// `ModelInvalid` naming a tensor whose values do not fill its shape.
    pub fn new(tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Result<Self> {
        let mut parameters = Self::default();
        for (name, (shape, values)) in tensors {
            if shape.iter().product::<usize>() != values.len() {
                return Err(Error::model(name, format!("{} values for the shape {shape:?}", values.len())));
            }
            let start = parameters.values.len();
            parameters.values.extend(values);
            parameters.entries.insert(name, Entry { shape, range: start..parameters.values.len() });
        }
        Ok(parameters)
    }

    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The same tensors with other values.
    ///
    /// # Errors
    /// `Internal` where the count differs.
    pub fn with_values(&self, values: Vec<f32>) -> Result<Self> {
        if values.len() != self.values.len() {
            return Err(Error::internal(format!("{} values for {} parameters", values.len(), self.values.len())));
        }
        Ok(Self { entries: self.entries.clone(), values })
    }

    /// All tensors, by name.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.entries.iter().map(|(name, e)| View { name, shape: &e.shape, values: &self.values[e.range.clone()] })
    }

    pub fn get(&self, name: &str) -> Option<View<'_>> {
        let (name, e) = self.entries.get_key_value(name)?;
        Some(View { name, shape: &e.shape, values: &self.values[e.range.clone()] })
    }

    /// Where a tensor lies in the vector.
    pub fn range(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(name).map(|e| e.range.clone())
    }

    /// A leaf of a new graph for every tensor, flat; `device` must have autodiff for their gradients to exist.
    pub fn leaves(&self, device: &Device) -> Leaves {
        let leaf = |v: View| {
            let flat = Tensor::from_data(TensorData::new(v.values.to_vec(), [v.values.len()]), device);
            if device.is_autodiff() { flat.require_grad() } else { flat }
        };
        self.views().map(|v| (v.name.to_owned(), leaf(v))).collect()
    }

    /// Hands the leaves of the tensors that are `wanted`, by name, to the layers that will take them.
    pub fn insert_into(&self, weights: &mut Weights, leaves: &Leaves, wanted: impl Fn(&str) -> bool) {
        for view in self.views().filter(|view| wanted(view.name)) {
            if let Some(leaf) = leaves.get(view.name) {
                weights.insert_tensor(view.name, view.shape, leaf.clone());
            }
        }
    }

    /// Adds the gradients of `leaves` to `sum`, a vector as this is; nothing where a leaf had no part in the loss.
    ///
    /// # Errors
    /// `Internal` where a gradient cannot be read.
    pub fn add_gradient(&self, leaves: &Leaves, gradients: &Gradients, sum: &mut [f32]) -> Result<()> {
        for (name, leaf) in leaves {
            let (Some(range), Some(gradient)) = (self.range(name), leaf.grad(gradients)) else { continue };
            let values = gradient.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))?;
            if let Some(place) = sum.get_mut(range).filter(|place| place.len() == values.len()) {
                place.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
            }
        }
        Ok(())
    }

    /// The gradients of `leaves` as one vector.
    ///
    /// # Errors
    /// As [`Parameters::add_gradient`].
    pub fn gradient(&self, leaves: &Leaves, gradients: &Gradients) -> Result<Vec<f32>> {
        let mut all = vec![0.0; self.values.len()];
        self.add_gradient(leaves, gradients, &mut all)?;
        Ok(all)
    }
}
