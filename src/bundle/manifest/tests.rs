//! Each kind of fault of a manifest, by name.

use serde_json::{Value, json};

use super::*;

/// A manifest with one plain, one split and one quantized tensor, a tokenizer and a routing.
pub fn sample() -> Value {
    let file = |path: &str, part: &str| json!({ "path": path, "bytes": 4096, "sha256": "0".repeat(64), "part": part });
    json!({
        "format": "diffcr", "formatVersion": 1, "name": "sample", "version": "0",
        "files": [file("t.safetensors", "transformer"), file("e.safetensors", "textEncoder"), file("tokenizer.json", "tokenizer")],
        "parts": {
            "transformer": {
                "layers": 2, "heads": 3, "headDim": 8, "inChannels": 4, "outChannels": 8, "patchSize": 2,
                "captionChannels": 32, "sampleSize": 16, "interpolationScale": 1.0, "sizeConditions": false
            },
            "textEncoder": {
                "vocabSize": 10, "dModel": 8, "dKv": 4, "heads": 2, "dFf": 16, "layers": 1, "relativeBuckets": 32,
                "relativeMaxDistance": 128, "layerNormEps": 1e-6, "feedForward": "gated-gelu"
            },
            "tokenizer": { "file": "tokenizer.json", "maxLength": 64, "padId": 0, "eosId": 1 },
            "vae": {
                "inChannels": 3, "outChannels": 3, "latentChannels": 4, "blockOutChannels": [8, 16], "layersPerBlock": 1,
                "normGroups": 4, "midAttention": true, "quantConv": true, "postQuantConv": true, "scalingFactor": 0.13,
                "encoder": true
            },
            "scheduler": {
                "trainTimesteps": 1000, "betaStart": 1e-4, "betaEnd": 0.02, "betaSchedule": "linear",
                "prediction": "epsilon", "solver": "dpm++"
            }
        },
        "tensors": {
            "transformer.a": { "shape": [2, 3], "encoding": "f32", "file": "t.safetensors" },
            "text_encoder.b": { "shape": [4, 3], "encoding": "f16", "rows": [
                { "start": 0, "count": 3, "file": "e.safetensors" }, { "start": 3, "count": 1, "file": "e.safetensors" }] },
            "transformer.c": { "shape": [2, 64], "encoding": "q4", "group": 32, "file": "t.safetensors" }
        },
        "routing": {
            "bins": [1.0, 0.5], "regions": 1, "scoreScale": "mlp", "scoreGain": 1.0, "default": "learned",
            "presets": [{ "name": "learned", "keep": [[1.0, 0.5]], "denseSteps": 0.0 }]
        }
    })
}

/// The message of the error that `pointer` set to `value` gives.
fn fault(pointer: &str, value: Value) -> String {
    let mut manifest = sample();
    *manifest.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not in the sample")) = value;
    let error = Manifest::parse(&manifest.to_string()).expect_err(pointer);
    assert!(matches!(error.code(), "MANIFEST_INVALID" | "MANIFEST_VERSION"), "{error:?}");
    error.to_string()
}

#[test]
fn the_sample_is_valid_and_survives_a_round_trip() {
    let manifest = Manifest::parse(&sample().to_string()).unwrap();
    let again = Manifest::parse(&serde_json::to_string(&manifest).unwrap()).unwrap();
    assert_eq!(manifest, again);
    assert_eq!(manifest.total_bytes(), 3 * 4096);
}

#[test]
fn pieces_follow_the_rows() {
    let manifest = Manifest::parse(&sample().to_string()).unwrap();
    let pieces = manifest.tensors["text_encoder.b"].pieces("text_encoder.b");
    let seen: Vec<_> = pieces.iter().map(|p| (p.name.as_str(), p.start, p.shape.clone(), p.bytes())).collect();
    assert_eq!(seen, [("text_encoder.b.rows.0", 0, vec![3, 3], 18), ("text_encoder.b.rows.3", 3, vec![1, 3], 6)]);
    assert_eq!(manifest.tensors["transformer.c"].pieces("transformer.c")[0].bytes(), 64 + 8);
}

#[test]
fn another_format_or_version_is_refused_before_the_fields() {
    let json = json!({ "format": "diffcr", "formatVersion": 99, "surprise": true }).to_string();
    let error = Manifest::parse(&json).unwrap_err();
    assert_eq!(error.code(), "MANIFEST_VERSION");
    assert_eq!(error.details(), json!({ "found": 99, "supported": FORMAT_VERSION }));
    assert!(fault("/format", json!("gguf")).contains("\"gguf\""));
    assert!(fault("/format", json!(null)).contains("format"));
    assert!(fault("/formatVersion", json!(null)).contains("`formatVersion` is missing"));
    assert!(Manifest::parse("{").unwrap_err().to_string().contains("not JSON"));
    assert!(Manifest::parse("").unwrap_err().to_string().contains("not JSON"));
}

