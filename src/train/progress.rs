//! The record of a run: a line for people, a row of `log.csv`, and the plots made from the rows.

use std::path::{Path, PathBuf};

use super::export::replace;
use super::plot;
use crate::error::{Error, Result};

const HEADER: &str = "step,stage,size,images,loss,mean_keep,target,lambda,rate,images_per_second,seconds";

/// A moment of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    pub step: u64,
    pub stage: usize,
    pub size: usize,
    pub images: u64,
    /// Smoothed.
    pub loss: f64,
    /// 1 without routers.
    pub mean_keep: f64,
    pub target: f64,
    pub lambda: f64,
    pub rate: f64,
    pub images_per_second: f64,
    /// Since the run began, stops not counted.
    pub seconds: f64,
}

impl LogRow {
    fn csv(&self) -> String {
        format!(
            "{},{},{},{},{:.6},{:.5},{:.5},{:.4},{:.3e},{:.1},{:.1}",
            self.step,
            self.stage,
            self.size,
            self.images,
            self.loss,
            self.mean_keep,
            self.target,
            self.lambda,
            self.rate,
            self.images_per_second,
            self.seconds
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let at = |i: usize| fields.get(i)?.parse::<f64>().ok();
        let count = |i: usize| fields.get(i)?.parse::<u64>().ok();
        Some(Self {
            step: count(0)?,
            stage: count(1)? as usize,
            size: count(2)? as usize,
            images: count(3)?,
            loss: at(4)?,
            mean_keep: at(5)?,
            target: at(6)?,
            lambda: at(7)?,
            rate: at(8)?,
            images_per_second: at(9)?,
            seconds: at(10)?,
        })
    }

    /// The line for people; `left` is the time that is left, in seconds.
    pub fn line(&self, total: u64, routed: bool, left: f64) -> String {
        let ratio = if routed { format!(" keep {:.3} λ {:.2}", self.mean_keep, self.lambda) } else { String::new() };
        let (hours, minutes, seconds) = (left as u64 / 3600, left as u64 / 60 % 60, left as u64 % 60);
        format!(
            "{}px step {}/{total} loss {:.4}{ratio} {:.0} images/s {hours}:{minutes:02}:{seconds:02} left",
            self.size, self.step, self.loss, self.images_per_second
        )
    }
}

/// The rows so far, as `log.csv` has them.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    rows: Vec<LogRow>,
}

impl Log {
    /// The log in `dir`, with the rows up to `step`: later ones belong to steps that a crash undid.
    pub fn open(dir: &Path, step: u64) -> Self {
        let path = dir.join("log.csv");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let rows = text.lines().skip(1).filter_map(LogRow::parse).filter(|row| row.step <= step).collect();
        Self { path, rows }
    }

    pub fn add(&mut self, row: LogRow) {
        self.rows.push(row);
    }

    /// Writes the log and the plots; `table` is the ratios `[regions][layers]`.
    ///
    /// # Errors
    /// `Io` naming the file.
    pub fn write(&self, table: Option<&[Vec<f64>]>) -> Result<()> {
        let rows = self.rows.iter().map(LogRow::csv);
        let text = std::iter::once(HEADER.to_owned()).chain(rows).collect::<Vec<_>>().join("\n") + "\n";
        replace(&self.path, text.as_bytes())?;
        let dir = self.path.parent().ok_or_else(|| Error::internal("the log has no folder"))?;
        let points: Vec<(f64, f64)> = self.rows.iter().map(|r| (r.step as f64, r.loss)).collect();
        replace(&dir.join("loss.svg"), plot::curve("loss", "step", &points).as_bytes())?;
        if let Some(table) = table {
            replace(&dir.join("ratios.svg"), plot::heat_map("keep ratio", table).as_bytes())?;
            let points: Vec<(f64, f64)> = self.rows.iter().map(|r| (r.step as f64, r.mean_keep)).collect();
            replace(&dir.join("keep.svg"), plot::curve("mean keep ratio", "step", &points).as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_the_file() {
        let row = LogRow {
            step: 20,
            stage: 1,
            size: 64,
            images: 1280,
            loss: 0.069,
            mean_keep: 0.912,
            target: 0.9,
            lambda: 0.41,
            rate: 1e-3,
            images_per_second: 61.0,
            seconds: 3725.0,
        };
        assert_eq!(LogRow::parse(&row.csv()), Some(row.clone()));
        assert_eq!(
            row.line(100, true, 3725.0),
            "64px step 20/100 loss 0.0690 keep 0.912 λ 0.41 61 images/s 1:02:05 left"
        );
        assert_eq!(LogRow::parse("step,stage"), None);
    }
}
