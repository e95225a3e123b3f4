//! From a prompt to token ids, by the `tokenizer.json` of the bundle.

use serde_json::{Value, json};
use tokenizers::pipeline::{EncodeOptions, Override, PipelineTokenizer};

use super::tokenizer_check;
use crate::bundle::config::TokenizerConfig;
use crate::{Error, Result};

/// A T5 tokenizer: the file's text normalization and vocabulary, and `</s>` after every prompt.
pub struct Tokenizer {
    inner: PipelineTokenizer,
    config: TokenizerConfig,
    /// Whether the vocabulary is SentencePiece's.
    unigram: bool,
    words: Option<Vec<String>>,
}

/// To Rust a space, to SentencePiece an unknown character; and one that is that to both.
const NEXT_LINE: char = '\u{85}';
const UNKNOWN: &str = "\u{E000}";

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, of the present format or of the versions before it, for a text encoder of `vocab_size` tokens.
    ///
    /// # Errors
    /// `INTEGRITY` naming the file where it is no tokenizer; `MODEL_INVALID` where it needs what this build cannot do, or
    /// contradicts `config`.
    pub fn from_json(bytes: &[u8], config: &TokenizerConfig, vocab_size: usize) -> Result<Self> {
        if config.max_length == 0 {
            return Err(Error::model("tokenizer.maxLength", "0 leaves no room for the closing token"));
        }
        for (name, id) in [("tokenizer.padId", config.pad_id), ("tokenizer.eosId", config.eos_id)] {
            if id as usize >= vocab_size {
                return Err(Error::model(
                    name,
                    format!("the id {id} is not below the encoder's vocabSize, {vocab_size}"),
                ));
            }
        }
        let mut json: Value =
            serde_json::from_slice(bytes).map_err(|e| Error::integrity(&config.file, e.to_string()))?;
        let refused = |reason: String| Error::model(&config.file, reason);
        tokenizer_check::check(&config.file, bytes.len(), &json, vocab_size)?;
        let unigram = json.pointer("/model/type").is_some_and(|kind| kind == "Unigram");
        let words = words(&json);
        if let Some(normalizer) = json.get_mut("normalizer") {
            prepare(normalizer);
        }
        tokenizers::canonicalize_value(&mut json).map_err(|e| refused(e.to_string()))?;
        let inner = tokenizers::from_json(&json.to_string()).map_err(|e| refused(e.to_string()))?;

        let tokenizer = Self { inner, config: config.clone(), unigram, words };
        let closing = tokenizer.ids("", true)?;
        if !(closing.is_empty() || closing == [config.eos_id]) {
            let reason = format!("{} is not how {} closes a prompt: {closing:?}", config.eos_id, config.file);
            return Err(Error::model("tokenizer.eosId", reason));
        }
        Ok(tokenizer)
    }

    /// The ids of a prompt, without padding: at most `max_length`, the last of them always `</s>`, alone where the prompt is
    /// empty. The prompt is lower-cased and trimmed first, as diffusers' PixArt pipelines do by default.
    ///
    /// # Errors
    /// `INVALID_INPUT` where the vocabulary cannot express the prompt.
    pub fn encode(&self, prompt: &str) -> Result<Vec<u32>> {
        self.encode_counting(prompt).map(|(ids, _)| ids)
    }

    /// As [`Tokenizer::encode`], and how many tokens of the prompt were beyond `max_length`, and are lost.
    ///
    /// # Errors
    /// As there.
    pub fn encode_counting(&self, prompt: &str) -> Result<(Vec<u32>, usize)> {
        let mut text = clean(prompt);
        if self.unigram {
            text = text.replace(NEXT_LINE, UNKNOWN);
        }
        let mut ids = self.ids(&text, false)?;
        let room = self.config.max_length - 1;
        let lost = ids.len().saturating_sub(room);
        ids.truncate(room);
        ids.push(self.config.eos_id);
        Ok((ids, lost))
    }

    /// The words that it knows, in order, where each is a token: of a small model with a vocabulary of its own.
    pub fn words(&self) -> Option<&[String]> {
        self.words.as_deref()
    }

    /// The longest prompt in tokens, `</s>` included.
    pub fn max_length(&self) -> usize {
        self.config.max_length
    }

    fn ids(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let options = EncodeOptions {
            add_special_tokens,
            encode_special_tokens: false,
            padding: Override::Off,
            truncation: Override::Off,
        };
        let mut ids = Vec::new();
        self.inner.encode_into(text, &options, &mut ids).map_err(|e| Error::input("prompt", e.to_string()))?;
        Ok(ids.into_iter().map(u32::from).collect())
    }
}

