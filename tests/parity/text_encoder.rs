//! `T5EncoderModel`: the unpadded run against the padded one; the encoder that passes by against the one that stays.

use std::path::Path;

use burn::tensor::Device;
use diffcr::bundle::config::{FeedForward, TextEncoderConfig};
use diffcr::bundle::folder::{load_folder, read_file, read_manifest};
use diffcr::bundle::manifest::Part;
use diffcr::model::text_encoder::TextEncoder;
use diffcr::model::text_stream::TextEncoderStream;

use crate::support::{Array, error, fixture, read, weights};

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

#[test]
fn an_encoder_that_passes_by_gives_the_states_of_one_that_stays() {
    let (device, dir) = (Device::flex(), fixture("scenes/bundle"));
    let manifest = read_manifest(Path::new(&dir)).unwrap();
    let config = manifest.parts.text_encoder.clone().unwrap();
    let mut loaded = load_folder(Path::new(&dir), &device, Some(&[Part::TextEncoder])).unwrap();
    let resident = TextEncoder::load(&mut loaded.weights.scope("text_encoder"), &config).unwrap();
    let prompts = vec![vec![5, 6, 7, 1], vec![1], vec![9, 5, 1]];
    for reversed in [false, true] {
        let mut stream = TextEncoderStream::new(manifest.clone(), &device, prompts.clone()).unwrap();
        let mut files = stream.files();
        assert_eq!(files.len(), 2);
        if reversed {
            files.reverse();
        }
        let mut layers = 0;
        for entry in &files {
            assert!(stream.last().is_none() || !reversed, "nothing runs before the table is here");
            layers += stream.add_file(&entry.path, read_file(Path::new(&dir), entry).unwrap(), false).unwrap();
        }
        assert_eq!(layers, config.layers + 1, "the last norm among them");
        for (ids, states) in prompts.iter().zip(stream.finish().unwrap()) {
            let wanted = resident.forward(ids).unwrap();
            let wanted = Array { shape: wanted.dims().to_vec(), values: wanted.into_data().try_to_vec().unwrap() };
            let error = error(states, &wanted);
            assert!(error < 1e-5, "{ids:?}: {error}");
        }
    }
    let half = TextEncoderStream::new(manifest.clone(), &device, prompts).unwrap();
    assert_eq!(half.finish().unwrap_err().code(), "INTEGRITY");
    for (prompt, says) in [(vec![], "there is no token"), (vec![config.vocab_size as u32], "outside the vocabulary")] {
        let error = TextEncoderStream::new(manifest.clone(), &device, vec![prompt]).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
