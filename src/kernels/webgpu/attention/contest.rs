//! Which way attention is timed and done in.

use core::fmt::{self, Display, Formatter};

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::flash::Stream;
use super::{attention_in, fits};
use crate::kernels::webgpu::timings::{All, Class, Rounding, Timing};
use crate::kernels::webgpu::tune::{Contest, SAMPLE, input};

/// Multiply-adds of all heads for which the choice is worth its time.
const LARGE: usize = 1 << 28;
/// Error, of the largest value, up to which a way may be chosen.
const ERROR: f64 = 1e-4;
/// Keys where ways are only compared.
const SOME: usize = 100;

/// Attention with heads so wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heads {
    pub head_dim: usize,
}

impl Display for Heads {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "attention with heads of {}", self.head_dim)
    }
}

impl Class for Heads {
    type Way = Stream;

    const KIND: &'static str = "attention";

    /// Two wide queries hardly fit into an invocation's registers.
    fn usual(self) -> Stream {
        if self.head_dim <= 64 { Stream::Double } else { Stream::Single }
    }

    fn others(self, _: Rounding) -> Vec<Stream> {
        match self.head_dim {
            ..=64 => vec![Stream::Single, Stream::Shared],
            65..=96 => vec![Stream::Double, Stream::Shared],
            _ => vec![Stream::Shared],
        }
    }

    fn borrows(self, other: Self, way: Stream) -> bool {
        (self.head_dim <= 64) == (other.head_dim <= 64) || way == Stream::Shared
    }

    fn table(all: &mut All) -> &mut Vec<Timing<Self>> {
        &mut all.attention
    }
}

/// The attention of an image's tokens to one another.
#[derive(Debug, Clone, Copy)]
pub struct SelfAttention {
    pub images: usize,
    pub heads: usize,
    pub head_dim: usize,
    pub tokens: usize,
}

impl Contest for SelfAttention {
    type Class = Heads;
    /// Queries, keys and values.
    type Input = [Tensor<4>; 3];

    fn class(&self) -> Heads {
        Heads { head_dim: self.head_dim }
    }

    fn matters(&self) -> bool {
        fits(self.head_dim) && 2 * self.images * self.heads * self.head_dim * self.tokens.pow(2) >= LARGE
    }

    fn rows(&self) -> usize {
        self.tokens
    }

    fn input(&self, rows: usize, device: &Device) -> Self::Input {
        let keys = if rows <= SAMPLE { SOME } else { self.tokens };
        [rows, keys, keys].map(|tokens| input([self.images, self.heads, tokens, self.head_dim], device))
    }

    fn run(&self, way: Stream, [query, key, value]: &Self::Input) -> Tensor<3> {
        let scale = 1.0 / (self.head_dim as f32).sqrt();
        attention_in(way, query.clone(), key.clone(), value.clone(), None, scale).flatten(0, 1)
    }

    fn tolerance(&self, _: Stream) -> f64 {
        ERROR
    }
}