/// The words of a vocabulary of words, its special tokens left out.
fn words(json: &Value) -> Option<Vec<String>> {
    let vocab =
        json.pointer("/model/vocab").filter(|_| json.pointer("/model/type").is_some_and(|t| t == "WordLevel"))?;
    let added: Vec<&str> =
        json.get("added_tokens")?.as_array()?.iter().filter_map(|t| t.get("content")?.as_str()).collect();
    let mut words: Vec<String> =
        vocab.as_object()?.keys().filter(|word| !added.contains(&word.as_str())).cloned().collect();
    words.retain(|word| word.chars().any(char::is_alphanumeric));
    words.sort();
    Some(words)
}

/// `text.lower().strip()` of Python.
fn clean(prompt: &str) -> String {
    let is_space = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    prompt.to_lowercase().trim_matches(is_space).to_string()
}

/// Rewrites the one regular expression of T5 files, `Replace " {2,}"`, in plain strings, so that no regex engine is built in.
///
/// Replacing two spaces by one halves a run; 32 times, it leaves one space of any run there is. Where the file asks for `▁`
/// instead of a space, its `Metaspace` makes that of every space that is left.
fn prepare(normalizer: &mut Value) {
    if let Some(members) = normalizer.get_mut("normalizers").and_then(Value::as_array_mut) {
        return members.iter_mut().for_each(prepare);
    }
    let is = |pointer: &str, text: &str| normalizer.pointer(pointer).is_some_and(|v| v == text);
    if is("/type", "Replace") && is("/pattern/Regex", " {2,}") && (is("/content", " ") || is("/content", "▁")) {
        let halve = json!({ "type": "Replace", "pattern": { "String": "  " }, "content": " " });
        *normalizer = json!({ "type": "Sequence", "normalizers": vec![halve; 32] });
    }
}

#[cfg(test)]
mod tests {
    use super::super::charsmap;
    use super::*;
    use crate::bundle::config::ANY_VOCABULARY;

    const FILE: &str = include_str!("../../tests/fixtures/sigma/pipeline/tokenizer/tokenizer.json");

    fn config(max_length: usize) -> TokenizerConfig {
        TokenizerConfig { file: "tokenizer.json".into(), max_length, pad_id: 0, eos_id: 1 }
    }

    fn edited(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut json: Value = serde_json::from_str(FILE).unwrap();
        edit(&mut json);
        json.to_string().into_bytes()
    }

    #[test]
    fn a_long_prompt_keeps_its_closing_token() {
        let prompt = "a large red circle on a blue background";
        let whole = Tokenizer::from_json(FILE.as_bytes(), &config(64), ANY_VOCABULARY).unwrap().encode(prompt).unwrap();
        for max_length in 1..=whole.len() + 1 {
            let ids = Tokenizer::from_json(FILE.as_bytes(), &config(max_length), ANY_VOCABULARY)
                .unwrap()
                .encode(prompt)
                .unwrap();
            assert_eq!(ids.len(), whole.len().min(max_length));
            assert_eq!(ids[..ids.len() - 1], whole[..ids.len() - 1]);
            assert_eq!(ids.last(), Some(&1));
        }
    }

