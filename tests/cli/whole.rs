//! Published layouts convert with the right settings, and what cannot run is refused before anything is written.

use serde_json::json;

use crate::support::*;

const WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";
const VAE: &str = "vae/diffusion_pytorch_model.safetensors";
const TEXT: &str = "text_encoder/model.safetensors";

fn values(shape: &[usize], value: f32) -> (Vec<usize>, Vec<u8>) {
    (shape.to_vec(), value.to_le_bytes().repeat(shape.iter().product()))
}

/// The error for the fixture after `edit` of the tensors in `file`.
fn edited(file: &str, edit: impl Fn(&mut Tensors)) -> String {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let mut all = tensors(&pipeline.join(file));
    edit(&mut all);
    write_tensors(&pipeline.join(file), &all);
    refused(&pipeline, &scratch.path("out"), &[])
}

#[test]
fn an_alpha_folder_with_its_empty_caption() {
    let scratch = Scratch::new();
    let alpha = scratch.path("alpha");
    copy_folder(&fixture("alpha/pipeline"), &alpha);
    let expected = converted(&alpha, &scratch.path("expected"), &[]);
    let mut all = tensors(&alpha.join(WEIGHTS));
    all.insert("caption_projection.y_embedding".into(), values(&[77, 32], 0.5));
    write_tensors(&alpha.join(WEIGHTS), &all);
    // Its rows are the caption's length, where the tokenizer allows it.
    std::fs::write(alpha.join("tokenizer/tokenizer_config.json"), r#"{"model_max_length": 512}"#).unwrap();
    let found = converted(&alpha, &scratch.path("found"), &[]);
    assert!(files(&scratch.path("expected"), "transformer") == files(&scratch.path("found"), "transformer"));
    assert_eq!(expected["parts"]["transformer"], found["parts"]["transformer"]);
    assert_eq!(found["parts"]["tokenizer"]["maxLength"], 77);
}

#[test]
fn the_scale_of_positions_is_told_or_asked_for() {
    let scratch = Scratch::new();
    let file = scratch.path("m.safetensors");
    let mut all = tensors(&sigma("pipeline").join(WEIGHTS));
    write_tensors(&file, &all);
    let scale = |options: &[&str]| {
        let out = scratch.path(&format!("out{}", options.join("")));
        converted(&file, &out, options)["parts"]["transformer"]["interpolationScale"].clone()
    };
    let size = ["--heads", "3", "--sample-size", "32"];
    let error = refused(&file, &scratch.path("out"), &size);
    assert!(error.contains("interpolation-scale: ") && error.contains("give --interpolation-scale"), "{error}");
    assert_eq!(scale(&[&size[..], &["--interpolation-scale", "0.75"]].concat()), 0.75);
    assert_eq!(scale(&["--heads", "3", "--sample-size", "128"]), 2.0);
    // 300 text tokens make it a Sigma, 120 an alpha.
    all.insert("caption_projection.y_embedding".into(), values(&[300, 32], 0.0));
    write_tensors(&file, &all);
    assert_eq!(scale(&size), 0.5);
    all.insert("caption_projection.y_embedding".into(), values(&[120, 32], 0.0));
    write_tensors(&file, &all);
    assert_eq!(scale(&[&size[..], &["--name", "alpha"]].concat()), 1.0);
    // The configuration beside the file comes first.
    std::fs::copy(sigma("pipeline").join("transformer/config.json"), scratch.path("config.json")).unwrap();
    let manifest = converted(&file, &scratch.path("beside"), &[]);
    let expected = converted(&sigma("pipeline"), &scratch.path("folder"), &[]);
    assert_eq!(manifest["parts"]["transformer"], expected["parts"]["transformer"]);
}

#[test]
fn parts_that_lack_a_tensor_or_have_another() {
    for (file, part, name) in [
        (VAE, "vae", "decoder.up_blocks.0.resnets.0.conv1.bias"),
        (VAE, "vae", "encoder.conv_out.weight"),
        (TEXT, "text_encoder", "encoder.block.0.layer.1.layer_norm.weight"),
        (TEXT, "text_encoder", "encoder.final_layer_norm.weight"),
    ] {
        let missing = edited(file, |all| drop(all.remove(name)));
        assert!(missing.contains(&format!("{part}.{name}: the tensor is missing")), "{missing}");
        let shape = edited(file, |all| drop(all.insert(name.into(), values(&[3], 0.0))));
        assert!(shape.contains(&format!("{part}.{name}: its shape is [3], not ")), "{shape}");
    }
    let extra = edited(VAE, |all| drop(all.insert("decoder.surprise.weight".into(), values(&[3], 0.0))));
    assert!(extra.contains("vae.decoder.surprise.weight: no model of this configuration"), "{extra}");
}

#[test]
fn parts_that_do_not_fit_each_other() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    // The text encoder of another model, of the same layers but twice the width.
    let mut all = tensors(&pipeline.join(WEIGHTS));
    let (shape, bytes) = all["caption_projection.linear_1.weight"].clone();
    all.insert("caption_projection.linear_1.weight".into(), (vec![shape[0], 2 * shape[1]], bytes.repeat(2)));
    write_tensors(&pipeline.join(WEIGHTS), &all);
    let error = refused(&pipeline, &scratch.path("out"), &[]);
    assert!(error.contains("its states are 32 wide, the transformer reads 64"), "{error}");

    let channels = |input: usize| {
        edited(WEIGHTS, |all| drop(all.insert("pos_embed.proj.weight".into(), values(&[24, input, 2, 2], 0.1))))
    };
    assert!(channels(8).contains("the transformer's have 8"), "{}", channels(8));
    assert!(channels(16).contains("16 channels in and 8 out"), "{}", channels(16));
    let short = edited(WEIGHTS, |all| {
        all.insert("proj_out.weight".into(), values(&[12, 24], 0.1));
        all.insert("proj_out.bias".into(), values(&[12], 0.1));
    });
    assert!(short.contains("4 channels in and 3 out"), "{short}");
}

