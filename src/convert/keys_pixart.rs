//! The PixArt transformer's names: as diffusers saves them (which are ours), and as the authors' `.pth` files have them.

use super::checkpoint_tensor::Tensors;
use super::keys::{Key, numbered, swap};

/// Wrappers that training scripts put in front of every name.
const WRAPPERS: [&str; 7] =
    ["model.diffusion_model.", "diffusion_model.", "base_model.", "model.", "module.", "_orig_mod.", "transformer."];

/// What has one name in the original and one in ours.
const OUTER: [(&str, &str); 11] = [
    ("x_embedder.proj", "pos_embed.proj"),
    ("y_embedder.y_proj.fc1", "caption_projection.linear_1"),
    ("y_embedder.y_proj.fc2", "caption_projection.linear_2"),
    ("t_embedder.mlp.0", "adaln_single.emb.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "adaln_single.emb.timestep_embedder.linear_2"),
    ("csize_embedder.mlp.0", "adaln_single.emb.resolution_embedder.linear_1"),
    ("csize_embedder.mlp.2", "adaln_single.emb.resolution_embedder.linear_2"),
    ("ar_embedder.mlp.0", "adaln_single.emb.aspect_ratio_embedder.linear_1"),
    ("ar_embedder.mlp.2", "adaln_single.emb.aspect_ratio_embedder.linear_2"),
    ("t_block.1", "adaln_single.linear"),
    ("final_layer.linear", "proj_out"),
];

/// The same inside a block.
const INNER: [(&str, &str); 11] = [
    ("scale_shift_table", "scale_shift_table"),
    ("attn.proj", "attn1.to_out.0"),
    ("attn.q_norm", "attn1.q_norm"),
    ("attn.k_norm", "attn1.k_norm"),
    ("attn.sr", "attn1.sr"),
    ("attn.norm", "attn1.norm"),
    ("cross_attn.q_linear", "attn2.to_q"),
    ("cross_attn.proj", "attn2.to_out.0"),
    ("mlp.fc1", "ff.net.0.proj"),
    ("mlp.fc2", "ff.net.2"),
    ("router", "router"),
];

/// Layers of a block whose rows are those of several of ours.
const FUSED: [(&str, &[&str]); 2] = [
    ("attn.qkv", &["attn1.to_q", "attn1.to_k", "attn1.to_v"]),
    ("cross_attn.kv_linear", &["attn2.to_k", "attn2.to_v"]),
];

/// What the original calls the last norm's shift and scale.
pub const LAST_TABLE: &str = "final_layer.scale_shift_table";

/// Names inside a block of a diffusers checkpoint.
const DIFFUSERS_INNER: [&str; 16] = [
    "attn1.to_q",
    "attn1.to_k",
    "attn1.to_v",
    "attn1.to_out.0",
    "attn1.q_norm",
    "attn1.k_norm",
    "attn1.sr",
    "attn1.norm",
    "attn2.to_q",
    "attn2.to_k",
    "attn2.to_v",
    "attn2.to_out.0",
    "ff.net.0.proj",
    "ff.net.2",
    "scale_shift_table",
    "router",
];

const QK_NORM: &str =
    "norms of each head's queries and keys are not PixArt's, whose q_norm and k_norm are over all heads";

/// The checkpoint without its wrappers.
pub fn unwrapped(tensors: Tensors) -> Tensors {
    let bare = |mut name: &str| {
        while let Some(rest) = WRAPPERS.iter().find_map(|w| name.strip_prefix(w)) {
            name = rest;
        }
        name.to_owned()
    };
    tensors.into_iter().map(|(name, tensor)| (bare(&name), tensor)).collect()
}

/// Whether the names are the original ones.
pub fn is_original(tensors: &Tensors) -> bool {
    tensors.keys().any(|name| name.starts_with("x_embedder.") || name.starts_with("blocks."))
}

/// The authors' layers of a transformer of so many blocks, and ours whose rows each has, in order. Tables of a block are layers too, without a
/// weight and a bias of their own.
pub fn original_layers(blocks: usize) -> Vec<(String, Vec<String>)> {
    let one = |old: &str, new: &str| (old.to_owned(), vec![new.to_owned()]);
    let mut layers: Vec<_> = OUTER.iter().map(|(old, new)| one(old, new)).collect();
    for n in 0..blocks {
        let block = |name: &str| format!("transformer_blocks.{n}.{name}");
        layers.extend(INNER.iter().map(|(old, new)| (format!("blocks.{n}.{old}"), vec![block(new)])));
        let fused = |names: &[&str]| names.iter().map(|name| block(name)).collect();
        layers.extend(FUSED.iter().map(|(old, new)| (format!("blocks.{n}.{old}"), fused(new))));
    }
    layers
}

/// The authors' names.
pub fn original(name: &str) -> Key {
    if let Some((n, rest)) = numbered(name, "blocks") {
        let block = |name: &str| format!("transformer_blocks.{n}.{name}");
        let fused = FUSED.iter().find_map(|(old, new)| Some((rest.strip_prefix(old)?.strip_prefix('.')?, new)));
        return match (rest, fused) {
            ("diff_ratio" | "kept_ratio_candidate", _) => Key::Drop,
            (_, Some((kind, names))) => Key::Rows(names.iter().map(|name| block(&format!("{name}.{kind}"))).collect()),
            _ => swap(rest, &INNER).map_or(Key::Unknown, |name| Key::Is(block(&name))),
        };
    }
    match name {
        "pos_embed" | "y_embedder.y_embedding" => Key::Drop,
        LAST_TABLE => Key::Is("scale_shift_table".into()),
        _ => swap(name, &OUTER).map_or(Key::Unknown, Key::Is),
    }
}

/// Diffusers' names, which are ours.
pub fn diffusers(name: &str) -> Key {
    if let Some((_, rest)) = numbered(name, "transformer_blocks") {
        return match rest {
            "diff_ratio" | "kept_ratio_candidate" => Key::Drop,
            _ if rest.contains(".norm_q") || rest.contains(".norm_k") => Key::Refuse(QK_NORM),
            _ if DIFFUSERS_INNER.iter().any(|known| under(rest, known)) => Key::Is(name.into()),
            _ => Key::Unknown,
        };
    }
    match name {
        "pos_embed.pos_embed" | "caption_projection.y_embedding" => Key::Drop,
        "scale_shift_table" => Key::Is(name.into()),
        _ if OUTER.iter().any(|(_, ours)| under(name, ours)) => Key::Is(name.into()),
        _ => Key::Unknown,
    }
}

/// `name` is `known`, or its weight or bias.
fn under(name: &str, known: &str) -> bool {
    name.strip_prefix(known).is_some_and(|rest| matches!(rest, "" | ".weight" | ".bias"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fused_projections_are_split() {
        let names = |key: Key| match key {
            Key::Rows(names) => names.join(" "),
            other => panic!("{other:?}"),
        };
        let qkv = "transformer_blocks.7.attn1.to_q.bias transformer_blocks.7.attn1.to_k.bias transformer_blocks.7.attn1.to_v.bias";
        assert_eq!(names(original("blocks.7.attn.qkv.bias")), qkv);
        let kv = "transformer_blocks.0.attn2.to_k.weight transformer_blocks.0.attn2.to_v.weight";
        assert_eq!(names(original("blocks.0.cross_attn.kv_linear.weight")), kv);
    }

    #[test]
    fn every_original_name_lands_on_a_diffusers_name() {
        let inner = INNER.iter().map(|(old, _)| format!("blocks.3.{old}.weight"));
        let outer = OUTER.iter().map(|(old, _)| format!("{old}.weight"));
        for name in inner.chain(outer).filter(|n| !n.contains("scale_shift")) {
            let Key::Is(ours) = original(&name) else { panic!("{name}") };
            assert_eq!(diffusers(&ours), Key::Is(ours.clone()));
        }
    }

    #[test]
    fn variants_are_refused_and_buffers_dropped() {
        assert_eq!(original("blocks.14.cross_attn.q_norm.weight"), Key::Unknown);
        assert_eq!(diffusers("transformer_blocks.0.attn1.norm_q.weight"), Key::Refuse(QK_NORM));
        for name in ["pos_embed", "y_embedder.y_embedding", "blocks.0.diff_ratio"] {
            assert_eq!(original(name), Key::Drop);
        }
        for name in ["pos_embed.pos_embed", "caption_projection.y_embedding"] {
            assert_eq!(diffusers(name), Key::Drop);
        }
        assert_eq!(original("blocks.0.surprise.weight"), Key::Unknown);
        assert_eq!(diffusers("transformer_blocks.0.attn1.to_q.lora_A.weight"), Key::Unknown);
        assert_eq!(diffusers("controlnet.weight"), Key::Unknown);
    }
}
