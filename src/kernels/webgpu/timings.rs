//! Which way of doing a thing is fastest on a device, as far as is known, and which ways may be chosen at all.

use core::fmt::Display;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attention::Heads;
use super::conv::Maps;
use super::handing::Blocks;
use super::product::Matrix;
use super::rows::Width;
use crate::device::has_packed_dot;
use crate::error::{Error, Result};

/// What kernels may round to where that is faster; what comes later includes what comes before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// To f32's own.
    Exact,
    /// Factors of products, and what one kernel hands to the next, to f16.
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

/// What of rounding is both allowed and possible.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounding {
    pub half: bool,
    pub int8: bool,
}

impl Rounding {
    pub const NONE: Self = Self { half: false, int8: false };
}

impl Precision {
    pub(super) fn rounding(self, has_f16: bool) -> Rounding {
        Rounding { half: self >= Self::Half && has_f16, int8: self >= Self::Int8 && has_packed_dot() }
    }
}

/// Launches that are alike enough to share their fastest way.
pub(super) trait Class: Copy + PartialEq + Display + Serialize + DeserializeOwned + 'static {
    type Way: Copy + PartialEq + Display + Serialize + DeserializeOwned;

    /// What timings of such launches are called together.
    const KIND: &'static str;

    /// What is taken before anything was timed.
    fn usual(self) -> Self::Way;

    /// What else may be the fastest.
    fn others(self, rounding: Rounding) -> Vec<Self::Way>;

    /// Whether `way`, the fastest for `other`, is taken for this while nothing better is known.
    fn borrows(self, other: Self, way: Self::Way) -> bool;

    fn table(all: &mut All) -> &mut Vec<Timing<Self>>;
}

/// What was found for a class.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Timing<C: Class> {
    pub class: C,
    /// Rows that were timed.
    pub rows: usize,
    /// Milliseconds of each way.
    pub ways: Vec<(C::Way, f64)>,
    pub chosen: C::Way,
}

impl<C: Class> Timing<C> {
    /// As a line: `q8 4608x1152, 512 rows: direct 1.20 ms, shared 0.80 ms; shared`.
    pub fn line(&self) -> String {
        let Self { class, rows, ways, chosen } = self;
        let ways: Vec<_> = ways.iter().map(|(way, ms)| format!("{way} {ms:.2} ms")).collect();
        format!("{class}, {rows} rows: {}; {chosen}", ways.join(", "))
    }
}

/// What was timed, by kind.
#[derive(Debug)]
pub(super) struct All {
    pub products: Vec<Timing<Matrix>>,
    pub attention: Vec<Timing<Heads>>,
    pub norms: Vec<Timing<Width>>,
    pub convolutions: Vec<Timing<Maps>>,
    pub blocks: Vec<Timing<Blocks>>,
}

impl All {
    const NONE: Self = Self {
        products: Vec::new(),
        attention: Vec::new(),
        norms: Vec::new(),
        convolutions: Vec::new(),
        blocks: Vec::new(),
    };
}

/// What was timed on the process's device, all in one precision.
static TIMINGS: Mutex<(Precision, All)> = Mutex::new((Precision::Half, All::NONE));

fn locked() -> MutexGuard<'static, (Precision, All)> {
    TIMINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets what was found in another precision.
pub(super) fn begin(precision: Precision) {
    let mut timings = locked();
    if timings.0 != precision {
        *timings = (precision, All::NONE);
    }
}

/// Takes over what `known`, the JSON of [`found`], has of the classes. What is not in it as it should be, or may not be chosen here,
/// counts as unknown.
pub(super) fn adopt<C: Class>(known: &Value, classes: &[C], rounding: Rounding) {
    let known = known.get(C::KIND).and_then(Value::as_array);
    for timing in known.into_iter().flatten().filter_map(|value| Timing::<C>::deserialize(value).ok()) {
        let Timing { class, chosen, .. } = timing;
        let is_possible = chosen == class.usual() || class.others(rounding).contains(&chosen);
        if is_possible && classes.contains(&class) && !is_known(class) {
            keep(timing);
        }
    }
}

pub(super) fn is_known<C: Class>(class: C) -> bool {
    C::table(&mut locked().1).iter().any(|t| t.class == class)
}

pub(super) fn keep<C: Class>(timing: Timing<C>) {
    C::table(&mut locked().1).push(timing);
}

/// What is known of the classes.
pub(super) fn found<C: Class>(classes: &[C]) -> Vec<Timing<C>> {
    C::table(&mut locked().1).iter().filter(|t| classes.contains(&t.class)).cloned().collect()
}

/// The fastest way for the class, or for one like it.
pub(super) fn chosen<C: Class>(class: C) -> C::Way {
    let mut timings = locked();
    let table = C::table(&mut timings.1);
    let found = table.iter().find(|t| t.class == class);
    found.or_else(|| table.iter().find(|t| class.borrows(t.class, t.chosen))).map_or(class.usual(), |t| t.chosen)
}
