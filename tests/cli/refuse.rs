//! What is not a PixArt, damaged, or code is refused by name, with exit code 1 and nothing left behind.

use serde_json::json;

use crate::support::*;

const WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";

/// The error for the fixture's transformer after `edit`.
fn edited(edit: impl Fn(&mut Tensors)) -> String {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let mut all = tensors(&pipeline.join(WEIGHTS));
    edit(&mut all);
    write_tensors(&pipeline.join(WEIGHTS), &all);
    let error = refused(&pipeline, &scratch.path("out"), &[]);
    assert_eq!(scratch.entries(), ["pipeline"]);
    error
}

/// The error for the fixture with `field` of a component's configuration set to `value`.
fn configured(file: &str, field: &str, value: serde_json::Value) -> String {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    edit_json(&pipeline.join(file), |json| json[field] = value.clone());
    refused(&pipeline, &scratch.path("out"), &[])
}

fn zeros(shape: &[usize]) -> (Vec<usize>, Vec<u8>) {
    (shape.to_vec(), vec![0; 4 * shape.iter().product::<usize>()])
}

#[test]
fn tensors_that_are_not_pixarts() {
    let insert = |name: &str| edited(|all| drop(all.insert(name.into(), zeros(&[24]))));
    assert!(
        insert("transformer_blocks.0.attn1.norm_q.weight")
            .contains("transformer_blocks.0.attn1.norm_q.weight: norms of each head's queries")
    );
    assert!(insert("transformer_blocks.0.surprise").contains("transformer_blocks.0.surprise: unknown tensor"));
    assert!(insert("proj_out.weight.quant_state.bitsandbytes__nf4").contains("the checkpoint is quantized"));
    assert!(insert("proj_out.SCB").contains("proj_out.SCB: the checkpoint is quantized"));
    let missing = edited(|all| drop(all.remove("transformer_blocks.2.attn2.to_k.bias")));
    assert!(missing.contains("transformer.transformer_blocks.2.attn2.to_k.bias: the tensor is missing"), "{missing}");
    let shape = edited(|all| drop(all.insert("transformer_blocks.2.ff.net.2.bias".into(), zeros(&[25]))));
    assert!(shape.contains("transformer.transformer_blocks.2.ff.net.2.bias: its shape is [25], not [24]"), "{shape}");
    let layer = edited(|all| all.retain(|name, _| !name.starts_with("transformer_blocks.1.")));
    assert!(layer.contains("transformer_blocks.1: the tensor is missing"), "{layer}");
    let routers = edited(|all| {
        (0..4).for_each(|n| drop(all.insert(format!("transformer_blocks.{n}.router.weight"), zeros(&[1, 24]))))
    });
    assert!(routers.contains("diff_ratio: the block has a router and no keep ratio"), "{routers}");
}

#[test]
fn settings_that_are_not_pixarts() {
    let class = configured("transformer/config.json", "_class_name", json!("FluxTransformer2DModel"));
    assert!(
        class.contains("transformer/config.json: _class_name \"FluxTransformer2DModel\" is not supported"),
        "{class}"
    );
    assert!(
        configured("model_index.json", "_class_name", json!("StableDiffusionPipeline"))
            .contains("StableDiffusionPipeline")
    );
    assert!(configured("text_encoder/config.json", "model_type", json!("umt5")).contains("model_type \"umt5\""));
    assert!(configured("text_encoder/config.json", "feed_forward_proj", json!("gated-silu")).contains("gated-silu"));
    assert!(configured("vae/config.json", "shift_factor", json!(0.1)).contains("shift_factor 0.1"));
    assert!(configured("vae/config.json", "_class_name", json!("AsymmetricAutoencoderKL")).contains("Asymmetric"));
    let scheduler = configured("scheduler/scheduler_config.json", "use_karras_sigmas", json!(true));
    assert!(scheduler.contains("use_karras_sigmas true is not supported"), "{scheduler}");
    assert!(configured("scheduler/scheduler_config.json", "_class_name", json!("PNDMScheduler")).contains("PNDM"));
}

#[test]
fn types_that_are_not_floats() {
    let scratch = Scratch::new();
    let header = r#"{"x_embedder.proj.weight":{"dtype":"I8","shape":[8],"data_offsets":[0,8]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 8]].concat();
    std::fs::write(scratch.path("m.safetensors"), bytes).unwrap();
    let error = refused(&scratch.path("m.safetensors"), &scratch.path("out"), &[]);
    assert!(error.contains("x_embedder.proj.weight: its type is I8"), "{error}");
}

#[test]
fn values_too_large_for_f16() {
    let scratch = Scratch::new();
    let pipeline = scratch.pipeline();
    let mut all = tensors(&pipeline.join(WEIGHTS));
    all.get_mut("proj_out.weight").unwrap().1[..4].copy_from_slice(&1e6f32.to_le_bytes());
    write_tensors(&pipeline.join(WEIGHTS), &all);
    let error = refused(&pipeline, &scratch.path("out"), &["--encoding", "f16"]);
    assert!(error.contains("proj_out.weight: 1000000 is too large for f16"), "{error}");
}

