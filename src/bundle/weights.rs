//! The tensors of a model by name: layers take theirs, and what nobody takes is an error.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::chunk::Words;
use super::manifest::{Encoding, TensorEntry};
use crate::device::resident;
use crate::error::{Error, Result};
use crate::kernels::packed::{HalfConv, PackedMatrix, PackedWords};
use crate::kernels::wgsl::conv::half_pays;
use crate::kernels::wgsl::format::Format;

/// Tensors waiting to be taken by a model's layers.
#[derive(Debug)]
pub struct Weights {
    device: Device,
    /// Whether the device multiplies with packed matrices.
    packs: bool,
    tensors: BTreeMap<String, Stored>,
}

/// One tensor, where it lives.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // Some hundreds of them, until the layers have taken them.
enum Stored {
    /// On the device, flat; the shape is restored when it is taken.
    Device { shape: Vec<usize>, flat: Tensor<1> },
    /// In host memory: tables whose rows are gathered on the CPU.
    Host(HostTable),
    /// On the device, in the words of its chunk.
    Packed(PackedMatrix),
    /// The weight of a convolution on the device, in f16.
    HalfConv(HalfConv),
}

/// Shape and values, row-major.
pub type HostTensor = (Vec<usize>, Vec<f32>);

/// A matrix kept in host memory, row-major: whole, or some of its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTable {
    shape: [usize; 2],
    data: Vec<f32>,
    /// Where each row is in `data`, where not all are.
    places: Option<BTreeMap<usize, usize>>,
}

impl HostTable {
    /// `data` fills `shape`.
    pub fn whole(shape: [usize; 2], data: Vec<f32>) -> Self {
        Self { shape, data, places: None }
    }

    /// None of its rows yet.
    pub fn sparse(shape: [usize; 2]) -> Self {
        Self { shape, data: Vec::new(), places: Some(BTreeMap::new()) }
    }

    /// Adds a row to a table that is not whole.
    pub fn insert(&mut self, row: usize, values: &[f32]) {
        if let Some(places) = &mut self.places {
            places.entry(row).or_insert_with(|| {
                self.data.extend_from_slice(values);
                self.data.len() - values.len()
            });
        }
    }

    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Of a whole table, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Rows `ids`, one after the other: `ids.len() * width` values.
    ///
    /// # Errors
    /// `InvalidInput` where one is outside the vocabulary, `Internal` where it was not kept.
    pub fn gather(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let [rows, width] = self.shape;
        let mut out = Vec::with_capacity(ids.len() * width);
        for &id in ids {
            let row = Some(id as usize).filter(|row| *row < rows).ok_or_else(|| {
                Error::input("input_ids", format!("token id {id} is outside the vocabulary of {rows}"))
            })?;
            let start = match &self.places {
                Some(places) => places.get(&row).copied(),
                None => row.checked_mul(width),
            };
            let row = start.and_then(|start| self.data.get(start..start + width));
            out.extend_from_slice(row.ok_or_else(|| Error::internal(format!("row {id} of the table is not here")))?);
        }
        Ok(out)
    }
}

