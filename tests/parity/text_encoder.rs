//! `T5EncoderModel`: the unpadded run against the padded one.

use burn::tensor::Device;
use diffcr::bundle::config::{FeedForward, TextEncoderConfig};
use diffcr::model::text_encoder::TextEncoder;

use crate::support::{Array, error, read, weights};

#[test]
fn states_are_those_of_transformers() {
    let device = Device::flex();
    let config = TextEncoderConfig {
        vocab_size: read("sigma/pipeline/text_encoder/model.safetensors")["shared.weight"].shape[0],
        d_model: 32,
        d_kv: 8,
        heads: 4,
        d_ff: 64,
        layers: 3,
        relative_buckets: 32,
        relative_max_distance: 128,
        layer_norm_eps: 1e-6,
        feed_forward: FeedForward::GatedGelu,
    };
    let mut weights = weights("text_encoder", "sigma/pipeline/text_encoder/model.safetensors", &device);
    let model = TextEncoder::load(&mut weights.scope("text_encoder"), &config).unwrap();
    weights.finish().unwrap();

    let data = read("sigma/text_encoder.safetensors");
    let (ids, mask, states) = (&data["input_ids"], &data["attention_mask"], &data["states"]);
    let (length, width) = (ids.shape[1], states.shape[2]);
    for row in 0..ids.shape[0] {
        let real = mask.values[row * length..][..length].iter().sum::<f32>() as usize;
        let ids: Vec<u32> = ids.values[row * length..][..real].iter().map(|&v| v as u32).collect();
        let values = states.values[row * length * width..][..real * width].to_vec();
        let error = error(model.forward(&ids).unwrap(), &Array { shape: vec![1, real, width], values });
        println!("prompt {row}: {error:.2e}");
        assert!(error < 1e-4, "prompt {row}: {error}");
    }
}
