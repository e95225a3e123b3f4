//! Tensors of a foreign checkpoint, where they lie in their files: nothing is read until a tensor's rows are asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use safetensors::tensor::{Dtype, Metadata};

use crate::bundle::chunk::floats;
use crate::bundle::manifest::MAX_ELEMENTS;
use crate::error::{Error, Result};

/// The tensors of a checkpoint by the names it gives them.
pub type Tensors = BTreeMap<String, Foreign>;

/// Longest header of a safetensors file that is taken into memory.
const MAX_HEADER: u64 = 100 << 20;

/// An open checkpoint file.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub len: u64,
    file: File,
}

/// A tensor in a file.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// The name its checkpoint gives it.
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Elements between neighbours along each dimension.
    strides: Vec<usize>,
    source: Rc<Source>,
    /// Byte of its first element.
    offset: u64,
    /// Where its rows lie in several files: those of each, in order; then `source` is that of the first.
    parts: Vec<Foreign>,
}

impl Source {
    pub fn open(path: &Path) -> Result<Rc<Self>> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let meta = file.metadata().map_err(|e| Error::io(path, e))?;
        if !meta.is_file() {
            return Err(Error::input("SRC", format!("{} is not a file", path.display())));
        }
        Ok(Rc::new(Self { path: path.to_owned(), len: meta.len(), file }))
    }

    /// `len` bytes at `offset`; both are checked against the file before memory is taken.
    pub fn read_at(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(self.fault(format!("truncated: it ends before byte {}", offset.saturating_add(len))));
        }
        let mut bytes = vec![0; len as usize];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| Error::io(&self.path, e))?;
        Ok(bytes)
    }

    /// The error of a file that is not what it should be.
    pub fn fault(&self, reason: impl Into<String>) -> Error {
        Error::integrity(self.path.display().to_string(), reason)
    }

    /// A second handle, for readers that keep a position of their own.
    pub fn reopen(&self) -> Result<File> {
        File::open(&self.path).map_err(|e| Error::io(&self.path, e))
    }
}

impl Foreign {
    /// A tensor whose first element is at byte `offset` of `source`. `strides` of `None` are those of a contiguous tensor.
    pub fn new(
        name: &str,
        dtype: Dtype,
        shape: Vec<usize>,
        strides: Option<Vec<usize>>,
        source: &Rc<Source>,
        offset: u64,
    ) -> Result<Self> {
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|n| *n <= MAX_ELEMENTS);
        if elements.is_none() {
            return Err(Error::model(name, format!("the shape {shape:?} is not possible")));
        }
        let strides = strides.unwrap_or_else(|| contiguous(&shape));
        if strides.len() != shape.len() {
            return Err(Error::model(name, "strides and shape differ in rank"));
        }
        Ok(Self { name: name.to_owned(), dtype, shape, strides, source: source.clone(), offset, parts: vec![] })
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
        let whole = Self::new(name, first.dtype, shape, None, &first.source, first.offset)?;
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
        let skip = (start as u64).checked_mul(stride as u64).and_then(|n| n.checked_mul(self.size()));
        let offset = skip.and_then(|n| n.checked_add(self.offset));
        part.offset = offset.ok_or_else(|| Error::model(&self.name, "its strides are not possible"))?;
        Ok(part)
    }

    /// The same values under another shape; only for a contiguous tensor.
    pub fn reshape(&self, shape: Vec<usize>) -> Result<Self> {
        if !self.parts.is_empty() || !self.is_contiguous() || shape.iter().product::<usize>() != self.elements() {
            return Err(Error::model(&self.name, format!("the shape {:?} cannot become {shape:?}", self.shape)));
        }
        Ok(Self { strides: contiguous(&shape), shape, ..self.clone() })
    }

    /// Its values, row-major, as f32. Fails for a type that is not F32, F16 or BF16, and when the file ends too early.
    pub fn read(&self) -> Result<Vec<f32>> {
        if !matches!(self.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return floats(&self.name, self.dtype, &[]);
        }
        if !self.parts.is_empty() {
            let parts = self.parts.iter().map(Self::read).collect::<Result<Vec<_>>>()?;
            return Ok(parts.concat());
        }
        if self.is_contiguous() {
            let bytes = self.source.read_at(self.offset, self.elements() as u64 * self.size())?;
            return floats(&self.name, self.dtype, &bytes);
        }
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(0u64, |n, (&d, &s)| n.checked_add((d.checked_sub(1)? as u64).checked_mul(s as u64)?));
        let bytes = last.and_then(|n| (n + 1).checked_mul(self.size()));
        let bytes = bytes.ok_or_else(|| Error::model(&self.name, "its strides are not possible"))?;
        let span = floats(&self.name, self.dtype, &self.source.read_at(self.offset, bytes)?)?;
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

    fn is_contiguous(&self) -> bool {
        let expected = contiguous(&self.shape);
        self.shape.iter().zip(self.strides.iter().zip(&expected)).all(|(d, (a, b))| *d <= 1 || a == b)
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

/// The tensors of a checkpoint file: safetensors, told by its name or by its first bytes, or whatever `torch.save` wrote.
pub fn open(path: &Path) -> Result<Tensors> {
    let source = Source::open(path)?;
    let json_header = source.read_at(8, 1).is_ok_and(|byte| byte == b"{") && source.read_at(0, 2)? != b"PK";
    if path.extension().is_some_and(|e| e == "safetensors") || json_header {
        return open_safetensors(&source);
    }
    super::torch::open(&source)
}

/// The tensors of a safetensors file; only its header is read.
pub fn open_safetensors(source: &Rc<Source>) -> Result<Tensors> {
    let fault = |reason: String| source.fault(format!("not a safetensors file: {reason}"));
    let length = source.read_at(0, 8).map_err(|_| fault("it is shorter than 8 bytes".into()))?;
    let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
    if length > MAX_HEADER || length + 8 > source.len {
        return Err(fault(format!("its header claims {length} bytes")));
    }
    let header = source.read_at(8, length)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| fault(e.to_string()))?;
    let end = metadata.data_len() as u64;
    if end + 8 + length != source.len {
        return Err(
            source.fault(format!("truncated: its header describes {end} bytes, it has {}", source.len - 8 - length))
        );
    }
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let offset = 8 + length + info.data_offsets.0 as u64;
        let tensor = Foreign::new(&name, info.dtype, info.shape.clone(), None, source, offset)?;
        Ok((name, tensor))
    });
    tensors.collect()
}

