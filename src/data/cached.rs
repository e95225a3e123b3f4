//! Pictures that were encoded once: latents and captions in files of equal length, read a picture at a time.
//!
//! A folder holds `cache.json` ([`Header`]) and `latents-NNNNN.safetensors`: `mean` and, where the encoder tells them, `deviation`, f16
//! `[pictures, channels, side, side]` in the units of the model, with the captions in the file's metadata.

pub mod states;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::{Deserialize, Serialize};

use self::states::{StatesFile, TextHeader};
use super::epochs::Epochs;
use super::random::Random;
use super::safetensors_file::{open, read_f16};
use super::{Batch, Source, Split};
use crate::error::{Error, Result};

/// Its name in the folder.
pub const HEADER: &str = "cache.json";
const FORMAT: &str = "diffcr-cache";
const CAPTIONS: &str = "captions";
/// Streams of the seed for what is drawn from the deviations.
const DRAWS: u64 = 1 << 62;

/// What a cache holds. All but `count` decides what lies in its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    pub format: String,
    /// `scenes`, `stickers`, or the folder of the pictures.
    pub source: String,
    pub seed: u64,
    /// Shares of pictures with one thing, and with two, on a plain background.
    #[serde(default)]
    pub plain: f64,
    #[serde(default)]
    pub pairs: f64,
    /// Whether PixArt's own scripts encoded them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub features: bool,
    /// Side of the pictures in pixels.
    pub size: usize,
    /// Of the latents: channels, and their side.
    pub channels: usize,
    pub side: usize,
    /// Fingerprint of the autoencoder.
    pub autoencoder: String,
    /// Where captions are there as states, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextHeader>,
    /// Pictures of a file; the last may hold fewer.
    pub per_file: usize,
    pub count: usize,
}

impl Header {
    /// The `format` of this version.
    pub fn format() -> String {
        FORMAT.into()
    }

    /// The header in `dir`; none where there is no cache.
    ///
    /// # Errors
    /// `Io`, or `Integrity` where the file is no header.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(HEADER);
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|e| Error::io(&path, e))?,
        };
        let header: Self =
            serde_json::from_str(&text).map_err(|e| Error::integrity(path.display().to_string(), e.to_string()))?;
        if header.format != FORMAT || header.per_file == 0 || header.count == 0 {
            return Err(Error::integrity(path.display().to_string(), "it is not of this version"));
        }
        Ok(Some(header))
    }

    /// Whether the files of `there` are those of this, as far as both go.
    ///
    /// # Errors
    /// `InvalidInput` naming what differs.
    pub fn fits(&self, there: &Self) -> Result<()> {
        let differs = [
            ("source", self.source != there.source),
            ("seed", self.seed != there.seed),
            ("plain", self.plain != there.plain),
            ("pairs", self.pairs != there.pairs),
            ("features", self.features != there.features),
            ("size", self.size != there.size),
            ("autoencoder", self.autoencoder != there.autoencoder || self.channels != there.channels),
            ("textEncoder", self.text != there.text),
            ("out", self.per_file != there.per_file || self.side != there.side),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            Some((name, _)) => Err(Error::input(*name, "the cache that is there was made with another")),
            None => Ok(()),
        }
    }

    /// The text of `cache.json`.
    ///
    /// # Errors
    /// `Internal` where it is no JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).map_err(|e| Error::internal(e.to_string()))? + "\n")
    }

    /// Whether file `index` is in `dir` with as many pictures as this asks for.
    ///
    /// # Errors
    /// `Io` where it cannot be read; a file that is damaged is not complete.
    pub fn is_complete(&self, dir: &Path, index: usize) -> Result<bool> {
        let states = self.text.as_ref().map(|text| {
            StatesFile::open(dir.join(states::file_name(index)), self.pictures_of(index), text.width).map(drop)
        });
        match Part::open(dir, self, index).and_then(|_| states.unwrap_or(Ok(()))) {
            Ok(()) => Ok(true),
            Err(Error::Integrity { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Files of the cache.
    pub fn files(&self) -> usize {
        self.count.div_ceil(self.per_file)
    }

    /// Pictures of file `index`.
    pub fn pictures_of(&self, index: usize) -> usize {
        self.count.saturating_sub(index * self.per_file).min(self.per_file)
    }

    /// Values of a picture's latents.
    fn values(&self) -> usize {
        self.channels * self.side * self.side
    }
}

/// Latents of some pictures, `[pictures, channels, side, side]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latents {
    pub mean: Vec<f32>,
    /// As long, or empty.
    pub deviation: Vec<f32>,
}

/// The file with that number.
pub fn file_name(index: usize) -> String {
    format!("latents-{index:05}.safetensors")
}

/// The bytes of a file.
///
/// # Errors
/// `Internal` where latents and captions do not fit the header.
pub fn write(header: &Header, latents: &Latents, captions: &[String]) -> Result<Vec<u8>> {
    let fault = |e: String| Error::internal(e);
    let shape = vec![captions.len(), header.channels, header.side, header.side];
    let half = |values: &[f32]| values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>();
    let named = [("mean", half(&latents.mean)), ("deviation", half(&latents.deviation))];
    let views = named.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(name, bytes)| {
        TensorView::new(Dtype::F16, shape.clone(), bytes).map(|view| (*name, view)).map_err(|e| fault(e.to_string()))
    });
    let captions = serde_json::to_string(captions).map_err(|e| fault(e.to_string()))?;
    let metadata = HashMap::from([(CAPTIONS.to_owned(), captions)]);
    serialize(views.collect::<Result<Vec<_>>>()?, Some(metadata)).map_err(|e| fault(e.to_string()))
}

/// A file of the cache, open.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
    captions: Vec<String>,
    /// Bytes before the values.
    mean: u64,
    deviation: Option<u64>,
}

