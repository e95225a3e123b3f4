//! `diffcr scenes` draws a folder, and `diffcr eval` judges a bundle on held-out prompts.

use std::path::Path;

use serde_json::Value;

use crate::support::*;

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scenes/bundle");

fn scenes(out: &Path, options: &[&str]) -> std::process::Output {
    diffcr().args(["scenes", "--count", "3", "--out"]).arg(out).args(options).output().unwrap()
}

#[test]
fn pictures_come_with_their_captions_and_repeat() {
    let scratch = Scratch::new();
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    let output = scenes(&a, &["--size", "48", "--seed", "5"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(scenes(&b, &["--size", "48", "--seed", "5"]).status.success());
    assert_eq!(files(&a, ""), files(&b, ""));
    let metadata = std::fs::read_to_string(a.join("metadata.jsonl")).unwrap();
    let lines: Vec<Value> = metadata.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    for line in &lines {
        let image = image::open(a.join(line["file_name"].as_str().unwrap())).unwrap();
        assert_eq!((image.width(), image.height()), (48, 48));
        assert_eq!(line["text"], line["scene"]["caption"]);
        assert!(line["text"].as_str().unwrap().contains("background"));
    }
    let other = scratch.path("c");
    assert!(scenes(&other, &["--size", "48", "--seed", "6"]).status.success());
    assert_ne!(files(&a, "metadata"), files(&other, "metadata"));
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("mine.txt"), "mine").unwrap();
    let output = scenes(&scratch.0, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error_line(&output).contains("is not empty"));
    assert_eq!(scratch.entries(), ["mine.txt"]);
    assert_eq!(diffcr().args(["scenes", "--count", "0", "--out", "x"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn a_bundle_is_judged_beside_true_pictures() {
    let scratch = Scratch::new();
    let out = scratch.path("report");
    let eval = |threads: &str| {
        let output = diffcr()
            .args(["eval", BUNDLE, "--prompts", "6", "--steps", "4", "--json", "--threads", threads, "--out"])
            .arg(&out)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let value = eval("2");
    let rows = value["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["accuracy"]["prompt"]["hits"], 6, "true pictures: {}", rows[0]);
    assert!(rows[0]["cost"].is_null());
    let row = &rows[1];
    assert_eq!((row["name"].as_str(), row["compression"].as_str()), (Some("bundle"), Some("off")));
    assert_eq!(row["accuracy"]["prompt"]["asked"], 6);
    assert!(row["frechet"].as_f64().unwrap() > 0.0 && row["cost"]["latencyMs"].as_f64().unwrap() > 0.0);
    assert_eq!(row["cost"]["skipped"], 0.0);
    // 4 steps of a guided batch; by hand, a layer's linear maps alone: 2 · 2 · 14 · tokens · width².
    let manifest = manifest(Path::new(BUNDLE));
    let of = |key: &str| manifest["parts"]["transformer"][key].as_f64().unwrap();
    let (width, tokens) = (of("heads") * of("headDim"), (of("sampleSize") / of("patchSize")).powi(2));
    let linear = 4.0 * 2.0 * 2.0 * 14.0 * tokens * width * width * of("layers") / 1e9;
    let gflops = row["cost"]["gflopsPerImage"].as_f64().unwrap();
    assert!((1.0..1.4).contains(&(gflops / linear)), "{gflops} {linear}");
    for name in ["eval.csv", "eval.json", "eval.svg", "0-true-pictures.png", "1-scenes-off.png"] {
        assert!(out.join(name).metadata().unwrap().len() > 0, "{name}");
    }
    let again = eval("1");
    assert_eq!(again["rows"][1]["accuracy"], row["accuracy"], "the number of threads changes what is drawn");
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let output = diffcr().args(["eval", BUNDLE, "--prompts", "2", "--compression", "0.3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error_line(&output).contains("has no routers"));
    let output = diffcr().args(["eval", "/nonexistent", "--prompts", "2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    error_line(&output);
}
