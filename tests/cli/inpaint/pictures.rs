//! What pictures carry beside their pixels: orientation, colour profile, alpha; and masks that are none.

use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, metadata::Orientation};

use super::*;

/// TIFF with one entry: the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut bytes = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    bytes.extend([orientation, 0, 0, 0, 0, 0, 0]);
    bytes
}

#[test]
fn a_turned_picture_is_upright_and_masked_where_it_is_seen() {
    let Case { scratch: _scratch, image, mask, out, .. } = case();
    let upright =
        RgbaImage::from_fn(64, 64, |x, y| Rgba([(4 * x) as u8, (4 * y) as u8, 77, if x < 32 { 255 } else { 200 }]));
    let mut stored = DynamicImage::ImageRgba8(upright.clone());
    stored.apply_orientation(Orientation::from_exif(8).unwrap()); // what turning by 6 makes upright
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif(6)).unwrap();
    encoder.write_image(stored.as_bytes(), 64, 64, ExtendedColorType::Rgba8).unwrap();
    std::fs::write(&image, bytes).unwrap();
    save_mask(&mask, 64, 64, |x, y| x < 16 && y < 24);
    scenes(&image, &mask, &out, &["--steps", "2"]);
    let after = image::open(&out).unwrap().into_rgba8();
    let mut changed = 0;
    for (x, y, pixel) in after.enumerate_pixels() {
        let same = pixel == upright.get_pixel(x, y);
        assert!(same || (x < 16 && y < 24), "({x}, {y})");
        changed += usize::from(!same);
    }
    assert!(changed > 100, "{changed}");
}

#[test]
fn a_wide_gamut_becomes_srgb() {
    let Case { scratch: _scratch, image, mask, out, .. } = case();
    let pixels = RgbImage::from_pixel(64, 64, Rgb([200, 80, 60]));
    let write = |profile: Vec<u8>| {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(profile).unwrap();
        encoder.write_image(&pixels, 64, 64, ExtendedColorType::Rgb8).unwrap();
        std::fs::write(&image, bytes).unwrap();
    };
    write(moxcms::ColorProfile::new_display_p3().encode().unwrap());
    save_mask(&mask, 64, 64, |x, _| x < 16);
    scenes(&image, &mask, &out, &["--steps", "2"]);
    let [r, g, _] = image::open(&out).unwrap().into_rgb8().get_pixel(60, 60).0;
    // Display P3's (200, 80, 60) is a stronger red in sRGB.
    assert!(r >= 208 && g <= 76, "{r} {g}");
    write(vec![1, 2, 3]);
    let output = inpaint(SCENES, &image, &mask, &out, &["--prompt", PROMPT]).output().unwrap();
    assert!(error_line(&output).contains("its colour profile is not understood"), "{}", stderr(&output));
}

#[test]
fn a_photo_is_no_mask_but_its_hole_is() {
    let Case { scratch, image, out, .. } = case();
    let before = RgbImage::from_fn(64, 64, |x, y| Rgb([(4 * x) as u8, (4 * y) as u8, 99]));
    before.save(&image).unwrap();
    let photo = scratch.path("photo.png");
    RgbaImage::from_fn(64, 64, |x, y| Rgba([(4 * x) as u8, 90, 40, if x < 16 && y < 16 { 0 } else { 255 }]))
        .save(&photo)
        .unwrap();
    let refused = |mask: &Path, options: &[&str]| {
        let output = inpaint(SCENES, &image, mask, &out, &["--prompt", PROMPT]).args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        error_line(&output)
    };
    assert!(refused(&photo, &[]).contains("mask: it is a picture in colours"));
    assert!(refused(&image, &["--mask-from-alpha"]).contains("mask: it has no transparent part"));
    scenes(&image, &photo, &out, &["--steps", "2", "--mask-from-alpha"]);
    let after = image::open(&out).unwrap().into_rgb8();
    let changed =
        after.enumerate_pixels().filter(|(x, y, pixel)| *pixel != before.get_pixel(*x, *y)).map(|(x, y, _)| (x, y));
    let changed: Vec<_> = changed.collect();
    assert!(changed.len() > 100 && changed.iter().all(|&(x, y)| x < 16 && y < 16), "{}", changed.len());

    std::fs::write(&photo, b"GIF89a").unwrap();
    let gif = inpaint(SCENES, &photo, &image, &out, &["--prompt", PROMPT]).output().unwrap();
    assert!(error_line(&gif).contains("it is a GIF: PNG, JPEG and WebP are read"), "{}", stderr(&gif));
}

#[test]
fn a_jpeg_keeps_what_is_outside_the_mask() {
    let Case { scratch, mask, out, .. } = case();
    let photo = scratch.path("photo.jpg");
    noisy(64, 64).save(&photo).unwrap();
    save_mask(&mask, 64, 64, |x, y| x < 16 && y < 16);
    scenes(&photo, &mask, &out, &["--steps", "2"]);
    let (before, after) = (image::open(&photo).unwrap().into_rgb8(), image::open(&out).unwrap().into_rgb8());
    assert!(after.enumerate_pixels().all(|(x, y, pixel)| (x < 16 && y < 16) || pixel == before.get_pixel(x, y)));
}
