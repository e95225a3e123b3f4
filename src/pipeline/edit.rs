//! What inpainting does to a run: after every step the known latents return, noised to the level that the next step expects.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use super::mask_aware::MaskAwarePlan;
use super::paste::Paste;
use crate::sampler::Level;

/// An inpainting under way.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Latents of the image: `[1, C, h, w]`.
    pub clean: Tensor<4>,
    /// Unit noise, the same at every step: `[1, C, h, w]`.
    pub noise: Tensor<4>,
    pub cells: Cells,
    pub paste: Paste,
    pub plan: Option<MaskAwarePlan>,
}

/// How much every latent cell is redrawn: `[h, w]`.
///
/// Soft cells are set free late (Levin & Fröhlich, <https://arxiv.org/abs/2306.00950>): one of weight w takes part in the last share
/// w of the steps, so that it moves less, the less it weighs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cells {
    pub weight: Vec<f32>,
    pub width: usize,
}

impl Cells {
    /// Cells that are redrawn at all.
    pub fn redrawn(&self) -> Vec<bool> {
        self.weight.iter().map(|w| *w > 0.0).collect()
    }

    /// The cells that are free after step `i` of `steps`: `[1, 1, h, w]`.
    fn free(&self, i: usize, steps: usize, device: &Device) -> Tensor<4, Bool> {
        let held = 1.0 - (i + 1) as f32 / steps.max(1) as f32;
        let free: Vec<bool> = self.weight.iter().map(|w| *w > held).collect();
        let shape = [1, 1, self.weight.len() / self.width, self.width];
        Tensor::from_data(TensorData::new(free, shape), device)
    }
}

impl Edit {
    /// The image's latents at a noise level.
    pub fn at(&self, level: Level) -> Tensor<4> {
        if level == Level::CLEAN {
            return self.clean.clone();
        }
        self.clean.clone() * level.signal + self.noise.clone() * level.sigma
    }

    /// `x` `[1, C, h, w]` after step `i` of `steps`, which went to `level`: kept cells are the image's.
    pub fn blend(&self, x: Tensor<4>, i: usize, steps: usize, level: Level) -> Tensor<4> {
        let free = self.cells.free(i, steps, &x.device()).expand(x.dims());
        self.at(level).mask_where(free, x)
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn soft_cells_are_set_free_late_and_kept_ones_never() {
        let cells = Cells { weight: vec![0.0, 0.3, 0.6, 1.0], width: 2 };
        let free =
            |i| cells.free(i, 4, &Device::flex()).int().into_data().convert::<i32>().try_to_vec::<i32>().unwrap();
        assert_eq!(free(0), [0, 0, 0, 1]);
        assert_eq!(free(1), [0, 0, 1, 1]);
        assert_eq!(free(2), [0, 1, 1, 1]);
        assert_eq!(free(3), [0, 1, 1, 1]);
        assert_eq!(cells.redrawn(), [false, true, true, true]);
    }
}
