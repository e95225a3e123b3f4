//! GELU by tanh: `x σ(2u)` with `u = √(2/π) (x + 0.044715 x³)`, and its derivative.

use super::exp::exp;
use super::wide;

/// `2 √(2/π)`.
const SLOPE: f32 = 1.595_769;
const CUBIC: f32 = 0.044715;

/// `σ(2u)`, the share of `x` that passes.
#[inline(always)]
fn share(x: f32) -> f32 {
    1.0 / (1.0 + exp(-SLOPE * x * (1.0 + CUBIC * x * x)))
}

wide! {
    /// `y = gelu(x)`.
    pub fn forward(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * share(x);
        }
    }
}

wide! {
    /// `gx = gelu'(x) · gy`.
    pub fn backward(x: &[f32], gy: &[f32], gx: &mut [f32]) {
        for ((gx, &gy), &x) in gx.iter_mut().zip(gy).zip(x) {
            let s = share(x);
            let slope = SLOPE * (1.0 + 3.0 * CUBIC * x * x); // d(2u)/dx
            *gx = gy * (s + x * s * (1.0 - s) * slope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_slope_are_those_of_the_formula() {
        let xs: Vec<f32> = (-1200..1200).map(|i| i as f32 / 100.0).collect();
        let (mut y, mut gx) = (vec![0.0; xs.len()], vec![0.0; xs.len()]);
        forward(&xs, &mut y);
        backward(&xs, &vec![1.0; xs.len()], &mut gx);
        let gelu = |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh());
        for ((&x, y), gx) in xs.iter().zip(y).zip(gx) {
            let x = f64::from(x);
            assert!((f64::from(y) - gelu(x)).abs() < 2e-6 * x.abs().max(1.0), "{x}: {y}");
            let slope = (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5;
            assert!((f64::from(gx) - slope).abs() < 5e-6, "{x}: {gx} {slope}");
        }
    }
}
