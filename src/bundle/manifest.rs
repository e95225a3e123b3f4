//! `diffcr.json`: the only schema of a bundle, parsed and checked before any file of it is fetched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::part::Part;
use super::routing::Routing;
use super::unique;
use crate::bundle::config::{
    SchedulerConfig, SolverKind, TextEncoderConfig, TinyVaeConfig, TokenizerConfig, TransformerConfig, VaeConfig,
};
use crate::error::{Error, Result};

/// Value of `format`.
pub const FORMAT: &str = "diffcr";
/// The newest version that this build reads. A bundle is written in the oldest that has all it needs:
/// 2 has `qkNorm` and `kvCompression` of the transformer, more solvers, `timestepSpacing`, `stepsOffset` and `zeroTerminalSnr` of the scheduler.
/// 3 has files of prompts.
pub const FORMAT_VERSION: u64 = 3;
/// Name of the manifest in a bundle.
pub const MANIFEST_FILE: &str = "diffcr.json";
/// Elements of one tensor, at most: above it a size from a file is taken for damage.
pub const MAX_ELEMENTS: usize = 1 << 31;
/// Bytes of one file, at most.
pub const MAX_FILE_BYTES: u64 = 1 << 31;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    pub format_version: u64,
    pub name: String,
    /// Changes with the content: a hash over the files' hashes.
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    #[serde(default)]
    pub provenance: Provenance,
    pub files: Vec<FileEntry>,
    pub parts: Parts,
    #[serde(deserialize_with = "unique::map")]
    pub tensors: BTreeMap<String, TensorEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
}

/// Where the weights came from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Provenance {
    /// The kind of source: `diffusers`, `pixart-pth`, `diffcr-train`.
    pub source: String,
    /// The program that wrote the bundle.
    pub converter: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileEntry {
    /// Relative to the manifest, with `/`.
    pub path: String,
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
    pub part: Part,
}

/// The configurations of the parts; an absent one is not in the bundle. A model without `vae` and `vaeTiny` draws pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(optional_fields))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parts {
    pub transformer: TransformerConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_encoder: Option<TextEncoderConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vae: Option<VaeConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vae_tiny: Option<TinyVaeConfig>,
    pub scheduler: SchedulerConfig,
}

impl Parts {
    /// Pixels of an image along a latent cell: 1 for a model that draws pixels.
    pub fn pixel_scale(&self) -> usize {
        let tiny = || self.vae_tiny.as_ref().map(TinyVaeConfig::scale);
        self.vae.as_ref().map(VaeConfig::scale).or_else(tiny).unwrap_or(1)
    }

    /// Values of the largest feature map of the decoder, for one cell of the latents.
    pub fn peak_values_per_cell(&self) -> Option<usize> {
        let tiny = || self.vae_tiny.as_ref().map(TinyVaeConfig::peak_values_per_cell);
        self.vae.as_ref().map(VaeConfig::peak_values_per_cell).or_else(tiny)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TensorEntry {
    pub shape: Vec<usize>,
    pub encoding: Encoding,
    /// Input values that share a scale: divides the width of a matrix; only where the encoding is quantized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// The file that holds the tensor whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Or the files that hold it by rows, in order, each under `NAME.rows.START`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowsEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RowsEntry {
    pub start: usize,
    pub count: usize,
    pub file: String,
}

/// How values are stored. A quantized `NAME` is `NAME.qweight` (U32 words along the input dimension, low bits first, two's
/// complement) and `NAME.scales` (F16, one per group of the input dimension).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    F32,
    F16,
    Q8,
    Q4,
}

impl Encoding {
    /// Bits of a value, scales apart.
    pub const fn bits(self) -> u32 {
        match self {
            Self::F32 => 32,
            Self::F16 => 16,
            Self::Q8 => 8,
            Self::Q4 => 4,
        }
    }

    /// Whether values are integers in groups that share a scale.
    pub const fn is_quantized(self) -> bool {
        matches!(self, Self::Q8 | Self::Q4)
    }
}

/// A tensor as a file holds it: whole, or some of its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The tensor it belongs to.
    pub tensor: String,
    /// `NAME`, or `NAME.rows.START`.
    pub name: String,
    pub file: String,
    /// Its first row.
    pub start: usize,
    pub shape: Vec<usize>,
    pub encoding: Encoding,
    pub group: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    format: Option<String>,
    format_version: Option<u64>,
}

