//! Every kernel against its twin in plain tensor operations, on the device at hand and on shapes that do not fit its tiles.

mod maps;
mod products;
mod tokens;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::handing::hand;
use super::launch::Buffer;
use crate::error::{Error, Result};
use crate::kernels::Slots;

/// The largest error of each kernel, relative to the largest value: of those whose names begin with `only`.
///
/// # Errors
/// `DeviceLost` where a result cannot be read back.
pub async fn self_test(device: &Device, only: &str) -> Result<Vec<(String, f64)>> {
    let half = Buffer::packed(noise([1], 1.0, device)).has_f16();
    let mut cases = Cases { device, only, half, found: Vec::new() };
    products::run(&mut cases).await?;
    tokens::run(&mut cases).await?;
    maps::run(&mut cases).await?;
    Ok(cases.found)
}

struct Cases<'a> {
    device: &'a Device,
    only: &'a str,
    /// Whether there is f16.
    half: bool,
    found: Vec<(String, f64)>,
}

impl Cases<'_> {
    fn wants(&self, name: &str) -> bool {
        name.starts_with(self.only)
    }

    async fn compare<const D: usize>(
        &mut self,
        name: String,
        ours: impl FnOnce() -> Tensor<D>,
        plain: impl FnOnce() -> Tensor<D>,
    ) -> Result<()> {
        if self.wants(&name) {
            self.found.push((name, error(ours(), plain()).await?));
        }
        Ok(())
    }
}

/// Every other token, with weights: `[B, k, 2]`.
fn slots(b: usize, k: usize, device: &Device) -> Slots {
    let weights = values(b * k, 8.0);
    let data = weights.iter().enumerate().flat_map(|(i, &weight)| [(2 * (i % k) + 1) as f32, weight]).collect();
    Tensor::from_data(TensorData::new(data, [b, k, 2]), device)
}

/// The largest difference over the largest value; infinite where one is not a number.
pub(super) async fn error<const D: usize>(ours: Tensor<D>, plain: Tensor<D>) -> Result<f64> {
    let (ours, plain) = (floats(ours).await?, floats(plain).await?);
    let largest = plain.iter().fold(1e-30f64, |m, &v| m.max(f64::from(v).abs()));
    let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs();
    let worst = ours.iter().zip(&plain).map(difference).fold(0.0, |m, d| {
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

/// `x` as one kernel may hand it to the next.
fn handed<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    hand(x, DType::F16)
}

/// Values in (−1, 1) that look like noise.
fn values(count: usize, seed: f32) -> Vec<f32> {
    (0..count).map(|i| ((i as f32 * 0.7311 + seed).sin() * 43.7).fract()).collect()
}

pub(super) fn noise<const D: usize>(shape: [usize; D], seed: f32, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values(shape.iter().product(), seed), shape), device)
}

async fn floats<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    let data = x.into_data_async().await.map_err(lost)?;
    data.convert::<f32>().try_to_vec().map_err(lost)
}

async fn ints<const D: usize>(x: Tensor<D, Int>) -> Result<Vec<i32>> {
    let data = x.into_data_async().await.map_err(lost)?;
    data.convert::<i32>().try_to_vec().map_err(lost)
}

fn lost(reason: impl core::fmt::Debug) -> Error {
    Error::DeviceLost { reason: format!("{reason:?}") }
}
