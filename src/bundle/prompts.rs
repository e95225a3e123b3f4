//! `prompts.safetensors`: text states of prompts that a model knows without its text encoder.
//!
//! Prompt `N` is two tensors: `N.input_ids`, I32 `[S]`, unpadded, and `N.prompt_embeds`, F16 `[S, E]`.

use std::borrow::Cow;

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::error::{Error, Result};

/// Name of the file in a bundle.
pub const FILE: &str = "prompts.safetensors";
/// Prompts of one file, at most.
const MAX_PROMPTS: usize = 1 << 16;

/// A prompt as tokens, and what the text encoder makes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptStates {
    /// Unpadded, `S` of them.
    pub ids: Vec<u32>,
    /// f16 bits of `[S, E]`, row-major.
    pub states: Vec<u16>,
}

impl PromptStates {
    /// Of states `[S, E]`, row-major, rounded to f16.
    ///
    /// # Errors
    /// `InvalidInput` where one is no number that f16 holds.
    pub fn rounded(ids: Vec<u32>, states: &[f32]) -> Result<Self> {
        let mut bits = vec![0u16; states.len()];
        bits.reinterpret_cast_mut::<f16>().convert_from_f32_slice(states);
        let prompt = Self { ids, states: bits };
        if prompt.is_finite() { Ok(prompt) } else { Err(Error::input("prompt", "f16 does not hold its text states")) }
    }

    pub fn is_finite(&self) -> bool {
        self.states.iter().all(|bits| f16::from_bits(*bits).is_finite())
    }
}

/// The prompts of a file, whose states are `width` wide.
///
/// # Errors
/// `Integrity` where it is no safetensors file, `ModelInvalid` naming the tensor that is missing, misshapen, unknown or no number.
pub fn parse(bytes: &[u8], width: usize) -> Result<Vec<PromptStates>> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|e| Error::integrity(FILE, format!("not a safetensors file: {e}")))?;
    let count = file.len() / 2;
    if count > MAX_PROMPTS {
        return Err(Error::model(FILE, format!("it holds {count} prompts, at most {MAX_PROMPTS} can be")));
    }
    let tensor = |name: &str, dtype: Dtype| match file.tensor(name) {
        Ok(view) if view.dtype() == dtype => Ok(view),
        Ok(view) => Err(Error::model(name, format!("its type is {:?}, not {dtype:?}", view.dtype()))),
        Err(_) => Err(Error::model(name, format!("{FILE} does not hold it"))),
    };
    let mut prompts = Vec::with_capacity(count);
    for i in 0..file.len().div_ceil(2) {
        let (ids_name, name) = (format!("{i}.input_ids"), format!("{i}.prompt_embeds"));
        let (ids, embeds) = (tensor(&ids_name, Dtype::I32)?, tensor(&name, Dtype::F16)?);
        let &[tokens] = ids.shape() else {
            return Err(Error::model(ids_name, format!("its shape is {:?}, not [S]", ids.shape())));
        };
        if tokens == 0 || embeds.shape() != [tokens, width] {
            return Err(Error::model(name, format!("its shape is {:?}, not [{tokens}, {width}]", embeds.shape())));
        }
        let ids = ids.data().as_chunks().0.iter().map(|b| i32::from_le_bytes(*b));
        let ids: Option<Vec<u32>> = ids.map(|id| u32::try_from(id).ok()).collect();
        let ids = ids.ok_or_else(|| Error::model(&ids_name, "a token's id is negative"))?;
        let states: Vec<u16> = embeds.data().as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
        let prompt = PromptStates { ids, states };
        if !prompt.is_finite() {
            return Err(Error::model(name, "it holds a value that is not finite"));
        }
        prompts.push(prompt);
    }
    Ok(prompts)
}

/// A tensor of the file: name, type, shape and bytes.
type Stored<'a> = (String, Dtype, Vec<usize>, Cow<'a, [u8]>);

/// The file that holds `prompts`.
///
/// # Errors
/// `Internal` where states do not fill whole rows.
pub fn write(prompts: &[PromptStates]) -> Result<Vec<u8>> {
    let mut tensors: Vec<Stored> = Vec::new();
    for (i, PromptStates { ids, states }) in prompts.iter().enumerate() {
        let (tokens, width) = (ids.len(), states.len() / ids.len().max(1));
        let bytes: Vec<u8> = ids.iter().flat_map(|id| (*id as i32).to_le_bytes()).collect();
        tensors.push((format!("{i}.input_ids"), Dtype::I32, vec![tokens], bytes.into()));
        tensors.push((
            format!("{i}.prompt_embeds"),
            Dtype::F16,
            vec![tokens, width],
            bytemuck::cast_slice(states).into(),
        ));
    }
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| Error::internal(e.to_string()))?;
    serialize(views, None).map_err(|e| Error::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts() -> Vec<PromptStates> {
        vec![
            PromptStates { ids: vec![1], states: vec![0x3c00, 0x4000] },
            PromptStates { ids: vec![7, 8, 1], states: (0..6).collect() },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(parse(&write(&prompts()).unwrap(), 2).unwrap(), prompts());
        assert_eq!(parse(&write(&[]).unwrap(), 2).unwrap(), []);
    }

    #[test]
    fn faults_name_their_tensor() {
        let says = |prompts: &[PromptStates], width, what: &str| {
            let error = parse(&write(prompts).unwrap(), width).unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        };
        says(&prompts(), 3, "0.prompt_embeds: its shape is [1, 2], not [1, 3]");
        says(&[PromptStates { ids: vec![1], states: vec![0x7c00, 0] }], 2, "0.prompt_embeds: it holds a value");
        says(&[PromptStates { ids: vec![u32::MAX], states: vec![0, 0] }], 2, "0.input_ids: a token's id is negative");
        assert_eq!(parse(b"nothing", 2).unwrap_err().code(), "INTEGRITY");
        let odd = serialize([("0.input_ids", TensorView::new(Dtype::I32, vec![1], &[1, 0, 0, 0]).unwrap())], None);
        assert!(parse(&odd.unwrap(), 2).unwrap_err().to_string().starts_with("0.prompt_embeds: "));
    }
}
