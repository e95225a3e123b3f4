//! How fast this machine multiplies matrices, measured.

use std::time::{Duration, Instant};

use burn::tensor::{Distribution, Tensor};

use super::super::step::Workers;
use crate::device;
use crate::error::Result;
use crate::kernels::Precision;
use crate::kernels::activation::Activation;
use crate::kernels::linear::linear;
use crate::kernels::weight::Weight;

/// Rows of the product that is timed.
const ROWS: usize = 1024;
/// How long each core is timed.
const TIME: Duration = Duration::from_millis(200);

/// Share of a step's time in f32 that is not products of linear layers, measured on a DiT of 8 layers, 256 wide.
const REST: f64 = 0.4;

/// Operations a second of all cores together in a step whose products are as wide as a model's MLP.
///
/// # Errors
/// `Internal` where no thread can be started.
pub fn products(width: usize, cores: usize, precision: Precision) -> Result<f64> {
    let whole = measured(width, cores, Precision::F32)?;
    if precision == Precision::F32 {
        return Ok(whole);
    }
    Ok(1.0 / (REST / whole + (1.0 - REST) / measured(width, cores, precision)?))
}

fn measured(width: usize, cores: usize, precision: Precision) -> Result<f64> {
    let device = device::cpu();
    let workers = Workers::with_precision(cores, &device, precision)?;
    let speeds = workers.map(cores, |_| {
        let x = Tensor::<2>::random([ROWS, width], Distribution::Default, &device);
        let weight = Weight::new(Tensor::random([4 * width, width], Distribution::Default, &device));
        let product = || linear(x.clone(), &weight, None, Activation::None).into_data();
        product();
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < TIME {
            product();
            count += 1;
        }
        Ok((2 * ROWS * width * 4 * width * count) as f64 / start.elapsed().as_secs_f64())
    })?;
    Ok(speeds.iter().sum())
}
