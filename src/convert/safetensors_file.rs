//! The tensors of a safetensors file, found by its header alone.

use std::rc::Rc;

use safetensors::tensor::Metadata;

use super::checkpoint_file::CheckpointFile;
use super::checkpoint_tensor::{CheckpointTensor, TensorLayout, Tensors};
use crate::error::Result;

/// Longest header of a safetensors file that is taken into memory.
const MAX_HEADER: u64 = 100 << 20;

/// The tensors of a safetensors file; only its header is read.
pub fn open_safetensors(file: &Rc<CheckpointFile>) -> Result<Tensors> {
    let fault = |reason: String| file.fault(format!("not a safetensors file: {reason}"));
    let length = file.read_at(0, 8).map_err(|_| fault("it is shorter than 8 bytes".into()))?;
    let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
    if length > MAX_HEADER || length + 8 > file.len {
        return Err(fault(format!("its header claims {length} bytes")));
    }
    let header = file.read_at(8, length)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| fault(e.to_string()))?;
    let end = metadata.data_len() as u64;
    if end + 8 + length != file.len {
        return Err(
            file.fault(format!("truncated: its header describes {end} bytes, it has {}", file.len - 8 - length))
        );
    }
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let offset = 8 + length + info.data_offsets.0 as u64;
        let layout = TensorLayout { dtype: info.dtype, shape: info.shape.clone(), strides: None, offset };
        let tensor = CheckpointTensor::new(&name, layout, file)?;
        Ok((name, tensor))
    });
    tensors.collect()
}
