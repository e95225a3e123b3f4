//! Captions as a frozen text encoder's states, for a cache: the encoder is then needed no more.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::files;
use super::step::Workers;
use crate::bundle::folder::{load_folder, read_manifest};
use crate::bundle::load::hex;
use crate::bundle::manifest::{Manifest, Part};
use crate::data::states::{self, TextHeader};
use crate::device;
use crate::error::{Error, Result};
use crate::model::text_encoder::TextEncoder;
use crate::model::tokenizer::Tokenizer;

/// A bundle's text encoder and tokenizer.
pub struct TextStates {
    encoder: TextEncoder,
    tokenizer: Tokenizer,
    header: TextHeader,
}

impl TextStates {
    /// # Errors
    /// `InvalidInput` on a bundle that has none; what its files say.
    pub fn open(dir: &Path) -> Result<Self> {
        let none = || Error::input("textEncoder", format!("{} has no text encoder", dir.display()));
        let mut loaded = load_folder(dir, &device::cpu(), Some(&[Part::TextEncoder, Part::Tokenizer]))?;
        let parts = &loaded.manifest.parts;
        let (config, tokenizer) = parts.text_encoder.as_ref().zip(parts.tokenizer.as_ref()).ok_or_else(none)?;
        let tokenizer = Tokenizer::from_json(&loaded.tokenizer.ok_or_else(none)?, tokenizer, config.vocab_size)?;
        let encoder = TextEncoder::load(&mut loaded.weights.scope("text_encoder"), config)?;
        let header = TextHeader { encoder: fingerprint(&loaded.manifest), width: config.d_model };
        Ok(Self { encoder, tokenizer, header })
    }

    pub fn header(&self) -> TextHeader {
        self.header.clone()
    }

    /// Writes the states of captions.
    ///
    /// # Errors
    /// What the tokenizer says of a caption; `Io` naming the file.
    pub fn write(&self, path: &Path, workers: &Workers, captions: &[String]) -> Result<()> {
        let states = workers.map(captions.len(), |i| {
            let states = self.encoder.forward(&self.tokenizer.encode(&captions[i])?)?; // [1, S, E]
            states.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))
        })?;
        files::replace(path, &states::write(&states, self.header.width)?)
    }
}

/// A hash over the files of a bundle's text encoder and tokenizer.
pub fn fingerprint(manifest: &Manifest) -> String {
    let mut hash = Sha256::new();
    let files = manifest.files.iter().filter(|f| matches!(f.part, Part::TextEncoder | Part::Tokenizer));
    files.for_each(|file| hash.update(file.sha256.as_bytes()));
    hex(&hash.finalize())
}

/// Whether the bundle in `dir` has the encoder that made the states.
///
/// # Errors
/// `InvalidInput` where it has another.
pub fn check(dir: &Path, text: &TextHeader) -> Result<()> {
    match fingerprint(&read_manifest(dir)?) == text.encoder {
        true => Ok(()),
        false => Err(Error::input("source", "its text states are those of another text encoder than the bundle's")),
    }
}
