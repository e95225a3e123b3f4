//! Pictures as PNG, one or a sheet of many, and PNGs as pictures.

use std::io::{BufReader, Cursor};
use std::path::Path;

use image::codecs::png::{PngDecoder, PngEncoder};
use image::{ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, Limits, RgbaImage};
use moxcms::{ColorProfile, Layout, TransformOptions};

use super::image::Image;
use super::picture::check_size;
use crate::error::{Error, Result};
use crate::files;

/// How a PNG begins.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Bytes of a colour profile, unpacked, beside those of the picture.
const MAX_PROFILE: u64 = 4 << 20;

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

/// A PNG as an image, turned upright as its EXIF says and in sRGB, and whether it has an alpha channel (or a transparent colour).
///
/// # Errors
/// `InvalidInput` naming `field`: no PNG, too large (before it is decoded), of 16 bits, which would not survive, or of a colour profile that
/// is not understood.
pub fn read(path: &Path, field: &str) -> Result<(Image, bool)> {
    let fault = |e: &dyn std::fmt::Display| Error::input(field, format!("{}: {e}", path.display()));
    let bytes = files::read(path)?;
    if let Some(kind) = other_format(&bytes) {
        return Err(fault(&format_args!("it is a {kind}, and a PNG is read: convert it")));
    }
    // What unpacks, profile and texts included, is held to what a picture of the size in the header may take.
    let side = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    let (width, height) = (u64::from(side(16)), u64::from(side(20)));
    if bytes.starts_with(SIGNATURE) {
        check_size(field, width, height)?;
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(8u64.saturating_mul(width).saturating_mul(height).saturating_add(MAX_PROFILE));
    let mut decoder = PngDecoder::with_limits(BufReader::new(Cursor::new(bytes)), limits).map_err(|e| fault(&e))?;
    let (width, height) = decoder.dimensions();
    check_size(field, width.into(), height.into())?;
    let color = decoder.color_type();
    if !matches!(color, ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8) && field == "image" {
        return Err(fault(&"16 bits a channel are not supported, convert it to 8"));
    }
    let orientation = decoder.orientation().map_err(|e| fault(&e))?;
    let profile = decoder.icc_profile().map_err(|e| fault(&e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| fault(&e))?;
    image.apply_orientation(orientation);
    let mut rgba = image.into_rgba8();
    if let Some(profile) = profile.filter(|_| field == "image" && color.has_color()) {
        to_srgb(&mut rgba, &profile)
            .ok_or_else(|| fault(&"its colour profile is not understood: convert it to sRGB"))?;
    }
    let (width, height) = (rgba.width() as usize, rgba.height() as usize);
    Ok((Image { width, height, data: rgba.into_raw() }, color.has_alpha()))
}

/// What a picture of another format that people have is called.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("JPEG"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("WebP"),
        [b'G', b'I', b'F', b'8', ..] => Some("GIF"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("HEIC or AVIF"),
        _ => None,
    }
}

/// From the profile's colours to sRGB, where they differ; `None` where the profile cannot be used.
fn to_srgb(image: &mut RgbaImage, profile: &[u8]) -> Option<()> {
    let (from, to) = (ColorProfile::new_from_slice(profile).ok()?, ColorProfile::new_srgb());
    let transform = from.create_transform_8bit(Layout::Rgba, &to, Layout::Rgba, TransformOptions::default()).ok()?;
    let source = image.as_raw().clone();
    transform.transform(&source, image).ok()
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
