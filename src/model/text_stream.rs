//! A T5 encoder that passes by: its files come one after the other, each layer runs as soon as it is whole, and is gone before the next.
//!
//! Two layers at the most are on the device, and of the embedding table the rows of the prompts alone in host memory. States equal those of
//! [`super::text_encoder::TextEncoder`].

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};

use super::norm::RmsNorm;
use super::text_encoder::{FINAL_NORM, RelativeBias, TextLayer, final_norm};
use crate::bundle::config::TextEncoderConfig;
use crate::bundle::load::{HOST_TABLE, pieces_by_file};
use crate::bundle::manifest::{FileEntry, Manifest, Part};
use crate::bundle::{Loader, Scope};
use crate::device::release_unused;
use crate::error::{Error, Result};

/// What its tensors are called before their own names.
const ENCODER: &str = "text_encoder.encoder.";

/// An encoder of which some layers have run on some prompts.
#[derive(Debug)]
pub struct TextEncoderStream {
    loader: Loader,
    config: TextEncoderConfig,
    /// Token ids of every prompt.
    prompts: Vec<Vec<u32>>,
    /// Paths of its files, in the order in which they serve.
    order: Vec<String>,
    /// Names of the tensors of every layer, the norm behind the last one among them.
    layers: Vec<Vec<String>>,
    /// Layers that have run.
    done: usize,
    bias: Option<RelativeBias>,
    /// `[1, S, E]` of every prompt, once they are embedded.
    states: Vec<Tensor<3>>,
}

impl TextEncoderStream {
    /// For prompts of unpadded token ids.
    ///
    /// # Errors
    /// `InvalidInput` where a prompt has no token or one outside the vocabulary, or the bundle has no text encoder.
    pub fn new(manifest: Manifest, device: &Device, prompts: Vec<Vec<u32>>) -> Result<Self> {
        let config = manifest.parts.text_encoder.clone();
        let config = config.ok_or_else(|| Error::input("prompt", "this bundle has no text encoder"))?;
        if prompts.iter().any(Vec::is_empty) {
            return Err(Error::input("input_ids", "there is no token"));
        }
        if let Some(id) = prompts.iter().flatten().find(|id| **id as usize >= config.vocab_size) {
            let reason = format!("token id {id} is outside the vocabulary of {}", config.vocab_size);
            return Err(Error::input("input_ids", reason));
        }
        let mut layers = vec![Vec::new(); config.layers + 1];
        for name in manifest.tensors.keys() {
            if let Some(i) = turn(name, config.layers).checked_sub(1)
                && let Some(layer) = layers.get_mut(i)
            {
                layer.push(name.clone());
            }
        }
        let order = order(&manifest, config.layers);
        let rows: BTreeSet<usize> = prompts.iter().flatten().map(|id| *id as usize).collect();
        let loader = Loader::with_parts(manifest, device, |part| part == Part::TextEncoder)?.with_rows(rows);
        Ok(Self { loader, config, prompts, order, layers, done: 0, bias: None, states: vec![] })
    }

    /// Files that are still to come, in the order that holds the fewest of their tensors.
    pub fn files(&self) -> Vec<FileEntry> {
        let pending: BTreeSet<&str> = self.loader.pending().collect();
        let files = self.order.iter().filter(|path| pending.contains(path.as_str()));
        files.filter_map(|path| self.loader.manifest().file(path).cloned()).collect()
    }

    /// Takes a file, in any order, and runs the layers that are whole with it; how many those are.
    ///
    /// # Errors
    /// As [`Loader::add_file`]'s.
    pub fn add_file(&mut self, path: &str, bytes: Vec<u8>, hashed: bool) -> Result<usize> {
        if hashed {
            self.loader.add_hashed(path, &bytes)?
        } else {
            self.loader.add_file(path, &bytes)?
        }
        drop(bytes); // before anything runs
        let before = self.done;
        self.advance()?;
        Ok(self.done - before)
    }

    /// A tensor that is ready when all layers that ran so far are: to wait for.
    pub fn last(&self) -> Option<Tensor<3>> {
        self.states.last().map(|states| states.clone().narrow(1, 0, 1).narrow(2, 0, 1))
    }

