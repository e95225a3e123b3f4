//! The shader of attention without a score matrix: each invocation streams over the keys with a running maximum.

use core::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::template::Template;
use super::{Scalar, Shader};

/// Keys handled at a time: one rescaling for all of them.
const KEYS: usize = 4;
/// Bytes of a workgroup's memory for keys and values.
const MEMORY: usize = 16 << 10;

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
}

impl Stream {
    pub const ALL: [Self; 3] = [Self::Single, Self::Double, Self::Shared];

    pub fn queries(self) -> usize {
        if self == Self::Double { 2 } else { 1 }
    }

    pub fn workgroup(self) -> usize {
        if self == Self::Shared { 64 } else { 32 }
    }
}

impl Display for Stream {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Double => "double",
            Self::Shared => "shared",
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
    /// Keys that a workgroup takes at a time.
    fn deep(&self) -> usize {
        (MEMORY / (2 * self.vectors * 16) / KEYS * KEYS).clamp(KEYS, 64)
    }
}

impl Shader for AttentionShader {
    fn workgroup(&self) -> [u32; 3] {
        [self.stream.workgroup() as u32, 1, 1]
    }

    fn source(&self) -> String {
        let shared = self.stream == Stream::Shared;
        let template = Template::new(&[include_str!("attention.wgsl")])
            .enable(Scalar::enable_any(&[self.query, self.key]))
            .constant("QUERIES", self.stream.queries())
            .constant("VECTORS", self.vectors)
            .constant("KEYS", KEYS)
            .constant("DEEP", self.deep())
            .constant("WORKGROUP", self.stream.workgroup())
            .set("workgroup", self.stream.workgroup())
            .set("query", self.query.lanes(4))
            .set("key", self.key.lanes(4))
            .set("memory", self.deep() * self.vectors)
            // What keys and values are read from.
            .set("keys", if shared { "keys" } else { "key" })
            .set("values", if shared { "values" } else { "value" })
            .when("bias", self.bias)
            .when("shared", shared)
            .set("stored", self.query.stored(4, "v"));
        template.render()
    }
}
