//! A gradient of the parameters, where they are: one vector in host memory, or tensors by name on a GPU.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{Device, Gradients, Tensor};

use super::parameters::{Leaves, Parameters, read_vector};
use crate::device;
use crate::error::{Error, Result};

#[derive(Debug, Clone)]
pub enum Gradient {
    /// As the parameters lie.
    Host(Vec<f32>),
    /// Flat tensors; those that are absent are zero.
    Device(BTreeMap<String, Tensor<1>>),
}

impl Gradient {
    /// That of a step which nothing was found in.
    pub fn zero(parameters: &Parameters, device: &Device) -> Self {
        match device::is_host(device) {
            true => Self::Host(vec![0.0; parameters.values().len()]),
            false => Self::Device(BTreeMap::new()),
        }
    }

    /// What `found` has of `leaves`, which are those of `parameters`.
    ///
    /// # Errors
    /// As [`Gradient::add_found`].
    pub fn of(parameters: &Parameters, leaves: &Leaves, found: &Gradients, device: &Device) -> Result<Self> {
        let mut gradient = Self::zero(parameters, device);
        gradient.add_found(parameters, leaves, found)?;
        Ok(gradient)
    }

    /// Adds what `found` has of `leaves`; nothing where a leaf had no part in the loss.
    ///
    /// # Errors
    /// `Internal` where a gradient cannot be read.
    pub fn add_found(&mut self, parameters: &Parameters, leaves: &Leaves, found: &Gradients) -> Result<()> {
        for (name, leaf) in leaves {
            let (Some(range), Some(part)) = (parameters.range(name), leaf.grad(found)) else { continue };
            self.add_part(name, range, part)?;
        }
        Ok(())
    }

    /// Adds `part`, the gradient of the tensor `name`, which lies at `range` in the parameters.
    ///
    /// # Errors
    /// `Internal` where it cannot be read.
    fn add_part(&mut self, name: &str, range: Range<usize>, part: Tensor<1>) -> Result<()> {
        match self {
            Self::Host(sum) => {
                let values = part.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))?;
                if let Some(place) = sum.get_mut(range).filter(|place| place.len() == values.len()) {
                    place.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
                }
            }
            Self::Device(parts) => add_to(parts, name.to_owned(), part),
        }
        Ok(())
    }

    /// Adds another of the same parameters on the same device.
    pub fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Host(sum), Self::Host(other)) => sum.iter_mut().zip(&other).for_each(|(a, b)| *a += b),
            (Self::Device(sum), Self::Device(other)) => {
                other.into_iter().for_each(|(name, part)| add_to(sum, name, part));
            }
            _ => debug_assert!(false, "gradients of two devices"),
        }
    }

    /// As one vector, which lies as the parameters do.
    pub fn vector(mut parts: BTreeMap<String, Tensor<1>>, parameters: &Parameters, device: &Device) -> Tensor<1> {
        let zero = |count: usize| Tensor::<1>::zeros([count], device);
        let all = parameters.views().map(|v| parts.remove(v.name).unwrap_or_else(|| zero(v.values.len())));
        Tensor::cat(all.collect(), 0)
    }

    /// In host memory.
    ///
    /// # Errors
    /// `Internal` where it cannot be read.
    pub fn into_host(self, parameters: &Parameters) -> Result<Vec<f32>> {
        match self {
            Self::Host(values) => Ok(values),
            Self::Device(parts) => match parts.values().next().map(Tensor::device) {
                Some(device) => read_vector(&Self::vector(parts, parameters, &device)),
                None => Ok(vec![0.0; parameters.values().len()]),
            },
        }
    }
}

/// Adds `part` to the tensor `name` of `sum`.
fn add_to(sum: &mut BTreeMap<String, Tensor<1>>, name: String, part: Tensor<1>) {
    let part = match sum.remove(&name) {
        Some(before) => before + part,
        None => part,
    };
    sum.insert(name, part);
}
