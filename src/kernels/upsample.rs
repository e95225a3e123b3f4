//! Nearest-neighbour enlargement by a whole factor.

use burn::tensor::Tensor;

/// Repeats every cell `factor` times both ways: `[B, C, H, W]` → `[B, C, H·factor, W·factor]`.
pub fn upsample_nearest(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, h, 1, w, 1])
        .expand([b, c, h, factor, w, factor]) // [B, C, H, f, W, f]
        .reshape([b, c, h * factor, w * factor])
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn repeats_cells() {
        let x = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 4.0]]]], &crate::device::cpu());
        let y = upsample_nearest(x, 3).try_to_vec_as::<f32>().unwrap();
        let row = |a: f32, b: f32| [a, a, a, b, b, b];
        assert_eq!(y, [row(1., 2.), row(1., 2.), row(1., 2.), row(3., 4.), row(3., 4.), row(3., 4.)].concat());
    }
}
