//! Checks what a `tokenizer.json` says before an engine is made of it, which would take any number for a size and any merge for sound.

use serde_json::Value;

use super::charsmap;
use crate::{Error, Result};

/// Bytes of a file.
const MAX_FILE: usize = 64 << 20;
/// Bytes of a piece, and of any other text in the file but a character map.
const MAX_TEXT: usize = 1 << 10;
/// Steps of a normalizer or a pre-tokenizer.
const MAX_STEPS: usize = 32;
/// Steps that apply Unicode's own tables, of which a character can become 18.
const MAX_UNICODE_STEPS: usize = 2;
/// How many times its length a prompt of [`PROMPT`] bytes may become by what the file itself writes.
const MAX_GROWTH: f64 = 8.0;
const PROMPT: f64 = 1000.0;

/// Checks the file `file` of `bytes`, read as `json`, for an encoder of `vocab_size` tokens.
///
/// # Errors
/// `MODEL_INVALID` naming the file, the entry and its limit.
pub(super) fn check(file: &str, bytes: usize, json: &Value, vocab_size: usize) -> Result<()> {
    let checked = || {
        if bytes > MAX_FILE {
            return Err(format!("it has {bytes} bytes, at most {MAX_FILE} are read"));
        }
        texts("", json)?;
        ids(json, vocab_size)?;
        merges(json)?;
        normalizer(json)?;
        let mut count = 0;
        steps("pre_tokenizer", &json["pre_tokenizer"], "pretokenizers", &mut |_, _| {
            count += 1;
            if count > MAX_STEPS { Err(format!("pre_tokenizer has over {MAX_STEPS} steps")) } else { Ok(()) }
        })
    };
    checked().map_err(|reason| Error::model(file, reason))
}

/// No text is longer than [`MAX_TEXT`].
fn texts(at: &str, value: &Value) -> Result<(), String> {
    let short = |at: &str, text: &str| match text.len() {
        0..=MAX_TEXT => Ok(()),
        length => Err(format!("{at} holds a text of {length} bytes, at most {MAX_TEXT} are allowed")),
    };
    match value {
        Value::String(text) => short(at, text),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(i, item)| texts(&format!("{at}[{i}]"), item)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, item)| {
            short(if at.is_empty() { "it" } else { at }, key)?;
            match (key.as_str(), at) {
                ("precompiled_charsmap", _) => Ok(()),
                (_, "") => texts(key, item),
                _ => texts(&format!("{at}.{key}"), item),
            }
        }),
        _ => Ok(()),
    }
}

/// Every id that the file gives is one of the encoder's.
fn ids(json: &Value, vocab_size: usize) -> Result<(), String> {
    let known = |at: &str, token: &str, id: &Value| match id.as_u64() {
        Some(id) if id >= vocab_size as u64 => {
            Err(format!("{at} gives {token:?} the id {id}, the encoder's vocabSize is {vocab_size}"))
        }
        _ => Ok(()),
    };
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        let content = token["content"].as_str().unwrap_or_default();
        known("added_tokens", content, &token["id"])?;
        if content.is_empty() {
            return Err("added_tokens holds an empty token".into());
        }
    }
    let vocab = &json["model"]["vocab"];
    for (token, id) in vocab.as_object().into_iter().flatten() {
        known("model.vocab", token, id)?;
    }
    if let Some(list) = vocab.as_array().filter(|list| list.len() > vocab_size) {
        return Err(format!("model.vocab lists {} pieces, the encoder's vocabSize is {vocab_size}", list.len()));
    }
    for (token, special) in json["post_processor"]["special_tokens"].as_object().into_iter().flatten() {
        for id in special["ids"].as_array().into_iter().flatten() {
            known("post_processor.special_tokens", token, id)?;
        }
    }
    Ok(())
}

