//! One part of a pipeline on given inputs, for comparison with other implementations.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor};
use serde::Deserialize;

use super::Pipeline;
use super::budget::{Budget, BudgetRequest};
use super::options::Values;
use super::read_back::read_back;
use crate::error::{Error, Result};
use crate::model::ratios::Compression;
use crate::model::transformer::StepRouting;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `latents`, `context`, `mask`, `timestep` to `output`, and what a routed model chose; several cases as `0.latents`, ….
    Transformer,
    /// `input_ids` and `attention_mask` to `states`.
    TextEncoder,
    /// `image` to `latents` (mean, unscaled).
    VaeEncode,
    /// `latents` (unscaled) to `image`.
    VaeDecode,
}

/// Integers from here on are not exact in f32.
const EXACT: f32 = 16_777_216.0;

/// Tensors by name; integers are exact in f32 up to 2²⁴.
pub type Inputs = BTreeMap<String, Values>;

/// A tensor that a part gave.
#[derive(Debug, Clone, PartialEq)]
pub enum ProbeOutput {
    Float(Values),
    Int { shape: Vec<usize>, data: Vec<i32> },
}

impl From<Values> for ProbeOutput {
    fn from(values: Values) -> Self {
        Self::Float(values)
    }
}

/// Tensors by name, in the order of the computation.
pub type Outputs = Vec<(String, ProbeOutput)>;

impl Pipeline {
    /// Runs `part` on `inputs`; `tiny` takes the tiny VAE.
    ///
    /// # Errors
    /// `InvalidInput` naming the tensor that is missing or does not fit.
    pub async fn probe(&self, part: Part, inputs: &Inputs, compression: &Compression, tiny: bool) -> Result<Outputs> {
        match part {
            Part::Transformer => {
                let mut outputs = Vec::new();
                for prefix in cases(inputs, "latents") {
                    let case = self.probe_transformer(inputs, &prefix, compression).await?;
                    outputs.extend(case.into_iter().map(|(name, output)| (format!("{prefix}{name}"), output)));
                }
                Ok(outputs)
            }
            Part::TextEncoder => self.probe_text_encoder(&input_ids(inputs)?).await,
            Part::VaeEncode => {
                let image = self.sized("image", get(inputs, "image")?, 1)?;
                named("latents", floats(self.vae(tiny)?.encode_unscaled(image)?).await?)
            }
            Part::VaeDecode => {
                let vae = self.vae(tiny)?;
                let latents = self.sized("latents", get(inputs, "latents")?, vae.scale())?;
                let (found, wanted) = (latents.dims()[1], self.latent_channels());
                if found != wanted {
                    return Err(Error::input(
                        "latents",
                        format!("they have {found} channels, the model's have {wanted}"),
                    ));
                }
                named("image", floats(vae.decode_unscaled(latents)).await?)
            }
        }
    }

    async fn probe_transformer(&self, inputs: &Inputs, prefix: &str, compression: &Compression) -> Result<Outputs> {
        let device = self.device();
        let input = |name: &str| get(inputs, &format!("{prefix}{name}"));
        let latents = self.sized("latents", input("latents")?, self.pixel_scale())?;
        let states = input("context")?.tensor::<3>("context", device)?;
        let timesteps = &input("timestep")?.data;
        if let Some(value) = timesteps.iter().find(|value| !value.is_finite()) {
            return Err(Error::input("timestep", format!("it holds {value}")));
        }
        let lengths = match inputs.get(&format!("{prefix}mask")) {
            Some(mask) => lengths("mask", mask)?,
            None => vec![states.dims()[1]; states.dims()[0]],
        };
        let captions = self.transformer().captions(states, &lengths)?;
        let routing = self.probe_routing(timesteps, compression)?;
        let (output, routed) = self.transformer().forward(latents, timesteps, &captions, routing.as_ref())?;
        let mut outputs = vec![("output".to_owned(), floats(output).await?)];
        for (i, choice) in routed.into_iter().enumerate() {
            if let Some(choice) = choice {
                outputs.push((format!("index.{i}"), ints(choice.index).await?));
                outputs.push((format!("score.{i}"), floats(choice.score).await?));
            }
        }
        Ok(outputs)
    }

    /// `values` `[B, C, H, W]`, which must fit into memory: a cell of it is `scale` pixels wide.
    fn sized(&self, field: &str, values: &Values, scale: usize) -> Result<Tensor<4>> {
        let &[batch, _, height, width] = &values.shape[..] else {
            return Err(Error::input(field, format!("the shape is {:?}, it must have 4 dimensions", values.shape)));
        };
        let (width, height) = (width.saturating_mul(scale), height.saturating_mul(scale));
        let profile = crate::device::profile(self.device());
        let request = BudgetRequest { width, height, batch };
        Budget::new(self.manifest(), request, profile.backend).check(&profile)?;
        values.tensor(field, self.device())
    }

    /// The routing of one batch, whose timesteps must share their keep ratios.
    fn probe_routing(&self, timesteps: &[f32], compression: &Compression) -> Result<Option<StepRouting>> {
        let (Some(table), Some(gain)) = (self.keep_table(compression)?, self.score_gain()) else { return Ok(None) };
        let Some((&first, others)) = timesteps.split_first() else { return Ok(None) };
        let keep = table.ratios(first as f64).to_vec();
        if others.iter().any(|&t| table.ratios(t as f64) != keep) {
            return Err(Error::input(
                "timestep",
                "the batch spans regions with different keep ratios: probe them apart",
            ));
        }
        Ok(Some(StepRouting { keep, gain }))
    }

