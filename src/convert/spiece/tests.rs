//! A model written by hand becomes a tokenizer that splits as a Unigram with these scores must.

use super::*;
use crate::bundle::config::TokenizerConfig;
use crate::model::tokenizer::Tokenizer;

fn field(number: u64, wire: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3 | wire) as u8];
    if number > 15 {
        out = vec![(number << 3 | wire) as u8 | 0x80, (number >> 4) as u8];
    }
    if wire == 2 {
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
    }
    out.extend(bytes);
    out
}

fn piece(text: &str, score: f32, kind: u8) -> Vec<u8> {
    let body = [field(1, 2, text.as_bytes()), field(2, 5, &score.to_le_bytes()), field(3, 0, &[kind])].concat();
    field(1, 2, &body)
}

/// Rules that turn `!` into `a` and leave all else: a double array trie of 256 units, then the replacements.
fn charsmap() -> Vec<u8> {
    let mut trie = [0u32; 256];
    trie[0] = 1 << 10;
    trie[0x20] = 1 << 10 | 1 << 8 | 0x21;
    let units = trie.iter().flat_map(|u| u.to_le_bytes());
    1024u32.to_le_bytes().into_iter().chain(units).chain(*b"a\0").collect()
}

fn model() -> Vec<u8> {
    let pieces = [
        piece("<pad>", 0.0, 3),
        piece("</s>", 0.0, 3),
        piece("<unk>", 0.0, 2),
        piece("▁", -3.0, 1),
        piece("a", -4.0, 1),
        piece("b", -4.0, 1),
        piece("▁a", -2.0, 1),
        piece("ab", -2.5, 1),
    ];
    let trainer = field(2, 2, &[field(3, 0, &[1]), field(40, 0, &[2])].concat());
    [pieces.concat(), trainer, field(3, 2, &field(2, 2, &charsmap()))].concat()
}

#[test]
fn it_splits_as_the_scores_say() {
    let json = tokenizer_json("spiece.model", &model(), 100).unwrap();
    assert_eq!(json["model"]["vocab"].as_array().unwrap().len(), 8 + 100);
    assert_eq!(json["model"]["vocab"][8], json!(["<extra_id_99>", 0.0]));
    assert_eq!(json["added_tokens"].as_array().unwrap().len(), 3 + 100);
    let config = TokenizerConfig { file: "tokenizer.json".into(), max_length: 16, pad_id: 0, eos_id: 1 };
    let tokenizer = Tokenizer::from_json(json.to_string().as_bytes(), &config, usize::MAX).unwrap();
    let ids = |text: &str| tokenizer.encode(text).unwrap();
    // "▁ab" is ▁ + ab (-5.5), not ▁a + b (-6); `!` falls to the rules; an unknown sign is id 2.
    assert_eq!(ids("a"), [6, 1]);
    assert_eq!(ids("ab"), [3, 7, 1]);
    assert_eq!(ids("!ab  a"), [6, 7, 6, 1]);
    assert_eq!(ids("az"), [6, 2, 1]);
    assert_eq!(ids(""), [1]);
}

#[test]
fn other_files_are_refused() {
    let fault = |bytes: &[u8]| tokenizer_json("spiece.model", bytes, 0).unwrap_err().to_string();
    assert!(fault(b"nonsense").contains("not a SentencePiece model"));
    assert!(fault(&model()[..20]).contains("not a SentencePiece model"));
    assert!(fault(&[]).contains("no </s>"));
    let bpe = [model(), field(2, 2, &field(3, 0, &[2]))].concat();
    assert!(fault(&bpe).contains("not Unigram"));
}

#[test]
fn base64_is_the_standard_one() {
    for (text, code) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(text.as_bytes()), code);
    }
}
