//! What a caller is told: of a manifest before its files are fetched, of a model that is loaded, of a step that is done.

use serde::Serialize;

use super::Pipeline;
use super::budget::{Budget, BudgetRequest};
use crate::bundle::Manifest;
use crate::bundle::config::SolverKind;
use crate::bundle::manifest::{FileEntry, Parts};
use crate::bundle::routing::Routing;
use crate::model::ratios::Compression;

/// What a manifest lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ManifestSummary {
    pub name: String,
    /// Changes with the content.
    pub version: String,
    /// Of all files.
    pub total_bytes: u64,
    pub files: Vec<FileEntry>,
}

impl From<&Manifest> for ManifestSummary {
    fn from(manifest: &Manifest) -> Self {
        Self {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            total_bytes: manifest.total_bytes(),
            files: manifest.files.clone(),
        }
    }
}

/// What a run has where nothing is asked for; its seed is one of chance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    pub negative_prompt: String,
    pub steps: usize,
    pub guidance: f64,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    pub solver: SolverKind,
    pub compression: Compression,
}

/// A loaded model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    pub name: String,
    pub version: String,
    /// Size of a picture when none is asked for, in pixels.
    pub width: usize,
    pub height: usize,
    /// Sides of a picture are multiples of so many pixels.
    pub side_multiple: usize,
    /// Pixels per latent cell, along one axis.
    pub pixel_scale: usize,
    pub latent_channels: usize,
    pub default_solver: SolverKind,
    /// What a run has where nothing is asked for.
    pub defaults: Defaults,
    /// The solver of [`Defaults`], and its steps and guidance.
    pub default_steps: usize,
    pub default_guidance: f64,
    /// What the usual picture, guided and of the model's own size, takes of memory.
    pub needs: Budget,
    pub layers: usize,
    /// Of a picture of the model's own size.
    pub tokens: usize,
    pub parts: Parts,
    /// The words that it knows, where each is a token of its own vocabulary; absent for a model that reads any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<Vec<String>>,
    /// Where its layers route their tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
}

impl Pipeline {
    pub fn info(&self) -> ModelInfo {
        let manifest = self.manifest();
        let transformer = &manifest.parts.transformer;
        let solver = manifest.parts.scheduler.solver;
        let (default_steps, default_guidance) = super::limits::solver_defaults(solver);
        ModelInfo {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            width: self.default_side(),
            height: self.default_side(),
            side_multiple: self.side_multiple(),
            pixel_scale: self.pixel_scale(),
            latent_channels: self.latent_channels(),
            default_solver: solver,
            defaults: Defaults {
                negative_prompt: String::new(),
                steps: default_steps,
                guidance: default_guidance,
                width: self.default_side(),
                height: self.default_side(),
                solver,
                compression: Compression::default(),
            },
            default_steps,
            default_guidance,
            needs: Budget::new(manifest, BudgetRequest::usual(manifest), crate::device::profile(self.device()).backend),
            layers: transformer.layers,
            tokens: (transformer.sample_size / transformer.patch_size).saturating_pow(2),
            parts: manifest.parts.clone(),
            vocabulary: self.vocabulary().map(<[String]>::to_vec),
            routing: manifest.routing.clone(),
        }
    }
}
