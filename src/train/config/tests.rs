//! Defaults, and what is said of a setting that is wrong.

use super::*;

const BASE: &str = "out = 'o'\nwork = 'w'\nstage = [{ size = 32, batch = 64, steps = 100, lr = 1e-3 }]\n";

#[test]
fn defaults_make_a_run() {
    let config = TrainConfig::parse(&format!("{BASE}from = 'b'"), Kind::Diffcr).unwrap();
    assert_eq!(
        config.stages().unwrap(),
        [Stage { size: 32, scale: 1.0, batch: 64, steps: 100, rate: 1e-3, plain: 0.0, pairs: 0.0 }]
    );
    assert_eq!((config.routing.variant, config.routing.regions, config.routing.bins[9]), (Variant::Lt, 4, 0.1));
    let l = TrainConfig::parse(&format!("{BASE}from = 'b'\n[routing]\nvariant = 'l'"), Kind::Diffcr).unwrap();
    assert_eq!(l.routing.regions, 1);
}

#[test]
fn a_wrong_setting_is_named() {
    let fault = |extra: &str, kind| TrainConfig::parse(&format!("{BASE}{extra}"), kind).unwrap_err().to_string();
    assert!(fault("from = 'b'\nsteps = 3", Kind::Base).contains("unknown field `steps`"));
    assert!(fault("from = 'b'\n[routing]\nregions = 'x'", Kind::Diffcr).starts_with("routing.regions: "));
    assert!(fault("", Kind::Diffcr).starts_with("from: "));
    assert!(fault("", Kind::Base).starts_with("model: "));
    assert!(fault("from = 'b'\n[routing]\nbins = [0.1, 0.5]", Kind::Diffcr).starts_with("routing.bins: "));
    assert!(fault("from = 'b'\n[routing]\ncompression = 0.95", Kind::Diffcr).starts_with("routing.compression: "));
    assert!(fault("from = 'b'\n[routing]\nregions = 7", Kind::Diffcr).contains("stage[0]"));
    assert!(fault("from = 'b'\nlora = { rank = 0 }", Kind::Diffcr).starts_with("lora.rank: "));
    let stage = |stage: &str| {
        let text = format!("out='o'\nwork='w'\nfrom='b'\n[[stage]]\n{stage}");
        TrainConfig::parse(&text, Kind::Base).unwrap_err().to_string()
    };
    assert!(stage("size = 32\nbatch = 64\nsteps = 100").starts_with("stage[0]: missing field `lr`"));
    assert!(stage("size = 32\nbatch = 64\nsteps = 100\nlr = -1.0").starts_with("stage[0].lr: "));
    let unknown = stage("size = 32\nbatch = 64\nstep = 100\nlr = 1e-3");
    assert!(unknown.contains("unknown field `step`; did you mean `steps`?"), "{unknown}");
    let unknown = fault("from = 'b'\n[optimizer]\nmicrobatch = 4", Kind::Base);
    assert!(unknown.starts_with("optimizer") && unknown.contains("did you mean `microBatch`?"), "{unknown}");
    let plain = |source: &str, share: &str| {
        let text = format!(
            "out='o'\nwork='w'\nfrom='b'\nsource='{source}'\n[[stage]]\nsize=32\nbatch=64\nsteps=100\nlr=1e-3\nplain={share}"
        );
        TrainConfig::parse(&text, Kind::Base)
    };
    assert_eq!(plain("scenes", "0.5").unwrap().stages().unwrap()[0].plain, 0.5);
    assert!(plain("scenes", "1.5").is_err() && plain("photos", "0.5").unwrap_err().to_string().starts_with("stage: "));
}

#[test]
fn counts_that_nothing_can_hold_are_named() {
    let fault = |extra: &str, kind| TrainConfig::parse(&format!("{BASE}{extra}"), kind).unwrap_err().to_string();
    for (extra, field) in [
        ("[autoencoder]\nencoderBlocks = [1, 1, 9223372036854775807]", "autoencoder.encoderBlocks: "),
        ("[optimizer]\nthreads = 1000000", "optimizer.threads: "),
        ("[progress]\nheldOut = 9223372036854775807", "progress.heldOut: "),
    ] {
        let error = fault(extra, Kind::Vae);
        assert!(error.starts_with(field), "{error}");
    }
    let model = |field: &str| fault(&format!("[model]\ntokenizer = 't'\n{field}"), Kind::Base);
    assert!(model("maxTokens = 5000").starts_with("model.maxTokens: "));
    assert!(model("patch = 512").starts_with("model.patch: "));
    let huge = format!("{BASE}[model]\ntokenizer = 't'\nlayers = 65536\nheads = 65536\nheadDim = 65536");
    let error = TrainConfig::parse(&huge, Kind::Base).unwrap().fits().unwrap_err().to_string();
    assert!(error.starts_with("model: it needs ") && error.ends_with(" are free"), "{error}");
}
