//! Every kind of bundle that cannot run, by the tensor or the setting at fault.

use serde_json::{Value, json};

use super::*;
use crate::bundle::manifest::tests::sample;

/// A whole manifest: all tensors that the sample's parts and a tiny autoencoder have.
fn manifest() -> Manifest {
    let mut json = sample();
    json["tensors"] = json!({});
    json["routing"] = Value::Null;
    json["parts"]["textEncoder"]["dModel"] = json!(32);
    json["parts"]["vaeTiny"] = json!({
        "inChannels": 3, "outChannels": 3, "latentChannels": 4, "encoderBlockChannels": [8, 8], "decoderBlockChannels": [8, 8],
        "encoderBlocks": [1, 1], "decoderBlocks": [1, 1], "upsamplingFactor": 2, "latentMagnitude": 3.0, "scalingFactor": 1.0,
        "encoder": true
    });
    complete(Manifest::parse(&json.to_string()).unwrap())
}

/// The manifest with the tensors that its parts have.
fn complete(mut manifest: Manifest) -> Manifest {
    let mut found = BTreeMap::new();
    let mut visit = |name: &str, shape: &[usize]| {
        found.insert(name.to_owned(), shape.to_vec());
        Ok(())
    };
    let parts = &manifest.parts;
    shapes::transformer(&parts.transformer, &mut Shapes::new("transformer", &mut visit)).unwrap();
    shapes::text_encoder(parts.text_encoder.as_ref().unwrap(), &mut Shapes::new("text_encoder", &mut visit)).unwrap();
    shapes::vae(parts.vae.as_ref().unwrap(), &mut Shapes::new("vae", &mut visit)).unwrap();
    shapes::vae_tiny(parts.vae_tiny.as_ref().unwrap(), &mut Shapes::new("vae_tiny", &mut visit)).unwrap();
    let entry =
        |shape: Vec<usize>| serde_json::from_value(json!({ "shape": shape, "encoding": "f32", "file": "x" })).unwrap();
    manifest.tensors = found.into_iter().map(|(name, shape)| (name, entry(shape))).collect();
    manifest
}

/// The error after `edit`.
fn fault(edit: impl Fn(&mut Manifest)) -> String {
    let mut manifest = manifest();
    check(&manifest).unwrap();
    edit(&mut manifest);
    check(&manifest).unwrap_err().to_string()
}

#[test]
fn every_parts_tensors_are_checked() {
    for name in [
        "transformer.proj_out.bias",
        "text_encoder.encoder.block.0.layer.1.DenseReluDense.wi_1.weight",
        "vae.decoder.mid_block.attentions.0.to_q.weight",
        "vae.encoder.down_blocks.0.downsamplers.0.conv.bias",
        "vae_tiny.decoder.layers.2.conv.4.bias",
        "vae_tiny.encoder.layers.0.weight",
    ] {
        assert_eq!(fault(|m| drop(m.tensors.remove(name))), format!("{name}: the tensor is missing"));
        let shape = fault(|m| m.tensors.get_mut(name).unwrap().shape.push(1));
        assert!(shape.starts_with(&format!("{name}: its shape is ")), "{shape}");
        let extra = format!("{name}.extra");
        let error = fault(|m| drop(m.tensors.insert(extra.clone(), m.tensors[name].clone())));
        assert_eq!(error, format!("{extra}: no model of this configuration has such a tensor"));
    }
    let orphan = fault(|m| m.parts.vae_tiny = None);
    assert!(orphan.starts_with("vae_tiny.") && orphan.contains("no model"), "{orphan}");
}

#[test]
fn parts_must_fit_each_other() {
    let vae = fault(|m| m.parts.vae.as_mut().unwrap().latent_channels = 16);
    assert_eq!(vae, "vae: its latents have 16 channels, the transformer's have 4");
    assert!(fault(|m| m.parts.vae_tiny.as_mut().unwrap().latent_channels = 16).starts_with("vae_tiny: its latents"));
    assert!(fault(|m| m.parts.vae.as_mut().unwrap().out_channels = 1).contains("its pictures have 1 channels"));
    assert!(fault(|m| m.parts.vae_tiny.as_mut().unwrap().patch_size = 2).contains("is 4 pixels wide"));
    assert!(
        fault(|m| m.parts.text_encoder.as_mut().unwrap().d_model = 64).contains("64 wide, the transformer reads 32")
    );
    for (input, out) in [(8, 4), (4, 3), (16, 8), (4, 16)] {
        let error = fault(|m| (m.parts.transformer.in_channels, m.parts.transformer.out_channels) = (input, out));
        assert!(error.contains(&format!("{input} channels in and {out} out")), "{error}");
    }
    assert!(fault(|m| m.parts.transformer.in_channels = 8).contains("the transformer's have 8"));
    // Nine channels in are four, a mask, and four of the masked picture.
    let mut inpaint = manifest();
    inpaint.parts.transformer.in_channels = 9;
    check(&complete(inpaint)).unwrap();
}

#[test]
fn sizes_that_networks_cannot_have() {
    assert!(fault(|m| m.parts.transformer.sample_size = 15).contains("sampleSize is not a multiple"));
    assert!(fault(|m| m.parts.text_encoder.as_mut().unwrap().relative_buckets = 2).contains("relativeBuckets"));
    assert!(
        fault(|m| m.parts.text_encoder.as_mut().unwrap().relative_max_distance = 8).contains("relativeMaxDistance")
    );
    let width = fault(|m| {
        (m.parts.transformer.heads, m.parts.transformer.size_conditions) = (2, true);
    });
    assert!(width.contains("multiple of 3"), "{width}");
    assert!(fault(|m| m.parts.vae_tiny.as_mut().unwrap().upsampling_factor = 3).contains("upsamplingFactor"));
}

#[test]
fn routers_go_with_routing() {
    let router = |m: &mut Manifest, n: usize, shape: &[usize]| {
        let mut entry = m.tensors["transformer.proj_out.bias"].clone();
        entry.shape = shape.to_vec();
        m.tensors.insert(format!("transformer.transformer_blocks.{n}.router.weight"), entry);
    };
    let routing = |m: &mut Manifest| m.routing = serde_json::from_value(sample()["routing"].clone()).unwrap();
    assert!(fault(|m| router(m, 0, &[1, 24])).contains("without routing"));
    assert!(fault(routing).contains("no layer of the model has a router"));
    assert!(fault(|m| (routing(m), router(m, 2, &[1, 24])).0).contains("the transformer has 2 layers"));
    assert!(fault(|m| (routing(m), router(m, 0, &[1, 25])).0).contains("its shape is [1, 25], not [1, 24]"));
    let mut whole = manifest();
    routing(&mut whole);
    router(&mut whole, 1, &[1, 24]);
    check(&whole).unwrap();
}
