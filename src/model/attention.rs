//! Multi-head attention: heads split, one scaled dot product, heads joined.

use burn::module::Module;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Int, Tensor};

use super::linear::Linear;
use crate::bundle::Scope;
use crate::error::Result;
use crate::kernels::Residual;
#[cfg(feature = "webgpu")]
use crate::kernels::webgpu;

/// The logit a masked key gets: its weight is exactly zero in f32 unless every key of the row is masked.
pub const MASKED: f32 = -10000.0;

/// Attention of queries over keys and values that come from the same tokens or from a context.
///
/// Keys are diffusers': `to_q`, `to_k`, `to_v`, `to_out.0`, all with bias.
#[derive(Module, Debug)]
pub struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
}

/// Keys and values of a sequence, by head: `[B, H, S, d]` each.
#[derive(Debug, Clone)]
pub struct KeyValue {
    pub key: Tensor<4>,
    pub value: Tensor<4>,
}

impl KeyValue {
    /// Those of some places of the sequence, `index` `[S']`: `[B, H, S', d]`.
    pub fn of(&self, index: &Tensor<1, Int>) -> Self {
        let at = |x: &Tensor<4>| x.clone().select(2, index.clone());
        Self { key: at(&self.key), value: at(&self.value) }
    }

    /// These and then `others`: `[B, H, S + S', d]`.
    pub fn joined(self, others: &Self) -> Self {
        Self {
            key: Tensor::cat(vec![self.key, others.key.clone()], 2),
            value: Tensor::cat(vec![self.value, others.value.clone()], 2),
        }
    }
}

impl Attention {
    pub fn load(scope: &mut Scope, width: usize, heads: usize) -> Result<Self> {
        let mut linear = |name: &str| Linear::load(&mut scope.enter(name), width, width, true);
        Ok(Self {
            to_q: linear("to_q")?,
            to_k: linear("to_k")?,
            to_v: linear("to_v")?,
            to_out: linear("to_out.0")?,
            heads,
        })
    }

    /// One of its layers, which are all alike.
    #[cfg(feature = "webgpu")]
    pub fn linear(&self) -> &Linear {
        &self.to_out
    }

    /// Keys and values of `context` `[B, S, D]`.
    pub fn key_value(&self, context: Tensor<3>) -> KeyValue {
        KeyValue {
            key: split_heads(self.to_k.forward(context.clone()), self.heads),
            value: split_heads(self.to_v.forward(context), self.heads),
        }
    }

    /// `residual` of the queries of `x` `[B, N, D]` over `context`; `bias` `[B, 1, 1, S]` is added to the logits.
    pub fn forward(&self, x: Tensor<3>, context: KeyValue, bias: Option<&Tensor<4>>, residual: Residual) -> Tensor<3> {
        let query = split_heads(self.to_q.forward(x), self.heads); // [B, H, N, d]
        let [b, h, n, _] = query.dims();
        let s = context.key.dims()[2];
        let bias = bias.map(|bias| bias.clone().expand([b, h, n, s]));
        let y = scaled_dot_product(query, context.key, context.value, bias, None);
        self.to_out.forward_residual(join_heads(y), residual) // [B, N, D]
    }

    /// `residual` of attention among the tokens of `x` `[B, N, D]`, and over the `others` if given; and the keys and values of `x`.
    pub fn forward_self(&self, x: Tensor<3>, others: Option<&KeyValue>, residual: Residual) -> (Tensor<3>, KeyValue) {
        let own = self.key_value(x.clone());
        let context = match others {
            Some(others) => own.clone().joined(others),
            None => own.clone(),
        };
        (self.forward(x, context, None, residual), own)
    }
}

/// `softmax(scale · query keyᵀ + bias) value` by head: `query` `[B, H, N, d]`, `key` and `value` `[B, H, S, d]`, `bias`
/// `[B, H, N, S]`; the scale is `1/√d` unless told.
pub fn scaled_dot_product(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<Tensor<4>>,
    scale: Option<f64>,
) -> Tensor<4> {
    #[cfg(feature = "webgpu")]
    if webgpu::runs(&query) && webgpu::fits(query.dims()[3]) {
        let scale = scale.unwrap_or_else(|| 1.0 / (query.dims()[3] as f64).sqrt());
        return webgpu::attention(query, key, value, bias, scale as f32);
    }
    #[cfg(feature = "train")]
    if crate::kernels::is_fused(&query) {
        use crate::kernels::softmax;
        let scale = scale.unwrap_or_else(|| 1.0 / (query.dims()[3] as f64).sqrt());
        let logits = query.matmul(key.transpose()); // [B, H, N, S]
        let weights = match bias {
            Some(bias) => softmax(logits * scale + bias, 1.0),
            None => softmax(logits, scale),
        };
        return weights.matmul(value); // [B, H, N, d]
    }
    attention(query, key, value, None, bias, AttentionModuleOptions { scale, ..Default::default() })
}

/// `[B, N, H·d]` to `[B, H, N, d]`.
pub fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [b, n, width] = x.dims();
    x.reshape([b, n, heads, width / heads]).swap_dims(1, 2)
}

/// `[B, H, N, d]` to `[B, N, H·d]`.
pub fn join_heads(x: Tensor<4>) -> Tensor<3> {
    let [b, heads, n, d] = x.dims();
    x.swap_dims(1, 2).reshape([b, n, heads * d])
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn the_fused_softmax_is_the_plain_one_and_so_are_its_gradients() {
        let device = Device::flex().autodiff();
        let leaf = |seed: f32, shape: [usize; 4]| {
            let count = shape.iter().product();
            let values: Vec<f32> =
                (0..count).map(|i| ((i as f32 * 0.7311 + seed).sin() * 43.7).fract() * 3.0).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &device).require_grad()
        };
        for (bias, scale) in [(false, None), (true, Some(1.0))] {
            let shapes = [[2, 3, 5, 8], [2, 3, 7, 8], [2, 3, 7, 8], [2, 3, 5, 7]];
            let run = |plain: bool| {
                let leaves: Vec<_> = shapes.iter().enumerate().map(|(i, s)| leaf(i as f32, *s)).collect();
                let [q, k, v, b] = [0, 1, 2, 3].map(|i: usize| leaves[i].clone());
                let b = bias.then_some(b);
                let options = AttentionModuleOptions { scale, ..Default::default() };
                let y =
                    if plain { attention(q, k, v, None, b, options) } else { scaled_dot_product(q, k, v, b, scale) };
                let gradients = (y.clone() * leaf(9.0, y.dims())).sum().backward();
                let all = leaves.iter().filter_map(|l| l.grad(&gradients));
                std::iter::once(y.inner()).chain(all).map(|t| t.into_data().try_to_vec().unwrap()).collect()
            };
            let (fused, plain): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (run(false), run(true));
            assert_eq!(fused.len(), plain.len());
            for (a, b) in fused.iter().flatten().zip(plain.iter().flatten()) {
                assert!((a - b).abs() < 2e-5, "{a}, not {b}");
            }
        }
    }
}
