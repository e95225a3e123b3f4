//! Opens what is converted: a bundle, a diffusers folder, or a file of the transformer alone.

use std::path::Path;

use serde_json::json;

use super::checkpoint::{self, open_folder};
use super::checkpoint_tensor::Tensors;
use super::json::Config;
use super::keys::rename;
use super::model::SourceModel;
use super::options::ConvertOptions;
use super::routing::{self, Ratios};
use super::transformer::{self, ALPHA_TOKENS, Hints, SIGMA_TOKENS};
use super::{from_bundle, keys_pixart, keys_t5, keys_vae, kind, scheduler, text_encoder, tokenizer, vae};
use crate::bundle::config::SchedulerConfig;
use crate::bundle::manifest::{MANIFEST_FILE, Parts};
use crate::error::{Error, Result};

/// Opens the source: a folder with a manifest is a bundle, any other diffusers', a file is a transformer alone.
pub fn open(options: &ConvertOptions) -> Result<SourceModel> {
    let src = &options.src;
    if src.join(MANIFEST_FILE).is_file() {
        return from_bundle::open(src, options);
    }
    if src.is_dir() {
        return open_diffusers(src, options);
    }
    if !src.is_file() {
        return Err(Error::input("SRC", format!("{} is neither a folder nor a file", src.display())));
    }
    let tensors = keys_pixart::unwrapped(checkpoint::open(src)?);
    let source = if keys_pixart::is_original(&tensors) { "pixart" } else { "diffusers-transformer" };
    let hints = given(options).or(beside(src)?);
    transformer_model(source, tensors, hints)
}

/// What the caller says.
fn given(options: &ConvertOptions) -> Hints {
    let ConvertOptions { heads, sample_size, interpolation_scale, .. } = *options;
    Hints { heads, sample_size, interpolation_scale, caption_tokens: None }
}

/// What a transformer's `config.json` in the folder of `file` says; nothing where there is none, or another model's.
fn beside(file: &Path) -> Result<Hints> {
    let path = file.with_file_name("config.json");
    if !path.is_file() {
        return Ok(Hints::default());
    }
    let config = Config::read(&path)?;
    let class = config.get("_class_name").and_then(|class| class.as_str());
    if class.is_some_and(|class| class.ends_with("Transformer2DModel")) {
        Hints::read(&config)
    } else {
        Ok(Hints::default())
    }
}

/// A model of the transformer alone, with the schedule that every PixArt was trained with.
fn transformer_model(source: &'static str, tensors: Tensors, hints: Hints) -> Result<SourceModel> {
    kind::check_transformer(&tensors)?;
    let hints = hints.or(Hints::from_buffers(&tensors));
    let ratios = Ratios::find(&tensors);
    let original = keys_pixart::is_original(&tensors);
    let table = if original { keys_pixart::original } else { keys_pixart::diffusers };
    let transformer = rename(tensors, "transformer", table)?;
    let config = transformer::config(&transformer, hints)?;
    let routing = routing::from_checkpoint(&transformer, &ratios, &config)?;
    let parts = Parts {
        transformer: config,
        text_encoder: None,
        tokenizer: None,
        vae: None,
        vae_tiny: None,
        scheduler: SchedulerConfig::default(),
    };
    Ok(SourceModel {
        source,
        parts,
        transformer,
        text_encoder: Tensors::new(),
        vae: Tensors::new(),
        vae_tiny: Tensors::new(),
        tokenizer: None,
        routing,
    })
}

/// `model_index.json` and a folder for each component, or the transformer's folder alone.
fn open_diffusers(src: &Path, options: &ConvertOptions) -> Result<SourceModel> {
    let index = src.join("model_index.json");
    let index = index.is_file().then(|| Config::read(&index)).transpose()?;
    if let Some(index) = &index {
        index.only("_class_name", &[json!("PixArtSigmaPipeline"), json!("PixArtAlphaPipeline")])?;
    }
    let folder = |name: &str| {
        let named = index.as_ref().is_some_and(|i| i.get(name).is_some_and(|c| c.get(0).is_some_and(|l| !l.is_null())));
        let path = src.join(name);
        match (named, path.is_dir()) {
            (_, true) => Ok(Some(path)),
            (false, false) => Ok(None),
            (true, false) => {
                Err(Error::input("SRC", format!("model_index.json names {name}, {} is missing", path.display())))
            }
        }
    };
    let transformer = folder("transformer")?.unwrap_or_else(|| src.to_owned());
    let config = transformer.join("config.json");
    if !config.is_file() {
        return Err(Error::input(
            "SRC",
            format!("{} is no diffusers folder: {} is missing", src.display(), config.display()),
        ));
    }
    let hints = given(options).or(Hints::read(&Config::read(&config)?)?);
    let tensors = keys_pixart::unwrapped(open_folder(&transformer, &vae::STEMS)?);
    let caption_tokens = Hints::from_buffers(&tensors).caption_tokens;
    let mut model = transformer_model("diffusers", tensors, hints)?;

    if let Some(dir) = folder("scheduler")? {
        model.parts.scheduler = scheduler::config(&Config::read(&dir.join("scheduler_config.json"))?)?;
    }
    if !options.without_text_encoder {
        let alpha = index.as_ref().is_some_and(|i| i.text("_class_name").ok().flatten() == Some("PixArtAlphaPipeline"));
        if let Some(dir) = folder("text_encoder")? {
            let tensors = open_folder(&dir, &["model", "pytorch_model"])?;
            let table = keys_t5::table(&tensors);
            model.text_encoder = rename(tensors, "text_encoder", table)?;
            let config = Config::read(&dir.join("config.json"))?;
            model.parts.text_encoder = Some(text_encoder::config(&model.text_encoder, &config)?);
        }
        if let Some(dir) = folder("tokenizer")? {
            let usual = if alpha { ALPHA_TOKENS } else { SIGMA_TOKENS };
            let (bytes, config) = tokenizer::read(&dir, caption_tokens.unwrap_or(usual))?;
            model.parts.tokenizer = Some(config);
            model.tokenizer = Some(bytes);
        }
    }
    if !options.without_vae
        && let Some(dir) = folder("vae")?
    {
        let config = Config::read(&dir.join("config.json"))?;
        match config.text("_class_name")?.unwrap_or("AutoencoderKL") {
            "AutoencoderKL" => {
                model.vae = rename(open_folder(&dir, &vae::STEMS)?, "vae", keys_vae::kl)?;
                model.parts.vae = Some(vae::kl(&mut model.vae, &config)?);
            }
            "AutoencoderTiny" => {
                let (config, tensors) = vae::tiny(&dir, None)?;
                model.parts.vae_tiny = Some(config);
                model.vae_tiny = tensors;
            }
            other => return Err(config.fault("_class_name", format_args!("{other:?} is not supported"))),
        }
    }
    Ok(model)
}
