//! Pictures and costs on a GPU natively: what `--device gpu` draws is what the CPU draws. `make test` runs it on Mesa's lavapipe.

use crate::support::{Scratch, diffcr, stderr};

fn draw(work: &Scratch, device: &str, bundle: &str) -> image::RgbImage {
    let out = work.path(&format!("{device}.png"));
    let mut command = diffcr();
    command.args([
        "generate",
        bundle,
        "--prompt",
        "a red circle",
        "--seed",
        "3",
        "--steps",
        "4",
        "--device",
        device,
        "--out",
    ]);
    let output = command.arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    image::open(out).unwrap().to_rgb8()
}

#[test]
fn a_gpu_draws_what_the_cpu_draws() {
    for bundle in ["www/public/models/scenes", "models/stickers/lt"] {
        let work = Scratch::new();
        let (cpu, gpu) = (draw(&work, "cpu", bundle), draw(&work, "gpu", bundle));
        let worst = cpu.as_raw().iter().zip(gpu.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst.unwrap() <= 4, "{bundle}: {worst:?} of 255");
    }
}

#[test]
fn a_step_on_a_gpu_has_its_cost() {
    let args =
        ["--json", "bench", "www/public/models/scenes", "--device", "gpu", "--steps", "2", "--compression", "0.5"];
    let output = diffcr().args(args).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}
