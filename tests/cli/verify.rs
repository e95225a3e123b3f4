//! `diffcr verify` names the first fault of a damaged bundle and exits with 1.

use std::path::Path;

use serde_json::json;

use crate::support::*;

const CHUNK: &str = "vae-00001-of-00002.safetensors";

/// The error for the fixture's bundle after `damage`.
fn damaged(damage: impl Fn(&Path)) -> String {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    converted(&sigma("pipeline"), &out, &[]);
    damage(&out);
    let output = diffcr().arg("verify").arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    error_line(&output)
}

#[test]
fn damaged_chunks_are_named() {
    let altered = damaged(|out| {
        let mut bytes = std::fs::read(out.join(CHUNK)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(out.join(CHUNK), bytes).unwrap();
    });
    assert!(altered.starts_with(&format!("error: {CHUNK}: altered: its sha256 is")), "{altered}");
    let truncated = damaged(|out| {
        let bytes = std::fs::read(out.join(CHUNK)).unwrap();
        std::fs::write(out.join(CHUNK), &bytes[..bytes.len() - 5]).unwrap();
    });
    assert!(truncated.starts_with(&format!("error: {CHUNK}: truncated: it has")), "{truncated}");
    let missing = damaged(|out| std::fs::remove_file(out.join(CHUNK)).unwrap());
    assert_eq!(missing, format!("error: {CHUNK}: missing"));
    let tokenizer = damaged(|out| std::fs::write(out.join("tokenizer.json"), "{}").unwrap());
    assert!(tokenizer.starts_with("error: tokenizer.json: truncated"), "{tokenizer}");
}

#[test]
fn faults_of_the_manifest_are_named() {
    let edited = |edit: fn(&mut serde_json::Value)| damaged(|out| edit_json(&out.join("diffcr.json"), edit));
    let version = edited(|json| json["formatVersion"] = json!(99));
    assert_eq!(version, "error: manifest: formatVersion 99 is not supported, this build reads up to 3");
    assert!(edited(|json| json["format"] = json!("other")).contains("`format` is \"other\""));
    assert!(edited(|json| json["files"][0]["path"] = json!("../x")).contains("\"../x\" is not allowed"));
    let shape = edited(|json| json["tensors"]["vae.decoder.conv_in.bias"]["shape"] = json!([4, 4]));
    assert!(shape.contains("vae.decoder.conv_in.bias: its shape is [4, 4], not "), "{shape}");
    let unlisted = edited(|json| drop(json["tensors"].as_object_mut().unwrap().remove("vae.decoder.conv_in.bias")));
    assert!(unlisted.contains("vae.decoder.conv_in.bias: the tensor is missing"), "{unlisted}");
    let cut = damaged(|out| std::fs::write(out.join("diffcr.json"), "{\"format\":").unwrap());
    assert!(cut.contains("manifest: not JSON"), "{cut}");
    let gone = damaged(|out| std::fs::remove_file(out.join("diffcr.json")).unwrap());
    assert!(gone.contains("diffcr.json"), "{gone}");
}

#[test]
fn a_failure_is_json_where_asked() {
    let output = diffcr().args(["verify", "--json", "/nonexistent"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["error"]["code"], "IO");
    error_line(&output);
}
