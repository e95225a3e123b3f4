//! The native binary.

mod device;
mod generate;
mod probe;
mod tensors;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "diffcr", version, about)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
pub struct Shared {
    /// Say nothing but errors.
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Shared {
    pub fn result(&self, json: &serde_json::Value, text: &str) {
        if self.json {
            println!("{json}");
        } else if !self.quiet {
            println!("{text}");
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::GenerateArgs),
    Probe(probe::ProbeArgs),
}

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Generate(args) => generate::run(args, &cli.shared),
        Command::Probe(args) => probe::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
