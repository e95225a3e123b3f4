//! What a solver combines: anything that can be scaled and added.

use burn::tensor::Tensor;

/// A vector space over `f64`: latents on a device, or plain numbers in a test.
pub trait Field: Clone {
    /// `k · self`.
    fn scale(self, k: f64) -> Self;
    /// `self + other`, of the same shape.
    fn add(self, other: Self) -> Self;
}

impl<const D: usize> Field for Tensor<D> {
    fn scale(self, k: f64) -> Self {
        self.mul_scalar(k)
    }

    fn add(self, other: Self) -> Self {
        Tensor::add(self, other)
    }
}

impl Field for Vec<f64> {
    fn scale(mut self, k: f64) -> Self {
        self.iter_mut().for_each(|v| *v *= k);
        self
    }

    fn add(mut self, other: Self) -> Self {
        self.iter_mut().zip(other).for_each(|(a, b)| *a += b);
        self
    }
}

/// `a · x + b · y`, without the work that a factor of 0 or 1 would waste.
pub(super) fn combine<F: Field>(a: f64, x: F, b: f64, y: F) -> F {
    let times = |k: f64, v: F| if k == 1.0 { v } else { v.scale(k) };
    match (a == 0.0, b == 0.0) {
        (true, _) => times(b, y),
        (_, true) => times(a, x),
        _ => times(a, x).add(times(b, y)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combine_is_the_weighted_sum_for_every_kind_of_factor() {
        for (a, b) in [(0.0, 1.0), (1.0, 0.0), (0.0, 2.0), (-3.0, 0.0), (0.5, -2.0), (1.0, 1.0), (0.0, 0.0)] {
            assert_eq!(combine(a, vec![3.0, 5.0], b, vec![7.0, -11.0]), [a * 3.0 + b * 7.0, a * 5.0 - b * 11.0]);
        }
    }
    #[cfg(feature = "cpu")]
    #[test]
    fn tensors_combine_as_numbers_do() {
        use burn::tensor::{Device, TensorData};
        let tensor =
            |values: [f32; 2]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), [1, 2, 1, 1]), &Device::flex());
        let sum = combine(0.5, tensor([3.0, 5.0]), -2.0, tensor([7.0, -11.0]));
        assert_eq!(sum.into_data().try_to_vec::<f32>().unwrap(), [-12.5, 24.5]);
    }
}
