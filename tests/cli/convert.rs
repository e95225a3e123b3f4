//! What a converted bundle holds, and that it does not depend on how the weights were laid out.

use serde_json::json;

use crate::support::*;

#[test]
fn a_diffusers_folder_becomes_a_bundle() {
    let scratch = Scratch::new();
    let manifest = converted(&sigma("pipeline"), &scratch.path("out"), &["--name", "tiny", "--license", "Apache-2.0"]);
    assert_eq!((&manifest["name"], &manifest["license"]), (&json!("tiny"), &json!("Apache-2.0")));
    assert_eq!(manifest["provenance"]["source"], "diffusers");
    assert_eq!(
        manifest["parts"]["transformer"],
        json!({
            "layers": 4, "heads": 3, "headDim": 8, "inChannels": 4, "outChannels": 8, "patchSize": 2, "captionChannels": 32,
            "sampleSize": 16, "interpolationScale": 1.0, "sizeConditions": false
        })
    );
    assert_eq!(
        manifest["parts"]["textEncoder"],
        json!({
            "vocabSize": 101, "dModel": 32, "dKv": 8, "heads": 4, "dFf": 64, "layers": 3, "relativeBuckets": 32,
            "relativeMaxDistance": 128, "layerNormEps": 1e-6, "feedForward": "gated-gelu"
        })
    );
    assert_eq!(
        manifest["parts"]["tokenizer"],
        json!({ "file": "tokenizer.json", "maxLength": 64, "padId": 0, "eosId": 1 })
    );
    assert_eq!(manifest["parts"]["vae"]["scalingFactor"], 0.13025);
    assert_eq!(manifest["parts"]["vae"]["encoder"], true);
    assert_eq!(manifest["parts"]["scheduler"]["solver"], "dpm++");
    assert!(manifest["routing"].is_null());

    // Every parameter is there, unchanged, under its prefix.
    let written = tensors(&scratch.path("out/transformer-00001-of-00001.safetensors"));
    let source = tensors(&sigma("pipeline/transformer/diffusion_pytorch_model.safetensors"));
    assert_eq!(written.len(), source.len() - usize::from(source.contains_key("pos_embed.pos_embed")));
    for (name, tensor) in &written {
        assert_eq!(Some(tensor), source.get(name.strip_prefix("transformer.").unwrap()), "{name}");
    }
    let tokenizer = std::fs::read(scratch.path("out/tokenizer.json")).unwrap();
    assert_eq!(tokenizer, std::fs::read(sigma("pipeline/tokenizer/tokenizer.json")).unwrap());
}

#[test]
fn an_alpha_is_told_by_its_tensors() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let weights = pipeline.join("transformer/diffusion_pytorch_model.safetensors");
    let mut all = tensors(&weights);
    for kind in ["resolution", "aspect_ratio"] {
        for (name, shape) in [("linear_1", [8, 256]), ("linear_2", [8, 8])] {
            let name = format!("adaln_single.emb.{kind}_embedder.{name}");
            all.insert(format!("{name}.weight"), (shape.to_vec(), vec![0; 4 * shape[0] * shape[1]]));
            all.insert(format!("{name}.bias"), (vec![8], vec![0; 32]));
        }
    }
    write_tensors(&weights, &all);
    edit_json(&pipeline.join("transformer/config.json"), |json| {
        // What the configuration says of them is not asked, and what alpha's leaves out follows from the size.
        json["_class_name"] = json!("Transformer2DModel");
        json["use_additional_conditions"] = json!(false);
        json["sample_size"] = json!(128);
        json.as_object_mut().unwrap().remove("interpolation_scale");
    });
    let manifest = converted(&pipeline, &scratch.path("out"), &[]);
    let transformer = &manifest["parts"]["transformer"];
    assert_eq!((&transformer["sizeConditions"], &transformer["interpolationScale"]), (&json!(true), &json!(2.0)));

    all.remove("adaln_single.emb.aspect_ratio_embedder.linear_2.bias");
    write_tensors(&weights, &all);
    let error = refused(&pipeline, &scratch.path("half"), &[]);
    assert!(error.contains("aspect_ratio_embedder.linear_2.bias: the tensor is missing"), "{error}");
}

