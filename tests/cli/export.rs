//! The way back: what `diffcr export` writes converts to the bundle that it came from.

use crate::support::*;

fn export(src: &std::path::Path, out: &std::path::Path, options: &[&str]) -> std::process::Output {
    diffcr().arg("export").arg(src).arg("--out").arg(out).args(options).output().unwrap()
}

fn exported(src: &std::path::Path, out: &std::path::Path, options: &[&str]) -> String {
    let output = export(src, out, options);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Every file but the manifest.
fn chunks(bundle: &std::path::Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut all = files(bundle, "");
    all.remove("diffcr.json");
    assert!(!all.is_empty());
    all
}

#[test]
fn a_diffusers_folder_and_back() {
    let scratch = Scratch::new();
    for family in ["sigma", "alpha"] {
        let [bundle, folder, again] =
            ["bundle", "folder", "again"].map(|name| scratch.path(&format!("{family}-{name}")));
        let expected = converted(&fixture(family).join("pipeline"), &bundle, &["--name", "x"]);
        exported(&bundle, &folder, &["--to", "diffusers"]);
        assert_eq!(converted(&folder, &again, &["--name", "x"]), expected, "{family}");
        assert!(chunks(&again) == chunks(&bundle), "{family}");
        // What diffusers itself saved has the same weights.
        let weights = "transformer/diffusion_pytorch_model.safetensors";
        assert_eq!(tensors(&folder.join(weights)), tensors(&fixture(family).join("pipeline").join(weights)));
        let class = format!("PixArt{}Pipeline", if family == "sigma" { "Sigma" } else { "Alpha" });
        assert_eq!(read_json(&folder.join("model_index.json"))["_class_name"], class);
    }
}

#[test]
fn a_pth_and_back() {
    let scratch = Scratch::new();
    let told = ["--heads", "3", "--sample-size", "16", "--interpolation-scale", "1", "--name", "x"];
    for source in ["legacy.pth", "kv_compression.pth", "original.pth"] {
        let [bundle, file, again] = ["bundle", "file", "again"].map(|name| scratch.path(&format!("{source}-{name}")));
        let expected = converted(&sigma(source), &bundle, &told);
        exported(&bundle, &file, &["--to", "diffcr-pth"]);
        assert_eq!(converted(&file, &again, &told), expected, "{source}");
        assert!(chunks(&again) == chunks(&bundle), "{source}");
    }
}

#[test]
fn routers_go_with_either_and_quantized_values_are_what_they_stand_for() {
    let scratch = Scratch::new();
    let q4 = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("www/public/models/scenes-q4");
    let [folder, again] = ["folder", "again"].map(|name| scratch.path(name));
    let said = exported(&q4, &folder, &["--to", "diffusers"]);
    assert!(said.contains("note: of ") && said.contains("presets, diff_ratio is \"learned\""), "{said}");
    assert!(said.contains("note: the bundle has no vae"), "{said}");
    let manifest = converted(&folder, &again, &[]);
    let own = read_json(&q4.join("diffcr.json"));
    let learned = |json: &serde_json::Value| {
        let presets = json["routing"]["presets"].as_array().unwrap();
        presets.iter().find(|preset| preset["name"] == json["routing"]["default"]).unwrap()["keep"].clone()
    };
    assert_eq!(manifest["routing"]["bins"], own["routing"]["bins"]);
    let (found, wanted) = (learned(&manifest), learned(&own));
    for (a, b) in found.as_array().unwrap().iter().zip(wanted.as_array().unwrap()) {
        for (a, b) in a.as_array().unwrap().iter().zip(b.as_array().unwrap()) {
            assert!((a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-6);
        }
    }
    // Half precision is for weights: ratios keep their bits.
    let half = scratch.path("half");
    exported(&q4, &half, &["--to", "diffusers", "--dtype", "f16"]);
    let manifest = converted(&half, &scratch.path("half-again"), &[]);
    assert_eq!(manifest["routing"]["bins"], own["routing"]["bins"]);
    // The same picture, which no other number of bits would draw.
    let draw = |bundle: &std::path::Path| {
        let (picture, latents) = (scratch.path("x.png"), scratch.path("x.safetensors"));
        let mut command = diffcr();
        command.arg("generate").arg(bundle).args([
            "--prompt",
            "a red circle",
            "--steps",
            "3",
            "--compression",
            "learned",
        ]);
        command.arg("--save-latents").arg(&latents).arg("--out").arg(&picture);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        read_tensors(&latents)["final_latents"].1.clone()
    };
    let (a, b) = (draw(&q4), draw(&again));
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn what_cannot_be_written_is_said_and_nothing_is_left() {
    let scratch = Scratch::new();
    let told = ["--heads", "3", "--sample-size", "16", "--interpolation-scale", "1"];
    let (bundle, out) = (scratch.path("bundle"), scratch.path("out"));
    converted(&sigma("kv_compression.pth"), &bundle, &told);
    let error = error_line(&export(&bundle, &out, &["--to", "diffusers"]));
    assert!(error.contains("transformer.qkNorm: diffusers' PixArt has nothing like it"), "{error}");
    assert_eq!(scratch.entries(), ["bundle"]);
    std::fs::write(&out, "mine").unwrap();
    let error = error_line(&export(&bundle, &out, &["--to", "diffcr-pth"]));
    assert!(error.starts_with("error: out: ") && error.ends_with("is there already"), "{error}");
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    std::fs::remove_file(&out).unwrap();
    let chunk = files(&bundle, "transformer").into_keys().next().unwrap();
    let mut bytes = std::fs::read(bundle.join(&chunk)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(bundle.join(&chunk), bytes).unwrap();
    let error = error_line(&export(&bundle, &out, &["--to", "diffcr-pth"]));
    assert!(error.contains(&chunk), "{error}");
    assert_eq!(scratch.entries(), ["bundle"]);
}
