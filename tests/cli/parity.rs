//! Bundles made by the binary give what diffusers and transformers computed: every part, then the whole pipeline.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Scratch, converted, diffcr, fixture, read_tensors, stderr};

/// Largest difference over the reference's largest value; ours stay far below.
const TOLERANCE: f32 = 1e-3;

struct Bundle {
    scratch: Scratch,
    family: &'static str,
    dir: PathBuf,
}

impl Bundle {
    fn of(family: &'static str, options: &[&str]) -> Self {
        let scratch = Scratch::new();
        let dir = scratch.path("bundle");
        let tiny = fixture("sigma/vae_tiny");
        let mut all = vec!["--vae-tiny", tiny.to_str().unwrap()];
        all.extend(options);
        converted(&fixture(family).join("pipeline"), &dir, &all);
        Self { scratch, family, dir }
    }

    fn fixture(&self, name: &str) -> PathBuf {
        fixture(self.family).join(name)
    }

    /// `diffcr probe` of a part on a fixture's inputs: the file it wrote.
    fn probe(&self, part: &str, inputs: &str, options: &[&str]) -> PathBuf {
        let out = self.scratch.path("probe.safetensors");
        let mut command = diffcr();
        command.arg("probe").arg(&self.dir).args(["--part", part]).arg("--inputs").arg(self.fixture(inputs));
        run(command.args(options).arg("--out").arg(&out));
        out
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Asserts that `name` of one file is `reference` of another.
fn same(found: &Path, name: &str, wanted: &Path, reference: &str) {
    let (found, wanted) = (read_tensors(found), read_tensors(wanted));
    let (found, wanted) = (&found[name], &wanted[reference]);
    assert_eq!(found.0, wanted.0, "the shape of {name}");
    close(name, &found.1, &wanted.1);
}

fn close(name: &str, found: &[f32], wanted: &[f32]) {
    let largest = wanted.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = found
        .iter()
        .zip(wanted)
        .fold(0f32, |m, (a, b)| if (a - b).is_nan() { f32::INFINITY } else { m.max((a - b).abs()) });
    println!("{name}: {:.1e}", worst / largest);
    assert!(worst <= TOLERANCE * largest, "{name}: {worst} of {largest}");
}

fn transformer(family: &'static str) {
    let bundle = Bundle::of(family, &[]);
    let out = bundle.probe("transformer", "transformer.safetensors", &[]);
    for case in 0..3 {
        let name = format!("{case}.output");
        same(&out, &name, &bundle.fixture("transformer.safetensors"), &name);
    }
}

#[test]
fn sigma_transformer() {
    transformer("sigma");
}

#[test]
fn alpha_transformer_with_size_conditions() {
    transformer("alpha");
}

#[test]
fn kv_compression_and_normed_queries_and_keys() {
    let scratch = Scratch::new();
    let dir = scratch.path("bundle");
    let told = ["--heads", "3", "--sample-size", "16", "--interpolation-scale", "1"];
    converted(&fixture("sigma/kv_compression.pth"), &dir, &told);
    let manifest: Value = serde_json::from_slice(&std::fs::read(dir.join("diffcr.json")).unwrap()).unwrap();
    assert_eq!(manifest["formatVersion"], 2, "older engines must say that they cannot read it");
    let config = &manifest["parts"]["transformer"];
    assert_eq!(config["qkNorm"], true);
    assert_eq!(config["kvCompression"], serde_json::json!({ "scale": 2, "layers": [1, 3] }));

    let bundle = Bundle { scratch, family: "sigma", dir };
    let out = bundle.probe("transformer", "kv_compression.safetensors", &[]);
    for case in 0..3 {
        let name = format!("{case}.output");
        same(&out, &name, &bundle.fixture("kv_compression.safetensors"), &name);
    }
}

#[test]
fn text_encoder_from_ids_and_from_prompts() {
    let bundle = Bundle::of("sigma", &[]);
    let reference = bundle.fixture("text_encoder.safetensors");
    let out = bundle.probe("text-encoder", "text_encoder.safetensors", &[]);
    let (found, wanted) = (read_tensors(&out), read_tensors(&reference));
    assert_eq!(found["input_ids"].1, wanted["input_ids"].1);
    assert_eq!(found["attention_mask"].1, wanted["attention_mask"].1);
    // Padded places carry nothing: compare the real ones.
    let width = wanted["states"].0[2];
    let real = |states: &[f32]| -> Vec<f32> {
        let mask = &wanted["attention_mask"].1;
        states.chunks(width).zip(mask).filter(|(_, m)| **m > 0.5).flat_map(|(row, _)| row.to_vec()).collect()
    };
    close("states", &real(&found["states"].1), &real(&wanted["states"].1));

    // From the prompts themselves, but for the last, which is lower-cased here and was not there.
    let prompts = bundle.scratch.path("prompts.json");
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(bundle.fixture("prompts.json")).unwrap()).unwrap();
    std::fs::write(&prompts, Value::from(all[..3].to_vec()).to_string()).unwrap();
    let out = bundle.scratch.path("prompts.safetensors");
    run(diffcr()
        .arg("probe")
        .arg(&bundle.dir)
        .args(["--part", "text-encoder", "--prompts"])
        .arg(&prompts)
        .arg("--out")
        .arg(&out));
    let from_prompts = read_tensors(&out);
    let rows = 3 * wanted["input_ids"].0[1];
    assert_eq!(from_prompts["input_ids"].1, wanted["input_ids"].1[..rows]);
    assert_eq!(from_prompts["states"].1, found["states"].1[..rows * width]);
}

#[test]
fn autoencoders() {
    let bundle = Bundle::of("sigma", &[]);
    for (file, latents, options) in [("vae", "latent_mean", &[][..]), ("vae_tiny", "encoded", &["--tiny"])] {
        let inputs = format!("{file}.safetensors");
        let reference = bundle.fixture(&inputs);
        same(&bundle.probe("vae-encode", &inputs, options), "latents", &reference, latents);
        same(&bundle.probe("vae-decode", &inputs, options), "image", &reference, "decoded");
    }
}

fn pipeline(family: &'static str) {
    let bundle = Bundle::of(family, &[]);
    let reference = bundle.fixture("generate.safetensors");
    let prompts: Vec<String> = serde_json::from_slice(&std::fs::read(bundle.fixture("prompts.json")).unwrap()).unwrap();
    let wanted = read_tensors(&reference);
    for (i, prompt) in prompts.iter().take(2).enumerate() {
        let (latents, png) = (bundle.scratch.path("out.safetensors"), bundle.scratch.path("out.png"));
        let mut command = diffcr();
        command.arg("generate").arg(&bundle.dir).args([
            "--prompt",
            prompt,
            "--negative",
            "low quality",
            "--steps",
            "6",
        ]);
        command.args(["--guidance", "4.5", "--index", &i.to_string(), "--latents"]).arg(&reference);
        run(command.arg("--save-latents").arg(&latents).arg("--out").arg(&png));
        let found = read_tensors(&latents);
        for name in ["final_latents", "image"] {
            let size = wanted[name].1.len() / 2;
            close(name, &found[name].1, &wanted[name].1[i * size..][..size]);
        }
        assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    }
}

#[test]
fn sigma_pipeline() {
    pipeline("sigma");
}

#[test]
fn alpha_pipeline() {
    pipeline("alpha");
}

#[test]
fn routed_transformer_chooses_the_same_tokens() {
    let routers = fixture("sigma/routed.safetensors");
    let bundle = Bundle::of("sigma", &["--routers", routers.to_str().unwrap()]);
    for (case, options) in [("learned", &[][..]), ("dense", &["--compression", "off"])] {
        let out = bundle.probe("transformer", "routed.safetensors", options);
        same(&out, "output", &routers, &format!("{case}.output"));
        for layer in 0..4 {
            let (found, wanted) = (read_tensors(&out), read_tensors(&routers));
            assert_eq!(
                found[&format!("index.{layer}")],
                wanted[&format!("{case}.index.{layer}")],
                "{case}, layer {layer}"
            );
        }
    }
}

#[test]
fn scenes_are_those_that_diffusers_draws() {
    let scratch = Scratch::new();
    let model = fixture("scenes/bundle");
    let reference = fixture("scenes/expected.safetensors");
    let about: Value = serde_json::from_slice(&std::fs::read(fixture("scenes/expected.json")).unwrap()).unwrap();
    let wanted = read_tensors(&reference);
    let size = wanted["image"].1.len() / 8;
    for (i, prompt) in about["prompts"].as_array().unwrap().iter().enumerate() {
        let out = scratch.path("out.safetensors");
        let mut command = diffcr();
        command.arg("generate").arg(&model).args([
            "--prompt",
            prompt.as_str().unwrap(),
            "--steps",
            "12",
            "--guidance",
            "3",
        ]);
        command.args(["--index", &i.to_string(), "--latents"]).arg(&reference).arg("--save-latents").arg(&out);
        run(command.arg("--out").arg(scratch.path("out.png")));
        close("scene", &read_tensors(&out)["final_latents"].1, &wanted["image"].1[i * size..][..size]);
    }
}

#[test]
fn bad_input_is_named() {
    let bundle = Bundle::of("sigma", &[]);
    let fails = |args: &[&str], culprit: &str| {
        let out = bundle.scratch.path("none.png");
        let output = diffcr().arg("generate").arg(&bundle.dir).args(args).arg("--out").arg(&out).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr(&output).starts_with(&format!("error: {culprit}:")), "{args:?}: {}", stderr(&output));
        assert!(!out.exists());
    };
    fails(&["--prompt", "x", "--steps", "0"], "steps");
    fails(&["--prompt", "x", "--guidance", "NaN"], "guidance");
    fails(&["--prompt", "x", "--width", "100"], "width");
    fails(&["--prompt", "x", "--compression", "0.5"], "compression");
    fails(&["--prompt", "x", "--solver", "dmd", "--steps", "3"], "steps");
    let usage = diffcr()
        .arg("generate")
        .arg(&bundle.dir)
        .args(["--prompt", "x", "--solver", "magic", "--out", "x.png"])
        .output()
        .unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

/// PEFT's own adapter, merged: what PEFT computes with it beside the model.
#[test]
fn a_merged_adapter_is_the_model_with_it_beside() {
    let scratch = Scratch::new();
    let dir = scratch.path("bundle");
    let lora = fixture("sigma/lora");
    converted(&fixture("sigma/pipeline"), &dir, &["--lora", lora.to_str().unwrap()]);
    let out = scratch.path("probe.safetensors");
    let inputs = lora.join("output.safetensors");
    run(diffcr()
        .arg("probe")
        .arg(&dir)
        .args(["--part", "transformer", "--inputs"])
        .arg(&inputs)
        .arg("--out")
        .arg(&out));
    same(&out, "output", &inputs, "output");
}
