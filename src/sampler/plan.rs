//! What every solver comes down to: for each step, the factors of two linear combinations, known before sampling starts.

use super::schedule::Level;

/// All steps of one sampling run.
#[derive(Debug, Clone)]
pub struct SolverPlan {
    pub steps: Vec<StepPlan>,
    /// What unit noise is multiplied by to start.
    pub init_sigma: f64,
}

/// One call of the model and what is made of it.
#[derive(Debug, Clone)]
pub struct StepPlan {
    /// What the model is told, in training timesteps.
    pub timestep: f64,
    /// The noise in the latents this step starts from.
    pub level: Level,
    /// `(a, b)`: the clean estimate is `a · x + b · output`.
    pub clean: (f64, f64),
    /// How to go on from the clean estimate.
    pub next: Next,
    /// The same where the estimate of the step before is at hand, for solvers that look back.
    pub next_with_history: Option<Next>,
    /// What the latents of this step should have been, known once the model has seen them: for solvers that correct a step of the first order.
    pub corrected: Option<Corrected>,
    /// The same of a step of the second order.
    pub corrected_with_history: Option<Corrected>,
}

/// `x = sample · x_before + denoised · x0 + previous · x0_before + before · x0_before_that + noise · fresh`, where `x_before` is what the last step
/// started from, and `fresh` the noise that it added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corrected {
    pub sample: f64,
    pub denoised: f64,
    pub previous: f64,
    pub before: f64,
    pub noise: f64,
}

/// `x' = sample · x + denoised · x0 + previous · x0_before + noise · fresh`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Next {
    pub sample: f64,
    pub denoised: f64,
    pub previous: f64,
    pub noise: f64,
}

impl Next {
    /// The first-order step of the probability-flow ODE, with the clean estimate held still: what DDIM, Euler and
    /// DPM-Solver++ 1 all are.
    pub fn along_the_ode(from: Level, to: Level) -> Self {
        let shrink = to.sigma / from.sigma;
        Self { sample: shrink, denoised: to.signal - shrink * from.signal, previous: 0.0, noise: 0.0 }
    }

    /// The clean estimate, noised afresh.
    pub fn renoised(to: Level) -> Self {
        Self { sample: 0.0, denoised: to.signal, previous: 0.0, noise: to.sigma }
    }
}
