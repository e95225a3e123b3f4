//! The autoencoders' names: diffusers' own, older diffusers attention names, and TAESD's original numbering.

use super::checkpoint_tensor::Tensors;
use super::keys::{Key, numbered};

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
