//! A bundle of random weights, of any size: what a model of that size costs is known before anyone has trained one.
//!
//! Matrices are drawn already encoded, a chunk at a time, with the spread that trained ones begin with; norms are 1, vectors and biases 0.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::Dtype;

use super::output::OutputFolder;
use super::policy::Policy;
use super::progress::Progress;
use super::shard::{Stored, entries, spread, write_chunk, write_file};
use crate::bundle::folder::write_manifest;
use crate::bundle::manifest::{Encoding, FORMAT, Manifest, Part, Parts, Piece, Provenance};
use crate::bundle::whole;
use crate::error::{Error, Result};
use crate::files;

/// What is made.
#[derive(Debug)]
pub struct RandomOptions {
    pub out: PathBuf,
    pub force: bool,
    pub parts: Parts,
    /// The tokenizer's file, where the parts have one.
    pub tokenizer: Option<PathBuf>,
    pub policy: Policy,
    pub chunk_bytes: u64,
    pub seed: u64,
}

/// Writes the bundle.
///
/// # Errors
/// `InvalidInput` on parts that do not fit each other's, `ManifestInvalid` and `ModelInvalid` as the loader's, `Cancelled`.
pub fn random(options: &RandomOptions, progress: &mut dyn Progress) -> Result<Manifest> {
    let RandomOptions { parts, policy, chunk_bytes, seed, .. } = options;
    let output = OutputFolder::create(&options.out, options.force)?;
    let tensors = whole::tensors(parts)?;
    let mut noise = Noise(seed | 1);
    let mut manifest = Manifest {
        format: FORMAT.into(),
        format_version: Manifest::version_for(parts),
        name: "random".into(),
        version: String::new(),
        license: None,
        provenance: Provenance {
            source: "random".into(),
            converter: concat!("diffcr ", env!("CARGO_PKG_VERSION")).into(),
        },
        files: vec![],
        parts: parts.clone(),
        tensors: BTreeMap::new(),
        routing: None,
    };
    let mut plans = Vec::new();
    for part in [Part::Transformer, Part::TextEncoder, Part::Vae, Part::VaeTiny] {
        let of_part = tensors.iter().filter(|(name, _)| name.split('.').next() == Some(part.prefix()));
        let wholes = of_part.map(|(name, shape)| whole_piece(name, shape, policy)).collect::<Result<_>>()?;
        plans.push((part, spread(part, wholes, *chunk_bytes)?));
    }
    let total = plans.iter().flat_map(|(_, chunks)| chunks.iter().flatten()).map(Piece::bytes).sum();
    let mut done = 0;
    for (part, chunks) in &plans {
        for pieces in chunks {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let mut stored = Vec::new();
            for piece in pieces {
                stored.extend(noise.piece(piece)?);
                done += piece.bytes();
            }
            progress.update(done, total);
            let path = pieces.first().map(|piece| piece.file.as_str()).unwrap_or_default();
            manifest.files.push(write_chunk(output.dir(), path, *part, &stored)?);
        }
        manifest.tensors.extend(entries(chunks, |name| tensors.get(name).map(Vec::as_slice)));
    }
    tokenizer_file(options, output.dir(), &mut manifest)?;
    let manifest = write_manifest(output.dir(), manifest)?;
    output.finish()?;
    Ok(manifest)
}

fn tokenizer_file(options: &RandomOptions, dir: &Path, manifest: &mut Manifest) -> Result<()> {
    match (&options.parts.tokenizer, &options.tokenizer) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Error::input("tokenizer", "the parts have one: give its tokenizer.json")),
        (None, Some(_)) => Err(Error::input("tokenizer", "the parts have none")),
        (Some(config), Some(path)) => {
            let bytes = files::read(path)?;
            manifest.files.push(write_file(dir, &config.file, Part::Tokenizer, &bytes)?);
            Ok(())
        }
    }
}

fn whole_piece(name: &str, shape: &[usize], policy: &Policy) -> Result<Piece> {
    let (encoding, group) = policy.encoding(name, shape)?;
    Ok(Piece {
        tensor: name.to_owned(),
        name: name.to_owned(),
        file: String::new(),
        start: 0,
        shape: shape.to_vec(),
        encoding,
        group,
    })
}

/// xorshift64*: quick, and no better than weights of no meaning need.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// Of deviation 1, evenly spread.
    fn uniform(&mut self) -> f32 {
        (self.next() as f32 / u32::MAX as f32 * 2.0 - 1.0) * 3f32.sqrt()
    }

    /// What a chunk stores of `piece`.
    fn piece(&mut self, piece: &Piece) -> Result<Vec<Stored>> {
        let (name, shape) = (piece.name.clone(), piece.shape.clone());
        let count: usize = shape.iter().product();
        let inputs: usize = shape.iter().skip(1).product();
        let deviation = 1.0 / (inputs.max(1) as f32).sqrt();
        let (Some(group), &[rows, width]) = (piece.group, &shape[..]) else {
            let norm = shape.len() == 1 && piece.tensor.ends_with(".weight");
            let mut value = || if shape.len() > 1 { self.uniform() * deviation } else { f32::from(u8::from(norm)) };
            let bytes = match piece.encoding {
                Encoding::F32 => (0..count).flat_map(|_| value().to_le_bytes()).collect(),
                _ => (0..count).flat_map(|_| f16::from_f32(value()).to_le_bytes()).collect(),
            };
            let dtype = if piece.encoding == Encoding::F32 { Dtype::F32 } else { Dtype::F16 };
            return Ok(vec![(name, dtype, shape, bytes)]);
        };
        let bits = piece.encoding.bits() as usize;
        // Of integers that are evenly spread over their range.
        let scale = f16::from_f32(deviation * 12f32.sqrt() / (1u32 << bits) as f32);
        let words = (0..count * bits / 32).flat_map(|_| self.next().to_le_bytes()).collect();
        let scales = std::iter::repeat_n(scale.to_le_bytes(), count / group).flatten().collect();
        Ok(vec![
            (format!("{name}.qweight"), Dtype::U32, vec![rows, width * bits / 32], words),
            (format!("{name}.scales"), Dtype::F16, vec![rows, width / group], scales),
        ])
    }
}
