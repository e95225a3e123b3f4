//! Seeded Gaussian noise with the same bits natively and in the browser.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// `count` independent values of unit variance.
///
/// ChaCha20 keyed by `seed` (little-endian, zero-padded), its stream number `stream`, turned into pairs by Box–Muller in
/// `f64` through `libm`, never the platform's own mathematics. Value `i` depends on `seed`, `stream` and `i`, not on `count`.
pub fn gaussian(seed: u64, stream: u64, count: usize) -> Vec<f32> {
    gaussian_from(seed, stream, 0, count)
}

/// The `count` values of [`gaussian`] from value `start` on, which is even.
pub fn gaussian_from(seed: u64, stream: u64, start: usize, count: usize) -> Vec<f32> {
    debug_assert!(start.is_multiple_of(2));
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha20Rng::from_seed(key);
    rng.set_stream(stream);
    // A pair of values takes four words.
    rng.set_word_pos(2 * start as u128);
    let mut unit = || (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64); // [0, 1)

    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit()));
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * unit());
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    values.truncate(count);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moments_are_those_of_a_unit_gaussian() {
        let n = 1 << 20;
        let values: Vec<f64> = gaussian(42, 0, n).into_iter().map(f64::from).collect();
        let moment = |p: i32| values.iter().map(|v| v.powi(p)).sum::<f64>() / n as f64;
        // Five standard errors each.
        for (p, expected, variance) in [(1, 0.0, 1.0f64), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let bound = 5.0 * (variance / n as f64).sqrt();
            assert!((moment(p) - expected).abs() < bound, "moment {p}: {}", moment(p));
        }
        let lagged = values.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / n as f64;
        assert!(lagged.abs() < 5.0 / (n as f64).sqrt(), "neighbours correlate: {lagged}");
    }

    #[test]
    fn a_value_depends_on_seed_stream_and_place_alone() {
        let long = gaussian(7, 3, 1001);
        for count in [0, 1, 2, 17, 1000] {
            assert_eq!(gaussian(7, 3, count), long[..count]);
        }
        for start in [2, 16, 500] {
            assert_eq!(gaussian_from(7, 3, start, 99), long[start..start + 99]);
        }
        assert_ne!(gaussian(8, 3, 1001), long);
        assert_ne!(gaussian(7, 4, 1001), long);
    }

    /// Published: an image made from a seed must be the same image in every version.
    #[test]
    fn the_first_values_are_pinned() {
        // From an independent ChaCha20 and Box–Muller in Python.
        assert_eq!(gaussian(0, 0, 6), [0.6957334, 1.0833457, 0.08120268, -0.464422, 0.26873356, 1.2382219]);
        assert_eq!(gaussian(u64::MAX, 1, 6), [1.3042331, 0.042991094, 0.13907526, -0.37427753, -0.12566389, 0.5518597]);
    }
}
