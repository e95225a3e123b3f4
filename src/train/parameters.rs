//! The numbers that are trained: one flat vector, cut into tensors by name; in host memory, and where a GPU computes in its own.
//!
//! Optimizer, average and checkpoint see the vector; a step sees leaf tensors made from it, handed to the model's layers by the
//! names a bundle uses.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Device, Tensor, TensorData};

use crate::bundle::Weights;
use crate::error::{Error, Result};

/// Bytes of parameters that were moved between host memory and a device that has its own.
static MOVED: AtomicU64 = AtomicU64::new(0);

/// Bytes of parameters, of all runs of this process, that were moved between host memory and a device that has its own.
pub fn moved_bytes() -> u64 {
    MOVED.load(Ordering::Relaxed)
}

pub(super) fn count_moved(device: &Device, values: usize) {
    if !crate::device::is_host(device) {
        MOVED.fetch_add(4 * values as u64, Ordering::Relaxed);
    }
}

/// Named tensors in one vector, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    entries: BTreeMap<String, Entry>,
    values: Vec<f32>,
    /// The vector on the device that trains it; `values` is then what was read of it last.
    resident: Option<Tensor<1>>,
}

/// By what is in host memory.
impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries && self.values == other.values
    }
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
        Ok(Self { entries: self.entries.clone(), values, resident: None })
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
            let flat = match self.resident.as_ref().zip(self.range(v.name)) {
                Some((all, range)) if device.is_autodiff() => all.clone().slice([range]).autodiff(),
                Some((all, range)) => all.clone().slice([range]),
                None => {
                    count_moved(device, v.values.len());
                    Tensor::from_data(TensorData::new(v.values.to_vec(), [v.values.len()]), device)
                }
            };
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

    /// Has leaves come from `vector`, which lies on a device as this does in host memory; or from here again.
    pub fn set_resident(&mut self, vector: Option<Tensor<1>>) {
        self.resident = vector;
    }

    /// Brings a tensor in host memory to what it is on the device.
    ///
    /// # Errors
    /// `Internal` where it cannot be read.
    pub fn refresh(&mut self, name: &str) -> Result<()> {
        let Some((vector, range)) = self.resident.clone().zip(self.range(name)) else { return Ok(()) };
        let read = vector.slice([range.clone()]).into_data();
        let read = read.try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))?;
        self.values[range].copy_from_slice(&read);
        Ok(())
    }

    /// These, with the numbers in host memory that are on the device.
    ///
    /// # Errors
    /// `Internal` where they cannot be read.
    pub fn read(&self) -> Result<std::borrow::Cow<'_, Self>> {
        let Some(vector) = &self.resident else { return Ok(std::borrow::Cow::Borrowed(self)) };
        self.with_values(read_vector(vector)?).map(std::borrow::Cow::Owned)
    }
}

/// The values of a vector on a device.
///
/// # Errors
/// `Internal` where it cannot be read.
pub fn read_vector(vector: &Tensor<1>) -> Result<Vec<f32>> {
    count_moved(&vector.device(), vector.dims()[0]);
    vector.clone().into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))
}
