//! Help that names defaults: from the table that owns them.

#[cfg(feature = "train")]
use clap::builder::RangedI64ValueParser;

use crate::bundle::config::SolverKind;
use crate::pipeline::limits::{GUIDANCE, STEPS, solver_defaults};
use crate::pipeline::mask_aware::MaskAwareOptions;

pub fn steps() -> String {
    let [lcm, dmd] = [SolverKind::Lcm, SolverKind::Dmd].map(|solver| solver_defaults(solver).0);
    format!("Denoising steps, {} to {} [default: {}; lcm {lcm}, dmd {dmd}]", STEPS.min, STEPS.max, STEPS.default)
}

/// What `--steps` takes.
#[cfg(feature = "train")]
pub fn steps_range() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(STEPS.min as i64..=STEPS.max as i64)
}

pub fn guidance() -> String {
    let off = solver_defaults(SolverKind::Lcm).1;
    format!(
        "Weight of the prompt, up to {}; 1 and below turn guidance off [default: {}; lcm and dmd {off}]",
        GUIDANCE.max, GUIDANCE.default
    )
}

pub fn refresh() -> String {
    let MaskAwareOptions { refresh, .. } = MaskAwareOptions::default();
    format!("Mask-aware: every how many steps all tokens run [default: {refresh}]")
}
