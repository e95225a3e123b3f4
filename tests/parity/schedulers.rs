//! Every solver's trajectory on a closed-form model, `model(x, t) = x · t / (t + 1)`, against diffusers' schedulers.

use std::collections::BTreeMap;

use diffcr::model::config::{Prediction, SchedulerConfig, SolverKind};
use diffcr::sampler::{Field, History, Sampler};

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