    #[test]
    fn case_and_outer_space_do_not_matter() {
        let tokenizer = Tokenizer::from_json(FILE.as_bytes(), &config(64), ANY_VOCABULARY).unwrap();
        assert_eq!(tokenizer.encode("\x1c\t A  Red\u{a0}MOON \n").unwrap(), tokenizer.encode("a red moon").unwrap());
        for blank in ["", " ", "\n\t\u{3000}"] {
            assert_eq!(tokenizer.encode(blank).unwrap(), [1]);
        }
    }

    /// The normalizer that transformers 4 writes for T5.
    #[test]
    fn runs_of_spaces_collapse_without_a_regex_engine() {
        let plain =
            Tokenizer::from_json(FILE.as_bytes(), &config(64), ANY_VOCABULARY).unwrap().encode("red moon").unwrap();
        for content in [" ", "▁"] {
            let file = edited(|json| {
                json["normalizer"] = json!({ "type": "Sequence", "normalizers": [
                    { "type": "NFKC" },
                    { "type": "Strip", "strip_left": false, "strip_right": true },
                    { "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": content },
                ] });
            });
            let tokenizer = Tokenizer::from_json(&file, &config(64), ANY_VOCABULARY).unwrap();
            for spaces in [1, 2, 3, 5, 64, 1_000_003] {
                let prompt = format!("red{}moon", " ".repeat(spaces));
                assert_eq!(tokenizer.encode(&prompt).unwrap(), plain, "{spaces} spaces to {content:?}");
            }
        }
    }

    #[test]
    fn a_character_map_is_applied_and_a_damaged_one_refused() {
        let (mut units, replacements) = charsmap::tests::map();
        let mapped = |units: &[u32]| {
            let map = charsmap::tests::encode((units, replacements));
            edited(|json| json["normalizer"] = json!({ "type": "Precompiled", "precompiled_charsmap": map }))
        };
        let plain = Tokenizer::from_json(FILE.as_bytes(), &config(64), ANY_VOCABULARY).unwrap();
        let tokenizer = Tokenizer::from_json(&mapped(&units), &config(64), ANY_VOCABULARY).unwrap();
        assert_eq!(tokenizer.encode("cafa").unwrap(), plain.encode("céfé").unwrap());
        units[0] = 1 << 20;
        let error = Tokenizer::from_json(&mapped(&units), &config(64), ANY_VOCABULARY).expect_err("refused");
        assert_eq!(error.to_string(), "tokenizer.json: normalizer: its character map points outside itself");
    }

    #[test]
    fn a_file_that_is_no_tokenizer_is_named() {
        let regex = edited(|json| {
            json["normalizer"] = json!({ "type": "Replace", "pattern": { "Regex": "a+" }, "content": "a" });
        });
        for (bytes, code) in [
            (b"".to_vec(), "INTEGRITY"),
            (b"{\"model\": ".to_vec(), "INTEGRITY"),
            (b"\xff\xfe".to_vec(), "INTEGRITY"),
            (b"[]".to_vec(), "MODEL_INVALID"),
            (b"{}".to_vec(), "MODEL_INVALID"),
            (edited(|json| json["model"]["type"] = "Unheard".into()), "MODEL_INVALID"),
            (edited(|json| json["model"]["vocab"] = json!([["a"]])), "MODEL_INVALID"),
            (edited(|json| json["model"]["unk_id"] = 100_000.into()), "MODEL_INVALID"),
            (regex, "MODEL_INVALID"),
        ] {
            let error = Tokenizer::from_json(&bytes, &config(64), ANY_VOCABULARY).expect_err("refused");
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().starts_with("tokenizer.json: "), "{error}");
        }
    }

    #[test]
    fn settings_that_contradict_the_file_are_named() {
        for (config, name) in
            [(config(0), "tokenizer.maxLength"), (TokenizerConfig { eos_id: 2, ..config(64) }, "tokenizer.eosId")]
        {
            match Tokenizer::from_json(FILE.as_bytes(), &config, ANY_VOCABULARY).err() {
                Some(Error::ModelInvalid { name: found, .. }) => assert_eq!(found, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
