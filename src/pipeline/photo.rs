//! Pictures that people have, read exactly: PNG, JPEG and WebP, turned upright and brought to sRGB.

use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, DynamicImage, ImageDecoder, Limits, RgbaImage};
use moxcms::{ColorProfile, Layout, TransformOptions};

use super::image::Image;
use super::picture::check_size;
use crate::error::{Error, Result};
use crate::files;

/// How a PNG begins.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Bytes of a colour profile, unpacked, beside those of the picture.
const MAX_PROFILE: u64 = 4 << 20;
/// `gAMA` of sRGB, in hundred-thousandths, and how far another may be off to be taken for it.
const SRGB_GAMMA: u32 = 45455;
const SRGB_GAMMA_ERROR: u32 = 500;

/// A picture as an image, turned upright as its EXIF says and in sRGB, and whether it has an alpha channel (or a transparent colour). Of a `mask`
/// the values count as they are stored.
///
/// # Errors
/// `InvalidInput` naming `field`: no picture, too large (before it is decoded), of 16 bits, which would not survive, or of a colour profile that
/// is not understood.
pub fn read(path: &Path, field: &str) -> Result<(Image, bool)> {
    let fault = |e: &dyn std::fmt::Display| Error::input(field, format!("{}: {e}", path.display()));
    let bytes = files::read(path)?;
    match bytes.as_slice() {
        [0xff, 0xd8, 0xff, ..] => {
            decode(JpegDecoder::new(Cursor::new(&bytes)).map_err(|e| fault(&e))?, field, None, &fault)
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            decode(WebPDecoder::new(Cursor::new(&bytes)).map_err(|e| fault(&e))?, field, None, &fault)
        }
        _ if bytes.starts_with(SIGNATURE) => {
            let gamma = png_gamma(&bytes);
            decode(png_decoder(Cursor::new(&bytes), &bytes, field, &fault)?, field, gamma, &fault)
        }
        [b'G', b'I', b'F', b'8', ..] => Err(fault(&"it is a GIF: PNG, JPEG and WebP are read")),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Err(fault(&"it is HEIC or AVIF: PNG, JPEG and WebP are read")),
        _ => Err(fault(&"it is no PNG, JPEG or WebP")),
    }
}

type Fault<'a> = dyn Fn(&dyn std::fmt::Display) -> Error + 'a;

/// A PNG's decoder. What it unpacks, profile and texts included, is held to what a picture of the size in the header may take.
fn png_decoder<R: BufRead + Seek>(source: R, bytes: &[u8], field: &str, fault: &Fault) -> Result<PngDecoder<R>> {
    let side = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    let (width, height) = (u64::from(side(16)), u64::from(side(20)));
    check_size(field, width, height)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(8u64.saturating_mul(width).saturating_mul(height).saturating_add(MAX_PROFILE));
    PngDecoder::with_limits(source, limits).map_err(|e| fault(&e))
}

