//! Mask-aware routing: which tokens of an inpainting run at which steps.
//!
//! Active are the tokens with a cell to redraw and a ring around them. Every `refresh`-th step is full, and the steps between run
//! the active tokens alone, which attend to what the last full step cached of the others ([`crate::model::active_tokens`]). Runs
//! that would gain little, or lose something, stay full.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::active_tokens::{ActiveTokens, KeyValueCache};

/// Bytes that may be cached; a run that would need more is full.
const MAX_CACHE: usize = 512 << 20;

/// How a run follows its hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MaskAwareOptions {
    /// Tokens around the hole, in every direction, that run at every step.
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub ring: usize,
    /// Every how many steps all tokens run. 0: never, and the others are not attended to.
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub refresh: usize,
    /// Runs of fewer steps are full: from one step to the next too much changes.
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub min_steps: usize,
    /// Runs with more than this share of the tokens active, in percent, are full: there is little to gain.
    #[cfg_attr(test, ts(as = "Option<_>", optional))]
    pub max_active: usize,
}

impl Default for MaskAwareOptions {
    fn default() -> Self {
        Self { ring: 0, refresh: 7, min_steps: 8, max_active: 50 }
    }
}

/// What a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepMode {
    /// All tokens, as without a plan.
    All,
    /// All tokens, caching keys and values of those that are not active.
    Cache,
    /// The active ones.
    Active,
}

/// The plan of one run.
#[derive(Debug, Clone)]
pub struct MaskAwarePlan {
    pub active: ActiveTokens,
    pub cache: KeyValueCache,
    refresh: usize,
    steps: usize,
}

/// The run that a plan is made for.
#[derive(Debug, Clone, Copy)]
pub struct RunShape {
    /// Latent cells in a row.
    pub columns: usize,
    /// Cells along a token.
    pub patch: usize,
    pub steps: usize,
    /// What a token that is not active takes to be cached, in all layers and for all images of the batch.
    pub bytes_per_token: usize,
}

impl MaskAwareOptions {
    /// The plan for a run over latent cells of which some are redrawn; `None` where all tokens had better run.
    ///
    /// # Errors
    /// `InvalidInput` on `maskAware` where a number is absurd.
    pub fn plan(&self, redrawn: &[bool], shape: RunShape, device: &Device) -> Result<Option<MaskAwarePlan>> {
        if self.max_active > 100 || self.ring > 1 << 16 {
            return Err(Error::input("maskAware", "ring must be at most 65536 and maxActive at most 100"));
        }
        let tokens = self.active(redrawn, shape.columns, shape.patch);
        let active = tokens.iter().filter(|f| **f).count();
        let cached = shape.bytes_per_token.saturating_mul(tokens.len() - active);
        if shape.steps < self.min_steps || 100 * active > self.max_active * tokens.len() || cached > MAX_CACHE {
            return Ok(None);
        }
        let plan = |active| MaskAwarePlan {
            active,
            cache: KeyValueCache::default(),
            refresh: self.refresh,
            steps: shape.steps,
        };
        Ok(ActiveTokens::new(&tokens, device).map(plan))
    }

    /// The tokens of the grid with a redrawn cell within `ring` tokens.
    fn active(&self, redrawn: &[bool], columns: usize, patch: usize) -> Vec<bool> {
        let (across, down) = (columns / patch, redrawn.len() / columns / patch);
        let mut hole = vec![false; across * down];
        for (i, _) in redrawn.iter().enumerate().filter(|(_, r)| **r) {
            hole[i / columns / patch * across + i % columns / patch] = true;
        }
        let near = |i: usize, limit: usize| i.saturating_sub(self.ring)..(i.saturating_add(self.ring + 1)).min(limit);
        let reached = |i: usize| near(i / across, down).any(|y| near(i % across, across).any(|x| hole[y * across + x]));
        (0..across * down).map(reached).collect()
    }
}

impl MaskAwarePlan {
    /// What step `i` of the run does.
    pub fn mode(&self, i: usize) -> StepMode {
        match self.refresh {
            0 => StepMode::Active,
            refresh if !i.is_multiple_of(refresh) => StepMode::Active,
            // What nobody will use need not be cached.
            refresh if refresh == 1 || i + 1 >= self.steps => StepMode::All,
            _ => StepMode::Cache,
        }
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    fn plan(options: MaskAwareOptions, redrawn: &[usize], steps: usize) -> Option<MaskAwarePlan> {
        let cells: Vec<bool> = (0..64).map(|i| redrawn.contains(&i)).collect();
        let shape = RunShape { columns: 8, patch: 2, steps, bytes_per_token: 1 << 20 };
        options.plan(&cells, shape, &Device::flex()).unwrap()
    }

    #[test]
    fn the_ring_grows_around_the_hole_and_stays_in_the_grid() {
        let active = |ring, cells: &[usize]| {
            plan(MaskAwareOptions { ring, max_active: 100, ..Default::default() }, cells, 20).map(|p| p.active.active())
        };
        assert_eq!(active(0, &[27]), Some(1));
        assert_eq!(active(0, &[27, 28]), Some(2), "two patches");
        assert_eq!(active(1, &[27]), Some(9));
        assert_eq!(active(1, &[0]), Some(4), "in a corner");
        assert_eq!(active(3, &[27]), None, "all of them");
        assert_eq!(active(0, &[]), None);
    }

    #[test]
    fn full_steps_come_first_and_every_so_often() {
        let modes = |refresh, steps: usize| {
            let plan = plan(MaskAwareOptions { refresh, ..Default::default() }, &[27], steps).unwrap();
            (0..steps).map(|i| plan.mode(i)).collect::<Vec<_>>()
        };
        use StepMode::*;
        assert_eq!(modes(4, 9), [Cache, Active, Active, Active, Cache, Active, Active, Active, All]);
        assert_eq!(modes(0, 8), [Active; 8]);
        assert_eq!(modes(1, 8), [All; 8]);
    }

    #[test]
    fn short_runs_large_holes_and_large_caches_are_full() {
        assert!(plan(MaskAwareOptions::default(), &[27], 7).is_none());
        assert!(plan(MaskAwareOptions::default(), &(0..60).collect::<Vec<_>>(), 20).is_none());
        let shape = RunShape { columns: 8, patch: 2, steps: 20, bytes_per_token: 64 << 20 };
        let cells: Vec<bool> = (0..64).map(|i| i == 27).collect();
        assert!(MaskAwareOptions::default().plan(&cells, shape, &Device::flex()).unwrap().is_none());
        assert!(
            MaskAwareOptions { max_active: 101, ..Default::default() }.plan(&cells, shape, &Device::flex()).is_err()
        );
    }
}
