//! The configurations of a bundle's parts in diffusers' and transformers' words.

use serde_json::{Value, json};

use crate::bundle::config::{
    BetaSchedule, FeedForward, Prediction, SchedulerConfig, SolverKind, TextEncoderConfig, TimestepSpacing,
    TinyVaeConfig, TokenizerConfig, TransformerConfig, VaeConfig,
};
use crate::bundle::manifest::Parts;
use crate::error::{Error, Result};

/// The version of diffusers whose words these are.
const VERSION: &str = "0.42.1";
/// Tokens of an alpha's prompt.
const ALPHA_TOKENS: usize = 120;

/// The pipeline that such parts make.
pub fn pipeline(parts: &Parts) -> &'static str {
    let alpha = parts.tokenizer.as_ref().is_some_and(|t| t.max_length == ALPHA_TOKENS);
    if alpha || parts.transformer.size_conditions { "PixArtAlphaPipeline" } else { "PixArtSigmaPipeline" }
}

/// # Errors
/// `ModelInvalid` where the transformer is one that diffusers has not.
pub fn transformer(c: &TransformerConfig) -> Result<Value> {
    for (field, there) in [("qkNorm", c.qk_norm), ("kvCompression", c.kv_compression.is_some())] {
        if there {
            let reason = "diffusers' PixArt has nothing like it: export it as diffcr-pth, under the authors' names";
            return Err(Error::model(format!("transformer.{field}"), reason));
        }
    }
    Ok(json!({
        "_class_name": "PixArtTransformer2DModel", "_diffusers_version": VERSION,
        "activation_fn": "gelu-approximate", "attention_bias": true, "attention_head_dim": c.head_dim, "attention_type": "default",
        "caption_channels": c.caption_channels, "cross_attention_dim": c.width(), "dropout": 0.0, "in_channels": c.in_channels,
        "interpolation_scale": c.interpolation_scale, "norm_elementwise_affine": false, "norm_eps": 1e-6, "norm_num_groups": 32,
        "norm_type": "ada_norm_single", "num_attention_heads": c.heads, "num_embeds_ada_norm": 1000, "num_layers": c.layers,
        "out_channels": c.out_channels, "patch_size": c.patch_size, "sample_size": c.sample_size, "upcast_attention": false,
        "use_additional_conditions": c.size_conditions
    }))
}

pub fn text_encoder(c: &TextEncoderConfig) -> Value {
    let (projection, activation, gated) = match c.feed_forward {
        FeedForward::GatedGelu => ("gated-gelu", "gelu_new", true),
        FeedForward::Relu => ("relu", "relu", false),
    };
    json!({
        "architectures": ["T5EncoderModel"], "model_type": "t5", "vocab_size": c.vocab_size, "d_model": c.d_model, "d_kv": c.d_kv,
        "d_ff": c.d_ff, "num_heads": c.heads, "num_layers": c.layers, "relative_attention_num_buckets": c.relative_buckets,
        "relative_attention_max_distance": c.relative_max_distance, "layer_norm_epsilon": c.layer_norm_eps,
        "feed_forward_proj": projection, "dense_act_fn": activation, "is_gated_act": gated, "dropout_rate": 0.0,
        "is_encoder_decoder": false, "use_cache": false, "tie_word_embeddings": true
    })
}

/// # Errors
/// `Integrity` where a closing or padding token has no text in `tokenizer.json`.
pub fn tokenizer(c: &TokenizerConfig, file: &[u8]) -> Result<Value> {
    let json: Value = serde_json::from_slice(file).map_err(|e| Error::integrity(&c.file, e.to_string()))?;
    let token = |id: u32| {
        text_of(&json, id).ok_or_else(|| Error::integrity(&c.file, format!("it has no token of the id {id}")))
    };
    Ok(json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": c.max_length, "padding_side": "right",
        "eos_token": token(c.eos_id)?, "pad_token": token(c.pad_id)?
    }))
}

/// The text of a token: an added one, or one of the vocabulary, a list or a map.
fn text_of(json: &Value, id: u32) -> Option<String> {
    let mut added = json.get("added_tokens").and_then(Value::as_array).into_iter().flatten();
    let added = added.find(|t| t.get("id").and_then(Value::as_u64) == Some(u64::from(id)));
    let vocab = json.pointer("/model/vocab")?;
    let listed = || vocab.get(id as usize)?.get(0)?.as_str();
    let mapped =
        || vocab.as_object()?.iter().find(|(_, n)| n.as_u64() == Some(u64::from(id))).map(|(text, _)| text.as_str());
    added.and_then(|t| t.get("content")?.as_str()).or_else(listed).or_else(mapped).map(str::to_owned)
}

