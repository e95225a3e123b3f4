//! An image that a caller brings: bytes as a canvas has them, or values; checked, and read region by region.

use super::crop::Region;
use super::image::Image;
use super::options::Values;
use crate::error::{Error, Result};

/// Pixels an image may have: 4096².
pub const MAX_PIXELS: usize = 4096 * 4096;

/// An image or a mask.
#[derive(Debug, Clone, PartialEq)]
pub enum Picture {
    /// RGBA. As a mask: the lightness of what is opaque.
    Bytes(Image),
    /// `[1, 3, H, W]` in [-1, 1]; as a mask `[1, 1, H, W]` in [0, 1].
    Values(Values),
}

impl Picture {
    /// Width and height, checked against the `channels` that values must have.
    ///
    /// # Errors
    /// `InvalidInput` naming `field`: no pixels, too many, data that does not fill them, or values that are not finite.
    pub fn size(&self, field: &str, channels: usize) -> Result<(usize, usize)> {
        let (width, height, expected, found) = match self {
            Self::Bytes(image) => (image.width, image.height, 4, image.data.len()),
            Self::Values(values) => match &values.shape[..] {
                &[1, c, h, w] if c == channels => (w, h, channels, values.data.len()),
                shape => {
                    return Err(Error::input(field, format!("the shape is {shape:?}, not [1, {channels}, H, W]")));
                }
            },
        };
        check_size(field, width as u64, height as u64)?;
        if found != width * height * expected {
            return Err(Error::input(field, format!("{found} values do not fill {width} x {height} pixels")));
        }
        match self {
            Self::Values(values) if !values.data.iter().all(|v| v.is_finite()) => {
                Err(Error::input(field, "a value is not finite"))
            }
            _ => Ok((width, height)),
        }
    }

    /// `[3, region.height, region.width]` in [-1, 1]; what is transparent is seen over white.
    pub fn planes(&self, region: Region) -> Vec<f32> {
        match self {
            Self::Values(values) => region.cut(&values.data, (values.shape[3], values.shape[2])),
            Self::Bytes(image) => {
                let byte = |pixel: &[u8], c: usize| {
                    let alpha = f32::from(pixel[3]) / 255.0;
                    (f32::from(pixel[c]) * alpha + 255.0 * (1.0 - alpha)) / 127.5 - 1.0
                };
                (0..3).flat_map(|c| image.rows(region).flatten().map(move |pixel| byte(pixel, c))).collect()
            }
        }
    }

    /// As a mask `[H, W]` in [0, 1].
    pub fn lightness(&self) -> Vec<f32> {
        match self {
            Self::Values(values) => values.data.clone(),
            Self::Bytes(image) => {
                let of = |p: &[u8]| {
                    let luma = 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
                    luma * f32::from(p[3]) / (255.0 * 255.0)
                };
                image.data.chunks_exact(4).map(of).collect()
            }
        }
    }
}

/// # Errors
/// `InvalidInput` naming `field`: an image of no pixels, or of more than [`MAX_PIXELS`].
pub fn check_size(field: &str, width: u64, height: u64) -> Result<()> {
    match width.checked_mul(height) {
        Some(0) => Err(Error::input(field, format!("{width} x {height} is no pixel at all"))),
        Some(pixels) if pixels <= MAX_PIXELS as u64 => Ok(()),
        _ => Err(Error::input(field, format!("{width} x {height} pixels are more than 4096 x 4096"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(width: usize, height: usize, data: Vec<u8>) -> Picture {
        Picture::Bytes(Image { width, height, data })
    }

    #[test]
    fn a_region_is_read_over_white() {
        let data = vec![255, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 0, 0, 0, 0, 51];
        let planes = bytes(2, 2, data).planes(Region { x: 0, y: 1, width: 2, height: 1 });
        assert_eq!(planes.len(), 6);
        assert!((planes[0] - 1.0).abs() < 1e-6 && (planes[1] - 0.6).abs() < 1e-6, "{planes:?}");
    }

    #[test]
    fn paint_counts_where_it_is_light_and_opaque() {
        let data = vec![255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 128];
        let mask = bytes(4, 1, data).lightness();
        assert!((mask[0] - 1.0).abs() < 1e-6 && mask[1] == 0.0 && mask[2] == 0.0 && mask[3] >= 0.5, "{mask:?}");
    }

    #[test]
    fn what_is_no_image_is_named() {
        let values = |shape: &[usize], data: Vec<f32>| Picture::Values(Values { shape: shape.to_vec(), data });
        for picture in [
            bytes(0, 0, vec![]),
            bytes(2, 2, vec![0; 15]),
            bytes(10_000, 10_000, vec![]),
            bytes(usize::MAX, 2, vec![]),
            values(&[1, 4, 1, 1], vec![0.0; 4]),
            values(&[1, 3, 1, 1], vec![0.0; 2]),
            values(&[1, 3, 1, 1], vec![0.0, f32::NAN, 0.0]),
            values(&[3, 1, 1], vec![0.0; 3]),
        ] {
            let error = picture.size("image", 3).unwrap_err();
            assert!(error.to_string().starts_with("image: "), "{error}");
        }
        assert_eq!(bytes(2, 1, vec![0; 8]).size("image", 3).unwrap(), (2, 1));
    }
}