/// The tensors of a component's folder: `STEM.safetensors`, its shards, or the `.bin` twins where only those exist.
pub fn open_folder(dir: &Path, stems: &[&str]) -> Result<Tensors> {
    for extension in ["safetensors", "bin"] {
        for stem in stems {
            let index = dir.join(format!("{stem}.{extension}.index.json"));
            if index.is_file() {
                return open_shards(dir, &index);
            }
            let single = dir.join(format!("{stem}.{extension}"));
            if single.is_file() {
                return open(&single);
            }
            let variant = dir.join(format!("{stem}.fp16.{extension}"));
            if variant.is_file() {
                return open(&variant);
            }
        }
    }
    let wanted = stems.iter().map(|s| format!("{s}.safetensors")).collect::<Vec<_>>().join(" or ");
    Err(Error::input("SRC", format!("{} holds no {wanted}, whole or in shards", dir.display())))
}

fn open_shards(dir: &Path, index: &Path) -> Result<Tensors> {
    let fault = |reason: String| Error::integrity(index.display().to_string(), reason);
    let json = super::json::read(index)?;
    let map = json.get("weight_map").and_then(|m| m.as_object()).ok_or_else(|| fault("it has no weight_map".into()))?;
    let mut shards: BTreeMap<&str, Tensors> = BTreeMap::new();
    let mut tensors = Tensors::new();
    for (name, file) in map {
        let file = file.as_str().filter(|f| !f.contains(['/', '\\']) && *f != "..");
        let file = file.ok_or_else(|| fault(format!("the file of {name:?} is not a plain file name")))?;
        if !shards.contains_key(file) {
            shards.insert(file, open(&dir.join(file))?);
        }
        let tensor = shards.get_mut(file).and_then(|shard| shard.remove(name));
        let tensor = tensor.ok_or_else(|| fault(format!("{file} does not hold {name:?}")))?;
        tensors.insert(name.clone(), tensor);
    }
    match shards.iter().find_map(|(file, rest)| Some((file, rest.keys().next()?))) {
        None => Ok(tensors),
        Some((file, name)) => Err(fault(format!("{file} holds {name:?}, which it does not list"))),
    }
}