impl Part {
    fn open(dir: &Path, header: &Header, index: usize) -> Result<Self> {
        let path = dir.join(file_name(index));
        let damaged = |reason: String| Error::integrity(path.display().to_string(), reason);
        let (file, metadata, start) = open(&path)?;
        let captions = metadata.metadata().as_ref().and_then(|m| m.get(CAPTIONS));
        let captions: Vec<String> = captions
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| damaged("it has no captions".into()))?;
        let place = |name: &str| {
            let info = metadata.info(name)?;
            let wanted = [captions.len(), header.channels, header.side, header.side];
            (info.dtype == Dtype::F16 && info.shape == wanted).then_some(start + info.data_offsets.0 as u64)
        };
        let mean = place("mean").ok_or_else(|| damaged("its latents are not those of cache.json".into()))?;
        let deviation = place("deviation");
        if captions.len() < header.pictures_of(index) {
            return Err(damaged(format!("it holds {} of {} pictures", captions.len(), header.pictures_of(index))));
        }
        Ok(Self { file, captions, mean, deviation, path })
    }

    /// Values `start..start + count` behind `place`.
    fn values(&self, place: u64, start: usize, count: usize) -> Result<Vec<f32>> {
        read_f16(&self.file, place + 2 * start as u64, count).map_err(|e| Error::io(&self.path, e))
    }
}

/// The latents of a cache, every picture once an epoch, in an order that the seed decides.
#[derive(Debug)]
pub struct CachedSource {
    header: Header,
    parts: Vec<Part>,
    /// Where captions are there as states: a file for every one of `parts`, and those of the empty caption.
    states: Option<(Vec<StatesFile>, Vec<f32>)>,
    epochs: Epochs,
    seed: u64,
    next: u64,
}

impl CachedSource {
    /// # Errors
    /// `InvalidInput` where the folder has no cache; `Integrity` naming a file that is missing or damaged.
    pub fn open(dir: &Path, seed: u64, split: Split) -> Result<Self> {
        let header =
            Header::read(dir)?.ok_or_else(|| Error::input("source", format!("{} holds no {HEADER}", dir.display())))?;
        let parts = (0..header.files()).map(|i| Part::open(dir, &header, i)).collect::<Result<_>>()?;
        let states = header.text.as_ref().map(|TextHeader { width, .. }| {
            let file = |i| StatesFile::open(dir.join(states::file_name(i)), header.pictures_of(i), *width);
            Ok::<_, Error>(((0..header.files()).map(file).collect::<Result<_>>()?, states::empty(dir, *width)?))
        });
        let states = states.transpose()?;
        let epochs = Epochs::new(split.of(header.count), seed);
        Ok(Self { header, parts, states, epochs, seed, next: 0 })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }
}

impl Source for CachedSource {
    fn batch(&mut self, count: usize, size: usize) -> Result<Batch> {
        let Header { channels, side, per_file, .. } = self.header;
        if size != self.header.size {
            return Err(Error::input("source", format!("its pictures have {} pixels, not {size}", self.header.size)));
        }
        let start = self.next.saturating_mul(count as u64);
        let mut random = Random::new(self.seed, DRAWS + self.next);
        self.next += 1;
        let values = self.header.values();
        let mut batch = Batch { channels, ..Batch::pictures(side) };
        batch.empty_states = self.states.as_ref().map(|(_, empty)| empty.clone()).unwrap_or_default();
        for position in 0..count as u64 {
            let index = self.epochs.at(start.saturating_add(position));
            let (part, place) = (&self.parts[index / per_file], index % per_file);
            let mut latents = part.values(part.mean, place * values, values)?;
            if let Some(deviation) = part.deviation {
                let deviation = part.values(deviation, place * values, values)?;
                latents.iter_mut().zip(deviation).for_each(|(mean, d)| *mean += d * random.gaussian() as f32);
            }
            batch.images.extend(latents);
            batch.captions.push(part.captions[place].clone());
            if let Some((files, _)) = &self.states {
                batch.states.push(files[index / per_file].of(place)?);
            }
        }
        Ok(batch)
    }

    fn seek(&mut self, index: u64) {
        self.next = index;
    }

    fn pictures(&self) -> Option<usize> {
        Some(self.header.count)
    }

    fn autoencoder(&self) -> Option<&str> {
        Some(&self.header.autoencoder)
    }
}
