//! What of a pipeline is timed, so that its kernels are the device's fastest.

use super::Pipeline;
use crate::bundle::config::TransformerConfig;
use crate::kernels::webgpu::tune::{BlockTunable, Convolution, Norms, Product, SelfAttention, Workload};
use crate::model::transformer::Transformer;

impl Pipeline {
    /// What makes up a step on `batch` images of the model's own size, and their decoding.
    pub fn workload(&self, batch: usize) -> Workload<'_> {
        let side = self.transformer().config().sample_size;
        let convolutions = self.decoders().flat_map(|vae| vae.convolutions(side));
        let convolutions =
            convolutions.filter_map(|(conv, side)| Some(Convolution { conv: conv.conv().tiled()?, side }));
        Workload { convolutions: convolutions.collect(), ..step(self.transformer(), batch) }
    }
}

/// A step of the transformer alone.
fn step(transformer: &Transformer, batch: usize) -> Workload<'_> {
    let config = transformer.config();
    let TransformerConfig { heads, head_dim, sample_size, patch_size, .. } = *config;
    let (width, tokens) = (config.width(), (sample_size / patch_size).pow(2));
    let block = transformer.layers().first().map(|layer| &layer.block);
    let linears = block.into_iter().flat_map(|block| block.linears());
    let modulation = Product { weight: transformer.modulation().linear().weight(), rows: batch };
    Workload {
        products: linears
            .map(|linear| Product { weight: linear.weight(), rows: batch * tokens })
            .chain([modulation])
            .collect(),
        attention: vec![SelfAttention { images: batch, heads, head_dim, tokens }],
        norms: vec![Norms { width, rows: batch * tokens }],
        convolutions: Vec::new(),
        blocks: block
            .map(|block| BlockTunable { width, tokens, run: Box::new(|x, dtype| block.forward_for_tuning(x, dtype)) })
            .into_iter()
            .collect(),
    }
}
