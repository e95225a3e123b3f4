//! Softmax of `scale · x` over rows, and its derivative.

use super::exp::exp;
use super::lanes::{largest, sum};
use super::wide;

wide! {
    /// Every row of `width` becomes `exp(scale (x − max)) / Σ`, for a scale above zero.
    pub fn forward(x: &mut [f32], width: usize, scale: f32) {
        for row in x.chunks_exact_mut(width) {
            let most = largest(row);
            for v in row.iter_mut() {
                *v = exp((*v - most) * scale);
            }
            let inverse = 1.0 / sum(row, |_, v| v);
            for v in row.iter_mut() {
                *v *= inverse;
            }
        }
    }
}

wide! {
    /// `gx = scale y (gy − Σ y gy)` with `y` what [`forward`] gave.
    pub fn backward(y: &[f32], gy: &[f32], gx: &mut [f32], width: usize, scale: f32) {
        let rows = y.chunks_exact(width).zip(gy.chunks_exact(width)).zip(gx.chunks_exact_mut(width));
        for ((y, gy), gx) in rows {
            let mean = sum(y, |i, v| v * gy[i]);
            for i in 0..width {
                gx[i] = scale * y[i] * (gy[i] - mean);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_formula() {
        for width in [1, 3, 16, 50] {
            let values: Vec<f32> = (0..4 * width).map(|i| (i as f32 * 0.7311).sin() * 40.0).collect();
            let mut ours = values.clone();
            forward(&mut ours, width, 0.25);
            for (row, values) in ours.chunks(width).zip(values.chunks(width)) {
                let powers: Vec<f64> = values.iter().map(|v| (f64::from(*v) * 0.25).exp()).collect();
                let total: f64 = powers.iter().sum();
                for (y, power) in row.iter().zip(powers) {
                    assert!((f64::from(*y) - power / total).abs() < 1e-6, "{y}, not {}", power / total);
                }
            }
        }
    }

    #[test]
    fn what_is_masked_weighs_nothing() {
        let mut x = [1.0, crate::model::attention::MASKED, 1.0];
        forward(&mut x, 3, 1.0);
        assert!((x[0] - 0.5).abs() < 1e-6 && x[1] < 1e-30);
    }
}