impl Manifest {
    /// Parses and checks `diffcr.json`. The version is looked at first, so that a bundle of another version says so
    /// instead of failing on some field.
    pub fn parse(json: &str) -> Result<Self> {
        let header: Header = serde_json::from_str(json).map_err(|e| Error::manifest(format!("not JSON: {e}")))?;
        if header.format.as_deref() != Some(FORMAT) {
            return Err(Error::manifest(format!(
                "`format` is {:?}, not {FORMAT:?}",
                header.format.unwrap_or_default()
            )));
        }
        let found = header.format_version.ok_or_else(|| Error::manifest("`formatVersion` is missing"))?;
        if !(1..=FORMAT_VERSION).contains(&found) {
            return Err(Error::ManifestVersion { found, supported: FORMAT_VERSION });
        }
        let manifest: Self = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json))
            .map_err(|e| Error::manifest(e.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The oldest format version that has all that this bundle needs.
    pub fn needed_version(&self) -> u64 {
        let prompts = self.files.iter().any(|file| file.part == Part::Prompts);
        if prompts { 3 } else { Self::version_for(&self.parts) }
    }

    /// The oldest format version that has all that these parts need.
    pub fn version_for(parts: &Parts) -> u64 {
        let (transformer, scheduler) = (&parts.transformer, &parts.scheduler);
        let newer = transformer.qk_norm
            || transformer.kv_compression.is_some()
            || matches!(scheduler.solver, SolverKind::UniPc | SolverKind::SaSolver | SolverKind::EulerAncestral)
            || scheduler.timestep_spacing.is_some()
            || scheduler.steps_offset > 0
            || scheduler.zero_terminal_snr;
        if newer { 2 } else { 1 }
    }

    /// The entry of a file.
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.iter().find(|f| f.path == path)
    }

    /// Bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// The file of the prompts whose states are known.
    pub fn prompts_file(&self) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.part == Part::Prompts)
    }

    /// Prompts are known by the tokens they become.
    fn check_prompts(&self) -> Result<()> {
        let mut files = self.files.iter().filter(|file| file.part == Part::Prompts);
        match (files.next(), files.next(), &self.parts.tokenizer) {
            (None, _, _) | (Some(_), None, Some(_)) => Ok(()),
            (Some(file), None, None) => {
                Err(Error::manifest(format!("file {:?} holds prompts, and there is no tokenizer", file.path)))
            }
            (Some(_), Some(file), _) => {
                Err(Error::manifest(format!("file {:?} is a second one of prompts", file.path)))
            }
        }
    }

    fn check_tokenizer(&self) -> Result<()> {
        let wanted = self.parts.tokenizer.as_ref().map(|t| t.file.as_str());
        let mut files = self.files.iter().filter(|f| f.part == Part::Tokenizer).map(|f| f.path.as_str());
        match (wanted, files.next(), files.next()) {
            (None, None, _) => Ok(()),
            (Some(wanted), Some(file), None) if wanted == file => Ok(()),
            (Some(wanted), None, _) => Err(Error::manifest(format!("the tokenizer's file {wanted:?} is not listed"))),
            (_, Some(file), other) => {
                let file = other.unwrap_or(file);
                Err(Error::manifest(format!("file {file:?} is not the tokenizer's")))
            }
        }
    }

    fn check(&self) -> Result<()> {
        if self.files.is_empty() {
            return Err(Error::manifest("files: it lists none"));
        }
        let mut files = BTreeMap::new();
        for file in &self.files {
            check_path(&file.path)?;
            if files.insert(file.path.as_str(), file).is_some() {
                return Err(Error::manifest(format!("file {:?} is listed twice", file.path)));
            }
            if file.bytes > MAX_FILE_BYTES {
                return Err(Error::manifest(format!("file {:?} claims {} bytes", file.path, file.bytes)));
            }
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            {
                return Err(Error::manifest(format!("file {:?}: sha256 is not 64 lower-case hex digits", file.path)));
            }
        }
        self.check_tokenizer()?;
        self.check_prompts()?;
        let mut room: BTreeMap<&str, u64> = self.files.iter().map(|f| (f.path.as_str(), f.bytes)).collect();
        for (name, tensor) in &self.tensors {
            tensor.check(name, &files)?;
            for piece in tensor.pieces(name) {
                let left =
                    room.get_mut(piece.file.as_str()).and_then(|left| Some((left.checked_sub(piece.bytes())?, left)));
                let (rest, left) =
                    left.ok_or_else(|| Error::manifest(format!("tensor {name:?} does not fit in {:?}", piece.file)))?;
                *left = rest;
            }
        }
        self.parts.check()?;
        self.routing.as_ref().map_or(Ok(()), |r| r.check(self.parts.transformer.layers))
    }
}

