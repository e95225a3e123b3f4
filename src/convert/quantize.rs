//! Values become small integers times a scale per group of neighbours, the way `bundle::chunk` reads them.

use half::f16;

/// A quantized matrix: words of integers, low bits first, and a scale for each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    pub words: Vec<u32>,
    pub scales: Vec<f16>,
    /// Sum of the squared errors.
    pub error: f64,
}

/// Shares of a group's range that clipping tries.
const SHARES: [f32; 8] = [1.0, 0.96, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7];

/// Quantizes `values` to `bits` (4 or 8) in groups of `group`, which divides their number and is a multiple of 8.
///
/// A scale takes the group's largest value to the end of the integers' range, either end; with `clip` it may take it beyond, where
/// that lowers the group's squared error. `None` where a value is not finite or too large for a scale in f16.
pub fn quantize(values: &[f32], bits: u32, group: usize, clip: bool) -> Option<Quantized> {
    let per_word = (32 / bits) as usize;
    let shares = if clip { &SHARES[..] } else { &SHARES[..1] };
    let mut out = Quantized {
        words: Vec::with_capacity(values.len() / per_word),
        scales: Vec::with_capacity(values.len() / group),
        error: 0.0,
    };
    for values in values.chunks(group) {
        let (scale, error) = best_scale(values, bits, shares)?;
        out.scales.push(scale);
        out.error += f64::from(error);
        let integers =
            values.iter().map(|v| nearest(*v, scale.to_f32(), bits) as i32 as u32 & (u32::MAX >> (32 - bits)));
        let integers: Vec<u32> = integers.collect();
        out.words.extend(integers.chunks(per_word).map(|word| word.iter().rev().fold(0u32, |w, i| (w << bits) | i)));
    }
    Some(out)
}

/// Takes `values` to what [`quantize`] makes of them; `None`, with some of them changed, where it would be.
pub fn round(values: &mut [f32], bits: u32, group: usize, clip: bool) -> Option<()> {
    let shares = if clip { &SHARES[..] } else { &SHARES[..1] };
    for values in values.chunks_mut(group) {
        let scale = best_scale(values, bits, shares)?.0.to_f32();
        values.iter_mut().for_each(|v| *v = nearest(*v, scale, bits) * scale);
    }
    Some(())
}

/// The scale with the least squared error, and that error.
fn best_scale(values: &[f32], bits: u32, shares: &[f32]) -> Option<(f16, f32)> {
    if !values.iter().all(|v| v.is_finite()) {
        return None;
    }
    let peak = values.iter().copied().fold(0.0f32, |a, v| if v.abs() > a.abs() { v } else { a });
    let (low, high) = limits(bits);
    let mut best: Option<(f16, f32)> = None;
    for share in shares {
        for scale in [peak.abs() / high, peak / low] {
            let scale = f16::from_f32(scale * share);
            if scale.is_infinite() {
                continue;
            }
            let step = scale.to_f32();
            let square = |v: &f32| (v - nearest(*v, step, bits) * step).powi(2);
            let error = values.iter().map(square).sum::<f32>();
            if best.is_none_or(|(_, least)| error < least) {
                best = Some((scale, error));
            }
        }
    }
    best
}

/// The integer, as a float, that comes nearest to `value`; 0 where the scale is.
fn nearest(value: f32, scale: f32, bits: u32) -> f32 {
    // Adding and taking away 1.5 · 2²³ rounds to an integer, ties to even, and is quicker than `round`.
    const ROUND: f32 = 12_582_912.0;
    let (low, high) = limits(bits);
    if scale == 0.0 {
        return 0.0;
    }
    ((value / scale).clamp(low, high) + ROUND) - ROUND
}

/// Least and greatest integer of `bits` in two's complement.
fn limits(bits: u32) -> (f32, f32) {
    let half = (1u32 << (bits - 1)) as f32;
    (-half, half - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.37).sin() * (1.0 + (i / 32) as f32)).collect()
    }

    fn multiplied_out(q: &Quantized, bits: u32, group: usize) -> Vec<f32> {
        let per_word = (32 / bits) as usize;
        let integer = |i: usize| {
            let word = q.words[i / per_word];
            (word << (32 - bits * (i % per_word + 1) as u32)) as i32 >> (32 - bits)
        };
        (0..q.words.len() * per_word).map(|i| integer(i) as f32 * q.scales[i / group].to_f32()).collect()
    }

    #[test]
    fn values_come_back_within_half_a_step() {
        let values = wave(128);
        for (bits, steps) in [(8, 127.0f32), (4, 7.0)] {
            let q = quantize(&values, bits, 32, false).unwrap();
            let back = multiplied_out(&q, bits, 32);
            let mut error = 0.0;
            for (i, (a, b)) in values.iter().zip(&back).enumerate() {
                let peak = values[i / 32 * 32..][..32].iter().fold(0.0f32, |m, v| m.max(v.abs()));
                assert!((a - b).abs() <= 0.57 * peak / steps, "{bits} bits, {i}: {a} {b}");
                error += f64::from(a - b).powi(2);
            }
            assert!((q.error - error).abs() <= 1e-4 * error);
            let mut rounded = values.clone();
            round(&mut rounded, bits, 32, false).unwrap();
            assert_eq!(rounded, back);
        }
    }

    #[test]
    fn clipping_lowers_the_error_of_a_group_with_an_outlier() {
        let mut values = vec![0.9f32, -1.1, 1.0, -0.8, 1.05, 0.95, -1.0, -0.9];
        values.extend(values.clone().iter().map(|v| v * 0.97));
        values[3] = 9.5;
        let (plain, clipped) = (quantize(&values, 4, 16, false).unwrap(), quantize(&values, 4, 16, true).unwrap());
        assert!(clipped.error < 0.9 * plain.error, "{} {}", clipped.error, plain.error);
    }

    #[test]
    fn groups_of_nothing_and_of_too_much() {
        let zero = quantize(&[0.0; 8], 4, 8, true).unwrap();
        assert_eq!((zero.words, zero.scales, zero.error), (vec![0], vec![f16::ZERO], 0.0));
        assert!(multiplied_out(&quantize(&[1e-9; 8], 8, 8, true).unwrap(), 8, 8).iter().all(|v| *v == 0.0));
        assert_eq!(quantize(&[f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 4, 8, true), None);
        assert_eq!(quantize(&[1e9; 8], 8, 8, true), None);
    }
}
