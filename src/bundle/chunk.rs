//! Bytes of a chunk become values.
