//! The native binary: one file per subcommand, the flags they share, and what becomes of their errors.
//!
//! Exit codes: 0, 1 for a failure (one line on stderr), 2 for a usage error.

mod bench;
#[cfg(feature = "train")]
mod cache;
mod convert;
mod device;
mod embed;
#[cfg(feature = "train")]
mod eval;
#[cfg(feature = "train")]
mod eval_inpaint;
mod export;
mod generate;
mod help;
mod inpaint;
mod inspect;
mod probe;
mod random;
#[cfg(feature = "train")]
mod scenes;
mod shared;
#[cfg(feature = "train")]
mod stickers;
mod tensors;
mod terminal;
mod text;
#[cfg(feature = "train")]
mod train;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use crate::error::Result;
use shared::Shared;

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
    /// A bundle becomes a diffusers folder or a PixArt .pth.
    Export(export::ExportArgs),
    /// What a bundle is made of.
    Inspect(inspect::InspectArgs),
    /// Every file, hash and tensor of a bundle against its manifest.
    Verify(verify::VerifyArgs),
    /// What the text encoder makes of prompts, kept in the bundle.
    Embed(embed::EmbedArgs),
    /// One part of a bundle on given inputs.
    Probe(probe::ProbeArgs),
    /// A bundle of random weights, to see what a model of some size costs.
    Random(random::RandomArgs),
    /// A prompt becomes a picture.
    Generate(generate::GenerateArgs),
    /// The masked part of a picture is drawn anew.
    Inpaint(inpaint::InpaintArgs),
    /// What a step of a bundle costs, dense and routed.
    Bench(bench::BenchArgs),
    /// A dense model, or routers and keep ratios, from captioned pictures.
    #[cfg(feature = "train")]
    Train(train::TrainArgs),
    /// Pictures become latents, once for any number of runs.
    #[cfg(feature = "train")]
    Cache(cache::CacheArgs),
    /// Bundles side by side on held-out scene prompts.
    #[cfg(feature = "train")]
    Eval(eval::EvalArgs),
    /// Bundles side by side at filling holes.
    #[cfg(feature = "train")]
    EvalInpaint(eval_inpaint::EvalInpaintArgs),
    /// Captioned pictures of the procedural source.
    #[cfg(feature = "train")]
    Scenes(scenes::ScenesArgs),
    /// Captioned stickers: a sheet to look at, a folder, or the tokenizer of their words.
    #[cfg(feature = "train")]
    Stickers(stickers::StickersArgs),
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
                let value = json!({ "error": { "code": code, "message": error.to_string(), "details": details } });
                if let Err(error) = terminal::print(&terminal::json(&value)) {
                    terminal::complain(&format!("error: {error}"));
                }
            }
            terminal::complain(&format!("error: {}", terminal::plain(&error.to_string().replace('\n', " "))));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Convert(args) => convert::run(args, &cli.shared),
        Command::Export(args) => export::run(args, &cli.shared),
        Command::Inspect(args) => inspect::run(args, &cli.shared),
        Command::Verify(args) => verify::run(args, &cli.shared),
        Command::Embed(args) => embed::run(args, &cli.shared),
        Command::Probe(args) => probe::run(args),
        Command::Random(args) => random::run(args, &cli.shared),
        Command::Generate(args) => generate::run(args, &cli.shared),
        Command::Inpaint(args) => inpaint::run(args, &cli.shared),
        Command::Bench(args) => bench::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::Cache(args) => cache::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::Eval(args) => eval::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::EvalInpaint(args) => eval_inpaint::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::Scenes(args) => scenes::run(args, &cli.shared),
        #[cfg(feature = "train")]
        Command::Stickers(args) => stickers::run(args, &cli.shared),
    }
}
