//! What operands are packed into.

/// Rows of a tile from the left, columns of one from the right.
pub const SIDE: usize = 16;

/// 16 × 16 words, each of two bf16 that belong to neighbouring inputs.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Tile(pub [u32; SIDE * SIDE]);
