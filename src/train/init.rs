//! Fresh weights: the tensors of a new model with the distributions PyTorch, diffusers and transformers give them.

use std::collections::BTreeMap;

use crate::bundle::config::{TextEncoderConfig, TinyVaeConfig, TransformerConfig};
use crate::data::random::Random;
use crate::model::classifier::ClassifierConfig;

/// Shape and values by name.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Spread of a fresh router's weights: small, so that scores begin near 0.5.
const ROUTER_STD: f64 = 0.02;

/// A tensor to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    pub name: String,
    pub shape: Vec<usize>,
    pub fill: Fill,
}

/// How its values are distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// In ± this bound.
    Uniform(f64),
    /// With this deviation.
    Normal(f64),
    Ones,
}

/// Makes tensors, in their order.
pub fn make(specs: Vec<Spec>, random: &mut Random) -> Tensors {
    let values = |spec: &Spec, random: &mut Random| -> Vec<f32> {
        let count = 0..spec.shape.iter().product();
        match spec.fill {
            Fill::Uniform(bound) => count.map(|_| random.uniform(-bound, bound) as f32).collect(),
            Fill::Normal(deviation) => count.map(|_| (random.gaussian() * deviation) as f32).collect(),
            Fill::Ones => count.map(|_| 1.0).collect(),
        }
    };
    let one = |spec: Spec| {
        let values = values(&spec, random);
        (spec.name, (spec.shape, values))
    };
    specs.into_iter().map(one).collect()
}

/// PixArt: linear layers uniform in ±1/√in, tables Gaussian with variance 1/D.
pub fn transformer(config: &TransformerConfig) -> Vec<Spec> {
    let width = config.width();
    let mut specs = Vec::new();
    let mut linear = |name: String, shape: &[usize]| {
        let input: usize = shape.iter().skip(1).product();
        let fill = Fill::Uniform(1.0 / (input as f64).sqrt());
        specs.push(Spec { name: format!("{name}.weight"), shape: shape.to_vec(), fill });
        specs.push(Spec { name: format!("{name}.bias"), shape: vec![shape[0]], fill });
    };
    let (p, c) = (config.patch_size, config.in_channels);
    linear("transformer.pos_embed.proj".into(), &[width, c, p, p]);
    linear("transformer.adaln_single.emb.timestep_embedder.linear_1".into(), &[width, 256]);
    linear("transformer.adaln_single.emb.timestep_embedder.linear_2".into(), &[width, width]);
    linear("transformer.adaln_single.linear".into(), &[6 * width, width]);
    linear("transformer.caption_projection.linear_1".into(), &[width, config.caption_channels]);
    linear("transformer.caption_projection.linear_2".into(), &[width, width]);
    linear("transformer.proj_out".into(), &[p * p * config.out_channels, width]);
    for n in 0..config.layers {
        let block = format!("transformer.transformer_blocks.{n}");
        for attention in ["attn1", "attn2"] {
            for projection in ["to_q", "to_k", "to_v", "to_out.0"] {
                linear(format!("{block}.{attention}.{projection}"), &[width, width]);
            }
        }
        linear(format!("{block}.ff.net.0.proj"), &[4 * width, width]);
        linear(format!("{block}.ff.net.2"), &[width, 4 * width]);
    }
    let fill = Fill::Normal(1.0 / (width as f64).sqrt());
    let mut table = |name: String, rows: usize| specs.push(Spec { name, shape: vec![rows, width], fill });
    table("transformer.scale_shift_table".into(), 2);
    (0..config.layers).for_each(|n| table(format!("transformer.transformer_blocks.{n}.scale_shift_table"), 6));
    specs
}

