//! Scaled dot-product attention by head.

use burn::tensor::Tensor;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;

#[cfg(feature = "webgpu")]
use super::webgpu;

/// What attention is taken of.
#[derive(Debug, Clone)]
pub struct AttentionInput {
    /// `[B, H, N, d]`.
    pub query: Tensor<4>,
    /// `[B, H, S, d]`.
    pub key: Tensor<4>,
    pub value: Tensor<4>,
    /// `[B, H, N, S]`, added to the logits.
    pub bias: Option<Tensor<4>>,
    /// `1/√d` unless told.
    pub scale: Option<f64>,
}

impl AttentionInput {
    /// What the logits are multiplied by.
    pub fn scale(&self) -> f64 {
        self.scale.unwrap_or_else(|| 1.0 / (self.query.dims()[3] as f64).sqrt())
    }
}

/// `softmax(scale · query keyᵀ + bias) value`: `[B, H, N, d]`.
pub fn scaled_dot_product(input: AttentionInput) -> Tensor<4> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(&input.query) && webgpu::attention::fits(input.query.dims()[3]) {
        return webgpu::attention::attention(input);
    }
    #[cfg(feature = "train")]
    if super::cpu::is_fused(&input.query) {
        let scale = input.scale();
        let logits = input.query.matmul(input.key.transpose()); // [B, H, N, S]
        let weights = match input.bias {
            Some(bias) => super::cpu::softmax(logits * scale + bias, 1.0),
            None => super::cpu::softmax(logits, scale),
        };
        return weights.matmul(input.value); // [B, H, N, d]
    }
    let AttentionInput { query, key, value, bias, scale } = input;
    attention(query, key, value, None, bias, AttentionModuleOptions { scale, ..Default::default() })
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn the_fused_softmax_is_the_reference_and_so_are_its_gradients() {
        let device = Device::flex().autodiff();
        let leaf = |seed: f32, shape: [usize; 4]| {
            let count = shape.iter().product();
            let values: Vec<f32> =
                (0..count).map(|i| ((i as f32 * 0.7311 + seed).sin() * 43.7).fract() * 3.0).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &device).require_grad()
        };
        for (bias, scale) in [(false, None), (true, Some(1.0))] {
            let shapes = [[2, 3, 5, 8], [2, 3, 7, 8], [2, 3, 7, 8], [2, 3, 5, 7]];
            let run = |reference: bool| {
                let leaves: Vec<_> = shapes.iter().enumerate().map(|(i, s)| leaf(i as f32, *s)).collect();
                let [query, key, value, b] = [0, 1, 2, 3].map(|i: usize| leaves[i].clone());
                let bias = bias.then_some(b);
                let y = if reference {
                    let options = AttentionModuleOptions { scale, ..Default::default() };
                    attention(query, key, value, None, bias, options)
                } else {
                    scaled_dot_product(AttentionInput { query, key, value, bias, scale })
                };
                let gradients = (y.clone() * leaf(9.0, y.dims())).sum().backward();
                let all = leaves.iter().filter_map(|l| l.grad(&gradients));
                std::iter::once(y.inner()).chain(all).map(|t| t.into_data().try_to_vec().unwrap()).collect()
            };
            let (fused, reference): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (run(false), run(true));
            assert_eq!(fused.len(), reference.len());
            for (a, b) in fused.iter().flatten().zip(reference.iter().flatten()) {
                assert!((a - b).abs() < 2e-5, "{a}, not {b}");
            }
        }
    }
}
