//! Pictures of files: PNG, JPEG and WebP, turned as their EXIF says, in sRGB, over white.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};
use moxcms::{ColorProfile, Layout, TransformOptions};

use crate::error::{Error, Result};

/// Endings of the files that [`decode`] reads.
pub const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// The picture in `bytes`; `name` is what errors call it. A colour profile that cannot be used leaves the values as they are.
///
/// # Errors
/// `InvalidInput` naming a file that is no picture.
pub fn decode(bytes: &[u8], name: &str) -> Result<RgbImage> {
    let fault =
        |e: &dyn std::fmt::Display| Error::input(name, format!("not a PNG, JPEG or WebP that can be read: {e}"));
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| fault(&e))?;
    let mut decoder = reader.into_decoder().map_err(|e| fault(&e))?;
    let orientation = decoder.orientation().map_err(|e| fault(&e))?;
    let profile = decoder.icc_profile().map_err(|e| fault(&e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| fault(&e))?;
    image.apply_orientation(orientation);
    let mut rgb = over_white(image);
    if let Some(profile) = profile {
        to_srgb(&mut rgb, &profile);
    }
    Ok(rgb)
}

fn over_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let over = |v: u8, a: u8| ((u32::from(v) * u32::from(a) + 255 * (255 - u32::from(a)) + 127) / 255) as u8;
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, a] = image.get_pixel(x, y).0;
        image::Rgb([over(r, a), over(g, a), over(b, a)])
    })
}

/// From the profile's colours to sRGB. Profiles of gray or CMYK pictures do not fit the RGB that decoders give, and are left aside.
fn to_srgb(image: &mut RgbImage, profile: &[u8]) {
    let transform = ColorProfile::new_from_slice(profile).ok().and_then(|profile| {
        profile
            .create_transform_8bit(Layout::Rgb, &ColorProfile::new_srgb(), Layout::Rgb, TransformOptions::default())
            .ok()
    });
    if let Some(transform) = transform {
        let source = image.as_raw().clone();
        // Fails where lengths differ, and they are the same picture's.
        let _ = transform.transform(&source, image);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::png::PngEncoder;
    use image::codecs::webp::WebPEncoder;
    use image::metadata::Orientation;
    use image::{ExtendedColorType, ImageEncoder};

    /// TIFF with one entry: the orientation.
    fn exif(orientation: u8) -> Vec<u8> {
        let mut bytes = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        bytes.extend([orientation, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn corners() -> RgbImage {
        RgbImage::from_fn(24, 16, |x, y| {
            let [left, top] = [x < 12, y < 8];
            image::Rgb([if left { 220 } else { 30 }, if top { 200 } else { 60 }, if left == top { 240 } else { 10 }])
        })
    }

    fn encoded(format: &str, image: &RgbImage, exif: Option<Vec<u8>>, profile: Option<Vec<u8>>) -> Vec<u8> {
        fn write(mut encoder: impl ImageEncoder, image: &RgbImage, exif: Option<Vec<u8>>, profile: Option<Vec<u8>>) {
            exif.into_iter().for_each(|exif| encoder.set_exif_metadata(exif).unwrap());
            profile.into_iter().for_each(|profile| encoder.set_icc_profile(profile).unwrap());
            encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
        }
        let mut bytes = Vec::new();
        match format {
            "png" => write(PngEncoder::new(&mut bytes), image, exif, profile),
            "webp" => write(WebPEncoder::new_lossless(&mut bytes), image, exif, profile),
            _ => write(JpegEncoder::new_with_quality(&mut bytes, 100), image, exif, profile),
        }
        bytes
    }

    #[test]
    fn eight_orientations_give_one_picture() {
        let upright = corners();
        for format in ["png", "webp", "jpeg"] {
            for orientation in 1..=8u8 {
                // What a camera stores so that turning it gives `upright`.
                let inverse = match orientation {
                    6 => 8,
                    8 => 6,
                    other => other,
                };
                let mut stored = DynamicImage::ImageRgb8(upright.clone());
                stored.apply_orientation(Orientation::from_exif(inverse).unwrap());
                let bytes = encoded(format, &stored.into_rgb8(), Some(exif(orientation)), None);
                let found = decode(&bytes, "turned").unwrap();
                assert_eq!(found.dimensions(), (24, 16), "{format} {orientation}");
                let tolerance = if format == "jpeg" { 12 } else { 0 };
                let far = found.iter().zip(upright.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(far <= tolerance, "{format} {orientation}: {far}");
            }
        }
    }

    #[test]
    fn profiles_are_brought_to_srgb() {
        let image = RgbImage::from_pixel(8, 8, image::Rgb([200, 80, 60]));
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        for format in ["png", "webp", "jpeg"] {
            let plain = *decode(&encoded(format, &image, None, None), "plain").unwrap().get_pixel(4, 4);
            let wide = *decode(&encoded(format, &image, None, Some(p3.clone())), "wide").unwrap().get_pixel(4, 4);
            // Display P3's (200, 80, 60) is a stronger red in sRGB.
            assert!(wide.0[0] >= plain.0[0] + 8 && wide.0[1] + 4 <= plain.0[1], "{format}: {plain:?} {wide:?}");
            let broken = decode(&encoded(format, &image, None, Some(vec![1, 2, 3])), "broken").unwrap();
            assert_eq!(*broken.get_pixel(4, 4), plain, "{format}");
        }
        assert!(decode(b"no picture", "x.png").unwrap_err().to_string().contains("x.png: not a PNG"));
    }

    #[test]
    fn what_is_transparent_is_white() {
        let clear = image::RgbaImage::from_pixel(4, 4, image::Rgba([200, 0, 0, 0]));
        let mut bytes = Vec::new();
        clear.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
        assert_eq!(decode(&bytes, "clear").unwrap().get_pixel(0, 0).0, [255; 3]);
    }
}