#[test]
fn attention_of_the_original_autoencoder() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    converted(&pipeline, &scratch.path("expected"), &[]);
    let mut all = tensors(&pipeline.join(VAE));
    for (name, (shape, _)) in all.iter_mut() {
        if name.contains("attentions.0.to_") && shape.len() == 2 {
            shape.extend([1, 1]);
        }
    }
    write_tensors(&pipeline.join(VAE), &all);
    converted(&pipeline, &scratch.path("found"), &[]);
    assert!(files(&scratch.path("expected"), "vae") == files(&scratch.path("found"), "vae"));
}

#[test]
fn values_that_are_no_numbers_in_every_encoding() {
    for (file, name, value) in [
        (WEIGHTS, "transformer_blocks.1.ff.net.2.weight", f32::NAN),
        (VAE, "decoder.conv_out.bias", f32::INFINITY),
        (TEXT, "encoder.block.0.layer.0.SelfAttention.o.weight", f32::NEG_INFINITY),
    ] {
        let scratch = Scratch::new();
        let pipeline = scratch.pipeline();
        let mut all = tensors(&pipeline.join(file));
        all.get_mut(name).unwrap().1[..4].copy_from_slice(&value.to_le_bytes());
        write_tensors(&pipeline.join(file), &all);
        for encoding in ["f32", "f16", "q8", "q4", "mixed"] {
            let error = refused(&pipeline, &scratch.path("out"), &["--encoding", encoding]);
            assert!(error.contains(&format!("{name}: it holds {value}")), "{encoding}: {error}");
        }
    }
}

#[test]
fn verify_and_the_loader_refuse_what_cannot_run() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    converted(&sigma("pipeline"), &out, &[]);
    let whole = read_json(&out.join("diffcr.json"));
    let faults: [(&str, serde_json::Value); 4] = [
        ("/parts/vae/latentChannels", json!(16)),
        ("/parts/textEncoder/dModel", json!(64)),
        ("/parts/transformer/inChannels", json!(8)),
        ("/parts/vae/layersPerBlock", json!(3)),
    ];
    for (pointer, value) in faults {
        let mut manifest = whole.clone();
        *manifest.pointer_mut(pointer).unwrap() = value;
        std::fs::write(out.join("diffcr.json"), manifest.to_string()).unwrap();
        let verify = diffcr().arg("verify").arg(&out).output().unwrap();
        let picture = scratch.path("x.png");
        let generate =
            diffcr().args(["generate", "--prompt", "a", "--steps", "1", "--out"]).arg(&picture).arg(&out).output();
        for output in [verify, generate.unwrap()] {
            assert_eq!(output.status.code(), Some(1), "{pointer}");
            error_line(&output);
        }
        assert!(!picture.exists());
    }
}

#[test]
fn a_run_that_stops_being_finite_ends_with_the_step() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let mut all = tensors(&pipeline.join(WEIGHTS));
    all.insert("proj_out.bias".into(), values(&[32], 3e38));
    write_tensors(&pipeline.join(WEIGHTS), &all);
    converted(&pipeline, &scratch.path("out"), &[]);
    let generate = diffcr()
        .args(["generate", "--prompt", "a", "--steps", "4", "--out"])
        .arg(scratch.path("x.png"))
        .arg(scratch.path("out"))
        .output()
        .unwrap();
    let error = error_line(&generate);
    assert!(error.contains(" of 4: the latents are not finite"), "{error}");
    assert!(!scratch.path("x.png").exists());
}

