//! What a run shows of its latents on the way: decoded where that is cheap beside a step, else by a linear map that the decoder tells of
//! itself.

use burn::tensor::{Device, Tensor, TensorData};

use super::read_back::read_back;
use crate::bundle::config::{TransformerConfig, VaeConfig};
use crate::error::Result;
use crate::flops;
use crate::kernels::upsample::upsample_nearest;
use crate::model::vae::Vae;

/// A preview may take this share of a step.
const SHARE: u64 = 5;
/// Side, in cells, of the latents of one value that the decoder is asked about, and that value.
const SIDE: usize = 2;
const VALUE: f32 = 1.0;

/// Whether decoding latents of `height × width` cells takes more than a fifth of a dense step over them.
pub fn is_costly(vae: &VaeConfig, transformer: &TransformerConfig, [height, width]: [usize; 2]) -> bool {
    let tokens = (height / transformer.patch_size) * (width / transformer.patch_size);
    flops::decode(vae, height * width).saturating_mul(SHARE) > flops::step(transformer, tokens, 0, None).total()
}

/// A colour for every latent cell: `M x + m`.
#[derive(Debug)]
pub struct LinearPreview {
    /// `[3, C]`, row-major.
    matrix: Vec<f32>,
    /// `[3]`.
    offset: [f32; 3],
}

impl LinearPreview {
    /// What `vae` makes of latents that are the same everywhere: each channel alone, up and down, and none.
    pub async fn new(vae: &Vae, channels: usize, device: &Device) -> Result<Self> {
        let mut probes = vec![0.0; (2 * channels + 1) * channels * SIDE * SIDE];
        for channel in 0..channels {
            for (probe, value) in [(2 * channel, VALUE), (2 * channel + 1, -VALUE)] {
                let start = (probe * channels + channel) * SIDE * SIDE;
                probes[start..start + SIDE * SIDE].fill(value);
            }
        }
        let shape = [2 * channels + 1, channels, SIDE, SIDE];
        let image = vae.decode(Tensor::from_data(TensorData::new(probes, shape), device)); // [2C + 1, 3, h, w]
        let [count, colours, height, width] = image.dims();
        let means = image.reshape([count, colours, height * width]).mean_dim(2);
        let means = read_back(means).await?;
        let mean = |probe: usize, colour: usize| means[probe * colours + colour];
        let slope =
            |colour: usize, channel: usize| (mean(2 * channel, colour) - mean(2 * channel + 1, colour)) / (2.0 * VALUE);
        let matrix = (0..3).flat_map(|colour| (0..channels).map(move |channel| (colour, channel)));
        Ok(Self {
            matrix: matrix.map(|(colour, channel)| slope(colour, channel)).collect(),
            offset: std::array::from_fn(|colour| mean(2 * channels, colour)),
        })
    }

    /// Latents `[1, C, h, w]` as an image `[1, 3, h·scale, w·scale]`, a colour to a cell.
    pub fn image(&self, latents: Tensor<4>, scale: usize) -> Tensor<4> {
        let ([_, channels, height, width], device) = (latents.dims(), latents.device());
        let matrix = Tensor::<2>::from_data(TensorData::new(self.matrix.clone(), [3, channels]), &device);
        let offset = Tensor::<2>::from_data(TensorData::new(self.offset.to_vec(), [3, 1]), &device);
        let colours = matrix.matmul(latents.reshape([channels, height * width])) + offset; // [3, h·w]
        upsample_nearest(colours.clamp(-1.0, 1.0).reshape([1, 3, height, width]), scale)
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;
    use crate::bundle::manifest::Parts;

    /// PixArt-Σ at 512 pixels.
    fn sigma() -> (VaeConfig, TransformerConfig) {
        let parts: Parts = serde_json::from_str(include_str!("../../tests/bench/pixart-sigma.json")).unwrap();
        (parts.vae.unwrap(), parts.transformer)
    }

    #[test]
    fn a_real_decoder_is_dear_and_a_small_one_is_not() {
        let (vae, transformer) = sigma();
        // 2.5 TFLOP, as profilers count it.
        assert!((2.2e12..2.8e12).contains(&(flops::decode(&vae, 64 * 64) as f64)));
        assert!(is_costly(&vae, &transformer, [64, 64]));
        let small = VaeConfig { block_out_channels: vec![32, 32, 64, 64], layers_per_block: 1, ..vae };
        assert!(!is_costly(&small, &transformer, [64, 64]));
    }

    #[test]
    fn a_cell_has_the_colour_that_the_map_says() {
        let map = LinearPreview { matrix: vec![1.0, 0.0, 0.0, 0.5, 0.0, -9.0], offset: [0.0, 0.25, 0.0] };
        let latents = Tensor::<4>::from_data([[[[0.5, -0.5]], [[1.0, 0.0]]]], &crate::device::cpu());
        let image = map.image(latents, 2);
        assert_eq!(image.dims(), [1, 3, 2, 4]);
        let values = image.into_data().try_to_vec::<f32>().unwrap();
        let row = |a: f32, b: f32| [a, a, b, b, a, a, b, b];
        assert_eq!(values, [row(0.5, -0.5), row(0.75, 0.25), row(-1.0, 0.0)].concat(), "no brighter than white");
    }
}
