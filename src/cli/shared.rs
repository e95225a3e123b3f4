//! The flags that subcommands share, and how they print.

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

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

/// Bytes as people read them.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
