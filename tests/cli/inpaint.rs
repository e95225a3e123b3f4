//! `diffcr inpaint`: the reference's pictures, pixels that stay as they are, and holes of every kind.

mod pictures;
mod refuse;

use std::path::{Path, PathBuf};
use std::process::Command;

use image::{Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::Value;

use crate::support::*;

const SCENES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scenes/bundle");
const PROMPT: &str = "a red circle on a blue background";

fn inpaint(bundle: impl AsRef<Path>, image: &Path, mask: &Path, out: &Path, options: &[&str]) -> Command {
    let mut command = diffcr();
    command.arg("inpaint").arg(bundle.as_ref()).arg("--image").arg(image).arg("--mask").arg(mask);
    command.arg("--out").arg(out).args(options);
    command
}

/// Runs on the scenes fixture: what it says in JSON.
fn scenes(image: &Path, mask: &Path, out: &Path, options: &[&str]) -> Value {
    let output = inpaint(SCENES, image, mask, out, &["--prompt", PROMPT, "--guidance", "3", "--json"])
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A picture with something everywhere.
fn noisy(width: u32, height: u32) -> RgbImage {
    let at = |x: u32, y: u32, c: u32| (x * 31 + y * 17 + c * 101 + (x * y) % 29) as u8;
    RgbImage::from_fn(width, height, |x, y| Rgb([at(x, y, 0), at(x, y, 1), at(x, y, 2)]))
}

fn save_mask(path: &Path, width: u32, height: u32, set: impl Fn(u32, u32) -> bool) {
    image::GrayImage::from_fn(width, height, |x, y| image::Luma([if set(x, y) { 255 } else { 0 }])).save(path).unwrap();
}

struct Case {
    scratch: Scratch,
    image: PathBuf,
    mask: PathBuf,
    out: PathBuf,
}

fn case() -> Case {
    let scratch = Scratch::new();
    let [image, mask, out] = ["image.png", "mask.png", "out.png"].map(|name| scratch.path(name));
    Case { scratch, image, mask, out }
}

fn disc(cx: u32, cy: u32, r: u32) -> impl Fn(u32, u32) -> bool {
    move |x, y| x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2) <= r * r
}

#[test]
fn the_reference_is_reproduced() {
    let scratch = Scratch::new();
    let bundle = scratch.path("bundle");
    converted(&sigma("pipeline"), &bundle, &[]);
    let (reference, latents) = (sigma("inpaint.safetensors"), scratch.path("out.safetensors"));
    let about = read_json(&sigma("inpaint.json"));
    let text = |key: &str| about[key].as_str().unwrap().to_owned();
    let number = |key: &str| about[key].to_string();
    let output = inpaint(&bundle, &reference, &reference, &scratch.path("out.png"), &["--noise"])
        .arg(&reference)
        .args(["--prompt", &text("prompt"), "--negative", &text("negative_prompt"), "--steps", &number("steps")])
        .args(["--guidance", &number("guidance"), "--strength", &number("strength"), "--save-latents"])
        .arg(&latents)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let (found, wanted) = (read_tensors(&latents), read_tensors(&reference));
    for name in ["final_latents", "decoded", "composite"] {
        assert_eq!(found[name].0, wanted[name].0, "the shape of {name}");
        let largest = wanted[name].1.iter().fold(0f32, |m, v| m.max(v.abs()));
        let pairs = found[name].1.iter().zip(&wanted[name].1);
        let worst = pairs.fold(0f32, |m, (a, b)| if (a - b).is_nan() { f32::INFINITY } else { m.max((a - b).abs()) });
        println!("{name}: {:.1e}", worst / largest);
        assert!(worst <= 1e-3 * largest, "{name}: {worst} of {largest}");
    }
    // Outside the mask the very values.
    let plane = wanted["mask"].1.len();
    for (i, (after, before)) in found["composite"].1.iter().zip(&wanted["image"].1).enumerate() {
        assert!(wanted["mask"].1[i % plane] > 0.5 || after == before, "pixel {i} changed");
    }
}

#[test]
fn pixels_outside_the_mask_are_those_of_the_input_to_the_bit() {
    let Case { scratch: _scratch, image, mask, out } = case();
    for (size, options) in [
        ((64, 64), &["--steps", "3"][..]),
        ((64, 64), &["--steps", "9", "--strength", "0.5"]),
        ((97, 61), &["--steps", "2"]),
        ((150, 130), &["--steps", "2", "--crop-to-mask"]),
        ((150, 130), &["--steps", "2", "--mask-aware", "off", "--width", "96", "--height", "64"]),
    ] {
        let (width, height) = size;
        let set = disc(width / 2, height / 2, 13);
        let before = noisy(width, height);
        before.save(&image).unwrap();
        save_mask(&mask, width, height, &set);
        scenes(&image, &mask, &out, options);
        let after = image::open(&out).unwrap();
        assert_eq!(after.color(), image::ColorType::Rgb8);
        let after = after.into_rgb8();
        assert_eq!(after.dimensions(), size);
        let mut changed = 0;
        for (x, y, pixel) in after.enumerate_pixels() {
            let same = pixel == before.get_pixel(x, y);
            assert!(same || set(x, y), "{options:?}: {x}, {y} changed");
            changed += usize::from(!same);
        }
        assert!(changed > 400, "{options:?}: {changed} of some 530 pixels were redrawn");
    }
}

#[test]
fn an_alpha_channel_stays_outside_and_is_opaque_inside() {
    let Case { scratch: _scratch, image, mask, out } = case();
    let set = disc(30, 40, 12);
    let before = RgbaImage::from_fn(80, 72, |x, y| {
        let Rgb([r, g, b]) = *noisy(80, 72).get_pixel(x, y);
        Rgba([r, g, b, ((x * 7 + y * 3) % 256) as u8])
    });
    before.save(&image).unwrap();
    // A mask painted on a transparent canvas.
    let paint = |x, y| if set(x, y) { Rgba([255, 255, 255, 255]) } else { Rgba([255, 255, 255, 0]) };
    RgbaImage::from_fn(80, 72, paint).save(&mask).unwrap();
    scenes(&image, &mask, &out, &["--steps", "2"]);
    let after = image::open(&out).unwrap();
    assert_eq!(after.color(), image::ColorType::Rgba8);
    for (x, y, pixel) in after.into_rgba8().enumerate_pixels() {
        if set(x, y) {
            assert_eq!(pixel.0[3], 255, "{x}, {y}");
        } else {
            assert_eq!(pixel, before.get_pixel(x, y), "{x}, {y}");
        }
    }
}

#[test]
fn a_feather_fades_and_reaches_no_further() {
    let Case { scratch: _scratch, image, mask, out } = case();
    let before = RgbImage::from_pixel(64, 64, Rgb([0, 0, 0]));
    before.save(&image).unwrap();
    save_mask(&mask, 64, 64, |x, _| x < 16);
    scenes(&image, &mask, &out, &["--steps", "6", "--feather", "12", "--seed", "3"]);
    let after = image::open(&out).unwrap().into_rgb8();
    let changed = |x: u32| (0..64).filter(|&y| after.get_pixel(x, y) != before.get_pixel(x, y)).count();
    assert!(changed(18) > 20, "the edge is soft");
    assert!((28..64).all(|x| changed(x) == 0), "12 pixels are reached, no more");
}

#[test]
fn holes_of_every_kind_give_a_picture() {
    let Case { scratch, image, mask, out } = case();
    let dot = scratch.path("dot.png");
    noisy(64, 64).save(&image).unwrap();
    // All of it, one pixel, and no strength at all.
    save_mask(&mask, 64, 64, |_, _| true);
    scenes(&image, &mask, &out, &["--steps", "8"]);
    assert_ne!(image::open(&out).unwrap().into_rgb8(), noisy(64, 64));
    save_mask(&dot, 64, 64, |x, y| (x, y) == (63, 0));
    scenes(&image, &dot, &out, &["--steps", "2"]);
    let after = image::open(&out).unwrap().into_rgb8();
    assert_eq!(after.enumerate_pixels().filter(|(x, y, p)| *p != noisy(64, 64).get_pixel(*x, *y)).count(), 1);
    let value = scenes(&image, &mask, &out, &["--strength", "0"]);
    assert_eq!(value["stepsRun"], 0);
    assert_eq!(image::open(&out).unwrap().into_rgb8(), noisy(64, 64));
    // One pixel of an image of one.
    noisy(1, 1).save(&image).unwrap();
    save_mask(&mask, 1, 1, |_, _| true);
    scenes(&image, &mask, &out, &["--steps", "2", "--crop-to-mask"]);
    assert_eq!(image::image_dimensions(&out).unwrap(), (1, 1));
    // A mask of half the size.
    noisy(128, 96).save(&image).unwrap();
    save_mask(&mask, 64, 48, |x, y| x >= 32 && y >= 24);
    scenes(&image, &mask, &out, &["--steps", "2"]);
    let after = image::open(&out).unwrap().into_rgb8();
    assert!((0..64).all(|x| (0..96).all(|y| after.get_pixel(x, y) == noisy(128, 96).get_pixel(x, y))));
}

#[test]
fn the_largest_image_is_worked_on_around_its_mask() {
    let Case { scratch: _scratch, image, mask, out } = case();
    let before = RgbImage::from_fn(4096, 4096, |x, y| Rgb([(x / 16) as u8, (y / 16) as u8, 90]));
    before.save(&image).unwrap();
    save_mask(&mask, 4096, 4096, disc(1000, 3000, 200));
    scenes(&image, &mask, &out, &["--steps", "2", "--crop-to-mask"]);
    let after = image::open(&out).unwrap().into_rgb8();
    let set = disc(1000, 3000, 200);
    assert!(after.enumerate_pixels().all(|(x, y, p)| set(x, y) || p == before.get_pixel(x, y)));
    assert_ne!(after.get_pixel(1000, 3000), before.get_pixel(1000, 3000));
}

#[test]
fn the_cost_follows_the_hole_and_the_picture_hardly_changes() {
    let Case { scratch: _scratch, image, mask, out } = case();
    let drawn = diffcr()
        .args(["generate", SCENES, "--prompt", "a white square on a blue background", "--guidance", "3", "--out"])
        .arg(&image)
        .output()
        .unwrap();
    assert!(drawn.status.success(), "{}", stderr(&drawn));
    let hole = |x: u32, y: u32| (24..40).contains(&x) && (24..40).contains(&y);
    save_mask(&mask, 64, 64, hole);
    let mut pictures = Vec::new();
    for (mode, full, focus) in [("on", 3, 4), ("off", 20, 0)] {
        let value = scenes(&image, &mask, &out, &["--steps", "20", "--mask-aware", mode]);
        assert_eq!((value["stepsRun"].as_u64(), value["fullSteps"].as_u64()), (Some(20), Some(full)), "{mode}");
        assert_eq!(value["tokensInFocus"].as_u64(), Some(focus), "{mode}: 16 of 4096 pixels a token");
        pictures.push(image::open(&out).unwrap().into_rgb8());
    }
    let difference = |x, y| {
        let [a, b] = [0, 1].map(|i| pictures[i].get_pixel(x, y).0);
        (0..3).map(|c| a[c].abs_diff(b[c]) as f64).sum::<f64>() / 3.0
    };
    let inside = (24..40).flat_map(|x| (24..40).map(move |y| (x, y)));
    let mean = inside.map(|(x, y)| difference(x, y)).sum::<f64>() / 256.0;
    println!("mean difference in the hole: {mean:.2} of 255");
    assert!(mean < 8.0, "{mean}");
}

/// `final_latents` of an inpainting of the Sigma fixture with `bundle`.
fn latents_of(bundle: &Path, scratch: &Scratch, options: &[&str]) -> (Vec<f32>, Value) {
    let (reference, latents) = (sigma("inpaint.safetensors"), scratch.path("latents.safetensors"));
    let output = inpaint(bundle, &reference, &reference, &scratch.path("out.png"), &["--prompt", PROMPT, "--json"])
        .args(["--save-latents"])
        .arg(&latents)
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    (read_tensors(&latents)["final_latents"].1.clone(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_routed_model_routes_the_tokens_of_its_hole() {
    let scratch = Scratch::new();
    let bundle = scratch.path("bundle");
    let routers = sigma("routed.safetensors");
    converted(&sigma("pipeline"), &bundle, &["--routers", routers.to_str().unwrap()]);
    let reference = read_tensors(&sigma("inpaint.safetensors"));
    let mask = &reference["latent_mask"].1;
    for compression in ["learned", "0.5", "off"] {
        let (on, value) = latents_of(&bundle, &scratch, &["--steps", "8", "--compression", compression]);
        // Cells 5 to 12 down and 2 to 8 across, in patches of 2: half-covered tokens run too.
        assert_eq!((value["tokensInFocus"].as_u64(), value["fullSteps"].as_u64()), (Some(20), Some(2)));
        let every = ["--steps", "8", "--compression", compression, "--refresh", "1"];
        let full = latents_of(&bundle, &scratch, &every).0;
        let off = ["--steps", "8", "--compression", compression, "--mask-aware", "off"];
        assert_eq!(full, latents_of(&bundle, &scratch, &off).0, "refreshed at every step it is full compute");
        let (mut moved, mut kept) = (0.0f32, 0.0f32);
        for (i, (a, b)) in on.iter().zip(&full).enumerate() {
            let most = if mask[i % mask.len()] > 0.5 { &mut moved } else { &mut kept };
            *most = most.max((a - b).abs());
        }
        assert!(
            kept == 0.0 && moved > 0.0 && moved.is_finite(),
            "{compression}: {moved} in the hole, {kept} beside it"
        );
    }
}

#[test]
fn a_model_with_mask_channels_is_known_by_its_shape() {
    const WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let plain = scratch.path("plain");
    converted(&pipeline, &plain, &[]);
    let options = ["--steps", "3", "--guidance", "3"];
    let expected = latents_of(&plain, &scratch, &options).0;
    // Five more channels in: with zeros for weights they change nothing, with others they do.
    edit_json(&pipeline.join("transformer/config.json"), |json| json["in_channels"] = 9.into());
    let original = tensors(&pipeline.join(WEIGHTS));
    for (name, more) in [("zeros", 0.0f32), ("ones", 0.05)] {
        let mut all = original.clone();
        let (shape, bytes) = all.get_mut("pos_embed.proj.weight").unwrap();
        assert_eq!(shape[1..], [4, 2, 2]);
        let wider = bytes.chunks(4 * 16).flat_map(|row| [row, &[more; 20].map(f32::to_le_bytes).concat()].concat());
        (*bytes, shape[1]) = (wider.collect(), 9);
        write_tensors(&pipeline.join(WEIGHTS), &all);
        let bundle = scratch.path(name);
        converted(&pipeline, &bundle, &[]);
        let found = latents_of(&bundle, &scratch, &options).0;
        assert!(found.iter().all(|v| v.is_finite()));
        assert_eq!(found == expected, more == 0.0, "{name}");
        // Such a model also draws from nothing.
        let out = scratch.path("drawn.png");
        let drawn = diffcr()
            .arg("generate")
            .arg(&bundle)
            .args(["--prompt", PROMPT, "--steps", "2", "--out"])
            .arg(&out)
            .output();
        assert!(drawn.as_ref().unwrap().status.success(), "{}", stderr(&drawn.unwrap()));
    }
}

#[test]
fn no_strength_changes_nothing_though_a_vae_would() {
    let Case { scratch, image, mask, out } = case();
    let bundle = scratch.path("bundle");
    converted(&sigma("pipeline"), &bundle, &[]);
    noisy(100, 90).save(&image).unwrap();
    save_mask(&mask, 100, 90, disc(50, 50, 30));
    for (strength, changes) in [("0", false), ("0.4", true)] {
        let options = ["--prompt", PROMPT, "--steps", "5", "--strength", strength];
        let output = inpaint(&bundle, &image, &mask, &out, &options).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(image::open(&out).unwrap().into_rgb8() != noisy(100, 90), changes, "{strength}");
    }
}

#[test]
fn every_solver_inpaints() {
    let Case { scratch: _scratch, image, mask, out } = case();
    let set = disc(30, 30, 14);
    noisy(64, 64).save(&image).unwrap();
    save_mask(&mask, 64, 64, &set);
    for (solver, steps) in [("dpm++", "9"), ("dpm++1", "9"), ("ddim", "9"), ("euler", "9"), ("lcm", "9"), ("dmd", "1")]
    {
        scenes(&image, &mask, &out, &["--solver", solver, "--steps", steps, "--strength", "1"]);
        let after = image::open(&out).unwrap().into_rgb8();
        let differs = |x: u32, y: u32| after.get_pixel(x, y) != noisy(64, 64).get_pixel(x, y);
        let all: Vec<(u32, u32)> = (0..64).flat_map(|x| (0..64).map(move |y| (x, y))).collect();
        assert!(all.iter().all(|&(x, y)| set(x, y) || !differs(x, y)), "{solver}");
        assert!(all.iter().filter(|&&(x, y)| differs(x, y)).count() > 300, "{solver}");
    }
}

#[cfg(feature = "train")]
#[test]
fn bundles_are_judged_at_filling_holes() {
    let scratch = Scratch::new();
    let out = scratch.path("report");
    let output = diffcr()
        .args(["eval-inpaint", SCENES, "--scenes", "2", "--holes", "10,50", "--steps", "8", "--json", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = value["rows"].as_array().unwrap();
    let modes: Vec<_> = rows.iter().map(|r| (r["hole"].as_u64().unwrap(), r["mode"].as_str().unwrap())).collect();
    assert_eq!(modes, [(10, "off"), (10, "on"), (50, "off"), (50, "on")]);
    let cost = |i: usize| rows[i]["gflops"].as_f64().unwrap();
    assert!(cost(1) < 0.6 * cost(0) && cost(1) < cost(3) && cost(3) <= cost(2), "{rows:?}");
    assert!(rows.iter().all(|r| r["object"]["asked"] == 2 && r["stepsMs"].as_f64().unwrap() > 0.0));
    for name in ["inpaint.csv", "inpaint.json", "0-10.png", "0-50.png"] {
        assert!(out.join(name).metadata().unwrap().len() > 0, "{name}");
    }
    let refused = diffcr().args(["eval-inpaint", SCENES, "--modes", "fast"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
