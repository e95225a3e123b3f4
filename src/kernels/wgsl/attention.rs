//! The shaders of attention without a score matrix: streams over the keys with a running maximum.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::template::Template;
use super::{Scalar, Shader};

/// Keys handled at a time: one rescaling for all of them.
const KEYS: usize = 4;
/// Bytes of a workgroup's memory that are used at most: what WebGPU guarantees.
const MEMORY: usize = 16 << 10;
/// Invocations of a workgroup whose invocations read what they need themselves, and of one that shares what it reads.
const NARROW: usize = 32;
const WIDE: usize = 64;
/// Queries that invocations of [`Stream::Tile`] share, and keys of one of them at a time, at most: more take too many registers.
const MOST: usize = 4;

/// How the queries are shared out and where the keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// A query to an invocation, which reads what it needs itself.
    Single,
    /// Two queries to an invocation, which share what is read.
    Double,
    /// A query to an invocation, a workgroup of which takes some keys and values at a time into its own memory.
    Shared,
    /// Some queries to several invocations, which share out keys and width; a workgroup has its queries, some keys and the scores of
    /// these in its own memory. Few registers, whatever the width.
    Tile,
}

impl Stream {
    pub const ALL: [Self; 4] = [Self::Single, Self::Double, Self::Shared, Self::Tile];
}

impl Display for Stream {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Double => "double",
            Self::Shared => "shared",
            Self::Tile => "tile",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttentionShader {
    /// Width of a head in vectors of four.
    pub vectors: usize,
    pub stream: Stream,
    pub bias: bool,
    /// Of the queries and what comes out.
    pub query: Scalar,
    /// Of keys and values.
    pub key: Scalar,
}

impl AttentionShader {
    /// Queries of a workgroup.
    pub fn queries(&self) -> usize {
        match self.stream {
            Stream::Single => NARROW,
            Stream::Double => 2 * NARROW,
            Stream::Shared => WIDE,
            Stream::Tile => self.shares().together(),
        }
    }

    /// Keys that a workgroup of [`Stream::Shared`] takes at a time.
    fn deep(&self) -> usize {
        (MEMORY / (2 * self.vectors * 16) / KEYS * KEYS).clamp(KEYS, 64)
    }

    /// How [`Stream::Tile`] shares out its work: what is read once serves as many products as the memory allows.
    fn shares(&self) -> Shares {
        // Lanes that divide the width leave none of them without a vector.
        let (lanes, groups) =
            if self.vectors.is_multiple_of(8) || !self.vectors.is_multiple_of(6) { (8, 8) } else { (6, 16) };
        let all = (1..=MOST).flat_map(|queries| (1..=MOST).map(move |own| Shares { lanes, groups, queries, own }));
        let fitting = all.filter(|s| s.memory(self) <= MEMORY);
        fitting.max_by_key(|s| (s.queries * s.own, s.queries)).unwrap_or(Shares { lanes, groups, queries: 1, own: 1 })
    }

    fn tile(&self, template: Template) -> Template {
        let shares @ Shares { lanes, queries, own, .. } = self.shares();
        let keys = shares.keys();
        template
            .constant("LANES", lanes)
            .constant("QUERIES", queries)
            .constant("TOGETHER", shares.together())
            .constant("OWN", own)
            .constant("KEYS", keys)
            .constant("COLUMNS", self.vectors.div_ceil(lanes))
            .constant("PITCH", self.vectors + 1)
            .set("queries", shares.together() * self.vectors)
            .set("tile", keys * (self.vectors + 1))
            .set("weights", shares.together() * keys)
            .set("lanes", shares.together() * lanes)
    }

    fn stream(&self, template: Template) -> Template {
        let shared = self.stream == Stream::Shared;
        template
            .constant("QUERIES", if self.stream == Stream::Double { 2 } else { 1 })
            .constant("KEYS", KEYS)
            .constant("DEEP", self.deep())
            .set("memory", self.deep() * self.vectors)
            // What keys and values are read from.
            .set("keys", if shared { "keys" } else { "key" })
            .set("values", if shared { "values" } else { "value" })
            .when("shared", shared)
    }
}

/// The work of a workgroup of [`Stream::Tile`].
#[derive(Debug, Clone, Copy)]
struct Shares {
    /// Invocations that share queries.
    lanes: usize,
    /// Of such.
    groups: usize,
    /// Queries that they share.
    queries: usize,
    /// Keys of an invocation at a time.
    own: usize,
}

impl Shares {
    /// Queries of the workgroup.
    fn together(self) -> usize {
        self.groups * self.queries
    }

    /// Keys that are in memory.
    fn keys(self) -> usize {
        self.lanes * self.own
    }

    /// Bytes of the workgroup's memory.
    fn memory(self, shader: &AttentionShader) -> usize {
        let (queries, keys, width) = (self.together(), self.keys(), shader.vectors);
        let array = |bytes: usize| bytes.next_multiple_of(16);
        array(queries * width * shader.query.bytes(4))
            + array(keys * (width + 1) * shader.key.bytes(4))
            + array(queries * keys * 4)
            + array(queries * self.lanes * 4)
    }
}

impl Shader for AttentionShader {
    fn workgroup(&self) -> [u32; 3] {
        let invocations = match self.stream {
            Stream::Single | Stream::Double => NARROW,
            Stream::Shared => WIDE,
            Stream::Tile => self.shares().lanes * self.shares().groups,
        };
        [invocations as u32, 1, 1]
    }

    fn source(&self) -> String {
        let tile = self.stream == Stream::Tile;
        let body = if tile { include_str!("attention_tile.wgsl") } else { include_str!("attention_stream.wgsl") };
        let [invocations, ..] = self.workgroup();
        let template = Template::new(&[include_str!("attention.wgsl"), body])
            .enable(Scalar::enable_any(&[self.query, self.key]))
            .constant("VECTORS", self.vectors)
            .constant("WORKGROUP", invocations as usize)
            .set("workgroup", invocations)
            .set("query", self.query.lanes(4))
            .set("key", self.key.lanes(4))
            .when("bias", self.bias)
            .set("stored", self.query.stored(4, "v"));
        if tile { self.tile(template) } else { self.stream(template) }.render()
    }
}
