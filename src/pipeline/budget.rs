//! What loading a model and drawing with it takes of memory, known from its manifest and the request before anything is computed.
//!
//! All of it is counted in `u64`: what does not fit into a wasm module's memory does not fit into its `usize` either.

use serde::Serialize;

use super::MAX_MAP_BYTES;
use super::residency::{TextEncoderMode, stays};
use super::weight_bytes::{as_f32, on_device};
use crate::bundle::Manifest;
use crate::bundle::load::HOST_TABLE;
use crate::bundle::manifest::Part;
use crate::bundle::section::Section;
use crate::device::{Backend, DeviceProfile};
use crate::error::{Error, Result};
use crate::kernels::attention::MAX_SCORES_BYTES;
use crate::model::feed_forward::{EXPANSION, MAX_HIDDEN_BYTES};
use crate::model::vae::tiled::TileConfig;

/// What a wasm module can address.
const WASM_HEAP: u64 = 4 << 30;
/// The largest single allocation there: a `Vec` has at most `isize::MAX` bytes.
const WASM_ALLOCATION: u64 = (2 << 30) - 1;
/// The module's own data, its stack and what its allocator leaves between blocks.
const WASM_OWN: u64 = 8 << 20;
/// Maps of `[B, N, D]`, f32, that are alive at once inside a block: tokens, norm, residual, and an MLP's hidden values before and
/// after their activation.
const LIVE_TOKENS: u64 = 12;
/// Of the latents, f32: noise, solver history, both halves of a guided batch in and out, patches.
const LIVE_LATENTS: u64 = 12;
/// Feature maps of a decoder alive at once: input, shortcut, normalized, output.
const LIVE_MAPS: u64 = 4;
/// Scores of attention that the CPU holds at once, in as many copies: logits, scaled, and their softmax.
const LIVE_SCORES: u64 = 3;
/// Layers of a text encoder that passes by that are on the device at once.
const STREAMED_LAYERS: u64 = 2;
/// Keys of attention that the CPU scores at a time, and bytes of a score.
const SCORE_TILE_BYTES: u64 = 4 * 64;

/// The picture that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetRequest {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    /// Images of a step: 2 under guidance.
    pub batch: usize,
}

/// Bytes that a model and a run of it take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Of the module's own memory, at the most.
    pub peak_heap_bytes: u64,
    /// Of buffers on the GPU, at the most; 0 on the CPU.
    pub peak_gpu_bytes: u64,
    /// The largest buffer that a shader is given whole; 0 on the CPU.
    pub max_binding_bytes: u64,
    /// The largest single allocation of the heap.
    #[serde(skip)]
    pub max_heap_allocation: u64,
    /// Of main memory, what the picture takes beside the loaded model.
    #[serde(skip)]
    pub run_heap_bytes: u64,
    /// Pixels.
    #[serde(skip)]
    pub width: usize,
    #[serde(skip)]
    pub height: usize,
}

impl BudgetRequest {
    /// A guided picture of the model's own size.
    pub fn usual(manifest: &Manifest) -> Self {
        let side = manifest.parts.transformer.sample_size * manifest.parts.pixel_scale();
        Self { width: side, height: side, batch: 2 }
    }
}

impl Budget {
    /// What `request` takes of `manifest`'s model on `backend`, where the text encoder is treated as it usually is.
    pub fn new(manifest: &Manifest, request: BudgetRequest, backend: Backend) -> Self {
        let (weights, activations) = (weights(manifest, backend), activations(manifest, request));
        let largest_file = manifest.files.iter().map(|file| file.bytes).max().unwrap_or(0);
        // The picture: values and bytes, each once more on their way out.
        let picture = area(request).saturating_mul(2 * (3 * 4 + 4));
        let on_device = weights.device.saturating_add(activations.peak);
        let host = weights.host.saturating_add(picture).saturating_add(WASM_OWN);
        let BudgetRequest { width, height, .. } = request;
        if backend == Backend::Cpu {
            let scores = scores(manifest, request);
            let loading = weights.device.saturating_add(weights.host).saturating_add(largest_file.saturating_mul(3));
            return Self {
                peak_heap_bytes: host
                    .saturating_add(on_device)
                    .saturating_add(scores)
                    .max(loading.saturating_add(WASM_OWN)),
                max_heap_allocation: weights.largest.max(activations.largest).max(picture / 2),
                run_heap_bytes: activations.peak.saturating_add(scores).saturating_add(picture),
                width,
                height,
                ..Self::default()
            };
        }
        Self {
            peak_heap_bytes: host.saturating_add(largest_file.saturating_mul(3)),
            peak_gpu_bytes: on_device,
            max_binding_bytes: weights.largest.max(activations.largest),
            max_heap_allocation: picture / 2,
            run_heap_bytes: picture,
            width,
            height,
        }
    }

