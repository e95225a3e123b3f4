//! What of a model stays on the device: a large text encoder passes by for every prompt that is not known yet, and the half of a large
//! autoencoder that reads pictures is there while it reads one.

use serde::{Deserialize, Serialize};

use crate::bundle::Manifest;
use crate::bundle::manifest::Part;
use crate::bundle::section::Section;
use crate::device::Backend;

use super::weight_bytes::section_bytes;

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

/// The half of an autoencoder that reads pictures, where it takes more than this, comes and goes.
const RESIDENT_ENCODER_BYTES: u64 = 32 << 20;

/// Whether a section of `manifest` is loaded with the model on `backend`.
pub fn stays(section: Section, manifest: &Manifest, backend: Backend, mode: TextEncoderMode) -> bool {
    match section {
        Section::Part(Part::TextEncoder) => !mode.streams(manifest, backend),
        Section::VaeEncoder => section_bytes(manifest, section, backend) <= RESIDENT_ENCODER_BYTES,
        Section::Part(_) => true,
    }
}

impl TextEncoderMode {
    /// Whether the text encoder of `manifest` passes by on `backend`.
    pub fn streams(self, manifest: &Manifest, backend: Backend) -> bool {
        manifest.parts.text_encoder.is_some()
            && match self {
                Self::Resident => false,
                Self::Streamed => true,
                Self::Auto => section_bytes(manifest, Section::Part(Part::TextEncoder), backend) > RESIDENT_BYTES,
            }
    }
}
