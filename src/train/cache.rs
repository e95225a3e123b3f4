//! Encoding pictures once: a folder of latents that any number of runs is trained on.
//!
//! File `i` holds batch `i` of the source and is written whole or not at all, so that a stop costs one file, several processes may
//! share the work, and the same command writes the same bytes again.

use std::path::{Path, PathBuf};

use super::encoding::Encoding;
use super::files;
use super::latents::encode;
use super::source::{self, Shares};
use super::step::Workers;
use super::text_states::TextStates;
use crate::convert::progress::Progress;
use crate::data::{Batch, HEADER, Header, Latents, PixartFeatures, Source, file_name, states, write};
use crate::device;
use crate::error::{Error, Result};
use crate::model::vae::Vae;

/// Pictures of a file.
const PER_FILE: usize = 512;
/// Pictures that a core encodes at a time.
const PART: usize = 16;

/// What to encode, and where to.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// `scenes`, `stickers`, or a folder of captioned pictures.
    pub source: String,
    pub seed: u64,
    /// Shares of pictures with one thing, and with two, on a plain background, of a source that draws.
    pub plain: f64,
    pub pairs: f64,
    /// A bundle with an autoencoder, or the folder of one.
    pub autoencoder: PathBuf,
    /// Takes the latents and states that PixArt's own scripts wrote into the folder; nothing but the empty caption is encoded.
    pub features: bool,
    /// A bundle whose text encoder turns captions into states, which are kept too.
    pub text_encoder: Option<PathBuf>,
    /// Side of the pictures in pixels.
    pub size: usize,
    /// Pictures to encode; all of a folder's where absent.
    pub count: Option<usize>,
    pub out: PathBuf,
    /// Of the files, those whose number is `shard[0]` modulo `shard[1]`.
    pub shard: [usize; 2],
    /// 0 for one a core.
    pub threads: usize,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSummary {
    /// Pictures of the whole cache.
    pub count: usize,
    /// Files of it, those written now, and those that other shards have still to write.
    pub files: usize,
    pub written: usize,
    pub missing: usize,
}

/// Writes a cache, or what is missing of one. `progress` is told pictures.
///
/// # Errors
/// `InvalidInput` naming an option, or the first setting in which a cache that is there differs; `Cancelled` when `progress` says so;
/// what files say.
pub fn cache(options: &CacheOptions, progress: &mut dyn Progress) -> Result<CacheSummary> {
    let encoding = Encoding::open(&options.autoencoder)?;
    let vae = encoding.vae(&device::cpu())?.filter(|vae| options.features || vae.has_encoder());
    let vae = vae.ok_or_else(|| Error::input("autoencoder", "it has no encoder"))?;
    let [index, shards] = options.shard;
    if index >= shards {
        return Err(Error::input("shard", format!("{index} is not below {shards}")));
    }
    if options.size == 0 || !options.size.is_multiple_of(vae.scale()) {
        return Err(Error::input("size", format!("{} is no multiple of {}", options.size, vae.scale())));
    }
    check_shares(options)?;
    let side = options.size / vae.scale();
    let mut from = Input::open(options, [vae.latent_channels(), side])?;
    let count = match (&from, options.count) {
        (Input::Features(features), count) => Some(count.unwrap_or(usize::MAX).min(features.len())),
        (Input::Pictures(pictures), count) => count.or(pictures.pictures()),
    };
    let count = count.filter(|count| *count > 0);
    let count = count.ok_or_else(|| Error::input("count", "say how many pictures: the source has no end"))?;
    let text = options.text_encoder.as_deref().map(TextStates::open).transpose()?;
    let header = Header {
        text: text.as_ref().map(TextStates::header),
        format: Header::format(),
        source: options.source.clone(),
        seed: options.seed,
        plain: options.plain,
        pairs: options.pairs,
        features: options.features,
        size: options.size,
        channels: vae.latent_channels(),
        side,
        autoencoder: encoding.fingerprint(),
        per_file: PER_FILE,
        count,
    };
    let put_header = || files::replace(&options.out.join(HEADER), header.json()?.as_bytes());
    std::fs::create_dir_all(&options.out).map_err(|e| Error::io(&options.out, e))?;
    match Header::read(&options.out)? {
        Some(there) => header.fits(&there)?,
        None => put_header()?,
    }

    let workers = Workers::new(options.threads, &device::cpu())?;
    if let Some(text) = &text {
        text.write(&options.out.join(states::EMPTY), &workers, &[String::new()])?;
    }
    let mine: Vec<usize> = (0..header.files()).filter(|file| file % shards == index).collect();
    let total = mine.iter().map(|&file| header.pictures_of(file) as u64).sum();
    let (mut done, mut written) = (0, 0);
    for &file in &mine {
        let path = options.out.join(file_name(file));
        // A file that held the end of a shorter cache is written anew.
        if !header.is_complete(&options.out, file)? {
            let (latents, captions) = match &mut from {
                Input::Pictures(pictures) => {
                    pictures.seek(file as u64);
                    let mut batch = pictures.batch(PER_FILE, options.size)?;
                    batch.truncate(header.pictures_of(file));
                    if let Some(text) = &text {
                        text.write(&options.out.join(states::file_name(file)), &workers, &batch.captions)?;
                    }
                    (latents(&workers, &vae, &batch)?, batch.captions)
                }
                Input::Features(features) => taken(features, &header, file, vae.scaling_factor() as f32, &options.out)?,
            };
            let bytes = write(&header, &latents, &captions)?;
            files::replace(&path, &bytes)?;
            written += 1;
        }
        done += header.pictures_of(file) as u64;
        progress.update(done, total);
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
    }
    put_header()?;
    let missing = (0..header.files()).filter(|file| !options.out.join(file_name(*file)).is_file()).count();
    Ok(CacheSummary { count, files: header.files(), written, missing })
}

