//! `diffcr train base|diffcr|vae|classifier`: the lines of progress and Ctrl-C around the trainer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;

use super::shared::{Shared, interrupt, size};
use super::terminal;
use crate::convert::progress::Progress;
use crate::error::{Error, Result};
use crate::train::config::init::TEMPLATES;
use crate::train::config::{Kind, TrainConfig};
use crate::train::plan::{Memory, Plan};
use crate::train::progress::duration;
use crate::train::run::{Begin, Monitor, run as train};

#[derive(Debug, Args)]
pub struct TrainArgs {
    #[arg(required_unless_present = "init")]
    what: Option<What>,
    /// The run's settings, in TOML.
    #[arg(required_unless_present = "init")]
    config: Option<PathBuf>,
    /// Print a file to begin with, every line of it explained, and train nothing.
    #[arg(long, value_name = "KIND", conflicts_with_all = ["what", "config", "resume", "export", "plan"],
          value_parser = TEMPLATES.map(|t| t.name))]
    init: Option<String>,
    /// Go on from the checkpoint in the run's folder.
    #[arg(long)]
    resume: bool,
    /// Write the bundle of the checkpoint in the run's folder, and train no further.
    #[arg(long, conflicts_with = "resume")]
    export: bool,
    /// Say what memory, time and disk the run will take, and train nothing; an error where it does not fit.
    #[arg(long, conflicts_with_all = ["resume", "export"])]
    plan: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// A dense model, from nothing or from a dense bundle.
    Base,
    /// Routers, keep ratios and weights, from a dense bundle.
    Diffcr,
    /// An autoencoder: its folder is `model.autoencoder` of a `base`.
    Vae,
    /// What names the things of stickers: `diffcr eval --classifier` asks it.
    Classifier,
}

pub fn run(args: &TrainArgs, shared: &Shared) -> Result<()> {
    if let Some(template) = TEMPLATES.iter().find(|t| args.init.as_deref() == Some(t.name)) {
        return shared.result(&json!({ "kind": template.name, "config": template.text }), template.text.trim_end());
    }
    let (Some(what), Some(path)) = (args.what, &args.config) else {
        return Err(Error::input("config", "name what to train and the file of its settings"));
    };
    let kind = match what {
        What::Base => Kind::Base,
        What::Diffcr => Kind::Diffcr,
        What::Vae => Kind::Vae,
        What::Classifier => Kind::Classifier,
    };
    let config = TrainConfig::read(path, kind)?;
    if args.plan {
        let plan = Plan::new(&config, kind)?;
        let json = serde_json::to_value(&plan).map_err(|e| Error::internal(e.to_string()))?;
        shared.result(&json, &describe(&plan, &config))?;
        return plan.check();
    }
    let bar = shared.count_bar("step", 0);
    let mut terminal = Terminal { quiet: shared.quiet, bar, stop: interrupt()? };
    let begin = match (args.resume, args.export) {
        (_, true) => Begin::Export,
        (true, false) => Begin::Resume,
        (false, false) => Begin::New,
    };
    let done = train(&config, kind, begin, &mut terminal);
    terminal.bar.finish_and_clear();
    let done = done?;
    let written = &done.exported;
    shared.result(
        &json!({
            "out": config.out, "name": written.name, "version": written.version, "steps": done.steps,
            "images": done.images, "seconds": done.seconds, "loss": done.loss, "meanKeep": done.mean_keep, "bytes": written.bytes,
        }),
        &format!(
            "{}: {} steps, {} images in {:.0} s, loss {:.4}, mean keep {:.3}, {}",
            config.out.display(), done.steps, done.images, done.seconds, done.loss, done.mean_keep, size(written.bytes)
        ),
    )
}

/// A plan in words.
fn describe(plan: &Plan, config: &TrainConfig) -> String {
    let Memory { frozen, trained, cores, graphs, loading, total } = plan.memory;
    let free = plan.available.map_or(String::new(), |bytes| format!(" of {} that are free", size(bytes)));
    let largest = |most: Option<usize>| most.map_or("none".into(), |most| most.to_string());
    format!(
        "parameters   {:.1} M, {:.1} M of them or of adapters are trained\n\
         memory       {}{free}\n             frozen {}, trained {}, at work on {} cores {}, graphs {}; {} while it loads\n\
         microBatch   {}; the largest that fits is {}, with recompute = \"block\" {}\n\
         time         {} for {} steps, at {:.0} GFLOP/s in products\n\
         disk         {}",
        plan.parameters as f64 / 1e6,
        plan.trained as f64 / 1e6,
        size(total),
        size(frozen),
        size(trained),
        plan.cores,
        size(cores),
        size(graphs),
        size(loading),
        config.optimizer.micro_batch,
        largest(plan.largest_micro_batch),
        largest(plan.largest_micro_batch_recomputed),
        duration(plan.seconds),
        plan.steps,
        plan.flops_per_second / 1e9,
        size(plan.disk)
    )
}

/// Lines above a bar, on stderr.
struct Terminal {
    quiet: bool,
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Progress for Terminal {
    fn update(&mut self, _: u64, _: u64) {}

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Monitor for Terminal {
    fn line(&mut self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| terminal::complain(&terminal::plain(line)));
        }
    }

    fn step(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}
