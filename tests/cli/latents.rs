//! The chain behind an autoencoder: `diffcr train vae`, `cache`, `train base`, `train diffcr`, and pictures of what comes out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::*;

struct Chain(Scratch);

impl Chain {
    fn config(&self, name: &str, text: &str) -> PathBuf {
        let head =
            format!("out = {:?}\nwork = {:?}\nseed = 7\n", self.0.path(name), self.0.path(&format!("{name}-work")));
        let path = self.0.path(&format!("{name}.toml"));
        std::fs::write(&path, head + text).unwrap();
        path
    }

    fn train(&self, kind: &str, name: &str, text: &str) -> Output {
        diffcr().args(["train", kind]).arg(self.config(name, text)).output().unwrap()
    }

    /// An autoencoder of 4 x 4 pixels to a cell, barely trained.
    fn autoencoder(&self, name: &str, seed: u64) -> PathBuf {
        let text = format!(
            "stage = [{{ size = 32, batch = 4, steps = 4, lr = {} }}]\n[autoencoder]\nlatentChannels = 4\npatch = 2\nwidths = [8, 12]\n\
             encoderBlocks = [1, 1]\ndecoderBlocks = [1, 1]\ncrop = 16\n[optimizer]\nwarmup = 1\n[progress]\ncheckpointEvery = 2\nheldOut = 4\n",
            1e-3 * seed as f64
        );
        let output = self.train("vae", name, &text);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("held-out pictures: "), "{}", stderr(&output));
        self.0.path(name)
    }

    fn cache(&self, autoencoder: &Path, out: &str, options: &[&str]) -> Command {
        let mut command = diffcr();
        command.args(["cache", "--source", "scenes", "--size", "32", "--seed", "3", "--autoencoder"]).arg(autoencoder);
        command.arg("--out").arg(self.0.path(out)).args(options);
        command
    }

    fn cached(&self, autoencoder: &Path, out: &str, options: &[&str]) -> Output {
        let output = self.cache(autoencoder, out, options).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output
    }
}

/// A model of two narrow layers over the latents of `autoencoder`.
fn base(source: &Path, autoencoder: &Path) -> String {
    let tokenizer = fixture("scenes/tokenizer/tokenizer.json");
    format!(
        "source = {source:?}\nstage = [{{ size = 32, batch = 4, steps = 3, lr = 1e-3 }}]\n[model]\ntokenizer = {tokenizer:?}\n\
         autoencoder = {autoencoder:?}\npatch = 2\nlayers = 2\nheads = 2\nheadDim = 8\ntextWidth = 16\ntextLayers = 1\ntextHeads = 2\n\
         textMlp = 32\nprediction = 'v_prediction'\n"
    )
}

