//! Pictures at another size: separable linear interpolation whose filter widens where it shrinks, so that nothing aliases.

/// `planes` `[C, from.1, from.0]` at the size `to` (width, height); the same size comes back as it is.
pub fn resize(planes: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    if from == to {
        return planes.to_vec();
    }
    let rows = narrowed(planes, from.0, &taps(from.0, to.0)); // [C, from.1, to.0]
    let (vertical, area) = (taps(from.1, to.1), from.1 * to.0);
    rows.chunks_exact(area.max(1)).flat_map(|plane| stacked(plane, to.0, &vertical)).collect()
}

/// The first source index of an output's filter, and the filter's weights, which sum to 1.
type Tap = (usize, Vec<f32>);

fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    let tap = |i: usize| {
        let center = (i as f64 + 0.5) * scale - 0.5;
        let first = (center - reach).ceil().max(0.0) as usize;
        let last = ((center + reach).floor() as usize).min(from - 1);
        let weights: Vec<f64> = (first..=last).map(|s| (1.0 - (s as f64 - center).abs() / reach).max(0.0)).collect();
        let sum: f64 = weights.iter().sum();
        (first, weights.iter().map(|w| (w / sum) as f32).collect())
    };
    (0..to).map(tap).collect()
}

/// Every row of `width` values filtered along itself.
fn narrowed(values: &[f32], width: usize, taps: &[Tap]) -> Vec<f32> {
    let at = |row: &[f32], (first, weights): &Tap| row[*first..].iter().zip(weights).map(|(v, w)| v * w).sum::<f32>();
    values.chunks_exact(width).flat_map(|row| taps.iter().map(move |tap| at(row, tap))).collect()
}

/// Rows of `width` values filtered across, row by row.
fn stacked(plane: &[f32], width: usize, taps: &[Tap]) -> Vec<f32> {
    let mut out = vec![0.0; width * taps.len()];
    for (line, (first, weights)) in out.chunks_exact_mut(width).zip(taps) {
        for (row, weight) in plane.chunks_exact(width).skip(*first).zip(weights) {
            line.iter_mut().zip(row).for_each(|(sum, v)| *sum += weight * v);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_stays_flat_at_any_size() {
        for (from, to) in [((1, 1), (7, 5)), ((9, 4), (2, 3)), ((3, 8), (8, 3)), ((64, 64), (1, 1))] {
            let planes = vec![0.375; 2 * from.0 * from.1];
            let out = resize(&planes, from, to);
            assert_eq!(out.len(), 2 * to.0 * to.1);
            assert!(out.iter().all(|v| (v - 0.375).abs() < 1e-6), "{from:?} {to:?}");
        }
    }

    #[test]
    fn halving_averages_and_doubling_interpolates() {
        assert_eq!(resize(&[0.0, 4.0], (2, 1), (4, 1)), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(resize(&[0.0, 4.0], (1, 2), (1, 4)), [0.0, 1.0, 3.0, 4.0]);
        // Triangle of reach 2 over eight alternating values: every output away from the border is the mean.
        let out = resize(&[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], (8, 1), (4, 1));
        assert!((out[1] - 0.5).abs() < 1e-6 && (out[2] - 0.5).abs() < 1e-6, "{out:?}");
        assert_eq!(resize(&[1.0, 2.0, 3.0], (3, 1), (3, 1)), [1.0, 2.0, 3.0]);
    }
}
