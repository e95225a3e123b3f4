//! The same weights in every layout the converter reads give the same chunks, byte for byte.

use serde_json::json;

use crate::support::*;

const WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";

/// Converts the changed copy of the fixture: its `part`'s files must be those of the fixture itself.
fn same_files(scratch: &Scratch, src: &std::path::Path, part: &str, options: &[&str]) {
    converted(&sigma("pipeline"), &scratch.path("expected"), options);
    converted(src, &scratch.path("found"), options);
    let (expected, found) = (files(&scratch.path("expected"), part), files(&scratch.path("found"), part));
    assert!(!expected.is_empty());
    assert!(expected == found, "{:?} and {:?} differ", expected.keys(), found.keys());
}

#[test]
fn shards() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let all = tensors(&pipeline.join(WEIGHTS));
    let mut map = serde_json::Map::new();
    for (i, half) in [0, 1].into_iter().enumerate() {
        let file = format!("diffusion_pytorch_model-{:05}-of-00002.safetensors", i + 1);
        let part: Tensors =
            all.clone().into_iter().enumerate().filter(|(n, _)| n % 2 == half).map(|(_, t)| t).collect();
        map.extend(part.keys().map(|name| (name.clone(), json!(file))));
        write_tensors(&pipeline.join("transformer").join(file), &part);
    }
    std::fs::remove_file(pipeline.join(WEIGHTS)).unwrap();
    let index = pipeline.join("transformer/diffusion_pytorch_model.safetensors.index.json");
    std::fs::write(&index, json!({ "metadata": {}, "weight_map": map }).to_string()).unwrap();
    same_files(&scratch, &pipeline, "transformer", &[]);

    edit_json(&index, |json| {
        json["weight_map"]["proj_out.weight"] = json!("diffusion_pytorch_model-00003-of-00002.safetensors")
    });
    let error = refused(&pipeline, &scratch.path("out"), &[]);
    assert!(error.contains("diffusion_pytorch_model-00003-of-00002.safetensors"), "{error}");
    edit_json(&index, |json| json["weight_map"]["proj_out.weight"] = json!("../secret.safetensors"));
    assert!(refused(&pipeline, &scratch.path("out"), &[]).contains("not a plain file name"));
}

#[test]
fn a_bin_where_only_that_exists() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let mut encoder = tensors(&pipeline.join("text_encoder/model.safetensors"));
    let table = encoder["shared.weight"].clone();
    encoder.insert("encoder.embed_tokens.weight".into(), table);
    write_torch(&pipeline.join("text_encoder/pytorch_model.bin"), &encoder);
    std::fs::remove_file(pipeline.join("text_encoder/model.safetensors")).unwrap();
    same_files(&scratch, &pipeline, "text_encoder", &[]);
}

#[test]
fn the_other_name_of_the_embedding_table() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let file = pipeline.join("text_encoder/model.safetensors");
    let mut encoder = tensors(&file);
    let table = encoder.remove("shared.weight").unwrap();
    encoder.insert("encoder.embed_tokens.weight".into(), table);
    write_tensors(&file, &encoder);
    same_files(&scratch, &pipeline, "text_encoder", &[]);
}

#[test]
fn old_names_of_the_vae() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let file = pipeline.join("vae/diffusion_pytorch_model.safetensors");
    let renamed = tensors(&file).into_iter().map(|(name, tensor)| {
        let name = name.replace(".to_q.", ".query.").replace(".to_k.", ".key.").replace(".to_v.", ".value.");
        (name.replace("attentions.0.to_out.0.", "attentions.0.proj_attn."), tensor)
    });
    write_tensors(&file, &renamed.collect());
    same_files(&scratch, &pipeline, "vae", &[]);
}

#[test]
fn the_authors_pth() {
    let scratch = Scratch::new();
    same_files(&scratch, &sigma("original.pth"), "transformer", &["--heads", "3"]);
    let manifest = manifest(&scratch.path("found"));
    assert_eq!(manifest["provenance"]["source"], "pixart");
    // 300 text tokens make it a Sigma, whose scale follows the size that the position table tells.
    let transformer = &manifest["parts"]["transformer"];
    assert_eq!((&transformer["sampleSize"], &transformer["interpolationScale"]), (&json!(16), &json!(0.25)));
    assert_eq!(manifest["parts"]["scheduler"]["solver"], "dpm++");
}

#[test]
fn a_diffcr_pth_of_the_older_format() {
    let scratch = Scratch::new();
    let routers = sigma("routed.safetensors");
    let expected = converted(&sigma("pipeline"), &scratch.path("a"), &["--routers", routers.to_str().unwrap()]);
    let found = converted(&sigma("legacy.pth"), &scratch.path("b"), &["--heads", "3"]);
    assert!(files(&scratch.path("a"), "transformer") == files(&scratch.path("b"), "transformer"));
    assert_eq!(expected["routing"], found["routing"]);
}

#[test]
fn a_single_safetensors_file_under_wrapped_names() {
    let scratch = Scratch::new();
    let wrapped =
        tensors(&sigma("pipeline").join(WEIGHTS)).into_iter().map(|(n, t)| (format!("model.{n}"), t)).collect();
    write_tensors(&scratch.path("model.safetensors"), &wrapped);
    same_files(
        &scratch,
        &scratch.path("model.safetensors"),
        "transformer",
        &["--heads", "3", "--sample-size", "16", "--interpolation-scale", "0.25"],
    );
}

