//! Launches WGSL on burn's tensors.

use core::fmt::{self, Debug, Display, Formatter};
use core::hash::Hash;

use burn::backend::ops::FloatTensorOps;
use burn::backend::wgpu::{CubeBackend, CubeTensor, Wgpu};
use burn::cubecl::ir::metadata::Info;
use burn::cubecl::ir::settings::{ExecutionMode, KernelSettings};
use burn::cubecl::ir::{AddressType, ElemType, FloatKind, Scope, UIntKind};
use burn::cubecl::prelude::{KernelDefinition, KernelId, KernelMetadata};
use burn::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn::cubecl::{CubeCount, CubeDim, CubeKernel, PrecompiledSource};
use burn::tensor::{DType, Int, Shape, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A shader with its constants: equal values have equal sources, and each is compiled once.
///
/// The entry point is `main`. Bindings are the inputs, the outputs, and a uniform struct of `u32` words.
pub trait Shader: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Invocations of a workgroup, as in the source.
    fn workgroup(&self) -> [u32; 3];
    fn source(&self) -> String;
}

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

    /// Whether shaders of the device have f16.
    pub fn has_f16(&self) -> bool {
        self.0.client.features().supports_type(ElemType::Float(FloatKind::F16))
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

/// Runs `shader` on `groups` workgroups.
pub fn launch(shader: impl Shader, inputs: &[&Buffer], outputs: &[&Buffer], words: &[usize], groups: [usize; 3]) {
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

/// How the numbers of a buffer are stored; all are f32 where they are reckoned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scalar {
    #[default]
    F32,
    F16,
}

impl Scalar {
    /// Of a tensor, which is of either.
    pub fn of(dtype: DType) -> Self {
        if dtype == DType::F16 { Self::F16 } else { Self::F32 }
    }

    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
        }
    }

    /// WGSL's type of what a load takes, of one or four.
    pub fn lanes(self, count: usize) -> &'static str {
        match (self, count) {
            (Self::F32, 1) => "f32",
            (Self::F16, 1) => "f16",
            (Self::F32, _) => "vec4<f32>",
            (Self::F16, _) => "vec4<f16>",
        }
    }

    /// The f32 value `v`, one or four, as it is stored.
    pub fn stored(self, count: usize, v: &str) -> String {
        match (self, count) {
            (Self::F32, _) => v.into(),
            // Beyond f16's largest number lies infinity, and its difference is none.
            (Self::F16, 1) => format!("f16(clamp({v}, -65504.0, 65504.0))"),
            (Self::F16, _) => format!("vec4<f16>(clamp({v}, vec4<f32>(-65504.0), vec4<f32>(65504.0)))"),
        }
    }

    /// What a shader with such buffers opens with.
    pub fn enable(self) -> &'static str {
        if self == Self::F16 { "enable f16;" } else { "" }
    }

    /// [`Scalar::enable`] of several.
    pub fn enable_any(all: &[Self]) -> &'static str {
        if all.contains(&Self::F16) { Self::F16.enable() } else { "" }
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(self.lanes(1))
    }
}

/// WGSL's type of what is reckoned with at once, four values or one, and the sum of the values of `name`, which is of it.
pub fn lanes(vector: bool, name: &str) -> (&'static str, String) {
    if vector { ("vec4<f32>", format!("dot({name}, vec4<f32>(1.0))")) } else { ("f32", name.into()) }
}

/// WGSL made of `line(i)` for every i below `count`.
pub fn unroll(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}
