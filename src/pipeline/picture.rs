//! An image that a caller brings: bytes as a canvas has them, or values; checked, and read region by region.

use serde::Deserialize;

use super::crop::Region;
use super::image::Image;
use super::options::Values;
use crate::error::{Error, Result};

/// Pixels an image may have: 4096².
pub const MAX_PIXELS: usize = 4096 * 4096;

/// An image or a mask.
#[derive(Debug, Clone, PartialEq)]
pub enum Picture {
    /// RGBA.
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
    ///
    /// # Errors
    /// `InvalidInput` on `mask` where it is a picture in colours whose lightness is asked for, or has no transparent part to ask for.
    pub fn mask(&self, from: MaskFrom) -> Result<Vec<f32>> {
        let fault = |reason: &str| Err(Error::input("mask", reason));
        let image = match (self, from) {
            (Self::Values(values), MaskFrom::Lightness) => return Ok(values.data.clone()),
            (Self::Values(_), MaskFrom::Alpha) => return fault("values have no alpha channel to take it from"),
            (Self::Bytes(image), _) => image,
        };
        let pixels = || image.data.chunks_exact(4);
        match from {
            MaskFrom::Alpha if pixels().all(|p| p[3] == u8::MAX) => fault("it has no transparent part to take it from"),
            MaskFrom::Alpha => Ok(pixels().map(|p| 1.0 - f32::from(p[3]) / 255.0).collect()),
            MaskFrom::Lightness if pixels().any(is_coloured) => fault(
                "it is a picture in colours, not black and white: its transparent part can be taken (maskFrom 'alpha')",
            ),
            MaskFrom::Lightness => {
                let of = |p: &[u8]| {
                    let luma = 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
                    luma * f32::from(p[3]) / (255.0 * 255.0)
                };
                Ok(pixels().map(of).collect())
            }
        }
    }
}

/// What of a mask's picture says what is redrawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum MaskFrom {
    /// What is light and opaque, of a picture in black and white.
    #[default]
    Lightness,
    /// What is transparent, whatever its colours.
    Alpha,
}

/// Whether a visible pixel is further from grey than compression makes it.
fn is_coloured(pixel: &[u8]) -> bool {
    const NOISE: u8 = 24;
    let (least, most) = (pixel[0].min(pixel[1]).min(pixel[2]), pixel[0].max(pixel[1]).max(pixel[2]));
    pixel[3] > 0 && most - least > NOISE
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
        let mask = bytes(4, 1, data).mask(MaskFrom::Lightness).unwrap();
        assert!((mask[0] - 1.0).abs() < 1e-6 && mask[1] == 0.0 && mask[2] == 0.0 && mask[3] >= 0.5, "{mask:?}");
    }

    #[test]
    fn a_photo_is_no_mask_but_what_is_transparent_of_it_is() {
        let photo = bytes(3, 1, vec![200, 90, 40, 255, 9, 9, 9, 0, 0, 0, 0, 51]);
        assert!(
            photo.mask(MaskFrom::Lightness).unwrap_err().to_string().starts_with("mask: it is a picture in colours")
        );
        assert_eq!(photo.mask(MaskFrom::Alpha).unwrap(), [0.0, 1.0, 0.8]);
        let opaque = bytes(1, 1, vec![255; 4]);
        assert!(opaque.mask(MaskFrom::Alpha).unwrap_err().to_string().contains("no transparent part"));
        // What JPEG makes of grey.
        assert!(bytes(1, 1, vec![250, 240, 244, 255]).mask(MaskFrom::Lightness).is_ok());
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
