//! Bind groups that are made once for launches that are alike.

use cubecl_environment::collections::HashMap;

use crate::WgpuResource;

/// Entries beyond which all are forgotten: launches on new buffers make new ones.
const MAX_ENTRIES: usize = 4096;

/// What makes two bind groups equal: the pipeline, whose layout they follow, and what is bound.
type Key = (wgpu::ComputePipeline, Vec<(wgpu::Buffer, u64, u64)>);

/// Bind groups by pipeline and resources.
#[derive(Debug, Default)]
pub(crate) struct BindGroupCache {
    entries: HashMap<Key, wgpu::BindGroup>,
}

impl BindGroupCache {
    /// The bind group of `resources` for `pipeline`.
    pub fn get(
        &mut self,
        pipeline: &wgpu::ComputePipeline,
        resources: &[WgpuResource],
        device: &wgpu::Device,
    ) -> &wgpu::BindGroup {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.clear();
        }
        let bound = resources.iter().map(|r| (r.buffer.clone(), r.offset, r.size));
        let key = (pipeline.clone(), bound.collect::<Vec<_>>());
        self.entries.entry(key).or_insert_with(|| {
            let entries = resources
                .iter()
                .enumerate()
                .map(|(i, r)| wgpu::BindGroupEntry {
                    binding: i as u32,
                    resource: r.as_wgpu_bind_resource(),
                })
                .collect::<Vec<_>>();
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            })
        })
    }

    /// Drops the bind groups that hold `buffer`.
    pub fn forget(&mut self, buffer: &wgpu::Buffer) {
        self.entries
            .retain(|(_, bound), _| bound.iter().all(|(other, _, _)| other != buffer));
    }
}
