//! The six commands of docs/training.md, from a PixArt folder and a folder of pictures to a bundle on a page, on tiny inputs.

use std::path::Path;
use std::process::Output;

use crate::support::*;

fn run(dir: &Path, line: &str) -> Output {
    let output = diffcr().current_dir(dir).args(line.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    output
}

#[test]
fn a_pixart_learns_to_route_on_a_folder_of_pictures() {
    let scratch = Scratch::new();
    let dir = &scratch.0;
    run(dir, "scenes --count 12 --size 64 --out pictures");

    run(dir, &format!("convert {} --out models/pixart", sigma("pipeline").display()));
    run(
        dir,
        "cache --source pictures --autoencoder models/pixart --text-encoder models/pixart --size 64 --out work/cache",
    );
    let template = run(dir, "train --init diffcr-lora");
    // What a person would change in the file.
    let config = String::from_utf8(template.stdout).unwrap();
    let changes = [
        ("\"models/dense\"", "\"models/pixart\""),
        ("\"pictures\"", "\"work/cache\""),
        ("batch = 32", "batch = 4"),
        ("steps = 2000", "steps = 2"),
        ("rank = 32", "rank = 2"),
        ("regions = 4", "regions = 2"),
    ];
    let config = changes.iter().fold(config, |config, (from, to)| {
        assert!(config.contains(from), "{from} is not in the template");
        config.replace(from, to)
    });
    std::fs::write(dir.join("lora.toml"), config).unwrap();
    let plan = run(dir, "train diffcr lora.toml --plan");
    assert!(String::from_utf8(plan.stdout).unwrap().contains("microBatch"));
    run(dir, "train diffcr lora.toml");
    run(dir, "convert models/lora --encoding q8 --out site/models/mine");

    run(dir, "verify site/models/mine");
    let bundle = manifest(&dir.join("site/models/mine"));
    assert_eq!(bundle["routing"]["regions"], 2);
    let text = |dir: &str| files(&scratch.path(dir), "text_encoder");
    assert_eq!(text("models/lora"), text("models/pixart"), "the text encoder is as it was");
    let peft = tensors(&dir.join("models/lora-peft/adapter_model.safetensors"));
    assert!(peft.contains_key("base_model.model.transformer_blocks.0.attn1.to_q.lora_A.weight"));
    run(dir, "--quiet generate site/models/mine --prompt star --steps 2 --width 64 --height 64 --out star.png");
    assert!(dir.join("star.png").is_file());
}
