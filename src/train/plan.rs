//! What a run will cost before it starts: memory, time and disk, worked out from the shapes of its tensors.

mod graph;
mod speed;

use std::path::Path;

use serde::Serialize;

use super::config::{Base, Kind, Recompute, TrainConfig, Variant};
use super::lora;
use super::origin::{Fresh, fresh};
use super::stage::Stage;
use crate::bundle::folder::read_manifest;
use crate::bundle::manifest::Parts;
use crate::data::Header;
use crate::device::memory;
use crate::error::{Error, Result};
use crate::flops;
use graph::Graph;

/// The process before it has a model, with its code and threads.
const PROCESS: u64 = 30 << 20;
/// What reading a model takes, in units of its numbers in f32.
const LOADING: f64 = 1.1;
/// Copies of the trained numbers that a run holds: values, average, two moments.
const COPIES: u64 = 4;
/// Those that a core holds of them while it works on a micro-batch: leaves, their gradients, and these as one vector.
const COPIES_A_CORE: u64 = 3;
/// Tensors of a checkpoint.
const CHECKPOINT: u64 = 4;
/// Forward passes that a training step costs.
const PASSES: f64 = 3.0;
/// Without gradients of weights.
const PASSES_FROZEN: f64 = 2.1;
/// Share of the products' speed that a step reaches: norms, activations and copies take the rest.
const EFFICIENCY: f64 = 0.6;
/// Micro-batches larger than this are not looked for.
const MOST: usize = 1024;

/// What a run will cost on this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Numbers of the model, and those of them, or of its adapters, that are trained.
    pub parameters: u64,
    pub trained: u64,
    /// Cores that work on a micro-batch each.
    pub cores: usize,
    pub memory: Memory,
    /// Bytes that are free; none where the system does not tell.
    pub available: Option<u64>,
    /// The largest `optimizer.microBatch` that fits, as the settings are, and with blocks recomputed.
    pub largest_micro_batch: Option<usize>,
    pub largest_micro_batch_recomputed: Option<usize>,
    /// Operations a second of all cores in matrix products, measured now.
    pub flops_per_second: f64,
    pub steps: u64,
    /// Of the whole run.
    pub seconds: f64,
    /// Bytes that the run's folder and its bundle will take.
    pub disk: u64,
}

/// Bytes at the run's peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// What is not trained.
    pub frozen: u64,
    /// What is trained, with its average, moments and gradient.
    pub trained: u64,
    /// What the cores hold of it while they work.
    pub cores: u64,
    /// What the cores keep for their gradients.
    pub graphs: u64,
    /// What is held while the model is read, before all of this.
    pub loading: u64,
    /// The larger of both.
    pub total: u64,
}

impl Plan {
    /// Of a run; nothing is started.
    ///
    /// # Errors
    /// `InvalidInput` naming a setting, and what the files say that the run starts from.
    pub fn new(config: &TrainConfig, kind: Kind) -> Result<Self> {
        if matches!(kind, Kind::Vae | Kind::Classifier) {
            return Err(Error::input("plan", "goes with `train base` and `train diffcr`"));
        }
        config.fits()?;
        let shapes = Shapes::of(config, kind)?;
        let stages = config.stages()?;
        let cores = match config.optimizer.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let needs = |micro: usize, recompute: Recompute| {
            let stages = stages.iter().map(|stage| shapes.memory(config, kind, (stage, cores), micro, recompute));
            stages.max_by_key(|memory| memory.total)
        };
        let memory = needs(config.optimizer.micro_batch, config.recompute);
        let memory = memory.ok_or_else(|| Error::input("stage", "there is none"))?;
        let available = memory::available();
        let largest = |recompute: Recompute| {
            let fits = |micro: usize| needs(micro, recompute).zip(available).is_some_and(|(m, there)| m.total <= there);
            (1..=MOST.min(stages.iter().map(|s| s.batch).max().unwrap_or(1))).take_while(|&micro| fits(micro)).last()
        };
        let flops_per_second = speed::products(shapes.parts.transformer.width(), cores, config.precision)?;
        let work: f64 = stages.iter().map(|stage| shapes.work(config, kind, stage)).sum();
        let kept = if config.progress.keep > 1 { config.progress.keep as u64 + 1 } else { 1 };
        let (parameters, trained) = (shapes.parameters, shapes.trained);
        Ok(Self {
            parameters,
            trained,
            cores,
            memory,
            available,
            largest_micro_batch: largest(config.recompute),
            largest_micro_batch_recomputed: largest(Recompute::Block),
            flops_per_second,
            steps: stages.iter().map(|s| s.steps).sum(),
            seconds: work / (flops_per_second * EFFICIENCY),
            // A checkpoint that is being written lies beside the one before.
            disk: (kept + 1) * CHECKPOINT * 4 * trained + (4 + 2) * parameters,
        })
    }

