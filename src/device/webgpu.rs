//! A wgpu device with all that its adapter has, as a device of burn's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use burn_wgpu::{MemoryConfiguration, RuntimeOptions, WgpuSetup, init_device};
use wgpu::{Adapter, DeviceDescriptor, DeviceType, ExperimentalFeatures, Features, Instance, MemoryHints, Trace};

use super::backend::Backend;
use super::profile::{AdapterKind, DeviceLimits, DeviceProfile};
use crate::error::{Error, Result};

/// The devices that were opened, with what they can do.
static PROFILES: Mutex<Vec<(Device, DeviceProfile)>> = Mutex::new(Vec::new());

/// What `device` can do, if it was opened here.
pub fn profile_of(device: &Device) -> Option<DeviceProfile> {
    let device = device.clone().inner();
    let profiles = PROFILES.lock().unwrap_or_else(PoisonError::into_inner);
    profiles.iter().find(|(known, _)| *known == device).map(|(_, profile)| profile.clone())
}

/// Whether a device that was opened computes on the CPU.
static SOFTWARE: AtomicBool = AtomicBool::new(false);

/// Whether a device that was opened computes on the CPU: a process has one kind. Asked at every launch, so no lock.
pub fn is_software() -> bool {
    SOFTWARE.load(Ordering::Relaxed)
}

/// What of a device wgpu cannot tell.
#[derive(Debug, Clone, Copy)]
pub struct Extras {
    /// Whether it is known to compute on the CPU.
    pub software: bool,
    pub subgroups: bool,
    pub packed_dot: bool,
}

/// Asks `adapter` for a device with every feature and limit that it has, and registers that with burn.
///
/// # Errors
/// `NoAdapter` where it gives none.
pub async fn register(instance: Instance, adapter: Adapter, extras: impl FnOnce() -> Extras) -> Result<Device> {
    let descriptor = DeviceDescriptor {
        label: Some("diffcr"),
        // Mappable buffers are slow on anything but an integrated GPU, and nothing here maps one.
        required_features: adapter.features().difference(Features::MAPPABLE_PRIMARY_BUFFERS),
        required_limits: adapter.limits(),
        // burn allocates in blocks of its own.
        memory_hints: MemoryHints::MemoryUsage,
        trace: Trace::Off,
        // SAFETY: what is experimental is enabled for burn's kernels that check for it; ours use none of it.
        experimental_features: unsafe { ExperimentalFeatures::enabled() },
    };
    let (device, queue) =
        adapter.request_device(&descriptor).await.map_err(|e| Error::NoAdapter { reason: e.to_string() })?;
    let (info, features, limits) = (adapter.get_info(), device.features(), device.limits());
    let Extras { software, subgroups, packed_dot } = extras();
    let profile = DeviceProfile {
        backend: Backend::Gpu,
        adapter: [&info.name, &info.driver]
            .map(|s| s.trim())
            .iter()
            .filter(|s| !s.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
        kind: match info.device_type {
            _ if software => AdapterKind::Software,
            DeviceType::Cpu => AdapterKind::Software,
            DeviceType::Other => AdapterKind::Unknown,
            _ => AdapterKind::Gpu,
        },
        shader_f16: features.contains(Features::SHADER_F16),
        subgroups: subgroups || features.contains(Features::SUBGROUP),
        timestamp_query: features.contains(Features::TIMESTAMP_QUERY),
        packed_dot,
        limits: Some(DeviceLimits {
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
        }),
    };
    SOFTWARE.fetch_or(profile.kind == AdapterKind::Software, Ordering::Relaxed);
    let setup = WgpuSetup { instance, backend: info.backend, adapter, device, queue };
    // Our shaders say of their inputs that they only read them, and WebGPU lets no buffer be read and written in one dispatch: tensors share none.
    let options = RuntimeOptions { memory_config: MemoryConfiguration::ExclusivePages, ..RuntimeOptions::default() };
    let device = Device::from(init_device(setup, options));
    PROFILES.lock().unwrap_or_else(PoisonError::into_inner).push((device.clone(), profile));
    Ok(device)
}

/// Adapter `index` of this machine.
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
pub fn native(index: usize) -> Result<Device> {
    use wgpu::{Backends, InstanceDescriptor};

    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::PRIMARY,
        ..InstanceDescriptor::new_without_display_handle()
    });
    let mut adapters = pollster::block_on(instance.enumerate_adapters(Backends::PRIMARY));
    if index >= adapters.len() {
        let names: Vec<_> = adapters.iter().map(|a| a.get_info().name).collect();
        return Err(super::absent::absent("GPU", index, &names));
    }
    // What compiles WGSL natively has packed products.
    let extras = || Extras { software: false, subgroups: false, packed_dot: true };
    let device = pollster::block_on(register(instance, adapters.swap_remove(index), extras))?;
    Ok(device)
}
