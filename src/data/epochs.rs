//! An endless series of epochs over a finite set, each in an order of its own.

use super::random::Random;

/// The order in which the turns of a set come: every turn once an epoch, shuffled by the seed.
#[derive(Debug)]
pub struct Epochs {
    seed: u64,
    turns: Vec<usize>,
    /// The order of an epoch.
    order: Option<(u64, Vec<usize>)>,
}

impl Epochs {
    /// An item comes as often in `turns` as it counts.
    pub fn new(turns: Vec<usize>, seed: u64) -> Self {
        Self { seed, turns, order: None }
    }

    /// Turns of an epoch.
    #[cfg(test)]
    pub fn turns(&self) -> usize {
        self.turns.len()
    }

    /// The item at `position` of the series; 0 where there is none.
    pub fn at(&mut self, position: u64) -> usize {
        let count = self.turns.len().max(1) as u64;
        let (epoch, place) = (position / count, (position % count) as usize);
        if self.order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let mut order = self.turns.clone();
            Random::new(self.seed, epoch).shuffle(&mut order);
            self.order = Some((epoch, order));
        }
        self.order.as_ref().and_then(|(_, order)| order.get(place)).copied().unwrap_or(0)
    }
}
