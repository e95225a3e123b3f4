//! Scaled dot-product attention by head.

use burn::tensor::Tensor;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;

#[cfg(feature = "webgpu")]
use super::webgpu;

/// Bytes of the scores `[B, H, n, S]` that the CPU holds at a time: where all `N` queries have more, they take turns.
pub const MAX_SCORES_BYTES: u64 = 64 << 20;

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
    let at_once = queries_at_once(input.query.dims(), input.key.dims()[2]);
    if at_once < input.query.dims()[2] && !input.query.is_autodiff() {
        return in_slices(input, at_once);
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

/// Queries `[B, H, N, d]` whose scores over `keys` keys are held at once.
fn queries_at_once([batch, heads, queries, _]: [usize; 4], keys: usize) -> usize {
    let row = (batch as u64).saturating_mul(heads as u64).saturating_mul(keys as u64).saturating_mul(4).max(1);
    usize::try_from(MAX_SCORES_BYTES / row).unwrap_or(queries).clamp(1, queries.max(1))
}

/// As [`scaled_dot_product`], `at_once` queries after another.
fn in_slices(input: AttentionInput, at_once: usize) -> Tensor<4> {
    let queries = input.query.dims()[2];
    let slice = |start: usize| {
        let length = at_once.min(queries - start);
        let of = |x: &Tensor<4>| x.clone().narrow(2, start, length);
        scaled_dot_product(AttentionInput {
            query: of(&input.query),
            key: input.key.clone(),
            value: input.value.clone(),
            bias: input.bias.as_ref().map(of),
            scale: input.scale,
        })
    };
    Tensor::cat((0..queries).step_by(at_once).map(slice).collect(), 2)
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn slices_of_queries_are_the_whole() {
        let device = Device::flex();
        let some = |seed: f32, shape: [usize; 4]| {
            let values = (0..shape.iter().product()).map(|i: usize| (i as f32 * 0.7311 + seed).sin()).collect();
            Tensor::<4>::from_data(TensorData::new::<f32, _>(values, shape), &device)
        };
        let (query, key, value) = (some(0.0, [2, 3, 11, 8]), some(1.0, [2, 3, 7, 8]), some(2.0, [2, 3, 7, 8]));
        for bias in [None, Some(some(3.0, [2, 1, 1, 7]).expand([2, 3, 11, 7]))] {
            let input =
                AttentionInput { query: query.clone(), key: key.clone(), value: value.clone(), bias, scale: None };
            let whole: Vec<f32> = scaled_dot_product(input.clone()).into_data().try_to_vec().unwrap();
            for at_once in [1, 4, 10, 11] {
                let sliced: Vec<f32> = in_slices(input.clone(), at_once).into_data().try_to_vec().unwrap();
                let apart = sliced.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(apart < 1e-6 && sliced.len() == whole.len(), "{at_once}: {apart}");
            }
        }
    }

    #[test]
    fn scores_are_held_up_to_a_limit() {
        assert_eq!(queries_at_once([2, 4, 1024, 32], 1024), 1024);
        // 2048 pixels of a model with patches of 8: 2 MiB a query.
        assert_eq!(queries_at_once([2, 4, 65_536, 32], 65_536), 32);
        assert_eq!(queries_at_once([2, 16, 262_144, 32], usize::MAX), 1);
    }

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
