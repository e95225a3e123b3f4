//! A product of two small matrices that is added to a large one as it is read.

use std::rc::Rc;

use super::checkpoint_tensor::{Addition, CheckpointTensor};
use crate::error::{Error, Result};

/// `scale · up · down`, `[out, in]`.
#[derive(Debug, Clone)]
pub struct LowRank {
    /// `[out, rank]`, further sides of 1.
    up: CheckpointTensor,
    /// `[rank, in]`, further sides of `in` apart.
    down: Rc<CheckpointTensor>,
    scale: f32,
}

impl LowRank {
    /// # Errors
    /// `ModelInvalid` where the two have no rank in common.
    pub fn new(up: CheckpointTensor, down: CheckpointTensor, scale: f32) -> Result<Self> {
        let rank = down.shape.first().copied().unwrap_or(0);
        let [out, inner] = sides(&up);
        if rank == 0 || out == 0 || inner != rank {
            let reason = format!("its shape {:?} does not go with {:?} of {}", up.shape, down.shape, down.name);
            return Err(Error::model(&up.name, reason));
        }
        Ok(Self { up, down: Rc::new(down), scale })
    }
}

impl Addition for LowRank {
    fn shape(&self) -> [usize; 2] {
        [sides(&self.up)[0], sides(&self.down)[1]]
    }

    fn rows(&self, start: usize, count: usize) -> Result<Rc<dyn Addition>> {
        Ok(Rc::new(Self { up: self.up.rows(start, count)?, down: self.down.clone(), scale: self.scale }))
    }

    fn add_to(&self, values: &mut [f32]) -> Result<()> {
        let (up, down, [_, width]) = (self.up.read()?, self.down.read()?, self.shape());
        let rank = sides(&self.down)[0];
        for (row, factors) in values.chunks_exact_mut(width).zip(up.chunks_exact(rank)) {
            for (factor, down) in factors.iter().zip(down.chunks_exact(width)) {
                let factor = self.scale * factor;
                row.iter_mut().zip(down).for_each(|(value, d)| *value += factor * d);
            }
        }
        Ok(())
    }
}

/// Rows, and values of a row.
fn sides(tensor: &CheckpointTensor) -> [usize; 2] {
    let rows = tensor.shape.first().copied().unwrap_or(0);
    [rows, tensor.shape.iter().skip(1).product()]
}
