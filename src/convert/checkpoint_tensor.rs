//! Tensors of a checkpoint, where they lie in their files: nothing is read until a tensor's rows are asked for.

use std::collections::BTreeMap;
use std::rc::Rc;

use safetensors::tensor::Dtype;

use super::checkpoint_file::CheckpointFile;
use super::packing::Packing;
use crate::bundle::chunk::floats;
use crate::bundle::manifest::MAX_ELEMENTS;
use crate::error::{Error, Result};

/// The tensors of a checkpoint by the names it gives them.
pub type Tensors = BTreeMap<String, CheckpointTensor>;

/// How a tensor lies in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorLayout {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Elements between neighbours along each dimension; a contiguous tensor's where absent.
    pub strides: Option<Vec<usize>>,
    /// Byte of its first element.
    pub offset: u64,
}

/// What is added to a matrix as it is read.
pub trait Addition: std::fmt::Debug {
    /// `[rows, values of a row]`.
    fn shape(&self) -> [usize; 2];

    /// Rows `start..start + count` of it.
    fn rows(&self, start: usize, count: usize) -> Result<Rc<dyn Addition>>;

    /// Adds it to `values`, row-major.
    fn add_to(&self, values: &mut [f32]) -> Result<()>;
}

/// A tensor in a file.
#[derive(Debug, Clone)]
pub struct CheckpointTensor {
    /// The name its checkpoint gives it.
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Elements between neighbours along each dimension.
    strides: Vec<usize>,
    file: Rc<CheckpointFile>,
    /// Byte of its first element.
    offset: u64,
    /// Where its rows lie in several files: those of each, in order; then `file` is that of the first.
    parts: Vec<CheckpointTensor>,
    /// How values are packed, where they are not of a plain type; then `dtype` is what they become.
    packing: Option<Packing>,
    /// What the values of each row are multiplied by; nothing where it is empty.
    scales: Vec<f32>,
    /// Products that are added to it, row by row.
    additions: Vec<Rc<dyn Addition>>,
}

