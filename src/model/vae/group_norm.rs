//! Group normalization of feature maps.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::bundle::Scope;
use crate::error::{Error, Result};
use crate::kernels::norm;

/// Epsilon of `AutoencoderKL`'s.
pub const EPS: f64 = 1e-6;

/// `y = (x - mean) / √(var + eps) · weight + bias`, mean and (biased) variance over each group of channels and all
/// pixels (Wu & He, 2018).
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// `[C]`
    weight: Param<Tensor<1>>,
    /// `[C]`
    bias: Param<Tensor<1>>,
    #[module(skip)]
    groups: usize,
    #[module(skip)]
    eps: f64,
}

impl GroupNorm {
    /// Takes `weight` and `bias`; `groups` must divide `channels`.
    pub fn load(scope: &mut Scope, groups: usize, channels: usize, eps: f64) -> Result<Self> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::model(
                "normGroups",
                format!("{channels} channels cannot be split into {groups} groups"),
            ));
        }
        let weight = Param::from_tensor(scope.take("weight", [channels])?);
        let bias = Param::from_tensor(scope.take("bias", [channels])?);
        Ok(Self { weight, bias, groups, eps })
    }

    /// `[B, C, H, W]` → the same.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        norm::group_norm(x, self.numbers(), false)
    }

    /// SiLU of [`GroupNorm::forward`].
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        norm::group_norm(x, self.numbers(), true)
    }

    fn numbers(&self) -> norm::GroupNormParameters {
        norm::GroupNormParameters {
            groups: self.groups,
            weight: self.weight.val(),
            bias: self.bias.val(),
            eps: self.eps,
        }
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::bundle::Weights;

    fn load(groups: usize, channels: usize) -> Result<GroupNorm> {
        let mut weights = Weights::new(&crate::device::cpu());
        weights.insert("n.weight", &[channels], (0..channels).map(|i| 1.0 + i as f32).collect());
        weights.insert("n.bias", &[channels], (0..channels).map(|i| 0.1 * i as f32).collect());
        GroupNorm::load(&mut weights.scope("n"), groups, channels, 1e-6)
    }

    #[test]
    fn equals_the_formula_in_f64() {
        let (channels, groups, pixels) = (6, 3, 5 * 7);
        let values: Vec<f32> = (0..channels * pixels).map(|i| ((i * 37 % 101) as f32).sin() + 40.0).collect();
        let x = Tensor::<1>::from_data(TensorData::new(values.clone(), [values.len()]), &crate::device::cpu());
        let y = load(groups, channels).unwrap().forward(x.reshape([1, channels, 5, 7]));
        let y = y.try_to_vec_as::<f32>().unwrap();

        let size = channels / groups * pixels;
        for (i, &got) in y.iter().enumerate() {
            let group = &values[i / size * size..][..size];
            let mean = group.iter().map(|&v| f64::from(v)).sum::<f64>() / size as f64;
            let var = group.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / size as f64;
            let channel = (i / pixels) as f64;
            let want = (f64::from(values[i]) - mean) / (var + 1e-6).sqrt() * (1.0 + channel) + 0.1 * channel;
            assert!((f64::from(got) - want).abs() < 2e-4, "{i}: {got} is not {want}");
        }
    }

    #[test]
    fn groups_must_divide_the_channels() {
        for groups in [0, 4] {
            let error = load(groups, 6).unwrap_err().to_string();
            assert!(error.starts_with("normGroups: 6 channels"), "{error}");
        }
    }
}
