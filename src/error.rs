//! The one error type: what went wrong, its stable code, and the data a caller needs to act on it.

use serde_json::{Value, json};

/// Every code that a `DiffCRError` can carry in JavaScript, with what it means. The engine raises those that [`Error::code`] gives, the
/// package the others.
pub const BROWSER_CODES: [(&str, &str); 18] = [
    ("WEBGPU_UNAVAILABLE", "The browser has no WebGPU, or none for this page."),
    ("NO_ADAPTER", "WebGPU is there but gives no adapter or device."),
    ("WORKER", "The worker could not be started: `url`, `remedy`."),
    ("LIMIT_TOO_SMALL", "The adapter's limit is below what the run needs: `limit`, `needed`, `available`."),
    (
        "OUT_OF_MEMORY",
        "The run needs more memory than there is: `needed`, `available`, and of a picture `width`, `height`. The pipeline goes on.",
    ),
    ("DEVICE_LOST", "The device was lost while working; the next call loads the model again."),
    ("INTEGRITY", "A file is missing, truncated or altered: `file`."),
    ("NETWORK", "Nothing, or a status that is none, came back: `url`, `status`."),
    ("QUOTA", "The browser keeps no more; the model is loaded all the same (a warning)."),
    ("OFFLINE_MISS", "The network is gone and a file was not kept."),
    ("MANIFEST_INVALID", "`diffcr.json` is not what the schema asks for."),
    ("MANIFEST_VERSION", "The bundle was written for another version of the format: `found`, `supported`."),
    ("MODEL_INVALID", "A tensor or a setting does not make a model: `name`."),
    ("NOT_FINITE", "A run's latents or pixels are no numbers any more: `what`, `step`, `total`."),
    ("BUSY", "Another run is under way, and `busy: 'reject'` asked not to wait; or a later one took its place."),
    ("DISPOSED", "The pipeline was disposed of, or has ended."),
    ("INVALID_INPUT", "An option is not what it may be: `field`."),
    ("INTERNAL", "A fault of ours."),
];

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can fail, from a manifest to a GPU.
///
/// [`Error::code`] is stable and is what JavaScript sees as `DiffCRError.code`;
/// [`Error::details`] is what it sees as `DiffCRError.details`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `diffcr.json` is not what the schema asks for.
    #[error("manifest: {message}")]
    ManifestInvalid { message: String },
    /// The bundle was written for another version of the format.
    #[error("manifest: formatVersion {found} is not supported, this build reads up to {supported}")]
    ManifestVersion { found: u64, supported: u64 },
    /// A file of the bundle is missing, truncated or altered.
    #[error("{file}: {reason}")]
    Integrity { file: String, reason: String },
    /// A tensor or a setting does not make a model: missing, unknown, misshapen or unsupported.
    #[error("{name}: {reason}")]
    ModelInvalid { name: String, reason: String },
    /// An argument of the caller, named.
    #[error("{field}: {reason}")]
    InvalidInput { field: String, reason: String },
    /// The browser has no WebGPU, or none for this context.
    #[error("WebGPU is not available: {reason}")]
    WebgpuUnavailable { reason: String },
    /// WebGPU is there but gives no adapter or device.
    #[error("no WebGPU adapter: {reason}")]
    NoAdapter { reason: String },
    /// The adapter's limit is below what the model needs.
    #[error("the adapter's {limit} is {available}, the model needs {needed}")]
    LimitTooSmall { limit: String, needed: u64, available: u64 },
    /// The run needs more memory than there is.
    #[error("out of memory: a picture of {width} x {height} pixels needs {needed} bytes, there are {available}")]
    OutOfMemory { needed: u64, available: u64, width: usize, height: usize },
    /// The device was lost while working.
    #[error("the device failed: {reason}")]
    DeviceLost { reason: String },
    /// A run's values are no numbers any more.
    #[error(
        "step {step} of {total}: the {what} are not finite (NaN or infinity): the weights or the precision do not hold"
    )]
    NotFinite { what: &'static str, step: usize, total: usize },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// Reading or writing a file failed.
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    /// A fault of ours.
    #[error("internal error: {reason}")]
    Internal { reason: String },
}

impl Error {
    /// The stable name of the failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ManifestInvalid { .. } => "MANIFEST_INVALID",
            Self::ManifestVersion { .. } => "MANIFEST_VERSION",
            Self::Integrity { .. } => "INTEGRITY",
            Self::ModelInvalid { .. } => "MODEL_INVALID",
            Self::InvalidInput { .. } => "INVALID_INPUT",
            Self::WebgpuUnavailable { .. } => "WEBGPU_UNAVAILABLE",
            Self::NoAdapter { .. } => "NO_ADAPTER",
            Self::LimitTooSmall { .. } => "LIMIT_TOO_SMALL",
            Self::OutOfMemory { .. } => "OUT_OF_MEMORY",
            Self::DeviceLost { .. } => "DEVICE_LOST",
            Self::NotFinite { .. } => "NOT_FINITE",
            Self::Cancelled => "CANCELLED",
            Self::Io { .. } => "IO",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    /// The data of the failure, as JSON.
    pub fn details(&self) -> Value {
        match self {
            Self::ManifestInvalid { .. } | Self::Cancelled | Self::Internal { .. } => json!({}),
            Self::ManifestVersion { found, supported } => json!({ "found": found, "supported": supported }),
            Self::Integrity { file, reason } => json!({ "file": file, "reason": reason }),
            Self::ModelInvalid { name, reason } => json!({ "name": name, "reason": reason }),
            Self::InvalidInput { field, reason } => json!({ "field": field, "reason": reason }),
            Self::WebgpuUnavailable { reason } | Self::NoAdapter { reason } | Self::DeviceLost { reason } => {
                json!({ "reason": reason })
            }
            Self::LimitTooSmall { limit, needed, available } => {
                json!({ "limit": limit, "needed": needed, "available": available })
            }
            Self::NotFinite { what, step, total } => json!({ "what": what, "step": step, "total": total }),
            Self::OutOfMemory { needed, available, width, height } => {
                json!({ "needed": needed, "available": available, "width": width, "height": height })
            }
            Self::Io { path, .. } => json!({ "path": path }),
        }
    }

    pub fn manifest(message: impl Into<String>) -> Self {
        Self::ManifestInvalid { message: message.into() }
    }

    pub fn integrity(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Integrity { file: file.into(), reason: reason.into() }
    }

    pub fn model(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::ModelInvalid { name: name.into(), reason: reason.into() }
    }

    pub fn input(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidInput { field: field.into(), reason: reason.into() }
    }

    pub fn internal(reason: impl Into<String>) -> Self {
        Self::Internal { reason: reason.into() }
    }

    pub fn io(path: impl AsRef<std::path::Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().display().to_string(), source }
    }
}