impl Weights {
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), packs: PackedMatrix::is_supported(device), tensors: BTreeMap::new() }
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Adds `values` (row-major, `shape`) on the device under `name`, in memory that [`resident`] gives.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f32>) {
        let data = TensorData::new(values, [shape.iter().product::<usize>()]);
        let flat = resident(data, &self.device, |data| Tensor::from_data(data, &self.device));
        self.tensors.insert(name.into(), Stored::Device { shape: shape.to_vec(), flat });
    }

    /// Adds a tensor that is on the device already, flat. One that is part of a graph stays part of it: its gradient reaches
    /// whatever it was made from.
    pub fn insert_tensor(&mut self, name: impl Into<String>, shape: &[usize], flat: Tensor<1>) {
        self.tensors.insert(name.into(), Stored::Device { shape: shape.to_vec(), flat });
    }

    /// Whether the device multiplies with a matrix as chunks store it.
    pub fn keeps_packed(&self, entry: &TensorEntry) -> bool {
        self.packs && (is_packable(entry) || self.keeps_half(entry))
    }

    /// Whether it is a convolution's weight that stays in f16.
    fn keeps_half(&self, entry: &TensorEntry) -> bool {
        let shape = <[usize; 4]>::try_from(entry.shape.as_slice());
        entry.encoding == Encoding::F16 && shape.is_ok_and(|shape| HalfConv::is_supported(shape, &self.device))
    }

    /// Adds a tensor that [`Weights::keeps_packed`].
    ///
    /// # Errors
    /// `Internal` on any other.
    pub fn insert_packed(&mut self, name: &str, entry: &TensorEntry, words: Words) -> Result<()> {
        let count = words.words.len();
        if let (&[outputs, inputs, height, width], Encoding::F16) = (entry.shape.as_slice(), entry.encoding) {
            let bits = bytemuck::cast_slice(&words.words);
            let half = HalfConv::upload([outputs, inputs, height, width], bits, &self.device);
            let half = half.ok_or_else(|| Error::internal(format!("{name} cannot stay in f16")))?;
            self.tensors.insert(name.into(), Stored::HalfConv(half));
            return Ok(());
        }
        let packed = match (entry.shape.as_slice(), format(entry.encoding)) {
            (&[rows, inputs], Some(format)) => {
                let (shape, group) = ([rows, inputs], entry.group.unwrap_or(inputs));
                let words = PackedWords { format, shape, group, words: words.words, scales: words.scales };
                PackedMatrix::upload(words, &self.device)
            }
            _ => None,
        };
        let fault = || Error::internal(format!("{name} cannot stay {:?} in {count} words", entry.encoding));
        self.tensors.insert(name.into(), Stored::Packed(packed.ok_or_else(fault)?));
        Ok(())
    }

    /// Adds a table that stays in host memory.
    pub fn insert_host(&mut self, name: impl Into<String>, table: HostTable) {
        self.tensors.insert(name.into(), Stored::Host(table));
    }

    /// The table of that name in host memory, begun without a row where it is not there.
    pub fn host(&mut self, name: &str, shape: [usize; 2]) -> &mut HostTable {
        let stored = self.tensors.entry(name.to_owned()).or_insert_with(|| Stored::Host(HostTable::sparse(shape)));
        if !matches!(stored, Stored::Host(_)) {
            *stored = Stored::Host(HostTable::sparse(shape));
        }
        match stored {
            Stored::Host(table) => table,
            Stored::Device { .. } | Stored::Packed(_) | Stored::HalfConv(_) => unreachable!("it was just made one"),
        }
    }

    /// Whether a tensor has come and was not taken.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensors below `prefix`, whose names a layer then gives without it.
    pub fn scope(&mut self, prefix: &str) -> Scope<'_> {
        Scope { prefix: format!("{prefix}."), weights: self }
    }

    /// Names not yet taken.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape and values of every tensor still here, read back from the device.
    ///
    /// # Errors
    /// `Internal` where a tensor cannot be read.
    #[cfg(feature = "train")]
    pub fn into_values(self) -> Result<BTreeMap<String, HostTensor>> {
        let read = |stored: Stored| match stored {
            Stored::HalfConv(half) => {
                let values = half.unpack().into_data().try_to_vec::<f32>();
                values.map(|values| (half.shape().to_vec(), values)).map_err(|e| Error::internal(e.to_string()))
            }
            Stored::Host(table) => Ok((table.shape.to_vec(), table.data)),
            Stored::Packed(packed) => {
                let values = packed.unpack().into_data().try_to_vec::<f32>();
                values.map(|values| (packed.shape().to_vec(), values)).map_err(|e| Error::internal(e.to_string()))
            }
            Stored::Device { shape, flat } => {
                let values = flat.into_data().convert::<f32>().try_to_vec::<f32>();
                values.map(|values| (shape, values)).map_err(|e| Error::internal(e.to_string()))
            }
        };
        self.tensors.into_iter().map(|(name, stored)| Ok((name, read(stored)?))).collect()
    }

    /// Ends the taking: a tensor that no layer took is unknown to the model.
    pub fn finish(self) -> Result<()> {
        match self.tensors.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::model(name.clone(), "this model has no such tensor")),
        }
    }

    fn remove(&mut self, name: &str) -> Result<Stored> {
        self.tensors.remove(name).ok_or_else(|| Error::model(name, "the tensor is missing"))
    }
}

/// A view of [`Weights`] below a prefix.
#[derive(Debug)]
pub struct Scope<'a> {
    prefix: String,
    weights: &'a mut Weights,
}

