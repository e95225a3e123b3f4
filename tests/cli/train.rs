//! `diffcr train`: a run that is killed, interrupted and resumed ends as one that was not; its bundle verifies and draws.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::*;

/// A model of two narrow layers over 4, then 16 tokens.
fn base(scratch: &Scratch, name: &str, steps: u64, threads: usize) -> std::path::PathBuf {
    let tokenizer = fixture("scenes/tokenizer/tokenizer.json");
    let text = format!(
        "out = {out:?}\nwork = {work:?}\nseed = 7\nstage = [{{ size = 16, batch = 8, steps = {steps}, lr = 1e-3 }}, {{ size = 32, batch = 8, steps = {steps}, lr = 1e-3 }}]\n\
         [model]\ntokenizer = {tokenizer:?}\nlayers = 2\nheads = 2\nheadDim = 8\ntextWidth = 16\ntextLayers = 1\ntextHeads = 2\n\
         textMlp = 32\n[optimizer]\nmuon = 5e-3\nweightDecay = 0.1\nmicroBatch = 4\nwarmup = 5\nthreads = {threads}\n[progress]\ncheckpointEvery = 5\nlogEvery = 5\n",
        out = scratch.path(&format!("{name}-bundle")),
        work = scratch.path(&format!("{name}-work")),
    );
    let path = scratch.path(&format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

fn train(kind: &str, config: &Path, flags: &[&str]) -> Output {
    diffcr().args(["--quiet", "train", kind]).arg(config).args(flags).output().unwrap()
}

fn trained(kind: &str, config: &Path, flags: &[&str]) {
    let output = train(kind, config, flags);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Starts a run and sends it a signal after its next checkpoint.
fn stopped(config: &Path, work: &Path, flags: &[&str], signal: &str) -> Output {
    let checkpoint = work.join("checkpoint.safetensors");
    let before = std::fs::metadata(&checkpoint).and_then(|m| m.modified()).ok();
    let mut child = diffcr()
        .args(["--quiet", "train", "base"])
        .arg(config)
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while std::fs::metadata(&checkpoint).and_then(|m| m.modified()).ok() == before {
        assert!(started.elapsed() < Duration::from_secs(60), "no checkpoint was written");
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

fn verified(bundle: &Path) {
    let output = diffcr().arg("verify").arg(bundle).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

fn drawn(bundle: &Path, image: &Path, compression: &str) {
    let output = diffcr()
        .arg("generate")
        .arg(bundle)
        .args(["--prompt", "a red circle on a blue background", "--steps", "3", "--compression", compression, "--out"])
        .arg(image)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(image.is_file());
}

#[test]
fn a_killed_and_an_interrupted_run_end_as_one_that_was_neither() {
    let scratch = Scratch::new();
    let whole = base(&scratch, "whole", 150, 1);
    trained("base", &whole, &[]);
    let parts = base(&scratch, "parts", 150, 2);
    let work = scratch.path("parts-work");
    stopped(&parts, &work, &[], "-KILL");
    let interrupted = stopped(&parts, &work, &["--resume"], "-INT");
    assert_eq!(interrupted.status.code(), Some(1), "it was not interrupted in time");
    assert_eq!(error_line(&interrupted), "error: cancelled");
    trained("base", &parts, &["--resume"]);
    let (a, b) = (scratch.path("whole-bundle"), scratch.path("parts-bundle"));
    verified(&b);
    for part in ["transformer", "text_encoder"] {
        assert_eq!(files(&a, part), files(&b, part), "every byte of the weights");
    }
    let rows = |name: &str| {
        let log = std::fs::read_to_string(scratch.path(name).join("metrics.jsonl")).unwrap();
        log.lines().map(|l| l.split(",\"imagesPerSecond\"").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rows("whole-work"), rows("parts-work"), "but for the times");
    assert!(rows("whole-work").len() == 60 && scratch.path("parts-work").join("loss.svg").is_file());
    drawn(&b, &scratch.path("x.png"), "off");
    assert_eq!(manifest(&b)["parts"]["transformer"]["sampleSize"], 32);

    // The checkpoint of a finished run holds what the run wrote.
    let before = files(&b, "");
    std::fs::remove_dir_all(&b).unwrap();
    trained("base", &parts, &["--export"]);
    assert_eq!(files(&b, ""), before);
}

#[test]
fn a_run_that_is_killed_twenty_times_ends_as_one_that_was_not() {
    let scratch = Scratch::new();
    let (whole, killed) = (base(&scratch, "whole", 150, 1), base(&scratch, "killed", 150, 1));
    let started = Instant::now();
    trained("base", &whole, &[]);
    let length = started.elapsed();
    let work = scratch.path("killed-work");
    let (mut state, mut kills) = (7u64, 0);
    while kills < 20 {
        // A moment of the run, start and checkpoint included.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = length.mul_f64((state >> 40) as f64 / f64::from(1 << 24) * 0.08);
        let mut command = diffcr();
        command.args(["--quiet", "train", "base"]).arg(&killed).stdout(Stdio::null()).stderr(Stdio::null());
        if work.join("checkpoint.safetensors").is_file() {
            command.arg("--resume");
        }
        let mut child = command.spawn().unwrap();
        std::thread::sleep(moment);
        if child.try_wait().unwrap().is_some() {
            break; // it got to its end between the kills
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    if !scratch.path("killed-bundle").join("diffcr.json").is_file() {
        let resume: &[&str] = if work.join("checkpoint.safetensors").is_file() { &["--resume"] } else { &[] };
        trained("base", &killed, resume);
    }
    println!("{kills} kills of a run of {length:?}");
    assert!(kills >= 10, "{kills} kills only");
    for part in ["transformer", "text_encoder"] {
        let (a, b) = (files(&scratch.path("whole-bundle"), part), files(&scratch.path("killed-bundle"), part));
        assert_eq!(a, b, "every byte of the weights");
    }
}

#[test]
fn whoever_watches_a_run_leaves_it_as_it_is() {
    let scratch = Scratch::new();
    trained("base", &base(&scratch, "alone", 6, 0), &[]);
    let watched = base(&scratch, "watched", 6, 0);
    let text = std::fs::read_to_string(&watched).unwrap()
        + "keep = 2\nheldOut = 8\nprompts = ['a red circle', 'a blue star']\n";
    std::fs::write(&watched, text).unwrap();
    trained("base", &watched, &[]);
    for part in ["transformer", "text_encoder"] {
        assert_eq!(files(&scratch.path("alone-bundle"), part), files(&scratch.path("watched-bundle"), part));
    }
    let work = scratch.path("watched-work");
    let log = std::fs::read_to_string(work.join("metrics.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| events.iter().filter(|e| e["event"] == event).cloned().collect::<Vec<_>>();
    let (trained, held_out) = (of("train"), of("heldOut"));
    assert_eq!(held_out.iter().map(|e| e["step"].as_u64().unwrap()).collect::<Vec<_>>(), [5, 6, 10, 12]);
    assert!(held_out.iter().all(|e| e["unit"] == "loss" && e["average"].as_f64().unwrap() > 0.0));
    assert_eq!(trained.len() + held_out.len(), events.len());
    for field in
        ["loss", "gradientNorm", "imagesPerSecond", "dataWait", "peakMib", "rate", "seconds", "lambda", "meanKeep"]
    {
        assert!(trained.iter().all(|e| e[field].is_f64()), "{field}");
    }
    let kept = files(&work, "checkpoint");
    assert_eq!(kept.len(), 3, "the last, and two by their steps: {:?}", kept.keys());
    assert_eq!(kept["checkpoint.safetensors"], kept["checkpoint-00000012.safetensors"]);
    assert!(kept.contains_key("checkpoint-00000010.safetensors"));
    for file in ["held-out.svg", "loss.svg", "samples-000005.png", "samples-000012.png"] {
        assert!(work.join(file).is_file(), "{file}");
    }
}

#[test]
fn a_dense_bundle_becomes_a_routed_one() {
    let scratch = Scratch::new();
    trained("base", &base(&scratch, "base", 20, 0), &[]);
    let from = |bundle: &str, name: &str, routing: &str, top: &str, steps: u64| {
        let text = format!(
            "out = {:?}\nwork = {:?}\nfrom = {:?}\nstage = [{{ size = 32, batch = 8, steps = {steps}, lr = 1e-4 }}]\n{top}\n[routing]\nregions = 2\n{routing}\n\
             [optimizer]\nmicroBatch = 4\nwarmup = 5\n[progress]\ncheckpointEvery = 50\nlogEvery = 5\n",
            scratch.path(name),
            scratch.path(&format!("{name}-work")),
            scratch.path(bundle),
        );
        let path = scratch.path(&format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        trained("diffcr", &path, &[]);
        verified(&scratch.path(name));
        manifest(&scratch.path(name))
    };
    let diffcr = |name: &str, routing: &str, top: &str, steps: u64| from("base-bundle", name, routing, top, steps);
    let lt = diffcr("lt", "ratioRate = 5e-3\ncompression = 0.3", "", 250);
    assert_eq!(lt["routing"]["presets"].as_array().unwrap().len(), 3);
    let keeps = |work: &str| -> Vec<f64> {
        let log = std::fs::read_to_string(scratch.path(work).join("metrics.jsonl")).unwrap();
        let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["meanKeep"].as_f64();
        log.lines().filter_map(value).collect()
    };
    let keep = keeps("lt-work");
    assert!(keep[0] > 0.95, "it begins with every token: {}", keep[0]);
    for keep in &keep[keep.len() * 4 / 5..] {
        assert!((keep - 0.7).abs() < 0.01, "held in the last fifth: {keep}");
    }
    assert!(scratch.path("lt-work").join("ratios.svg").is_file());
    drawn(&scratch.path("lt"), &scratch.path("lt.png"), "learned");
    drawn(&scratch.path("lt"), &scratch.path("fast.png"), "fast");

    // Its routers and ratios go on, to another size and from 30 % to 40 %.
    let on = from("lt", "on", "ratioRate = 5e-3\ncompression = 0.4\ninherit = true", "", 250);
    let (first, last) = (keeps("on-work")[0], *keeps("on-work").last().unwrap());
    assert!((first - 0.7).abs() < 0.02 && (last - 0.6).abs() < 0.01, "from {first} to {last}");
    assert_eq!(on["routing"]["regions"], 2);

    let uniform = diffcr("mod", "variant = 'mod'\ncompression = 0.25", "", 6);
    assert_eq!(uniform["routing"]["presets"][0]["keep"], serde_json::json!([[0.75, 0.75]]));
    assert!(diffcr("dense", "variant = 'dense'", "", 6)["routing"].is_null());
    let again = from("lt", "again", "variant = 'dense'", "", 6);
    assert!(again["routing"].is_null(), "the routers of what it starts from are left behind");
    assert!(again["tensors"].as_object().unwrap().keys().all(|name| !name.contains("router")));
    let filler = from("lt", "filler", "inherit = true", "task = 'inpaint'", 6);
    assert_eq!(filler["parts"]["transformer"]["inChannels"], 7);
    drawn(&scratch.path("filler"), &scratch.path("filler.png"), "learned");
    let further = from("filler", "further", "inherit = true", "task = 'inpaint'", 6);
    assert_eq!(further["parts"]["transformer"]["inChannels"], 7, "a model that sees masks already");
    let lora = diffcr("lora", "variant = 'l'\nratioRate = 5e-2", "lora = { rank = 2 }", 6);
    assert!(lora["tensors"].as_object().unwrap().keys().all(|name| !name.contains("lora")), "merged");
    drawn(&scratch.path("lora"), &scratch.path("lora.png"), "learned");

    from("lt", "stored", "inherit = true\n[quantize]\nencoding = 'q8'\ngroup = 32", "", 6);
    drawn(&scratch.path("stored"), &scratch.path("stored.png"), "learned");

    // The same on a base that was quantized, and so is frozen.
    let packed = converted(&scratch.path("base-bundle"), &scratch.path("packed"), &["--encoding", "q8"]);
    assert!(packed["tensors"].as_object().unwrap().values().any(|t| t["encoding"] == "q8"));
    from("packed", "packed-lora", "variant = 'l'", "lora = { rank = 32 }", 6);
    drawn(&scratch.path("packed-lora"), &scratch.path("packed-lora.png"), "learned");
    converted(&scratch.path("packed-lora"), &scratch.path("packed-again"), &["--encoding", "q4"]);
}

/// Two steps of `train diffcr` from one bundle of the scratch folder to another.
fn short(scratch: &Scratch, out: &str, from: &str, settings: &str) -> Output {
    let text = format!(
        "out = {:?}\nwork = {:?}\nfrom = {:?}\nstage = [{{ size = 32, batch = 8, steps = 2, lr = 1e-4 }}]\n{settings}\n",
        scratch.path(out),
        scratch.path(&format!("{out}-work")),
        scratch.path(from),
    );
    let path = scratch.path(&format!("{out}.toml"));
    std::fs::write(&path, text).unwrap();
    train("diffcr", &path, &[])
}

#[test]
fn routers_that_cannot_go_on_are_refused() {
    let scratch = Scratch::new();
    trained("base", &base(&scratch, "base", 2, 0), &[]);
    let run = |from: &str, routing: &str| short(&scratch, "out", from, &format!("[routing]\n{routing}"));
    let fault = |from: &str, routing: &str| error_line(&run(from, routing));
    assert!(fault("base-bundle", "inherit = true").contains("routing.inherit: the bundle in `from` has no routers"));
    assert!(run("base-bundle", "regions = 2").status.success());
    std::fs::rename(scratch.path("out"), scratch.path("two")).unwrap();
    std::fs::remove_dir_all(scratch.path("out-work")).unwrap();
    assert!(fault("two", "inherit = true").contains("routing.inherit: the bundle has 2 regions, the run 4"));
    let gain = fault("two", "inherit = true\nregions = 2\nscoreGain = 2.0");
    assert!(gain.contains("routing.inherit: the bundle has scoreGain 1, the run 2"), "{gain}");
}

#[test]
fn ratios_with_too_few_steps_for_their_target_are_warned_of() {
    let scratch = Scratch::new();
    trained("base", &base(&scratch, "base", 2, 0), &[]);
    let quiet = short(&scratch, "out", "base-bundle", "");
    assert!(quiet.status.success() && stderr(&quiet).is_empty(), "{}", stderr(&quiet));
    let again = |settings: &str| {
        std::fs::remove_dir_all(scratch.path("out-work")).unwrap();
        let config = scratch.path("out.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("{text}{settings}")).unwrap();
        stderr(&diffcr().args(["train", "diffcr"]).arg(&config).output().unwrap())
    };
    let said = again("[routing]\n");
    assert!(
        said.starts_with("warning: the mean keep ratio will not get from 1.000 to 0.700 in the 2 steps left"),
        "{said}"
    );
    let enough = again("ratioRate = 10.0\n");
    assert!(!enough.contains("warning") && enough.contains("step"), "{enough}");
}

#[test]
fn settings_that_exclude_each_other_are_refused() {
    let scratch = Scratch::new();
    trained("base", &base(&scratch, "base", 2, 0), &[]);
    let run = |from: &str, settings: &str| short(&scratch, "filler", from, settings);
    let both = run("base-bundle", "lora = { rank = 4 }\n[quantize]\nencoding = 'q4'");
    assert!(error_line(&both).contains("quantize: does not go with `lora`"));
    assert!(error_line(&run("base-bundle", "[quantize]\nencoding = 'q3'")).contains("quantize.encoding: "));
    let lora = run("base-bundle", "task = 'inpaint'\nlora = { rank = 4 }");
    assert!(error_line(&lora).contains("lora: adapters cannot teach a model to see masks"));
    assert!(run("base-bundle", "task = 'inpaint'").status.success());
    std::fs::remove_dir_all(scratch.path("filler-work")).unwrap();
    assert!(error_line(&run("filler", "")).contains("task: the model in `from` fills holes"));
}

#[test]
fn what_is_wrong_is_named() {
    let scratch = Scratch::new();
    let config = base(&scratch, "run", 2, 0);
    let fault = |kind: &str, flags: &[&str]| {
        let output = train(kind, &config, flags);
        assert_eq!(output.status.code(), Some(1));
        error_line(&output)
    };
    assert!(fault("base", &["--resume"]).contains("resume: "));
    assert!(fault("diffcr", &[]).contains("from: name the bundle"));
    trained("base", &config, &[]);
    assert!(fault("base", &[]).contains("holds a run: give --resume"));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("seed = 7", "seed = 8")).unwrap();
    assert!(fault("base", &["--resume"]).contains("was made with another `seed`"));
    std::fs::write(&config, text.replace("warmup = 5", "warmup = 'x'")).unwrap();
    assert!(fault("base", &[]).contains("optimizer.warmup: "));
    std::fs::write(&config, text.replace("size = 16", "size = 20")).unwrap();
    assert!(fault("base", &[]).contains("stage[0]: 20 pixels are no multiple of 8"));
    let checkpoint = scratch.path("run-work").join("checkpoint.safetensors");
    let bytes = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(&config, &text).unwrap();
    assert!(fault("base", &["--resume"]).contains("checkpoint.safetensors"));
}

/// A run of one step with `shape`, and further settings in front of the tables.
fn one_step(scratch: &Scratch, name: &str, settings: &str, shape: &str, text: &str) -> std::path::PathBuf {
    let text = format!(
        "out = {out:?}\nwork = {work:?}\nseed = 7\n{settings}\n{shape}\n{text}\n[optimizer]\nmicroBatch = 2\nwarmup = 1\nthreads = 1\n\
         [progress]\nlogEvery = 1\n",
        out = scratch.path(&format!("{name}-bundle")),
        work = scratch.path(&format!("{name}-work")),
    );
    let path = scratch.path(&format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

fn model(layers: usize, heads: usize, head_dim: usize, patch: usize) -> String {
    format!(
        "[model]\ntokenizer = {:?}\nlayers = {layers}\nheads = {heads}\nheadDim = {head_dim}\npatch = {patch}\ntextWidth = 16\n\
         textLayers = 1\ntextHeads = 2\ntextMlp = 32",
        fixture("scenes/tokenizer/tokenizer.json")
    )
}

/// The largest resident size of a run, in MiB.
fn peak(scratch: &Scratch, kind: &str, name: &str, config: &Path) -> f64 {
    trained(kind, config, &[]);
    let log = std::fs::read_to_string(scratch.path(&format!("{name}-work/metrics.jsonl"))).unwrap();
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    last["peakMib"].as_f64().unwrap()
}

const TOKENS_1024: &str = "stage = [{ size = 64, batch = 2, steps = 2, lr = 1e-3 }]";

#[test]
fn recomputed_blocks_need_little_memory() {
    let scratch = Scratch::new();
    let peak = |name: &str, settings: &str| {
        peak(&scratch, "base", name, &one_step(&scratch, name, settings, TOKENS_1024, &model(24, 2, 8, 2)))
    };
    let (whole, block) = (peak("whole", ""), peak("block", "recompute = 'block'"));
    println!("{whole:.0} MiB, {block:.0} MiB with recomputed blocks");
    assert!(block <= 0.4 * whole, "{block} MiB of {whole}");
}

#[test]
fn a_plan_says_what_the_run_will_take() {
    let scratch = Scratch::new();
    let planned = |kind: &str, config: &Path| -> serde_json::Value {
        let output = diffcr().args(["--json", "train", kind, "--plan"]).arg(config).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let few = "stage = [{ size = 32, batch = 2, steps = 2, lr = 1e-3 }]";
    let check = |kind: &str, name: &str, settings: &str, shape: &str, model: &str| {
        let config = one_step(&scratch, name, settings, shape, model);
        let plan = planned(kind, &config);
        assert!(!scratch.path(&format!("{name}-work")).exists(), "a plan starts nothing");
        assert!(plan["seconds"].as_f64().unwrap() > 0.0 && plan["disk"].as_u64().unwrap() > 0);
        let (said, took) = (plan["memory"]["total"].as_f64().unwrap() / 1048576.0, peak(&scratch, kind, name, &config));
        println!("{name}: {said:.0} MiB planned, {took:.0} measured");
        assert!((said / took - 1.0).abs() <= 0.2, "{name}: {said} MiB planned, {took} measured");
    };
    check("base", "tokens", "", TOKENS_1024, &model(6, 4, 16, 2));
    check("base", "weights", "", few, &model(6, 16, 32, 8));
    check("base", "recomputed", "recompute = 'block'", TOKENS_1024, &model(12, 2, 32, 2));
    let from = format!("from = {:?}", scratch.path("tokens-bundle"));
    let routed = "stage = [{ size = 64, batch = 4, steps = 2, lr = 1e-3 }]";
    check("diffcr", "routed", &from, routed, "");
    check("diffcr", "adapters", &format!("{from}\nlora = {{ rank = 4 }}"), routed, "");

    let huge = "stage = [{ size = 4096, batch = 2, steps = 1, lr = 1e-3 }]";
    let config = one_step(&scratch, "huge", "", huge, &model(24, 16, 64, 8));
    let output = diffcr().args(["train", "base", "--plan"]).arg(config).output().unwrap();
    assert!(!output.status.success());
    let error = error_line(&output);
    assert!(error.contains("optimizer.microBatch: the run needs ") && error.contains("are free; "), "{error}");
}
