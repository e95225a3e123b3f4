//! AdamW over one flat vector, its learning-rate schedule, and clipping by norm.

use std::ops::Range;

use super::config::OptimizerConfig;
use super::stage::Stage;

/// Parameters that share a rate and a decay.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub range: Range<usize>,
    /// The rate itself, or a share of the stage's.
    pub rate: Rate,
    pub weight_decay: f64,
    /// Whether its gradient counts for the norm and is clipped with it.
    pub clipped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// The stage's.
    Stage,
    /// Its own, with the stage's warmup and decay.
    Own(f64),
}

/// AdamW (Loshchilov & Hutter 2019): `m = β₁m + (1−β₁)g`, `v = β₂v + (1−β₂)g²`, `w −= η (m̂ / (√v̂ + ε) + decay · w)`.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    /// Updates made so far.
    pub count: u64,
    betas: [f64; 2],
}

/// What keeps a step finite where a gradient never was.
pub const EPSILON: f32 = 1e-8;

impl AdamW {
    pub fn new(parameters: usize, betas: [f64; 2]) -> Self {
        Self { first: vec![0.0; parameters], second: vec![0.0; parameters], count: 0, betas }
    }

    /// One update of `values` by `gradient`; `rate` is the stage's at this step and `shape` its share of the peak, in 0..1.
    pub fn update(&mut self, values: &mut [f32], gradient: &[f32], groups: &[Group], rate: f64, shape: f64) {
        self.count += 1;
        let [b1, b2] = self.betas;
        let power = self.count.min(1 << 20) as i32;
        let (c1, c2) = (1.0 - b1.powi(power), 1.0 - b2.powi(power));
        let (b1, b2, root) = (b1 as f32, b2 as f32, (1.0 / c2).sqrt() as f32);
        for group in groups {
            let rate = match group.rate {
                Rate::Stage => rate,
                Rate::Own(own) => own * shape,
            };
            let (step, decay) = ((rate / c1) as f32, (1.0 - rate * group.weight_decay) as f32);
            let range = group.range.clone();
            let moments = self.first[range.clone()].iter_mut().zip(&mut self.second[range.clone()]);
            for ((w, &g), (m, v)) in values[range.clone()].iter_mut().zip(&gradient[range]).zip(moments) {
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *w = *w * decay - step * *m / (v.sqrt() * root + EPSILON);
            }
        }
    }
}

/// How far AdamW moves a parameter in a step whose gradient has grown by `e^growth` a step for long, in units of its rate: 1 where
/// it stays the same.
pub fn pace([b1, b2]: [f64; 2], growth: f64) -> f64 {
    let first = (1.0 - b1) / (1.0 - b1 * (-growth).exp());
    let second = (1.0 - b2) / (1.0 - b2 * (-2.0 * growth).exp());
    first / second.sqrt()
}

/// Scales the clipped groups' part of `gradient` to a norm of at most `limit`; returns the norm it had.
pub fn clip(gradient: &mut [f32], groups: &[Group], limit: f64) -> f64 {
    let square = |g: &Group| gradient[g.range.clone()].iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
    let norm = groups.iter().filter(|g| g.clipped).map(square).sum::<f64>().sqrt();
    if norm > limit {
        let scale = (limit / norm) as f32;
        for group in groups.iter().filter(|g| g.clipped) {
            gradient[group.range.clone()].iter_mut().for_each(|v| *v *= scale);
        }
    }
    norm
}

/// Share of the peak rate at `step` of a stage: linear warmup, a plateau, then a cosine down to the floor.
pub fn rate_shape(config: &OptimizerConfig, stage: &Stage, step: u64) -> f64 {
    let warm = (step + 1) as f64 / config.warmup.max(1) as f64;
    let done = step as f64 / stage.steps as f64;
    let fall = ((done - config.hold) / (1.0 - config.hold).max(1e-9)).clamp(0.0, 1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * fall).cos());
    warm.min(1.0) * (config.floor + (1.0 - config.floor) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(range: Range<usize>, rate: Rate, weight_decay: f64, clipped: bool) -> Group {
        Group { range, rate, weight_decay, clipped }
    }

    /// Three steps of `torch.optim.AdamW(lr=0.1, betas=(0.9, 0.98), weight_decay=0.5)` worked out by its definition in f64.
    #[test]
    fn an_update_is_the_definition() {
        let mut adam = AdamW::new(2, [0.9, 0.98]);
        let mut values = vec![1.0f32, -2.0];
        let groups = [group(0..2, Rate::Stage, 0.5, true)];
        let (mut w, mut m, mut v) = ([1.0f64, -2.0], [0.0; 2], [0.0; 2]);
        for t in 1..=3 {
            let g = [0.3 * f64::from(t), -0.01];
            adam.update(&mut values, &g.map(|g| g as f32), &groups, 0.1, 1.0);
            for i in 0..2 {
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                v[i] = 0.98 * v[i] + 0.02 * g[i] * g[i];
                let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.98f64.powi(t)));
                w[i] = w[i] * (1.0 - 0.1 * 0.5) - 0.1 * mh / (vh.sqrt() + 1e-8);
                assert!((f64::from(values[i]) - w[i]).abs() < 1e-6, "{t} {i}");
            }
        }
    }

    #[test]
    fn a_parameter_moves_by_its_rate_and_faster_where_the_gradient_grows() {
        for (growth, expected) in [(0.0, 1.0), (0.02, 1.4507)] {
            let mut adam = AdamW::new(1, [0.9, 0.98]);
            let groups = [group(0..1, Rate::Own(1.0), 0.0, false)];
            let mut moved = 0.0;
            for step in 0..1000 {
                let mut value = [0.0f32];
                adam.update(&mut value, &[(0.01 * (growth * f64::from(step)).exp()) as f32], &groups, 0.0, 1.0);
                moved = f64::from(-value[0]);
            }
            assert!((moved - expected).abs() < 1e-3 && (pace([0.9, 0.98], growth) - expected).abs() < 1e-3, "{moved}");
        }
    }

    #[test]
    fn clipping_leaves_the_other_groups_alone() {
        let groups = [group(0..2, Rate::Stage, 0.0, true), group(2..3, Rate::Own(1.0), 0.0, false)];
        let mut gradient = vec![3.0, 4.0, 100.0];
        assert_eq!(clip(&mut gradient, &groups, 1.0), 5.0);
        assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6 && gradient[2] == 100.0);
        assert!(clip(&mut gradient, &groups, 1.0) <= 1.0 + 1e-6);
    }

    #[test]
    fn the_rate_rises_holds_and_falls_to_its_floor() {
        let config = OptimizerConfig { warmup: 10, hold: 0.4, floor: 0.1, ..Default::default() };
        let stage = Stage { size: 8, scale: 1.0, batch: 1, steps: 1000, rate: 1.0, plain: 0.0, pairs: 0.0 };
        let at = |step| rate_shape(&config, &stage, step);
        assert!((at(0) - 0.1).abs() < 1e-9 && at(10) == 1.0 && at(400) == 1.0);
        assert!((at(700) - 0.55).abs() < 1e-9 && (at(1000) - 0.1).abs() < 1e-9);
    }
}
