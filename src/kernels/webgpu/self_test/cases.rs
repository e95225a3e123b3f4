//! The cases of a self-test that were asked for, and what came of them.

use burn::tensor::{Device, Tensor};

use crate::error::Result;
use crate::kernels::webgpu::compare::error;

pub struct Cases<'a> {
    pub device: &'a Device,
    pub only: &'a str,
    /// Whether there is f16.
    pub half: bool,
    /// Whether there are packed products of 8-bit integers.
    pub int8: bool,
    pub found: Vec<(String, f64)>,
}

impl Cases<'_> {
    pub fn wants(&self, name: &str) -> bool {
        name.starts_with(self.only)
    }

    pub async fn compare<const D: usize>(
        &mut self,
        name: String,
        ours: impl FnOnce() -> Tensor<D>,
        reference: impl FnOnce() -> Tensor<D>,
    ) -> Result<()> {
        if self.wants(&name) {
            self.found.push((name, error(ours(), reference()).await?));
        }
        Ok(())
    }
}