    /// States `[1, S, E]` of every prompt, in their order.
    ///
    /// # Errors
    /// `Integrity` naming a file that never came.
    pub fn finish(self) -> Result<Vec<Tensor<3>>> {
        let weights = self.loader.finish()?.weights;
        let device = weights.device().clone();
        weights.finish()?;
        release_unused(&device);
        Ok(self.states)
    }

    /// Runs whatever is whole.
    fn advance(&mut self) -> Result<()> {
        if self.states.is_empty() && !self.embed()? {
            return Ok(());
        }
        while let Some(names) = self.layers.get(self.done) {
            let weights = self.loader.weights();
            if !names.iter().all(|name| weights.has(name)) {
                break;
            }
            let device = weights.device().clone();
            let mut scope = weights.scope("text_encoder");
            let mut scope = scope.enter("encoder");
            if self.done == 0 {
                self.bias = Some(RelativeBias::load(&mut scope, &self.config)?);
            }
            let stage = Stage::load(&mut scope, &self.config, self.done)?;
            let bias = self.bias.as_ref().ok_or_else(|| Error::internal("the first layer has not run"))?;
            for states in &mut self.states {
                let x = states.clone();
                *states = match &stage {
                    Stage::Layer(layer) => layer.forward(x, bias.forward(states.dims()[1], &device)),
                    Stage::Norm(norm) => norm.forward(x),
                };
            }
            self.done += 1;
        }
        Ok(())
    }

    /// Embeds the prompts, once all pieces of the table are here; whether they are.
    fn embed(&mut self) -> Result<bool> {
        let pending: BTreeSet<&str> = self.loader.pending().collect();
        let table = self.loader.manifest().tensors.get(HOST_TABLE);
        let pieces = table.map(|entry| entry.pieces(HOST_TABLE)).unwrap_or_default();
        if pieces.iter().any(|piece| pending.contains(piece.file.as_str())) {
            return Ok(false);
        }
        let (rows, width) = (self.config.vocab_size, self.config.d_model);
        let weights = self.loader.weights();
        let device = weights.device().clone();
        let table = weights.scope("text_encoder").take_host("shared.weight", [rows, width])?;
        for ids in &self.prompts {
            let data = TensorData::new(table.gather(ids)?, [1, ids.len(), width]);
            self.states.push(Tensor::from_data(data, &device));
        }
        Ok(true)
    }
}

/// What states pass through.
enum Stage {
    Layer(TextLayer),
    Norm(RmsNorm),
}

impl Stage {
    /// Layer `i`, or what comes behind the last.
    fn load(scope: &mut Scope, config: &TextEncoderConfig, i: usize) -> Result<Self> {
        if i < config.layers {
            Ok(Self::Layer(TextLayer::load(scope, config, i)?))
        } else {
            Ok(Self::Norm(final_norm(scope, config)?))
        }
    }
}

/// When a tensor of the encoder serves: the table first, layer `i` as `i + 1`, then the norm.
fn turn(name: &str, layers: usize) -> usize {
    let Some(rest) = name.strip_prefix(ENCODER) else { return 0 };
    if rest.starts_with(FINAL_NORM) {
        return layers + 1;
    }
    let layer = rest.strip_prefix("block.").and_then(|rest| rest.split('.').next());
    layer.and_then(|i| i.parse().ok()).map_or(layers + 1, |i: usize| i + 1)
}

/// The encoder's files by the turn of what they hold first.
fn order(manifest: &Manifest, layers: usize) -> Vec<String> {
    let files: BTreeMap<_, _> = pieces_by_file(manifest, |section| section.part() == Part::TextEncoder);
    let mut order: Vec<(usize, String)> = files
        .into_iter()
        .map(|(path, pieces)| (pieces.iter().map(|p| turn(&p.tensor, layers)).min().unwrap_or(0), path))
        .collect();
    order.sort();
    order.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_counted_not_spelled() {
        let turns = ["text_encoder.shared.weight", "block.2.x", "block.10.x", "final_layer_norm.weight"];
        let turns = turns.map(|name| if name.starts_with("text") { name.into() } else { format!("{ENCODER}{name}") });
        assert_eq!(turns.map(|name| turn(&name, 24)), [0, 3, 11, 25]);
    }
}