impl CheckpointTensor {
    /// The tensor of that layout in `file`.
    ///
    /// # Errors
    /// `ModelInvalid` on a shape that no tensor has, or strides of another rank.
    pub fn new(name: &str, layout: TensorLayout, file: &Rc<CheckpointFile>) -> Result<Self> {
        let TensorLayout { dtype, shape, strides, offset } = layout;
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|n| *n <= MAX_ELEMENTS);
        if elements.is_none() {
            return Err(Error::model(name, format!("the shape {shape:?} is not possible")));
        }
        let strides = strides.unwrap_or_else(|| contiguous(&shape));
        if strides.len() != shape.len() {
            return Err(Error::model(name, "strides and shape differ in rank"));
        }
        let (name, file) = (name.to_owned(), file.clone());
        let plain = Self {
            name,
            dtype,
            shape,
            strides,
            file,
            offset,
            parts: vec![],
            packing: None,
            scales: vec![],
            additions: vec![],
        };
        match Packing::of_dtype(dtype) {
            Some(packing) => plain.packed(packing),
            None => Ok(plain),
        }
    }

    /// The same tensor with values that lie packed, each row a whole number of blocks.
    ///
    /// # Errors
    /// `ModelInvalid` where rows are not whole blocks.
    pub fn packed(self, packing: Packing) -> Result<Self> {
        let width = self.shape.iter().skip(1).product::<usize>();
        let width = if self.shape.len() < 2 { self.elements() } else { width };
        if !width.is_multiple_of(packing.elements) || !self.is_contiguous() {
            return Err(Error::model(
                &self.name,
                format!("its rows of {width} are not blocks of {}", packing.elements),
            ));
        }
        Ok(Self { dtype: Dtype::F32, packing: Some(packing), ..self })
    }

    /// Whether the values lie packed.
    pub fn is_packed(&self) -> bool {
        self.packing.is_some()
    }

    /// The same tensor, times the one factor, or each row times its own.
    ///
    /// # Errors
    /// `ModelInvalid` where there are other numbers of factors and rows.
    pub fn scaled(self, factors: &[f32]) -> Result<Self> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let scales = match *factors {
            [factor] => vec![factor; rows],
            _ if factors.len() == rows => factors.to_vec(),
            _ => return Err(Error::model(&self.name, format!("{} factors for {rows} rows", factors.len()))),
        };
        Ok(Self { scales, ..self })
    }

    /// The same tensor with a product added to it.
    ///
    /// # Errors
    /// `ModelInvalid` where the product has another shape.
    pub fn plus(mut self, addition: Rc<dyn Addition>) -> Result<Self> {
        let width = self.elements() / self.shape.first().copied().unwrap_or(1).max(1);
        if addition.shape() != [self.shape.first().copied().unwrap_or(1), width] {
            let reason = format!("an adapter of {:?} does not fit its shape {:?}", addition.shape(), self.shape);
            return Err(Error::model(&self.name, reason));
        }
        self.additions.push(addition);
        Ok(self)
    }

    /// One tensor of the rows of `parts`, in order.
    pub fn stacked(name: &str, parts: Vec<Self>) -> Result<Self> {
        let Some(first) = parts.first() else { return Err(Error::model(name, "it has no rows")) };
        let fits =
            |p: &&Self| p.dtype == first.dtype && !p.shape.is_empty() && p.shape.get(1..) == first.shape.get(1..);
        if !parts.iter().all(|p| fits(&p)) {
            return Err(Error::model(name, "its rows differ in type or shape"));
        }
        let mut shape = first.shape.clone();
        shape[0] = parts.iter().map(|p| p.shape[0]).sum();
        let layout = TensorLayout { dtype: first.dtype, shape, strides: None, offset: first.offset };
        let whole = Self::new(name, layout, &first.file)?;
        Ok(Self { parts, ..whole })
    }

    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows `start..start + count` as a tensor of their own.
    pub fn rows(&self, start: usize, count: usize) -> Result<Self> {
        let (Some(&rows), Some(&stride)) = (self.shape.first(), self.strides.first()) else {
            return Err(Error::model(&self.name, "it has no rows"));
        };
        if start.checked_add(count).is_none_or(|end| end > rows) {
            return Err(Error::model(&self.name, format!("it has {rows} rows, {count} were asked for at {start}")));
        }
        let mut part = self.clone();
        part.shape[0] = count;
        if !self.scales.is_empty() {
            part.scales = self.scales[start..start + count].to_vec();
        }
        part.additions = self.additions.iter().map(|a| a.rows(start, count)).collect::<Result<_>>()?;
        if !self.parts.is_empty() {
            let mut first = 0;
            let mut parts = Vec::new();
            for p in &self.parts {
                let (from, to) = (start.max(first), (start + count).min(first + p.shape[0]));
                if from < to {
                    parts.push(p.rows(from - first, to - from)?);
                }
                first += p.shape[0];
            }
            return Ok(Self { parts, ..part });
        }
        let skip = (start as u64).checked_mul(stride as u64).and_then(|n| self.bytes_of(n));
        let offset = skip.and_then(|n| n.checked_add(self.offset));
        part.offset = offset.ok_or_else(|| Error::model(&self.name, "its strides are not possible"))?;
        Ok(part)
    }

    /// The same values under another shape; only for a contiguous tensor.
    pub fn reshape(&self, shape: Vec<usize>) -> Result<Self> {
        let other_rows = !self.scales.is_empty() && shape.first() != self.shape.first();
        let fits = self.is_contiguous() && shape.iter().product::<usize>() == self.elements();
        if !self.parts.is_empty() || other_rows || !fits {
            return Err(Error::model(&self.name, format!("the shape {:?} cannot become {shape:?}", self.shape)));
        }
        Ok(Self { strides: contiguous(&shape), shape, ..self.clone() })
    }

    /// Its values, row-major, as f32, scaled and with what is added to them. Fails for a type that is not a float's, and when the file
    /// ends too early.
    pub fn read(&self) -> Result<Vec<f32>> {
        let mut values = self.read_stored()?;
        if let Some(width) = values.len().checked_div(self.scales.len()).filter(|width| *width > 0) {
            for (row, scale) in values.chunks_exact_mut(width).zip(&self.scales) {
                row.iter_mut().for_each(|v| *v *= scale);
            }
        }
        self.additions.iter().try_for_each(|addition| addition.add_to(&mut values))?;
        Ok(values)
    }

    fn read_stored(&self) -> Result<Vec<f32>> {
        if !matches!(self.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return floats(&self.name, self.dtype, &[]);
        }
        if !self.parts.is_empty() {
            let parts = self.parts.iter().map(Self::read).collect::<Result<Vec<_>>>()?;
            return Ok(parts.concat());
        }
        if let Some(packing) = &self.packing {
            let bytes =
                self.bytes_of(self.elements() as u64).ok_or_else(|| Error::model(&self.name, "it is too large"))?;
            return Ok(packing.unpack(&self.file.read_at(self.offset, bytes)?));
        }
        if self.is_contiguous() {
            let bytes = self.file.read_at(self.offset, self.elements() as u64 * self.size())?;
            return floats(&self.name, self.dtype, &bytes);
        }
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(0u64, |n, (&d, &s)| n.checked_add((d.checked_sub(1)? as u64).checked_mul(s as u64)?));
        let bytes = last.and_then(|n| (n + 1).checked_mul(self.size()));
        let bytes = bytes.ok_or_else(|| Error::model(&self.name, "its strides are not possible"))?;
        let span = floats(&self.name, self.dtype, &self.file.read_at(self.offset, bytes)?)?;
        let mut values = Vec::with_capacity(self.elements());
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.elements() {
            let at: usize = index.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
            values.extend(span.get(at));
            for (i, &d) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < d {
                    break;
                }
                *i = 0;
            }
        }
        Ok(values)
    }

    /// Its bytes as the file has them; only for a contiguous tensor of one file.
    ///
    /// # Errors
    /// `ModelInvalid` for any other, `Integrity` where the file ends too early.
    pub fn read_bytes(&self) -> Result<Vec<u8>> {
        if !self.parts.is_empty() || !self.is_contiguous() || self.is_packed() || !self.additions.is_empty() {
            return Err(Error::model(&self.name, "its bytes are not in one place"));
        }
        self.file.read_at(self.offset, self.elements() as u64 * self.size())
    }

    fn is_contiguous(&self) -> bool {
        let expected = contiguous(&self.shape);
        self.shape.iter().zip(self.strides.iter().zip(&expected)).all(|(d, (a, b))| *d <= 1 || a == b)
    }

    /// Bytes of so many elements, whole blocks of them.
    fn bytes_of(&self, elements: u64) -> Option<u64> {
        match &self.packing {
            Some(packing) => (elements / packing.elements as u64).checked_mul(packing.bytes as u64),
            None => elements.checked_mul(self.size()),
        }
    }

    /// Bytes of an element.
    fn size(&self) -> u64 {
        (self.dtype.bitsize() / 8) as u64
    }
}

fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}
