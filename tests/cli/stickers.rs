//! The judge of stickers is trained, and `diffcr eval --source stickers` asks it. The drawings are those that `npm ci` installs in
//! `tools/stickers-art`.

use serde_json::Value;

use crate::support::{Scratch, diffcr, error_line, stderr};

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scenes/bundle");

/// A judge that has learned nothing to speak of.
fn judge(scratch: &Scratch) -> std::path::PathBuf {
    let out = scratch.path("judge");
    let config = scratch.path("judge.toml");
    let text = format!(
        "out = {out:?}\nwork = {:?}\nsource = 'stickers'\n\
         [classifier]\nside = 16\nwidths = [4, 8]\nblocks = [0, 1]\n\
         [[stage]]\nsize = 32\nbatch = 4\nsteps = 3\nlr = 1e-3\n\
         [progress]\nheldOut = 4\ncheckpointEvery = 2\n",
        scratch.path("work")
    );
    std::fs::write(&config, text).unwrap();
    let output = diffcr().args(["train", "classifier"]).arg(&config).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let log = std::fs::read_to_string(scratch.path("work/metrics.jsonl")).unwrap();
    assert!(log.contains("\"unit\":\"%\""), "{log}");
    out
}

#[test]
fn a_judge_is_trained_and_asked() {
    let scratch = Scratch::new();
    let judge = judge(&scratch);
    let eval = |flags: &[&str]| {
        let output = diffcr()
            .args(["eval", BUNDLE, "--source", "stickers", "--prompts", "6", "--steps", "2", "--json"])
            .args(flags)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["rows"].clone()
    };
    let rows = eval(&["--classifier", judge.to_str().unwrap(), "--held-out-pairs"]);
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let truth = &rows[0]["accuracy"];
    assert_eq!((&truth["concept"]["asked"], &truth["visible"]["hits"]), (&6.into(), &6.into()));
    let seam = rows[0]["seam"].as_f64().unwrap();
    assert!((seam - 1.0).abs() < 1e-9, "{seam}");
    assert!(rows[1]["accuracy"]["background"]["asked"].as_u64().unwrap() > 0, "{}", rows[1]);
    let unnamed = eval(&[]);
    assert_eq!(unnamed[0]["accuracy"]["concept"]["asked"], 0);

    let config = judge.join("config.json");
    let other = std::fs::read_to_string(&config).unwrap().replace("\"dog\"", "\"fog\"");
    std::fs::write(&config, other).unwrap();
    let flags = ["--source", "stickers", "--prompts", "2", "--classifier"];
    let refused = diffcr().args(["eval", BUNDLE]).args(flags).arg(&judge).output().unwrap();
    assert!(error_line(&refused).contains("classes"), "{}", error_line(&refused));
}

#[test]
fn what_is_of_stickers_is_refused_for_scenes() {
    let refused = diffcr().args(["eval", BUNDLE, "--prompts", "2", "--held-out-pairs"]).output().unwrap();
    assert_eq!(error_line(&refused), "error: heldOutPairs: goes with `--source stickers`");
}
