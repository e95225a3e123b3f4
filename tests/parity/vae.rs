//! `AutoencoderKL` and `AutoencoderTiny` of several widths and depths against diffusers, and how they load.

use std::collections::BTreeMap;

use burn::tensor::Device;
use diffcr::bundle::Weights;
use diffcr::bundle::config::{TinyVaeConfig, VaeConfig};
use diffcr::model::vae::Vae;
use diffcr::model::vae::kl::Kl;
use diffcr::model::vae::tiny::Tiny;

use crate::support::{Array, error, read, weights};

const TOLERANCE: f32 = 1e-3;

pub fn kl_config() -> VaeConfig {
    VaeConfig {
        in_channels: 3,
        out_channels: 3,
        latent_channels: 4,
        block_out_channels: vec![8, 16, 16, 16],
        layers_per_block: 1,
        norm_groups: 4,
        mid_attention: true,
        quant_conv: true,
        post_quant_conv: true,
        scaling_factor: 0.13025,
        encoder: true,
    }
}

pub fn tiny_config() -> TinyVaeConfig {
    TinyVaeConfig {
        in_channels: 3,
        out_channels: 3,
        latent_channels: 4,
        encoder_block_channels: vec![8; 4],
        decoder_block_channels: vec![8; 4],
        encoder_blocks: vec![1, 2, 2, 2],
        decoder_blocks: vec![2, 2, 2, 1],
        upsampling_factor: 2,
        patch_size: 1,
        latent_magnitude: 3.0,
        scaling_factor: 1.0,
        encoder: true,
    }
}

/// Of `vae/tiny_patch.safetensors`.
pub fn patch_config() -> TinyVaeConfig {
    TinyVaeConfig {
        latent_channels: 5,
        encoder_block_channels: vec![8, 12, 16],
        decoder_block_channels: vec![16, 12, 8],
        encoder_blocks: vec![1, 1, 2],
        decoder_blocks: vec![2, 1, 1],
        patch_size: 2,
        ..tiny_config()
    }
}

pub fn kl_weights(device: &Device) -> Weights {
    weights("vae", "sigma/pipeline/vae/diffusion_pytorch_model.safetensors", device)
}

pub fn tiny_weights(device: &Device) -> Weights {
    weights("vae_tiny", "sigma/vae_tiny/diffusion_pytorch_model.safetensors", device)
}

pub fn load_kl(mut weights: Weights, config: &VaeConfig) -> diffcr::Result<Kl> {
    let kl = Kl::load(&mut weights.scope("vae"), config)?;
    weights.finish().map(|()| kl)
}

pub fn load_tiny(mut weights: Weights, config: &TinyVaeConfig) -> diffcr::Result<Tiny> {
    let tiny = Tiny::load(&mut weights.scope("vae_tiny"), config)?;
    weights.finish().map(|()| tiny)
}

/// The fixture's weights under `part`, and its other tensors.
fn split(part: &str, path: &str, device: &Device) -> (Weights, BTreeMap<String, Array>) {
    let mut weights = Weights::new(device);
    let mut data = BTreeMap::new();
    for (name, array) in read(path) {
        match name.strip_prefix("weights.") {
            Some(name) => weights.insert(format!("{part}.{name}"), &array.shape, array.values),
            None => drop(data.insert(name, array)),
        }
    }
    (weights, data)
}

/// Both directions, and the scaling factor between the fixtures' latents and the model's.
fn compare(name: &str, vae: &Vae, data: &BTreeMap<String, Array>, device: &Device) {
    let image = || data["image"].tensor::<4>(device);
    let latents = || data["latents"].tensor::<4>(device);
    let encoded = data.get("encoded").unwrap_or_else(|| &data["latent_mean"]);
    let factor = vae.scaling_factor();
    for (way, error) in [
        ("encode", error(vae.encode_unscaled(image()).unwrap(), encoded)),
        ("encode, scaled", error(vae.encode(image()).unwrap() / factor, encoded)),
        ("decode", error(vae.decode_unscaled(latents()), &data["decoded"])),
        ("decode, scaled", error(vae.decode(latents() * factor), &data["decoded"])),
    ] {
        println!("{name}, {way}: {error:.2e}");
        assert!(error < TOLERANCE, "{name}, {way}: {error}");
    }
}

#[test]
fn kl_is_that_of_diffusers() {
    let device = Device::flex();
    let vae = Vae::Kl(load_kl(kl_weights(&device), &kl_config()).unwrap());
    compare("kl", &vae, &read("sigma/vae.safetensors"), &device);
}

#[test]
fn kl_of_two_deeper_levels_is_that_of_diffusers() {
    let device = Device::flex();
    let (weights, data) = split("vae", "vae/kl.safetensors", &device);
    let config = VaeConfig {
        latent_channels: 3,
        block_out_channels: vec![4, 8],
        layers_per_block: 2,
        scaling_factor: 0.18215,
        ..kl_config()
    };
    let vae = Vae::Kl(load_kl(weights, &config).unwrap());
    compare("kl of two levels", &vae, &data, &device);
}

#[test]
fn kl_of_one_plain_level_is_that_of_diffusers() {
    let device = Device::flex();
    let (weights, data) = split("vae", "vae/kl_plain.safetensors", &device);
    let config = VaeConfig {
        latent_channels: 5,
        block_out_channels: vec![8],
        norm_groups: 2,
        mid_attention: false,
        quant_conv: false,
        post_quant_conv: false,
        scaling_factor: 1.0,
        ..kl_config()
    };
    let vae = Vae::Kl(load_kl(weights, &config).unwrap());
    compare("kl of one plain level", &vae, &data, &device);
}

