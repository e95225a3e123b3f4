//! What a linear layer's output is added to and where the sum goes: the words that layers and kernels share.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// One vector for all tokens of an image: row `row` of a table `[B, R, D]`, left where it lies.
#[derive(Debug, Clone)]
pub struct ModulationRow {
    pub table: Tensor<3>,
    pub row: usize,
}

impl ModulationRow {
    /// `[B, 1, D]`.
    pub fn values(self) -> Tensor<3> {
        self.table.narrow(1, self.row, 1)
    }
}

/// The tokens that a routed layer runs, ascending: `[B, k, 2]`, of each its index and the weight of its MLP branch.
pub type SelectedTokens = Tensor<3>;

/// `onto + gate · weight · y` of a layer's output `y` `[B, k, D]`.
#[derive(Debug, Clone)]
pub struct Residual {
    /// `[B, N, D]`, or `[1, N, D]` for every image of the batch.
    pub onto: Tensor<3>,
    /// 1 where absent.
    pub gate: Option<ModulationRow>,
    pub indexing: Option<TokenIndexing>,
}

/// How a residual goes between all tokens and the selected ones.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // One at a time, and not for long.
pub enum TokenIndexing {
    /// `onto` are all tokens, of which the selected ones are read.
    Gather(SelectedTokens),
    /// The sums, with `y` times the selected tokens' weights, replace these tokens in `all` `[B, N, D]`.
    Scatter { selected: SelectedTokens, all: Tensor<3> },
}

impl Residual {
    pub fn new(onto: Tensor<3>) -> Self {
        Self { onto, gate: None, indexing: None }
    }

    pub fn gated(self, gate: ModulationRow) -> Self {
        Self { gate: Some(gate), ..self }
    }

    pub fn indexed(self, indexing: TokenIndexing) -> Self {
        Self { indexing: Some(indexing), ..self }
    }

    /// In tensor operations.
    pub fn reference(self, y: Tensor<3>) -> Tensor<3> {
        let y = match self.gate {
            Some(gate) => gate.values() * y,
            None => y,
        };
        match self.indexing {
            None => self.onto + y,
            Some(TokenIndexing::Gather(selected)) => gather(self.onto, selected) + y,
            Some(TokenIndexing::Scatter { selected, all }) => {
                let sum = self.onto + y * selected.clone().narrow(2, 1, 1);
                let index = indices(selected, sum.dims()[2]);
                let change = sum - all.clone().gather(1, index.clone());
                all.scatter(1, index, change, IndexingUpdateOp::Add)
            }
        }
    }
}

/// The selected tokens of `x` `[B, N, D]`: `[B, k, D]`.
pub fn gather(x: Tensor<3>, selected: SelectedTokens) -> Tensor<3> {
    let width = x.dims()[2];
    x.gather(1, indices(selected, width))
}

fn indices(selected: SelectedTokens, width: usize) -> Tensor<3, Int> {
    let [b, k, _] = selected.dims();
    selected.narrow(2, 0, 1).int().expand([b, k, width])
}
