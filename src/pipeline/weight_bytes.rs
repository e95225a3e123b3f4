//! Bytes that a bundle's tensors take on a device: packed as they are stored where kernels read them so, else in f32.

use crate::bundle::Manifest;
use crate::bundle::load::HOST_TABLE;
use crate::bundle::manifest::TensorEntry;
use crate::bundle::section::Section;
use crate::bundle::weights::{is_half_conv, is_packable};
use crate::device::Backend;

/// In the names of convolutions over a doubled map.
const DOUBLED: &str = ".upsamplers.0.conv.weight";

/// Bytes that the tensors of `section` take, on the device and beside it.
pub fn section_bytes(manifest: &Manifest, section: Section, backend: Backend) -> u64 {
    let is_of = |name: &str| {
        let part = section.part();
        name.split('.').next() == Some(part.prefix()) && Section::of_tensor(part, name) == section
    };
    let tensors = manifest.tensors.iter().filter(|(name, _)| is_of(name));
    tensors.fold(0u64, |bytes, (name, entry)| bytes.saturating_add(on_device(name, entry, backend)))
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
