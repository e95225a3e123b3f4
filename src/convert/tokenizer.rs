//! The tokenizer of a source: its `tokenizer.json`, or one made of its SentencePiece model, and the settings that go with it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::json::Config;
use super::spiece;
use crate::bundle::config::TokenizerConfig;
use crate::error::{Error, Result};
use crate::files;
use crate::model::tokenizer::Tokenizer;

/// The tokenizer's path in a bundle.
pub const FILE: &str = "tokenizer.json";
/// Sentinels of every T5 vocabulary, where the source does not say.
const EXTRA_IDS: usize = 100;

/// Reads the tokenizer in `dir`, for an encoder of `vocab_size` tokens. Prompts are cut at `longest` tokens, which is what diffusers'
/// pipeline uses whatever the tokenizer allows (T5's own is 512), or earlier where the tokenizer allows fewer.
pub fn read(dir: &Path, longest: usize, vocab_size: usize) -> Result<(Vec<u8>, TokenizerConfig)> {
    let settings = dir.join("tokenizer_config.json");
    let settings = settings.is_file().then(|| Config::read(&settings)).transpose()?;
    let (json, model) = (dir.join("tokenizer.json"), dir.join("spiece.model"));
    let (path, bytes) = if json.is_file() {
        let bytes = files::read(&json)?;
        (json, bytes)
    } else if model.is_file() {
        let bytes = files::read(&model)?;
        let extra_ids = settings.as_ref().map_or(Ok(None), |s| s.count("extra_ids"))?.unwrap_or(EXTRA_IDS);
        let mut value = spiece::tokenizer_json(&model.display().to_string(), &bytes, extra_ids)?;
        add_tokens(&mut value, dir, settings.as_ref())?;
        (model, value.to_string().into_bytes())
    } else {
        return Err(Error::input("SRC", format!("{} holds neither tokenizer.json nor spiece.model", dir.display())));
    };
    let fault = |reason: String| Error::integrity(path.display().to_string(), reason);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|e| fault(e.to_string()))?;
    let value: Value = serde_json::from_str(text).map_err(|e| fault(e.to_string()))?;

    let id = |role: &str, usual: &str| {
        let named =
            settings.as_ref().and_then(|s| s.get(role)).and_then(|t| t.as_str().or_else(|| t.get("content")?.as_str()));
        let token = named.unwrap_or(usual);
        token_id(&value, token).ok_or_else(|| fault(format!("it has no {token:?}, its {role}")))
    };
    let allowed = settings.as_ref().and_then(|s| s.get("model_max_length")).and_then(Value::as_u64);
    let max_length = allowed.and_then(|n| usize::try_from(n).ok()).map_or(longest, |n| n.min(longest));
    let config = TokenizerConfig {
        file: FILE.into(),
        max_length,
        pad_id: id("pad_token", "<pad>")?,
        eos_id: id("eos_token", "</s>")?,
    };
    Tokenizer::from_json(&bytes, &config, vocab_size).map_err(|e| fault(format!("the engine cannot read it: {e}")))?;
    Ok((bytes, config))
}

/// Adds the tokens that were given to the tokenizer above its model's, of `added_tokens.json` and `tokenizer_config.json`.
fn add_tokens(value: &mut Value, dir: &Path, settings: Option<&Config>) -> Result<()> {
    let mut added: BTreeMap<u64, String> = BTreeMap::new();
    let file = dir.join("added_tokens.json");
    if file.is_file() {
        let listed = super::json::read(&file)?;
        let entries = listed.as_object().into_iter().flatten();
        added.extend(entries.filter_map(|(token, id)| Some((id.as_u64()?, token.clone()))));
    }
    if let Some(listed) = settings.and_then(|s| s.get("added_tokens_decoder")).and_then(Value::as_object) {
        let token = |token: &Value| token.get("content").and_then(Value::as_str).map(str::to_owned);
        added.extend(listed.iter().filter_map(|(id, entry)| Some((id.parse().ok()?, token(entry)?))));
    }
    let known = value.pointer("/model/vocab").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let Some(tokens) = value.get_mut("added_tokens").and_then(Value::as_array_mut) else { return Ok(()) };
    for (next, (id, token)) in (known..).zip(added.range(known..)) {
        if *id != next {
            let reason = format!("the added token {token:?} has the id {id}, and no token has the id {next}");
            return Err(Error::integrity(dir.display().to_string(), reason));
        }
        tokens.push(json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        }));
    }
    Ok(())
}

/// The id of a token in a `tokenizer.json`: an added one, or one of a vocabulary (a list for Unigram, else a map).
fn token_id(json: &Value, token: &str) -> Option<u32> {
    let added = json.get("added_tokens").and_then(Value::as_array).into_iter().flatten();
    let added =
        added.filter(|t| t.get("content").and_then(Value::as_str) == Some(token)).find_map(|t| t.get("id")?.as_u64());
    let vocab = json.get("model")?.get("vocab")?;
    let listed = || {
        let mut tokens = vocab.as_array()?.iter().map(|t| t.get(0).and_then(Value::as_str));
        tokens.position(|t| t == Some(token)).map(|id| id as u64)
    };
    added.or_else(|| vocab.get(token)?.as_u64()).or_else(listed)?.try_into().ok()
}
