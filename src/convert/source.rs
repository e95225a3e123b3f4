//! Opens what is converted: a bundle, a diffusers folder, or a file of the transformer alone.

use std::path::Path;

use serde_json::json;

use super::checkpoint::{self, open_folder};
use super::checkpoint_tensor::Tensors;
use super::json::Config;
use super::keys::rename;
use super::model::SourceModel;
use super::options::{ConvertOptions, Places};
use super::routing::{self, Ratios};
use super::transformer::{self, ALPHA_TOKENS, Hints, SIGMA_TOKENS};
use super::{all_in_one, components, from_bundle, keys_pixart, kind, vae};
use crate::bundle::config::SchedulerConfig;
use crate::bundle::manifest::{MANIFEST_FILE, Parts};
use crate::error::{Error, Result};

/// A transformer, and where the other parts are.
struct Opened {
    model: SourceModel,
    places: Places,
    caption_tokens: Option<usize>,
}

/// Opens the source: a folder with a manifest is a bundle, any other diffusers', a file is a transformer alone. Parts that the caller names
/// come from there.
pub fn open(options: &ConvertOptions) -> Result<SourceModel> {
    let src = &options.src;
    if src.join(MANIFEST_FILE).is_file() {
        let mut model = from_bundle::open(src, options)?;
        let tokens = model.parts.tokenizer.as_ref().map_or(SIGMA_TOKENS, |tokenizer| tokenizer.max_length);
        components::add(&mut model, &options.places, options, tokens)?;
        return Ok(model);
    }
    let Opened { mut model, places, caption_tokens } = match (src.is_dir(), src.is_file()) {
        (true, _) => open_diffusers(src, options)?,
        (_, true) => open_file(src, options)?,
        _ => return Err(Error::input("SRC", format!("{} is neither a folder nor a file", src.display()))),
    };
    let tokens = caption_tokens.unwrap_or(SIGMA_TOKENS);
    components::add(&mut model, &options.places.clone().or(places), options, tokens)?;
    Ok(model)
}

fn open_file(src: &Path, options: &ConvertOptions) -> Result<Opened> {
    let (tensors, mut notes) = checkpoint::open_weights(src, options.ema)?;
    let beside = |prefixes: all_in_one::Prefixes| prefixes.begin_any(&tensors).then(|| src.to_owned());
    let places =
        Places { text_encoder: beside(all_in_one::TEXT_ENCODER), vae: beside(all_in_one::VAE), ..Places::default() };
    if places.text_encoder.is_some() && options.places.tokenizer.is_none() && !options.without_text_encoder {
        notes
            .push("the file holds a text encoder and no tokenizer: give --tokenizer, or prompts cannot be read".into());
    }
    let tensors = keys_pixart::unwrapped(all_in_one::transformer(tensors));
    let source = if keys_pixart::is_original(&tensors) { "pixart" } else { "diffusers-transformer" };
    let hints = given(options).or(config_beside(src)?);
    let sizes =
        tensors.keys().any(|name| name.starts_with("csize_embedder.") || name.contains(".resolution_embedder."));
    let caption_tokens = Hints::from_buffers(&tensors).caption_tokens.or(sizes.then_some(ALPHA_TOKENS));
    let model = SourceModel { notes, ..transformer_model(source, tensors, hints)? };
    Ok(Opened { model, places, caption_tokens })
}

/// What the caller says.
fn given(options: &ConvertOptions) -> Hints {
    let ConvertOptions { heads, sample_size, interpolation_scale, .. } = *options;
    Hints { heads, sample_size, interpolation_scale, caption_tokens: None }
}

/// What a transformer's `config.json` in the folder of `file` says; nothing where there is none, or another model's.
fn config_beside(file: &Path) -> Result<Hints> {
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
        notes: vec![],
    })
}

/// `model_index.json` and a folder for each component, or the transformer's folder alone.
fn open_diffusers(src: &Path, options: &ConvertOptions) -> Result<Opened> {
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
    let model = transformer_model("diffusers", tensors, hints)?;
    let alpha = index.as_ref().is_some_and(|i| i.text("_class_name").ok().flatten() == Some("PixArtAlphaPipeline"));
    let usual = if alpha { ALPHA_TOKENS } else { SIGMA_TOKENS };

    Ok(Opened {
        model,
        places: Places {
            scheduler: folder("scheduler")?,
            text_encoder: folder("text_encoder")?,
            tokenizer: folder("tokenizer")?,
            vae: folder("vae")?,
        },
        caption_tokens: Some(caption_tokens.unwrap_or(usual)),
    })
}