#[test]
fn missing_tensors_and_unknown_heads() {
    let scratch = Scratch::new();
    let state = Tensors::from([("x_embedder.proj.bias".into(), zeros(&[4]))]);
    write_torch(&scratch.path("m.pth"), &state);
    assert!(
        refused(&scratch.path("m.pth"), &scratch.path("out"), &[])
            .contains("transformer.pos_embed.proj.weight: the tensor is missing")
    );
    let error = refused(&sigma("original.pth"), &scratch.path("out"), &[]);
    assert!(error.contains("a width of 24 is not made of heads of 72: give --heads"), "{error}");
    let weights = scratch.path("alone.safetensors");
    std::fs::copy(sigma("pipeline").join(WEIGHTS), &weights).unwrap();
    assert!(refused(&weights, &scratch.path("out"), &["--heads", "3"]).contains("--sample-size"));
}

#[test]
fn a_pickle_that_is_code() {
    let scratch = Scratch::new();
    let marker = scratch.path("executed");
    let command = format!("touch {}", marker.display());
    let pickle =
        [b"\x80\x02cposix\nsystem\nX".as_slice(), &(command.len() as u32).to_le_bytes(), command.as_bytes(), b"\x85R."]
            .concat();
    write_zip(&scratch.path("m.pth"), [("archive/data.pkl".to_owned(), pickle.as_slice())]);
    let error = refused(&scratch.path("m.pth"), &scratch.path("out"), &[]);
    assert!(error.contains("the global \"posix.system\" is refused"), "{error}");
    assert!(!marker.exists());
}

#[test]
fn damaged_sources() {
    let scratch = Scratch::new();
    let whole = std::fs::read(sigma("original.pth")).unwrap();
    let legacy = std::fs::read(sigma("legacy.pth")).unwrap();
    let weights = std::fs::read(sigma("pipeline").join(WEIGHTS)).unwrap();
    let cases = [
        ("m.pth", whole[..whole.len() / 2].to_vec()),
        ("m.pth", legacy[..legacy.len() / 2].to_vec()),
        ("m.pth", b"not a checkpoint".to_vec()),
        ("m.pth", vec![]),
        ("m.safetensors", weights[..weights.len() - 1].to_vec()),
        ("m.safetensors", [0xFF; 64].to_vec()),
        ("m.safetensors", vec![]),
    ];
    for (name, bytes) in cases {
        std::fs::write(scratch.path(name), bytes).unwrap();
        let error = refused(&scratch.path(name), &scratch.path("out"), &["--heads", "3"]);
        assert!(error.contains(name), "{error}");
    }
    assert!(refused(&scratch.path("nothing"), &scratch.path("out"), &[]).contains("neither a folder nor a file"));
    assert!(refused(&scratch.0, &scratch.path("out"), &[]).contains("is no diffusers folder"));
}

#[test]
fn routers_that_do_not_fit() {
    let scratch = Scratch::new();
    let file = scratch.path("routers.safetensors");
    let fault = |edit: &dyn Fn(&mut Tensors)| {
        let mut all = tensors(&sigma("routed.safetensors"));
        all.retain(|name, _| name.starts_with("router.") || name == "keep");
        edit(&mut all);
        write_tensors(&file, &all);
        refused(&sigma("pipeline"), &scratch.path("out"), &["--routers", file.to_str().unwrap()])
    };
    assert!(fault(&|all| drop(all.remove("router.2"))).contains("router.2: "));
    assert!(fault(&|all| drop(all.insert("router.2".into(), zeros(&[25])))).contains("router.2: the shape [25]"));
    assert!(
        fault(&|all| drop(all.insert("router.4".into(), zeros(&[24]))))
            .contains("router.4: the transformer has 4 layers")
    );
    assert!(fault(&|all| drop(all.remove("keep"))).contains("keep: "));
    assert!(fault(&|all| drop(all.insert("keep".into(), zeros(&[3])))).contains("keep: its shape is [3]"));
    let nan = fault(&|all| all.get_mut("keep").unwrap().1[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert!(nan.contains("keep: a keep ratio is not a number"), "{nan}");
}

#[test]
fn usage_errors_exit_with_2() {
    let scratch = Scratch::new();
    let usage = |options: &[&str]| {
        let output = convert(&sigma("pipeline"), &scratch.path("out"), options);
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        stderr(&output)
    };
    assert!(usage(&["--encoding", "q5"]).contains("use f32, f16, q8, q4 or mixed"));
    assert!(usage(&["--group", "48"]).contains("use 32, 64 or 128"));
    assert!(usage(&["--tensor", "*.weight"]).contains("use PATTERN=f32, f16, q8 or q4"));
    assert!(usage(&["--chunk-mib", "0"]).contains("--chunk-mib"));
    assert!(usage(&["--without", "transformer"]).contains("--without"));
    assert!(usage(&["--surprise"]).contains("--surprise"));
    assert!(scratch.entries().is_empty());
}
