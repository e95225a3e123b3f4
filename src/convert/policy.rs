//! How each tensor of a bundle is stored: a scheme for all of them, and exceptions by name.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bundle::load::HOST_TABLE;
use crate::bundle::manifest::Encoding;
use crate::error::{Error, Result};

/// Group sizes that the converter writes.
pub const GROUPS: [usize; 3] = [128, 64, 32];

/// What most of a model is stored as. Matrices outside the layers are f16 from [`Scheme::F16`] on; vectors and modulation tables,
/// which are small and add up over the depth, are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    F32,
    F16,
    /// Linear layers of blocks and text encoder at 8 bits.
    Q8,
    /// Linear layers of the blocks and of the text encoder at 4 bits; keys and values of cross-attention, and the text encoder's table, at 8.
    Q4,
    /// Feed-forwards of the blocks at 4 bits, every other linear layer at 8.
    Mixed,
}

impl FromStr for Scheme {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "q8" => Ok(Self::Q8),
            "q4" => Ok(Self::Q4),
            "mixed" => Ok(Self::Mixed),
            _ => Err("use f32, f16, q8, q4 or mixed".into()),
        }
    }
}

/// Tensors whose names match get this encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// A name in which `*` stands for any text.
    pub pattern: String,
    pub encoding: Encoding,
}

impl FromStr for Exception {
    type Err = String;

    /// Reads `PATTERN=ENCODING`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "use PATTERN=f32, f16, q8 or q4, with * for any text".to_owned();
        let (pattern, encoding) = text.rsplit_once('=').filter(|(p, _)| !p.is_empty()).ok_or_else(wanted)?;
        let encoding = encoding_of(encoding).ok_or_else(wanted)?;
        Ok(Self { pattern: pattern.into(), encoding })
    }
}

