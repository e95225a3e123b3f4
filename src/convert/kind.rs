//! What a source is that is not a PixArt's: told by a file's first bytes or by all of its names, so that a refusal says what to do.

use super::checkpoint_file::CheckpointFile;
use super::checkpoint_tensor::Tensors;
use crate::error::{Error, Result};

/// First bytes that are looked at.
const HEAD: u64 = 64;

/// Fails, saying what the file is, where its first bytes are not those of a checkpoint.
///
/// # Errors
/// `Integrity` naming the file.
pub fn check_head(file: &CheckpointFile) -> Result<()> {
    let head = file.read_at(0, file.len.min(HEAD))?;
    match of_head(&head) {
        Some(what) => Err(file.fault(what)),
        None => Ok(()),
    }
}

/// What a file that begins so is, where it is no checkpoint.
fn of_head(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().to_ascii_lowercase();
    let starts = |mark: &[u8]| text.starts_with(mark);
    match head {
        [] => Some("it is empty"),
        _ if starts(b"version https://git-lfs") => {
            Some("it is a Git LFS pointer, not the weights: fetch them with `git lfs pull`")
        }
        _ if starts(b"<!doctype") || starts(b"<html") || starts(b"<?xml") => Some(
            "it is a web page, not the weights: download the file itself (on Hugging Face, `resolve` in place of `blob`)",
        ),
        _ if head.starts_with(b"\x1f\x8b") || head.starts_with(b"7z\xbc\xaf") => {
            Some("it is an archive: unpack it first")
        }
        _ if head.starts_with(b"\x89HDF") => Some("it is a Keras (HDF5) file: PyTorch's or safetensors are read"),
        _ => None,
    }
}

/// Fails where a name is one that only a quantized checkpoint or an adapter has.
///
/// # Errors
/// `ModelInvalid` naming the tensor that tells.
pub fn check_names(tensors: &Tensors) -> Result<()> {
    let told = |name: &String| quantized(name).or_else(|| adapter(name)).map(|what| Error::model(name, what));
    tensors.keys().find_map(told).map_or(Ok(()), Err)
}

/// Fails, saying what the names are those of, where they are not a transformer's.
///
/// # Errors
/// `ModelInvalid` naming the tensor that tells.
pub fn check_transformer(tensors: &Tensors) -> Result<()> {
    check_names(tensors)?;
    let fault = |(name, what): (&String, &str)| Err(Error::model(name, what));
    if tensors.keys().any(|name| name.contains("x_embedder.proj") || name.contains("pos_embed.proj")) {
        return Ok(());
    }
    tensors.keys().find_map(|name| other(name).map(|what| (name, what))).map_or(Ok(()), fault)
}

/// Names only a quantized checkpoint has.
fn quantized(name: &str) -> Option<&'static str> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let inside = ["quant_state.", "weight._data", "weight._scale", "weight.absmax", "weight.quant_map", "scaled_fp8"];
    let ends = ["SCB", "weight_format", "scale_weight", "scale_input", "weight_scale", "qweight", "qzeros"];
    let is = ends.contains(&last) || inside.iter().any(|mark| name.contains(mark));
    is.then_some("the checkpoint is quantized: convert it from its 16 or 32 bit weights")
}

/// Names only an adapter has.
fn adapter(name: &str) -> Option<&'static str> {
    let lora =
        [".lora_A.", ".lora_B.", ".lora_down.", ".lora_up.", ".lora.down.", ".lora.up.", ".lora_magnitude_vector"];
    if lora.iter().any(|mark| name.contains(mark)) || name.starts_with("lora_") || name.ends_with(".dora_scale") {
        return Some("a LoRA adapter, not a model: convert its base model and give the adapter with --lora");
    }
    let others = [".hada_w", ".lokr_w", "ip_adapter"];
    others
        .iter()
        .any(|mark| name.contains(mark))
        .then_some("an adapter, not a model: merge it into its base model and convert that")
}

/// Names that tell another model.
fn other(name: &str) -> Option<&'static str> {
    let starts = |marks: &[&str]| marks.iter().any(|mark| name.starts_with(mark));
    if starts(&["encoder.block.", "shared.weight", "enc.blk."]) {
        Some("the file is a T5 encoder, not a transformer")
    } else if starts(&[
        "encoder.conv_in.",
        "decoder.conv_in.",
        "encoder.down",
        "decoder.up",
        "quant_conv.",
        "post_quant_conv.",
    ]) {
        Some("the file is an autoencoder, not a transformer")
    } else if starts(&[
        "input_blocks.",
        "down_blocks.",
        "model.diffusion_model.input_blocks.",
        "diffusion_model.input_blocks.",
    ]) {
        Some("the file is a UNet (Stable Diffusion), not a PixArt")
    } else if starts(&["joint_blocks.", "double_blocks.", "single_transformer_blocks.", "context_embedder."]) {
        Some("the file is an MMDiT (SD3, Flux), not a PixArt")
    } else if starts(&["controlnet"]) {
        Some("the file is a ControlNet, not a model")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_checkpoints_are_told_by_their_first_bytes() {
        let says = |head: &[u8], what: &str| assert!(of_head(head).is_some_and(|said| said.contains(what)), "{what}");
        says(b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull");
        says(b"\n<!DOCTYPE html><html>", "web page");
        says(b"", "empty");
        assert_eq!(of_head(b"PK\x03\x04"), None);
        assert_eq!(of_head(b"\x80\0\0\0\0\0\0\0{\"a\""), None);
    }

    #[test]
    fn adapters_and_quantized_checkpoints_are_told_by_a_name() {
        for name in [
            "transformer.transformer_blocks.0.attn1.to_q.lora_A.weight",
            "base_model.model.transformer_blocks.0.attn1.to_q.lora_B.default.weight",
            "lora_unet_transformer_blocks_0_attn1_to_q.lora_down.weight",
            "lora_transformer_transformer_blocks_0_attn1_to_q.alpha",
        ] {
            assert!(adapter(name).is_some_and(|what| what.contains("LoRA")), "{name}");
        }
        for name in
            ["a.SCB", "a.weight.quant_state.bitsandbytes__nf4", "a.weight._data", "a.weight.absmax", "a.scale_weight"]
        {
            assert!(quantized(name).is_some(), "{name}");
        }
        assert!(quantized("quant_conv.weight").is_none() && quantized("post_quant_conv.bias").is_none());
        assert!(quantized("transformer_blocks.0.scale_shift_table").is_none());
    }
}
