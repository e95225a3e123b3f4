//! Schedules and solvers: from the model's output at one noise level to the latents at the next.
//!
//! - [`schedule`]: betas, noise levels, timesteps
//! - [`plan`]: a solver as a table of factors, and the first-order step most of them share
//! - [`timesteps`]: which ones are visited
//! - [`dpm_solver`], [`unipc`], [`sa_solver`], [`ddim`], [`euler`], [`euler_ancestral`], [`lcm`], [`dmd`]: one table each
//! - [`field`]: what the factors are applied to
//! - [`guidance`]: classifier-free guidance, before the solver
//! - [`noise`]: seeded Gaussian noise, the same on every machine
//!
//! ```text
//! x = noise · init_sigma
//! for i in 0..steps:
//!     output = model(x · input_scale(i), timesteps[i])
//!     x      = step(i, output, x).next
//! ```

pub mod ddim;
pub mod dmd;
pub mod dpm_solver;
pub mod euler;
pub mod euler_ancestral;
pub mod field;
pub mod guidance;
pub mod lcm;
pub mod noise;
pub mod plan;
pub mod sa_solver;
pub mod schedule;
mod timesteps;
pub mod unipc;

pub use field::Field;
pub use schedule::{Level, Schedule};

use crate::Result;
use crate::bundle::config::{SchedulerConfig, SolverKind};
use field::combine;
use plan::{Next, SolverPlan};

/// A solver made ready for a number of steps. It holds no latents, so one sampler may serve many images.
#[derive(Debug, Clone)]
pub struct Sampler {
    plan: SolverPlan,
    timesteps: Vec<f64>,
}

/// What a step makes of the model's output.
#[derive(Debug, Clone)]
pub struct Step<F> {
    /// The latents at the next noise level; clean after the last step.
    pub next: F,
    /// The estimate of the clean latents, for a preview.
    pub denoised: F,
}

/// What the steps before leave to the next. One per image, empty at the start, wherever that is.
#[derive(Debug, Clone)]
pub struct History<F> {
    last: Option<Last<F>>,
}

#[derive(Debug, Clone)]
struct Last<F> {
    step: usize,
    /// Its clean estimate.
    denoised: F,
    /// The latents it started from, for a solver that corrects.
    sample: Option<F>,
    /// The estimate before, where it took part in the step.
    before: Option<F>,
    /// The noise that it added, where the solver corrects.
    noise: Option<F>,
}

impl<F> Default for History<F> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<F> History<F> {
    /// To be told where the latents were changed after a step: they are then not corrected, which would undo the change.
    pub fn edited(&mut self) {
        if let Some(last) = &mut self.last {
            last.sample = None;
        }
    }
}

impl Sampler {
    /// # Errors
    /// `MODEL_INVALID` naming the scheduler setting, `INVALID_INPUT` on `steps` where the solver cannot take so many.
    pub fn new(config: &SchedulerConfig, kind: SolverKind, steps: usize) -> Result<Self> {
        let schedule = Schedule::new(config)?;
        let with_some_signal = || schedule.clone().with_some_signal();
        let plan = match kind {
            SolverKind::DpmSolver2M => dpm_solver::plan(&with_some_signal(), config, steps, 2),
            SolverKind::DpmSolver1 => dpm_solver::plan(&with_some_signal(), config, steps, 1),
            SolverKind::UniPc => unipc::plan(&with_some_signal(), config, steps),
            SolverKind::SaSolver => sa_solver::plan(&with_some_signal(), config, steps),
            SolverKind::Ddim => ddim::plan(&schedule, config, steps),
            SolverKind::Euler => euler::plan(&with_some_signal(), config, steps),
            SolverKind::EulerAncestral => euler_ancestral::plan(&with_some_signal(), config, steps),
            SolverKind::Lcm => lcm::plan(&schedule, config.prediction, steps),
            SolverKind::Dmd => dmd::plan(&schedule, config.prediction, steps),
        }?;
        let timesteps = plan.steps.iter().map(|step| step.timestep).collect();
        Ok(Self { plan, timesteps })
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.timesteps.len()
    }

