//! Every word that a caption can have, and the tokenizer that gives them their numbers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::caption::{CHECKERED, DOTTED, GRADIENT, OPENINGS, PLAIN, STRIPED};
use super::concepts::concepts;
use super::words::{Place, Relation, Shade, Size, Style, Tint};

/// The tokenizer's own words, which come first.
const SPECIAL: [&str; 3] = ["<pad>", "</s>", "<unk>"];
/// What stands between words in what people type, and is read as a space.
const SEPARATORS: [&str; 8] = ["-", ",", ".", "!", "?", ";", ":", "\""];

/// The words, the special ones first, the others in their order.
pub fn vocabulary() -> Vec<&'static str> {
    let names = concepts().iter().flat_map(|c| c.names.iter().copied());
    let spoken = Style::ALL.iter().flat_map(|w| w.words());
    let spoken = spoken.chain(Tint::ALL.iter().flat_map(|w| w.words()));
    let spoken = spoken.chain(Shade::ALL.iter().flat_map(|w| w.words()));
    let spoken = spoken.chain(Size::ALL.iter().flat_map(|w| w.words()));
    let spoken = spoken.chain(Place::ALL.iter().flat_map(|w| w.words()));
    let spoken = spoken.chain(Relation::ALL.iter().flat_map(|w| w.words()));
    let forms = OPENINGS.iter().chain(&PLAIN).chain(&GRADIENT).chain(&STRIPED).chain(&CHECKERED).chain(&DOTTED);
    let all = names.chain(spoken.copied()).chain(forms.copied());
    let words: BTreeSet<&str> =
        all.flat_map(str::split_whitespace).chain(["a", "an", "the"]).filter(|w| *w != "{}").collect();
    SPECIAL.into_iter().chain(words).collect()
}

/// A `tokenizer.json` of whole words: lower case, punctuation is a space, a word it does not have is `<unk>`.
pub fn tokenizer() -> Value {
    let ids: serde_json::Map<String, Value> =
        vocabulary().into_iter().enumerate().map(|(id, word)| (word.to_owned(), json!(id))).collect();
    let added: Vec<Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
        })
        .collect();
    let space = |mark: &str| json!({ "type": "Replace", "pattern": { "String": mark }, "content": " " });
    let normalizers: Vec<Value> = [json!({ "type": "Lowercase" })].into_iter().chain(SEPARATORS.map(space)).collect();
    let sequence = |id: &str, kind: u32| json!({ "Sequence": { "id": id, "type_id": kind } });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [sequence("A", 0), { "SpecialToken": { "id": "</s>", "type_id": 0 } }],
            "pair": [sequence("A", 0), sequence("B", 1)],
            "special_tokens": { "</s>": { "id": "</s>", "ids": [1], "tokens": ["</s>"] } },
        },
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": ids, "unk_token": "<unk>" },
    })
}
