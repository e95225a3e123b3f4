//! What settings of a run must be, each and together.

use super::Stage;
use super::{Kind, TrainConfig};
use crate::convert::policy::GROUPS;
use crate::device::memory;
use crate::error::{Error, Result};
use crate::model::ratios::limits;
use crate::train::source::is_drawn;

/// Copies of a parameter in f32 that training holds at the least: values, average, two moments.
const COPIES: u64 = 4;

impl TrainConfig {
    /// Whether the parameters of the model that `model` describes, and the pictures of a batch, fit into memory at all: the rest of what a run
    /// takes is on top.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting, with what is needed and what there is.
    pub fn fits(&self) -> Result<()> {
        let available = memory::available().unwrap_or(u64::MAX);
        let parameters = self.model.as_ref().map_or(0, |m| {
            let square = |n: usize| (n as u64).saturating_mul(n as u64);
            let width = m.heads.saturating_mul(m.head_dim);
            let text = square(m.text_width).saturating_mul(4);
            let mlp = (m.text_width as u64).saturating_mul(m.text_mlp as u64).saturating_mul(3);
            let block = square(width).saturating_mul(16).saturating_mul(m.layers as u64);
            block.saturating_add(text.saturating_add(mlp).saturating_mul(m.text_layers as u64))
        });
        let batch =
            |stage: &Stage| (stage.batch as u64).saturating_mul((stage.size as u64).pow(2)).saturating_mul(3 * 4);
        let model = ("model".to_owned(), parameters.saturating_mul(4 * COPIES));
        let batches = self.stages.iter().enumerate().map(|(i, stage)| (format!("stage[{i}].batch"), batch(stage)));
        match std::iter::once(model).chain(batches).find(|(_, needed)| *needed > available) {
            Some((field, needed)) => Err(Error::input(field, format!("it needs {needed} bytes, {available} are free"))),
            None => Ok(()),
        }
    }