    /// What the model is told at each step, from noisy to clean, in training timesteps.
    pub fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    /// What unit noise is multiplied by to start from nothing.
    pub fn init_sigma(&self) -> f64 {
        self.plan.init_sigma
    }

    /// What the latents of step `i` are multiplied by before the model sees them (and only there).
    ///
    /// Exactly 1 where the latents keep unit variance by themselves: all solvers but Euler's two.
    pub fn input_scale(&self, i: usize) -> f64 {
        let level = self.noise_at(i);
        if level.signal < 1.0 { 1.0 } else { 1.0 / level.norm() }
    }

    /// The noise level before step `i`: clean latents `z` belong there as `signal · z + sigma · noise`. After the last step
    /// (`i >= steps`) it is clean. Euler's two keep the signal at 1, the others preserve the variance.
    pub fn noise_at(&self, i: usize) -> Level {
        self.plan.steps.get(i).map_or(Level::CLEAN, |step| step.level)
    }

    /// The first step of a run that redraws an image by `strength` (0: none of it, 1: all): `N − min(int(N · strength), N)`.
    pub fn start(&self, strength: f64) -> usize {
        self.steps() - ((self.steps() as f64 * strength) as usize).min(self.steps())
    }

    /// Takes step `i`: `output` is the model's, `x` the latents it was given (before [`Sampler::input_scale`]), both
    /// `[B, C, h, w]`. `noise` gives unit noise of the same shape and is called only by solvers that add noise.
    ///
    /// Steps run in order, from any first one; a solver that looks back uses the history of the step before, if there.
    ///
    /// # Panics
    /// On `i >= steps`.
    pub fn step<F: Field>(
        &self,
        i: usize,
        output: F,
        x: F,
        history: &mut History<F>,
        noise: impl FnOnce() -> F,
    ) -> Step<F> {
        let step = &self.plan.steps[i];
        let denoised = combine(step.clean.0, x.clone(), step.clean.1, output);
        let last = history.last.take().filter(|last| last.step + 1 == i);
        let x = self.corrected(i, x, &denoised, last.as_ref());
        let sample = self.corrects().then(|| x.clone());
        let (next, before) = match (step.next_with_history, last) {
            (Some(next), Some(last)) => (next, Some(last.denoised)),
            _ => (step.next, None),
        };

        let Next { sample: of_sample, denoised: of_denoised, previous, noise: of_noise } = next;
        let mut x = combine(of_sample, x, of_denoised, denoised.clone());
        if let Some(before) = &before {
            x = combine(1.0, x, previous, before.clone());
        }
        let mut added = None;
        if of_noise != 0.0 {
            let fresh = noise();
            added = self.corrects().then(|| fresh.clone());
            x = combine(1.0, x, of_noise, fresh);
        }
        let before = before.filter(|_| self.corrects());
        history.last = Some(Last { step: i, denoised: denoised.clone(), sample, before, noise: added });
        Step { next: x, denoised }
    }

    /// Whether the solver corrects the latents of a step once the model has seen them.
    fn corrects(&self) -> bool {
        self.plan.steps.iter().any(|step| step.corrected.is_some())
    }