/// What a cache is made from.
enum Input {
    Pictures(Box<dyn Source>),
    Features(PixartFeatures),
}

impl Input {
    /// # Errors
    /// `InvalidInput` naming an option; those of the source.
    fn open(options: &CacheOptions, latents: [usize; 2]) -> Result<Self> {
        if options.features {
            if options.text_encoder.is_none() {
                return Err(Error::input(
                    "textEncoder",
                    "features need the text encoder that made them, for the empty caption",
                ));
            }
            let dir = Path::new(&options.source);
            return PixartFeatures::open(dir, options.size, latents, options.seed).map(Self::Features);
        }
        let shares = Shares { plain: options.plain, pairs: options.pairs };
        let pictures = source::open(&options.source, options.seed, shares)?;
        if pictures.autoencoder().is_some() {
            return Err(Error::input("source", "it is a cache already"));
        }
        Ok(Self::Pictures(pictures))
    }
}

/// The latents and captions of file `file`, whose states are written.
fn taken(
    from: &PixartFeatures,
    header: &Header,
    file: usize,
    factor: f32,
    out: &Path,
) -> Result<(Latents, Vec<String>)> {
    let width = header.text.as_ref().map_or(0, |text| text.width);
    let (mut latents, mut captions, mut all) = (Latents::default(), Vec::new(), Vec::new());
    for index in file * PER_FILE..file * PER_FILE + header.pictures_of(file) {
        let features = from.of(index, width)?;
        latents.mean.extend(features.mean.iter().map(|v| v * factor));
        latents.deviation.extend(features.deviation.iter().map(|v| v * factor));
        captions.push(features.caption);
        all.push(features.states);
    }
    files::replace(&out.join(states::file_name(file)), &states::write(&all, width)?)?;
    Ok((latents, captions))
}

/// # Errors
/// `InvalidInput` where the shares are none, or the source knows none.
fn check_shares(options: &CacheOptions) -> Result<()> {
    let (plain, pairs) = (options.plain, options.pairs);
    let unit = |v: f64| (0.0..=1.0).contains(&v);
    if !(unit(plain) && unit(pairs) && unit(plain + pairs)) {
        return Err(Error::input("plain", "and `pairs` are shares that sum up to 1 at most"));
    }
    if plain + pairs > 0.0 && !source::is_drawn(&options.source) {
        return Err(Error::input("plain", "and `pairs` go with the sources `scenes` and `stickers`"));
    }
    Ok(())
}

/// The latents of a batch, encoded on all cores.
fn latents(workers: &Workers, vae: &Vae, batch: &Batch) -> Result<Latents> {
    let picture = batch.channels * batch.size * batch.size;
    let parts: Vec<&[f32]> = batch.images.chunks(PART * picture).collect();
    let encoded = workers.map(parts.len(), |i| {
        let part = Batch { images: parts[i].to_vec(), channels: batch.channels, ..Batch::pictures(batch.size) };
        encode(vae, &part)
    })?;
    let mut all = Latents::default();
    for part in encoded {
        all.mean.extend(part.mean);
        all.deviation.extend(part.deviation);
    }
    Ok(all)
}
