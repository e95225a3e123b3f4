//! Text states of prompts that are known: those that the bundle carries, and the latest that its text encoder made.

use std::collections::{BTreeMap, VecDeque};

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use crate::bundle::prompts::PromptStates;

/// Bytes of states that are remembered, beside those of the bundle.
const REMEMBERED_BYTES: usize = 64 << 20;

/// States `[S, E]`, in f16, by token ids.
#[derive(Debug, Default)]
pub struct KnownPrompts {
    /// Of the bundle.
    own: BTreeMap<Vec<u32>, Vec<u16>>,
    /// Of this session, the oldest first.
    latest: VecDeque<PromptStates>,
}

impl KnownPrompts {
    pub fn new(own: Vec<PromptStates>) -> Self {
        Self { own: own.into_iter().map(|prompt| (prompt.ids, prompt.states)).collect(), latest: VecDeque::new() }
    }

    fn find(&self, ids: &[u32]) -> Option<&[u16]> {
        let latest = || self.latest.iter().find(|prompt| prompt.ids == ids).map(|prompt| &prompt.states[..]);
        self.own.get(ids).map(|states| &states[..]).or_else(latest)
    }

    pub fn has(&self, ids: &[u32]) -> bool {
        self.find(ids).is_some()
    }

    /// States of `ids`, row-major.
    pub fn get(&self, ids: &[u32]) -> Option<Vec<f32>> {
        self.find(ids).map(|bits| bits.reinterpret_cast::<f16>().to_f32_vec())
    }

    /// Remembers a prompt; the oldest are forgotten where they are too many, never one of the last two.
    pub fn remember(&mut self, prompt: PromptStates) {
        self.latest.retain(|known| known.ids != prompt.ids);
        self.latest.push_back(prompt);
        while self.latest.len() > 2
            && self.latest.iter().map(|known| 2 * known.states.len()).sum::<usize>() > REMEMBERED_BYTES
        {
            self.latest.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_bundles_own_never() {
        let states = |id: u32, count: usize| PromptStates { ids: vec![id], states: vec![0x3c00; count] };
        let mut known = KnownPrompts::new(vec![states(0, 2)]);
        assert_eq!(known.get(&[0]), Some(vec![1.0, 1.0]));
        let third = REMEMBERED_BYTES / 2 / 3 + 1;
        for id in 1..=3 {
            known.remember(states(id, third));
        }
        assert_eq!([0, 1, 2, 3].map(|id| known.has(&[id])), [true, false, true, true]);
        known.remember(states(2, third));
        known.remember(states(4, third));
        assert_eq!([2, 3, 4].map(|id| known.has(&[id])), [true, false, true], "used again, remembered longer");
        known.remember(states(5, 9 * third));
        assert_eq!([4, 5].map(|id| known.has(&[id])), [true, true], "a run has two prompts");
    }
}
