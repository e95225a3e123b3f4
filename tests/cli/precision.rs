//! `precision = "bf16"`: the same run in products of rounded numbers.

use crate::support::*;

/// Mean loss of steps 151 to 200.
fn run(scratch: &Scratch, precision: &str, kind: &str, model: &str) -> f64 {
    let name = format!("{kind}-{precision}");
    let text = format!(
        "out = {out:?}\nwork = {work:?}\nseed = 7\nprecision = '{precision}'\n\
         stage = [{{ size = 32, batch = 8, steps = 200, lr = 1e-3 }}]\n{model}\n\
         [optimizer]\nmuon = 5e-3\nwarmup = 5\nmicroBatch = 4\n[progress]\nlogEvery = 1\n",
        out = scratch.path(&format!("{name}-bundle")),
        work = scratch.path(&format!("{name}-work")),
    );
    let config = scratch.path(&format!("{name}.toml"));
    std::fs::write(&config, text).unwrap();
    let output = diffcr().args(["--quiet", "train", kind]).arg(&config).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let log = std::fs::read_to_string(scratch.path(&format!("{name}-work/metrics.jsonl"))).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let losses: Vec<f64> = lines.filter(|l| l["event"] == "train").map(|l| l["loss"].as_f64().unwrap()).collect();
    assert_eq!(losses.len(), 200);
    losses[150..].iter().sum::<f64>() / 50.0
}

#[test]
fn bf16_learns_what_f32_learns() {
    let scratch = Scratch::new();
    let model = format!(
        "[model]\ntokenizer = {:?}\nlayers = 3\nheads = 2\nheadDim = 16\npatch = 4\ntextWidth = 16\ntextLayers = 1\n\
         textHeads = 2\ntextMlp = 32",
        fixture("scenes/tokenizer/tokenizer.json")
    );
    let dense = scratch.path("base-f32-bundle");
    let routed = format!("from = {dense:?}");
    for (kind, settings) in [("base", &model), ("diffcr", &routed)] {
        let (whole, rounded) = (run(&scratch, "f32", kind, settings), run(&scratch, "bf16", kind, settings));
        println!("{kind}: {whole:.5} in f32, {rounded:.5} in bf16");
        assert_ne!(whole, rounded, "{kind}: nothing was rounded");
        assert!((rounded / whole - 1.0).abs() <= 0.02, "{kind}: {rounded} in bf16, {whole} in f32");
    }
}
