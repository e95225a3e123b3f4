//! What an encoding costs: the transformer's output against the source's, and each layer's error as a table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::model::SourceModel;
use super::shard::Loss;
use crate::bundle::Weights;
use crate::bundle::config::TransformerConfig;
use crate::bundle::folder::load_folder;
use crate::bundle::manifest::Part;
use crate::device;
use crate::error::{Error, Result};
use crate::model::transformer::Transformer;
use crate::sampler::noise::gaussian;

/// Timesteps of the probe, from almost noise to almost clean.
const TIMESTEPS: [f32; 3] = [900.0, 500.0, 100.0];
/// Patches along a side of the probe's latents, at most, and tokens of its caption.
const SIDE: usize = 16;
const CAPTION: usize = 16;
const SEED: u64 = 2024;

/// Peak signal-to-noise ratio in dB of the transformer in the bundle at `dir` against `model`'s own, dense, on noise at three
/// timesteps with a caption of noise: the range of the source's output over the root mean square of the difference.
///
/// Both are in memory in f32, one after the other.
pub fn psnr(model: &SourceModel, dir: &Path) -> Result<f64> {
    let device = device::cpu();
    let config = &model.parts.transformer;
    let mut weights = Weights::new(&device);
    for (name, tensor) in &model.transformer {
        weights.insert(name, &tensor.shape, tensor.read()?);
    }
    let exact = outputs(weights, config, &device)?;
    let encoded = outputs(load_folder(dir, &device, Some(&[Part::Transformer]))?.weights, config, &device)?;
    let (least, most) = exact.iter().fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    let square =
        exact.iter().zip(&encoded).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / exact.len().max(1) as f64;
    Ok(20.0 * f64::from(most - least).log10() - 10.0 * square.log10())
}

fn outputs(mut weights: Weights, config: &TransformerConfig, device: &Device) -> Result<Vec<f32>> {
    let transformer = Transformer::load(&mut weights.scope("transformer"), config)?;
    let side = (config.sample_size / config.patch_size).clamp(1, SIDE) * config.patch_size;
    let noise = |stream: u64, shape: &[usize]| gaussian(SEED, stream, shape.iter().product());
    let shape = [1, config.in_channels, side, side];
    let latents = Tensor::<4>::from_data(TensorData::new(noise(0, &shape), shape), device);
    let shape = [1, CAPTION, config.caption_channels];
    let states = Tensor::<3>::from_data(TensorData::new(noise(1, &shape), shape), device);
    let captions = transformer.captions(states, &[CAPTION])?;
    let mut outputs = Vec::new();
    for t in TIMESTEPS {
        let (output, _) = transformer.forward(latents.clone(), &[t], &captions, None)?;
        outputs.extend(output.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))?);
    }
    Ok(outputs)
}

/// The kinds of linear layers, by a part of their names.
const KINDS: [(&str, &str); 10] = [
    ("attn1.to_q", "self q"),
    ("attn1.to_k", "self k"),
    ("attn1.to_v", "self v"),
    ("attn1.to_out", "self out"),
    ("attn2.to_q", "cross q"),
    ("attn2.to_k", "cross k"),
    ("attn2.to_v", "cross v"),
    ("attn2.to_out", "cross out"),
    ("ff.net.0", "ff in"),
    ("ff.net.2", "ff out"),
];

/// One row a block: the relative error of each quantized matrix in percent, and the rest of the quantized tensors as one line.
pub fn table(losses: &BTreeMap<String, Loss>) -> String {
    const BLOCKS: &str = "transformer.transformer_blocks.";
    let mut rows: BTreeMap<usize, [Option<Loss>; KINDS.len()]> = BTreeMap::new();
    let mut rest = Loss::default();
    for (name, loss) in losses {
        let block = name.strip_prefix(BLOCKS).and_then(|n| n.split_once('.'));
        let kind = KINDS.iter().position(|(part, _)| name.contains(part));
        match (block.and_then(|(i, _)| i.parse().ok()), kind) {
            (Some(block), Some(kind)) => rows.entry(block).or_default()[kind] = Some(*loss),
            _ => {
                rest.error += loss.error;
                rest.power += loss.power;
            }
        }
    }
    let mut text = String::from("error %");
    KINDS.iter().for_each(|(_, title)| text += &format!("{title:>10}"));
    for (block, row) in rows {
        let _ = write!(text, "\nblock {block:<3}");
        for loss in row {
            let _ = match loss {
                Some(loss) => write!(text, "{:>10}", format!("{:.2} q{}", 100.0 * loss.relative(), loss.bits)),
                None => write!(text, "{:>10}", "-"),
            };
        }
    }
    if rest.power > 0.0 {
        let _ = write!(text, "\nother layers {:.2}", 100.0 * rest.relative());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_block() {
        let loss = |bits, error| Loss { bits, error, power: 1.0 };
        let losses = BTreeMap::from([
            ("transformer.transformer_blocks.0.attn1.to_q.weight".to_owned(), loss(8, 1e-4)),
            ("transformer.transformer_blocks.10.ff.net.2.weight".to_owned(), loss(4, 0.01)),
            ("text_encoder.encoder.block.0.layer.0.SelfAttention.q.weight".to_owned(), loss(8, 0.0025)),
        ]);
        let text = table(&losses);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].starts_with("block 0 ") && lines[1].contains("1.00 q8"), "{text}");
        assert!(lines[2].starts_with("block 10") && lines[2].ends_with("10.00 q4"), "{text}");
        assert_eq!(lines[3], "other layers 5.00");
    }
}
