//! Every kernel against its reference in tensor operations, on the device at hand and on shapes that do not fit its tiles.

mod cases;
mod inputs;
mod maps;
mod products;
mod tokens;

use burn::tensor::Device;

use self::cases::Cases;
use crate::device::{DeviceProfile, profile};
use crate::error::Result;

/// The largest error of each kernel, relative to the largest value: of those whose names begin with `only`.
///
/// # Errors
/// `DeviceLost` where a result cannot be read back.
pub async fn self_test(device: &Device, only: &str) -> Result<Vec<(String, f64)>> {
    let DeviceProfile { shader_f16: half, packed_dot: int8, .. } = profile(device);
    let mut cases = Cases { device, only, half, int8, found: Vec::new() };
    products::run(&mut cases).await?;
    tokens::run(&mut cases).await?;
    maps::run(&mut cases).await?;
    Ok(cases.found)
}
