//! The flags that subcommands share, and how they print.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::terminal;
use crate::convert::progress::Progress;
use crate::error::{Error, Result};

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
    ///
    /// # Errors
    /// `Io` where it cannot be written.
    pub fn result(self, value: &Value, text: &str) -> Result<()> {
        self.styled(value, &terminal::plain(text))
    }

    /// As [`Shared::result`], of a text that has its own commands to the terminal.
    ///
    /// # Errors
    /// As there.
    pub fn styled(self, value: &Value, text: &str) -> Result<()> {
        match (self.json, self.quiet) {
            (true, _) => terminal::print(&terminal::json(value)),
            (false, false) => terminal::print(text),
            (false, true) => Ok(()),
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

/// A flag that Ctrl-C sets.
///
/// # Errors
/// `Internal` where no handler can be set.
pub fn interrupt() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed)).map_err(|e| Error::internal(e.to_string()))?;
    Ok(stop)
}

/// A bar that follows a command, and the flag that Ctrl-C sets.
pub struct Watched {
    pub bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Watched {
    /// # Errors
    /// As [`interrupt`].
    pub fn new(bar: ProgressBar) -> Result<Self> {
        Ok(Self { bar, stop: interrupt()? })
    }
}

impl Progress for Watched {
    fn update(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
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
