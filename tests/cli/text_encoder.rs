//! The text encoder that passes by, and prompts that a bundle knows without one.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::*;

const PROMPT: &str = "a large red circle on a blue background";

fn generate(bundle: &Path, out: &Path, options: &[&str]) -> Output {
    let mut command = diffcr();
    command.arg("generate").arg(bundle).args(["--prompt", PROMPT, "--steps", "2", "--seed", "3", "--out"]).arg(out);
    command.args(options).output().unwrap()
}

fn picture(bundle: &Path, out: PathBuf, options: &[&str]) -> Vec<u8> {
    let output = generate(bundle, &out, options);
    assert!(output.status.success(), "{}", stderr(&output));
    std::fs::read(out).unwrap()
}

fn latents(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor("final_latents").unwrap().data().to_vec();
    data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn an_encoder_that_passes_by_draws_the_same_picture() {
    let scratch = Scratch::new();
    let bundle = fixture("scenes/bundle");
    let drawn = ["resident", "streamed"].map(|mode| {
        let saved = scratch.path(&format!("{mode}.safetensors"));
        picture(&bundle, scratch.path("x.png"), &["--text-encoder", mode, "--save-latents", saved.to_str().unwrap()]);
        latents(&saved)
    });
    let worst = drawn[0].iter().zip(&drawn[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 5e-3, "states are kept in f16: {worst}");
}

#[test]
fn prompts_that_are_embedded_are_drawn_without_a_text_encoder() {
    let scratch = Scratch::new();
    let bundle = scratch.path("bundle");
    copy_folder(&fixture("scenes/bundle"), &bundle);
    let list = scratch.path("prompts.txt");
    std::fs::write(&list, format!("{PROMPT}\n\n  a green star \n{PROMPT}\n")).unwrap();
    let output = diffcr().args(["embed", "--json", "--prompts"]).arg(&list).arg(&bundle).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["prompts"], &said["cut"]), (&3.into(), &0.into()), "and the empty one");
    assert_eq!(manifest(&bundle)["formatVersion"], 3);
    assert!(diffcr().arg("verify").arg(&bundle).output().unwrap().status.success());

    let streamed = picture(&fixture("scenes/bundle"), scratch.path("s.png"), &["--text-encoder", "streamed"]);
    assert!(picture(&bundle, scratch.path("known.png"), &[]) == streamed, "the same f16 states");

    let gallery = scratch.path("gallery");
    // Nothing but other chunks is asked of a quantized bundle; of another one, encoded anew, what was embedded is not true any more.
    let q8 = scratch.path("q8");
    assert!(convert(&fixture("scenes/bundle"), &q8, &["--encoding", "q8"]).status.success());
    assert!(diffcr().args(["embed", "--prompts"]).arg(&list).arg(&q8).output().unwrap().status.success());
    let output = convert(&q8, &gallery, &["--without", "text-encoder"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(manifest(&gallery)["parts"].get("textEncoder").is_none());
    assert_eq!(
        picture(&gallery, scratch.path("g.png"), &[]),
        picture(&q8, scratch.path("q.png"), &["--text-encoder", "streamed"])
    );
    let other = ["--negative", "a blue ring"];
    let output = generate(&gallery, &scratch.path("n.png"), &other);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("negativePrompt: this bundle has no text encoder, and does not know"));

    let again = convert(&bundle, &scratch.path("again"), &["--encoding", "q8"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("prompts.safetensors is left out"));
}

#[test]
fn what_cannot_be_embedded_is_said_before_anything_is_computed() {
    let scratch = Scratch::new();
    let bundle = scratch.path("bundle");
    copy_folder(&fixture("scenes/bundle"), &bundle);
    let embed = |prompts: &str| {
        let list = scratch.path("list");
        std::fs::write(&list, prompts).unwrap();
        diffcr().args(["embed", "--prompts"]).arg(&list).arg(&bundle).output().unwrap()
    };
    let output = embed("[\"a\", 3]");
    assert!(stderr(&output).contains("prompts: not a JSON list of strings"), "{}", stderr(&output));
    let long = "a red circle ".repeat(40);
    let output = embed(&long);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("are beyond the"));
    // A damaged file is found by verify, and by whoever loads it.
    let path = bundle.join("prompts.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    for command in ["verify", "generate"] {
        let mut run = diffcr();
        run.arg(command).arg(&bundle);
        if command == "generate" {
            run.args(["--prompt", "x", "--out"]).arg(scratch.path("x.png"));
        }
        let output = run.output().unwrap();
        assert!(stderr(&output).contains("prompts.safetensors: altered"), "{}", stderr(&output));
    }
}
