//! adaLN in one pass: `y = x̂ (1 + scale) + shift` with `x̂ = (x − mean) / √(var + ε)` over the last dimension.
//!
//! Rows come in groups (the tokens of an image) that share `shift` and `scale`.

use super::lanes::sum;
use super::wide;

/// Mean and reciprocal deviation of a row.
#[inline(always)]
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = sum(row, |_, v| v) / n;
    let variance = sum(row, |_, v| (v - mean) * (v - mean)) / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

/// The rows that are normed.
#[derive(Clone, Copy)]
pub struct Rows {
    /// D.
    pub width: usize,
    pub eps: f32,
}

/// Where gradients go: of x `[B, N, D]`, of shift and of scale `[B, D]`.
pub struct Gradients<'a> {
    pub x: &'a mut [f32],
    pub shift: &'a mut [f32],
    pub scale: &'a mut [f32],
}

wide! {
    /// `x` and `y` `[B, N, D]`, `shift` and `scale` `[B, D]`.
    pub fn forward(x: &[f32], shift: &[f32], scale: &[f32], y: &mut [f32], rows: Rows) {
        let Rows { width, eps } = rows;
        let group = x.len() / (shift.len() / width).max(1);
        let modulation = shift.chunks_exact(width).zip(scale.chunks_exact(width));
        for ((x, y), (shift, scale)) in x.chunks_exact(group).zip(y.chunks_exact_mut(group)).zip(modulation) {
            for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
                let (mean, rstd) = moments(x, eps);
                for i in 0..width {
                    y[i] = (x[i] - mean) * rstd * (1.0 + scale[i]) + shift[i];
                }
            }
        }
    }
}

wide! {
    /// `h = gy (1 + scale)`, `gx = (h − mean(h) − x̂ mean(h x̂)) / √(var + ε)`, and the sums of `gy` and `gy x̂` over a group's rows
    /// for `shift` and `scale`, which are added to what is there.
    pub fn backward(x: &[f32], scale: &[f32], gy: &[f32], gradients: Gradients<'_>, rows: Rows) {
        let (Rows { width, eps }, Gradients { x: gx, shift: gshift, scale: gscale }) = (rows, gradients);
        let group = x.len() / (scale.len() / width).max(1);
        let n = width as f32;
        let mut h = vec![0f32; width];
        let mut normal = vec![0f32; width];
        for (b, scale) in scale.chunks_exact(width).enumerate() {
            let (gshift, gscale) = (&mut gshift[b * width..][..width], &mut gscale[b * width..][..width]);
            let rows = b * group..(b + 1) * group;
            let (x, gy, gx) = (&x[rows.clone()], &gy[rows.clone()], &mut gx[rows]);
            for ((x, gy), gx) in x.chunks_exact(width).zip(gy.chunks_exact(width)).zip(gx.chunks_exact_mut(width)) {
                let (mean, rstd) = moments(x, eps);
                for i in 0..width {
                    normal[i] = (x[i] - mean) * rstd;
                    h[i] = gy[i] * (1.0 + scale[i]);
                    gshift[i] += gy[i];
                    gscale[i] += gy[i] * normal[i];
                }
                let h_mean = sum(&h, |_, v| v) / n;
                let h_normal = sum(&h, |i, v| v * normal[i]) / n;
                for i in 0..width {
                    gx[i] = rstd * (h[i] - h_mean - normal[i] * h_normal);
                }
            }
        }
    }
}
