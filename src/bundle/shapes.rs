//! The tensors that a part of some configuration has: names and shapes, told one after the other.

mod autoencoder;
mod text_encoder;
mod tiny;
mod transformer;

pub use autoencoder::vae;
pub use text_encoder::text_encoder;
pub use tiny::vae_tiny;
pub use transformer::transformer;

use crate::error::Result;

/// Told of every tensor, in the order that the layers take them; its first error ends the telling.
pub struct Shapes<'a> {
    prefix: String,
    visit: &'a mut dyn FnMut(&str, &[usize]) -> Result<()>,
}

impl<'a> Shapes<'a> {
    /// Tells `visit` of tensors below `prefix`.
    pub fn new(prefix: &str, visit: &'a mut dyn FnMut(&str, &[usize]) -> Result<()>) -> Self {
        Self { prefix: format!("{prefix}."), visit }
    }

    /// One level down, as of a scope of weights.
    fn enter(&mut self, name: impl std::fmt::Display) -> Shapes<'_> {
        Shapes { prefix: format!("{}{name}.", self.prefix), visit: &mut *self.visit }
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        (self.visit)(&format!("{}{name}", self.prefix), shape)
    }

    /// A layer `[out, input…]` with a bias.
    fn linear(&mut self, name: &str, out: usize, input: &[usize]) -> Result<()> {
        self.matrix(name, out, input)?;
        self.tensor(&format!("{name}.bias"), &[out])
    }

    /// A layer `[out, input…]` without a bias.
    fn matrix(&mut self, name: &str, out: usize, input: &[usize]) -> Result<()> {
        self.tensor(&format!("{name}.weight"), &[&[out], input].concat())
    }

    /// A convolution over squares of `side`.
    fn conv(&mut self, name: &str, input: usize, out: usize, side: usize) -> Result<()> {
        self.linear(name, out, &[input, side, side])
    }

    /// Weight and bias for each channel.
    fn norm(&mut self, name: &str, channels: usize) -> Result<()> {
        self.linear(name, channels, &[])
    }
}