/// Both sides of a merge and what they make are pieces of the vocabulary.
fn merges(json: &Value) -> Result<(), String> {
    let model = &json["model"];
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
    for (i, merge) in model["merges"].as_array().into_iter().flatten().enumerate() {
        let pair = match merge {
            Value::String(text) => text.split_once(' '),
            _ => merge[0].as_str().zip(merge[1].as_str()).filter(|_| merge.as_array().is_some_and(|m| m.len() == 2)),
        };
        let (left, right) = pair.ok_or_else(|| format!("model.merges[{i}] is no pair of pieces"))?;
        let merged = format!("{left}{}", right.strip_prefix(prefix).unwrap_or(right));
        if let Some(piece) = [left, right, &merged].into_iter().find(|piece| !model["vocab"][*piece].is_u64()) {
            return Err(format!("model.merges[{i}] needs the piece {piece:?}, which model.vocab does not hold"));
        }
    }
    Ok(())
}

/// The normalizer's steps are few, and together make of a prompt a text that is not much longer.
fn normalizer(json: &Value) -> Result<(), String> {
    let (mut count, mut unicode, mut growth) = (0, 0, 1.0);
    steps("normalizer", &json["normalizer"], "normalizers", &mut |at, step| {
        count += 1;
        if count > MAX_STEPS {
            return Err(format!("normalizer has over {MAX_STEPS} steps"));
        }
        let kind = step["type"].as_str().unwrap_or_default();
        unicode += usize::from(matches!(kind, "NFC" | "NFD" | "NFKC" | "NFKD" | "Precompiled"));
        if unicode > MAX_UNICODE_STEPS {
            return Err(format!("{at} is one of over {MAX_UNICODE_STEPS} that apply Unicode's tables"));
        }
        growth *= factor(step).map_err(|reason| format!("{at}: {reason}"))?;
        if growth > MAX_GROWTH {
            return Err(format!("{at} grows a prompt to {growth} times its length, at most {MAX_GROWTH} are allowed"));
        }
        Ok(())
    })
}

/// How many times longer a normalizer's step can make a prompt by what the file says.
fn factor(step: &Value) -> Result<f64, String> {
    let length = |name: &str| step[name].as_str().unwrap_or_default().len() as f64;
    Ok(match step["type"].as_str().unwrap_or_default() {
        "Precompiled" => {
            let map = step["precompiled_charsmap"].as_str().ok_or("it has no character map")?;
            charsmap::check(map)?;
            1.0
        }
        "Replace" => match step["pattern"]["String"].as_str() {
            Some("") => return Err("it replaces the empty text".into()),
            Some(pattern) => (length("content") / pattern.len() as f64).max(1.0),
            None => 1.0, // The one expression that is read shortens.
        },
        "Prepend" => 1.0 + length("prepend") / PROMPT,
        "ByteLevel" => 2.0,
        _ => 1.0,
    })
}