    /// # Errors
    /// `InvalidInput` on `optimizer.microBatch` where the run needs more memory than there is, naming what would fit.
    pub fn check(&self) -> Result<()> {
        let Some(available) = self.available.filter(|&available| self.memory.total > available) else { return Ok(()) };
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let remedy = match (self.largest_micro_batch, self.largest_micro_batch_recomputed) {
            (Some(micro), _) => format!("microBatch = {micro} fits"),
            (None, Some(micro)) => format!("microBatch = {micro} fits with recompute = \"block\""),
            (None, None) => "no micro-batch fits: train adapters (`[lora]`) or a smaller model".into(),
        };
        let reason =
            format!("the run needs {:.2} GiB, {:.2} are free; {remedy}", gib(self.memory.total), gib(available));
        Err(Error::input("optimizer.microBatch", reason))
    }
}

/// What a run is made of, without its numbers.
struct Shapes {
    parts: Parts,
    /// Of the model.
    parameters: u64,
    trained: u64,
    /// Bytes that are kept and not trained.
    frozen: u64,
    /// Of the model, those that are read.
    loaded: u64,
}

impl Shapes {
    fn of(config: &TrainConfig, kind: Kind) -> Result<Self> {
        let (parts, shapes): (Parts, Vec<(String, Vec<usize>)>) = match &config.from {
            Some(dir) => {
                let manifest = read_manifest(dir)?;
                let shapes = manifest.tensors.into_iter().map(|(name, entry)| (name, entry.shape)).collect();
                (manifest.parts, shapes)
            }
            None => {
                let Fresh { parts, encoding, specs, .. } = fresh(config)?;
                let encoder = encoding.views().map(|v| (v.name.to_owned(), v.shape.to_vec()));
                (parts, specs.into_iter().map(|s| (s.name, s.shape)).chain(encoder).collect())
            }
        };
        let states = Header::read(Path::new(&config.source))?.is_some_and(|header| header.text.is_some());
        let count = |shape: &[usize]| shape.iter().map(|&n| n as u64).product::<u64>();
        let text = |name: &str| name.starts_with("text_encoder.");
        let (mut trained, mut frozen, mut loaded) = (0, 0, 0);
        for (name, shape) in &shapes {
            let adapted = config.lora.as_ref().filter(|lora| lora::is_adapted(name, &lora.targets));
            if states && text(name) {
                continue; // it is not loaded
            }
            loaded += count(shape);
            if name.starts_with("vae") || config.lora.is_some() || text(name) && !config.train_text_encoder {
                let half = config.lora.as_ref().is_some_and(|lora| lora.base == Base::Bf16)
                    && shape.len() > 1
                    && name.starts_with("transformer.");
                frozen += count(shape) * if half { 2 } else { 4 };
            } else {
                trained += count(shape);
            }
            if let (Some(lora), Some(&output)) = (adapted, shape.first()) {
                trained += lora.rank as u64 * (output as u64 + count(&shape[1..]));
            }
        }
        let t = &parts.transformer;
        if config.is_routed(kind) && !config.routing.inherit {
            trained += (t.layers * (t.width() + config.routing.regions)) as u64;
        }
        Ok(Self { parameters: shapes.iter().map(|(_, shape)| count(shape)).sum(), parts, trained, frozen, loaded })
    }

    /// At the peak of a stage on so many cores.
    fn memory(
        &self,
        config: &TrainConfig,
        kind: Kind,
        (stage, cores): (&Stage, usize),
        micro: usize,
        recompute: Recompute,
    ) -> Memory {
        let graph = Graph::new(&self.parts, config, kind, stage);
        let micro = micro.min(stage.batch);
        let busy = cores.min(stage.batch.div_ceil(micro)) as u64;
        // The step's gradient is summed over the cores; that of a single one is there when its graph is not any more.
        let trained = (COPIES + u64::from(busy > 1)) * 4 * self.trained;
        let of_cores = busy * COPIES_A_CORE * 4 * self.trained;
        let graphs = busy * graph.bytes(micro, recompute);
        let loading = PROCESS + (LOADING * 4.0 * self.loaded as f64) as u64;
        let total = loading.max(PROCESS + self.frozen + trained + of_cores + graphs);
        Memory { frozen: self.frozen, trained, cores: of_cores, graphs, loading, total }
    }

    /// Operations of a stage.
    fn work(&self, config: &TrainConfig, kind: Kind, stage: &Stage) -> f64 {
        let graph = Graph::new(&self.parts, config, kind, stage);
        let t = &self.parts.transformer;
        let keep = vec![graph.keep.min(1.0); t.layers];
        let routed = config.is_routed(kind).then_some(&keep[..]);
        let forward =
            flops::step(t, graph.tokens, graph.caption, routed).total() + flops::caption(t, graph.caption).total();
        let bins = if config.is_routed(kind) && config.routing.variant != Variant::Mod { 2.0 } else { 1.0 };
        let passes = if config.lora.is_some() { PASSES_FROZEN } else { PASSES };
        let passes = passes + if config.recompute == Recompute::Block { 1.0 } else { 0.0 };
        forward as f64 * bins * passes * stage.batch as f64 * stage.steps as f64
    }
}
