//! The T5 encoder's names: transformers' own, with one name for the embedding table.

use super::checkpoint_tensor::Tensors;
use super::keys::{Key, numbered};

/// Both names a checkpoint may give the embedding table.
const TABLE: &str = "shared.weight";
const TIED: &str = "encoder.embed_tokens.weight";

/// The table of this checkpoint: the tied copy of the embedding counts only where the table itself is absent.
pub fn table(tensors: &Tensors) -> impl Fn(&str) -> Key + use<> {
    let has_table = tensors.contains_key(TABLE);
    move |name| match name {
        TIED if has_table => Key::Drop,
        TIED | TABLE => Key::Is(TABLE.into()),
        "encoder.final_layer_norm.weight" => Key::Is(name.into()),
        "lm_head.weight" => Key::Drop,
        _ if name.starts_with("decoder.") => Key::Drop,
        _ => match numbered(name, "encoder.block") {
            Some((n, rest)) => layer(n, rest).map_or(Key::Unknown, |()| Key::Is(name.into())),
            None => Key::Unknown,
        },
    }
}

fn layer(n: usize, rest: &str) -> Option<()> {
    let rest = rest.strip_suffix(".weight")?;
    let known = match rest.strip_prefix("layer.0.SelfAttention.") {
        Some(name) => matches!(name, "q" | "k" | "v" | "o") || (name == "relative_attention_bias" && n == 0),
        None => matches!(
            rest,
            "layer.0.layer_norm"
                | "layer.1.layer_norm"
                | "layer.1.DenseReluDense.wi"
                | "layer.1.DenseReluDense.wi_0"
                | "layer.1.DenseReluDense.wi_1"
                | "layer.1.DenseReluDense.wo"
        ),
    };
    known.then_some(())
}
