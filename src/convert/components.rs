//! The parts beside a transformer: text encoder, tokenizer, autoencoder and scheduler, each a folder of its own, a repository's, or a file.

use std::path::{Path, PathBuf};

use super::all_in_one::{self, Prefixes};
use super::checkpoint::{self, open_folder};
use super::checkpoint_tensor::Tensors;
use super::json::Config;
use super::keys::rename;
use super::model::SourceModel;
use super::options::{ConvertOptions, Places};
use super::transformer::{ALPHA_TOKENS, SIGMA_TOKENS};
use super::{keys_t5, keys_vae, scheduler, text_encoder, tokenizer, vae};
use crate::error::{Error, Result};

/// Adds the parts in `places` to `model`, in place of its own. Prompts have `tokens` tokens, at most.
///
/// # Errors
/// As [`super::convert`]'s, naming the file, the tensor or the option.
pub fn add(model: &mut SourceModel, places: &Places, options: &ConvertOptions, tokens: usize) -> Result<()> {
    if let Some(place) = &places.scheduler {
        let file =
            if place.is_dir() { inside(place, "scheduler").join("scheduler_config.json") } else { place.clone() };
        let config = Config::read(&file)?;
        model.parts.scheduler = match options.solver {
            Some(solver) => {
                let own = config.text("_class_name")?.unwrap_or("the scheduler");
                let note = format!("{own}'s noise schedule is kept, its own settings of sampling are left aside");
                model.notes.push(note);
                scheduler::with_solver(&config, solver)?
            }
            None => {
                if config.text("_class_name")? == Some("DDPMScheduler") {
                    let note = "DDPMScheduler: its noise schedule is kept and sampled by DPM-Solver++; --solver dmd for a model of one step";
                    model.notes.push(note.into());
                }
                scheduler::config(&config)?
            }
        };
    } else if let Some(solver) = options.solver {
        model.parts.scheduler.solver = solver;
    }
    if let Some(place) = places.text_encoder.as_ref().filter(|_| !options.without_text_encoder) {
        let (tensors, config) = open(place, "text_encoder", &["model", "pytorch_model"], all_in_one::TEXT_ENCODER)?;
        let table = keys_t5::table(&tensors);
        model.text_encoder = rename(tensors, "text_encoder", table)?;
        model.parts.text_encoder = Some(text_encoder::config(&model.text_encoder, &config)?);
    }
    if let Some(place) = places.tokenizer.as_ref().filter(|_| !options.without_text_encoder) {
        let dir = inside(place, "tokenizer");
        let (bytes, config) = tokenizer::read(&dir, tokens, model.parts.vocab_size())?;
        model.parts.tokenizer = Some(config);
        model.tokenizer = Some(bytes);
    }
    let Some(place) = places.vae.as_ref().filter(|_| !options.without_vae) else { return Ok(()) };
    // Of an autoencoder without a configuration: Sigma's is that of SDXL, alpha's that of Stable Diffusion.
    let usual = match tokens {
        SIGMA_TOKENS => Some(0.13025),
        ALPHA_TOKENS => Some(0.18215),
        _ => None,
    };
    let (tensors, config) = open(place, "vae", &vae::STEMS, all_in_one::VAE)?;
    match config.text("_class_name")?.unwrap_or("AutoencoderKL") {
        "AutoencoderKL" => {
            model.vae = match keys_vae::is_ldm(&tensors) {
                true => {
                    let table = keys_vae::ldm(&tensors);
                    rename(tensors, "vae", table)?
                }
                false => rename(tensors, "vae", keys_vae::kl)?,
            };
            model.parts.vae = Some(vae::kl(&mut model.vae, &config, options.vae_scaling_factor.or(usual))?);
        }
        "AutoencoderTiny" => {
            let (config, tensors) = vae::tiny(&inside(place, "vae"), model.parts.transformer.latent_channels())?;
            model.parts.vae_tiny = Some(config);
            model.vae_tiny = tensors;
        }
        other => return Err(config.fault("_class_name", format_args!("{other:?} is not supported"))),
    }
    Ok(())
}

/// `place` itself, or the folder of the part in it where `place` is a repository.
fn inside(place: &Path, part: &str) -> PathBuf {
    let inner = place.join(part);
    if inner.is_dir() { inner } else { place.to_owned() }
}

/// The tensors of a part without their wrappers, and its configuration: empty where there is none.
fn open(place: &Path, part: &str, stems: &[&str], prefixes: Prefixes) -> Result<(Tensors, Config)> {
    let (tensors, config) = if place.is_file() {
        (checkpoint::open(place)?, place.with_file_name("config.json"))
    } else if place.is_dir() {
        let dir = inside(place, part);
        (open_folder(&dir, stems)?, dir.join("config.json"))
    } else {
        let option = part.replace('_', "-");
        return Err(Error::input(option, format!("{} is neither a folder nor a file", place.display())));
    };
    let empty = Config::empty(&config);
    let config = if config.is_file() { Config::read(&config)? } else { empty };
    // Beside a file may lie the configuration of another part.
    let class = config.get("_class_name").and_then(|class| class.as_str());
    let is_other = place.is_file() && class.is_some_and(|class| !class.starts_with("Autoencoder") || part != "vae");
    let config = if is_other { Config::empty(place) } else { config };
    Ok((prefixes.part(tensors), config))
}
