//! Weights that are stored in few bits: what is written, what it costs, and bundles stored another way.

use serde_json::{Value, json};

use crate::support::*;

fn scenes() -> std::path::PathBuf {
    fixture("scenes/bundle")
}

fn reported(output: std::process::Output) -> Value {
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn fewer_bits_cost_what_they_should() {
    let scratch = Scratch::new();
    let mut found = Vec::new();
    for encoding in ["q8", "mixed", "q4"] {
        let out = scratch.path(encoding);
        let report = reported(convert(&scenes(), &out, &["--encoding", encoding, "--json"]));
        let errors = report["errors"].as_object().unwrap();
        let table = usize::from(encoding == "q4");
        assert_eq!(errors.len(), 8 * 10 + 2 * 7 + table, "every linear layer of the blocks and of the text encoder");
        found.push((report["bytes"].as_u64().unwrap(), report["psnr"].as_f64().unwrap()));
        let verified = diffcr().arg("verify").arg(&out).output().unwrap();
        assert!(verified.status.success(), "{}", stderr(&verified));
    }
    assert!(found.is_sorted_by(|a, b| a.0 > b.0 && a.1 > b.1), "smaller is worse: {found:?}");
    assert!(found[0].1 > 50.0 && found[2].1 > 25.0, "{found:?}");
    let entry = &manifest(&scratch.path("q4"))["tensors"]["transformer.transformer_blocks.0.attn1.to_q.weight"];
    assert_eq!((&entry["encoding"], &entry["group"]), (&json!("q4"), &json!(64)));
}

#[test]
fn a_quantized_bundle_draws_nearly_the_same() {
    let scratch = Scratch::new();
    converted(&scenes(), &scratch.path("q8"), &["--encoding", "q8", "--no-probe"]);
    let drawn = |bundle: &std::path::Path, name: &str| {
        let (png, latents) = (scratch.path(&format!("{name}.png")), scratch.path(&format!("{name}.safetensors")));
        let output = diffcr()
            .arg("generate")
            .arg(bundle)
            .args(["--prompt", "a red circle on a blue background"])
            .args(["--steps", "2", "--seed", "3"])
            .arg("--out")
            .arg(png)
            .arg("--save-latents")
            .arg(&latents)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let values = &tensors(&latents)["final_latents"].1;
        values.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<_>>()
    };
    let (whole, packed) = (drawn(&scenes(), "whole"), drawn(&scratch.path("q8"), "packed"));
    let square = whole.iter().zip(&packed).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / whole.len() as f32;
    assert!(square > 0.0 && square.sqrt() < 0.05, "{}", square.sqrt());
}

#[test]
fn a_bundle_can_be_stored_another_way() {
    let scratch = Scratch::new();
    let first = converted(&sigma("pipeline"), &scratch.path("f32"), &["--chunk-mib", "0.002"]);
    assert!(first["tensors"].as_object().unwrap().values().any(|t| t["rows"].is_array()), "some tensor is split");
    // Other chunks: the same bytes as from the source itself.
    converted(&scratch.path("f32"), &scratch.path("again"), &["--name", "pipeline"]);
    converted(&sigma("pipeline"), &scratch.path("direct"), &[]);
    assert_eq!(files(&scratch.path("again"), "safetensors"), files(&scratch.path("direct"), "safetensors"));
    // Chunks within split rows.
    converted(&scratch.path("f32"), &scratch.path("small"), &["--chunk-mib", "0.003", "--without", "vae"]);
    converted(&sigma("pipeline"), &scratch.path("small-direct"), &["--chunk-mib", "0.003", "--without", "vae"]);
    assert_eq!(files(&scratch.path("small"), "safetensors"), files(&scratch.path("small-direct"), "safetensors"));

    let exceptions =
        ["--encoding", "q8", "--group", "32", "--tensor", "*.1.attn1.*=f32", "--tensor", "*.to_k.weight=f16"];
    let packed = converted(&scenes(), &scratch.path("packed"), &exceptions);
    let encoding = |name: &str| packed["tensors"][&format!("transformer.transformer_blocks.{name}.weight")].clone();
    assert_eq!((&encoding("0.attn1.to_q")["encoding"], &encoding("0.attn1.to_q")["group"]), (&json!("q8"), &json!(32)));
    assert_eq!(encoding("1.attn1.to_q")["encoding"], "f32");
    assert_eq!(encoding("0.attn2.to_k")["encoding"], "f16");
    let fault = refused(&scratch.path("packed"), &scratch.path("twice"), &["--encoding", "q4"]);
    assert!(fault.contains("it is quantized already"), "{fault}");
    let fault = refused(&scratch.path("packed"), &scratch.path("twice"), &["--tensor", "*=f16"]);
    assert!(fault.contains("it is quantized already"), "{fault}");
    let fault = refused(&scenes(), &scratch.path("no"), &["--tensor", "transformer.proj_out.bias=q8"]);
    assert!(fault.contains("tensor: transformer.proj_out.bias"), "{fault}");
}

#[test]
fn a_quantized_bundle_goes_into_other_chunks_byte_for_byte() {
    let scratch = Scratch::new();
    let packed = converted(&scenes(), &scratch.path("packed"), &["--encoding", "q4", "--group", "32", "--no-probe"]);
    let small = converted(&scratch.path("packed"), &scratch.path("small"), &["--chunk-mib", "0.01"]);
    assert!(small["files"].as_array().unwrap().len() > packed["files"].as_array().unwrap().len() + 3);
    assert!(small["tensors"].as_object().unwrap().values().any(|t| t["encoding"] == "q4" && t["rows"].is_array()));
    assert_eq!(small["name"], packed["name"]);
    // And back: from split rows to the very files that were written first.
    converted(&scratch.path("small"), &scratch.path("back"), &[]);
    assert_eq!(files(&scratch.path("back"), "safetensors"), files(&scratch.path("packed"), "safetensors"));
    for (bundle, picture) in [("packed", "a.png"), ("small", "b.png")] {
        let out = scratch.path(picture);
        let bundle = scratch.path(bundle);
        let args = [
            "generate",
            bundle.to_str().unwrap(),
            "--prompt",
            "a red circle",
            "--steps",
            "2",
            "--out",
            out.to_str().unwrap(),
        ];
        assert!(diffcr().args(args).status().unwrap().success());
    }
    assert_eq!(std::fs::read(scratch.path("a.png")).unwrap(), std::fs::read(scratch.path("b.png")).unwrap());
}
