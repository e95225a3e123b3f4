//! A tensor under a foreign name, and where its values come from.

use half::f16;

use super::options::Precision;
use super::reader::BundleReader;
use crate::bundle::manifest::Manifest;
use crate::bundle::routing::Routing;
use crate::error::{Error, Result};

/// A tensor to write.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignTensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Values,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// The rows of these tensors of the bundle, one after the other.
    Bundle(Vec<String>),
    Given(Vec<f32>),
}

impl ForeignTensor {
    /// The tensors `ours` of the bundle as one.
    ///
    /// # Errors
    /// `ModelInvalid` naming one that is missing.
    pub fn stacked(manifest: &Manifest, name: String, ours: Vec<String>) -> Result<Self> {
        let mut shape: Vec<usize> = Vec::new();
        for name in &ours {
            let entry = manifest.tensors.get(name).ok_or_else(|| Error::model(name, "the tensor is missing"))?;
            match shape.first_mut() {
                Some(rows) => *rows += entry.shape.first().copied().unwrap_or(0),
                None => shape.clone_from(&entry.shape),
            }
        }
        Ok(Self { name, shape, values: Values::Bundle(ours) })
    }

    /// Its values.
    ///
    /// # Errors
    /// As [`BundleReader::values`].
    pub fn read(&self, reader: &mut BundleReader) -> Result<Vec<f32>> {
        match &self.values {
            Values::Bundle(names) => {
                let parts = names.iter().map(|name| reader.values(name)).collect::<Result<Vec<_>>>()?;
                Ok(parts.concat())
            }
            Values::Given(values) => Ok(values.clone()),
        }
    }

    /// How it is stored where the weights are to be in `weights`: ratios keep their bits.
    pub fn precision(&self, weights: Precision) -> Precision {
        match self.values {
            Values::Bundle(_) => weights,
            Values::Given(_) => Precision::F32,
        }
    }

    /// Bytes of it.
    pub fn bytes(&self, weights: Precision) -> usize {
        self.elements() * self.precision(weights).size()
    }

    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What DiffCR's authors call a layer's learned ratios, by region, and the ratios that it may run at.
pub fn ratios(routing: &Routing, layer: usize, block: &str) -> Vec<ForeignTensor> {
    let given = |name: &str, values: Vec<f64>| ForeignTensor {
        name: format!("{block}.{name}"),
        shape: vec![values.len()],
        values: Values::Given(values.into_iter().map(|v| v as f32).collect()),
    };
    let preset = routing.presets.iter().find(|preset| preset.name == routing.default);
    let keep = preset.map_or(vec![], |preset| preset.keep.iter().filter_map(|row| row.get(layer).copied()).collect());
    vec![given("diff_ratio", keep), given("kept_ratio_candidate", routing.bins.clone())]
}

/// Values as little-endian bytes.
pub fn bytes(values: &[f32], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Precision::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
    }
}

impl Precision {
    /// Bytes of a value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}