/// `AutoencoderTiny`: convolutions uniform in ±1/√(in · side²), as PyTorch's, a block's last with zeros.
pub fn autoencoder(config: &TinyVaeConfig) -> Vec<Spec> {
    let mut specs = Vec::new();
    let mut conv = |name: String, [output, input]: [usize; 2], bias: bool| {
        // A block adds nothing at first.
        let bound = if name.ends_with(".conv.4") { 0.0 } else { 1.0 / ((input * 9) as f64).sqrt() };
        let fill = Fill::Uniform(bound);
        specs.push(Spec { name: format!("{name}.weight"), shape: vec![output, input, 3, 3], fill });
        if bias {
            specs.push(Spec { name: format!("{name}.bias"), shape: vec![output], fill });
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
    specs
}

/// A classifier: convolutions Gaussian with variance 2 / inputs (He initialisation), a block's last with zeros.
pub fn classifier(config: &ClassifierConfig) -> Vec<Spec> {
    let mut specs = Vec::new();
    let mut layer = |name: String, shape: &[usize], fill: Fill| {
        specs.push(Spec { name: format!("{name}.weight"), shape: shape.to_vec(), fill });
        specs.push(Spec { name: format!("{name}.bias"), shape: vec![shape[0]], fill: Fill::Normal(0.0) });
    };
    let he = |input: usize| Fill::Normal((2.0 / (input * 9) as f64).sqrt());
    let mut from = 3;
    for (n, (&width, &count)) in config.widths.iter().zip(&config.blocks).enumerate() {
        layer(format!("classifier.levels.{n}.conv"), &[width, from, 3, 3], he(from));
        for i in 0..count {
            let block = format!("classifier.levels.{n}.blocks.{i}");
            layer(format!("{block}.conv1"), &[width, width, 3, 3], he(width));
            layer(format!("{block}.conv2"), &[width, width, 3, 3], Fill::Normal(0.0));
        }
        from = width;
    }
    let features = config.features();
    layer("classifier.head".into(), &[config.classes.len(), features], Fill::Uniform(1.0 / (features as f64).sqrt()));
    specs
}

/// T5 encoder, as `T5PreTrainedModel._init_weights`.
pub fn text_encoder(config: &TextEncoderConfig) -> Vec<Spec> {
    let (width, inner) = (config.d_model, config.heads * config.d_kv);
    let deviation = |n: usize| 1.0 / (n as f64).sqrt();
    let mut specs = Vec::new();
    let mut matrix = |name: String, shape: [usize; 2], deviation: f64| {
        let (name, shape) = (format!("text_encoder.{name}.weight"), shape.to_vec());
        specs.push(Spec { name, shape, fill: Fill::Normal(deviation) });
    };
    matrix("shared".into(), [config.vocab_size, width], 1.0);
    for n in 0..config.layers {
        let attention = format!("encoder.block.{n}.layer.0.SelfAttention");
        matrix(format!("{attention}.q"), [inner, width], deviation(width * config.d_kv));
        matrix(format!("{attention}.k"), [inner, width], deviation(width));
        matrix(format!("{attention}.v"), [inner, width], deviation(width));
        matrix(format!("{attention}.o"), [width, inner], deviation(inner));
        if n == 0 {
            let shape = [config.relative_buckets, config.heads];
            matrix(format!("{attention}.relative_attention_bias"), shape, deviation(width));
        }
        let mlp = format!("encoder.block.{n}.layer.1.DenseReluDense");
        matrix(format!("{mlp}.wi_0"), [config.d_ff, width], deviation(width));
        matrix(format!("{mlp}.wi_1"), [config.d_ff, width], deviation(width));
        matrix(format!("{mlp}.wo"), [width, config.d_ff], deviation(config.d_ff));
    }
    let mut ones = |name: String| {
        let name = format!("text_encoder.encoder.{name}.weight");
        specs.push(Spec { name, shape: vec![width], fill: Fill::Ones });
    };
    for n in 0..config.layers {
        ones(format!("block.{n}.layer.0.layer_norm"));
        ones(format!("block.{n}.layer.1.layer_norm"));
    }
    ones("final_layer_norm".into());
    specs
}

/// A router for every layer.
pub fn routers(config: &TransformerConfig) -> Vec<Spec> {
    let spec = |n: usize| Spec {
        name: format!("transformer.transformer_blocks.{n}.router.weight"),
        shape: vec![1, config.width()],
        fill: Fill::Normal(ROUTER_STD),
    };
    (0..config.layers).map(spec).collect()
}
