//! Safetensors files that the command line reads and writes: inputs and outputs of a probe, latents of a run.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::bundle::chunk::floats;
use crate::error::{Error, Result};
use crate::files;
use crate::pipeline::options::Values;
use crate::pipeline::probe::ProbeOutput;

/// The f32, f16, bf16, i32 and i64 tensors of a file, widened to f32; others are left out.
pub fn read(path: &Path) -> Result<BTreeMap<String, Values>> {
    let bytes = files::read(path)?;
    let fault = |reason: String| Error::input(path.display().to_string(), reason);
    let file = SafeTensors::deserialize(&bytes).map_err(|e| fault(format!("not a safetensors file: {e}")))?;
    let own = |(name, view): (String, TensorView)| {
        widen(view.dtype(), view.data()).map(|data| (name, Values { shape: view.shape().to_vec(), data }))
    };
    Ok(file.tensors().into_iter().filter_map(own).collect())
}

fn widen(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let four = || bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
    match dtype {
        Dtype::F32 => Some(four().map(f32::from_le_bytes).collect()),
        Dtype::I32 => Some(four().map(|b| i32::from_le_bytes(b) as f32).collect()),
        Dtype::F16 | Dtype::BF16 => floats("", dtype, bytes).ok(),
        Dtype::I64 => Some(bytemuck::pod_collect_to_vec::<u8, i64>(bytes).into_iter().map(|v| v as f32).collect()),
        _ => None,
    }
}

/// Writes tensors as a file.
pub fn write(path: &Path, tensors: &[(String, ProbeOutput)]) -> Result<()> {
    let views: Vec<(&String, TensorView)> = tensors
        .iter()
        .map(|(name, output)| {
            let (dtype, shape, bytes) = match output {
                ProbeOutput::Float(v) => (Dtype::F32, &v.shape, bytemuck::cast_slice(&v.data)),
                ProbeOutput::Int { shape, data } => (Dtype::I32, shape, bytemuck::cast_slice(data)),
            };
            TensorView::new(dtype, shape.clone(), bytes)
                .map(|view| (name, view))
                .map_err(|e| Error::internal(e.to_string()))
        })
        .collect::<Result<_>>()?;
    let bytes = safetensors::serialize(views, None).map_err(|e| Error::internal(e.to_string()))?;
    files::replace(path, &bytes)
}
