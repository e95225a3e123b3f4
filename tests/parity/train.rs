//! The two-bin mix: losses and gradients of a training step against torch's.

use burn::tensor::{Device, Tensor};
use diffcr::model::transformer::Transformer;
use diffcr::train::gradient::Gradient;
use diffcr::train::parameters::Parameters;
use diffcr::train::soft_ratio::SoftRatios;

use crate::support::{Array, error, read};
use crate::transformer::sigma;

const TOLERANCE: f32 = 1e-3;

#[test]
fn losses_and_gradients_are_those_of_the_reference() {
    let device = Device::flex().autodiff();
    let config = sigma();
    let data = read("sigma/routed.safetensors");
    let file = read("sigma/pipeline/transformer/diffusion_pytorch_model.safetensors");
    let mut tensors: std::collections::BTreeMap<_, _> =
        file.into_iter().map(|(name, a)| (format!("transformer.{name}"), (a.shape, a.values))).collect();
    let router = |i: usize| format!("transformer.transformer_blocks.{i}.router.weight");
    for i in 0..config.layers {
        tensors.insert(router(i), (vec![1, config.width()], data[&format!("router.{i}")].values.clone()));
    }
    let ratio = data["train.ratio"].clone();
    tensors.insert("ratio".into(), (ratio.shape, ratio.values.clone()));
    let parameters = Parameters::new(tensors).unwrap();

    let leaves = parameters.leaves(&device);
    let mut weights = diffcr::bundle::Weights::new(&device);
    parameters.insert_into(&mut weights, &leaves, |name| name != "ratio");
    let model = Transformer::load(&mut weights.scope("transformer"), &config).unwrap();
    weights.finish().unwrap();
    let bins: Vec<f64> = data["bins"].values.iter().map(|&b| f64::from(b)).collect();
    let values = ratio.values.iter().map(|&r| f64::from(r)).collect();
    let ratios = SoftRatios::new(leaves["ratio"].clone(), values, config.layers, &bins, 1.0).unwrap();

    let tokens = data["mask"].shape[1];
    let lengths: Vec<usize> = data["mask"].values.chunks(tokens).map(|row| row.iter().sum::<f32>() as usize).collect();
    let captions = model.captions(data["context"].tensor(&device), &lengths).unwrap();
    let latents = data["latents"].tensor(&device);
    let output = model
        .forward_with(latents, &data["timestep"].values, &captions, |i, layer, input| {
            ratios.forward(0, i, layer, input)
        })
        .unwrap();
    let difference = output.clone() - data["train.target"].tensor(&device);
    let denoise: Tensor<1> = (difference.clone() * difference).mean();
    let ratio_loss = ratios.loss(0.7);
    let gradients = (denoise.clone() + ratio_loss.clone() * 0.3).backward();

    let check = |what: &str, found: f32| {
        println!("{what}: {found:.2e}");
        assert!(found < TOLERANCE, "{what}: {found}");
    };
    check("output", error(output.inner(), &data["train.output"]));
    check("loss_denoise", error(denoise.inner(), &data["train.loss_denoise"]));
    check("loss_ratio", error(ratio_loss.inner(), &data["train.loss_ratio"]));
    let gradient = Gradient::of(&parameters, &leaves, &gradients, &device).unwrap().into_host(&parameters).unwrap();
    let of = |name: &str| {
        let range = parameters.range(name).unwrap();
        Tensor::<1>::from_floats(&gradient[range], &Device::flex())
    };
    check("grad.ratio", error(of("ratio"), &data["train.grad.ratio"]));
    for i in 0..config.layers {
        check(&format!("grad.router.{i}"), error(of(&router(i)), &data[&format!("train.grad.router.{i}")]));
    }
    let wanted = &data["train.grad.block0.ff_in"];
    let flat = Array { shape: vec![wanted.values.len()], values: wanted.values.clone() };
    check("grad.block0.ff_in", error(of("transformer.transformer_blocks.0.ff.net.0.proj.weight"), &flat));
}
