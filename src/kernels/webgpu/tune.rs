//! Finds what a device does fastest by timing it on a model's own work.

use burn::tensor::{Device, Tensor};
use serde_json::{Map, Value, json};

use super::attention::SelfAttention;
use super::conv::Convolution;
use super::handing::Trial;
use super::launch::Buffer;
use super::product::Product;
use super::rows::Norms;
use super::self_test::{error, noise};
use super::timings::{self, Class, Precision, Rounding, Timing};
use crate::error::Result;

/// Milliseconds that a launch may take: rows are left out beyond; and that a timing should take.
const LAUNCH: f64 = 20.0;
const TIMING: f64 = 10.0;
/// Rows that are timed at first, unless there are fewer.
const FIRST: usize = 64;
/// Rows on which the results of two ways are compared.
pub(super) const SAMPLE: usize = 16;
/// Values up to which an input is noise.
const NOISE: usize = 1 << 18;
/// Of the usual way's time, what another has to stay below.
const GAIN: f64 = 0.95;

/// Work that can be done in more than one way.
pub(super) trait Contest {
    type Class: Class;
    type Input;

    fn class(&self) -> Self::Class;

    /// Whether the choice is worth its time.
    fn matters(&self) -> bool;

    /// Of the model's own size.
    fn rows(&self) -> usize;

    fn input(&self, rows: usize, device: &Device) -> Self::Input;

    fn run(&self, way: <Self::Class as Class>::Way, input: &Self::Input) -> Tensor<3>;

    /// Error of a way, of the largest value, up to which it may be chosen.
    fn tolerance(&self, way: <Self::Class as Class>::Way) -> f64;
}

/// What a model does, one of each kind.
#[derive(Default)]
pub struct Workload<'a> {
    pub products: Vec<Product>,
    pub attention: Vec<SelfAttention>,
    pub norms: Vec<Norms>,
    pub convolutions: Vec<Convolution>,
    /// Of a block: timed with what was chosen for the others.
    pub blocks: Vec<Trial<'a>>,
}

impl Workload<'_> {
    /// Times the ways of each thing that is worth it, until `budget` milliseconds of `clock` are over, and keeps the fastest for what is
    /// of its class. What `known`, the JSON of earlier timings, has of them is taken as it is, unless this device or the precision
    /// rules it out. What was found in another precision is forgotten.
    ///
    /// # Errors
    /// `DeviceLost` where the device does not answer.
    pub async fn tune(
        &self,
        precision: Precision,
        known: &str,
        device: &Device,
        clock: &dyn Fn() -> f64,
        budget: f64,
    ) -> Result<()> {
        timings::begin(precision);
        let race = Race {
            known: serde_json::from_str(known).unwrap_or_default(),
            rounding: precision.rounding(Buffer::packed(Tensor::<1>::zeros([1], device)).has_f16()),
            device,
            clock,
            end: clock() + budget,
        };
        race.adopt(&self.products);
        race.adopt(&self.attention);
        race.adopt(&self.norms);
        race.adopt(&self.convolutions);
        race.adopt(&self.blocks);
        race.run(&self.products).await?;
        race.run(&self.attention).await?;
        race.run(&self.norms).await?;
        race.run(&self.blocks).await?;
        race.run(&self.convolutions).await
    }

    /// What is known of it, as lines to read and as JSON to keep.
    pub fn timings(&self) -> (Vec<String>, Value) {
        let (mut lines, mut kinds) = (Vec::new(), Map::new());
        list(&self.products, &mut lines, &mut kinds);
        list(&self.attention, &mut lines, &mut kinds);
        list(&self.norms, &mut lines, &mut kinds);
        list(&self.convolutions, &mut lines, &mut kinds);
        list(&self.blocks, &mut lines, &mut kinds);
        (lines, kinds.into())
    }
}

fn classes<C: Contest>(contests: &[C]) -> Vec<C::Class> {
    contests.iter().map(Contest::class).collect()
}

fn list<C: Contest>(contests: &[C], lines: &mut Vec<String>, kinds: &mut Map<String, Value>) {
    let found = timings::found(&classes(contests));
    if !found.is_empty() {
        lines.extend(found.iter().map(Timing::line));
        kinds.insert(C::Class::KIND.into(), json!(found));
    }
}

struct Race<'a> {
    known: Value,
    rounding: Rounding,
    device: &'a Device,
    clock: &'a dyn Fn() -> f64,
    end: f64,
}

impl Race<'_> {
    fn adopt<C: Contest>(&self, contests: &[C]) {
        timings::adopt(&self.known, &classes(contests), self.rounding);
    }

    /// As many of the contests as there is time for.
    async fn run<C: Contest>(&self, contests: &[C]) -> Result<()> {
        for contest in contests {
            let class = contest.class();
            let others = class.others(self.rounding);
            if timings::is_known(class) || others.is_empty() || !contest.matters() {
                continue;
            }
            let Some(timing) = self.time(contest, &others).await? else { return Ok(()) };
            log::info!("{}", timing.line());
            timings::keep(timing);
        }
        Ok(())
    }

    /// None where the time was over first.
    async fn time<C: Contest>(
        &self,
        contest: &C,
        others: &[<C::Class as Class>::Way],
    ) -> Result<Option<Timing<C::Class>>> {
        let ms = async |way, input: &C::Input, count: usize| -> Result<f64> {
            let start = (self.clock)();
            let last = (0..count).map(|_| contest.run(way, input)).last();
            if let Some(last) = last {
                Buffer::packed(last).done().await?;
            }
            Ok(((self.clock)() - start) / count as f64)
        };
        let class = contest.class();
        let usual = class.usual();
        let sample = contest.input(SAMPLE, self.device);
        let mut rows = contest.rows().min(FIRST);
        let mut input = contest.input(rows, self.device);
        let mut ways = Vec::new();
        for way in core::iter::once(usual).chain(others.iter().copied()) {
            if (self.clock)() > self.end {
                return Ok(None);
            }
            if way != usual {
                let error = error(contest.run(way, &sample), contest.run(usual, &sample)).await?;
                if error > contest.tolerance(way) {
                    log::info!("{class}: {way} is off by {error:.1e} of the largest value and is not used");
                    continue;
                }
            }
            ms(way, &input, 1).await?; // compiles
            if ways.is_empty() && contest.rows() > rows {
                let part = LAUNCH / ms(way, &input, 1).await?.max(1e-3);
                rows = ((rows as f64 * part) as usize).clamp(rows, contest.rows());
                input = contest.input(rows, self.device);
            }
            let once = ms(way, &input, 1).await?;
            let count = (TIMING / once.max(1e-3)).clamp(1.0, 32.0) as usize;
            let again = if count > 1 { ms(way, &input, count).await?.min(ms(way, &input, count).await?) } else { once };
            ways.push((way, again));
        }
        let bar = ways.first().map_or(f64::MAX, |(_, ms)| ms * GAIN);
        let best = ways.iter().filter(|(_, ms)| *ms < bar).min_by(|a, b| a.1.total_cmp(&b.1));
        let chosen = best.map_or(usual, |(way, _)| *way);
        Ok(Some(Timing { class, rows, ways, chosen }))
    }
}

/// Something to work on: noise, or zeros where that would take long to write.
pub(super) fn input<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    if shape.iter().product::<usize>() > NOISE { Tensor::zeros(shape, device) } else { noise(shape, 1.0, device) }
}
