//! Comparing two results on the device at hand, and the noise that they are made from.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::error::{Error, Result};

/// The largest difference over the largest value; infinite where one is not a number.
///
/// # Errors
/// `DeviceLost` where a result cannot be read back.
pub async fn error<const D: usize>(ours: Tensor<D>, reference: Tensor<D>) -> Result<f64> {
    let (ours, reference) = (floats(ours).await?, floats(reference).await?);
    let largest = reference.iter().fold(1e-30f64, |m, &v| m.max(f64::from(v).abs()));
    let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs();
    let worst = ours.iter().zip(&reference).map(difference).fold(0.0, |m, d| {
        if d <= m {
            m
        } else if d.is_nan() {
            f64::INFINITY
        } else {
            d
        }
    });
    Ok(worst / largest)
}

/// Values in (−1, 1) that look like noise.
pub fn values(count: usize, seed: f32) -> Vec<f32> {
    (0..count).map(|i| ((i as f32 * 0.7311 + seed).sin() * 43.7).fract()).collect()
}

pub fn noise<const D: usize>(shape: [usize; D], seed: f32, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values(shape.iter().product(), seed), shape), device)
}

pub async fn floats<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    let data = x.into_data_async().await.map_err(lost)?;
    data.convert::<f32>().try_to_vec().map_err(lost)
}

pub async fn ints<const D: usize>(x: Tensor<D, Int>) -> Result<Vec<i32>> {
    let data = x.into_data_async().await.map_err(lost)?;
    data.convert::<i32>().try_to_vec().map_err(lost)
}

fn lost(reason: impl core::fmt::Debug) -> Error {
    Error::DeviceLost { reason: format!("{reason:?}") }
}