    /// What the latents `x` of step `i` should have been.
    fn corrected<F: Field>(&self, i: usize, x: F, denoised: &F, last: Option<&Last<F>>) -> F {
        let step = &self.plan.steps[i];
        let Some((last, sample)) = last.and_then(|last| Some((last, last.sample.clone()?))) else { return x };
        let (corrected, before) = match (step.corrected, step.corrected_with_history, &last.before) {
            (_, Some(corrected), Some(before)) => (corrected, Some(before)),
            (Some(corrected), _, _) => (corrected, None),
            _ => return x,
        };
        let x = combine(corrected.sample, sample, corrected.denoised, denoised.clone());
        let x = combine(1.0, x, corrected.previous, last.denoised.clone());
        let x = match before {
            Some(before) => combine(1.0, x, corrected.before, before.clone()),
            None => x,
        };
        match &last.noise {
            Some(noise) => combine(1.0, x, corrected.noise, noise.clone()),
            None => x,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::bundle::config::Prediction;

    const KINDS: [SolverKind; 9] = SolverKind::ALL;

    fn config(prediction: Prediction) -> SchedulerConfig {
        SchedulerConfig { prediction, ..Default::default() }
    }

    /// A perfect model knows the image: every solver, prediction and step count must end exactly there.
    #[test]
    fn a_perfect_model_is_followed_to_its_image() {
        let image = vec![0.3, -1.7, 0.0];
        for kind in KINDS {
            for prediction in [Prediction::Epsilon, Prediction::Sample, Prediction::VPrediction] {
                for steps in if kind == SolverKind::Dmd { vec![1] } else { vec![1, 2, 3, 7, 14, 15, 37, 50] } {
                    let sampler = Sampler::new(&config(prediction), kind, steps).unwrap();
                    let noise = vec![0.9, 0.2, -1.1];
                    let at =
                        |level: Level, noise: Vec<f64>| image.clone().scale(level.signal).add(noise.scale(level.sigma));
                    let mut history = History::default();
                    let mut x = at(sampler.noise_at(0), noise.clone());
                    for i in 0..steps {
                        let level = sampler.noise_at(i);
                        let noise = x.clone().add(image.clone().scale(-level.signal)).scale(1.0 / level.sigma);
                        let output = match prediction {
                            Prediction::Epsilon => noise,
                            Prediction::Sample => image.clone(),
                            Prediction::VPrediction => noise
                                .scale(level.signal)
                                .add(image.clone().scale(-level.sigma))
                                .scale(1.0 / level.norm()),
                        };
                        x = sampler.step(i, output, x, &mut history, || vec![0.4, -0.6, 2.0]).next;
                    }
                    // The boundary condition of LCM lets 1e-9 of the sample through.
                    let worst = x.iter().zip(&image).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    // SA-Solver ends at timestep 0, where a hundredth of all noise, the added too, is left.
                    let bound = if kind == SolverKind::SaSolver { 0.1 } else { 1e-4 };
                    assert!(worst < bound, "{kind:?} {prediction:?} {steps}: {worst}");
                }
            }
        }
    }

    #[test]
    fn noise_falls_from_step_to_step_and_ends_at_none() {
        for kind in KINDS {
            let steps = if kind == SolverKind::Dmd { 1 } else { 20 };
            let sampler = Sampler::new(&config(Prediction::Epsilon), kind, steps).unwrap();
            assert_eq!((sampler.steps(), sampler.timesteps().len()), (steps, steps));
            for i in 0..steps {
                let ratio = |i| sampler.noise_at(i).sigma / sampler.noise_at(i).signal;
                assert!(ratio(i) > ratio(i + 1), "{kind:?} {i}");
                let scaled = sampler.noise_at(i).norm() * sampler.input_scale(i);
                assert!((scaled - 1.0).abs() < 1e-12, "{kind:?}: the model sees unit variance");
                let unscaled = matches!(kind, SolverKind::Euler | SolverKind::EulerAncestral);
                assert!(unscaled || sampler.input_scale(i) == 1.0);
            }
            assert_eq!(sampler.noise_at(steps), Level::CLEAN);
        }
    }

    #[test]
    fn a_step_count_out_of_range_is_the_caller_s_error() {
        for (kind, steps) in KINDS.map(|kind| (kind, 0)).into_iter().chain([
            (SolverKind::Dmd, 2),
            (SolverKind::Lcm, 51),
            (SolverKind::DpmSolver2M, 1000),
            (SolverKind::DpmSolver1, usize::MAX),
            (SolverKind::Ddim, 1001),
            (SolverKind::Euler, usize::MAX),
        ]) {
            match Sampler::new(&config(Prediction::Epsilon), kind, steps) {
                Err(Error::InvalidInput { field, .. }) => assert_eq!(field, "steps"),
                other => panic!("{kind:?} {steps}: {other:?}"),
            }
        }
    }

    #[test]
    fn strength_sets_the_first_step() {
        let sampler = Sampler::new(&config(Prediction::Epsilon), SolverKind::Ddim, 6).unwrap();
        assert_eq!([1.0, 0.8, 0.5, 0.1, 0.0, 7.0].map(|s| sampler.start(s)), [0, 2, 3, 6, 6, 0]);
    }
}