fn decode(mut decoder: impl ImageDecoder, field: &str, gamma: Option<u32>, fault: &Fault) -> Result<(Image, bool)> {
    let (width, height) = decoder.dimensions();
    check_size(field, width.into(), height.into())?;
    let color = decoder.color_type();
    let is_image = field == "image";
    if !matches!(color, ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8) && is_image {
        return Err(fault(&"16 bits a channel are not supported, convert it to 8"));
    }
    let orientation = decoder.orientation().map_err(|e| fault(&e))?;
    let profile = decoder.icc_profile().map_err(|e| fault(&e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| fault(&e))?;
    image.apply_orientation(orientation);
    let mut rgba = image.into_rgba8();
    match (profile, gamma) {
        (Some(profile), _) if is_image && color.has_color() => to_srgb(&mut rgba, &profile)
            .ok_or_else(|| fault(&"its colour profile is not understood: convert it to sRGB"))?,
        (None, Some(gamma)) if is_image => from_gamma(&mut rgba, gamma),
        _ => {}
    }
    let (width, height) = (rgba.width() as usize, rgba.height() as usize);
    Ok((Image { width, height, data: rgba.into_raw() }, color.has_alpha()))
}

/// From the profile's colours to sRGB, where they differ; `None` where the profile cannot be used.
fn to_srgb(image: &mut RgbaImage, profile: &[u8]) -> Option<()> {
    let (from, to) = (ColorProfile::new_from_slice(profile).ok()?, ColorProfile::new_srgb());
    let transform = from.create_transform_8bit(Layout::Rgba, &to, Layout::Rgba, TransformOptions::default()).ok()?;
    let source = image.as_raw().clone();
    transform.transform(&source, image).ok()
}

/// What `gAMA` says, where it is not sRGB's and nothing in the file knows better (`sRGB`).
fn png_gamma(bytes: &[u8]) -> Option<u32> {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    let (mut at, mut gamma) = (SIGNATURE.len(), None);
    while let (Some(length), Some(kind)) = (word(at), bytes.get(at + 4..at + 8)) {
        match kind {
            b"IDAT" => break,
            b"sRGB" => return None,
            b"gAMA" => gamma = word(at + 8),
            _ => {}
        }
        at = at.saturating_add(12).saturating_add(length as usize);
    }
    gamma.filter(|gamma| *gamma > 0 && gamma.abs_diff(SRGB_GAMMA) > SRGB_GAMMA_ERROR)
}

/// From samples that are light to the power of `gamma` hundred-thousandths to sRGB's.
fn from_gamma(image: &mut RgbaImage, gamma: u32) {
    let table: [u8; 256] = core::array::from_fn(|sample| {
        let light = (sample as f64 / 255.0).powf(1e5 / f64::from(gamma));
        let encoded = if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
        (encoded * 255.0).round() as u8
    });
    for pixel in image.pixels_mut() {
        for channel in &mut pixel.0[..3] {
            *channel = table[usize::from(*channel)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures").join(name)
    }

    fn expected(name: &str) -> Vec<u8> {
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(fixture("pixels.json")).unwrap()).unwrap();
        json[name].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u8).collect()
    }

    fn with_alpha(rgb: &[u8], alpha: impl Fn(usize) -> u8) -> Vec<u8> {
        rgb.chunks_exact(3).enumerate().flat_map(|(i, p)| [p[0], p[1], p[2], alpha(i)]).collect()
    }

    #[test]
    fn every_way_to_store_a_picture_gives_its_bytes() {
        let (rgba, rgb) = (expected("rgba"), expected("rgb"));
        let grey = rgba.chunks_exact(4).flat_map(|p| [p[0], p[0], p[0], p[3]]).collect();
        // The first pixel's colour is the transparent one; no other pixel has it.
        let keyed = with_alpha(&rgb, |i| if i == 0 { 0 } else { 255 });
        for (name, wanted, alpha) in [
            ("interlaced_rgba.png", rgba.clone(), true),
            ("exif6_rgba.png", rgba.clone(), true),
            ("alpha.webp", rgba, true),
            ("palette_trns.png", expected("palette"), true),
            ("trns_rgb.png", keyed, true),
            ("grey_alpha.png", grey, true),
            ("gama.png", with_alpha(&expected("gamma"), |_| 255), false),
            ("exif6.webp", with_alpha(&expected("blocks"), |_| 255), false),
        ] {
            let (image, has_alpha) = read(&fixture(name), "image").unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(has_alpha, alpha, "{name}");
            assert!(image.data == wanted, "{name}");
        }
        let (image, _) = read(&fixture("exif6.jpg"), "image").unwrap();
        let wanted = with_alpha(&expected("blocks"), |_| 255);
        assert_eq!((image.width, image.height), (32, 16));
        assert!(image.data.iter().zip(&wanted).all(|(a, b)| a.abs_diff(*b) <= 4));
        // A mask's values are what they are.
        let (mask, _) = read(&fixture("gama.png"), "mask").unwrap();
        assert!(mask.data == with_alpha(&rgb, |_| 255));
    }

    #[test]
    fn what_would_not_survive_is_refused() {
        let says = |name: &str, what: &str| {
            let error = read(&fixture(name), "image").unwrap_err().to_string();
            assert!(error.starts_with("image: ") && error.contains(name) && error.contains(what), "{error}");
        };
        says("rgb16.png", "16 bits a channel are not supported");
        says("pixels.json", "it is no PNG, JPEG or WebP");
        assert!(read(&fixture("rgb16.png"), "mask").is_ok());
    }
}