    /// Whether a device, and the module's memory, can hold it.
    ///
    /// # Errors
    /// `OutOfMemory` where the module's memory cannot, `LimitTooSmall` where a binding is larger than the device's.
    pub fn check(&self, profile: &DeviceProfile) -> Result<()> {
        if cfg!(target_arch = "wasm32") {
            self.check_heap(WASM_HEAP, WASM_ALLOCATION)?;
        } else {
            self.fits(self.run_heap_bytes, main_memory())?;
        }
        let Some(limits) = profile.limits else { return Ok(()) };
        let available = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        if self.max_binding_bytes <= available {
            return Ok(());
        }
        let limit = "maxStorageBufferBindingSize".into();
        Err(Error::LimitTooSmall { limit, needed: self.max_binding_bytes, available })
    }

    fn check_heap(&self, heap: u64, allocation: u64) -> Result<()> {
        for (needed, available) in [(self.peak_heap_bytes, heap), (self.max_heap_allocation, allocation)] {
            self.fits(needed, available)?;
        }
        Ok(())
    }

    fn fits(&self, needed: u64, available: u64) -> Result<()> {
        let Self { width, height, .. } = *self;
        if needed > available { Err(Error::OutOfMemory { needed, available, width, height }) } else { Ok(()) }
    }
}

/// Bytes of main memory that are free, where the system tells.
#[cfg(feature = "cli")]
fn main_memory() -> u64 {
    crate::device::memory::available().unwrap_or(u64::MAX)
}

/// A page is not told.
#[cfg(not(feature = "cli"))]
fn main_memory() -> u64 {
    u64::MAX
}

/// Bytes of a model's tensors.
struct WeightBytes {
    /// Where the networks compute.
    device: u64,
    /// In host memory, beside it.
    host: u64,
    largest: u64,
}

fn weights(manifest: &Manifest, backend: Backend) -> WeightBytes {
    let streams = TextEncoderMode::Auto.streams(manifest, backend);
    let encoder_stays = stays(Section::VaeEncoder, manifest, backend, TextEncoderMode::Auto);
    let text = manifest.parts.text_encoder.as_ref();
    let (mut bytes, mut text_bytes) = (WeightBytes { device: 0, host: 0, largest: 0 }, 0u64);
    for (name, entry) in &manifest.tensors {
        if name == HOST_TABLE {
            bytes.host = bytes.host.saturating_add(if streams { 0 } else { as_f32(entry) });
            continue;
        }
        if !encoder_stays && Section::of_tensor(Part::Vae, name) == Section::VaeEncoder {
            continue;
        }
        let size = on_device(name, entry, backend);
        bytes.largest = bytes.largest.max(size);
        if streams && name.split('.').next() == Some(Part::TextEncoder.prefix()) {
            text_bytes = text_bytes.saturating_add(size);
        } else {
            bytes.device = bytes.device.saturating_add(size);
        }
    }
    // An encoder that passes by: its layers are alike.
    let layer = text_bytes / text.map_or(1, |text| text.layers.max(1) as u64);
    bytes.device = bytes.device.saturating_add(layer.saturating_mul(STREAMED_LAYERS));
    bytes
}

/// Bytes of what a run computes.
struct ActivationBytes {
    peak: u64,
    largest: u64,
}

fn activations(manifest: &Manifest, request: BudgetRequest) -> ActivationBytes {
    let config = &manifest.parts.transformer;
    let batch = request.batch as u64;
    let (cells, tokens) = (cells(manifest, request), tokens(manifest, request));
    let map = batch.saturating_mul(tokens).saturating_mul(4 * config.width() as u64); // [B, N, D]
    let latents = batch.saturating_mul(cells).saturating_mul(4 * config.in_channels.max(config.out_channels) as u64);
    let network = map
        .saturating_mul(LIVE_TOKENS)
        .saturating_add(latents.saturating_mul(LIVE_LATENTS))
        .saturating_add(tokens.saturating_mul(SCORE_TILE_BYTES + 4 * config.width() as u64));
    let vae = manifest.parts.peak_values_per_cell().map_or(0, |values| {
        let tile = TileConfig::fitting(values, MAX_MAP_BYTES).tile as u64;
        cells.min(tile * tile).saturating_mul(4 * values as u64)
    });
    let decoding = vae.saturating_mul(LIVE_MAPS).saturating_add(latents.saturating_mul(2));
    ActivationBytes {
        peak: network.max(decoding),
        largest: map.max(map.saturating_mul(EXPANSION as u64).min(MAX_HIDDEN_BYTES as u64)).max(latents).max(vae),
    }
}

