//! A training step on all cores: micro-batches are independent graphs, one a core at a time, and their gradients are summed in order.
//!
//! Whole micro-batches side by side keep every core at matrix products of its own, with nothing to wait for inside them, and the
//! sum does not depend on the number of cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::net::{Frame, Net};
use super::noise::MicroBatch;
use super::parameters::Parameters;
use crate::bundle::config::Prediction;
use crate::error::{Error, Result};
use crate::kernels::flush_denormals;
use crate::sampler::schedule::Schedule;

/// The cores, each with a pool of one thread: what a backend does in parallel then stays on the core that asked.
#[derive(Debug)]
pub struct Workers {
    pools: Vec<ThreadPool>,
    plain: Device,
    device: Device,
}

/// What a step found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub gradient: Vec<f32>,
    pub denoise: f64,
    /// `(mean ratio − target)²`.
    pub ratio: f64,
}

/// What a step is told beside its micro-batches.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    pub schedule: &'a Schedule,
    pub prediction: Prediction,
    pub weight_cap: f64,
    /// Weight of the ratio loss.
    pub lambda: f64,
    /// Mean keep ratio asked for.
    pub target: f64,
}

impl Workers {
    /// `threads` of 0 takes one a core. `device` is the plain one; the graphs get autodiff.
    ///
    /// # Errors
    /// `Internal` where no thread can be started.
    pub fn new(threads: usize, device: &Device) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = |_| {
            ThreadPoolBuilder::new()
                .num_threads(1)
                .start_handler(|_| flush_denormals())
                .build()
                .map_err(|e| Error::internal(e.to_string()))
        };
        let pools = (0..if threads == 0 { cores } else { threads }).map(pool).collect::<Result<_>>()?;
        Ok(Self { pools, plain: device.clone(), device: device.clone().autodiff() })
    }

    pub fn pools(&self) -> &[ThreadPool] {
        &self.pools
    }

    /// The device without graphs.
    pub fn plain(&self) -> &Device {
        &self.plain
    }

    /// Losses and gradients of `trained` over a batch.
    ///
    /// # Errors
    /// That of the first micro-batch that fails.
    pub fn step(&self, frame: &Frame, trained: &Parameters, batch: &[MicroBatch], terms: Terms) -> Result<Outcome> {
        let rounded = frame.rounding.as_ref().map(|r| r.apply(trained)).transpose()?;
        let trained = rounded.as_ref().unwrap_or(trained);
        let total = batch.iter().map(|b| b.timesteps.len()).sum();
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<Option<Result<Outcome>>>> = Mutex::new(batch.iter().map(|_| None).collect());
        let work = || {
            while let Some((i, part)) = batch.get(next.load(Ordering::Relaxed)).and_then(|_| {
                let i = next.fetch_add(1, Ordering::Relaxed);
                batch.get(i).map(|part| (i, part))
            }) {
                let outcome = self.part(frame, trained, part, total, terms);
                if let Ok(mut all) = outcomes.lock() {
                    all[i] = Some(outcome);
                }
            }
        };
        std::thread::scope(|scope| {
            for pool in &self.pools {
                scope.spawn(|| pool.install(work));
            }
        });
        let outcomes = outcomes.into_inner().map_err(|_| Error::internal("a worker failed"))?;
        let mut sum = Outcome { gradient: vec![0.0; trained.values().len()], denoise: 0.0, ratio: 0.0 };
        for outcome in outcomes {
            let outcome = outcome.unwrap_or_else(|| Err(Error::internal("a micro-batch was not run")))?;
            sum.gradient.iter_mut().zip(&outcome.gradient).for_each(|(a, b)| *a += b);
            sum.denoise += outcome.denoise;
            sum.ratio += outcome.ratio;
        }
        Ok(sum)
    }

    fn part(
        &self,
        frame: &Frame,
        trained: &Parameters,
        batch: &MicroBatch,
        total: usize,
        terms: Terms,
    ) -> Result<Outcome> {
        let noisy = batch.noisy(terms.schedule, terms.prediction, terms.weight_cap)?;
        let net = Net::new(frame, trained, &self.device)?;
        let losses = net.losses(batch, noisy, frame, total, terms.target)?;
        let value = |t: &burn::tensor::Tensor<1>| {
            let values = t.clone().inner().into_data().try_to_vec::<f32>().unwrap_or_default();
            values.first().copied().map_or(f64::NAN, f64::from)
        };
        let (denoise, ratio) = (value(&losses.denoise), losses.ratio.as_ref().map_or(0.0, value));
        let loss = match losses.ratio {
            Some(ratio) => losses.denoise + ratio * terms.lambda,
            None => losses.denoise,
        };
        let gradients = loss.backward();
        Ok(Outcome { gradient: trained.gradient(net.leaves(), &gradients)?, denoise, ratio })
    }
}
