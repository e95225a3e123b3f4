//! What `diffcr inpaint` refuses, and that it leaves no picture behind.

use std::path::Path;
use std::process::{Command, Output};

use super::*;

fn refusal(command: &mut Command, out: &Path) -> String {
    let output: Output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(!out.exists());
    error_line(&output)
}

#[test]
fn bad_input_is_named() {
    let Case { scratch, image, mask, out } = case();
    noisy(64, 64).save(&image).unwrap();
    save_mask(&mask, 64, 64, disc(20, 20, 9));
    let refused = |image: &Path, mask: &Path, options: &[&str]| {
        refusal(inpaint(SCENES, image, mask, &out, &["--prompt", PROMPT]).args(options), &out)
    };
    for (option, value) in [
        ("strength", "NaN"),
        ("strength", "-0.1"),
        ("strength", "1.5"),
        ("feather", "NaN"),
        ("feather", "-3"),
        ("steps", "0"),
        ("width", "63"),
        ("guidance", "inf"),
    ] {
        let error = refused(&image, &mask, &[&format!("--{option}={value}")]);
        assert!(error.starts_with(&format!("error: {option}: ")), "{error}");
    }
    let error = refused(&image, &mask, &["--width", "8192"]);
    assert!(error.starts_with("error: width: "), "{error}");

    let other = scratch.path("other.png");
    save_mask(&other, 64, 64, |_, _| false);
    assert!(refused(&image, &other, &[]).contains("mask: it is empty"));
    save_mask(&other, 64, 32, |_, _| true);
    assert!(refused(&image, &other, &[]).contains("mask: 64 x 32 pixels have another aspect"));
    std::fs::write(&other, b"GIF89a").unwrap();
    assert!(refused(&other, &mask, &[]).starts_with("error: image: "));
    assert!(refused(&image, &other, &[]).starts_with("error: mask: "));
    let png = std::fs::read(&image).unwrap();
    std::fs::write(&other, &png[..png.len() / 2]).unwrap();
    assert!(refused(&other, &mask, &[]).starts_with("error: image: "));
    assert!(refused(&scratch.path("nothing.png"), &mask, &[]).contains("nothing.png"));

    // A hundred megapixels are refused before they are decoded: the header alone says so.
    std::fs::write(&other, enormous(10_000, 10_000)).unwrap();
    let error = refused(&other, &mask, &[]);
    assert!(error.contains("image: 10000 x 10000 pixels are more than 4096 x 4096"), "{error}");
    let deep = image::ImageBuffer::from_pixel(64, 64, Rgb([1000u16, 2000, 3000]));
    deep.save(&other).unwrap();
    assert!(refused(&other, &mask, &[]).contains("16 bits"), "they would not come back as they were");

    let missing = diffcr().args(["inpaint", SCENES, "--prompt", "x", "--image"]).arg(&image).output().unwrap();
    assert_eq!(missing.status.code(), Some(2), "an image without a mask");
}

/// A PNG of that size with nothing in it but its header.
fn enormous(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::ImageEncoder::write_image(
        image::codecs::png::PngEncoder::new(&mut bytes),
        &[0],
        1,
        1,
        image::ExtendedColorType::L8,
    )
    .unwrap();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}
