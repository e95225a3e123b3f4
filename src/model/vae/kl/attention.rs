//! Self-attention over the pixels of the smallest feature map: one head as wide as the channels.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, s};

use crate::bundle::Scope;
use crate::error::Result;
use crate::kernels::linear::matmul_transposed;
use crate::kernels::residual::Residual;
use crate::model::linear::Linear;
use crate::model::vae::group_norm::{EPS, GroupNorm};

/// Scores held at once: 64 MiB in f32. A 1024² image has 16384² of them, a GiB, in 16 chunks of queries.
const MAX_SCORES: usize = 1 << 24;

/// `x + to_out(softmax(q kᵗ / √C) v)` with q, k, v projected from `group_norm(x)`.
#[derive(Module, Debug)]
pub struct MidAttention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

impl MidAttention {
    pub fn load(scope: &mut Scope, channels: usize, groups: usize) -> Result<Self> {
        Ok(Self {
            group_norm: GroupNorm::load(&mut scope.enter("group_norm"), groups, channels, EPS)?,
            to_q: Linear::load(&mut scope.enter("to_q"), channels, channels, true)?,
            to_k: Linear::load(&mut scope.enter("to_k"), channels, channels, true)?,
            to_v: Linear::load(&mut scope.enter("to_v"), channels, channels, true)?,
            to_out: Linear::load(&mut scope.enter("to_out").enter(0), channels, channels, true)?,
        })
    }

    /// `[B, C, H, W]` → the same.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let tokens = |x: Tensor<4>| x.permute([0, 2, 3, 1]).reshape([b, h * w, c]); // [B, N, C]
        let normed = tokens(self.group_norm.forward(x.clone()));
        let q = self.to_q.forward(normed.clone()) * (c as f64).powf(-0.5);
        let k = self.to_k.forward(normed.clone());
        let v = self.to_v.forward(normed);
        let attended = attend(q, k, v, MAX_SCORES);
        let y = self.to_out.forward_residual(attended, Residual::new(tokens(x))); // [B, N, C]
        y.reshape([b, h, w, c]).permute([0, 3, 1, 2])
    }
}

/// `softmax(q kᵗ) v` for `[B, N, C]`, as many queries at a time as keep the scores within `max_scores`.
fn attend(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, max_scores: usize) -> Tensor<3> {
    let [b, n, _] = q.dims();
    let v = v.swap_dims(1, 2); // [B, C, N]
    let rows = (max_scores / (b * n).max(1)).clamp(1, n.max(1));
    let chunks = (0..n).step_by(rows).map(|start| {
        let q = q.clone().slice(s![.., start..(start + rows).min(n), ..]); // [B, r, C]
        matmul_transposed(softmax(matmul_transposed(q, k.clone()), 2), v.clone()) // [B, r, C]
    });
    Tensor::cat(chunks.collect(), 1)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn chunks_do_not_change_the_result() {
        let (b, n, c) = (2, 23, 4);
        let tensor = |seed: usize| {
            let values: Vec<f32> = (0..b * n * c).map(|i| ((i * 31 + seed * 17) as f32).sin() * 2.0).collect();
            Tensor::<3>::from_data(TensorData::new(values, [b, n, c]), &crate::device::cpu())
        };
        let run = |max_scores| attend(tensor(1), tensor(2), tensor(3), max_scores).try_to_vec_as::<f32>().unwrap();
        let whole = run(usize::MAX);
        // Five rows at a time with a short last chunk, then one row at a time.
        for max_scores in [b * n * 5, 1] {
            let worst = run(max_scores).iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{worst}");
        }
    }
}
