//! What a linear layer's output is added to and where the sum goes: the words that layers and kernels share.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// One vector for all tokens of an image: row `row` of a table `[B, R, D]`, left where it lies.
#[derive(Debug, Clone)]
pub struct Row {
    pub table: Tensor<3>,
    pub row: usize,
}

impl Row {
    /// `[B, 1, D]`.
    pub fn values(self) -> Tensor<3> {
        self.table.narrow(1, self.row, 1)
    }
}

/// The tokens that a routed layer runs, ascending: `[B, k, 2]`, of each its index and the weight of its MLP branch.
pub type Slots = Tensor<3>;

/// `onto + gate · weight · y` of a layer's output `y` `[B, k, D]`.
#[derive(Debug, Clone)]
pub struct Residual {
    /// `[B, N, D]`, or `[1, N, D]` for every image of the batch.
    pub onto: Tensor<3>,
    /// 1 where absent.
    pub gate: Option<Row>,
    pub slots: Option<Slotted>,
}

/// A residual between all tokens and those in slots.
#[derive(Debug, Clone)]
pub enum Slotted {
    /// `onto` are all tokens, of which those in the slots are read.
    From(Slots),
    /// The sums, with `y` times the slots' weights, replace the tokens of `all` `[B, N, D]` that are in the slots.
    Into { slots: Slots, all: Tensor<3> },
}

impl Residual {
    pub fn new(onto: Tensor<3>) -> Self {
        Self { onto, gate: None, slots: None }
    }

    pub fn gated(self, gate: Row) -> Self {
        Self { gate: Some(gate), ..self }
    }

    pub fn slotted(self, slots: Slotted) -> Self {
        Self { slots: Some(slots), ..self }
    }

    /// In plain tensor operations.
    pub fn plain(self, y: Tensor<3>) -> Tensor<3> {
        let y = match self.gate {
            Some(gate) => gate.values() * y,
            None => y,
        };
        match self.slots {
            None => self.onto + y,
            Some(Slotted::From(slots)) => gather(self.onto, slots) + y,
            Some(Slotted::Into { slots, all }) => {
                let sum = self.onto + y * slots.clone().narrow(2, 1, 1);
                let index = indices(slots, sum.dims()[2]);
                let change = sum - all.clone().gather(1, index.clone());
                all.scatter(1, index, change, IndexingUpdateOp::Add)
            }
        }
    }
}

/// The tokens of `x` `[B, N, D]` that are in `slots`: `[B, k, D]`.
pub fn gather(x: Tensor<3>, slots: Slots) -> Tensor<3> {
    let width = x.dims()[2];
    x.gather(1, indices(slots, width))
}

fn indices(slots: Slots, width: usize) -> Tensor<3, Int> {
    let [b, k, _] = slots.dims();
    slots.narrow(2, 0, 1).int().expand([b, k, width])
}
