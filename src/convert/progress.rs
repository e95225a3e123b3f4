//! What is told while a bundle is written, and asked: whether to go on.

/// Follows the bytes of a conversion, and can end it.
pub trait Progress {
    /// `done` of `total` bytes are written.
    fn update(&mut self, done: u64, total: u64);
    /// Whether the user asked to stop.
    fn cancelled(&self) -> bool;
}

/// Nobody: tells no one, and goes on to the end.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn update(&mut self, _: u64, _: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}
