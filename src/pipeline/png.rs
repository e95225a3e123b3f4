//! Pictures as PNG, one or a sheet of many.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::image::Image;
use crate::error::{Error, Result};

/// PNG of `[3, height, width]`.
pub fn encode(pixels: &[f32], width: usize, height: usize) -> Result<Vec<u8>> {
    let plane = width * height;
    if pixels.len() != 3 * plane {
        return Err(Error::internal(format!("{} values are no [3, {height}, {width}]", pixels.len())));
    }
    let byte = |v: f32| ((v * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    let rgb: Vec<u8> = (0..plane).flat_map(|i| [0, 1, 2].map(|c| byte(pixels[c * plane + i]))).collect();
    write(&rgb, width, height, ExtendedColorType::Rgb8)
}

/// PNG of an image, with its alpha channel or without.
pub fn encode_image(image: &Image, alpha: bool) -> Result<Vec<u8>> {
    if alpha {
        return write(&image.data, image.width, image.height, ExtendedColorType::Rgba8);
    }
    let rgb: Vec<u8> = image.data.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    write(&rgb, image.width, image.height, ExtendedColorType::Rgb8)
}

fn write(data: &[u8], width: usize, height: usize, color: ExtendedColorType) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(data, width as u32, height as u32, color)
        .map_err(|e| Error::internal(format!("PNG: {e}")))?;
    Ok(bytes)
}

/// PNG of pictures `[3, side, side]` in rows of `columns`; what they do not fill is black.
#[cfg(feature = "train")]
pub fn sheet(pictures: &[Vec<f32>], side: usize, columns: usize) -> Result<Vec<u8>> {
    let (width, height) = (columns * side, pictures.len().div_ceil(columns).max(1) * side);
    let mut pixels = vec![-1.0; 3 * width * height];
    for (i, picture) in pictures.iter().enumerate() {
        let (left, top) = (i % columns * side, i / columns * side);
        for (line, values) in picture.chunks_exact(side).enumerate() {
            let (channel, row) = (line / side, line % side);
            let start = (channel * height + top + row) * width + left;
            pixels[start..start + side].copy_from_slice(values);
        }
    }
    encode(&pixels, width, height)
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_has_every_picture_in_its_place() {
        let picture = |v: f32| vec![v; 3 * 4];
        let bytes = sheet(&[picture(1.0), picture(0.0), picture(0.5)], 2, 2).unwrap();
        let image = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert_eq!(image.dimensions(), (4, 4));
        let values: Vec<u8> = [(1, 1), (2, 0), (0, 3), (3, 3)].map(|(x, y)| image.get_pixel(x, y).0[2]).to_vec();
        assert_eq!(values, [255, 128, 191, 0]);
        assert!(encode(&[0.0; 5], 2, 2).is_err());
    }
}
