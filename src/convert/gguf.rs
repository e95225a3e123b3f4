//! The tensors of a GGUF file, found by its header alone: plain types and Q8_0, Q4_K, Q5_K and Q6_K, unpacked as they are read.
//!
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Names of a T5 encoder become transformers'.

use std::rc::Rc;

use safetensors::tensor::Dtype;

use super::checkpoint_file::CheckpointFile;
use super::checkpoint_tensor::{CheckpointTensor, TensorLayout, Tensors};
use super::packing::Packing;
use crate::error::{Error, Result};

/// How a file begins.
pub const MAGIC: &[u8] = b"GGUF";
/// Bytes of a header, tensors and metadata entries, at most.
const MAX_HEADER: u64 = 64 << 20;
const MAX_ENTRIES: u64 = 1 << 20;
/// Where the metadata does not say.
const ALIGNMENT: u64 = 32;
/// Arrays in arrays, at most.
const MAX_DEPTH: usize = 4;

/// A T5 encoder's layers as GGUF calls them.
const T5: [(&str, &str); 10] = [
    ("attn_norm", "layer.0.layer_norm"),
    ("attn_q", "layer.0.SelfAttention.q"),
    ("attn_k", "layer.0.SelfAttention.k"),
    ("attn_v", "layer.0.SelfAttention.v"),
    ("attn_o", "layer.0.SelfAttention.o"),
    ("attn_rel_b", "layer.0.SelfAttention.relative_attention_bias"),
    ("ffn_norm", "layer.1.layer_norm"),
    ("ffn_gate", "layer.1.DenseReluDense.wi_0"),
    ("ffn_up", "layer.1.DenseReluDense.wi_1"),
    ("ffn_down", "layer.1.DenseReluDense.wo"),
];

/// The tensors of a GGUF file; of the values, only the header is read.
///
/// # Errors
/// `Integrity` on a header that is damaged or of another version, `ModelInvalid` naming a tensor of a type that is not read.
pub fn open(file: &Rc<CheckpointFile>) -> Result<Tensors> {
    let bytes = file.read_at(0, file.len.min(MAX_HEADER))?;
    let damaged = || file.fault("not a readable GGUF file: its header ends too early, or is damaged");
    let mut at = Cursor { bytes: &bytes, at: MAGIC.len() };
    let version = at.u32().ok_or_else(damaged)?;
    if !(2..=3).contains(&version) {
        return Err(file.fault(format!("GGUF version {version} is not supported: versions 2 and 3 are")));
    }
    let (count, entries) = at.u64().zip(at.u64()).ok_or_else(damaged)?;
    if count.max(entries) > MAX_ENTRIES {
        return Err(damaged());
    }
    let mut alignment = ALIGNMENT;
    for _ in 0..entries {
        let (key, kind) = at.text().zip(at.u32()).ok_or_else(damaged)?;
        let value = at.value(kind, 0).ok_or_else(damaged)?;
        if key == "general.alignment" {
            alignment = value.filter(|n| n.is_power_of_two()).ok_or_else(damaged)?;
        }
    }
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(at.info().ok_or_else(damaged)?);
    }
    let data = (at.at as u64).next_multiple_of(alignment);
    let mut tensors = Tensors::new();
    for Info { name, shape, kind, offset } in found {
        let offset = data.checked_add(offset).ok_or_else(damaged)?;
        let ours = t5(&name);
        let layout = |dtype| TensorLayout { dtype, shape: shape.clone(), strides: None, offset };
        let tensor = match (plain(kind), Packing::of_gguf(kind)) {
            (Some(dtype), _) => CheckpointTensor::new(&ours, layout(dtype), file)?,
            (None, Some(packing)) => CheckpointTensor::new(&ours, layout(Dtype::F32), file)?.packed(packing)?,
            (None, None) => {
                let reason = format!("GGUF type {kind} is not read: F32, F16, BF16, Q8_0, Q4_K, Q5_K and Q6_K are");
                return Err(Error::model(name, reason));
            }
        };
        if tensors.insert(ours, tensor).is_some() {
            return Err(Error::model(name, "the file holds it twice"));
        }
    }
    Ok(tensors)
}

fn plain(kind: u32) -> Option<Dtype> {
    match kind {
        0 => Some(Dtype::F32),
        1 => Some(Dtype::F16),
        30 => Some(Dtype::BF16),
        _ => None,
    }
}

/// A T5 encoder's tensor as transformers calls it; any other's name as it is.
fn t5(name: &str) -> String {
    match name {
        "token_embd.weight" => return "shared.weight".into(),
        "enc.output_norm.weight" => return "encoder.final_layer_norm.weight".into(),
        _ => {}
    }
    let block = name.strip_prefix("enc.blk.").and_then(|rest| rest.strip_suffix(".weight"));
    let ours = block.and_then(|rest| {
        let (n, layer) = rest.split_once('.')?;
        let (_, ours) = T5.iter().find(|(theirs, _)| *theirs == layer)?;
        Some(format!("encoder.block.{n}.{ours}.weight"))
    });
    ours.unwrap_or_else(|| name.to_owned())
}

/// A tensor as the header describes it, its shape with the rows first.
struct Info {
    name: String,
    shape: Vec<usize>,
    kind: u32,
    offset: u64,
}

/// A place in the header; everything is `None` beyond its end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u64()?.try_into().ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    /// Passes over a value of metadata; its number, where it is one without a sign.
    fn value(&mut self, kind: u32, depth: usize) -> Option<Option<u64>> {
        match kind {
            0 | 1 | 7 => self.take(1).map(|_| None),
            2 | 3 => self.take(2).map(|_| None),
            4 => self.u32().map(|n| Some(u64::from(n))),
            5 | 6 => self.take(4).map(|_| None),
            8 => self.text().map(|_| None),
            9 if depth < MAX_DEPTH => {
                let (kind, count) = (self.u32()?, self.u64()?);
                for _ in 0..count {
                    self.value(kind, depth + 1)?;
                }
                Some(None)
            }
            10 => self.u64().map(Some),
            11 | 12 => self.take(8).map(|_| None),
            _ => None,
        }
    }

    fn info(&mut self) -> Option<Info> {
        let name = self.text()?;
        let sides = self.u32().filter(|n| *n <= 4)?;
        let mut shape = (0..sides).map(|_| self.u64()?.try_into().ok()).collect::<Option<Vec<usize>>>()?;
        shape.reverse();
        Some(Info { name, shape, kind: self.u32()?, offset: self.u64()? })
    }
}