#[test]
fn several_tiny_autoencoders_in_a_folder() {
    let scratch = Scratch::new();
    let folder = scratch.path("taesd");
    std::fs::create_dir(&folder).unwrap();
    let own = tensors(&sigma("vae_tiny/diffusion_pytorch_model.safetensors"));
    let half = |half: &str, shift: usize| {
        let of_half = own.iter().filter_map(|(name, tensor)| {
            let (n, rest) = name.strip_prefix(half)?.strip_prefix(".layers.")?.split_once('.')?;
            Some((format!("{}.{rest}", n.parse::<usize>().unwrap() + shift), tensor.clone()))
        });
        of_half.collect::<Tensors>()
    };
    let write = |name: &str| {
        write_tensors(&folder.join(format!("{name}_encoder.safetensors")), &half("encoder", 0));
        write_tensors(&folder.join(format!("{name}_decoder.safetensors")), &half("decoder", 1));
    };
    write("taesd");
    let mut other = half("decoder", 1);
    let (shape, _) = other["1.weight"].clone();
    other.insert("1.weight".into(), values(&[shape[0], 16, 3, 3], 0.1));
    write_tensors(&folder.join("taesd3_decoder.safetensors"), &other);
    let tiny = |path: &std::path::Path, out: &str| {
        converted(&sigma("pipeline"), &scratch.path(out), &["--vae-tiny", path.to_str().unwrap()])
    };
    let found = tiny(&folder, "a");
    assert_eq!(found["parts"]["vaeTiny"]["latentChannels"], 4);
    assert_eq!(found["parts"]["vaeTiny"]["encoder"], true);

    write("taesdxl");
    let error = refused(&sigma("pipeline"), &scratch.path("b"), &["--vae-tiny", folder.to_str().unwrap()]);
    assert!(error.contains("taesd (4 latent channels), taesd3 (16 latent channels), taesdxl (4"), "{error}");
    let named = tiny(&folder.join("taesdxl"), "c");
    assert_eq!(named["parts"]["vaeTiny"], found["parts"]["vaeTiny"]);
    let file = folder.join("taesd3_decoder.safetensors");
    let error = refused(&sigma("pipeline"), &scratch.path("d"), &["--vae-tiny", file.to_str().unwrap()]);
    assert!(error.contains("vae_tiny: its latents have 16 channels, the transformer's have 4"), "{error}");
}

#[test]
fn files_of_other_kinds_say_what_they_are() {
    let scratch = Scratch::new();
    let file = scratch.path("m.safetensors");
    let says = |what: &str| {
        let error = refused(&file, &scratch.path("out"), &[]);
        assert!(error.contains(what), "{what}: {error}");
    };
    for (bytes, what) in [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0".as_slice(), "git lfs pull"),
        (b"<!doctype html><html>", "a web page"),
        (b"GGUF\x03\0\0\0\0\0\0\0", "not a readable GGUF file"),
        (b"GGUF\x01\0\0\0\0\0\0\0", "GGUF version 1 is not supported"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        says(what);
    }
    for (name, what) in [
        ("transformer.transformer_blocks.0.attn1.to_q.lora_A.weight", "LoRA"),
        ("lora_unet_blocks_0_attn_qkv.lora_down.weight", "LoRA"),
        ("lora_transformer_transformer_blocks_0_attn1_to_q.alpha", "LoRA"),
        ("transformer_blocks.0.attn1.to_q.scale_weight", "quantized"),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", "a T5 encoder"),
        ("decoder.conv_in.weight", "an autoencoder"),
        ("double_blocks.0.img_attn.qkv.weight", "an MMDiT"),
    ] {
        write_tensors(&file, &Tensors::from([(name.into(), values(&[4, 4], 0.0))]));
        says(what);
    }
}

#[test]
fn json_with_a_byte_order_mark() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    for file in ["transformer/config.json", "tokenizer/tokenizer.json", "scheduler/scheduler_config.json"] {
        let text = std::fs::read(pipeline.join(file)).unwrap();
        std::fs::write(pipeline.join(file), [b"\xef\xbb\xbf".as_slice(), &text].concat()).unwrap();
    }
    let expected = converted(&sigma("pipeline"), &scratch.path("a"), &["--name", "x"]);
    assert_eq!(converted(&pipeline, &scratch.path("b"), &["--name", "x"]), expected);
}
