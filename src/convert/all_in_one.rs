//! Files that hold a whole pipeline, as ComfyUI saves them: the names of each part have a beginning of their own.

use super::checkpoint_tensor::Tensors;

/// How a part's names begin.
#[derive(Debug, Clone, Copy)]
pub struct Prefixes {
    /// In a file with other parts.
    among_others: &'static [&'static str],
    /// Only in a file of its own.
    alone: &'static [&'static str],
}

pub const TEXT_ENCODER: Prefixes = Prefixes {
    among_others: &[
        "text_encoders.t5xxl.transformer.",
        "cond_stage_model.t5xxl.transformer.",
        "cond_stage_model.transformer.",
        "t5xxl.transformer.",
        "text_encoder.",
    ],
    alone: &["transformer."],
};
pub const VAE: Prefixes = Prefixes { among_others: &["first_stage_model.", "vae."], alone: &["module."] };

/// What lies beside an encoder's weights and is none: its tokenizer's file, CLIP's temperature.
const NO_WEIGHTS: [&str; 2] = ["spiece_model", "logit_scale"];

impl Prefixes {
    /// Whether a part with these lies among `tensors` and others.
    pub fn begin_any(&self, tensors: &Tensors) -> bool {
        tensors.keys().any(|name| self.begin(name))
    }

    fn begin(&self, name: &str) -> bool {
        self.among_others.iter().any(|prefix| name.starts_with(prefix))
    }

    /// The part's tensors without their prefix: of a file that holds a transformer too those that have one, of any other all.
    pub fn part(&self, tensors: Tensors) -> Tensors {
        let whole = holds_transformer(&tensors);
        let prefixes = || self.among_others.iter().chain(if whole { &[][..] } else { self.alone });
        let mut own = Tensors::new();
        for (name, tensor) in tensors {
            match prefixes().find_map(|prefix| name.strip_prefix(prefix)) {
                Some(bare) => own.insert(bare.to_owned(), tensor),
                None if whole => None,
                None => own.insert(name, tensor),
            };
        }
        own.retain(|name, _| !is_no_weight(name));
        own
    }
}

/// The transformer's tensors, where those of other parts lie beside them.
pub fn transformer(tensors: Tensors) -> Tensors {
    if !holds_transformer(&tensors) {
        return tensors;
    }
    let others = |name: &str| TEXT_ENCODER.begin(name) || VAE.begin(name) || is_no_weight(name);
    tensors.into_iter().filter(|(name, _)| !others(name)).collect()
}

fn is_no_weight(name: &str) -> bool {
    NO_WEIGHTS.iter().any(|end| name.ends_with(end))
}

fn holds_transformer(tensors: &Tensors) -> bool {
    tensors.keys().any(|name| name.contains("x_embedder.proj.") || name.contains("pos_embed.proj."))
}
