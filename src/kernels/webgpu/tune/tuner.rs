//! Times the variants of a thing on a device, and keeps the fastest that is right.

use burn::tensor::{Device, Tensor};
use serde_json::Value;

use crate::error::Result;
use crate::kernels::webgpu::choices::{self, Terms, Timing, TuneKey};
use crate::kernels::webgpu::compare::{error, noise};
use crate::kernels::webgpu::launch::Buffer;

/// Milliseconds that a launch may take: rows are left out beyond; and that a timing should take.
const LAUNCH: f64 = 20.0;
const TIMING: f64 = 10.0;
/// Rows that are timed at first, unless there are fewer.
const FIRST: usize = 64;
/// Rows on which the results of two variants are compared.
pub const SAMPLE: usize = 16;
/// Values up to which an input is noise.
const NOISE: usize = 1 << 18;
/// Of the default variant's time, what another has to stay below.
const GAIN: f64 = 0.95;

/// Work that can be done in more than one variant.
pub trait Tunable {
    type Key: TuneKey;
    type Input;

    fn key(&self) -> Self::Key;

    /// Whether the choice is worth its time.
    fn should_tune(&self) -> bool;

    /// Of the model's own size.
    fn rows(&self) -> usize;

    fn input(&self, rows: usize, device: &Device) -> Self::Input;

    fn run(&self, variant: <Self::Key as TuneKey>::Variant, input: &Self::Input) -> Tensor<3>;

    /// Error of a variant, of the largest value, up to which it may be chosen.
    fn tolerance(&self, variant: <Self::Key as TuneKey>::Variant) -> f64;
}

/// What timing takes place under.
pub struct Tuner<'a> {
    /// The JSON of earlier timings.
    pub known: Value,
    pub terms: Terms,
    pub device: &'a Device,
    /// In milliseconds.
    pub clock: &'a dyn Fn() -> f64,
    /// When to stop.
    pub end: f64,
}

impl Tuner<'_> {
    /// Takes what is known of them.
    pub fn adopt<T: Tunable>(&self, tunables: &[T]) {
        choices::adopt(&self.known, &keys(tunables), self.terms);
    }

    /// Times as many of them as there is time for.
    pub async fn run<T: Tunable>(&self, tunables: &[T]) -> Result<()> {
        for tunable in tunables {
            let key = tunable.key();
            let candidates = key.candidates(self.terms);
            if choices::is_known(key) || candidates.is_empty() || !tunable.should_tune() {
                continue;
            }
            let Some(timing) = self.time(tunable, &candidates).await? else { return Ok(()) };
            log::info!("{}", timing.line());
            choices::keep(timing);
        }
        Ok(())
    }

    /// None where the time was over first.
    async fn time<T: Tunable>(
        &self,
        tunable: &T,
        candidates: &[<T::Key as TuneKey>::Variant],
    ) -> Result<Option<Timing<T::Key>>> {
        let ms = async |variant, input: &T::Input, count: usize| -> Result<f64> {
            let start = (self.clock)();
            let last = (0..count).map(|_| tunable.run(variant, input)).last();
            if let Some(last) = last {
                Buffer::packed(last).done().await?;
            }
            Ok(((self.clock)() - start) / count as f64)
        };
        let key = tunable.key();
        let default = key.default_variant(self.terms.software);
        let sample = tunable.input(SAMPLE, self.device);
        let mut rows = tunable.rows().min(FIRST);
        let mut input = tunable.input(rows, self.device);
        let mut variants = Vec::new();
        for variant in core::iter::once(default).chain(candidates.iter().copied()) {
            if (self.clock)() > self.end {
                return Ok(None);
            }
            if variant != default {
                let error = error(tunable.run(variant, &sample), tunable.run(default, &sample)).await?;
                if error > tunable.tolerance(variant) {
                    log::info!("{key}: {variant} is off by {error:.1e} of the largest value and is not used");
                    continue;
                }
            }
            ms(variant, &input, 1).await?; // compiles
            if variants.is_empty() && tunable.rows() > rows {
                let part = LAUNCH / ms(variant, &input, 1).await?.max(1e-3);
                rows = ((rows as f64 * part) as usize).clamp(rows, tunable.rows());
                input = tunable.input(rows, self.device);
            }
            let once = ms(variant, &input, 1).await?;
            let count = (TIMING / once.max(1e-3)).clamp(1.0, 32.0) as usize;
            let again =
                if count > 1 { ms(variant, &input, count).await?.min(ms(variant, &input, count).await?) } else { once };
            variants.push((variant, again));
        }
        let bar = variants.first().map_or(f64::MAX, |(_, ms)| ms * GAIN);
        let best = variants.iter().filter(|(_, ms)| *ms < bar).min_by(|a, b| a.1.total_cmp(&b.1));
        let chosen = best.map_or(default, |(variant, _)| *variant);
        Ok(Some(Timing { key, rows, variants, chosen }))
    }
}

/// The keys of what can be tuned.
pub fn keys<T: Tunable>(tunables: &[T]) -> Vec<T::Key> {
    tunables.iter().map(Tunable::key).collect()
}

/// Something to work on: noise, or zeros where that would take long to write.
pub fn input<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    if shape.iter().product::<usize>() > NOISE { Tensor::zeros(shape, device) } else { noise(shape, 1.0, device) }
}