pub fn vae(c: &VaeConfig) -> Value {
    let levels = c.block_out_channels.len();
    json!({
        "_class_name": "AutoencoderKL", "_diffusers_version": VERSION, "act_fn": "silu", "block_out_channels": c.block_out_channels,
        "down_block_types": vec!["DownEncoderBlock2D"; levels], "up_block_types": vec!["UpDecoderBlock2D"; levels],
        "in_channels": c.in_channels, "out_channels": c.out_channels, "latent_channels": c.latent_channels,
        "layers_per_block": c.layers_per_block, "norm_num_groups": c.norm_groups, "mid_block_add_attention": c.mid_attention,
        "use_quant_conv": c.quant_conv, "use_post_quant_conv": c.post_quant_conv, "scaling_factor": c.scaling_factor,
        "sample_size": 32 * c.scale()
    })
}

pub fn vae_tiny(c: &TinyVaeConfig) -> Value {
    let mut json = json!({
        "_class_name": "AutoencoderTiny", "_diffusers_version": VERSION, "act_fn": "relu", "upsample_fn": "nearest",
        "in_channels": c.in_channels, "out_channels": c.out_channels, "latent_channels": c.latent_channels,
        "encoder_block_out_channels": c.encoder_block_channels, "decoder_block_out_channels": c.decoder_block_channels,
        "num_encoder_blocks": c.encoder_blocks, "num_decoder_blocks": c.decoder_blocks,
        "upsampling_scaling_factor": c.upsampling_factor, "latent_magnitude": c.latent_magnitude, "latent_shift": 0.5,
        "scaling_factor": c.scaling_factor
    });
    if c.patch_size > 1 {
        json["patch_size"] = json!(c.patch_size);
    }
    json
}

/// The scheduler's class and its configuration. DMD has no class of its own; DPM-Solver++ then stands for its noise schedule.
pub fn scheduler(c: &SchedulerConfig) -> (&'static str, Value) {
    let spacing = |usual: TimestepSpacing| match c.timestep_spacing.unwrap_or(usual) {
        TimestepSpacing::Linspace => "linspace",
        TimestepSpacing::Leading => "leading",
        TimestepSpacing::Trailing => "trailing",
    };
    let (class, own) = match c.solver {
        SolverKind::DpmSolver1 => ("DPMSolverMultistepScheduler", json!({ "solver_order": 1 })),
        SolverKind::DpmSolver2M | SolverKind::Dmd => ("DPMSolverMultistepScheduler", json!({ "solver_order": 2 })),
        SolverKind::UniPc => ("UniPCMultistepScheduler", json!({ "solver_order": 2 })),
        SolverKind::SaSolver => ("SASolverScheduler", json!({ "predictor_order": 2, "corrector_order": 2 })),
        SolverKind::Ddim => ("DDIMScheduler", json!({ "clip_sample": false, "set_alpha_to_one": true })),
        SolverKind::Euler => ("EulerDiscreteScheduler", json!({})),
        SolverKind::EulerAncestral => ("EulerAncestralDiscreteScheduler", json!({})),
        SolverKind::Lcm => ("LCMScheduler", json!({})),
    };
    let usual = match c.solver {
        SolverKind::Ddim | SolverKind::Lcm => TimestepSpacing::Leading,
        _ => TimestepSpacing::Linspace,
    };
    let mut json = json!({
        "_class_name": class, "_diffusers_version": VERSION, "num_train_timesteps": c.train_timesteps,
        "beta_start": c.beta_start, "beta_end": c.beta_end,
        "beta_schedule": match c.beta_schedule {
            BetaSchedule::Linear => "linear",
            BetaSchedule::ScaledLinear => "scaled_linear",
        },
        "prediction_type": match c.prediction {
            Prediction::Epsilon => "epsilon",
            Prediction::Sample => "sample",
            Prediction::VPrediction => "v_prediction",
        },
        "timestep_spacing": spacing(usual), "steps_offset": c.steps_offset,
        "rescale_betas_zero_snr": c.zero_terminal_snr
    });
    if let (Some(json), Some(own)) = (json.as_object_mut(), own.as_object()) {
        json.extend(own.clone());
    }
    (class, json)
}
