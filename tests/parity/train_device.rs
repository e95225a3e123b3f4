//! A run on the device that `DIFFCR_TEST_DEVICE` names, against the CPU: its numbers, and what moves between host and device.

use std::path::Path;

use diffcr::convert::progress::Progress;
use diffcr::device::Choice;
use diffcr::train::config::{Kind, TrainConfig};
use diffcr::train::parameters::moved_bytes;
use diffcr::train::run::{Begin, Monitor, Summary, run};

struct Silent;

impl Progress for Silent {
    fn update(&mut self, _: u64, _: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}

impl Monitor for Silent {
    fn line(&mut self, _: &str) {}
}

fn train(kind: Kind, dir: &Path, name: &str, from: Option<&Path>, steps: u64, device: Choice) -> Summary {
    let origin = match from {
        Some(from) => format!("from = {from:?}"),
        None => String::new(),
    };
    let model = match from {
        Some(_) => "[routing]\nvariant = \"lt\"\ncompression = 0.3",
        None => {
            "[model]\ntokenizer = \"tests/fixtures/scenes/tokenizer/tokenizer.json\"\nlayers = 2\nheads = 2\nheadDim = 16\n\
             textWidth = 16\ntextLayers = 1\ntextHeads = 2\ntextMlp = 32"
        }
    };
    let text = format!(
        "out = {:?}\nwork = {:?}\n{origin}\ndevice = \"{device}\"\n\
         [[stage]]\nsize = 64\nbatch = 8\nsteps = {steps}\nlr = 1e-3\n{model}\n[optimizer]\nmuon = 0.01\nwarmup = 1\n\
         [progress]\nheldOut = 0\ncheckpointEvery = 100",
        dir.join(name),
        dir.join(format!("{name}-run")),
    );
    let config = TrainConfig::parse(&text, kind).unwrap();
    run(&config, kind, Begin::New, &mut Silent).unwrap()
}

/// Dense and routed: the loss after a few steps is that of the CPU, and only the start and the end of a run move weights.
#[test]
fn a_run_is_that_of_the_cpu_and_leaves_its_weights_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let device: Choice = std::env::var("DIFFCR_TEST_DEVICE").map_or(Choice::Cpu, |name| name.parse().unwrap());
    let base = dir.path().join("cpu-base");
    let dense = |name: &str, steps, device| train(Kind::Base, dir.path(), name, None, steps, device);
    let routed = |name: &str, steps, device| train(Kind::Diffcr, dir.path(), name, Some(&base), steps, device);
    let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-3 * a.abs(), "{a} {b}");

    near(dense("cpu-base", 4, Choice::Cpu).loss, dense("base", 4, device).loss);
    near(routed("cpu-routed", 4, Choice::Cpu).loss, routed("routed", 4, device).loss);

    let moved = |steps: u64| {
        let before = moved_bytes();
        routed(&format!("moved-{steps}"), steps, device);
        moved_bytes() - before
    };
    let short = moved(2);
    assert_eq!(short > 0, device != Choice::Cpu);
    assert_eq!(short, moved(6));
}
