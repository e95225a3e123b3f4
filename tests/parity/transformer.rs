//! `PixArtTransformer2DModel`, square and oblong latents, padded captions.

use burn::tensor::Device;
use diffcr::bundle::config::TransformerConfig;
use diffcr::model::embed::position_table;
use diffcr::model::transformer::Transformer;

use crate::support::{error, read, weights};

pub fn sigma() -> TransformerConfig {
    TransformerConfig {
        layers: 4,
        heads: 3,
        head_dim: 8,
        in_channels: 4,
        out_channels: 8,
        patch_size: 2,
        caption_channels: 32,
        sample_size: 16,
        interpolation_scale: 1.0,
        size_conditions: false,
        qk_norm: false,
        kv_compression: None,
    }
}

#[test]
fn output_is_that_of_diffusers() {
    let device = Device::flex();
    let mut weights = weights("transformer", "sigma/pipeline/transformer/diffusion_pytorch_model.safetensors", &device);
    let model = Transformer::load(&mut weights.scope("transformer"), &sigma()).unwrap();
    weights.finish().unwrap();
    let data = read("sigma/transformer.safetensors");
    for case in 0..3 {
        let get = |name: &str| &data[&format!("{case}.{name}")];
        let tokens = get("mask").shape[1];
        let lengths: Vec<usize> =
            get("mask").values.chunks(tokens).map(|row| row.iter().sum::<f32>() as usize).collect();
        let captions = model.captions(get("context").tensor(&device), &lengths).unwrap();
        let timesteps = &get("timestep").values;
        let (output, _) = model.forward(get("latents").tensor(&device), timesteps, &captions, None).unwrap();
        let error = error(output, get("output"));
        println!("case {case}: {error:.2e}");
        assert!(error < 1e-4, "case {case}: {error}");
    }
}

#[derive(serde::Deserialize)]
struct Positions {
    model: String,
    sample_size: usize,
    interpolation_scale: f64,
    height: usize,
    width: usize,
    rows: std::collections::BTreeMap<String, Vec<f32>>,
}

/// Every released size, Sigma and alpha, at its own grid and at an oblong one.
#[test]
fn positions_of_every_released_size_are_those_of_diffusers() {
    let cases: Vec<Positions> = serde_json::from_str(include_str!("../fixtures/positions.json")).unwrap();
    assert_eq!(cases.len(), 14);
    for Positions { model, sample_size, interpolation_scale, height, width, rows } in cases {
        let config = TransformerConfig { heads: 1, head_dim: 8, sample_size, interpolation_scale, ..sigma() };
        let table = position_table(&config, height, width, &Device::flex()).into_data().try_to_vec::<f32>().unwrap();
        for (token, expected) in rows {
            let token: usize = token.parse().unwrap();
            let found = &table[8 * token..8 * (token + 1)];
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-5, "{model} {height} x {width}, token {token}: {found:?}, {expected:?}");
            }
        }
    }
}