/// Bytes of attention's scores on the CPU.
fn scores(manifest: &Manifest, request: BudgetRequest) -> u64 {
    let config = &manifest.parts.transformer;
    let tokens = tokens(manifest, request);
    let rows = (request.batch as u64).saturating_mul(config.heads as u64).saturating_mul(tokens);
    LIVE_SCORES * rows.saturating_mul(tokens).saturating_mul(4).min(MAX_SCORES_BYTES)
}

fn cells(manifest: &Manifest, request: BudgetRequest) -> u64 {
    area(request) / (manifest.parts.pixel_scale() as u64).pow(2).max(1)
}

fn tokens(manifest: &Manifest, request: BudgetRequest) -> u64 {
    cells(manifest, request) / (manifest.parts.transformer.patch_size as u64).pow(2).max(1)
}

/// Pixels.
fn area(request: BudgetRequest) -> u64 {
    (request.width as u64).saturating_mul(request.height as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::manifest::tests::sample;
    use crate::device::DeviceLimits;

    fn manifest() -> Manifest {
        Manifest::parse(&sample().to_string()).unwrap()
    }

    fn budget(side: usize, backend: Backend) -> Budget {
        Budget::new(&manifest(), BudgetRequest { width: side, height: side, batch: 2 }, backend)
    }

    #[test]
    fn the_usual_picture_by_hand() {
        // 32 pixels: 256 cells, 64 tokens of width 24. A map is 2·64·24·4 = 12288 bytes, the hidden values four of it.
        let request = BudgetRequest::usual(&manifest());
        assert_eq!(request, BudgetRequest { width: 32, height: 32, batch: 2 });
        let budget = Budget::new(&manifest(), request, Backend::Gpu);
        // Decoder: 16 channels at 2² pixels a cell, 64 values; 256 cells, 65536 bytes a map, which is the largest.
        assert_eq!(budget.max_binding_bytes, 65536);
        // Weights: 24 + 48 bytes in f32, and 64 packed bytes of q4 with 8 of scales.
        // Latents: 2·256·8·4 = 16384 bytes. A token takes 256 bytes of scores and its row of the position table, 96.
        let network = 12 * 12288 + 12 * 16384 + 64 * (256 + 96);
        assert_eq!(budget.peak_gpu_bytes, 24 + 48 + 72 + network.max(4 * 65536 + 2 * 16384));
        let heap = Budget::new(&manifest(), request, Backend::Cpu);
        assert_eq!((heap.peak_gpu_bytes, heap.max_binding_bytes), (0, 0));
    }

    #[test]
    fn memory_grows_with_the_picture_and_never_wraps() {
        let sides = [32, 256, 4096, 1 << 20, usize::MAX >> 1];
        let heaps: Vec<u64> = sides.iter().map(|&side| budget(side, Backend::Cpu).peak_heap_bytes).collect();
        assert!(heaps.is_sorted_by(|a, b| a < b || *b == u64::MAX), "{heaps:?}");
    }

    #[test]
    fn what_does_not_fit_says_how_much_there_is() {
        let large = budget(4096, Backend::Cpu);
        match large.check_heap(1 << 20, u64::MAX).unwrap_err() {
            Error::OutOfMemory { needed, available, width, height } => {
                assert_eq!((needed, available), (large.peak_heap_bytes, 1 << 20));
                assert_eq!((width, height), (4096, 4096));
            }
            other => panic!("{other}"),
        }
        assert_eq!(large.check_heap(u64::MAX, 1 << 10).unwrap_err().code(), "OUT_OF_MEMORY");
        let huge = budget(1 << 24, Backend::Cpu).check(&DeviceProfile::cpu()).unwrap_err();
        assert_eq!(huge.code(), "OUT_OF_MEMORY", "of main memory, what is there");
        assert!(budget(32, Backend::Cpu).check(&DeviceProfile::cpu()).is_ok());
        let limits = DeviceLimits {
            max_buffer_size: 1 << 28,
            max_storage_buffer_binding_size: 1 << 20,
            max_storage_buffers_per_shader_stage: 8,
            max_compute_workgroup_storage_size: 16_384,
            max_compute_invocations_per_workgroup: 256,
        };
        let gpu = DeviceProfile { backend: Backend::Gpu, limits: Some(limits), ..DeviceProfile::cpu() };
        let error = budget(4096, Backend::Gpu).check(&gpu).unwrap_err();
        assert_eq!(error.code(), "LIMIT_TOO_SMALL");
        assert_eq!(error.details()["available"], 1 << 20);
        assert!(budget(32, Backend::Gpu).check(&gpu).is_ok());
    }
}