#[test]
fn a_sentencepiece_model_as_transformers_reads_it() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    std::fs::remove_file(pipeline.join("tokenizer/tokenizer.json")).unwrap();
    std::fs::copy(sigma("spiece.model"), pipeline.join("tokenizer/spiece.model")).unwrap();
    // The sentinels reach beyond the fixture's encoder, which no bundle may: it gets rows for them.
    let weights = pipeline.join("text_encoder/model.safetensors");
    let mut all = tensors(&weights);
    for (shape, bytes) in all.values_mut().filter(|(shape, _)| shape[0] == 101) {
        bytes.extend(vec![0; 4 * 155 * shape[1]]);
        shape[0] += 155;
    }
    write_tensors(&weights, &all);
    edit_json(&pipeline.join("text_encoder/config.json"), |json| json["vocab_size"] = json!(256));
    // Without a limit of its own the tokenizer has the pipeline's: 300 tokens in Sigma, 120 in alpha.
    std::fs::remove_file(pipeline.join("tokenizer/tokenizer_config.json")).unwrap();
    let manifest = converted(&pipeline, &scratch.path("out"), &[]);
    assert_eq!(
        manifest["parts"]["tokenizer"],
        json!({ "file": "tokenizer.json", "maxLength": 300, "padId": 0, "eosId": 1 })
    );
    let (found, expected) = (read_json(&scratch.path("out/tokenizer.json")), read_json(&sigma("spiece.json")));
    for field in ["normalizer", "pre_tokenizer", "post_processor", "decoder", "model"] {
        assert_eq!(found[field], expected[field], "{field}");
    }
    let added = |json: &serde_json::Value| {
        let tokens = json["added_tokens"].as_array().unwrap().iter();
        tokens.map(|t| (t["id"].as_u64(), t["content"].clone(), t["special"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(added(&found), added(&expected));

    edit_json(&pipeline.join("model_index.json"), |json| json["_class_name"] = json!("PixArtAlphaPipeline"));
    std::fs::write(pipeline.join("tokenizer/tokenizer_config.json"), r#"{"model_max_length": 512}"#).unwrap();
    let manifest = converted(&pipeline, &scratch.path("alpha"), &[]);
    assert_eq!(manifest["parts"]["tokenizer"]["maxLength"], 120);

    // A token that was added above the vocabulary is one token.
    std::fs::write(pipeline.join("tokenizer/added_tokens.json"), r#"{"<style>": 201}"#).unwrap();
    converted(&pipeline, &scratch.path("added"), &[]);
    let (prompts, out) = (scratch.path("prompts.json"), scratch.path("ids.safetensors"));
    std::fs::write(&prompts, r#"["a <style> a"]"#).unwrap();
    let mut probe = diffcr();
    probe.arg("probe").arg(scratch.path("added")).args(["--part", "text-encoder", "--prompts"]).arg(&prompts);
    assert!(probe.arg("--out").arg(&out).output().unwrap().status.success());
    let ids = &read_tensors(&out)["input_ids"].1;
    assert!(ids.contains(&201.0) && !ids.contains(&2.0), "{ids:?}");
    std::fs::write(pipeline.join("tokenizer/added_tokens.json"), r#"{"<style>": 203}"#).unwrap();
    let error = refused(&pipeline, &scratch.path("gap"), &[]);
    assert!(error.contains("\"<style>\" has the id 203, and no token has the id 201"), "{error}");
}

#[test]
fn tiny_autoencoders() {
    let scratch = Scratch::new();
    let tiny = sigma("vae_tiny");
    let from_diffusers = converted(&sigma("pipeline"), &scratch.path("a"), &["--vae-tiny", tiny.to_str().unwrap()]);
    assert_eq!(
        from_diffusers["parts"]["vaeTiny"],
        json!({
            "inChannels": 3, "outChannels": 3, "latentChannels": 4, "encoderBlockChannels": [8, 8, 8, 8],
            "decoderBlockChannels": [8, 8, 8, 8], "encoderBlocks": [1, 2, 2, 2], "decoderBlocks": [2, 2, 2, 1],
            "upsamplingFactor": 2, "latentMagnitude": 3.0, "scalingFactor": 1.0, "encoder": true
        })
    );

    // TAESD's own two files: no prefix, the decoder's numbers one higher.
    let (mut encoder, mut decoder) = (Tensors::new(), Tensors::new());
    for (name, tensor) in tensors(&tiny.join("diffusion_pytorch_model.safetensors")) {
        let (half, rest) = name.split_once(".layers.").unwrap();
        let (n, rest) = rest.split_once('.').unwrap();
        match half {
            "encoder" => encoder.insert(format!("{n}.{rest}"), tensor),
            _ => decoder.insert(format!("{}.{rest}", n.parse::<usize>().unwrap() + 1), tensor),
        };
    }
    let taesd = scratch.path("taesd");
    std::fs::create_dir(&taesd).unwrap();
    write_tensors(&taesd.join("taesd_encoder.safetensors"), &encoder);
    write_torch(&taesd.join("taesd_decoder.pth"), &decoder);
    let found = converted(&sigma("pipeline"), &scratch.path("b"), &["--vae-tiny", taesd.to_str().unwrap()]);
    assert_eq!(from_diffusers["parts"]["vaeTiny"], found["parts"]["vaeTiny"]);
    assert!(files(&scratch.path("a"), "vae_tiny") == files(&scratch.path("b"), "vae_tiny"));

    // The decoder alone.
    let file = taesd.join("taesd_decoder.pth");
    let found = converted(&sigma("pipeline"), &scratch.path("c"), &["--vae-tiny", file.to_str().unwrap()]);
    assert_eq!(found["parts"]["vaeTiny"]["encoder"], false);
}
