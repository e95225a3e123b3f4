//! The exponential average of the weights: what is exported, and what the next stage starts from.

/// Moves `average` towards `values`: `decay` grows with the steps of the stage, `(1 + t) / (10 + t)`, up to `limit`.
pub fn update(average: &mut [f32], values: &[f32], step: u64, limit: f64) {
    let rest = rest(step, limit) as f32;
    for (slow, fast) in average.iter_mut().zip(values) {
        *slow += rest * (fast - *slow);
    }
}

/// The share of the way that the average goes after `step` steps of a stage.
pub fn rest(step: u64, limit: f64) -> f64 {
    let t = step as f64;
    1.0 - ((1.0 + t) / (10.0 + t)).min(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_at_first_and_smooths_later() {
        let mut average = [0.0f32];
        update(&mut average, &[1.0], 1, 0.998);
        assert!((average[0] - 9.0 / 11.0).abs() < 1e-6);
        let mut late = [0.0f32];
        update(&mut late, &[1.0], 1_000_000, 0.998);
        assert!((late[0] - 0.002).abs() < 1e-6);
    }
}
