//! Token ids against transformers' fast tokenizers.

use diffcr::bundle::config::TokenizerConfig;
use diffcr::model::tokenizer::Tokenizer;
use safetensors::SafeTensors;

fn tokenizer(bytes: &[u8], max_length: usize) -> Tokenizer {
    let config = TokenizerConfig { file: "tokenizer.json".into(), max_length, pad_id: 0, eos_id: 1 };
    Tokenizer::from_json(bytes, &config, 1 << 20).unwrap()
}

#[derive(serde::Deserialize)]
struct Expected {
    prompts: Vec<String>,
    input_ids: Vec<Vec<u32>>,
}

/// Unigram, the kind that T5 uses, padded to 64.
#[test]
fn unigram_ids_are_transformers() {
    let prompts: Vec<String> = serde_json::from_str(include_str!("../fixtures/sigma/prompts.json")).unwrap();
    let file = include_bytes!("../fixtures/sigma/text_encoder.safetensors");
    let tensors = SafeTensors::deserialize(file).unwrap();
    let ids = tensors.tensor("input_ids").unwrap();
    assert_eq!(ids.shape(), [prompts.len(), 64]);
    let ids: Vec<u32> = ids.data().chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();

    let tokenizer = tokenizer(include_bytes!("../fixtures/sigma/pipeline/tokenizer/tokenizer.json"), 64);
    // The fixture's ids are of the prompts as they are, and one has a capital, which the engine lowers first.
    let lower: Vec<_> = prompts.iter().zip(ids.chunks(64)).filter(|(p, _)| p.to_lowercase() == **p).collect();
    assert_eq!(lower.len(), 3);
    for (prompt, padded) in lower {
        let mut found = tokenizer.encode(prompt).unwrap();
        found.resize(64, 0);
        assert_eq!(found, padded, "{prompt:?}");
    }
}

/// Unigram on prompts of every kind, cleaned as the pipelines clean them.
#[test]
fn awkward_prompts_give_transformers_ids() {
    let expected: Expected = serde_json::from_str(include_str!("../fixtures/sigma/awkward_prompts.json")).unwrap();
    let tokenizer = tokenizer(include_bytes!("../fixtures/sigma/pipeline/tokenizer/tokenizer.json"), 64);
    assert!(expected.prompts.len() == expected.input_ids.len() && expected.prompts.len() > 20);
    for (prompt, ids) in expected.prompts.iter().zip(expected.input_ids) {
        assert_eq!(tokenizer.encode(prompt).unwrap(), ids, "{prompt:?}");
    }
}

/// Inside a prompt U+0085 is no space to SentencePiece (0.2: `a`, `<unk>`, `b` for the first); at its ends Python's `strip` takes it away.
#[test]
fn the_next_line_character_is_unknown() {
    let tokenizer = tokenizer(include_bytes!("../fixtures/sigma/pipeline/tokenizer/tokenizer.json"), 64);
    let ids = |prompt: &str| tokenizer.encode(prompt).unwrap();
    let (unknown, word) = (2, ids("a")[0]);
    let found = ids("a\u{85}a");
    assert_eq!((found[0], found[1]), (word, unknown), "{found:?}");
    assert_eq!(ids("\u{85} a\u{85}"), ids("a"));
}

/// One token a word, as the demo's model has it, padded to 20.
#[test]
fn word_level_ids_are_transformers() {
    let expected: Expected = serde_json::from_str(include_str!("../fixtures/scenes/token_ids.json")).unwrap();
    let tokenizer = tokenizer(include_bytes!("../fixtures/scenes/tokenizer/tokenizer.json"), 20);
    assert_eq!(expected.prompts.len(), 8);
    for (prompt, padded) in expected.prompts.iter().zip(expected.input_ids) {
        let mut found = tokenizer.encode(prompt).unwrap();
        found.resize(20, 0);
        assert_eq!(found, padded, "{prompt:?}");
    }
}