#[test]
fn parts_can_be_left_out() {
    let scratch = Scratch::new();
    let manifest = converted(&sigma("pipeline"), &scratch.path("out"), &["--without", "text-encoder,vae"]);
    for part in ["textEncoder", "tokenizer", "vae"] {
        assert!(manifest["parts"][part].is_null(), "{part}");
    }
    assert_eq!(scratch.path("out").read_dir().unwrap().count(), 2);
}

#[test]
fn f16_halves_matrices_and_leaves_vectors_and_tables() {
    let scratch = Scratch::new();
    let manifest = converted(&sigma("pipeline"), &scratch.path("out"), &["--encoding", "f16"]);
    let encoding = |name: &str| manifest["tensors"][name]["encoding"].as_str().unwrap().to_owned();
    assert_eq!(encoding("transformer.transformer_blocks.0.attn1.to_q.weight"), "f16");
    assert_eq!(encoding("text_encoder.shared.weight"), "f16");
    assert_eq!(encoding("vae.decoder.conv_in.weight"), "f16");
    assert_eq!(encoding("transformer.transformer_blocks.0.attn1.to_q.bias"), "f32");
    assert_eq!(encoding("transformer.transformer_blocks.0.scale_shift_table"), "f32");
    assert_eq!(encoding("transformer.scale_shift_table"), "f32");
}

#[test]
fn large_tensors_are_split_by_rows() {
    let scratch = Scratch::new();
    // 2 KiB: the feed-forward matrices (96 x 24 and 24 x 96 values) do not fit.
    let manifest = converted(&sigma("pipeline"), &scratch.path("out"), &["--chunk-mib", "0.001953125"]);
    let name = "transformer.transformer_blocks.0.ff.net.0.proj.weight";
    let entry = &manifest["tensors"][name];
    let rows = entry["rows"].as_array().unwrap();
    assert!(rows.len() > 1 && entry["file"].is_null(), "{entry}");
    let mut values: Vec<u8> = Vec::new();
    for row in rows {
        let chunk = tensors(&scratch.path("out").join(row["file"].as_str().unwrap()));
        values.extend(&chunk[&format!("{name}.rows.{}", row["start"])].1);
    }
    let source = tensors(&sigma("pipeline/transformer/diffusion_pytorch_model.safetensors"));
    assert_eq!(values, source["transformer_blocks.0.ff.net.0.proj.weight"].1);
    let largest = manifest["files"].as_array().unwrap().iter().filter(|f| f["part"] == "transformer");
    let largest = largest.map(|f| f["bytes"].as_u64().unwrap()).max().unwrap();
    assert!(largest < 2048 + 4096, "a chunk of 2 KiB and its header has {largest} bytes");
}

/// What the layers of a drawn picture kept, at every step.
#[test]
fn a_run_leaves_its_routing() {
    let scratch = Scratch::new();
    let routers = sigma("routed.safetensors");
    converted(&sigma("pipeline"), &scratch.path("routed"), &["--routers", routers.to_str().unwrap()]);
    converted(&sigma("pipeline"), &scratch.path("dense"), &[]);
    let routing = |bundle: &str, compression: &str| -> serde_json::Value {
        let (png, json) = (scratch.path("a.png"), scratch.path("a.json"));
        let run = diffcr()
            .arg("generate")
            .arg(scratch.path(bundle))
            .args(["--prompt", "a red star", "--steps", "2"])
            .args(["--compression", compression, "--out"])
            .arg(png)
            .arg("--save-routing")
            .arg(&json)
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", stderr(&run));
        serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
    };
    // Of 64 tokens: ratios of 1, 0.8, 0.6 and 0.3, the bins nearest to what was learned, rounded up.
    for (compression, counts) in [("learned", [64, 52, 39, 20]), ("off", [64; 4])] {
        let record = routing("routed", compression);
        assert_eq!(record["grid"], json!([8, 8]));
        let steps = record["steps"].as_array().unwrap();
        assert_eq!(steps.len(), 2);
        for (layer, count) in steps.iter().flat_map(|s| s["layers"].as_array().unwrap()).zip(counts.repeat(2)) {
            let kept: Vec<u64> = layer.as_array().unwrap().iter().map(|i| i.as_u64().unwrap()).collect();
            assert_eq!(kept.len(), count, "{compression}");
            assert!(kept.is_sorted_by(|a, b| a < b) && kept.iter().all(|i| *i < 64));
        }
    }
    assert_eq!(routing("dense", "learned")["steps"][0]["layers"], json!([null, null, null, null]));
}

