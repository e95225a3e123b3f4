//! Whether a text encoder stays on the device, or passes by for every prompt that is not known yet.

use serde::{Deserialize, Serialize};

use crate::bundle::Manifest;
use crate::bundle::manifest::Part;
use crate::device::Backend;

use super::weight_bytes::part_bytes;

/// An encoder that takes more than this passes by.
const RESIDENT_BYTES: u64 = 256 << 20;

/// What becomes of a model's text encoder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum TextEncoderMode {
    /// It stays where it takes no more than 256 MiB.
    #[default]
    Auto,
    /// It stays on the device.
    Resident,
    /// Its files are read for a prompt that is not known yet, a layer at a time, and leave with it.
    Streamed,
}

impl TextEncoderMode {
    /// Whether the text encoder of `manifest` passes by on `backend`.
    pub fn streams(self, manifest: &Manifest, backend: Backend) -> bool {
        manifest.parts.text_encoder.is_some()
            && match self {
                Self::Resident => false,
                Self::Streamed => true,
                Self::Auto => part_bytes(manifest, Part::TextEncoder, backend) > RESIDENT_BYTES,
            }
    }
}