impl Scope<'_> {
    /// One level down: `scope.enter("attn1")`, `scope.enter(3)`.
    pub fn enter(&mut self, name: impl std::fmt::Display) -> Scope<'_> {
        Scope { prefix: format!("{}{name}.", self.prefix), weights: self.weights }
    }

    pub fn device(&self) -> Device {
        self.weights.device.clone()
    }

    /// Whether `name` is still to be taken.
    pub fn has(&self, name: &str) -> bool {
        self.weights.tensors.contains_key(&format!("{}{name}", self.prefix))
    }

    /// The shape of `name`, while it is still to be taken.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self.weights.tensors.get(&format!("{}{name}", self.prefix))? {
            Stored::Device { shape, .. } => Some(shape.clone()),
            Stored::Host(table) => Some(table.shape.to_vec()),
            Stored::Packed(packed) => Some(packed.shape().to_vec()),
            Stored::HalfConv(half) => Some(half.shape().to_vec()),
        }
    }

    /// Takes tensor `name`, which must have `shape`.
    pub fn take<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Result<Tensor<D>> {
        let name = format!("{}{name}", self.prefix);
        match self.weights.remove(&name)? {
            Stored::Device { shape: found, flat } => {
                check_shape(&name, &found, &shape)?;
                Ok(flat.reshape(shape))
            }
            Stored::Packed(packed) => {
                check_shape(&name, &packed.shape(), &shape)?;
                Ok(packed.unpack().reshape(shape))
            }
            Stored::HalfConv(half) => {
                check_shape(&name, &half.shape(), &shape)?;
                Ok(half.unpack().reshape(shape))
            }
            Stored::Host(_) => Err(Error::internal(format!("{name} is a host table"))),
        }
    }

    /// Takes matrix `name`, if it is there and packed.
    pub fn take_packed(&mut self, name: &str, shape: [usize; 2]) -> Result<Option<PackedMatrix>> {
        let name = format!("{}{name}", self.prefix);
        if !matches!(self.weights.tensors.get(&name), Some(Stored::Packed(_))) {
            return Ok(None);
        }
        match self.weights.remove(&name)? {
            Stored::Packed(packed) => check_shape(&name, &packed.shape(), &shape).map(|()| Some(packed)),
            _ => Ok(None),
        }
    }

    /// Takes a convolution's weight, if it is there and in f16.
    pub fn take_half_conv(&mut self, name: &str, shape: [usize; 4]) -> Result<Option<HalfConv>> {
        let name = format!("{}{name}", self.prefix);
        if !matches!(self.weights.tensors.get(&name), Some(Stored::HalfConv(_))) {
            return Ok(None);
        }
        match self.weights.remove(&name)? {
            Stored::HalfConv(half) => check_shape(&name, &half.shape(), &shape).map(|()| Some(half)),
            _ => Ok(None),
        }
    }

    /// Takes a table that was kept in host memory.
    pub fn take_host(&mut self, name: &str, shape: [usize; 2]) -> Result<HostTable> {
        let name = format!("{}{name}", self.prefix);
        match self.weights.remove(&name)? {
            Stored::Host(table) => {
                check_shape(&name, &table.shape, &shape)?;
                Ok(table)
            }
            _ => Err(Error::internal(format!("{name} is not a host table"))),
        }
    }
}

/// Whether there is a kernel for the matrix as it is stored.
pub fn is_packable(entry: &TensorEntry) -> bool {
    match (entry.shape.as_slice(), format(entry.encoding)) {
        (&[_, inputs], Some(format)) => format.fits(inputs, entry.group),
        _ => false,
    }
}

/// Whether it is a convolution's weight that kernels read in f16.
pub fn is_half_conv(entry: &TensorEntry) -> bool {
    entry.encoding == Encoding::F16 && <[usize; 4]>::try_from(entry.shape.as_slice()).is_ok_and(half_pays)
}

/// How the kernels name an encoding; f32 is not packed.
fn format(encoding: Encoding) -> Option<Format> {
    match encoding {
        Encoding::F32 => None,
        Encoding::F16 => Some(Format::F16),
        Encoding::Q8 => Some(Format::Q8),
        Encoding::Q4 => Some(Format::Q4),
    }
}

fn check_shape(name: &str, found: &[usize], wanted: &[usize]) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::model(name, format!("the shape is {found:?}, the model asks for {wanted:?}")))
}
