//! Shares of what was asked for that was recognised.

use serde::{Serialize, Serializer};

/// Share of those asked for that were recognised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Share {
    pub hits: usize,
    pub asked: usize,
}

impl Share {
    pub fn add(&mut self, hit: Option<bool>) {
        if let Some(hit) = hit {
            self.hits += usize::from(hit);
            self.asked += 1;
        }
    }

    pub fn percent(&self) -> f64 {
        100.0 * self.hits as f64 / self.asked.max(1) as f64
    }

    /// Standard error of the percentage.
    pub fn error(&self) -> f64 {
        let p = self.percent() / 100.0;
        100.0 * (p * (1.0 - p) / self.asked.max(1) as f64).sqrt()
    }
}

/// The share of each mark; the first is that of the whole prompt. In JSON an object by the marks' names.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy(Vec<(&'static str, Share)>);

impl Accuracy {
    pub fn new(marks: &[&'static str]) -> Self {
        Self(marks.iter().map(|mark| (*mark, Share::default())).collect())
    }

    /// Adds the marks of one picture.
    pub fn add(&mut self, marks: &[Option<bool>]) {
        self.0.iter_mut().zip(marks).for_each(|((_, share), mark)| share.add(*mark));
    }

    pub fn shares(&self) -> &[(&'static str, Share)] {
        &self.0
    }

    /// That of the whole prompt.
    pub fn prompt(&self) -> Share {
        self.0.first().map(|(_, share)| *share).unwrap_or_default()
    }

    /// That of a mark by its name.
    pub fn of(&self, mark: &str) -> Share {
        self.0.iter().find(|(name, _)| *name == mark).map(|(_, share)| *share).unwrap_or_default()
    }
}

impl Serialize for Accuracy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_their_error() {
        let share = Share { hits: 75, asked: 100 };
        assert!((share.percent() - 75.0).abs() < 1e-12 && (share.error() - 4.330).abs() < 1e-3);
        assert_eq!(Share::default().percent(), 0.0);
    }

    #[test]
    fn what_was_not_asked_does_not_count() {
        let mut accuracy = Accuracy::new(&["prompt", "place"]);
        accuracy.add(&[Some(true), None]);
        accuracy.add(&[Some(false), Some(true)]);
        assert_eq!(
            (accuracy.prompt(), accuracy.of("place")),
            (Share { hits: 1, asked: 2 }, Share { hits: 1, asked: 1 })
        );
        let json = serde_json::to_value(&accuracy).unwrap();
        assert_eq!(json["prompt"]["asked"], 2);
        assert_eq!(json["place"]["hits"], 1);
    }
}
