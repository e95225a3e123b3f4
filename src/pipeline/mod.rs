//! A prompt becomes a picture: the parts of a bundle put to work, one denoising step at a time.
//!
//! [`Pipeline`] holds the networks, [`options`] checks what a caller asks for, [`budget`] refuses what does not fit,
//! [`generate`] runs it by pulling steps, [`image`]
//! turns its result into pixels, and [`probe`] runs one part alone. [`prompts`] are known by their text states, [`residency`] says whether
//! the encoder that makes them stays.
//!
//! [`inpaint`] redraws a part of a [`picture`]: its [`mask`] and the [`crop`] around it become an [`edit`] that a run makes at every
//! step; [`mask_aware`] runs the tokens near the hole alone; [`paste`] puts the drawing, [`resample`]d, back into the picture.

pub mod budget;
mod captions;
pub mod crop;
pub mod edit;
pub mod generate;
pub mod image;
pub mod info;
pub mod inpaint;
pub mod limits;
pub mod mask;
pub mod mask_aware;
pub mod options;
pub mod paste;
#[cfg(feature = "cli")]
pub mod photo;
pub mod picture;
#[cfg(feature = "cli")]
pub mod png;
mod preview;
pub mod probe;
pub mod prompts;
pub mod read_back;
pub mod record;
pub mod resample;
pub mod residency;
#[cfg(feature = "webgpu")]
pub mod tuning;
pub mod warning;
mod weight_bytes;

use std::cell::{OnceCell, RefCell};

use burn::tensor::{Device, Tensor, TensorData};

use crate::bundle;
use crate::bundle::Loader;
use crate::bundle::config::VaeConfig;
use crate::bundle::load::Loaded;
use crate::bundle::manifest::{Manifest, Part};
use crate::bundle::prompts::PromptStates;
use crate::bundle::section::Section;
use crate::device::release_unused;
use crate::error::{Error, Result};
use crate::model::ratios::{Compression, KeepTable};
use crate::model::text_encoder::TextEncoder;
use crate::model::text_stream::TextEncoderStream;
use crate::model::tokenizer::Tokenizer;
use crate::model::transformer::Transformer;
use crate::model::vae::Vae;
use crate::model::vae::kl::{Kl, KlEncoder};
use crate::model::vae::tiled::TileConfig;
use crate::model::vae::tiny::Tiny;
use crate::sampler::guidance::is_guided;

pub use generate::Run;
pub use inpaint::EditOptions;
pub use options::GenerateOptions;
use preview::LinearPreview;
use prompts::KnownPrompts;
use warning::Warning;

/// Bytes of a decoder's largest feature map: what WebGPU binds anywhere and wasm has room for, and what main memory takes easily.
const MAX_MAP_BYTES: u64 = if cfg!(target_arch = "wasm32") || cfg!(feature = "gpu") { 128 << 20 } else { 1 << 30 };

/// A loaded bundle, ready to run.
#[derive(Debug)]
pub struct Pipeline {
    manifest: Manifest,
    device: Device,
    transformer: Transformer,
    text_encoder: Option<TextEncoder>,
    tokenizer: Option<Tokenizer>,
    vae: Option<Vae>,
    vae_tiny: Option<Vae>,
    prompts: RefCell<KnownPrompts>,
    /// Of the autoencoder, while it is here apart from it.
    encoder: RefCell<Option<KlEncoder>>,
    /// Made for the first preview that needs it.
    preview: OnceCell<LinearPreview>,
}