#[test]
fn from_pictures_to_a_routed_model_behind_its_own_autoencoder() {
    let chain = Chain(Scratch::new());
    let vae = chain.autoencoder("vae", 1);
    chain.cached(&vae, "cache", &["--count", "40"]);
    let output = chain.train("base", "base", &base(&chain.0.path("cache"), &vae));
    assert!(output.status.success(), "{}", stderr(&output));
    let parts = &manifest(&chain.0.path("base"))["parts"];
    assert_eq!(parts["transformer"]["inChannels"], 4);
    assert_eq!(parts["transformer"]["sampleSize"], 8);
    assert_eq!(parts["vaeTiny"]["patchSize"], 2);

    // Pictures as they are drawn do as well as those of the cache, and the bundle's own autoencoder as that of the folder.
    let text = |source: &str, from: &str| {
        format!(
            "source = {source:?}\nfrom = {from:?}\nstage = [{{ size = 32, batch = 4, steps = 3, lr = 1e-3 }}]\n[routing]\nregions = 2\n"
        )
    };
    let (bundle, cache) = (chain.0.path("base"), chain.0.path("cache"));
    for (name, source) in [("drawn", "scenes"), ("routed", cache.to_str().unwrap())] {
        let output = chain.train("diffcr", name, &text(source, bundle.to_str().unwrap()));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let image = chain.0.path("x.png");
    let routed = chain.0.path("routed");
    let prompt = ["--prompt", "a red circle", "--steps", "2", "--width", "48", "--height", "32", "--out"];
    let output = diffcr().arg("generate").arg(&routed).args(prompt).arg(&image).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(diffcr().arg("verify").arg(&routed).output().unwrap().status.success());
    // What the bundle holds is what was trained.
    assert_eq!(manifest(&routed)["parts"]["vaeTiny"], manifest(&bundle)["parts"]["vaeTiny"]);

    // Latents of another autoencoder, another size, and holes are refused by name.
    let other = chain.autoencoder("other", 2);
    let fault = |name: &str, text: &str| error_line_of(&chain.train("base", name, text));
    assert!(fault("a", &base(&cache, &other)).contains("source: its latents are those of another autoencoder"));
    assert!(
        fault("b", &base(&cache, &vae).replace("size = 32", "size = 64"))
            .contains("source: its pictures have 32 pixels")
    );
    assert!(fault("c", &format!("task = 'inpaint'\n{}", base(&cache, &vae))).contains("task: "));
    assert!(
        fault("d", &base(&cache, &vae).replace("size = 32", "size = 20"))
            .contains("stage[0]: 20 pixels are no multiple of 8")
    );
    assert!(fault("f", &format!("flip = true\n{}", base(&cache, &vae))).contains("flip: "));
    assert!(fault("e", &format!("loss = {{ sigma = 'vlb' }}\n{}", base(&cache, &vae))).contains("loss.sigma: "));
}

/// The last line on stderr, which progress may precede.
fn error_line_of(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    stderr(output).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_cache_that_was_killed_or_shared_out_is_the_same_to_the_byte() {
    let chain = Chain(Scratch::new());
    let vae = chain.autoencoder("vae", 1);
    chain.cached(&vae, "whole", &["--count", "1300"]);
    let whole = files(&chain.0.path("whole"), "");
    assert_eq!(whole.len(), 4, "three files and their header");

    for shard in ["0/2", "1/2"] {
        chain.cached(&vae, "shared", &["--count", "1300", "--shard", shard]);
    }
    assert_eq!(files(&chain.0.path("shared"), ""), whole);

    let mut child = chain.cache(&vae, "killed", &["--count", "1300"]).stderr(Stdio::null()).spawn().unwrap();
    let (first, started) = (chain.0.path("killed").join("latents-00000.safetensors"), Instant::now());
    while !first.is_file() {
        assert!(started.elapsed() < Duration::from_secs(60), "no file was written");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    chain.cached(&vae, "killed", &["--count", "1300"]);
    let rest = |name: &str| !name.ends_with(".tmp");
    let again: Vec<_> = files(&chain.0.path("killed"), "").into_iter().filter(|(name, _)| rest(name)).collect();
    assert_eq!(again, whole.clone().into_iter().collect::<Vec<_>>());

    // A larger one keeps what is there; a damaged file is made anew.
    std::fs::write(&first, b"x").unwrap();
    let output = chain.cached(&vae, "killed", &["--count", "1400", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (told["written"].as_u64(), told["files"].as_u64(), told["missing"].as_u64()),
        (Some(2), Some(3), Some(0))
    );

    let other = chain.autoencoder("other", 2);
    let refused = |vae: &Path, options: &[&str]| error_line_of(&chain.cache(vae, "killed", options).output().unwrap());
    assert!(
        refused(&other, &["--count", "1300"]).contains("autoencoder: the cache that is there was made with another")
    );
    assert!(refused(&vae, &["--count", "0"]).contains("count: "));
    assert!(refused(&vae, &[]).contains("count: "));
    let source = chain.0.path("killed");
    std::fs::remove_file(source.join("latents-00001.safetensors")).unwrap();
    let output = chain.train("base", "base", &base(&source, &vae));
    assert!(error_line_of(&output).contains("latents-00001.safetensors: it is missing"), "{}", stderr(&output));
}

#[test]
fn states_train_as_their_captions_do() {
    let scratch = Scratch::new();
    let dir = scratch.0.clone();
    let run = |line: &str| diffcr().current_dir(&dir).args(line.split_whitespace()).output().unwrap();
    let ran = |line: &str| {
        let output = run(line);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
    };
    ran(&format!("convert {} --out pixart", sigma("pipeline").display()));
    let cache = "cache --source scenes --seed 3 --count 24 --size 64 --autoencoder pixart --out";
    ran(&format!("{cache} texts"));
    ran(&format!("{cache} states --text-encoder pixart"));
    assert_eq!(files(&dir.join("texts"), "latents"), files(&dir.join("states"), "latents"));
    let config = |name: &str, source: &str, more: &str| {
        let text = format!(
            "out = '{name}'\nwork = '{name}-work'\nseed = 5\nfrom = 'pixart'\nsource = '{source}'\n{more}\n\
             stage = [{{ size = 64, batch = 4, steps = 2, lr = 1e-3 }}]\n[routing]\nregions = 2\n[optimizer]\nwarmup = 1\n\
             [progress]\nheldOut = 4\n"
        );
        std::fs::write(dir.join(format!("{name}.toml")), text).unwrap();
    };
    for source in ["texts", "states"] {
        config(&format!("from-{source}"), source, "trainTextEncoder = false");
        ran(&format!("--quiet train diffcr from-{source}.toml"));
    }
    let weights = |name: &str| read_tensors(&dir.join(format!("from-{name}-work/weights.safetensors")));
    let (texts, states) = (weights("texts"), weights("states"));
    for (name, (_, values)) in &states {
        let largest = texts[name].1.iter().fold(1e-3, |m: f32, v| m.max(v.abs()));
        let error = texts[name].1.iter().zip(values).fold(0.0, |m: f32, (a, b)| m.max((a - b).abs()));
        assert!(error <= 5e-3 * largest, "{name}: {error} of {largest}");
    }
    assert!(states.keys().all(|name| !name.starts_with("text_encoder.")), "it was not loaded");
    for part in ["text_encoder", "tokenizer"] {
        assert_eq!(files(&dir.join("from-states"), part), files(&dir.join("pixart"), part));
    }
    ran("verify from-states");

    config("learns", "states", "");
    assert!(error_line_of(&run("--quiet train diffcr learns.toml")).contains("trainTextEncoder: "));
    assert!(error_line_of(&run(&format!("{cache} texts --text-encoder pixart"))).contains("textEncoder: "));
}

/// The features of `layout`, whose pictures get `64` pixels in the name of their folder, as a cache `out`.
fn features(scratch: &Scratch, layout: &str, from: &str, to: &str, options: &[&str]) -> Output {
    let (there, data) = (fixture("layouts").join(layout).join("InternData"), scratch.path(layout).join("InternData"));
    let name = |path: &Path| path.to_string_lossy().replace(from, to);
    let mut folders = vec![there.clone()];
    while let Some(folder) = folders.pop() {
        let copy = data.join(name(folder.strip_prefix(&there).unwrap()));
        std::fs::create_dir_all(&copy).unwrap();
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    let mut command = diffcr();
    command.args(["cache", "--features", "--size", "64", "--source"]).arg(scratch.path(layout));
    command.arg("--autoencoder").arg(scratch.path("model")).arg("--out").arg(scratch.path("cache"));
    command.args(options).output().unwrap()
}

#[test]
fn pixart_s_own_features_become_a_cache_that_trains() {
    for (layout, from, to, count) in [
        ("alpha", "img_vae_features_256resolution", "img_vae_features_64resolution", 1),
        ("pixart", "img_sdxl_vae_features_512resolution", "img_sdxl_vae_features_64resolution", 1),
    ] {
        let scratch = Scratch::new();
        let model = scratch.path("model");
        let converted = diffcr().arg("convert").arg(sigma("pipeline")).arg("--out").arg(&model).output().unwrap();
        assert!(converted.status.success(), "{}", stderr(&converted));
        let without = features(&scratch, layout, from, to, &[]);
        assert!(!without.status.success() && stderr(&without).contains("--text-encoder"), "{}", stderr(&without));
        let output = features(&scratch, layout, from, to, &["--text-encoder", &model.to_string_lossy()]);
        assert!(output.status.success(), "{}", stderr(&output));
        let header = read_json(&scratch.path("cache").join("cache.json"));
        assert_eq!((header["count"].as_u64(), header["side"].as_u64()), (Some(count), Some(8)), "{header}");
        // ((37 i + n) mod 101) / 50 - 1, times the autoencoder's factor: the first value of picture `n`.
        let latents = tensors(&scratch.path("cache").join("latents-00000.safetensors"));
        let first = |name: &str| half::f16::from_le_bytes(latents[name].1[..2].try_into().unwrap()).to_f32();
        let n = if layout == "alpha" { 0.0 } else { 2.0 };
        assert!((first("mean") - (n / 50.0 - 1.0) * 0.13025).abs() < 1e-4, "{}", first("mean"));
        assert!((first("deviation") - 0.1 * 0.13025).abs() < 1e-5, "{}", first("deviation"));

        let config = format!(
            "out = {:?}\nwork = {:?}\nfrom = {model:?}\nsource = {:?}\ntrainTextEncoder = false\n\
             stage = [{{ size = 64, batch = 2, steps = 1, lr = 1e-4 }}]\n[routing]\nregions = 2\n",
            scratch.path("lt"),
            scratch.path("work"),
            scratch.path("cache")
        );
        std::fs::write(scratch.path("lt.toml"), config).unwrap();
        let trained = diffcr().args(["train", "diffcr"]).arg(scratch.path("lt.toml")).output().unwrap();
        assert!(trained.status.success(), "{}", stderr(&trained));
    }
}
