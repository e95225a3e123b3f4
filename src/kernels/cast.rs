//! The type in which the kernels of a block hand values to one another.

use burn::tensor::{DType, Tensor};

#[cfg(feature = "webgpu")]
use super::webgpu;

/// What blocks of this width hand values on in: F32, or F16 where the device is faster with it.
pub fn block_dtype(width: usize) -> DType {
    #[cfg(feature = "webgpu")]
    return webgpu::cast::block_dtype(width);
    #[cfg(not(feature = "webgpu"))]
    {
        let _ = width;
        DType::F32
    }
}

/// `x` as values of that type, one that [`block_dtype`] gave. The values must be a multiple of four.
pub fn cast<const D: usize>(x: Tensor<D>, to: DType) -> Tensor<D> {
    #[cfg(feature = "webgpu")]
    return webgpu::cast::cast(x, to);
    #[cfg(not(feature = "webgpu"))]
    {
        debug_assert_eq!(x.dtype(), to, "only WebGPU's kernels hand on anything but f32");
        x
    }
}