/// Visits the steps of a `value` that may be a sequence of them, listed in `list`, with the place of each.
fn steps(
    at: &str,
    value: &Value,
    list: &str,
    visit: &mut dyn FnMut(&str, &Value) -> Result<(), String>,
) -> Result<(), String> {
    match value[list].as_array() {
        Some(members) => members
            .iter()
            .enumerate()
            .try_for_each(|(i, member)| steps(&format!("{at}.{list}[{i}]"), member, list, visit)),
        None => visit(at, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is said of a whitespace tokenizer of five words after `edit`.
    fn said(edit: impl FnOnce(&mut Value)) -> String {
        let mut file = json!({
            "added_tokens": [{ "id": 1, "content": "</s>" }],
            "normalizer": null, "pre_tokenizer": { "type": "WhitespaceSplit" },
            "post_processor": { "special_tokens": { "</s>": { "ids": [1] } } },
            "model": { "type": "BPE", "vocab": { "a": 0, "</s>": 1, "b": 2, "ab": 3, "##b": 4 }, "merges": ["a b"] },
        });
        edit(&mut file);
        check("t.json", 100, &file, 5).map_or_else(|e| format!("{} {e}", e.code()), |()| "good".into())
    }

    fn replaces(pattern: &str, content: &str, times: usize) -> Value {
        let one = json!({ "type": "Replace", "pattern": { "String": pattern }, "content": content });
        json!({ "type": "Sequence", "normalizers": [{ "type": "Sequence", "normalizers": vec![one; times] }] })
    }

    #[test]
    fn sound_files_pass() {
        assert_eq!(said(|_| ()), "good");
        assert_eq!(said(|f| f["model"]["merges"] = json!([["a", "b"]])), "good");
        let continued = |f: &mut Value| {
            f["model"]["continuing_subword_prefix"] = "##".into();
            f["model"]["merges"] = json!([["a", "##b"]]);
        };
        assert_eq!(said(continued), "good");
        assert_eq!(said(|f| f["normalizer"] = replaces("a", "aa", 3)), "good");
        assert_eq!(said(|f| f["normalizer"] = replaces("aa", "a", 32)), "good");
    }

    #[test]
    fn ids_beyond_the_encoder() {
        for id in [5u64, 33_554_437, 1 << 31, u64::from(u32::MAX), u64::MAX] {
            for pointer in ["/model/vocab/b", "/added_tokens/0/id", "/post_processor/special_tokens/<~1s>/ids/0"] {
                let error = said(|f| *f.pointer_mut(pointer).unwrap() = id.into());
                assert!(error.starts_with("MODEL_INVALID t.json: "), "{error}");
                assert!(error.ends_with(&format!("the id {id}, the encoder's vocabSize is 5")), "{error}");
            }
        }
        let listed = said(|f| f["model"]["vocab"] = json!(vec![("a", 0.0); 6]));
        assert!(listed.ends_with("model.vocab lists 6 pieces, the encoder's vocabSize is 5"), "{listed}");
    }

    #[test]
    fn long_pieces_and_empty_ones() {
        let long = "a".repeat(MAX_TEXT + 1);
        for edit in [
            |f: &mut Value, long: &str| f["model"]["vocab"][long] = 4.into(),
            |f: &mut Value, long: &str| f["model"]["vocab"] = json!([[long, 0.0]]),
            |f: &mut Value, long: &str| f["added_tokens"][0]["content"] = long.into(),
            |f: &mut Value, long: &str| f["normalizer"] = json!({ "type": "Prepend", "prepend": long }),
        ] {
            let error = said(|f| edit(f, &long));
            assert!(error.ends_with("a text of 1025 bytes, at most 1024 are allowed"), "{error}");
        }
        assert!(said(|f| f["added_tokens"][0]["content"] = "".into()).contains("empty token"));
    }

    #[test]
    fn merges_of_unknown_pieces() {
        for (merge, piece) in [("a c", "c"), ("c a", "c"), ("b a", "ba")] {
            let error = said(|f| f["model"]["merges"] = json!(["a b", merge]));
            assert!(
                error.ends_with(&format!("model.merges[1] needs the piece {piece:?}, which model.vocab does not hold")),
                "{error}"
            );
        }
        assert!(said(|f| f["model"]["merges"] = json!(["ab"])).ends_with("model.merges[0] is no pair of pieces"));
        assert!(said(|f| f["model"]["merges"] = json!([["a", "b", "b"]])).ends_with("is no pair of pieces"));
    }

    #[test]
    fn normalizers_that_grow_a_prompt() {
        for normalizer in [replaces("a", "aa", 4), replaces("a", "aa", 40), replaces(" ", &" x".repeat(500), 1)] {
            let error = said(|f| f["normalizer"] = normalizer);
            assert!(error.contains("normalizer.normalizers[0].normalizers[") && error.contains("at most 8"), "{error}");
        }
        assert!(said(|f| f["normalizer"] = replaces("", "a", 1)).contains("the empty text"));
        assert!(said(|f| f["normalizer"] = replaces("a", "a", 33)).contains("over 32 steps"));
        let unicode = |f: &mut Value| f["normalizer"] = json!({ "normalizers": vec![json!({ "type": "NFKD" }); 3] });
        assert!(said(unicode).contains("Unicode's tables"));
        let split = |f: &mut Value| f["pre_tokenizer"] = json!({ "pretokenizers": vec![json!({}); 33] });
        assert!(said(split).contains("pre_tokenizer has over 32 steps"));
    }
}
