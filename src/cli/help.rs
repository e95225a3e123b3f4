//! Help that names defaults: from the table that owns them.

use crate::bundle::config::SolverKind;
use crate::pipeline::limits::{GUIDANCE, STEPS, solver_defaults};
use crate::pipeline::mask_aware::MaskAwareOptions;

pub fn steps() -> String {
    let [lcm, dmd] = [SolverKind::Lcm, SolverKind::Dmd].map(|solver| solver_defaults(solver).0);
    format!("Denoising steps, {} to {} [default: {}; lcm {lcm}, dmd {dmd}]", STEPS.min, STEPS.max, STEPS.default)
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
