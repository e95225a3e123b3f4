//! How fast this machine multiplies matrices, measured.

use std::time::{Duration, Instant};

use burn::tensor::{Distribution, Tensor};

use super::super::step::Workers;
use crate::device;
use crate::error::Result;

/// Rows of the product that is timed.
const ROWS: usize = 1024;
/// How long each core is timed.
const TIME: Duration = Duration::from_millis(200);

/// Operations a second of all cores together, in products as wide as a model's MLP.
///
/// # Errors
/// `Internal` where no thread can be started.
pub fn products(width: usize, cores: usize) -> Result<f64> {
    let device = device::cpu();
    let workers = Workers::new(cores, &device)?;
    let speeds = workers.map(cores, |_| {
        let x = Tensor::<2>::random([ROWS, width], Distribution::Default, &device);
        let w = Tensor::<2>::random([width, 4 * width], Distribution::Default, &device);
        let product = || x.clone().matmul(w.clone()).into_data();
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
