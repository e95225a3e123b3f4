//! Token routing: the same tokens, the same output.

use burn::tensor::Device;
use diffcr::model::ratios::nearest_bin;
use diffcr::model::transformer::{StepRouting, Transformer};

use crate::support::{error, read, weights};
use crate::transformer::sigma;

#[test]
fn routed_output_is_that_of_the_reference() {
    let device = Device::flex();
    let data = read("sigma/routed.safetensors");
    let config = sigma();
    let mut weights = weights("transformer", "sigma/pipeline/transformer/diffusion_pytorch_model.safetensors", &device);
    for i in 0..config.layers {
        let router = &data[&format!("router.{i}")];
        let name = format!("transformer.transformer_blocks.{i}.router.weight");
        weights.insert(name, &[1, config.width()], router.values.clone());
    }
    let model = Transformer::load(&mut weights.scope("transformer"), &config).unwrap();
    weights.finish().unwrap();

    let tokens = data["mask"].shape[1];
    let lengths: Vec<usize> = data["mask"].values.chunks(tokens).map(|row| row.iter().sum::<f32>() as usize).collect();
    let captions = model.captions(data["context"].tensor(&device), &lengths).unwrap();
    let bins: Vec<f64> = data["bins"].values.iter().map(|&b| f64::from(b)).collect();
    let learned: Vec<f64> = data["keep"].values.iter().map(|&k| f64::from(k)).collect();
    for (case, keep) in [("learned", learned), ("half", vec![0.5; config.layers]), ("dense", vec![1.0; config.layers])]
    {
        let keep: Vec<f64> = keep.iter().map(|&r| nearest_bin(r, &bins)).collect();
        for (found, wanted) in keep.iter().zip(&data[&format!("{case}.keep_bin")].values) {
            assert!((found - f64::from(*wanted)).abs() < 1e-6, "{case}: bin {found}, not {wanted}");
        }
        let routing = StepRouting { keep, gain: 1.0 };
        let latents = data["latents"].tensor(&device);
        let (output, routed) = model.forward(latents, &data["timestep"].values, &captions, Some(&routing)).unwrap();
        for (i, choice) in routed.into_iter().enumerate() {
            let choice = choice.expect("a routed layer");
            assert_eq!(error(choice.index.float(), &data[&format!("{case}.index.{i}")]), 0.0, "{case}: layer {i}");
            assert!(error(choice.score, &data[&format!("{case}.score.{i}")]) < 1e-5, "{case}: layer {i}");
        }
        let error = error(output, &data[&format!("{case}.output")]);
        println!("{case}: {error:.2e}");
        assert!(error < 1e-4, "{case}: {error}");
    }
}