impl Piece {
    /// Bytes of its values, scales included.
    pub fn bytes(&self) -> u64 {
        let elements = self.shape.iter().product::<usize>() as u64;
        let scales = if self.encoding.is_quantized() { 2 * elements / self.group.unwrap_or(1) as u64 } else { 0 };
        elements * u64::from(self.encoding.bits()) / 8 + scales
    }
}

impl TensorEntry {
    /// The stored tensors that make up tensor `name`.
    pub fn pieces(&self, name: &str) -> Vec<Piece> {
        let piece = |stored: String, file: &str, start: usize, shape: Vec<usize>| Piece {
            tensor: name.to_owned(),
            name: stored,
            file: file.to_owned(),
            start,
            shape,
            encoding: self.encoding,
            group: self.group,
        };
        let whole = self.file.iter().map(|file| piece(name.to_owned(), file, 0, self.shape.clone()));
        let split = self.rows.iter().map(|rows| {
            let shape = [&[rows.count], self.shape.get(1..).unwrap_or_default()].concat();
            piece(format!("{name}.rows.{}", rows.start), &rows.file, rows.start, shape)
        });
        whole.chain(split).collect()
    }

    /// Values of the tensor.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    fn check(&self, name: &str, listed: &BTreeMap<&str, &FileEntry>) -> Result<()> {
        let fault = |reason: String| Err(Error::manifest(format!("tensor {name:?}: {reason}")));
        let elements = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if self.shape.len() > 6 || elements.is_none_or(|n| n == 0 || n > MAX_ELEMENTS) {
            return fault(format!("the shape {:?} is not possible", self.shape));
        }
        let fits = |group: usize| {
            self.shape.len() == 2 && group >= 8 && group.is_multiple_of(8) && self.shape[1].is_multiple_of(group)
        };
        match (self.encoding.is_quantized(), self.group) {
            (false, None) => {}
            (true, Some(group)) if fits(group) => {}
            (true, Some(group)) => return fault(format!("groups of {group} do not fit the shape {:?}", self.shape)),
            _ => return fault("`group` goes with q8 and q4, and only with them".into()),
        }
        if self.file.is_some() != self.rows.is_empty() {
            return fault("it needs either `file` or `rows`".into());
        }
        let mut next = 0usize;
        for rows in &self.rows {
            if rows.start != next || rows.count == 0 {
                return fault(format!("rows do not follow each other at {}", rows.start));
            }
            next = next.saturating_add(rows.count);
        }
        if !self.rows.is_empty() && self.shape.first() != Some(&next) {
            return fault(format!("{next} rows are listed for the shape {:?}", self.shape));
        }
        let files = self.file.iter().chain(self.rows.iter().map(|r| &r.file));
        for file in files {
            let Some(entry) = listed.get(file.as_str()) else {
                return fault(format!("its file {file:?} is not listed"));
            };
            if matches!(entry.part, Part::Tokenizer | Part::Prompts)
                || name.split('.').next() != Some(entry.part.prefix())
            {
                return fault(format!("its file {file:?} belongs to part {:?}", entry.part));
            }
        }
        Ok(())
    }
}

/// A path stays inside the bundle: relative, `/` between its elements, no empty, `.` or `..` element, no drive, query or escape.
fn check_path(path: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let inside = path.split('/').all(|e| !e.is_empty() && e != "." && e != "..");
    if inside && path.chars().all(plain) && path.len() <= 255 && path != MANIFEST_FILE {
        return Ok(());
    }
    Err(Error::manifest(format!("file path {path:?} is not allowed in a bundle")))
}

#[cfg(test)]
pub(crate) mod tests;
