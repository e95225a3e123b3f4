//! Whether the keep ratios of a run can get where they are asked to: a warning before the first step, not a surprise after the last.

use super::config::TrainConfig;
use super::controller::{BAND, SPEED};
use super::optimizer::{pace, rate_shape};
use super::stage::Stage;

/// What to say where the mean keep ratio, `mean` now, cannot come within [`BAND`] of its target in the steps left: those of `stages`,
/// of whose first one `done` steps are over.
///
/// A ratio is a parameter of AdamW's as it is, so it moves by about `ratioRate` a step, times the stage's warmup and decay; where
/// the gradient grows as fast as λ may, by [`pace`] times that. What a layer loses by skipping only holds it back.
pub fn warning(config: &TrainConfig, stages: &[Stage], done: u64, mean: f64) -> Option<String> {
    let rate = config.routing.ratio_rate;
    let target = 1.0 - config.routing.compression;
    let distance = (mean - target).abs() - BAND;
    let fastest = pace(config.optimizer.betas, SPEED).max(1.0);
    let (mut steps, mut steady) = (0u64, 0.0);
    for (i, stage) in stages.iter().enumerate() {
        for step in if i == 0 { done } else { 0 }..stage.steps {
            steady += rate * rate_shape(&config.optimizer, stage, step);
            steps += 1;
            if fastest * steady >= distance {
                return None;
            }
        }
    }
    if steady <= 0.0 {
        return None;
    }
    Some(format!(
        "warning: the mean keep ratio will not get from {mean:.3} to {target:.3} in the {steps} steps left: the ratios move by about \
         routing.ratioRate ({rate}) a step, less in warmup and decay, so by {} in all and {} at best. Raise routing.ratioRate to {}, \
         or train longer: it takes {} steps at the full rate",
        rounded(steady, f64::round),
        rounded(steady * fastest, f64::round),
        rounded(rate * distance / steady, f64::ceil),
        (distance / rate).ceil(),
    ))
}

/// A positive number to two digits, the last one as `how` says.
fn rounded(value: f64, how: fn(f64) -> f64) -> String {
    let digits = (1.0 - value.log10().floor()).clamp(0.0, 300.0) as usize;
    let unit = 10f64.powi(digits as i32);
    format!("{:.digits$}", how(value * unit) / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::Kind;
    use crate::train::controller::{Controller, target_at};
    use crate::train::optimizer::{AdamW, Group, Rate};

    fn config(stages: &str, routing: &str) -> TrainConfig {
        let text = format!("out='o'\nwork='w'\nfrom='b'\nstage=[{stages}]\n[routing]\n{routing}");
        TrainConfig::parse(&text, Kind::Diffcr).unwrap()
    }

    fn warned(stages: &str, routing: &str, done: u64, mean: f64) -> Option<String> {
        let config = config(stages, routing);
        warning(&config, &config.stages().unwrap(), done, mean)
    }

    #[test]
    fn a_run_that_is_too_short_is_told_with_its_figures() {
        let said = warned("{ size = 64, batch = 64, steps = 100, lr = 6e-4 }", "", 0, 1.0).unwrap();
        for part in ["from 1.000 to 0.700 in the 100 steps left", "ratioRate (0.002)", "by 0.091 in all", "148 steps"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // What it advises is enough, and not much more than that.
        let advised = said.split("Raise routing.ratioRate to ").nth(1).unwrap().split(',').next().unwrap();
        assert_eq!(advised, "0.0065");
        let raised = |rate: f64| {
            warned("{ size = 64, batch = 64, steps = 100, lr = 6e-4 }", &format!("ratioRate = {rate}"), 0, 1.0)
        };
        assert!(raised(0.0065).is_none() && raised(0.0065 / 2.0).is_some());
    }

    #[test]
    fn what_counts_is_the_way_that_is_left() {
        let long = "{ size = 64, batch = 64, steps = 1200, lr = 6e-4 }";
        assert_eq!(warned(long, "", 0, 1.0), None);
        assert_eq!(
            warned("{ size = 64, batch = 64, steps = 100, lr = 6e-4 }", "", 0, 0.75),
            None,
            "most of the way is behind it"
        );
        assert_eq!(warned("{ size = 64, batch = 64, steps = 1, lr = 6e-4 }", "", 0, 0.704), None, "it is there");
        assert!(
            warned("{ size = 64, batch = 64, steps = 1, lr = 6e-4 }", "compression = 0.1", 0, 0.7).is_some(),
            "upwards too"
        );
        assert!(warned(long, "", 1150, 1.0).unwrap().contains("in the 50 steps left"));
        assert_eq!(warned(long, "", 1200, 1.0), None, "nothing can be changed any more");
        let stages =
            "{ size = 32, batch = 64, steps = 150, lr = 6e-4 }, { size = 64, batch = 64, steps = 150, lr = 6e-4 }";
        assert!(warned(stages, "", 0, 1.0).is_none() && warned(stages, "", 150, 1.0).is_some());
    }

    #[test]
    fn figures_have_two_digits() {
        for (value, near, up) in
            [(0.000421, "0.00042", "0.00043"), (0.5, "0.50", "0.50"), (1.23, "1.2", "1.3"), (1234.0, "1234", "1234")]
        {
            assert_eq!((rounded(value, f64::round).as_str(), rounded(value, f64::ceil).as_str()), (near, up));
        }
    }

    /// Ratios that nothing holds back move at least as far as the steady figure says, about, and never beyond the best.
    #[test]
    fn ratios_move_as_far_as_it_says() {
        for steps in [50, 100, 200] {
            let config =
                config(&format!("{{ size = 64, batch = 64, steps = {steps}, lr = 6e-4 }}"), "compression = 0.9");
            let stage = config.stages().unwrap()[0];
            let mut ratio = vec![1.0f32; 8];
            let mut adam = AdamW::new(ratio.len(), config.optimizer.betas);
            let groups = [Group { range: 0..8, rate: Rate::Own(2e-3), weight_decay: 0.0, clipped: false }];
            let (mut controller, mut steady) = (Controller::new(0.3), 0.0);
            for step in 0..steps {
                let shape = rate_shape(&config.optimizer, &stage, step);
                steady += 2e-3 * shape;
                let target = target_at(1.0, 0.9, 0.5, step as f64 / steps as f64);
                let error = f64::from(ratio[0]) - target;
                let gradient = vec![(controller.lambda * 2.0 * error / 8.0) as f32; 8];
                adam.update(&mut ratio, &gradient, &groups, 1e-4, shape);
                controller.update(f64::from(ratio[0]), target);
            }
            let moved = (1.0 - f64::from(ratio[0])) / steady;
            println!("{steps} steps: {moved:.2} of the steady figure");
            assert!(moved > 0.95 && moved < pace(config.optimizer.betas, SPEED), "{moved}");
        }
    }
}