    /// States of every row of ids, padded with zeros to the bundle's prompt length (or to the longest row).
    pub async fn probe_text_encoder(&self, rows: &[Vec<u32>]) -> Result<Outputs> {
        let encoder = self.text_encoder()?;
        let tokenizer = self.manifest().parts.tokenizer.as_ref();
        let width = encoder.config().d_model;
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let tokens = tokenizer.map_or(longest, |t| t.max_length.max(longest));
        let pad = tokenizer.map_or(0, |t| t.pad_id as i32);
        let (mut states, mut ids, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            states.extend(read_back(encoder.forward(row)?).await?);
            states.resize((i + 1) * tokens * width, 0.0);
            ids.extend(row.iter().map(|&id| id as i32));
            ids.resize((i + 1) * tokens, pad);
            mask.extend(std::iter::repeat_n(1, row.len()));
            mask.resize((i + 1) * tokens, 0);
        }
        let shape = vec![rows.len(), tokens];
        Ok(vec![
            ("states".to_owned(), Values { shape: vec![rows.len(), tokens, width], data: states }.into()),
            ("input_ids".to_owned(), ProbeOutput::Int { shape: shape.clone(), data: ids }),
            ("attention_mask".to_owned(), ProbeOutput::Int { shape, data: mask }),
        ])
    }
}

/// Prefixes of the cases that `inputs` holds: one empty, or `0.`, `1.`, … where names are numbered.
fn cases(inputs: &Inputs, name: &str) -> Vec<String> {
    let numbered = (0..).map(|i| format!("{i}.")).take_while(|prefix| inputs.contains_key(&format!("{prefix}{name}")));
    let numbered: Vec<String> = numbered.collect();
    if inputs.contains_key(name) || numbered.is_empty() { vec![String::new()] } else { numbered }
}

fn get<'a>(inputs: &'a Inputs, name: &str) -> Result<&'a Values> {
    inputs.get(name).ok_or_else(|| Error::input(name, "the inputs have no such tensor"))
}

fn input_ids(inputs: &Inputs) -> Result<Vec<Vec<u32>>> {
    let (ids, mask) = (get(inputs, "input_ids")?, get(inputs, "attention_mask")?);
    let lengths = lengths("attention_mask", mask)?;
    if ids.shape != mask.shape || ids.data.len() != mask.data.len() {
        return Err(Error::input("input_ids", format!("{:?} does not fit the mask {:?}", ids.shape, mask.shape)));
    }
    if let Some(id) = ids.data.iter().find(|id| !(0.0..EXACT).contains(*id) || id.fract() != 0.0) {
        return Err(Error::input("input_ids", format!("{id} is no token's id")));
    }
    if lengths.contains(&0) {
        return Err(Error::input("attention_mask", "a row has no token"));
    }
    let rows = ids.data.chunks(ids.shape[1].max(1));
    Ok(rows.zip(lengths).map(|(row, n)| row[..n].iter().map(|&v| v as u32).collect()).collect())
}

/// Real tokens of every row of a mask `[B, S]`: ones, then zeros.
fn lengths(name: &str, mask: &Values) -> Result<Vec<usize>> {
    let &[_, tokens] = &mask.shape[..] else {
        return Err(Error::input(name, format!("the shape is {:?}, not [B, S]", mask.shape)));
    };
    mask.data
        .chunks(tokens.max(1))
        .map(|row| {
            let length = row.iter().take_while(|&&v| v > 0.5).count();
            match row[length..].iter().all(|&v| v <= 0.5) {
                true => Ok(length),
                false => Err(Error::input(name, "padding must come after the tokens")),
            }
        })
        .collect()
}

fn named(name: &str, output: ProbeOutput) -> Result<Outputs> {
    Ok(vec![(name.to_owned(), output)])
}

async fn floats<const D: usize>(tensor: Tensor<D>) -> Result<ProbeOutput> {
    let shape = tensor.dims().to_vec();
    Ok(Values { shape, data: read_back(tensor).await? }.into())
}

async fn ints<const D: usize>(tensor: Tensor<D, Int>) -> Result<ProbeOutput> {
    let shape = tensor.dims().to_vec();
    let values = read_back(tensor.float()).await?;
    Ok(ProbeOutput::Int { shape, data: values.into_iter().map(|v| v as i32).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(shape: [usize; 2], ids: &[f32], mask: &[f32]) -> Result<Vec<Vec<u32>>> {
        let values = |data: &[f32]| Values { shape: shape.to_vec(), data: data.to_vec() };
        input_ids(&Inputs::from([("input_ids".into(), values(ids)), ("attention_mask".into(), values(mask))]))
    }

    #[test]
    fn ids_are_whole_numbers_of_some_token() {
        assert_eq!(ids([2, 2], &[3.0, 1.0, 1.0, 0.0], &[1.0, 1.0, 1.0, 0.0]).unwrap(), [vec![3, 1], vec![1]]);
        for id in [-1.0, 0.5, 16_777_216.0, f32::NAN, f32::INFINITY] {
            let error = ids([1, 2], &[id, 1.0], &[1.0, 1.0]).unwrap_err();
            assert_eq!(error.to_string(), format!("input_ids: {id} is no token's id"));
        }
        assert!(ids([1, 1], &[1.0], &[0.0]).unwrap_err().to_string().starts_with("attention_mask: "));
    }
}
