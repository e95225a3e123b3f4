//! The record of a run: a line for people, a line of `metrics.jsonl`, and the plots made from them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::replace;
use super::plot;
use crate::error::{Error, Result};

/// Its name in the folder of the run.
pub const FILE: &str = "metrics.jsonl";

/// A line of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// What was trained since the line before.
    Train(Metrics),
    /// What the weights are worth on pictures that are not trained on, with noise that stays the same.
    HeldOut {
        step: u64,
        #[serde(flatten)]
        worth: Worth,
    },
}

/// A moment of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    pub step: u64,
    pub stage: usize,
    pub size: usize,
    pub images: u64,
    /// Smoothed, and so for each region of the timesteps.
    pub loss: f64,
    pub region_losses: Vec<f64>,
    /// 1 without routers.
    pub mean_keep: f64,
    pub target: f64,
    pub lambda: f64,
    pub rate: f64,
    /// Of the last step, before it was clipped.
    pub gradient_norm: f64,
    pub images_per_second: f64,
    /// Share of the time that was spent waiting for pictures.
    pub data_wait: f64,
    /// Largest so far, where the system tells.
    pub peak_mib: Option<f64>,
    /// Since the run began, stops not counted.
    pub seconds: f64,
}

/// What weights are worth on held-out pictures, in `unit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Worth {
    /// Of the weights that are trained, and of their average, which is what is exported.
    pub current: f64,
    pub average: f64,
    /// `loss` or `dB`.
    pub unit: String,
}

/// `1:02:05` for so many seconds.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

impl Metrics {
    /// The line for people; `left` is the time that is left, in seconds.
    pub fn line(&self, total: u64, routed: bool, left: f64) -> String {
        let ratio = if routed { format!(" keep {:.3} λ {:.2}", self.mean_keep, self.lambda) } else { String::new() };
        format!(
            "{}px step {}/{total} loss {:.4}{ratio} {:.0} images/s {} left",
            self.size,
            self.step,
            self.loss,
            self.images_per_second,
            duration(left)
        )
    }
}

impl Worth {
    /// The line for people.
    pub fn line(&self) -> String {
        let Self { current, average, unit } = self;
        format!(
            "held-out pictures: {average:.4} {unit} with the average of the weights, {current:.4} with the last ones"
        )
    }
}

impl Event {
    fn step(&self) -> u64 {
        match self {
            Self::Train(metrics) => metrics.step,
            Self::HeldOut { step, .. } => *step,
        }
    }
}

/// The events so far, as `metrics.jsonl` has them.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    events: Vec<Event>,
    /// The line of each, which a later run leaves as it is.
    lines: Vec<String>,
}

impl Log {
    /// The log in `dir`, with the events up to `step`: later ones belong to steps that a crash undid.
    pub fn open(dir: &Path, step: u64) -> Self {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let parsed = text.lines().filter_map(|line| Some((serde_json::from_str::<Event>(line).ok()?, line.to_owned())));
        let (events, lines) = parsed.filter(|(event, _)| event.step() <= step).unzip();
        Self { path, events, lines }
    }

    /// # Errors
    /// `Internal` where the event is no JSON.
    pub fn add(&mut self, event: Event) -> Result<()> {
        self.lines.push(serde_json::to_string(&event).map_err(|e| Error::internal(e.to_string()))?);
        self.events.push(event);
        Ok(())
    }

    /// Writes the log and the plots; `table` is the ratios `[regions][layers]`.
    ///
    /// # Errors
    /// `Io` naming the file.
    pub fn write(&self, table: Option<&[Vec<f64>]>) -> Result<()> {
        replace(&self.path, (self.lines.join("\n") + "\n").as_bytes())?;
        let dir = self.path.parent().ok_or_else(|| Error::internal("the log has no folder"))?;
        let curve = |value: fn(&Metrics) -> f64| {
            let trained = self.events.iter().filter_map(|e| if let Event::Train(m) = e { Some(m) } else { None });
            trained.map(|m| (m.step as f64, value(m))).collect::<Vec<_>>()
        };
        replace(&dir.join("loss.svg"), plot::curve("loss", "step", &curve(|m| m.loss)).as_bytes())?;
        let worth = self.events.iter().filter_map(|e| match e {
            Event::HeldOut { step, worth } => Some((*step as f64, worth)),
            Event::Train(_) => None,
        });
        let worth: Vec<(f64, &Worth)> = worth.collect();
        if let Some((_, first)) = worth.first() {
            let points: Vec<(f64, f64)> = worth.iter().map(|(step, worth)| (*step, worth.average)).collect();
            let title = format!("held-out {}", first.unit);
            replace(&dir.join("held-out.svg"), plot::curve(&title, "step", &points).as_bytes())?;
        }
        if let Some(table) = table {
            replace(&dir.join("ratios.svg"), plot::heat_map("keep ratio", table).as_bytes())?;
            replace(&dir.join("keep.svg"), plot::curve("mean keep ratio", "step", &curve(|m| m.mean_keep)).as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(step: u64) -> Metrics {
        Metrics {
            step,
            stage: 1,
            size: 64,
            images: 1280,
            loss: 0.069,
            region_losses: vec![0.1, 0.038],
            mean_keep: 0.912,
            target: 0.9,
            lambda: 0.41,
            rate: 1e-3,
            gradient_norm: 0.5,
            images_per_second: 61.0,
            data_wait: 0.02,
            peak_mib: None,
            seconds: 3725.0,
        }
    }

    #[test]
    fn a_log_goes_on_where_its_checkpoint_was() {
        let dir = std::env::temp_dir().join(format!("diffcr-log-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut log = Log::open(&dir, 0);
        let worth = Worth { current: 0.1, average: 0.09, unit: "loss".into() };
        log.add(Event::Train(metrics(20))).unwrap();
        log.add(Event::HeldOut { step: 20, worth: worth.clone() }).unwrap();
        log.add(Event::Train(metrics(40))).unwrap();
        log.write(Some(&[vec![0.5]])).unwrap();
        let text = std::fs::read_to_string(dir.join(FILE)).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.starts_with("{\"event\":\"train\",\"step\":20,") && text.contains("\"regionLosses\":[0.1,0.038]"));
        assert!(
            text.contains("{\"event\":\"heldOut\",\"step\":20,\"current\":0.1,\"average\":0.09,\"unit\":\"loss\"}")
        );
        for plot in ["loss.svg", "held-out.svg", "ratios.svg", "keep.svg"] {
            assert!(dir.join(plot).is_file(), "{plot}");
        }
        let again = Log::open(&dir, 20);
        assert_eq!(again.events, [Event::Train(metrics(20)), Event::HeldOut { step: 20, worth }]);
        assert_eq!(again.lines.join("\n"), text.lines().take(2).collect::<Vec<_>>().join("\n"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_line_says_what_people_watch() {
        assert_eq!(
            metrics(20).line(100, true, 3725.0),
            "64px step 20/100 loss 0.0690 keep 0.912 λ 0.41 61 images/s 1:02:05 left"
        );
    }
}
