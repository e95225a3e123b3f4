//! The captions of a run: prompts, or text states of the caller's own, as the network reads them.

use burn::tensor::Tensor;

use super::Pipeline;
use super::options::{GenerateOptions, Values};
use super::warning::Warning;
use crate::error::{Error, Result};
use crate::model::transformer::Captions;

/// The captions of a batch: [negative, positive] under guidance, the positive alone without.
pub(super) struct BatchCaptions {
    pub captions: Captions,
    /// Tokens of the longest.
    pub length: usize,
    pub warnings: Vec<Warning>,
}

/// The options that say what one caption is.
struct Caption<'a> {
    prompt: (&'static str, &'a Option<String>),
    embeds: (&'static str, &'a Option<Values>),
    mask: (&'static str, &'a Option<Values>),
}

impl BatchCaptions {
    /// # Errors
    /// `InvalidInput` naming the option.
    pub fn new(pipeline: &Pipeline, options: &GenerateOptions, guided: bool) -> Result<Self> {
        let mut warnings = Vec::new();
        let positive = Caption {
            prompt: ("prompt", &options.prompt),
            embeds: ("promptEmbeds", &options.prompt_embeds),
            mask: ("promptAttentionMask", &options.prompt_attention_mask),
        };
        let positive = positive.states(pipeline, &mut warnings)?;
        let transformer = pipeline.transformer();
        if !guided {
            let length = positive.dims()[1];
            return Ok(Self { captions: transformer.captions(positive, &[length])?, length, warnings });
        }
        let negative = Caption {
            prompt: ("negativePrompt", &options.negative_prompt),
            embeds: ("negativePromptEmbeds", &options.negative_prompt_embeds),
            mask: ("negativePromptAttentionMask", &options.negative_prompt_attention_mask),
        };
        let negative = negative.states(pipeline, &mut warnings)?;
        let lengths = [negative.dims()[1], positive.dims()[1]];
        let length = lengths[0].max(lengths[1]);
        if negative.dims()[2] != positive.dims()[2] {
            return Err(Error::input("negativePromptEmbeds", "its width is not that of the prompt's"));
        }
        let states = Tensor::cat(vec![pad(negative, length), pad(positive, length)], 0); // [2, S, E]
        Ok(Self { captions: transformer.captions(states, &lengths)?, length, warnings })
    }
}

impl Caption<'_> {
    /// States `[1, S, E]`, without padding.
    fn states(&self, pipeline: &Pipeline, warnings: &mut Vec<Warning>) -> Result<Tensor<3>> {
        let (field, embeds) = self.embeds;
        let Some(embeds) = embeds else {
            if self.mask.1.is_some() {
                return Err(Error::input(self.mask.0, format!("it goes with {field}, which is not given")));
            }
            let (states, warning) =
                pipeline.encode_prompt(self.prompt.0, self.prompt.1.as_deref().unwrap_or_default())?;
            warnings.extend(warning);
            return Ok(states);
        };
        let states = embeds.tensor::<3>(field, pipeline.device())?;
        let tokens = states.dims()[1];
        let kept = match self.mask {
            (name, Some(mask)) => tokens_kept(name, mask, tokens)?,
            (_, None) => {
                padding(field, embeds, tokens)?;
                tokens
            }
        };
        Ok(if kept < tokens { states.narrow(1, 0, kept) } else { states })
    }
}

/// How many of `tokens` a mask `[1, S]` keeps: ones, then zeros.
fn tokens_kept(field: &str, mask: &Values, tokens: usize) -> Result<usize> {
    if mask.shape != [1, tokens] || mask.data.len() != tokens {
        return Err(Error::input(
            field,
            format!("its shape is {:?}, that of the states asks for [1, {tokens}]", mask.shape),
        ));
    }
    if let Some(value) = mask.data.iter().find(|value| **value != 0.0 && **value != 1.0) {
        return Err(Error::input(field, format!("it holds {value}, neither 0 nor 1")));
    }
    let kept = mask.data.iter().take_while(|value| **value == 1.0).count();
    if kept == 0 {
        return Err(Error::input(field, "no token of it is kept"));
    }
    match mask.data[kept..].contains(&1.0) {
        true => Err(Error::input(field, "padding must come after the tokens")),
        false => Ok(kept),
    }
}

/// Refuses states that end in rows of zeros, which no text encoder gives: they would be read as tokens, and the picture is another.
fn padding(field: &str, states: &Values, tokens: usize) -> Result<()> {
    let width = states.data.len() / tokens.max(1);
    let zeros = states.data.rchunks(width.max(1)).take_while(|row| row.iter().all(|value| *value == 0.0)).count();
    if zeros == 0 {
        return Ok(());
    }
    let mask = format!("{}AttentionMask", field.trim_end_matches("Embeds"));
    Err(Error::input(field, format!("its last {zeros} of {tokens} tokens are padding: leave them out, or give {mask}")))
}

/// `[1, S, E]` with zeros up to `tokens`.
fn pad(states: Tensor<3>, tokens: usize) -> Tensor<3> {
    let [b, s, e] = states.dims();
    if s == tokens {
        return states;
    }
    let zeros = Tensor::zeros([b, tokens - s, e], &states.device());
    Tensor::cat(vec![states, zeros], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(shape: &[usize], data: &[f32]) -> Values {
        Values { shape: shape.to_vec(), data: data.to_vec() }
    }

    #[test]
    fn masks_are_ones_then_zeros() {
        let kept = |data: &[f32]| tokens_kept("mask", &values(&[1, data.len()], data), 3).map_err(|e| e.to_string());
        assert_eq!(kept(&[1.0, 1.0, 0.0]), Ok(2));
        assert_eq!(kept(&[1.0, 1.0, 1.0]), Ok(3));
        assert_eq!(kept(&[0.0, 0.0, 0.0]).unwrap_err(), "mask: no token of it is kept");
        assert_eq!(kept(&[0.0, 1.0, 1.0]).unwrap_err(), "mask: no token of it is kept");
        assert_eq!(kept(&[1.0, 0.0, 1.0]).unwrap_err(), "mask: padding must come after the tokens");
        assert_eq!(kept(&[1.0, 0.5, 0.0]).unwrap_err(), "mask: it holds 0.5, neither 0 nor 1");
        assert_eq!(kept(&[1.0]).unwrap_err(), "mask: its shape is [1, 1], that of the states asks for [1, 3]");
    }

    #[test]
    fn padded_states_are_told_from_whole_ones() {
        let check = |data: &[f32]| padding("promptEmbeds", &values(&[1, 3, 2], data), 3).map_err(|e| e.to_string());
        assert_eq!(check(&[0.0, 0.0, 1.0, 0.0, 0.0, 2.0]), Ok(()));
        let says = "promptEmbeds: its last 2 of 3 tokens are padding: leave them out, or give promptAttentionMask";
        assert_eq!(check(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap_err(), says);
    }
}
