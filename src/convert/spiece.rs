//! A SentencePiece model becomes a `tokenizer.json`, as transformers does it for T5.
//!
//! The model is a protobuf message; the few fields that matter are read by hand (sentencepiece_model.proto).

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Kinds of a piece: unknown, control, user-defined.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
/// `model_type` of a Unigram model.
const UNIGRAM: u64 = 1;

/// What of a model is used.
#[derive(Debug, Default, PartialEq)]
struct Model {
    pieces: Vec<Piece>,
    model_type: u64,
    unk_id: u64,
    /// The normalizer's rules, in a format of their own.
    charsmap: Vec<u8>,
}

#[derive(Debug, Default, PartialEq)]
struct Piece {
    text: String,
    score: f32,
    kind: u64,
}

/// `tokenizer.json` for the `spiece.model` in `bytes`, with `extra_ids` sentinels after its pieces. `file` names it in errors.
pub fn tokenizer_json(file: &str, bytes: &[u8], extra_ids: usize) -> Result<Value> {
    let fault = |reason: &str| Error::integrity(file, format!("not a SentencePiece model: {reason}"));
    let model = Model::read(bytes).ok_or_else(|| fault("its fields do not end where they should"))?;
    if model.model_type != UNIGRAM {
        return Err(fault("its type is not Unigram"));
    }
    let eos = model.pieces.iter().position(|p| p.text == "</s>").ok_or_else(|| fault("it has no </s>"))?;
    if model.pieces.get(model.unk_id as usize).is_none() {
        return Err(fault("it has no unknown piece"));
    }
    let sentinels = (0..extra_ids).rev().map(|i| (format!("<extra_id_{i}>"), 0.0, CONTROL));
    let pieces = model.pieces.into_iter().map(|p| (p.text, f64::from(p.score), p.kind));
    let vocab: Vec<(String, f64, u64)> = pieces.chain(sentinels).collect();
    let added = vocab.iter().enumerate().filter(|(_, (_, _, kind))| matches!(*kind, UNKNOWN | CONTROL | USER_DEFINED));
    let added: Vec<Value> = added
        .map(|(id, (text, _, kind))| {
            json!({
                "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": *kind != USER_DEFINED
            })
        })
        .collect();
    let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    let charsmap = json!({ "type": "Precompiled", "precompiled_charsmap": base64(&model.charsmap) });
    let (first, second) = (json!({ "id": "A", "type_id": 0 }), json!({ "id": "B", "type_id": 0 }));
    let end = json!({ "SpecialToken": { "id": "</s>", "type_id": 0 } });
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": if model.charsmap.is_empty() { Value::Null } else { charsmap },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, metaspace.clone()] },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{ "Sequence": first.clone() }, end.clone()],
            "pair": [{ "Sequence": first }, end.clone(), { "Sequence": second }, end],
            "special_tokens": { "</s>": { "id": "</s>", "ids": [eos], "tokens": ["</s>"] } }
        },
        "decoder": metaspace,
        "model": {
            "type": "Unigram",
            "unk_id": model.unk_id,
            "vocab": vocab.iter().map(|(text, score, _)| json!([text, score])).collect::<Vec<_>>(),
            "byte_fallback": false
        }
    }))
}

impl Model {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut model = Self { model_type: UNIGRAM, ..Self::default() };
        for field in fields(bytes)? {
            match field {
                (1, Wire::Bytes(piece)) => model.pieces.push(Piece::read(piece)?),
                (2, Wire::Bytes(trainer)) => {
                    for field in fields(trainer)? {
                        match field {
                            (3, Wire::Number(kind)) => model.model_type = kind,
                            (40, Wire::Number(id)) => model.unk_id = id,
                            _ => {}
                        }
                    }
                }
                (3, Wire::Bytes(normalizer)) => {
                    let rules = fields(normalizer)?.into_iter().find_map(|f| match f {
                        (2, Wire::Bytes(rules)) => Some(rules.to_vec()),
                        _ => None,
                    });
                    model.charsmap = rules.unwrap_or_default();
                }
                _ => {}
            }
        }
        Some(model)
    }
}

impl Piece {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut piece = Self { kind: 1, ..Self::default() };
        for field in fields(bytes)? {
            match field {
                (1, Wire::Bytes(text)) => piece.text = std::str::from_utf8(text).ok()?.into(),
                (2, Wire::Fixed32(score)) => piece.score = f32::from_bits(score),
                (3, Wire::Number(kind)) => piece.kind = kind,
                _ => {}
            }
        }
        piece.score.is_finite().then_some(piece)
    }
}

/// A protobuf value as it lies on the wire.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Fixed32(u32),
    Fixed64,
    Bytes(&'a [u8]),
}

/// The fields of a message: number and value.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Wire::Fixed64)?,
            2 => {
                let length = varint(&mut bytes)?.try_into().ok()?;
                Wire::Bytes(take(&mut bytes, length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?)),
            _ => return None,
        };
        fields.push((key >> 3, value));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = *take(bytes, 1)? else { return None };
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

/// Standard alphabet, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let sextet = (bits >> (18 - 6 * i)) as usize & 63;
            text.push(if i <= group.len() { ALPHABET[sextet].into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests;