#[test]
fn a_missing_or_unknown_field_is_named() {
    assert!(fault("/name", json!(null)).contains("null"));
    assert!(fault("/parts/transformer", json!({ "layers": 2 })).contains("heads"));
    assert!(fault("/parts/vae", json!({ "blocks": 2 })).contains("blocks"));
    assert!(fault("/tensors/transformer.a/encoding", json!("f64")).contains("f64"));
    assert!(fault("/parts/transformer/layers", json!(-1)).contains("-1"));
}

#[test]
fn files_are_checked() {
    for path in ["", "/etc/passwd", "../x", "a//b", "a/./b", "C:\\x", "a?b", "a%2e", "diffcr.json"] {
        assert!(fault("/files/0/path", json!(path)).contains("is not allowed"), "{path}");
    }
    assert!(fault("/files/0/path", json!("e.safetensors")).contains("listed twice"));
    assert!(fault("/files/0/bytes", json!(1u64 << 40)).contains("claims"));
    assert!(fault("/files/0/sha256", json!("F".repeat(64))).contains("sha256"));
    assert!(fault("/files/2/part", json!("vae")).contains("tokenizer.json"));
    assert!(fault("/parts/tokenizer", json!(null)).contains("is not the tokenizer's"));
    assert!(fault("/files/0/part", json!("tokenizer")).contains("is not the tokenizer's"));
}

#[test]
fn tensors_are_checked() {
    let a = "/tensors/transformer.a";
    for shape in [json!([0, 3]), json!([1u64 << 40, 3]), json!([u64::MAX, u64::MAX]), json!([1, 1, 1, 1, 1, 1, 1])] {
        assert!(fault(&format!("{a}/shape"), shape).contains("is not possible"));
    }
    assert!(fault(&format!("{a}/shape"), json!([200, 300])).contains("does not fit"));
    assert!(fault(&format!("{a}/file"), json!(null)).contains("either `file` or `rows`"));
    assert!(fault(&format!("{a}/file"), json!("x.safetensors")).contains("is not listed"));
    assert!(fault(&format!("{a}/file"), json!("e.safetensors")).contains("belongs to part"));
    assert!(fault(&format!("{a}/encoding"), json!("q8")).contains("`group` goes with"));
    for group in [0, 12, 128] {
        assert!(fault("/tensors/transformer.c/group", json!(group)).contains("do not fit"));
    }
    assert!(fault("/tensors/transformer.c/group", json!(null)).contains("`group` goes with"));
}

#[test]
fn rows_are_checked() {
    let rows = "/tensors/text_encoder.b/rows";
    assert!(fault(&format!("{rows}/1/start"), json!(2)).contains("do not follow"));
    assert!(fault(&format!("{rows}/1/count"), json!(0)).contains("do not follow"));
    assert!(fault(&format!("{rows}/1/count"), json!(2)).contains("5 rows"));
    assert!(fault(&format!("{rows}/1/file"), json!("x")).contains("is not listed"));
    assert!(fault(&format!("{rows}/1/count"), json!(u64::MAX)).contains("rows"));
}

#[test]
fn parts_are_checked() {
    assert!(fault("/parts/transformer/heads", json!(0)).contains("heads is 0"));
    assert!(fault("/parts/transformer/headDim", json!(u64::MAX)).contains("headDim"));
    assert!(fault("/parts/transformer/headDim", json!(7)).contains("multiple of 4"));
    assert!(fault("/parts/transformer/interpolationScale", json!(0.0)).contains("interpolationScale"));
    assert!(fault("/parts/transformer/patchSize", json!(32)).contains("sampleSize"));
    assert!(fault("/parts/textEncoder/layerNormEps", json!(-1.0)).contains("layerNormEps"));
    assert!(fault("/parts/vae/blockOutChannels", json!([])).contains("0 levels"));
    assert!(fault("/parts/vae/blockOutChannels", json!([8, 10])).contains("normGroups"));
    assert!(fault("/parts/scheduler/betaEnd", json!(2.0)).contains("betaStart"));
    assert!(fault("/parts/scheduler/trainTimesteps", json!(0)).contains("trainTimesteps"));
}

#[test]
fn routing_is_checked() {
    assert!(fault("/routing/bins", json!([])).contains("`bins`"));
    assert!(fault("/routing/bins", json!([0.5, 1.0])).contains("`bins`"));
    assert!(fault("/routing/bins", json!([1.0, 0.0])).contains("`bins`"));
    assert!(fault("/routing/regions", json!(0)).contains("`regions`"));
    assert!(fault("/routing/scoreGain", json!(0.0)).contains("`scoreGain`"));
    assert!(fault("/routing/regions", json!(2)).contains("must be 2 x 2"));
    assert!(fault("/routing/presets/0/keep", json!([[1.0]])).contains("must be 1 x 2"));
    assert!(fault("/routing/presets/0/keep", json!([[1.0, 1.5]])).contains("outside (0, 1]"));
    assert!(fault("/routing/presets/0/denseSteps", json!(2.0)).contains("`denseSteps`"));
    assert!(fault("/routing/default", json!("x")).contains("\"x\""));
}
