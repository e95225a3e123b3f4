//! Muon (Jordan et al. 2024): momentum whose singular values are all set to one, for the matrices inside the blocks, convolutions among
//! them: theirs is that of an output's kernel a row.
//!
//! `m = μ m + g`, `O = orthogonal(g + μ m)`, `W −= η (√max(1, out / in) · O + decay · W)`: a step moves every direction of a matrix alike, so
//! that the rare ones are learned as fast as the common ones.

use std::ops::Range;
use std::sync::Mutex;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::ThreadPool;

use crate::error::{Error, Result};
use crate::kernels::activation::Activation;
use crate::kernels::linear::linear;
use crate::kernels::weight::{Weight, param};

/// Coefficients of the quintic `a X + b (X Xᵀ) X + c (X Xᵀ)² X`, which drives singular values in (0, 1] to about one.
const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];
const ITERATIONS: usize = 5;
/// Share of the momentum that a step keeps.
pub const MOMENTUM: f32 = 0.95;
const EPSILON: f32 = 1e-7;

/// A matrix in the flat parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub range: Range<usize>,
    /// `[out, in]`.
    pub shape: [usize; 2],
}

impl Matrix {
    /// What its step is multiplied by: `√max(1, out / in)`.
    pub fn factor(&self) -> f64 {
        let [output, input] = self.shape;
        (output as f64 / input as f64).max(1.0).sqrt()
    }
}

/// `[out, in]` of a tensor that is a matrix between hidden states: those at the edges and tables are left to AdamW.
pub fn hidden(name: &str, shape: &[usize]) -> Option<[usize; 2]> {
    if !name.ends_with(".weight") || name.contains("bias") {
        return None;
    }
    let inside = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    match *shape {
        [out, input] if inside(&[".attn1.", ".attn2.", ".ff.", ".SelfAttention.", ".DenseReluDense."]) => {
            Some([out, input])
        }
        [out, input, height, width] if inside(&[".conv."]) => Some([out, input * height * width]),
        _ => None,
    }
}

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    pub rate: f64,
    pub decay: f64,
}

/// The numbers of an update, all of which lie alike.
pub struct State<'a> {
    pub values: &'a mut [f32],
    pub gradient: &'a [f32],
    pub momentum: &'a mut [f32],
}

/// One update of the matrices. Matrices are spread over the pools, and none depends on
/// another.
///
/// # Errors
/// `Internal` where a matrix does not fit its range.
pub fn update(matrices: &[Matrix], rates: Rates, state: State, pools: &[ThreadPool], device: &Device) -> Result<()> {
    let State { values, gradient, momentum } = state;
    for m in matrices {
        let pairs = momentum[m.range.clone()].iter_mut().zip(&gradient[m.range.clone()]);
        pairs.for_each(|(m, g)| *m = MOMENTUM * *m + g);
    }
    let momentum = &*momentum;
    let direction = |m: &Matrix| {
        let pairs = gradient[m.range.clone()].iter().zip(&momentum[m.range.clone()]);
        let ahead = pairs.map(|(g, m)| g + MOMENTUM * m).collect();
        orthogonal(Tensor::from_data(TensorData::new(ahead, m.shape), device))
    };
    let todo = Mutex::new(matrices.iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(matrices.len()));
    let work = || {
        while let Some((i, matrix)) = todo.lock().ok().and_then(|mut t| t.next()) {
            let values = direction(matrix).into_data().try_to_vec::<f32>();
            if let Ok(mut done) = done.lock() {
                done.push((i, values));
            }
        }
    };
    std::thread::scope(|scope| pools.iter().for_each(|pool| drop(scope.spawn(|| pool.install(work)))));
    for (i, direction) in done.into_inner().map_err(|_| Error::internal("a worker failed"))? {
        let direction = direction.map_err(|e| Error::internal(e.to_string()))?;
        let Matrix { range, .. } = &matrices[i];
        let keep = (1.0 - rates.rate * rates.decay) as f32;
        let step = (rates.rate * matrices[i].factor()) as f32;
        values[range.clone()].iter_mut().zip(direction).for_each(|(w, o)| *w = *w * keep - step * o);
    }
    Ok(())
}

/// The nearest matrix with orthonormal rows or columns, roughly: Newton–Schulz on `x` `[m, n]`.
fn orthogonal(x: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = x.dims();
    let tall = rows > columns;
    let mut x = if tall { x.transpose() } else { x };
    let norm = x.clone().square().sum().sqrt().reshape([1, 1]);
    x = x / (norm + EPSILON);
    let [a, b, c] = QUINTIC;
    for _ in 0..ITERATIONS {
        let gram = times(x.clone(), x.clone());
        let factor = gram.clone() * b + times(gram.clone(), gram) * c; // the Gram matrix is its own transpose
        x = x.clone() * a + times(factor, x.transpose());
    }
    if tall { x.transpose() } else { x }
}

