//! What follows a linear layer; GELU in its tanh form, safe on every GPU.

use burn::tensor::Tensor;
use burn::tensor::activation::silu;

/// What is made of `x Wᵀ + b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    None,
    /// In its tanh form.
    Gelu,
    Silu,
}

impl Activation {
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::None => x,
            Self::Gelu => gelu_tanh(x),
            Self::Silu => silu(x),
        }
    }
}

/// `2 · sqrt(2/π)`.
const SCALE: f64 = core::f64::consts::FRAC_2_SQRT_PI * core::f64::consts::SQRT_2;
/// Above this, `exp` would overflow f32; the result is zero either way.
const LARGEST_EXPONENT: f64 = 80.0;

/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`, written as `x / (1 + exp(−2√(2/π) (x + 0.044715 x³)))`.
///
/// WGSL's `tanh` overflows to NaN on some adapters where its argument passes 44, which the MLPs of real models do.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "train")]
    if super::cpu::is_fused(&x) {
        return super::cpu::gelu_tanh(x);
    }
    let square = x.clone() * x.clone();
    let exponent = x.clone() * (square * (-SCALE * 0.044715) - SCALE);
    x / (exponent.clamp_max(LARGEST_EXPONENT).exp() + 1.0)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn follows_the_formula_and_stays_finite() {
        let x = [-1e4f32, -60.0, -8.0, -1.0, -0.1, 0.0, 0.5, 3.0, 60.0, 1e4];
        let y = gelu_tanh(Tensor::<1>::from_floats(x, &Device::flex())).try_to_vec_as::<f32>().unwrap();
        for (x, y) in x.iter().map(|&x| f64::from(x)).zip(y) {
            let wanted = x / 2.0 * (1.0 + libm::tanh(SCALE / 2.0 * (x + 0.044715 * x.powi(3))));
            assert!((f64::from(y) - wanted).abs() <= 1e-6 * (1.0 + wanted.abs()), "{x}: {y}, not {wanted}");
        }
    }
}