    /// # Errors
    /// `InvalidInput` naming the first setting that is wrong.
    pub(super) fn check(&self, kind: Kind) -> Result<()> {
        let stages = self.stages()?;
        let r = &self.routing;
        let o = &self.optimizer;
        let a = &self.autoencoder;
        let unit = |v: f64| (0.0..=1.0).contains(&v);
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let model = self.model.as_ref();
        let counts = model.map_or_else(Vec::new, |m| {
            vec![
                m.max_tokens,
                m.layers,
                m.heads,
                m.head_dim,
                m.patch,
                m.text_width,
                m.text_layers,
                m.text_heads,
                m.text_mlp,
            ]
        });
        let descending =
            !r.bins.is_empty() && r.bins.iter().all(|b| *b > 0.0 && *b <= 1.0) && r.bins.is_sorted_by(|a, b| a > b);
        let (_, lowest) = limits(&r.bins);
        let rules = [
            (stages.is_empty(), "stage", "there is none"),
            (
                !is_drawn(&self.source) && stages.iter().any(|s| s.plain + s.pairs > 0.0),
                "stage",
                "`plain` and `pairs` go with the sources `scenes` and `stickers`",
            ),
            (kind == Kind::Diffcr && self.from.is_none(), "from", "name the bundle to start from"),
            (self.from.is_some() && model.is_some(), "model", "`from` has its model already"),
            (
                matches!(kind, Kind::Base | Kind::Diffcr) && self.from.is_none() && model.is_none(),
                "model",
                "give it, or a bundle in `from`",
            ),
            (
                kind == Kind::Vae && model.is_some(),
                "model",
                "goes with `train base`: `autoencoder` is the shape of this one",
            ),
            (
                kind == Kind::Classifier && model.is_some(),
                "model",
                "goes with `train base`: `classifier` is the shape of this one",
            ),
            (
                kind == Kind::Classifier && !["stickers", super::ALL_STICKERS].contains(&self.source.as_str()),
                "source",
                "must be `stickers` or `stickers:all`: no other says what its pictures show",
            ),
            (
                !(self.classifier.noise.is_finite() && self.classifier.noise >= 0.0),
                "classifier.noise",
                "must not be negative",
            ),
            (counts.iter().any(|n| !(1..=65536).contains(n)), "model", "a count is outside 1..65536"),
            (model.is_some_and(|m| m.max_tokens > 1024), "model.maxTokens", "is outside 1..1024"),
            (model.is_some_and(|m| m.patch > 256), "model.patch", "is outside 1..256"),
            (a.widths.len() > 8, "autoencoder.widths", "has over 8 levels"),
            (
                a.encoder_blocks.iter().chain(&a.decoder_blocks).any(|n| *n > 64),
                "autoencoder.encoderBlocks",
                "and `decoderBlocks` are outside 0..64",
            ),
            (o.threads > 1024, "optimizer.threads", "is outside 0..1024"),
            (
                self.progress.held_out > 65536 || self.progress.keep > 65536,
                "progress.heldOut",
                "and `keep` are outside 0..65536",
            ),
            (model.is_some_and(|m| m.heads * m.head_dim % 4 != 0), "model.headDim", "heads x headDim must divide by 4"),
            (
                model.is_some_and(|m| m.text_width % m.text_heads.max(1) != 0),
                "model.textHeads",
                "must divide textWidth",
            ),
            (
                a.widths.is_empty() || [&a.encoder_blocks, &a.decoder_blocks].iter().any(|l| l.len() != a.widths.len()),
                "autoencoder.widths",
                "and the two lists of blocks must have one entry a level",
            ),
            (
                [a.latent_channels, a.patch].iter().chain(&a.widths).any(|n| !(1..=4096).contains(n)),
                "autoencoder",
                "a count is outside 1..4096",
            ),
            (
                ![a.noise, a.edges, a.moments].iter().all(|v| v.is_finite() && *v >= 0.0),
                "autoencoder.noise",
                "and the weights of the loss must not be negative",
            ),
            (
                kind == Kind::Vae && stages.iter().any(|s| a.crop > s.size),
                "autoencoder.crop",
                "is larger than the pictures of a stage",
            ),
            (!unit(self.loss.empty_captions), "loss.emptyCaptions", "is outside 0..1"),
            (!positive(self.loss.weight_cap), "loss.weightCap", "must be positive"),
            (!positive(self.loss.shift), "loss.shift", "must be positive"),
            (!o.muon.is_none_or(positive), "optimizer.muon", "must be positive"),
            (!positive(o.relative_bias), "optimizer.relativeBias", "must be positive"),
            (!o.betas.iter().all(|b| (0.0..1.0).contains(b)), "optimizer.betas", "are outside 0..1"),
            (!(o.weight_decay.is_finite() && o.weight_decay >= 0.0), "optimizer.weightDecay", "is negative"),
            (!positive(o.clip), "optimizer.clip", "must be positive"),
            (!unit(o.hold) || !unit(o.floor), "optimizer.hold", "and `floor` are shares in 0..1"),
            (!(0.0..1.0).contains(&o.ema), "optimizer.ema", "is outside 0..1"),
            (o.micro_batch == 0, "optimizer.microBatch", "must be at least 1"),
            (!descending, "routing.bins", "must be ratios in (0, 1], descending"),
            (!(1..=100).contains(&r.regions), "routing.regions", "is outside 1..100"),
            (!(positive(r.score_gain)), "routing.scoreGain", "must be positive"),
            (!(r.compression >= 0.0 && r.compression <= 1.0 - lowest), "routing.compression", "is not within the bins"),
            (!positive(r.ratio_rate) || !positive(r.lambda), "routing.ratioRate", "and `lambda` must be positive"),
            (!unit(r.ramp), "routing.ramp", "is outside 0..1"),
            (self.lora.is_some() && kind != Kind::Diffcr, "lora", "goes with `train diffcr`"),
            (self.lora.as_ref().is_some_and(|l| !(1..=4096).contains(&l.rank)), "lora.rank", "is outside 1..4096"),
            (self.lora.as_ref().is_some_and(|l| !positive(l.alpha())), "lora.alpha", "must be positive"),
            (
                self.quantize.is_some() && self.lora.is_some(),
                "quantize",
                "does not go with `lora`: adapters are merged first",
            ),
            (
                self.quantize.as_ref().is_some_and(|q| !GROUPS.contains(&q.group)),
                "quantize.group",
                "is not 32, 64 or 128",
            ),
        ];
        if let Some((_, field, reason)) = rules.iter().find(|(broken, ..)| *broken) {
            return Err(Error::input(*field, *reason));
        }
        if self.progress.checkpoint_every == 0 || self.progress.log_every == 0 {
            return Err(Error::input("progress", "the intervals must be at least 1"));
        }
        if self.is_routed(kind)
            && let Some(i) = stages.iter().position(|s| s.batch % r.regions != 0)
        {
            let reason = format!("the batch of {} does not divide into {} regions", stages[i].batch, r.regions);
            return Err(Error::input(format!("stage[{i}]"), reason));
        }
        Ok(())
    }
}
