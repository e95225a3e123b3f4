//! Fresh weights: the tensors of a new model with the distributions PyTorch, diffusers and transformers give them.

use std::collections::BTreeMap;

use crate::bundle::config::{TextEncoderConfig, TinyVaeConfig, TransformerConfig};
use crate::data::random::Random;

/// Shape and values by name.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Spread of a fresh router's weights: small, so that scores begin near 0.5.
const ROUTER_STD: f64 = 0.02;

fn uniform(random: &mut Random, count: usize, bound: f64) -> Vec<f32> {
    (0..count).map(|_| random.uniform(-bound, bound) as f32).collect()
}

fn normal(random: &mut Random, count: usize, std: f64) -> Vec<f32> {
    (0..count).map(|_| (random.gaussian() * std) as f32).collect()
}

/// PixArt: linear layers uniform in ±1/√in, tables Gaussian with variance 1/D.
pub fn transformer(config: &TransformerConfig, random: &mut Random) -> Tensors {
    let width = config.width();
    let mut tensors = Tensors::new();
    let mut linear = |name: String, shape: &[usize], random: &mut Random| {
        let (input, bound) = {
            let input: usize = shape.iter().skip(1).product();
            (input, 1.0 / (input as f64).sqrt())
        };
        tensors.insert(format!("{name}.weight"), (shape.to_vec(), uniform(random, shape[0] * input, bound)));
        tensors.insert(format!("{name}.bias"), (vec![shape[0]], uniform(random, shape[0], bound)));
    };
    let (p, c) = (config.patch_size, config.in_channels);
    linear("transformer.pos_embed.proj".into(), &[width, c, p, p], random);
    linear("transformer.adaln_single.emb.timestep_embedder.linear_1".into(), &[width, 256], random);
    linear("transformer.adaln_single.emb.timestep_embedder.linear_2".into(), &[width, width], random);
    linear("transformer.adaln_single.linear".into(), &[6 * width, width], random);
    linear("transformer.caption_projection.linear_1".into(), &[width, config.caption_channels], random);
    linear("transformer.caption_projection.linear_2".into(), &[width, width], random);
    linear("transformer.proj_out".into(), &[p * p * config.out_channels, width], random);
    for n in 0..config.layers {
        let block = format!("transformer.transformer_blocks.{n}");
        for attention in ["attn1", "attn2"] {
            for projection in ["to_q", "to_k", "to_v", "to_out.0"] {
                linear(format!("{block}.{attention}.{projection}"), &[width, width], random);
            }
        }
        linear(format!("{block}.ff.net.0.proj"), &[4 * width, width], random);
        linear(format!("{block}.ff.net.2"), &[width, 4 * width], random);
    }
    let std = 1.0 / (width as f64).sqrt();
    let mut table = |name: String, rows: usize| {
        tensors.insert(name, (vec![rows, width], normal(random, rows * width, std)));
    };
    table("transformer.scale_shift_table".into(), 2);
    (0..config.layers).for_each(|n| table(format!("transformer.transformer_blocks.{n}.scale_shift_table"), 6));
    tensors
}

/// `AutoencoderTiny`: convolutions uniform in ±1/√(in · side²), as PyTorch's.
pub fn autoencoder(config: &TinyVaeConfig, random: &mut Random) -> Tensors {
    let mut tensors = Tensors::new();
    let mut conv = |name: String, [output, input]: [usize; 2], bias: bool| {
        let inputs = input * 9;
        let bound = 1.0 / (inputs as f64).sqrt();
        tensors.insert(format!("{name}.weight"), (vec![output, input, 3, 3], uniform(random, output * inputs, bound)));
        if bias {
            tensors.insert(format!("{name}.bias"), (vec![output], uniform(random, output, bound)));
        }
    };
    let square = config.patch_size.pow(2);
    let blocks =
        |half: &str, next: &mut usize, count: usize, width: usize, conv: &mut dyn FnMut(String, [usize; 2], bool)| {
            for _ in 0..count {
                [0, 2, 4].iter().for_each(|n| conv(format!("{half}.{next}.conv.{n}"), [width, width], true));
                *next += 1;
            }
        };

    let (half, mut next, mut from) = ("vae_tiny.encoder.layers", 0, config.in_channels * square);
    for (stage, (&width, &count)) in config.encoder_block_channels.iter().zip(&config.encoder_blocks).enumerate() {
        conv(format!("{half}.{next}"), [width, from], stage == 0);
        (next, from) = (next + 1, width);
        blocks(half, &mut next, count, width, &mut conv);
    }
    conv(format!("{half}.{next}"), [config.latent_channels, from], true);

    let widths = &config.decoder_block_channels;
    let (half, mut next) = ("vae_tiny.decoder.layers", 2); // 1 is a ReLU
    conv(format!("{half}.0"), [widths.first().copied().unwrap_or(1), config.latent_channels], true);
    for (stage, (&width, &count)) in widths.iter().zip(&config.decoder_blocks).enumerate() {
        blocks(half, &mut next, count, width, &mut conv);
        match widths.get(stage + 1) {
            Some(&wider) => conv(format!("{half}.{}", next + 1), [wider, width], false), // after the Upsample
            None => conv(format!("{half}.{next}"), [config.out_channels * square, width], true),
        }
        next += 2;
    }
    tensors
}

/// T5 encoder, as `T5PreTrainedModel._init_weights`.
pub fn text_encoder(config: &TextEncoderConfig, random: &mut Random) -> Tensors {
    let (width, inner) = (config.d_model, config.heads * config.d_kv);
    let std = |n: usize| 1.0 / (n as f64).sqrt();
    let mut tensors = Tensors::new();
    let mut matrix = |name: String, shape: [usize; 2], std: f64| {
        tensors
            .insert(format!("text_encoder.{name}.weight"), (shape.to_vec(), normal(random, shape[0] * shape[1], std)));
    };
    matrix("shared".into(), [config.vocab_size, width], 1.0);
    for n in 0..config.layers {
        let attention = format!("encoder.block.{n}.layer.0.SelfAttention");
        matrix(format!("{attention}.q"), [inner, width], std(width * config.d_kv));
        matrix(format!("{attention}.k"), [inner, width], std(width));
        matrix(format!("{attention}.v"), [inner, width], std(width));
        matrix(format!("{attention}.o"), [width, inner], std(inner));
        if n == 0 {
            let shape = [config.relative_buckets, config.heads];
            matrix(format!("{attention}.relative_attention_bias"), shape, std(width));
        }
        let mlp = format!("encoder.block.{n}.layer.1.DenseReluDense");
        matrix(format!("{mlp}.wi_0"), [config.d_ff, width], std(width));
        matrix(format!("{mlp}.wi_1"), [config.d_ff, width], std(width));
        matrix(format!("{mlp}.wo"), [width, config.d_ff], std(config.d_ff));
    }
    let mut ones = |name: String| {
        tensors.insert(format!("text_encoder.encoder.{name}.weight"), (vec![width], vec![1.0; width]));
    };
    for n in 0..config.layers {
        ones(format!("block.{n}.layer.0.layer_norm"));
        ones(format!("block.{n}.layer.1.layer_norm"));
    }
    ones("final_layer_norm".into());
    tensors
}

/// A router for every layer.
pub fn routers(config: &TransformerConfig, random: &mut Random) -> Tensors {
    let router = |n: usize| format!("transformer.transformer_blocks.{n}.router.weight");
    (0..config.layers)
        .map(|n| (router(n), (vec![1, config.width()], normal(random, config.width(), ROUTER_STD))))
        .collect()
}
