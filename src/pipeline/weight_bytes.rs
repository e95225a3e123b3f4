//! Bytes that a bundle's tensors take on a device: packed as they are stored where kernels read them so, else in f32.

use crate::bundle::Manifest;
use crate::bundle::load::HOST_TABLE;
use crate::bundle::manifest::{Part, TensorEntry};
use crate::bundle::weights::{is_half_conv, is_packable};
use crate::device::Backend;

/// In the names of convolutions over a doubled map.
const DOUBLED: &str = ".upsamplers.0.conv.weight";

/// Bytes that the tensors of `part` take, on the device and beside it.
pub fn part_bytes(manifest: &Manifest, part: Part, backend: Backend) -> u64 {
    let of_part = manifest.tensors.iter().filter(|(name, _)| name.split('.').next() == Some(part.prefix()));
    of_part.fold(0u64, |bytes, (name, entry)| bytes.saturating_add(on_device(name, entry, backend)))
}

/// Bytes of a tensor where networks compute.
pub fn on_device(name: &str, entry: &TensorEntry, backend: Backend) -> u64 {
    let on_gpu = backend != Backend::Cpu;
    if on_gpu && name.contains(DOUBLED) {
        // Sixteen weights for nine: those that meet the same cell are added up.
        return as_f32(entry).saturating_mul(16) / 9;
    }
    let packed = on_gpu && (is_packable(entry) || is_half_conv(entry)) && name != HOST_TABLE;
    if packed { entry.pieces(name).iter().map(|piece| piece.bytes()).sum() } else { as_f32(entry) }
}

/// Bytes of a tensor in f32.
pub fn as_f32(entry: &TensorEntry) -> u64 {
    entry.shape.iter().fold(4u64, |bytes, &side| bytes.saturating_mul(side as u64))
}