/// The same of several matrices `[n, out, in]`, each on its own.
pub fn orthogonal_all(x: Tensor<3>) -> Tensor<3> {
    let [_, rows, columns] = x.dims();
    let tall = rows > columns;
    let mut x = if tall { x.swap_dims(1, 2) } else { x };
    let norm = (x.clone() * x.clone()).sum_dim(2).sum_dim(1).sqrt(); // [n, 1, 1]
    x = x / (norm + EPSILON);
    let [a, b, c] = QUINTIC;
    for _ in 0..ITERATIONS {
        let gram = x.clone().matmul(x.clone().swap_dims(1, 2)); // [n, r, r]
        let factor = gram.clone() * b + gram.clone().matmul(gram) * c;
        x = x.clone() * a + factor.matmul(x);
    }
    if tall { x.swap_dims(1, 2) } else { x }
}

/// `x yᵀ` in the precision of this thread's products.
fn times(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    linear(x, &Weight::AsStored(param(y)), None, Activation::None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::Random;
    use rayon::ThreadPoolBuilder;

    fn random(count: usize) -> Vec<f32> {
        let mut random = Random::new(1, 2);
        (0..count).map(|_| random.uniform(-1.0, 1.0) as f32).collect()
    }

    #[test]
    fn singular_values_come_close_to_one() {
        for shape in [[8, 24], [24, 8]] {
            let x = Tensor::<2>::from_data(TensorData::new(random(192), shape), &crate::device::cpu());
            let o = orthogonal(x);
            let o = if shape[0] > shape[1] { o.transpose() } else { o };
            let gram = o.clone().matmul(o.transpose()).into_data().try_to_vec::<f32>().unwrap();
            for (i, v) in gram.iter().enumerate() {
                let wanted = if i % 9 == 0 { 1.0 } else { 0.0 };
                assert!((v - wanted).abs() < 0.5, "{shape:?} {i}: {v}");
            }
        }
    }

    #[test]
    fn a_step_goes_down_whatever_the_number_of_threads() {
        let target = random(48);
        let fit = |threads: usize| {
            let pools: Vec<_> =
                (0..threads).map(|_| ThreadPoolBuilder::new().num_threads(1).build().unwrap()).collect();
            let matrices = [Matrix { range: 0..24, shape: [4, 6] }, Matrix { range: 24..48, shape: [6, 4] }];
            let (mut values, mut momentum) = (vec![0.0f32; 48], vec![0.0; 48]);
            for step in 0..200 {
                let gradient: Vec<f32> = values.iter().zip(&target).map(|(v, t)| v - t).collect();
                let rate = 0.05 * (1.0 - f64::from(step) / 200.0);
                let state = State { values: &mut values, gradient: &gradient, momentum: &mut momentum };
                update(&matrices, Rates { rate, decay: 0.0 }, state, &pools, &crate::device::cpu()).unwrap();
            }
            values
        };
        let one = fit(1);
        assert_eq!(one, fit(3));
        let worst = one.iter().zip(&target).map(|(v, t)| (v - t).abs()).fold(0.0, f32::max);
        assert!(worst < 0.05, "{worst}");
    }

    #[test]
    fn several_matrices_at_once_are_each_as_alone() {
        for shape @ [rows, columns] in [[4, 6], [6, 4]] {
            let all = Tensor::<3>::from_data(TensorData::new(random(72), [3, rows, columns]), &crate::device::cpu());
            let together = orthogonal_all(all.clone());
            for i in 0..3 {
                let alone = orthogonal(all.clone().narrow(0, i, 1).reshape(shape));
                let off: f32 = (together.clone().narrow(0, i, 1).reshape(shape) - alone).abs().max().into_scalar();
                assert!(off < 1e-4, "{shape:?} {i}: {off}");
            }
        }
    }

    #[test]
    fn only_matrices_between_hidden_states_are_taken() {
        let block = "transformer.transformer_blocks.0.";
        assert_eq!(hidden(&format!("{block}attn1.to_q.weight"), &[8, 8]), Some([8, 8]));
        assert_eq!(hidden(&format!("{block}ff.net.0.proj.weight"), &[32, 8]), Some([32, 8]));
        assert_eq!(hidden(&format!("{block}attn1.to_q.bias"), &[8]), None);
        assert_eq!(hidden("transformer.proj_out.weight", &[192, 8]), None);
        let table = "text_encoder.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        assert_eq!(hidden(table, &[32, 4]), None);
        let gated = "text_encoder.encoder.block.0.layer.1.DenseReluDense.wi_0.weight";
        assert_eq!(hidden(gated, &[32, 8]), Some([32, 8]));
        assert_eq!(hidden("vae_tiny.decoder.layers.2.conv.0.weight", &[16, 8, 3, 3]), Some([16, 72]));
        assert_eq!(hidden("vae_tiny.decoder.layers.0.weight", &[16, 8, 3, 3]), None);
    }
}
