//! The native binary: one file per subcommand, the flags they share, and what becomes of their errors.
//!
//! Exit codes: 0, 1 for a failure (one line on stderr), 2 for a usage error.

mod convert;
mod device;
#[cfg(feature = "train")]
mod eval;
#[cfg(feature = "train")]
mod eval_inpaint;
mod generate;
mod inpaint;
mod inspect;
mod png;
mod probe;
#[cfg(feature = "train")]
mod scenes;
mod tensors;
#[cfg(feature = "train")]
mod train;
mod verify;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::error::Result;

/// DiffCR: text to image with diffusion transformers that route their tokens.
#[derive(Debug, Parser)]
#[command(name = "diffcr", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A diffusers folder, .safetensors or .pth becomes a bundle.
    Convert(convert::ConvertArgs),
    /// What a bundle is made of.
    Inspect(inspect::InspectArgs),
    /// Every file, hash and tensor of a bundle against its manifest.
    Verify(verify::VerifyArgs),
    /// One part of a bundle on given inputs.
    Probe(probe::ProbeArgs),
    /// A prompt becomes a picture.
    Generate(generate::GenerateArgs),
    /// The masked part of a picture is drawn anew.
    Inpaint(inpaint::InpaintArgs),
    /// A dense model, or routers and keep ratios, from captioned pictures.
    #[cfg(feature = "train")]
    Train(train::TrainArgs),
    /// Bundles side by side on held-out scene prompts.
    #[cfg(feature = "train")]
    Eval(eval::EvalArgs),
    /// Bundles side by side at filling holes.
    #[cfg(feature = "train")]
    EvalInpaint(eval_inpaint::EvalInpaintArgs),
    /// Captioned pictures of the procedural source.
    #[cfg(feature = "train")]
    Scenes(scenes::ScenesArgs),
}

/// The flags of every subcommand.
#[derive(Debug, Clone, Copy, Args)]
pub struct Shared {
    /// Print nothing but errors.
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Shared {
    /// Prints a command's result: `value` with `--json`, else `text`.
    pub fn result(self, value: &Value, text: &str) {
        if self.json {
            println!("{value}");
        } else if !self.quiet {
            println!("{text}");
        }
    }

    /// A bar for bytes.
    pub fn bytes_bar(self, total: u64) -> ProgressBar {
        self.bar(total, "{bar:40} {bytes}/{total_bytes} {eta}")
    }

    /// A bar that counts what `unit` names.
    pub fn count_bar(self, unit: &str, total: usize) -> ProgressBar {
        self.bar(total as u64, &format!("{{bar:30}} {unit} {{pos}}/{{len}} {{eta}}"))
    }

    /// A bar on stderr; hidden where that is no terminal.
    fn bar(self, total: u64, template: &str) -> ProgressBar {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(total), target).with_style(style)
    }
}

/// Sets up this thread, and those that share its work, for speed.
#[cfg(feature = "train")]
fn flush_denormals() {
    crate::kernels::flush_denormals();
    // Fails only where the pool exists already, and then it stays as it is.
    let _ = rayon::ThreadPoolBuilder::new().start_handler(|_| crate::kernels::flush_denormals()).build_global();
}

/// Runs the command line and gives its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "train")]
    flush_denormals();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if cli.shared.json {
                let (code, details) = (error.code(), error.details());
                println!("{}", json!({ "error": { "code": code, "message": error.to_string(), "details": details } }));
            }
            eprintln!("error: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Convert(args) => convert::run(args, &cli.shared),
        Command::Inspect(args) => inspect::run(args, &cli.shared),
        Command::Verify(args) => verify::run(args, &cli.shared),
        Command::Probe(args) => probe::run(args),
        Command::Generate(args) => generate::run(args, &cli.shared),
        Command::Inpaint(args) => inpaint::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::Eval(args) => eval::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::EvalInpaint(args) => eval_inpaint::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::Scenes(args) => scenes::run(args, &cli.shared),
    }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
