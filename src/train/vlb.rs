//! The variational bound that PixArt learns its variance by, beside the squared error (`IDDPM` of the paper's code, after Nichol &
//! Dhariwal 2021): the divergence between the true and the predicted posterior of a step, in bits a value.
//!
//! The predicted mean is held fixed: only the second half of the channels, the share `v` between the two variances, learns from it.

use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor, TensorData};

use crate::bundle::config::Prediction;
use crate::sampler::schedule::Schedule;

/// What a step's posterior is made of.
pub struct Posterior<'a> {
    /// The network's output: prediction and variance, `[b, 2 C, h, w]`.
    pub output: Tensor<4>,
    pub prediction: Prediction,
    /// `[b, C, h, w]`.
    pub clean: Tensor<4>,
    /// `[b, C, h, w]`, at `timesteps`.
    pub noisy: Tensor<4>,
    pub timesteps: &'a [usize],
}

/// The bound of a schedule.
#[derive(Debug)]
pub struct Bound {
    /// By timestep.
    steps: Vec<Step>,
}

impl Bound {
    pub fn new(schedule: &Schedule) -> Self {
        let betas: Vec<f64> = schedule.betas().collect();
        let mut kept = 1.0; // ᾱ of the timestep before
        let mut steps: Vec<Step> = Vec::with_capacity(betas.len());
        for beta in betas {
            let (before, abar) = (kept, kept * (1.0 - beta));
            let rest = 1.0 - abar;
            steps.push(Step {
                signal: abar.sqrt(),
                sigma: rest.sqrt(),
                of_clean: beta * before.sqrt() / rest,
                of_noisy: (1.0 - before) * (1.0 - beta).sqrt() / rest,
                least: (beta * (1.0 - before) / rest).ln(),
                most: beta.ln(),
            });
            kept = abar;
        }
        // The posterior of timestep 0 has no variance: that of the next stands in for it.
        if let [first, second, ..] = &mut steps[..] {
            first.least = second.least;
        }
        Self { steps }
    }

    /// Of every picture, `[b]`; at timestep 0 the likelihood of the clean values in bins of 2/255.
    pub fn of(&self, posterior: Posterior) -> Tensor<1> {
        let Posterior { output, prediction, clean, noisy, timesteps } = posterior;
        let [b, channels, h, w] = clean.dims();
        let device = noisy.device();
        let row =
            |value: fn(&Step) -> f64| column(timesteps.iter().filter_map(|&t| self.steps.get(t)).map(value), &device);

        let predicted = output.clone().narrow(1, 0, channels).detach();
        let share = (output.narrow(1, channels, channels) + 1.0) / 2.0;
        let (signal, sigma) = (row(|s| s.signal), row(|s| s.sigma));
        let start = match prediction {
            Prediction::Epsilon => (noisy.clone() - predicted * sigma) / signal,
            Prediction::Sample => predicted,
            Prediction::VPrediction => noisy.clone() * signal - predicted * sigma,
        };
        let mean = |start: Tensor<4>| start * row(|s| s.of_clean) + noisy.clone() * row(|s| s.of_noisy);
        let (mean, true_mean) = (mean(start), mean(clean.clone()));
        let true_log = row(|s| s.least);
        let log = share.clone() * row(|s| s.most) + (share.neg() + 1.0) * true_log.clone();

        let off = true_mean - mean.clone();
        let divergence = (log.clone() - true_log.clone() + (true_log - log.clone()).exp() - 1.0
            + off.clone() * off * log.clone().neg().exp())
            * 0.5; // [b, C, h, w]
        let first = column(timesteps.iter().map(|&t| f64::from(u8::from(t == 0))), &device);
        let bits = if timesteps.contains(&0) {
            divergence * (first.clone().neg() + 1.0) + surprise(clean, mean, log) * first
        } else {
            divergence
        };
        bits.reshape([b, channels * h * w]).mean_dim(1).reshape([b]) / core::f64::consts::LN_2
    }
}

/// `−ln` of the likelihood of values in bins of 2/255 under Gaussians, the outermost bins open.
fn surprise(clean: Tensor<4>, mean: Tensor<4>, log: Tensor<4>) -> Tensor<4> {
    let centred = clean.clone() - mean;
    let inverse = (log * -0.5).exp();
    let below = |edge: f64| normal_cdf((centred.clone() + edge) * inverse.clone());
    let (plus, minus) = (below(1.0 / 255.0), below(-1.0 / 255.0));
    let ln = |p: Tensor<4>| p.clamp_min(1e-12).log();
    let inside = ln(plus.clone() - minus.clone());
    let low = inside.mask_where(clean.clone().lower_elem(-0.999), ln(plus));
    low.mask_where(clean.greater_elem(0.999), ln(minus.neg() + 1.0)).neg()
}

/// The usual approximation by tanh.
fn normal_cdf(x: Tensor<4>) -> Tensor<4> {
    let cube = x.clone() * x.clone() * x.clone();
    (tanh((x + cube * 0.044715) * (2.0 / core::f64::consts::PI).sqrt()) + 1.0) * 0.5
}

/// The coefficients of a step from t to t − 1.
#[derive(Debug)]
struct Step {
    signal: f64,
    sigma: f64,
    /// Weights of the clean and of the noisy values in the posterior's mean.
    of_clean: f64,
    of_noisy: f64,
    /// Logarithms of the least and the largest variance.
    least: f64,
    most: f64,
}

/// `[b, 1, 1, 1]`.
fn column(values: impl Iterator<Item = f64>, device: &Device) -> Tensor<4> {
    let values: Vec<f32> = values.map(|v| v as f32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count, 1, 1, 1]), device)
}