#[test]
fn routers_come_from_a_file() {
    let scratch = Scratch::new();
    let routers = sigma("routed.safetensors");
    let manifest = converted(&sigma("pipeline"), &scratch.path("out"), &["--routers", routers.to_str().unwrap()]);
    let preset = json!({ "name": "learned", "keep": [[1.0, 0.78000003, 0.56, 0.34]], "denseSteps": 0.0 });
    let bins = json!([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]);
    let routing = json!({
        "bins": bins, "regions": 1, "scoreScale": "mlp", "scoreGain": 1.0, "presets": [preset], "default": "learned"
    });
    assert_eq!(manifest["routing"], routing);
    let written = tensors(&scratch.path("out/transformer-00001-of-00001.safetensors"));
    let given = tensors(&routers);
    for n in 0..4 {
        let (shape, values) = &written[&format!("transformer.transformer_blocks.{n}.router.weight")];
        assert_eq!((shape.as_slice(), values), (&[1, 24][..], &given[&format!("router.{n}")].1));
    }
    // A row of ratios for each region.
    let mut regions = given;
    let (_, keep) = regions["keep"].clone();
    regions.insert("keep".into(), (vec![2, 4], [keep.as_slice(), &keep].concat()));
    write_tensors(&scratch.path("r.safetensors"), &regions);
    let file = scratch.path("r.safetensors");
    let manifest = converted(&sigma("pipeline"), &scratch.path("two"), &["--routers", file.to_str().unwrap()]);
    assert_eq!(
        (&manifest["routing"]["regions"], &manifest["routing"]["presets"][0]["keep"][1][2]),
        (&json!(2), &json!(0.56))
    );
}

#[test]
fn the_same_content_gives_the_same_files() {
    let scratch = Scratch::new();
    let first = converted(&sigma("pipeline"), &scratch.path("a"), &[]);
    let again = converted(&sigma("pipeline"), &scratch.path("b"), &[]);
    assert_eq!(files(&scratch.path("a"), ""), files(&scratch.path("b"), ""));
    assert_eq!(first["version"], again["version"]);
    let other = converted(&sigma("pipeline"), &scratch.path("c"), &["--encoding", "f16"]);
    assert_ne!(first["version"], other["version"]);
}

#[test]
fn a_bundle_is_replaced_only_by_force() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    converted(&sigma("pipeline"), &out, &[]);
    let before = files(&out, "");
    let output = convert(&sigma("pipeline"), &out, &["--encoding", "f16"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error_line(&output).contains("--force"));
    assert_eq!(files(&out, ""), before);
    let manifest = converted(&sigma("pipeline"), &out, &["--encoding", "f16", "--force"]);
    assert_eq!(manifest["tensors"]["vae.decoder.conv_in.weight"]["encoding"], "f16");
    assert_eq!(scratch.entries(), ["out"]);

    // Even force does not delete what is no bundle.
    std::fs::create_dir(scratch.path("photos")).unwrap();
    std::fs::write(scratch.path("photos/a.jpg"), "x").unwrap();
    let output = convert(&sigma("pipeline"), &scratch.path("photos"), &["--force"]);
    assert!(error_line(&output).contains("is not a bundle"));
    assert!(scratch.path("photos/a.jpg").exists());
}

#[test]
fn json_and_quiet_are_obeyed() {
    let scratch = Scratch::new();
    let output = convert(&sigma("pipeline"), &scratch.path("out"), &["--json"]);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["version"], manifest(&scratch.path("out"))["version"]);
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
    let output = convert(&sigma("pipeline"), &scratch.path("quiet"), &["--quiet"]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
    let inspected = diffcr().args(["inspect", "--json"]).arg(scratch.path("out")).output().unwrap();
    let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(inspected["sizes"]["transformer"]["encodings"], json!({ "f32": 99 }));
    assert_eq!(inspected["sizes"]["transformer"]["parameters"], 51_704);
    assert!(inspected["needs"]["webgpu"]["peakGpuBytes"].as_u64().unwrap() > 4 * 51_704);
    assert_eq!(inspected["needs"]["cpu"]["peakGpuBytes"], 0);
}
