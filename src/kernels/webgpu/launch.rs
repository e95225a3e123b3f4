//! Launches WGSL on burn's tensors.

use burn::backend::ops::FloatTensorOps;
use burn::backend::wgpu::{CubeBackend, CubeTensor, Wgpu};
use burn::cubecl::ir::metadata::Info;
use burn::cubecl::ir::settings::{ExecutionMode, KernelSettings};
use burn::cubecl::ir::{AddressType, ElemType, Scope, UIntKind};
use burn::cubecl::prelude::{KernelDefinition, KernelId, KernelMetadata};
use burn::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn::cubecl::{CubeCount, CubeDim, CubeKernel, PrecompiledSource};
use burn::tensor::{DType, Int, Shape, Tensor};

use crate::error::{Error, Result};
use crate::kernels::wgsl::{Scalar, Shader};

struct Wgsl<S>(S);

impl<S: Shader> Wgsl<S> {
    fn dim(&self) -> CubeDim {
        let [x, y, z] = self.0.workgroup();
        CubeDim::new_3d(x, y, z)
    }
}

impl<S: Shader> KernelMetadata for Wgsl<S> {
    fn id(&self) -> KernelId {
        KernelId::new::<S>().cube_dim(self.dim().into()).info(self.0.clone())
    }

    fn address_type(&self) -> ElemType {
        ElemType::UInt(UIntKind::U32)
    }
}

impl<S: Shader> CubeKernel for Wgsl<S> {
    /// Never compiled: [`CubeKernel::source`] stands in for it.
    fn define(&self) -> KernelDefinition {
        let settings = KernelSettings::new(self.dim().into(), ExecutionMode::Checked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource { source: self.0.source(), entrypoint_name: "main".into(), lang: "wgsl" })
    }
}

/// A tensor's buffer as a shader sees it.
#[derive(Clone)]
pub struct Buffer(CubeTensor);

impl Buffer {
    /// `x` in row-major order, copied where it is not.
    pub fn packed<const D: usize>(x: Tensor<D>) -> Self {
        let x = Self::strided(x);
        if x.0.is_contiguous() {
            return x;
        }
        let count = x.0.meta.shape().num_elements();
        Self(CubeBackend::float_reshape(x.0, Shape::from([count])))
    }

    /// `x`, which lies in row-major order.
    pub fn words(x: Tensor<1, Int>) -> Self {
        Self(x.try_into_primitive::<Wgpu>().expect("a tensor that `runs`"))
    }

    /// `x` as it lies; [`Buffer::stride`] says how.
    pub fn strided<const D: usize>(x: Tensor<D>) -> Self {
        Self(x.try_into_primitive::<Wgpu>().expect("a tensor that `runs`"))
    }

    /// A buffer to write into: `self` where nobody else holds it, otherwise a copy.
    pub fn owned(self) -> Self {
        if self.0.can_mut() { self } else { Self(self.0.copy()) }
    }

    pub fn stride(&self, dim: usize) -> usize {
        self.0.meta.strides()[dim]
    }

    /// An output beside `self`, not yet written.
    pub fn beside<const D: usize>(&self, shape: [usize; D], dtype: DType) -> Self {
        let shape = Shape::from(shape);
        let handle = self.0.client.empty(shape.num_elements() * dtype.size());
        Self(CubeTensor::new_contiguous(self.0.client.clone(), self.0.device.clone(), shape, handle, dtype))
    }

    /// How its numbers are stored.
    pub fn scalar(&self) -> Scalar {
        Scalar::of(self.0.dtype)
    }

    /// Waits until the device has done all that it was given.
    pub async fn done(&self) -> Result<()> {
        self.0.client.sync().await.map_err(|e| Error::DeviceLost { reason: e.to_string() })
    }

    pub fn float<const D: usize>(self) -> Tensor<D> {
        Tensor::from_primitive::<Wgpu>(self.0)
    }

    pub fn int<const D: usize>(self) -> Tensor<D, Int> {
        Tensor::from_primitive::<Wgpu>(self.0)
    }
}

/// What a shader is launched on.
pub struct Launch<'a> {
    pub inputs: &'a [&'a Buffer],
    pub outputs: &'a [&'a Buffer],
    /// Of the uniform struct.
    pub words: &'a [usize],
    /// Workgroups.
    pub groups: [usize; 3],
}

/// Runs `shader`; nothing where there are no outputs or no workgroups.
pub fn launch(shader: impl Shader, Launch { inputs, outputs, words, groups }: Launch) {
    let Some(first) = outputs.first() else { return };
    if groups.contains(&0) {
        return;
    }
    let mut arguments = KernelArguments::new();
    for buffer in inputs.iter().chain(outputs) {
        arguments = arguments.with_buffer(buffer.0.handle.clone().binding());
    }
    // Two words to a u64, and a whole number of 16-byte rows.
    let word = |i: usize| words.get(i).map_or(0, |&w| w as u64);
    let pairs = (0..words.len().next_multiple_of(4)).step_by(2).map(|i| word(i) | word(i + 1) << 32);
    arguments.info = MetadataBindingInfo::custom(pairs.collect());
    let [x, y, z] = groups.map(|g| g as u32);
    first.0.client.launch(Box::new(Wgsl(shader)), CubeCount::Static(x, y, z), arguments);
}