#[test]
fn tiny_is_that_of_diffusers() {
    let device = Device::flex();
    let vae = Vae::Tiny(load_tiny(tiny_weights(&device), &tiny_config()).unwrap());
    compare("tiny", &vae, &read("sigma/vae_tiny.safetensors"), &device);
}

#[test]
fn tiny_of_three_uneven_levels_is_that_of_diffusers() {
    let device = Device::flex();
    let (weights, data) = split("vae_tiny", "vae/tiny.safetensors", &device);
    let config = TinyVaeConfig {
        latent_channels: 6,
        encoder_block_channels: vec![8; 3],
        decoder_block_channels: vec![8; 3],
        encoder_blocks: vec![2, 1, 3],
        decoder_blocks: vec![1, 0, 2],
        ..tiny_config()
    };
    let vae = Vae::Tiny(load_tiny(weights, &config).unwrap());
    compare("tiny of three levels", &vae, &data, &device);
}

#[test]
fn tiny_with_widths_by_level_and_squares_of_pixels_is_that_of_torch() {
    let device = Device::flex();
    let (weights, data) = split("vae_tiny", "vae/tiny_patch.safetensors", &device);
    let vae = Vae::Tiny(load_tiny(weights, &patch_config()).unwrap());
    compare("tiny with squares of pixels", &vae, &data, &device);
}

#[test]
fn a_decoder_alone_decodes_and_says_why_it_does_not_encode() {
    let device = Device::flex();
    let config = VaeConfig { encoder: false, ..kl_config() };
    let mut weights = kl_weights(&device);
    let of_the_encoder = |name: &&str| name.starts_with("vae.encoder.") || name.starts_with("vae.quant_conv.");
    let encoder = weights.names().filter(of_the_encoder).count();
    let kl = Kl::load(&mut weights.scope("vae"), &config).unwrap();
    assert!(encoder > 0 && weights.names().all(|name| of_the_encoder(&name)));
    assert_eq!(weights.names().count(), encoder);

    let data = read("sigma/vae.safetensors");
    assert!(error(kl.decode(data["latents"].tensor(&device)), &data["decoded"]) < TOLERANCE);
    let failure = kl.encode(data["image"].tensor(&device)).unwrap_err();
    assert_eq!(failure.to_string(), "image: this bundle has no image encoder");
}

#[test]
fn images_must_fit_the_encoder() {
    let device = Device::flex();
    let kl = load_kl(kl_weights(&device), &kl_config()).unwrap();
    let tiny = load_tiny(tiny_weights(&device), &tiny_config()).unwrap();
    for (shape, message) in [
        ([1, 3, 64, 50], "image: 50x64 pixels are no multiple of 8"),
        ([1, 3, 0, 8], "image: 8x0 pixels are no multiple of 8"),
        ([1, 4, 64, 48], "image: it has 4 channels, the encoder takes 3"),
    ] {
        let image = || burn::tensor::Tensor::<4>::zeros(shape, &device);
        assert_eq!(kl.encode(image()).unwrap_err().to_string(), message);
        assert_eq!(tiny.encode(image()).unwrap_err().to_string(), message);
    }
}

#[test]
fn settings_that_describe_no_network_are_named() {
    let device = Device::flex();
    let kl = |config: VaeConfig| load_kl(kl_weights(&device), &config).unwrap_err().to_string();
    let tiny = |config: TinyVaeConfig| load_tiny(tiny_weights(&device), &config).unwrap_err().to_string();
    let levels = |channels: &[usize]| VaeConfig { block_out_channels: channels.to_vec(), ..kl_config() };
    let widths = |channels: &[usize]| TinyVaeConfig { decoder_block_channels: channels.to_vec(), ..tiny_config() };

    assert_eq!(kl(levels(&[])), "blockOutChannels: there must be at least one level");
    assert_eq!(kl(VaeConfig { norm_groups: 3, ..kl_config() }), "normGroups: 8 channels cannot be split into 3 groups");
    assert_eq!(
        kl(VaeConfig { layers_per_block: 2, ..kl_config() }),
        "vae.encoder.down_blocks.0.resnets.1.norm1.weight: the tensor is missing"
    );
    assert_eq!(
        kl(levels(&[8, 16, 16, 32])),
        "vae.encoder.down_blocks.3.resnets.0.conv_shortcut.weight: the tensor is missing"
    );
    assert_eq!(
        kl(VaeConfig { mid_attention: false, ..kl_config() }),
        "vae.decoder.mid_block.attentions.0.group_norm.bias: this model has no such tensor"
    );
    assert_eq!(tiny(widths(&[])), "decoderBlockChannels: there must be at least one level");
    assert_eq!(
        tiny(widths(&[8, 8, 16, 16])),
        "vae_tiny.decoder.layers.9.weight: the shape is [8, 8, 3, 3], the model asks for [16, 8, 3, 3]"
    );
    assert_eq!(tiny(widths(&[8, 8])), "decoderBlockChannels: decoderBlocks has another length");
    assert_eq!(tiny(TinyVaeConfig { upsampling_factor: 0, ..tiny_config() }), "upsamplingFactor: 0 is not in 1..=8");
    assert_eq!(
        tiny(TinyVaeConfig { upsampling_factor: 4, ..tiny_config() }),
        "encoderBlocks: the encoder must shrink as much as the decoder enlarges"
    );
}
