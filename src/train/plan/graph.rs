//! What a graph keeps of a micro-batch for its gradients, as our layers and burn's operations do.

use super::super::config::{Kind, Recompute, TrainConfig, Variant};
use super::super::stage::Stage;
use crate::bundle::manifest::Parts;

/// Values of a token that a block keeps, in widths of the model: what enters and leaves its products, norms and gates.
const BLOCK: u64 = 24;
/// The same of a layer of the text encoder, and of its inner width.
const TEXT: u64 = 12;
const TEXT_INNER: u64 = 5;
/// Tokens of a caption, about, where its real length is not known.
const CAPTION: usize = 20;

/// A stage's graph.
pub struct Graph<'a> {
    parts: &'a Parts,
    trains_text: bool,
    /// Pictures of a step that may share a micro-batch.
    together: usize,
    /// Tokens of a picture, and of its caption.
    pub tokens: usize,
    pub caption: usize,
    /// Tokens that a layer runs, on average, in units of all: both bins of a routed one together.
    pub keep: f64,
}

impl<'a> Graph<'a> {
    pub fn new(parts: &'a Parts, config: &TrainConfig, kind: Kind, stage: &Stage) -> Self {
        let side = stage.size / parts.pixel_scale() / parts.transformer.patch_size.max(1);
        let keep = match config.routing.variant {
            _ if !config.is_routed(kind) => 1.0,
            Variant::Mod => 1.0 - config.routing.compression,
            // From all tokens and the next bin at the start.
            _ => 1.0 + config.routing.bins.get(1).copied().unwrap_or(0.0),
        };
        let most = parts.tokenizer.as_ref().map_or(CAPTION, |t| t.max_length);
        Self {
            parts,
            trains_text: config.train_text_encoder,
            together: stage.batch / if config.is_routed(kind) { config.routing.regions.max(1) } else { 1 },
            tokens: side * side,
            caption: most.min(CAPTION),
            keep,
        }
    }

    /// Bytes for so many pictures.
    pub fn bytes(&self, pictures: usize, recompute: Recompute) -> u64 {
        let t = &self.parts.transformer;
        let b = pictures.min(self.together) as u64;
        let (n, s) = (self.tokens as u64, self.caption as u64);
        let (width, heads, layers) = (t.width() as u64, t.heads as u64, t.layers as u64);
        let kept = (n as f64 * self.keep) as u64;
        let a_token = BLOCK * width + heads * (n + s);
        let block = b * kept * a_token;
        // The largest gradients of a block, while it is worked through.
        let passing = b * n * (8 * width + 2 * heads * (n + s));
        let caption = b * s * layers * 2 * width;
        let blocks = match recompute {
            Recompute::None => layers * block,
            Recompute::Block => layers * b * n * width + block,
        };
        let text = self.parts.text_encoder.as_ref().filter(|_| self.trains_text).map_or(0, |text| {
            let (w, inner) = (text.d_model as u64, text.d_ff as u64);
            b * s * text.layers as u64 * (TEXT * w + TEXT_INNER * inner + text.heads as u64 * s)
        });
        4 * (blocks + passing + caption + text)
    }
}
