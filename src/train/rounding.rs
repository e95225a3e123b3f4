//! Training for small weights: a step sees matrices as the converter will store them, and its gradient moves the numbers behind.

use super::config::QuantizeConfig;
use super::parameters::Parameters;
use crate::convert::policy::Policy;
use crate::convert::quantize::round;
use crate::error::{Error, Result};

/// What becomes of each tensor.
#[derive(Debug, Clone)]
pub struct Rounding(Policy);

impl Rounding {
    pub fn new(config: &QuantizeConfig) -> Self {
        Self(Policy { group: config.group, ..Policy::new(config.encoding) })
    }

    /// The parameters with every matrix that will be quantized at the values that come of it.
    ///
    /// # Errors
    /// `ModelInvalid` naming a tensor with a value that has no scale.
    pub fn apply(&self, trained: &Parameters) -> Result<Parameters> {
        let mut values = trained.values().to_vec();
        for view in trained.views() {
            let (encoding, group) = self.0.encoding(view.name, view.shape)?;
            if let (Some(group), Some(range)) = (group, trained.range(view.name)) {
                round(&mut values[range], encoding.bits(), group, self.0.clip)
                    .ok_or_else(|| Error::model(view.name, "a weight is not finite or too large to be quantized"))?;
            }
        }
        trained.with_values(values)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::convert::policy::Scheme;

    #[test]
    fn only_what_is_stored_in_few_bits_changes_and_once() {
        let wave = |count: usize| (0..count).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<f32>>();
        let block = "transformer.transformer_blocks.0.";
        let tensors = BTreeMap::from([
            (format!("{block}ff.net.0.proj.weight"), (vec![2, 64], wave(128))),
            (format!("{block}attn1.to_q.weight"), (vec![2, 64], wave(128))),
            (format!("{block}attn1.to_q.bias"), (vec![64], wave(64))),
            ("transformer.proj_out.weight".to_owned(), (vec![1, 64], wave(64))),
        ]);
        let trained = Parameters::new(tensors).unwrap();
        let rounding = Rounding::new(&QuantizeConfig { encoding: Scheme::Mixed, group: 64 });
        let rounded = rounding.apply(&trained).unwrap();
        let values = |p: &Parameters, name: &str| p.get(name).unwrap().values.to_vec();
        let levels = |name: &str| {
            let mut levels: Vec<u32> = values(&rounded, name)[..64].iter().map(|v| v.to_bits()).collect();
            levels.sort_unstable();
            levels.dedup();
            levels.len()
        };
        assert!(levels(&format!("{block}ff.net.0.proj.weight")) <= 16);
        assert!(levels(&format!("{block}attn1.to_q.weight")) > 16);
        for name in [&format!("{block}attn1.to_q.bias"), "transformer.proj_out.weight"] {
            assert_eq!(values(&rounded, name), values(&trained, name));
        }
        let again = rounding.apply(&rounded).unwrap();
        let moved = again.values().iter().zip(rounded.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(moved < 1e-3, "what is rounded stays where it is: {moved}");
    }
}
