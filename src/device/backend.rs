//! What computes.

use serde::Serialize;

/// The backends a caller can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    Cpu,
    #[serde(rename = "webgpu")]
    Gpu,
}

impl Backend {
    /// The one that a browser module has.
    pub const COMPILED_IN: Self = if cfg!(feature = "webgpu") { Self::Gpu } else { Self::Cpu };

    /// The name JavaScript and the command line use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "webgpu",
        }
    }
}
