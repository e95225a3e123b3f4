//! Values of a tensor, from wherever it lies.

use burn::tensor::Tensor;

use crate::error::{Error, Result};

/// The values of a tensor, once the device has them.
pub async fn read_back<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let device = |e: &dyn std::fmt::Debug| Error::DeviceLost { reason: format!("{e:?}") };
    let data = tensor.into_data_async().await.map_err(|e| device(&e))?;
    data.convert::<f32>().try_to_vec::<f32>().map_err(|e| device(&e))
}