impl Pipeline {
    /// Builds every part of the bundle.
    ///
    /// # Errors
    /// `ModelInvalid` names the tensor that is missing, misshapen or unknown.
    pub fn new(loaded: Loaded) -> Result<Self> {
        let Loaded { manifest, mut weights, tokenizer, prompts, absent } = loaded;
        let device = weights.device().clone();
        let parts = &manifest.parts;
        let transformer = Transformer::load(&mut weights.scope("transformer"), &parts.transformer)?;
        let text_encoder = match &parts.text_encoder {
            Some(config) if !absent.contains(&Section::Part(Part::TextEncoder)) => {
                Some(TextEncoder::load(&mut weights.scope("text_encoder"), config)?)
            }
            Some(_) | None => None,
        };
        let vae = match &parts.vae {
            Some(config) => {
                let encoder = config.encoder && !absent.contains(&Section::VaeEncoder);
                Some(Vae::Kl(Kl::load(&mut weights.scope("vae"), &VaeConfig { encoder, ..config.clone() })?))
            }
            None => None,
        };
        let vae_tiny = match &parts.vae_tiny {
            Some(config) => Some(Vae::Tiny(Tiny::load(&mut weights.scope("vae_tiny"), config)?)),
            None => None,
        };
        let tokenizer = match (&parts.tokenizer, tokenizer) {
            (Some(config), Some(bytes)) => Some(Tokenizer::from_json(&bytes, config, parts.vocab_size())?),
            _ => None,
        };
        let prompts = match prompts {
            Some(bytes) => bundle::prompts::parse(&bytes, parts.transformer.caption_channels)?,
            None => vec![],
        };
        let prompts = RefCell::new(KnownPrompts::new(prompts));
        weights.finish()?;
        // Weights that were laid out anew.
        release_unused(&device);
        Ok(Self {
            manifest,
            device,
            transformer,
            text_encoder,
            tokenizer,
            vae,
            vae_tiny,
            prompts,
            encoder: RefCell::new(None),
            preview: OnceCell::new(),
        })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn transformer(&self) -> &Transformer {
        &self.transformer
    }

    /// Pixels of an image along a latent cell: 1 for a model that draws pixels.
    pub fn pixel_scale(&self) -> usize {
        self.manifest.parts.pixel_scale()
    }

    /// Channels of the latents.
    pub fn latent_channels(&self) -> usize {
        let config = self.transformer.config();
        config.latent_channels().unwrap_or(config.in_channels)
    }

    /// Whether the model was trained to inpaint.
    pub fn takes_mask(&self) -> bool {
        self.transformer.config().takes_mask()
    }

    /// The decoders of the bundle.
    pub fn decoders(&self) -> impl Iterator<Item = &Vae> {
        [&self.vae, &self.vae_tiny].into_iter().flatten()
    }

    /// Sides of an image must be multiples of this many pixels.
    pub fn side_multiple(&self) -> usize {
        self.pixel_scale() * self.transformer.config().patch_size
    }

    /// Side in pixels of the square image the model was trained for.
    pub fn default_side(&self) -> usize {
        self.pixel_scale() * self.transformer.config().sample_size
    }

    /// The words that it knows, where its vocabulary is one of words.
    pub fn vocabulary(&self) -> Option<&[String]> {
        self.tokenizer.as_ref()?.words()
    }

    /// Token ids of a prompt, unpadded, `</s>` last.
    ///
    /// # Errors
    /// `InvalidInput` where the bundle has no tokenizer.
    pub fn tokenize(&self, prompt: &str) -> Result<Vec<u32>> {
        let tokenizer = self.tokenizer.as_ref();
        tokenizer.ok_or_else(|| Error::input("prompt", "this bundle has no tokenizer"))?.encode(prompt)
    }

    /// # Errors
    /// `InvalidInput` where the bundle has none.
    pub fn text_encoder(&self) -> Result<&TextEncoder> {
        self.text_encoder.as_ref().ok_or_else(|| Error::input("prompt", "this bundle has no text encoder"))
    }

    /// Text states `[1, S, E]` of a prompt, and whether some of it was lost.
    ///
    /// # Errors
    /// `InvalidInput` where the bundle has no text encoder, and does not know the prompt without one: such a model takes
    /// `promptEmbeds`.
    pub fn encode_prompt(&self, field: &str, prompt: &str) -> Result<(Tensor<3>, Option<Warning>)> {
        let Some(tokenizer) = &self.tokenizer else {
            return Err(Error::input(field, "this bundle has no text encoder: pass the prompt's embeddings instead"));
        };
        let (ids, lost) = tokenizer.encode_counting(prompt)?;
        let warning = (lost > 0).then(|| Warning::truncated(field, lost, tokenizer.max_length()));
        if let Some(states) = self.prompts.borrow().get(&ids) {
            let shape = [1, ids.len(), self.transformer.config().caption_channels];
            return Ok((Tensor::from_data(TensorData::new(states, shape), &self.device), warning));
        }
        match (&self.text_encoder, &self.manifest.parts.text_encoder) {
            (Some(encoder), _) => Ok((encoder.forward(&ids)?, warning)),
            (None, Some(_)) => Err(Error::internal("the text encoder has not read the prompt")),
            (None, None) => {
                let reason =
                    format!("this bundle has no text encoder, and does not know {prompt:?}: pass its embeddings");
                Err(Error::input(field, reason))
            }
        }
    }

    /// Token ids of the prompts of a run whose states only a text encoder that passes by can tell: none where it stays.
    ///
    /// # Errors
    /// As [`GenerateOptions::settings`]'s.
    pub fn unknown_prompts(&self, options: &GenerateOptions) -> Result<Vec<Vec<u32>>> {
        if self.text_encoder.is_some() || self.manifest.parts.text_encoder.is_none() {
            return Ok(vec![]);
        }
        let guided = is_guided(options.guidance(&self.manifest));
        let positive = (options.prompt_embeds.is_none()).then_some(&options.prompt);
        let negative = (guided && options.negative_prompt_embeds.is_none()).then_some(&options.negative_prompt);
        let mut unknown: Vec<Vec<u32>> = Vec::new();
        for prompt in [positive, negative].into_iter().flatten() {
            let ids = self.tokenize(prompt.as_deref().unwrap_or_default())?;
            if !self.prompts.borrow().has(&ids) && !unknown.contains(&ids) {
                unknown.push(ids);
            }
        }
        Ok(unknown)
    }

    /// The text encoder on its way past `prompts`.
    ///
    /// # Errors
    /// As [`TextEncoderStream::new`]'s.
    pub fn text_stream(&self, prompts: Vec<Vec<u32>>) -> Result<TextEncoderStream> {
        TextEncoderStream::new(self.manifest.clone(), &self.device, prompts)
    }

    /// What the text encoder made of a prompt, from now on known.
    ///
    /// # Errors
    /// `InvalidInput` where states do not fit the ids or are no numbers.
    pub fn remember_prompt(&self, prompt: PromptStates) -> Result<()> {
        let PromptStates { ids, states } = &prompt;
        if ids.is_empty() || states.len() != ids.len() * self.transformer.config().caption_channels {
            return Err(Error::input("prompt", format!("{} states for {} tokens", states.len(), ids.len())));
        }
        if !prompt.is_finite() {
            return Err(Error::input("prompt", "its text states are no numbers that f16 holds"));
        }
        self.prompts.borrow_mut().remember(prompt);
        Ok(())
    }

    /// Keep ratios for a run; none for a dense model.
    ///
    /// # Errors
    /// `InvalidInput` where `compression` means nothing to this model.
    pub fn keep_table(&self, compression: &Compression) -> Result<Option<KeepTable>> {
        let train_timesteps = self.manifest.parts.scheduler.train_timesteps;
        match (&self.manifest.routing, compression) {
            (Some(routing), _) => KeepTable::new(routing, compression, train_timesteps).map(Some),
            (None, compression) if compression.asks_for_nothing() => Ok(None),
            (None, _) => Err(Error::input("compression", "this model has no routers: it runs dense")),
        }
    }

    /// What scores are multiplied by; none for a dense model.
    pub fn score_gain(&self) -> Option<f64> {
        self.manifest.routing.as_ref().map(|r| r.score_gain)
    }

    /// The autoencoder of the bundle: the one the model was trained with, or `tiny` where asked for or alone.
    ///
    /// # Errors
    /// `InvalidInput` where the bundle has none such.
    pub fn vae(&self, tiny: bool) -> Result<&Vae> {
        let vae = if tiny { self.vae_tiny.as_ref() } else { self.vae.as_ref().or(self.vae_tiny.as_ref()) };
        vae.ok_or_else(|| {
            Error::input("vae", if tiny { "this bundle has no tiny VAE" } else { "this bundle has no VAE" })
        })
    }

    /// Whether the half of the autoencoder that reads pictures was left out, and is not here apart from it.
    pub fn lacks_encoder(&self) -> bool {
        let loaded = self.vae.as_ref().is_some_and(Vae::has_encoder) || self.encoder.borrow().is_some();
        self.manifest.parts.vae.as_ref().is_some_and(|config| config.encoder) && !loaded
    }

    /// A loader of that half.
    ///
    /// # Errors
    /// As [`Loader::with_sections`]'s.
    pub fn encoder_loader(&self) -> Result<Loader> {
        Loader::with_sections(self.manifest.clone(), &self.device, |section| section == Section::VaeEncoder)
    }

    /// Has that half here, until [`Self::drop_encoder`].
    ///
    /// # Errors
    /// `ModelInvalid` naming a tensor that is missing or misshapen.
    pub fn take_encoder(&self, loaded: Loaded) -> Result<()> {
        let Loaded { mut weights, .. } = loaded;
        let config = self.manifest.parts.vae.as_ref();
        let config = config.ok_or_else(|| Error::internal("there is no autoencoder"))?;
        *self.encoder.borrow_mut() = Some(KlEncoder::load(&mut weights.scope("vae"), config)?);
        weights.finish()
    }

    /// Gives back its memory.
    pub fn drop_encoder(&self) {
        *self.encoder.borrow_mut() = None;
        release_unused(&self.device);
    }

    /// The model's latents of an image `[1, 3, H, W]` in [-1, 1].
    ///
    /// # Errors
    /// `InvalidInput` on `image` where the bundle has a VAE but no encoder.
    pub fn encode(&self, image: Tensor<4>) -> Result<Tensor<4>> {
        if let (Some(vae), Some(encoder)) = (&self.vae, &*self.encoder.borrow()) {
            let tiles = TileConfig::fitting(vae.peak_values_per_cell(), MAX_MAP_BYTES);
            return vae.encode_tiled_by(encoder, image, tiles);
        }
        if self.lacks_encoder() {
            return Err(Error::internal("the autoencoder's half that reads pictures is not loaded"));
        }
        let vaes = || self.vae.iter().chain(&self.vae_tiny);
        match vaes().find(|vae| vae.has_encoder()).or_else(|| vaes().next()) {
            Some(vae) => vae.encode_tiled(image, TileConfig::fitting(vae.peak_values_per_cell(), MAX_MAP_BYTES)),
            None => Ok(image),
        }
    }

    /// Image `[1, 3, H, W]`, nominally in [-1, 1], of the model's latents.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Tensor<4>> {
        decode(self.vae.as_ref().or(self.vae_tiny.as_ref()), latents)
    }

    /// As [`Self::decode`], by the cheapest means at hand: the tiny autoencoder, or where the other takes long beside a step a colour for
    /// each cell.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub async fn decode_preview(&self, latents: Tensor<4>) -> Result<Tensor<4>> {
        let [_, channels, height, width] = latents.dims();
        match (&self.vae_tiny, &self.vae) {
            (None, Some(vae @ Vae::Kl(kl)))
                if preview::is_costly(kl.config(), self.transformer.config(), [height, width]) =>
            {
                let map = match self.preview.get() {
                    Some(map) => map,
                    None => {
                        let map = LinearPreview::new(vae, channels, &self.device).await?;
                        self.preview.get_or_init(|| map)
                    }
                };
                Ok(map.image(latents, self.pixel_scale()))
            }
            (tiny, vae) => decode(tiny.as_ref().or(vae.as_ref()), latents),
        }
    }
}

/// Decodes whole where the decoder's maps fit, else in tiles.
fn decode(vae: Option<&Vae>, latents: Tensor<4>) -> Result<Tensor<4>> {
    match vae {
        Some(vae) => vae.decode_tiled(latents, TileConfig::fitting(vae.peak_values_per_cell(), MAX_MAP_BYTES)),
        None => Ok(latents),
    }
}
