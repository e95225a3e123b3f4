//! Which variant of a kernel is fastest on a device, as far as is known, and which may be chosen at all.
//!
//! Operations ask [`chosen`] by their key; the tuner fills the table. It is the process's: a process has one device.

use core::any::Any;
use core::fmt::Display;
use core::sync::atomic::{AtomicBool, Ordering};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device::{DeviceProfile, is_software};
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

/// Whether a GPU's variants are taken wherever this runs.
static AS_ON_GPU: AtomicBool = AtomicBool::new(false);

/// From now on what is not timed is chosen as on a GPU, or as the adapter asks for: so that adapters that compute on the CPU can test it.
pub fn choose_as_on_gpu(yes: bool) {
    AS_ON_GPU.store(yes, Ordering::Relaxed);
}

fn on_software() -> bool {
    !AS_ON_GPU.load(Ordering::Relaxed) && is_software()
}

/// What variants there are to choose from.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Whether the device computes on the CPU: it has few registers, no need of neighbours that read neighbours, and a core for each
    /// of a workgroup's invocations in turn.
    pub software: bool,
    /// Whether rounding to f16 is both allowed and possible.
    pub half: bool,
    /// The same of 8 bits.
    pub int8: bool,
}

impl Terms {
    /// Without rounding, on the device at hand.
    pub fn exact() -> Self {
        Self { software: on_software(), half: false, int8: false }
    }
}

impl Precision {
    /// What it leaves to choose from on the device.
    pub fn terms(self, device: &DeviceProfile) -> Terms {
        let half = self >= Self::Half && device.shader_f16;
        let int8 = self >= Self::Int8 && device.packed_dot;
        Terms { half, int8, ..Terms::exact() }
    }
}

/// Launches that are alike enough to share their fastest variant.
pub trait TuneKey: Copy + PartialEq + Display + Serialize + DeserializeOwned + Send + 'static {
    type Variant: Copy + PartialEq + Display + Serialize + DeserializeOwned + Send;

    /// What timings of such launches are called together.
    const KIND: &'static str;

    /// What is taken before anything was timed.
    fn default_variant(self, software: bool) -> Self::Variant;

    /// What else may be the fastest.
    fn candidates(self, terms: Terms) -> Vec<Self::Variant>;

    /// Whether `variant`, the fastest for `other`, is taken for this while nothing better is known.
    fn accepts_from(self, other: Self, variant: Self::Variant) -> bool;
}

/// What was found for a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Timing<K: TuneKey> {
    pub key: K,
    /// Rows that were timed.
    pub rows: usize,
    /// Milliseconds of each variant.
    pub variants: Vec<(K::Variant, f64)>,
    pub chosen: K::Variant,
}

impl<K: TuneKey> Timing<K> {
    /// As a line: `q8 4608x1152, 512 rows: direct 1.20 ms, shared 0.80 ms; shared`.
    pub fn line(&self) -> String {
        let Self { key, rows, variants, chosen } = self;
        let variants: Vec<_> = variants.iter().map(|(variant, ms)| format!("{variant} {ms:.2} ms")).collect();
        format!("{key}, {rows} rows: {}; {chosen}", variants.join(", "))
    }
}

/// What was timed, all in one precision: a `Vec<Timing<K>>` for each type of key.
struct Choices {
    precision: Precision,
    tables: Vec<Box<dyn Any + Send>>,
}

impl Choices {
    fn table<K: TuneKey>(&mut self) -> &mut Vec<Timing<K>> {
        let at = self.tables.iter().position(|table| table.is::<Vec<Timing<K>>>()).unwrap_or_else(|| {
            self.tables.push(Box::new(Vec::<Timing<K>>::new()));
            self.tables.len() - 1
        });
        self.tables[at].downcast_mut().unwrap_or_else(|| unreachable!("its type was just compared"))
    }
}

static CHOICES: Mutex<Choices> = Mutex::new(Choices { precision: Precision::Half, tables: Vec::new() });

fn locked() -> MutexGuard<'static, Choices> {
    CHOICES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets what was found in another precision.
pub fn begin(precision: Precision) {
    let mut choices = locked();
    if choices.precision != precision {
        *choices = Choices { precision, tables: Vec::new() };
    }
}

/// Takes over what `known`, the JSON of [`found`], has of the keys. What is not in it as it should be, or may not be chosen here,
/// counts as unknown.
pub fn adopt<K: TuneKey>(known: &Value, keys: &[K], terms: Terms) {
    let known = known.get(K::KIND).and_then(Value::as_array);
    for timing in known.into_iter().flatten().filter_map(|value| Timing::<K>::deserialize(value).ok()) {
        let Timing { key, chosen, .. } = timing;
        let is_possible = chosen == key.default_variant(terms.software) || key.candidates(terms).contains(&chosen);
        if is_possible && keys.contains(&key) && !is_known(key) {
            keep(timing);
        }
    }
}

pub fn is_known<K: TuneKey>(key: K) -> bool {
    locked().table().iter().any(|t: &Timing<K>| t.key == key)
}

pub fn keep<K: TuneKey>(timing: Timing<K>) {
    locked().table().push(timing);
}

/// What is known of the keys.
pub fn found<K: TuneKey>(keys: &[K]) -> Vec<Timing<K>> {
    locked().table().iter().filter(|t: &&Timing<K>| keys.contains(&t.key)).cloned().collect()
}

/// The fastest variant for the key, or for one like it.
pub fn chosen<K: TuneKey>(key: K) -> K::Variant {
    let mut choices = locked();
    let table = choices.table::<K>();
    let found = table.iter().find(|t| t.key == key);
    found
        .or_else(|| table.iter().find(|t| key.accepts_from(t.key, t.chosen)))
        .map_or_else(|| key.default_variant(on_software()), |t| t.chosen)
}
