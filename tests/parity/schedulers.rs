//! Every solver's trajectory on closed-form models against diffusers' schedulers.

use std::collections::BTreeMap;

use diffcr::bundle::config::{BetaSchedule, Prediction, SchedulerConfig, SolverKind, TimestepSpacing};
use diffcr::sampler::{Field, History, Level, Sampler};

#[derive(serde::Deserialize)]
struct Expected {
    timesteps: Vec<f64>,
    init_noise_sigma: f64,
    abs_sum_after_step: Vec<f64>,
    final_first_8: Vec<f64>,
}

/// The ramp `0, 1/768, …` of shape `[3, 8, 8, 4]`, permuted to `[4, 3, 8, 8]`.
fn ramp() -> Vec<f64> {
    (0..4).flat_map(|channel| (0..192).map(move |i| f64::from(i * 4 + channel) / 768.0)).collect()
}

fn solver(name: &str) -> (SolverKind, Prediction) {
    match name {
        "dpm_solver_pp_2m" => (SolverKind::DpmSolver2M, Prediction::Epsilon),
        "dpm_solver_pp_2m_sample" => (SolverKind::DpmSolver2M, Prediction::Sample),
        "dpm_solver_pp_2m_v" => (SolverKind::DpmSolver2M, Prediction::VPrediction),
        "dpm_solver_pp_1" => (SolverKind::DpmSolver1, Prediction::Epsilon),
        "ddim" => (SolverKind::Ddim, Prediction::Epsilon),
        "euler" => (SolverKind::Euler, Prediction::Epsilon),
        "lcm" => (SolverKind::Lcm, Prediction::Epsilon),
        other => panic!("the fixture names a solver this test does not know: {other}"),
    }
}

/// Timesteps are single precision in diffusers; their decimal form may parse an ulp of `f64` away.
fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs().max(1e-12);
    assert!(error <= tolerance, "{what}: {found} instead of {expected}, relative error {error:e}");
}

/// `model(x, t) = x · t / (t + 1)`, as the reference fixtures have it.
#[test]
fn every_trajectory_is_diffusers() {
    let fixture: BTreeMap<String, Expected> =
        serde_json::from_str(include_str!("../fixtures/sigma/schedulers.json")).unwrap();
    assert_eq!(fixture.len(), 6 * 3 + 1, "six solvers at 4, 10 and 20 steps, LCM at 4");
    for (case, expected) in fixture {
        let (name, steps) = case.split_once('/').unwrap();
        let (kind, prediction) = solver(name);
        let config = SchedulerConfig { prediction, ..Default::default() };
        let sampler = Sampler::new(&config, kind, steps.parse().unwrap()).unwrap();
        assert_eq!(single(sampler.timesteps()), single(&expected.timesteps), "{case}");
        assert_eq!(sampler.init_sigma() as f32, expected.init_noise_sigma as f32, "{case}");

        // LCM's first estimate is (x − 0.99998 · 0.999 x) / 0.006: one bit of diffusers' single-precision 0.99998 moves it by
        // 6e-5, and diffusers differs from itself by that much between machines.
        let tolerance = if kind == SolverKind::Lcm { 1e-4 } else { 1e-5 };
        let mut x = ramp().scale(sampler.init_sigma());
        let mut history = History::default();
        for (i, (&t, sum)) in sampler.timesteps().iter().zip(&expected.abs_sum_after_step).enumerate() {
            let output = x.clone().scale(sampler.input_scale(i) * t / (t + 1.0));
            let step = sampler.step(i, output, x, &mut history, || vec![0.0; 768]);
            // LCM's fresh noise is random: the fixture follows the clean estimates instead.
            x = if kind == SolverKind::Lcm { step.denoised } else { step.next };
            assert_close(x.iter().map(|v| v.abs()).sum(), *sum, tolerance, &format!("{case}, step {i}"));
        }
        for (i, (found, expected)) in x.iter().zip(&expected.final_first_8).enumerate() {
            assert_close(*found, *expected, tolerance, &format!("{case}, value {i}"));
        }
    }
}

#[derive(serde::Deserialize)]
struct Trajectory {
    solver: SolverKind,
    beta: BetaSchedule,
    prediction: Prediction,
    steps: usize,
    start: usize,
    timesteps: Vec<f64>,
    init_noise_sigma: f64,
    noised: Vec<Vec<f64>>,
    trace: Vec<Vec<f64>>,
    spacing: Option<TimestepSpacing>,
    offset: usize,
    zero: bool,
}

/// Every prediction type, few steps and many, timesteps spaced in every way, no signal at the last of them, a later first step, both beta schedules, LCM's noise, and the levels that
/// latents are noised to: `make_trajectories.py` says how.
#[test]
fn every_setting_gives_diffusers_trajectory() {
    let cases: Vec<Trajectory> = serde_json::from_str(include_str!("../fixtures/sigma/trajectories.json")).unwrap();
    assert_eq!(cases.len(), 8 * (3 * 6 + 1) - 6 + 7 * 3 * 3 + 6 * 2);
    let image: Vec<f64> = (0..4).map(|i| -2.0 + 4.0 * f64::from(i) / 3.0).collect();
    let noise: Vec<f64> = (0..4).map(|i| 1.5 - 2.0 * f64::from(i) / 3.0).collect();
    for case in cases {
        let Trajectory { solver, prediction, steps, start, .. } = case;
        let (beta, spacing) = (case.beta, case.spacing);
        let what = format!("{solver:?} {prediction:?} {beta:?} {spacing:?} {}, {steps} steps from {start}", case.zero);
        let (beta_start, beta_end) = match case.beta {
            BetaSchedule::Linear => (1e-4, 0.02),
            BetaSchedule::ScaledLinear => (0.00085, 0.012),
        };
        let config = SchedulerConfig {
            beta_schedule: case.beta,
            beta_start,
            beta_end,
            prediction,
            timestep_spacing: spacing,
            steps_offset: case.offset,
            zero_terminal_snr: case.zero,
            ..Default::default()
        };
        let sampler = Sampler::new(&config, solver, steps).unwrap();
        assert_eq!(single(&sampler.timesteps()[start..]), single(&case.timesteps), "{what}");
        assert_close(sampler.init_sigma(), case.init_noise_sigma, 1e-6, &what);

        let noised = |i: usize| {
            let Level { signal, sigma } = sampler.noise_at(i);
            image.clone().scale(signal).add(noise.clone().scale(sigma))
        };
        let mut x = if start > 0 { noised(start) } else { image.clone().scale(sampler.init_sigma()) };
        let (mut history, mut peak) = (History::default(), 0.0);
        for i in start..steps {
            assert_near(&noised(i), &case.noised[i - start], 0.0, &format!("{what}: noised at {i}"));
            let t = sampler.timesteps()[i];
            let mut output = x.clone().scale(sampler.input_scale(i));
            output.iter_mut().for_each(|v| *v = v.tanh() * (0.3 + t / 2000.0));
            peak = largest(&x).max(peak);
            x = sampler.step(i, output, x, &mut history, || noise.clone()).next;
            assert_near(&x, &case.trace[i - start], peak, &format!("{what}: step {i}"));
        }
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// Within 1e-5 of the largest value expected, or 1e-7 of the `peak` of the run, whose values diffusers rounds to single precision.
fn assert_near(found: &[f64], expected: &[f64], peak: f64, what: &str) {
    let tolerance = (1e-5 * largest(expected)).max(1e-7 * peak);
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance, "{what}: {found:?} instead of {expected:?}");
    }
}
