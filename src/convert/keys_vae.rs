//! The autoencoders' names: diffusers' own, older diffusers attention names, and TAESD's original numbering.

use super::checkpoint_tensor::Tensors;
use super::keys::{Key, numbered, swap};

/// Attention of an autoencoder, before and after diffusers renamed it.
const ATTENTION: [(&str, &str); 4] = [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];

/// `AutoencoderKL` as diffusers saves it, today or earlier.
pub fn kl(name: &str) -> Key {
    let known = ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."];
    if !known.iter().any(|k| name.starts_with(k)) {
        return Key::Unknown;
    }
    let renamed = name.split_once("mid_block.attentions.0.").and_then(|(before, rest)| {
        let (old, kind) = rest.split_once('.')?;
        let (_, new) = ATTENTION.iter().find(|(a, _)| *a == old)?;
        Some(format!("{before}mid_block.attentions.0.{new}.{kind}"))
    });
    Key::Is(renamed.unwrap_or_else(|| name.into()))
}

/// Names of the original `AutoencoderKL` in a half, and ours.
const LDM: [(&str, &str); 10] = [
    ("norm_out", "conv_norm_out"),
    ("mid.block_1", "mid_block.resnets.0"),
    ("mid.block_2", "mid_block.resnets.1"),
    ("mid.attn_1.norm", "mid_block.attentions.0.group_norm"),
    ("mid.attn_1.q", "mid_block.attentions.0.to_q"),
    ("mid.attn_1.k", "mid_block.attentions.0.to_k"),
    ("mid.attn_1.v", "mid_block.attentions.0.to_v"),
    ("mid.attn_1.proj_out", "mid_block.attentions.0.to_out.0"),
    ("conv_in", "conv_in"),
    ("conv_out", "conv_out"),
];

/// Whether the names are those of the original autoencoder (LDM).
pub fn is_ldm(tensors: &Tensors) -> bool {
    tensors.keys().any(|name| name.contains(".mid.block_1.") || name.contains(".mid.attn_1."))
}

/// The original names, of an autoencoder with these tensors: its decoder counts levels from the picture inwards, ours the other way.
pub fn ldm(tensors: &Tensors) -> impl Fn(&str) -> Key + use<> {
    let levels = tensors.keys().filter_map(|name| Some(numbered(name, "decoder.up")?.0)).max().map_or(0, |n| n + 1);
    move |name| {
        let Some((half, rest)) = name.split_once('.').filter(|(half, _)| matches!(*half, "encoder" | "decoder")) else {
            return kl(name);
        };
        let level = |list: &str| {
            let (n, rest) = numbered(rest, list)?;
            let n = if list == "up" { levels.checked_sub(n + 1)? } else { n };
            let (sampler, block) = (format!("{list}samplers.0.conv."), format!("{list}_blocks.{n}"));
            let rest = match rest.strip_prefix(&format!("{list}sample.conv.")) {
                Some(kind) => format!("{sampler}{kind}"),
                None => {
                    let (j, rest) = numbered(rest, "block")?;
                    format!("resnets.{j}.{}", rest.replacen("nin_shortcut", "conv_shortcut", 1))
                }
            };
            Some(format!("{block}.{rest}"))
        };
        let ours = level("down").or_else(|| level("up")).or_else(|| swap(rest, &LDM));
        ours.map_or(Key::Unknown, |ours| Key::Is(format!("{half}.{ours}")))
    }
}

/// `AutoencoderTiny` as diffusers saves it.
pub fn tiny(name: &str) -> Key {
    let known = ["encoder.layers", "decoder.layers"].iter().any(|list| numbered(name, list).is_some());
    if known { Key::Is(name.into()) } else { Key::Unknown }
}

/// TAESD's own files. The decoder begins with a clamp that diffusers does not count, so its numbers are one lower in ours.
pub fn taesd(name: &str) -> Key {
    let ours = |list: &str, shift: usize| {
        let (n, rest) = numbered(name, list)?;
        Some(Key::Is(format!("{list}.layers.{}.{rest}", n.checked_sub(shift)?)))
    };
    ours("encoder", 0).or_else(|| ours("decoder", 1)).unwrap_or(Key::Unknown)
}

/// One half of a TAESD, in a file of its own, under the name the whole gives it.
pub fn taesd_half(tensors: Tensors) -> Tensors {
    let half = if tensors.contains_key("0.weight") { "encoder" } else { "decoder" };
    let whole = tensors.keys().any(|n| n.starts_with("encoder.") || n.starts_with("decoder."));
    tensors.into_iter().map(|(name, t)| if whole { (name, t) } else { (format!("{half}.{name}"), t) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_attention_names_are_renamed() {
        let name = |old: &str| kl(&format!("decoder.mid_block.attentions.0.{old}.weight"));
        let ours = |new: &str| Key::Is(format!("decoder.mid_block.attentions.0.{new}.weight"));
        assert_eq!(name("query"), ours("to_q"));
        assert_eq!(name("proj_attn"), ours("to_out.0"));
        assert_eq!(name("to_k"), ours("to_k"));
        assert_eq!(name("group_norm"), ours("group_norm"));
        assert_eq!(kl("loss.discriminator.weight"), Key::Unknown);
    }

    #[test]
    fn taesd_decoders_are_shifted() {
        assert_eq!(taesd("decoder.1.weight"), Key::Is("decoder.layers.0.weight".into()));
        assert_eq!(taesd("decoder.3.conv.0.bias"), Key::Is("decoder.layers.2.conv.0.bias".into()));
        assert_eq!(taesd("encoder.0.weight"), Key::Is("encoder.layers.0.weight".into()));
        assert_eq!(taesd("decoder.0.weight"), Key::Unknown);
    }
}
