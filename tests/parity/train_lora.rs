//! Adapters against PEFT: the output with them, and the folder that others read.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};
use diffcr::bundle::Weights;
use diffcr::model::transformer::Transformer;
use diffcr::train::config::{Base, LoraConfig};
use diffcr::train::frozen::Frozen;
use diffcr::train::lora;
use diffcr::train::parameters::Parameters;

use crate::support::{error, read};
use crate::transformer::sigma;

const TOLERANCE: f32 = 1e-4;

/// PEFT's factors as the graph names them.
fn factors() -> Parameters {
    let file = read("sigma/lora/adapter_model.safetensors");
    let tensors = file.into_iter().map(|(name, a)| {
        let layer = name.strip_prefix("base_model.model.").unwrap();
        let (layer, factor) = layer.strip_suffix(".weight").unwrap().rsplit_once(".lora_").unwrap();
        let shape = vec![a.shape[0], a.shape[1..].iter().product()];
        (format!("transformer.{layer}.weight.lora_{}", factor.to_lowercase()), (shape, a.values))
    });
    Parameters::new(tensors.collect()).unwrap()
}

fn base() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let file = read("sigma/pipeline/transformer/diffusion_pytorch_model.safetensors");
    file.into_iter().map(|(name, a)| (format!("transformer.{name}"), (a.shape, a.values))).collect()
}

#[test]
fn adapters_act_as_in_peft_merged_or_not() {
    let device = Device::flex();
    let data = read("sigma/lora/output.safetensors");
    let (factors, frozen) = (factors(), Frozen::new(base(), Base::F32, &Device::flex()));
    let output = |weights: &mut Weights| {
        let model = Transformer::load(&mut weights.scope("transformer"), &sigma()).unwrap();
        let lengths: Vec<usize> = data["mask"].values.chunks(7).map(|row| row.iter().sum::<f32>() as usize).collect();
        let captions = model.captions(data["context"].tensor(&device), &lengths).unwrap();
        let latents = data["latents"].tensor(&device);
        model.forward(latents, &data["timestep"].values, &captions, None).unwrap().0
    };
    let check = |what: &str, weights: &mut Weights, tolerance: f32| {
        let found = error(output(weights), &data["output"]);
        println!("{what}: {found:.2e}");
        assert!(found < tolerance, "{what}: {found}");
    };

    let mut apart = Weights::new(&device);
    frozen.insert_into(&mut apart, &device);
    let leaves = factors.leaves(&device);
    factors.insert_into(&mut apart, &leaves, |_| true);
    lora::scale(&mut apart, &factors, &leaves, 2.0);
    check("apart", &mut apart, TOLERANCE);
    apart.finish().unwrap();

    let mut merged = Weights::new(&device);
    for (name, (shape, values)) in lora::merge(&frozen, &factors, 2.0).unwrap() {
        let flat = Tensor::from_data(TensorData::new(values.clone(), [values.len()]), &device);
        merged.insert_tensor(name, &shape, flat);
    }
    check("merged", &mut merged, TOLERANCE);

    let mut half = Weights::new(&device);
    Frozen::new(base(), Base::Bf16, &Device::flex()).insert_into(&mut half, &device);
    factors.insert_into(&mut half, &leaves, |_| true);
    lora::scale(&mut half, &factors, &leaves, 2.0);
    check("bf16", &mut half, 3e-2);
}

#[test]
fn the_folder_is_as_peft_writes_it() {
    let dir = std::env::temp_dir().join(format!("diffcr-peft-{}", std::process::id()));
    let config = LoraConfig { alpha: Some(8.0), ..LoraConfig::new(4) };
    lora::write(&dir, &config, "base", &Frozen::new(base(), Base::F32, &Device::flex()), &factors()).unwrap();
    let bytes = std::fs::read(dir.join("adapter_model.safetensors")).unwrap();
    let written = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let wanted = read("sigma/lora/adapter_model.safetensors");
    assert_eq!(written.names().into_iter().collect::<BTreeSet<_>>(), wanted.keys().map(String::as_str).collect());
    for (name, array) in &wanted {
        let tensor = written.tensor(name).unwrap();
        let values: Vec<f32> = tensor.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!((tensor.shape(), &values), (&array.shape[..], &array.values), "{name}");
    }
    let read = |path: std::path::PathBuf| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let ours = read(dir.join("adapter_config.json"));
    let theirs = read(crate::support::fixture("sigma/lora/adapter_config.json"));
    for field in ["peft_type", "r", "lora_alpha", "bias", "lora_dropout", "fan_in_fan_out"] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    let targets = |v: &serde_json::Value| -> BTreeSet<String> {
        v["target_modules"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(targets(&ours), targets(&theirs));
    std::fs::remove_dir_all(dir).unwrap();
}
