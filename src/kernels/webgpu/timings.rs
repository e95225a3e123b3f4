//! Which tiles a device multiplies fastest in, as far as is known, and what may be chosen at all.

use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::gemm::Tile;
use super::packed::Format;
use super::tune::Product;
use crate::device::has_packed_dot;
use crate::error::{Error, Result};

/// What is taken before anything was timed.
pub(super) const USUAL: Tile = Tile::Direct;
/// Up to so many rows are few.
const FEW: usize = 8;

/// What products may round to where that is faster; what comes later includes what comes before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// To f32's own.
    Exact,
    /// Factors to f16.
    #[default]
    Half,
    /// Activations to 8 bits: pictures change a little.
    Int8,
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "exact" => Ok(Self::Exact),
            "half" => Ok(Self::Half),
            "int8" => Ok(Self::Int8),
            _ => Err(Error::input("precision", format!("{name:?} is not \"exact\", \"half\" or \"int8\""))),
        }
    }
}

/// Products that share their fastest tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Class {
    pub format: Format,
    /// `[out, in]`
    pub shape: [usize; 2],
    pub few: bool,
}

impl Class {
    pub fn new(format: Format, shape: [usize; 2], rows: usize) -> Self {
        Self { format, shape, few: rows <= FEW }
    }

    /// The tiles that may be its fastest.
    pub fn candidates(self, precision: Precision, has_f16: bool) -> Vec<Tile> {
        if self.few {
            return vec![USUAL, Tile::Thin];
        }
        // Weights that bundles keep in f32 are meant to be exact.
        let half = precision >= Precision::Half && has_f16 && self.format != Format::F32;
        let int8 = precision >= Precision::Int8 && has_packed_dot() && self.format.is_scaled();
        let rounding = [half.then_some(Tile::Half), int8.then_some(Tile::Int8)];
        [USUAL, Tile::Shared].into_iter().chain(rounding.into_iter().flatten()).collect()
    }
}

/// What was found for a class of products.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Timing {
    pub(super) class: Class,
    /// Rows that were timed.
    pub(super) rows: usize,
    /// Milliseconds of a product.
    pub(super) tiles: Vec<(Tile, f64)>,
    pub(super) chosen: Tile,
}

impl Timing {
    /// As a line: `q8 4608x1152, 512 rows: direct 1.20 ms, shared 0.80 ms; shared`.
    pub fn line(&self) -> String {
        let Class { format, shape: [outputs, inputs], .. } = self.class;
        let tiles: Vec<_> = self.tiles.iter().map(|(tile, ms)| format!("{} {ms:.2} ms", tile.name())).collect();
        let (rows, chosen) = (self.rows, self.chosen.name());
        format!("{} {outputs}x{inputs}, {rows} rows: {}; {chosen}", format.name(), tiles.join(", "))
    }
}

/// What was timed on the process's device, all in one precision.
struct Timings {
    precision: Precision,
    all: Vec<Timing>,
}

static TIMINGS: Mutex<Timings> = Mutex::new(Timings { precision: Precision::Half, all: Vec::new() });

fn locked() -> MutexGuard<'static, Timings> {
    TIMINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of the products.
pub fn timings(products: &[Product]) -> Vec<Timing> {
    let is_theirs = |t: &&Timing| products.iter().any(|product| product.class() == t.class);
    locked().all.iter().filter(is_theirs).cloned().collect()
}

pub(super) fn is_known(class: Class) -> bool {
    locked().all.iter().any(|t| t.class == class)
}

pub(super) fn keep(timing: Timing) {
    locked().all.push(timing);
}

/// Forgets what was found in another precision, and takes over what `known`, the JSON of timings, has of the products. What is not in
/// it as it should be, or is not for this device, counts as unknown.
pub(super) fn begin(precision: Precision, known: &str, products: &[Product], has_f16: bool) {
    let mut timings = locked();
    if timings.precision != precision {
        *timings = Timings { precision, all: Vec::new() };
    }
    let known: Vec<serde_json::Value> = serde_json::from_str(known).unwrap_or_default();
    for timing in known.into_iter().filter_map(|value| serde_json::from_value::<Timing>(value).ok()) {
        let class = timing.class;
        let is_asked_for = products.iter().any(|product| product.class() == class);
        let is_new = timings.all.iter().all(|t| t.class != class);
        if is_asked_for && is_new && class.candidates(precision, has_f16).contains(&timing.chosen) {
            timings.all.push(timing);
        }
    }
}

/// The fastest tile of the class, or of one like it.
pub(super) fn chosen(class: Class) -> Tile {
    let timings = &locked().all;
    // Only on its own matrix is it known how far another tile is off.
    let exact = |t: &Timing| Tile::EXACT.contains(&t.chosen);
    let alike = |t: &&Timing| (t.class.format, t.class.few) == (class.format, class.few) && exact(t);
    let found = timings.iter().find(|t| t.class == class).or_else(|| timings.iter().find(alike));
    found.map_or(USUAL, |t| t.chosen)
}
