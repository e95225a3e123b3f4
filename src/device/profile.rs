//! What a device can do: the one place where kernels, the loader and callers read it.

use serde::Serialize;

use super::backend::Backend;

/// The features and limits of a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct DeviceProfile {
    pub backend: Backend,
    /// What the adapter calls itself; empty where it does not tell.
    pub adapter: String,
    pub kind: AdapterKind,
    /// Whether shaders have f16 (`shader-f16`).
    pub shader_f16: bool,
    /// Whether shaders have operations of subgroups (`subgroups`).
    pub subgroups: bool,
    /// Whether the device times its own work (`timestamp-query`).
    pub timestamp_query: bool,
    /// Whether WGSL has products of four 8-bit integers to a word (`packed_4x8_integer_dot_product`).
    pub packed_dot: bool,
    /// None on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<DeviceLimits>,
}

/// Whether an adapter computes on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    Gpu,
    /// It computes on the CPU.
    Software,
    /// Browsers do not tell.
    Unknown,
}

/// Those of WebGPU's limits that decide what runs; bytes, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct DeviceLimits {
    pub max_buffer_size: u64,
    pub max_storage_buffer_binding_size: u64,
    /// A count.
    pub max_storage_buffers_per_shader_stage: u32,
    pub max_compute_workgroup_storage_size: u32,
    /// A count.
    pub max_compute_invocations_per_workgroup: u32,
}

impl DeviceProfile {
    /// Of the CPU, which has none of a GPU's features to choose from.
    pub fn cpu() -> Self {
        Self {
            backend: Backend::Cpu,
            adapter: String::new(),
            kind: AdapterKind::Software,
            shader_f16: false,
            subgroups: false,
            timestamp_query: false,
            packed_dot: false,
            limits: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javascript_reads_the_names_of_webgpu() {
        let limits = DeviceLimits {
            max_buffer_size: 1 << 28,
            max_storage_buffer_binding_size: 1 << 27,
            max_storage_buffers_per_shader_stage: 8,
            max_compute_workgroup_storage_size: 16_384,
            max_compute_invocations_per_workgroup: 256,
        };
        let profile = DeviceProfile { backend: Backend::Gpu, limits: Some(limits), ..DeviceProfile::cpu() };
        let json = serde_json::to_value(profile).unwrap();
        assert_eq!(json["backend"], "webgpu");
        assert_eq!(json["shaderF16"], false);
        assert_eq!(json["limits"]["maxComputeWorkgroupStorageSize"], 16_384);
    }
}