/// An encoding by the name that users type.
pub fn encoding_of(name: &str) -> Option<Encoding> {
    match name {
        "f32" => Some(Encoding::F32),
        "f16" => Some(Encoding::F16),
        "q8" => Some(Encoding::Q8),
        "q4" => Some(Encoding::Q4),
        _ => None,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub scheme: Scheme,
    /// Inputs that share a scale: the largest of [`GROUPS`] up to this one that divides a matrix's width.
    pub group: usize,
    /// Whether a group's range may be clipped where that lowers its error.
    pub clip: bool,
    /// Linear layers of the text encoder, where not as the scheme says.
    pub text_encoder: Option<Encoding>,
    /// The text encoder's table, the same.
    pub table: Option<Encoding>,
    /// The first that matches counts.
    pub exceptions: Vec<Exception>,
}

/// The text encoder's layers.
const TEXT_LAYERS: &str = "text_encoder.encoder.*";

impl Policy {
    pub fn new(scheme: Scheme) -> Self {
        Self { scheme, group: 64, clip: true, text_encoder: None, table: None, exceptions: vec![] }
    }

    /// Whether any tensor may be quantized.
    pub fn quantizes(&self) -> bool {
        let asked = self.text_encoder.iter().chain(&self.table).chain(self.exceptions.iter().map(|e| &e.encoding));
        !matches!(self.scheme, Scheme::F32 | Scheme::F16) || asked.into_iter().any(|encoding| encoding.is_quantized())
    }

    /// The encoding of a tensor, and its group where that is a quantized one.
    ///
    /// # Errors
    /// `InvalidInput` where an exception asks to quantize a matrix that has no groups, or by its whole name what is none. A pattern
    /// passes over what is none.
    pub fn encoding(&self, name: &str, shape: &[usize]) -> Result<(Encoding, Option<usize>)> {
        let passes_over = |e: &Exception| e.encoding.is_quantized() && e.pattern.contains('*') && shape.len() != 2;
        let exception = self.exceptions.iter().find(|e| matches(&e.pattern, name) && !passes_over(e));
        let wanted = exception.map(|e| e.encoding).or_else(|| self.of_text_encoder(name, shape));
        let wanted = wanted.unwrap_or_else(|| self.scheme.encoding(name, shape));
        if !wanted.is_quantized() {
            return Ok((wanted, None));
        }
        let fitting = |&&group: &&usize| matches!(shape, [_, width] if group <= self.group && width % group == 0);
        match (GROUPS.iter().find(fitting), exception) {
            (Some(&group), _) => Ok((wanted, Some(group))),
            (None, None) => Ok((Encoding::F16, None)),
            (None, Some(_)) => Err(Error::input(
                "tensor",
                format!("{name} of shape {shape:?} has no groups of {} or less", self.group),
            )),
        }
    }
}

impl Policy {
    /// What was asked for of the text encoder.
    fn of_text_encoder(&self, name: &str, shape: &[usize]) -> Option<Encoding> {
        if name == HOST_TABLE {
            return self.table;
        }
        self.text_encoder.filter(|_| matches(TEXT_LAYERS, name) && is_text_layer(name, shape))
    }
}

/// Whether a tensor is the weight of one of the text encoder's linear layers.
fn is_text_layer(name: &str, shape: &[usize]) -> bool {
    let parts = ["SelfAttention.q.", "SelfAttention.k.", "SelfAttention.v.", "SelfAttention.o.", "DenseReluDense."];
    shape.len() == 2 && name.ends_with(".weight") && parts.iter().any(|part| name.contains(part))
}

impl Scheme {
    fn encoding(self, name: &str, shape: &[usize]) -> Encoding {
        if self == Self::F32 || shape.len() < 2 || name.ends_with("scale_shift_table") {
            return Encoding::F32;
        }
        let matrix = shape.len() == 2 && name.ends_with(".weight");
        let has = |parts: &[&str]| matrix && parts.iter().any(|part| name.contains(part));
        let block = name.starts_with("transformer.transformer_blocks.");
        let text = is_text_layer(name, shape);
        let (feed_forward, attention) = (block && has(&[".ff."]), block && has(&[".attn1.", ".attn2."]));
        let caption = block && has(&[".attn2.to_k.", ".attn2.to_v."]);
        match self {
            Self::Q8 if feed_forward || attention || text => Encoding::Q8,
            Self::Q4 if caption || name == HOST_TABLE => Encoding::Q8,
            Self::Q4 if feed_forward || attention || text => Encoding::Q4,
            Self::Mixed if feed_forward => Encoding::Q4,
            Self::Mixed if attention || text => Encoding::Q8,
            _ => Encoding::F16,
        }
    }
}

/// Whether `name` is `pattern` with some text for each `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "transformer.transformer_blocks.3.";

    fn of(scheme: Scheme, name: &str, shape: &[usize]) -> (Encoding, Option<usize>) {
        Policy::new(scheme).encoding(name, shape).unwrap()
    }

    #[test]
    fn a_scheme_quantizes_linear_layers_and_nothing_else() {
        let cases: [(&str, &[usize], [Encoding; 3]); 8] = [
            ("attn1.to_q.weight", &[64, 64], [Encoding::Q8, Encoding::Q4, Encoding::Q8]),
            ("attn2.to_v.weight", &[64, 64], [Encoding::Q8, Encoding::Q8, Encoding::Q8]),
            ("ff.net.0.proj.weight", &[256, 64], [Encoding::Q8, Encoding::Q4, Encoding::Q4]),
            ("attn1.to_q.weight", &[24, 24], [Encoding::F16; 3]),
            ("attn1.to_q.bias", &[64], [Encoding::F32; 3]),
            ("scale_shift_table", &[6, 64], [Encoding::F32; 3]),
            ("router.fc1.weight", &[64, 64], [Encoding::F16; 3]),
            ("", &[64, 64], [Encoding::F16; 3]),
        ];
        for (name, shape, wanted) in cases {
            let found = [Scheme::Q8, Scheme::Q4, Scheme::Mixed].map(|s| of(s, &format!("{BLOCK}{name}"), shape).0);
            assert_eq!(found, wanted, "{name}");
            assert_eq!(of(Scheme::F32, &format!("{BLOCK}{name}"), shape), (Encoding::F32, None));
        }
        let text = "text_encoder.encoder.block.0.layer.0.SelfAttention.";
        assert_eq!(of(Scheme::Q4, &format!("{text}q.weight"), &[64, 64]), (Encoding::Q4, Some(64)));
        assert_eq!(of(Scheme::Q4, HOST_TABLE, &[512, 64]), (Encoding::Q8, Some(64)));
        assert_eq!(of(Scheme::Q8, HOST_TABLE, &[512, 64]), (Encoding::F16, None));
        let policy = Policy { text_encoder: Some(Encoding::Q8), table: Some(Encoding::Q4), ..Policy::new(Scheme::F16) };
        let asked = |name: &str, shape: &[usize]| policy.encoding(name, shape).unwrap().0;
        assert_eq!(asked(&format!("{text}q.weight"), &[64, 64]), Encoding::Q8);
        assert_eq!(asked(HOST_TABLE, &[512, 64]), Encoding::Q4);
        assert_eq!(asked(&format!("{BLOCK}attn1.to_q.weight"), &[64, 64]), Encoding::F16);
        assert_eq!(asked("text_encoder.encoder.final_layer_norm.weight", &[64]), Encoding::F32);
        assert_eq!(of(Scheme::Q4, &format!("{text}relative_attention_bias.weight"), &[32, 4]).0, Encoding::F16);
        assert_eq!(of(Scheme::Q8, "vae.decoder.conv_in.weight", &[64, 4, 3, 3]).0, Encoding::F16);
    }

    #[test]
    fn the_group_divides_the_width() {
        let group = |group, width| {
            let policy = Policy { group, ..Policy::new(Scheme::Q8) };
            policy.encoding(&format!("{BLOCK}attn1.to_q.weight"), &[8, width]).unwrap().1
        };
        assert_eq!(
            [group(128, 1152), group(64, 1152), group(64, 96), group(64, 72)],
            [Some(128), Some(64), Some(32), None]
        );
    }

    #[test]
    fn exceptions_come_first_and_must_be_possible() {
        let exceptions = ["*.0.attn1.*=f32", "transformer.*=q4"].map(|e| e.parse().unwrap()).to_vec();
        let policy = Policy { exceptions, ..Policy::new(Scheme::Q8) };
        let of = |name: &str, shape: &[usize]| policy.encoding(name, shape);
        assert_eq!(of("transformer.transformer_blocks.0.attn1.to_q.weight", &[64, 64]).unwrap().0, Encoding::F32);
        assert_eq!(of("transformer.proj_out.weight", &[4, 64]).unwrap(), (Encoding::Q4, Some(64)));
        assert_eq!(
            of("transformer.proj_out.bias", &[64]).unwrap(),
            (Encoding::F32, None),
            "a pattern passes over vectors"
        );
        let named = Policy { exceptions: vec!["transformer.proj_out.bias=q4".parse().unwrap()], ..policy.clone() };
        let fault = named.encoding("transformer.proj_out.bias", &[64]).unwrap_err().to_string();
        assert!(fault.starts_with("tensor: transformer.proj_out.bias"), "{fault}");
        let narrow = policy.encoding("transformer.proj_out.weight", &[4, 24]).unwrap_err().to_string();
        assert!(narrow.starts_with("tensor: transformer.proj_out.weight"), "{narrow}");
        for text in ["a", "=q8", "a=q5"] {
            assert!(text.parse::<Exception>().is_err(), "{text}");
        }
        assert!(
            matches("a*b*c", "a1b2c")
                && matches("ab", "ab")
                && matches("*", "x")
                && !matches("a*b", "ac")
                && !matches("a", "ab")
        );
    }
}
