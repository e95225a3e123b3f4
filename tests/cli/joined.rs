//! Parts of several repositories become one bundle, adapters are merged, and packed weights are read.

use serde_json::json;

use crate::support::*;

const WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";
const VAE: &str = "vae/diffusion_pytorch_model.safetensors";
const TEXT: &str = "text_encoder/model.safetensors";

fn path(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn tensor(shape: &[usize], value: impl Fn(usize) -> f32) -> (Vec<usize>, Vec<u8>) {
    (shape.to_vec(), (0..shape.iter().product()).flat_map(|i| value(i).to_le_bytes()).collect())
}

#[test]
fn a_transformer_alone_and_parts_from_elsewhere() {
    let scratch = Scratch::new();
    let all = sigma("pipeline");
    let expected = converted(&all, &scratch.path("expected"), &["--name", "x"]);
    let alone = scratch.path("repository");
    std::fs::create_dir(&alone).unwrap();
    copy_folder(&all.join("transformer"), &alone.join("transformer"));
    // A repository with the parts in it, then each part's own folder, then files.
    let places: [[String; 4]; 3] = [
        ["text_encoder", "tokenizer", "vae", "scheduler"].map(|_| path(&all).to_owned()),
        ["text_encoder", "tokenizer", "vae", "scheduler"].map(|part| path(&all.join(part)).to_owned()),
        [TEXT, "tokenizer", VAE, "scheduler/scheduler_config.json"].map(|part| path(&all.join(part)).to_owned()),
    ];
    for (i, [text, tokenizer, vae, scheduler]) in places.iter().enumerate() {
        let out = scratch.path(&format!("out{i}"));
        let options = ["--text-encoder", text, "--tokenizer", tokenizer, "--vae", vae, "--scheduler", scheduler];
        assert_eq!(converted(&alone, &out, &[&options[..], &["--name", "x"]].concat()), expected);
        assert!(files(&out, "") == files(&scratch.path("expected"), ""));
    }
    let error = refused(&alone, &scratch.path("no"), &["--vae", "/nonexistent"]);
    assert!(error.contains("vae: /nonexistent is neither a folder nor a file"), "{error}");
}

#[test]
fn a_text_encoders_file_alone_and_an_index_of_a_variant() {
    let scratch = Scratch::new();
    let expected = converted(&sigma("pipeline"), &scratch.path("expected"), &[]);
    let all = tensors(&sigma("pipeline").join(TEXT));
    let file = scratch.path("t5xxl.safetensors");
    write_tensors(
        &file,
        &all.iter().map(|(n, t)| (format!("text_encoders.t5xxl.transformer.{n}"), t.clone())).collect(),
    );
    let found = converted(&sigma("pipeline"), &scratch.path("file"), &["--text-encoder", path(&file)]);
    assert_eq!(found["parts"]["textEncoder"], expected["parts"]["textEncoder"]);
    assert!(files(&scratch.path("file"), "text_encoder") == files(&scratch.path("expected"), "text_encoder"));

    for index in ["model.safetensors.index.fp16.json", "model.fp16.safetensors.index.json"] {
        let folder = scratch.path(index);
        std::fs::create_dir(&folder).unwrap();
        let map: serde_json::Map<_, _> =
            all.keys().map(|name| (name.clone(), json!("model.fp16-00001-of-00001.safetensors"))).collect();
        std::fs::write(folder.join(index), json!({ "weight_map": map }).to_string()).unwrap();
        std::fs::copy(sigma("pipeline").join(TEXT), folder.join("model.fp16-00001-of-00001.safetensors")).unwrap();
        let out = scratch.path(&format!("{index}.out"));
        converted(&sigma("pipeline"), &out, &["--text-encoder", path(&folder)]);
        assert!(files(&out, "text_encoder") == files(&scratch.path("expected"), "text_encoder"));
    }
}

#[test]
fn the_original_names_of_an_autoencoder() {
    let scratch = Scratch::new();
    converted(&sigma("pipeline"), &scratch.path("expected"), &[]);
    let all = tensors(&sigma("pipeline").join(VAE));
    let levels = all
        .keys()
        .filter_map(|n| n.strip_prefix("decoder.up_blocks.")?.split('.').next()?.parse::<usize>().ok())
        .max()
        .unwrap();
    let pairs = [
        ("mid_block.resnets.0", "mid.block_1"),
        ("mid_block.resnets.1", "mid.block_2"),
        ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
        ("mid_block.attentions.0.to_q", "mid.attn_1.q"),
        ("mid_block.attentions.0.to_k", "mid.attn_1.k"),
        ("mid_block.attentions.0.to_v", "mid.attn_1.v"),
        ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
        ("conv_norm_out", "norm_out"),
        ("downsamplers.0.conv", "downsample.conv"),
        ("upsamplers.0.conv", "upsample.conv"),
        ("conv_shortcut", "nin_shortcut"),
        ("resnets.", "block."),
        ("down_blocks.", "down."),
    ];
    let original = |name: &str| {
        let mut name = pairs.iter().fold(name.to_owned(), |name, (ours, theirs)| name.replacen(ours, theirs, 1));
        for n in 0..=levels {
            if name.contains(&format!("up_blocks.{n}.")) {
                name = name.replacen(&format!("up_blocks.{n}."), &format!("up.{}.", levels - n), 1);
                break;
            }
        }
        format!("first_stage_model.{name}")
    };
    let renamed: Tensors = all
        .into_iter()
        .map(|(name, (mut shape, bytes))| {
            if name.contains("attentions.0.to_") && shape.len() == 2 {
                shape.extend([1, 1]);
            }
            (original(&name), (shape, bytes))
        })
        .collect();
    let folder = scratch.path("ldm");
    std::fs::create_dir(&folder).unwrap();
    write_tensors(&folder.join("vae.safetensors"), &renamed);
    let file = folder.join("vae.safetensors");
    // What 300 tokens of a caption tell is the factor; groups of 32 channels are the rule.
    let error = refused(&sigma("pipeline"), &scratch.path("none"), &["--vae", path(&file)]);
    assert!(error.contains("blockOutChannels are not multiples of normGroups"), "{error}");
    std::fs::copy(sigma("pipeline").join("vae/config.json"), folder.join("config.json")).unwrap();
    converted(&sigma("pipeline"), &scratch.path("found"), &["--vae", path(&file)]);
    assert!(files(&scratch.path("found"), "vae") == files(&scratch.path("expected"), "vae"));
}

/// The fixture's transformer with `change` added to the matrix `layer`.
fn with_change(layer: &str, change: &dyn Fn(usize, usize) -> f32) -> Tensors {
    let mut all = tensors(&sigma("pipeline").join(WEIGHTS));
    let (shape, bytes) = all[layer].clone();
    let mut values = floats(&bytes);
    for (row, values) in values.chunks_mut(shape[1]).enumerate() {
        values.iter_mut().enumerate().for_each(|(column, v)| *v += change(row, column));
    }
    all.insert(layer.into(), (shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()));
    all
}

#[test]
fn adapters_of_every_trainer_are_merged() {
    let scratch = Scratch::new();
    let layer = "transformer_blocks.1.attn1.to_q";
    let (up, down) = (|i: usize| (i % 7) as f32 * 0.25 - 0.5, |i: usize| (i % 5) as f32 * 0.125 - 0.25);
    let (b, a) = (tensor(&[24, 2], up), tensor(&[2, 24], down));
    // Sums of eighths and quarters are exact, whatever their order.
    let product = |scale: f32| {
        move |row: usize, column: usize| scale * (up(2 * row) * down(column) + up(2 * row + 1) * down(24 + column))
    };
    let file = scratch.path("lora.safetensors");
    let check = |tensors: &Tensors, option: &str, scale: f32| {
        write_tensors(&file, tensors);
        let out = scratch.path(&format!("out{}", scratch.entries().len()));
        converted(&sigma("pipeline"), &out, &["--lora", &format!("{}{option}", path(&file))]);
        let changed = with_change(&format!("{layer}.weight"), &product(scale));
        let pipeline = scratch.pipeline();
        write_tensors(&pipeline.join(WEIGHTS), &changed);
        let expected = scratch.path(&format!("expected{}", scratch.entries().len()));
        converted(&pipeline, &expected, &[]);
        let (found, expected) = (all_values(&out), all_values(&expected));
        assert_eq!(found.len(), expected.len());
        for (name, values) in expected {
            let far = values.iter().zip(&found[&name]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far <= 1e-6, "{name}: {far}");
        }
    };
    let named = |names: [&str; 2]| Tensors::from([(names[0].into(), a.clone()), (names[1].into(), b.clone())]);
    for names in [
        [
            "transformer.transformer_blocks.1.attn1.to_q.lora_A.weight",
            "transformer.transformer_blocks.1.attn1.to_q.lora_B.weight",
        ],
        [
            "base_model.model.transformer_blocks.1.attn1.to_q.lora_A.default.weight",
            "base_model.model.transformer_blocks.1.attn1.to_q.lora_B.default.weight",
        ],
        [
            "transformer.transformer_blocks.1.attn1.to_q.lora.down.weight",
            "transformer.transformer_blocks.1.attn1.to_q.lora.up.weight",
        ],
    ] {
        check(&named(names), "", 1.0);
        check(&named(names), ":0.5", 0.5);
    }
    for prefix in ["lora_unet_", "lora_transformer_"] {
        let name = |end: &str| format!("{prefix}transformer_blocks_1_attn1_to_q.{end}");
        let mut kohya = named([&name("lora_down.weight"), &name("lora_up.weight")]);
        kohya.insert(name("alpha"), tensor(&[], |_| 1.0));
        kohya.insert("lora_te_encoder_block_0_layer_0_SelfAttention_q.lora_up.weight".into(), b.clone());
        check(&kohya, ":2", 1.0); // an alpha of 1 over a rank of 2, twice
    }
    // The original's fused projection: its first third is the query.
    let fused = tensor(&[72, 2], |i| if i < 48 { up(i) } else { 0.0 });
    let qkv = Tensors::from([
        ("lora_unet_blocks_1_attn_qkv.lora_down.weight".into(), a.clone()),
        ("lora_unet_blocks_1_attn_qkv.lora_up.weight".into(), fused),
    ]);
    check(&qkv, "", 1.0);

    let fault = |tensors: &Tensors| {
        write_tensors(&file, tensors);
        refused(&sigma("pipeline"), &scratch.path("no"), &["--lora", path(&file)])
    };
    let name = |end: &str| format!("transformer.{layer}.{end}");
    let mut dora = named([&name("lora_A.weight"), &name("lora_B.weight")]);
    dora.insert(name("lora_magnitude_vector"), tensor(&[24], |_| 1.0));
    assert!(fault(&dora).contains("a DoRA adapter"));
    assert!(
        fault(&named(["transformer.surprise.lora_A.weight", "transformer.surprise.lora_B.weight"]))
            .contains("no such layer")
    );
    let half = Tensors::from([(name("lora_A.weight"), a.clone())]);
    assert!(fault(&half).contains("one of the adapter's two matrices is missing"));
    let wide = Tensors::from([(name("lora_A.weight"), tensor(&[2, 25], |_| 0.0)), (name("lora_B.weight"), b.clone())]);
    assert!(fault(&wide).contains("does not fit its shape [24, 24]"), "{}", fault(&wide));
}

/// Values of every tensor of a bundle in f32.
fn all_values(bundle: &std::path::Path) -> std::collections::BTreeMap<String, Vec<f32>> {
    let chunks = files(bundle, "transformer").into_keys().map(|name| bundle.join(name));
    chunks.flat_map(|chunk| read_tensors(&chunk)).map(|(name, (_, values))| (name, values)).collect()
}

#[test]
fn eight_bit_floats_with_their_factor() {
    let scratch = Scratch::new();
    let name = "encoder.block.0.layer.0.SelfAttention.q";
    let all = tensors(&sigma("pipeline").join(TEXT));
    let shape = all[&format!("{name}.weight")].0.clone();
    let bytes: Vec<u8> = (0..shape.iter().product::<usize>()).map(|i| [0x38, 0xb8, 0x7e, 0x01, 0x00][i % 5]).collect();
    let values = [1.0f32, -1.0, 448.0, 0.001953125, 0.0];
    let factor = 0.5f32.to_le_bytes();
    let mark = [0u8; 2];
    let (weight, scale) = (format!("{name}.weight"), format!("{name}.scale_weight"));
    let view =
        |dtype, shape: &[usize], bytes| safetensors::tensor::TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
    use safetensors::Dtype;
    let mut views: Vec<_> =
        all.iter().map(|(n, (s, b))| (n.as_str(), view(Dtype::F32, s, b))).filter(|(n, _)| *n != weight).collect();
    views.push((&weight, view(Dtype::F8_E4M3, &shape, &bytes)));
    views.push((&scale, view(Dtype::F32, &[1], &factor)));
    views.push(("scaled_fp8", view(Dtype::F8_E4M3, &[2], &mark)));
    let file = scratch.path("t5xxl_fp8_e4m3fn_scaled.safetensors");
    std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    converted(&sigma("pipeline"), &scratch.path("found"), &["--text-encoder", path(&file)]);

    let pipeline = scratch.pipeline();
    let mut expected = all.clone();
    expected.insert(weight.clone(), tensor(&shape, |i| 0.5 * values[i % 5]));
    write_tensors(&pipeline.join(TEXT), &expected);
    converted(&pipeline, &scratch.path("expected"), &[]);
    assert!(files(&scratch.path("found"), "text_encoder") == files(&scratch.path("expected"), "text_encoder"));

    // A factor for each row, under the other name that people give it.
    let rows = shape[0];
    let factors: Vec<u8> = (0..rows).flat_map(|row| (row as f32 * 0.25).to_le_bytes()).collect();
    let scale = format!("{name}.weight_scale");
    let mut views: Vec<_> =
        all.iter().map(|(n, (s, b))| (n.as_str(), view(Dtype::F32, s, b))).filter(|(n, _)| *n != weight).collect();
    views.push((&weight, view(Dtype::F8_E4M3, &shape, &bytes)));
    views.push((&scale, view(Dtype::F32, &[rows, 1], &factors)));
    std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    converted(&sigma("pipeline"), &scratch.path("by_row"), &["--text-encoder", path(&file)]);
    expected.insert(weight, tensor(&shape, |i| (i / shape[1]) as f32 * 0.25 * values[i % 5]));
    write_tensors(&pipeline.join(TEXT), &expected);
    converted(&pipeline, &scratch.path("expected_by_row"), &[]);
    assert!(files(&scratch.path("by_row"), "text_encoder") == files(&scratch.path("expected_by_row"), "text_encoder"));
}

#[test]
fn averaged_weights_are_taken_where_they_are_asked_for() {
    let scratch = Scratch::new();
    let plain = tensors(&sigma("pipeline").join(WEIGHTS));
    let halved = |bytes: &[u8]| floats(bytes).iter().flat_map(|v| (v / 2.0).to_le_bytes()).collect::<Vec<_>>();
    let averaged: Tensors = plain.iter().map(|(n, (s, b))| (n.clone(), (s.clone(), halved(b)))).collect();
    let file = scratch.path("epoch_1_step_2.pth");
    write_torch_dicts(&file, &[("state_dict", &plain), ("state_dict_ema", &averaged)]);
    let told = ["--heads", "3", "--sample-size", "16", "--interpolation-scale", "1"];
    let convert = |name: &str, more: &[&str]| {
        let output = convert(&file, &scratch.path(name), &[&told[..], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        (all_values(&scratch.path(name)), String::from_utf8(output.stdout).unwrap())
    };
    let (values, said) = convert("plain", &[]);
    assert!(said.contains("the weights of state_dict are taken; --ema takes"), "{said}");
    let (average, said) = convert("average", &["--ema"]);
    assert!(said.contains("the averaged weights of state_dict_ema are taken"), "{said}");
    for (name, values) in values {
        assert!(average[&name].iter().zip(values).all(|(a, b)| *a == b / 2.0), "{name}");
    }
    write_torch(&file, &plain);
    let error = refused(&file, &scratch.path("no"), &[&told[..], &["--ema"]].concat());
    assert!(error.contains("ema: ") && error.contains("holds no averaged weights"), "{error}");
}

#[test]
fn a_pipeline_in_one_file() {
    let scratch = Scratch::new();
    let tokenizer = sigma("pipeline").join("tokenizer");
    converted(&sigma("pipeline"), &scratch.path("expected"), &[]);
    let part = |file: &str, prefix: &str| {
        let named = tensors(&sigma("pipeline").join(file)).into_iter().map(|(n, t)| (format!("{prefix}{n}"), t));
        named.collect::<Tensors>()
    };
    let told = ["--tokenizer", path(&tokenizer)];
    for [transformer, text, vae] in [
        ["model.diffusion_model.", "text_encoders.t5xxl.transformer.", "first_stage_model."],
        ["transformer.", "text_encoder.", "vae."],
    ] {
        let mut all = part(WEIGHTS, transformer);
        all.extend(part(TEXT, text));
        all.extend(part(VAE, vae));
        all.insert("text_encoders.t5xxl.logit_scale".into(), tensor(&[1], |_| 1.0));
        let folder = scratch.path(&format!("{vae}folder"));
        std::fs::create_dir(&folder).unwrap();
        // The configuration beside the file is the transformer's, not the autoencoder's.
        std::fs::copy(sigma("pipeline/transformer/config.json"), folder.join("config.json")).unwrap();
        let file = folder.join("pixart.safetensors");
        write_tensors(&file, &all);
        let out = scratch.path(&format!("{vae}out"));
        let error = refused(&file, &out, &told);
        assert!(error.contains("normGroups"), "32 groups are the rule, and this one has fewer channels: {error}");
        converted(&file, &out, &[&told[..], &["--vae", path(&sigma("pipeline/vae"))]].concat());
        for part in ["transformer", "text_encoder", "vae"] {
            assert!(files(&out, part) == files(&scratch.path("expected"), part), "{part}");
        }
    }
}

#[test]
fn text_states_in_place_of_a_prompt() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    converted(&sigma("pipeline"), &out, &["--without", "text-encoder"]);
    let file = scratch.path("states.safetensors");
    let draw = |options: &[&str]| {
        let picture = scratch.path("x.png");
        diffcr().arg("generate").arg(&out).args(["--steps", "2", "--out"]).arg(&picture).args(options).output().unwrap()
    };
    let prompt = draw(&["--prompt", "a"]);
    assert!(error_line(&prompt).contains("no text encoder"), "{}", stderr(&prompt));
    let states = |tokens: usize| tensor(&[1, tokens, 32], |i| (i % 11) as f32 * 0.1 - 0.5);
    write_tensors(
        &file,
        &Tensors::from([("prompt_embeds".into(), states(5)), ("negative_prompt_embeds".into(), states(3))]),
    );
    let drawn = draw(&["--prompt-embeds", path(&file)]);
    assert!(drawn.status.success(), "{}", stderr(&drawn));
    let first = std::fs::read(scratch.path("x.png")).unwrap();
    // Padded states are the same ones.
    let mut padded = Tensors::from([("prompt_embeds".into(), states(8)), ("negative_prompt_embeds".into(), states(3))]);
    padded.insert("prompt_attention_mask".into(), tensor(&[1, 8], |i| if i < 5 { 1.0 } else { 0.0 }));
    write_tensors(&file, &padded);
    assert!(draw(&["--prompt-embeds", path(&file)]).status.success());
    assert!(std::fs::read(scratch.path("x.png")).unwrap() == first);
    write_tensors(&file, &Tensors::from([("states".into(), states(5))]));
    assert!(error_line(&draw(&["--prompt-embeds", path(&file)])).contains("has no tensor prompt_embeds"));
    let jpeg = diffcr().arg("generate").arg(&out).args(["--prompt", "a", "--out", "x.jpg"]).output().unwrap();
    assert!(stderr(&jpeg).contains("pictures are written as PNG"), "{}", stderr(&jpeg));
    assert_eq!(jpeg.status.code(), Some(2));
}

/// A GGUF file: names, shapes with the rows first, types and bytes.
fn gguf(tensors: &[(String, Vec<usize>, u32, Vec<u8>)]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut file =
        [b"GGUF".as_slice(), &3u32.to_le_bytes(), &(tensors.len() as u64).to_le_bytes(), &2u64.to_le_bytes()].concat();
    file.extend([text("general.architecture"), 8u32.to_le_bytes().to_vec(), text("t5encoder")].concat());
    file.extend([text("t5encoder.block_count"), 4u32.to_le_bytes().to_vec(), 2u32.to_le_bytes().to_vec()].concat());
    let mut data = Vec::new();
    for (name, shape, kind, bytes) in tensors {
        file.extend([text(name), (shape.len() as u32).to_le_bytes().to_vec()].concat());
        shape.iter().rev().for_each(|side| file.extend((*side as u64).to_le_bytes()));
        file.extend([kind.to_le_bytes().as_slice(), &(data.len() as u64).to_le_bytes()].concat());
        data.extend(bytes);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    file.resize(file.len().next_multiple_of(32), 0);
    [file, data].concat()
}

#[test]
fn a_text_encoder_in_gguf() {
    let scratch = Scratch::new();
    let names = [
        ("layer.0.layer_norm", "attn_norm"),
        ("layer.0.SelfAttention.q", "attn_q"),
        ("layer.0.SelfAttention.k", "attn_k"),
        ("layer.0.SelfAttention.v", "attn_v"),
        ("layer.0.SelfAttention.o", "attn_o"),
        ("layer.0.SelfAttention.relative_attention_bias", "attn_rel_b"),
        ("layer.1.layer_norm", "ffn_norm"),
        ("layer.1.DenseReluDense.wi_0", "ffn_gate"),
        ("layer.1.DenseReluDense.wi_1", "ffn_up"),
        ("layer.1.DenseReluDense.wo", "ffn_down"),
    ];
    let theirs = |name: &str| {
        let name = names.iter().fold(name.to_owned(), |name, (ours, theirs)| name.replacen(ours, theirs, 1));
        let name =
            name.replacen("encoder.block.", "enc.blk.", 1).replacen("encoder.final_layer_norm", "enc.output_norm", 1);
        name.replacen("shared", "token_embd", 1)
    };
    let mut expected = tensors(&sigma("pipeline").join(TEXT));
    let mut stored = Vec::new();
    let mut packed = 0;
    for (name, (shape, bytes)) in &mut expected {
        // Matrices that are whole blocks of 32 become Q8_0: a scale of 1/256 and bytes that follow the place.
        if shape.len() == 2 && shape[1] % 32 == 0 && name.contains("SelfAttention.") {
            let count: usize = shape.iter().product();
            let integer = |i: usize| (i * 37 % 255) as u8 as i8;
            let blocks = (0..count / 32).flat_map(|block| {
                let scale = half::f16::from_f32(1.0 / 256.0).to_le_bytes().to_vec();
                [scale, (0..32).map(|i| integer(32 * block + i) as u8).collect()].concat()
            });
            stored.push((theirs(name), shape.clone(), 8, blocks.collect()));
            *bytes = (0..count).flat_map(|i| (f32::from(integer(i)) / 256.0).to_le_bytes()).collect();
            packed += 1;
        } else {
            stored.push((theirs(name), shape.clone(), 0, bytes.clone()));
        }
    }
    assert!(packed >= 4, "{packed}");
    let file = scratch.path("t5-encoder-Q8_0.gguf");
    let bytes = gguf(&stored);
    std::fs::write(&file, &bytes).unwrap();
    // Small chunks split matrices by rows, which are blocks of their own.
    let small = ["--chunk-mib", "0.001"];
    converted(&sigma("pipeline"), &scratch.path("found"), &[&small[..], &["--text-encoder", path(&file)]].concat());
    let pipeline = scratch.pipeline();
    write_tensors(&pipeline.join(TEXT), &expected);
    converted(&pipeline, &scratch.path("expected"), &small);
    assert!(files(&scratch.path("found"), "text_encoder") == files(&scratch.path("expected"), "text_encoder"));

    let fault = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        refused(&sigma("pipeline"), &scratch.path("no"), &["--text-encoder", path(&file)])
    };
    assert!(fault(&bytes[..200]).contains("not a readable GGUF file"));
    assert!(fault(&bytes[..bytes.len() - 64]).contains("truncated"));
    let mut other = stored.clone();
    other[0].2 = 2;
    assert!(fault(&gguf(&other)).contains("GGUF type 2 is not read"), "{}", fault(&gguf(&other)));
}

#[test]
fn a_scheduler_that_is_not_known_gives_its_schedule_to_another_solver() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    edit_json(&pipeline.join("scheduler/scheduler_config.json"), |json| {
        json["_class_name"] = json!("PNDMScheduler");
        json["use_karras_sigmas"] = json!(true);
    });
    let error = refused(&pipeline, &scratch.path("no"), &[]);
    assert!(error.contains("\"PNDMScheduler\" is not supported: choose a solver with --solver"), "{error}");
    let output = convert(&pipeline, &scratch.path("out"), &["--solver", "dmd"]);
    assert_eq!(manifest(&scratch.path("out"))["parts"]["scheduler"]["solver"], "dmd");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("note: PNDMScheduler's noise schedule is kept"), "{said}");
    // What training leaves is sampled as the published models are.
    edit_json(&pipeline.join("scheduler/scheduler_config.json"), |json| {
        json["_class_name"] = json!("DDPMScheduler");
    });
    let output = convert(&pipeline, &scratch.path("ddpm"), &[]);
    assert_eq!(manifest(&scratch.path("ddpm"))["parts"]["scheduler"]["solver"], "dpm++");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("note: DDPMScheduler: its noise schedule is kept"), "{said}");
}
