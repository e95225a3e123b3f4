//! Classifier-free guidance: away from the negative prompt, towards the positive one.

use burn::tensor::Tensor;

/// Whether guidance `g` asks for a negative half in the batch at all.
pub fn is_guided(g: f64) -> bool {
    g > 1.0
}

/// `u + g (c − u)` (Ho & Salimans, <https://arxiv.org/abs/2207.12598>) over a batch `[negative, positive]`.
///
/// `output: [2B, C, h, w]`, the `B` negative images first, to `[B, C, h, w]`; without guidance (`g <= 1`) the batch has no
/// negative half and comes back as it is.
pub fn guide(output: Tensor<4>, g: f64) -> Tensor<4> {
    if !is_guided(g) {
        return output;
    }
    let half = output.dims()[0] / 2;
    let negative = output.clone().narrow(0, 0, half); // [B, C, h, w]
    let positive = output.narrow(0, half, half); // [B, C, h, w]
    negative.clone() + (positive - negative).mul_scalar(g)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn batch(values: [f32; 4]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), [4, 1, 1, 1]), &Device::flex())
    }

    fn values(tensor: Tensor<4>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn guidance_pairs_each_positive_with_its_own_negative() {
        assert_eq!(values(guide(batch([1.0, 2.0, 3.0, 8.0]), 4.5)), [10.0, 29.0]);
    }

    #[test]
    fn no_guidance_leaves_the_batch_alone() {
        for g in [1.0, 0.0, -2.0, f64::NAN] {
            assert_eq!(values(guide(batch([1.0, 2.0, 3.0, 8.0]), g)), [1.0, 2.0, 3.0, 8.0]);
        }
    }
}
