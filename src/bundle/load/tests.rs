//! A small bundle built in memory goes through the loader; every fault of a file is named.

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Value, json};

use super::*;
use crate::bundle::manifest::tests::sample;

const ROWS: [[f32; 3]; 4] = [[0., 1., 2.], [3., 4., 5.], [6., 7., 8.], [9., 10., 11.]];

/// Files of a bundle: a dense tensor, the host table split over two files, a tokenizer.
fn files() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let file = |name: &str, shape: &[usize], values: &[f32]| {
        let data = bytes(values);
        serialize([(name, TensorView::new(Dtype::F32, shape.to_vec(), &data).unwrap())], None).unwrap()
    };
    vec![
        ("t.safetensors", "transformer", file("transformer.a", &[2, 1], &[7., 8.])),
        ("e1.safetensors", "textEncoder", file("text_encoder.shared.weight.rows.0", &[3, 3], ROWS[..3].as_flattened())),
        ("e2.safetensors", "textEncoder", file("text_encoder.shared.weight.rows.3", &[1, 3], ROWS[3..].as_flattened())),
        ("tokenizer.json", "tokenizer", b"{}".to_vec()),
    ]
}

fn manifest(edit: impl Fn(&mut Value)) -> Manifest {
    let mut json = sample();
    let entry = |(path, part, bytes): (&str, &str, Vec<u8>)| json!({ "path": path, "part": part, "bytes": bytes.len(), "sha256": hex(&Sha256::digest(&bytes)) });
    json["files"] = files().into_iter().map(entry).collect();
    json["tensors"] = json!({
        "transformer.a": { "shape": [2, 1], "encoding": "f32", "file": "t.safetensors" },
        "text_encoder.shared.weight": { "shape": [4, 3], "encoding": "f32", "rows": [
            { "start": 0, "count": 3, "file": "e1.safetensors" }, { "start": 3, "count": 1, "file": "e2.safetensors" }] }
    });
    edit(&mut json);
    Manifest::parse(&json.to_string()).unwrap()
}

fn loader() -> Loader {
    Loader::of_files(manifest(|_| {}), &Device::flex(), |_| true)
}

#[test]
fn files_in_any_order_become_the_same_tensors() {
    for reversed in [false, true] {
        let (mut loader, mut files) = (loader(), files());
        if reversed {
            files.reverse();
        }
        for (path, _, bytes) in files {
            loader.add_file(path, &bytes).unwrap();
        }
        let Loaded { mut weights, tokenizer, .. } = loader.finish().unwrap();
        assert_eq!(tokenizer.as_deref(), Some(b"{}".as_slice()));
        let a = weights.scope("transformer").take("a", [2, 1]).unwrap();
        assert_eq!(a.to_data_as::<f32>().try_to_vec::<f32>().unwrap(), [7., 8.]);
        let table = weights.scope("text_encoder").take_host("shared.weight", [4, 3]).unwrap();
        assert_eq!(table.data(), ROWS.as_flattened());
        weights.finish().unwrap();
    }
}

#[test]
fn a_missing_file_is_named_at_the_end() {
    let mut loader = loader();
    for (path, _, bytes) in files().into_iter().filter(|f| f.0 != "e2.safetensors") {
        loader.add_file(path, &bytes).unwrap();
    }
    let error = loader.finish().unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), ("INTEGRITY", "e2.safetensors: missing"));
}

#[test]
fn a_damaged_file_is_named_and_can_be_given_again() {
    let mut loader = loader();
    let (path, _, good) = files().remove(0);
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut fault = |bytes: &[u8]| {
        let error = loader.add_file(path, bytes).unwrap_err();
        assert_eq!(error.code(), "INTEGRITY");
        error.to_string()
    };
    assert!(fault(&good[..good.len() - 1]).starts_with("t.safetensors: truncated"));
    assert!(fault(&[]).starts_with("t.safetensors: truncated"));
    assert!(fault(&altered).starts_with("t.safetensors: altered"));
    assert!(fault(&[good.as_slice(), &[0]].concat()).starts_with("t.safetensors: altered"));
    loader.add_file(path, &good).unwrap();
    assert!(loader.add_file(path, &good).unwrap_err().to_string().contains("given already"));
    assert!(loader.add_file("x", &good).unwrap_err().to_string().contains("does not list it"));
}

#[test]
fn a_tensor_that_differs_from_the_manifest_is_named() {
    let fault = |edit: &dyn Fn(&mut Value)| {
        let mut loader = Loader::of_files(manifest(edit), &Device::flex(), |_| true);
        let (path, _, bytes) = files().remove(0);
        let error = loader.add_file(path, &bytes).unwrap_err();
        assert_eq!(error.code(), "MODEL_INVALID");
        error.to_string()
    };
    let unknown = fault(&|m| {
        m["tensors"].as_object_mut().unwrap().remove("transformer.a");
    });
    assert!(unknown.starts_with("transformer.a: t.safetensors holds it"), "{unknown}");
    let absent = fault(&|m| {
        m["tensors"]["transformer.b"] = json!({ "shape": [1], "encoding": "f32", "file": "t.safetensors" });
    });
    assert_eq!(absent, "transformer.b: t.safetensors does not hold it");
    assert!(fault(&|m| m["tensors"]["transformer.a"]["shape"] = json!([1, 2])).contains("its shape"));
    assert!(fault(&|m| m["tensors"]["transformer.a"]["encoding"] = json!("f16")).contains("as F32"));
}

#[test]
fn only_the_wanted_parts_are_awaited() {
    let mut loader = Loader::of_files(manifest(|_| {}), &Device::flex(), |s| s.part() == Part::Transformer);
    assert_eq!(loader.pending().collect::<Vec<_>>(), ["t.safetensors"]);
    assert!(loader.add_file("tokenizer.json", b"{}").unwrap_err().to_string().contains("not loaded"));
    loader.add_file("t.safetensors", &files().remove(0).2).unwrap();
    assert!(loader.finish().unwrap().tokenizer.is_none());
}

#[test]
fn a_bundle_that_cannot_run_is_refused_before_any_file() {
    let error = Loader::new(manifest(|_| {}), &Device::flex()).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("MODEL_INVALID", "text_encoder.shared.weight: its states are 8 wide, the transformer reads 32")
    );
}
