//! Pixels: images in [-1, 1] on a device become bytes in host memory.

use burn::tensor::Tensor;

use super::crop::Region;
use super::options::Values;
use super::read_back::read_back;
use crate::error::{Error, Result};

/// An image as a canvas takes it: RGBA, one byte each, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Image {
    /// Reads back the image `[1, 3, H, W]`; values are clamped to [-1, 1] and rounded to the nearest byte.
    pub async fn read(image: Tensor<4>) -> Result<Self> {
        let [batch, channels, height, width] = image.dims();
        if batch != 1 || channels != 3 {
            return Err(Error::model("outChannels", format!("an image has 3 channels, the model draws {channels}")));
        }
        Ok(Self::from_planes(&read_back(image).await?, width, height))
    }

    /// The image of values `[1, 3, H, W]`, as [`Self::read`] makes it.
    ///
    /// # Errors
    /// `ModelInvalid` on any other shape.
    pub(super) fn of_values(values: &Values) -> Result<Self> {
        match values.shape.as_slice() {
            &[1, 3, height, width] => Ok(Self::from_planes(&values.data, width, height)),
            shape => Err(Error::model("outChannels", format!("an image is [1, 3, H, W], the model draws {shape:?}"))),
        }
    }

    /// Of `[3, height, width]` values in [-1, 1].
    pub(super) fn from_planes(values: &[f32], width: usize, height: usize) -> Self {
        let plane = height * width;
        let data = (0..plane)
            .flat_map(|i| [byte(values[i]), byte(values[plane + i]), byte(values[2 * plane + i]), u8::MAX])
            .collect();
        Self { width, height, data }
    }

    /// The pixels of a region, row by row.
    pub(super) fn rows(&self, region: Region) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
        let rows = self.data.chunks_exact(4 * self.width).skip(region.y).take(region.height);
        rows.map(move |row| row[4 * region.x..][..4 * region.width].chunks_exact(4))
    }
}

/// [-1, 1] to the nearest byte.
pub(super) fn byte(v: f32) -> u8 {
    ((v * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8
}
