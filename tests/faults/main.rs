//! The fault matrix: small inputs that are wrong, through the real binary. Each ends with the error that names the culprit, within time and
//! memory, and the next correct call succeeds. `make faults` prints the table.

mod cases;
mod make;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cases::{CASES, Case};
use make::Scratch;
use serde_json::Value;

/// A case takes no longer, on a machine that does other work beside, and holds no more.
const SECONDS: f64 = 10.0;
const MIB: u64 = 200;

/// What became of a case.
struct Outcome {
    code: String,
    message: String,
    /// Lines on stderr.
    lines: usize,
    status: Option<i32>,
    seconds: f64,
    mib: u64,
}

/// Runs `diffcr ARGS --json` and watches it.
fn run(args: &[String], dir: &Path) -> Outcome {
    let started = Instant::now();
    let (out, err) = (dir.join("stdout"), dir.join("stderr"));
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_diffcr"))
        .args(args)
        .arg("--json")
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(file(&out))
        .stderr(file(&err))
        .spawn()
        .unwrap();
    let mut mib = 0;
    let status = loop {
        mib = mib.max(resident(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if started.elapsed().as_secs_f64() > SECONDS || mib > MIB {
            child.kill().unwrap();
            break child.wait().unwrap().code();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let seconds = started.elapsed().as_secs_f64();
    let (out, err) = (std::fs::read_to_string(&out).unwrap(), std::fs::read_to_string(&err).unwrap());
    let error = serde_json::from_str::<Value>(&out).unwrap_or_default()["error"].clone();
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    Outcome { code: text("code"), message: text("message"), lines: err.lines().count(), status, seconds, mib }
}

/// The largest resident size so far, in MiB; 0 where the system does not tell.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// What is wrong with an outcome.
fn fault(case: &Case, o: &Outcome) -> Option<String> {
    if o.status != Some(1) {
        return Some(format!("status {:?}: {}", o.status, o.message));
    }
    if o.code != case.code {
        return Some(format!("{}, not {}: {}", o.code, case.code, o.message));
    }
    if let Some(word) = case.names.iter().find(|word| !o.message.contains(**word)) {
        return Some(format!("does not name {word:?}: {}", o.message));
    }
    (o.lines != 1 || o.seconds > SECONDS || o.mib > MIB)
        .then(|| format!("{} lines, {:.1} s, {} MiB", o.lines, o.seconds, o.mib))
}

#[test]
fn every_fault_is_named_within_limits_and_leaves_the_next_call_alone() {
    let mut faults = Vec::new();
    println!("{:<44} {:<18} {:>7} {:>5}  message", "case", "code", "s", "MiB");
    for case in CASES {
        let scratch = Scratch::new();
        let before = scratch.names();
        let args = (case.make)(&scratch);
        let made = scratch.names();
        let outcome = run(&args, scratch.path());
        let message: String = outcome.message.chars().take(100).collect();
        println!("{:<44} {:<18} {:>7.2} {:>5}  {message}", case.what, outcome.code, outcome.seconds, outcome.mib);
        faults.extend(fault(case, &outcome).map(|fault| format!("{}: {fault}", case.what)));
        let left: Vec<_> =
            scratch.names().difference(&made).filter(|&n| n != "stdout" && n != "stderr").cloned().collect();
        if !left.is_empty() {
            faults.push(format!("{}: it left {left:?}", case.what));
        }
        assert!(before.is_empty());
    }
    let scratch = Scratch::new();
    let good = ["generate", &make::fixture(), "--prompt", "a red circle", "--steps", "1", "--out", "x.png"];
    let next = run(&good.map(str::to_owned), scratch.path());
    assert_eq!(next.status, Some(0), "{}", next.message);
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), CASES.len(), faults.join("\n"));
}

/// The same pipeline goes on after every request that it refused.
#[test]
fn a_pipeline_goes_on_after_what_it_refused() {
    use diffcr::bundle::folder::load_folder;
    use diffcr::pipeline::options::Values;
    use diffcr::pipeline::{GenerateOptions, Pipeline, Run};

    let loaded = load_folder(Path::new(&make::fixture()), &diffcr::device::cpu(), None).unwrap();
    let pipeline = std::rc::Rc::new(Pipeline::new(loaded).unwrap());
    let good = GenerateOptions { prompt: Some("a red circle".into()), steps: Some(1), ..Default::default() };
    let image =
        |value: f32, shape: &[usize]| Values { shape: shape.to_vec(), data: vec![value; shape.iter().product()] };
    let wrong = [
        ("width", GenerateOptions { width: Some(usize::MAX), ..good.clone() }),
        ("height", GenerateOptions { height: Some(0), ..good.clone() }),
        ("steps", GenerateOptions { steps: Some(usize::MAX), ..good.clone() }),
        ("guidance", GenerateOptions { guidance: Some(f64::NAN), ..good.clone() }),
        ("compression", GenerateOptions { compression: "0.95".parse().unwrap(), ..good.clone() }),
        ("latents", GenerateOptions { latents: Some(image(0.0, &[1, 4, 64, 64])), ..good.clone() }),
        ("latents", GenerateOptions { latents: Some(image(f32::NAN, &[1, 3, 64, 64])), ..good.clone() }),
        (
            "promptEmbeds",
            GenerateOptions { guidance: Some(1.0), prompt_embeds: Some(image(0.0, &[1, 3, 7])), ..good.clone() },
        ),
    ];
    for (field, options) in wrong {
        let error = Run::new(pipeline.clone(), &options, None).map(drop).unwrap_err();
        assert_eq!(error.code(), "INVALID_INPUT", "{field}: {error}");
        assert!(error.to_string().starts_with(field), "{field}: {error}");
        let mut run = Run::new(pipeline.clone(), &good, None).unwrap();
        assert!(run.step().unwrap().is_some(), "after {field}");
    }
}
