//! The MLP of a block, in slices where what is inside it would be more than a device binds.

use burn::module::Module;
use burn::tensor::{DType, Tensor};

use super::linear::Linear;
use super::norm::modulated_layer_norm;
use crate::bundle::Scope;
use crate::error::Result;
use crate::kernels::residual::{ModulationRow, Residual, SelectedTokens, TokenIndexing};

/// Hidden values, over the width of a token.
pub const EXPANSION: usize = 4;
/// Bytes of the hidden values that are made at once: what WebGPU binds anywhere.
pub const MAX_HIDDEN_BYTES: usize = 128 << 20;

/// `GELU(x W₁ᵀ + b₁) W₂ᵀ + b₂`, four times as wide inside.
#[derive(Module, Debug)]
pub struct FeedForward {
    input: Linear,
    output: Linear,
}

/// What an MLP reads, and where its output goes.
#[derive(Debug, Clone)]
pub struct FeedForwardInput {
    /// `[B, k, D]`: what is normed, and what the output is added to.
    pub x: Tensor<3>,
    /// Of the norm before it.
    pub shift: ModulationRow,
    pub scale: ModulationRow,
    pub gate: ModulationRow,
    /// The sums replace these tokens in all of them `[B, N, D]`, where some are selected.
    pub scatter: Option<(SelectedTokens, Tensor<3>)>,
    /// What the output is multiplied by, `[B, k, 1]`, where no selection says it; otherwise 1.
    pub weight: Option<Tensor<3>>,
    /// What normed and hidden values are handed on in.
    pub dtype: DType,
}

impl FeedForward {
    pub fn load(scope: &mut Scope, width: usize) -> Result<Self> {
        Ok(Self {
            input: Linear::load(&mut scope.enter("net.0.proj"), width, EXPANSION * width, true)?,
            output: Linear::load(&mut scope.enter("net.2"), EXPANSION * width, width, true)?,
        })
    }

    /// Its linear layers.
    pub fn linears(&self) -> [&Linear; 2] {
        [&self.input, &self.output]
    }

    /// `[B, k, D]`, or `[B, N, D]` where tokens are selected.
    pub fn forward(&self, input: FeedForwardInput) -> Tensor<3> {
        self.forward_within(input, MAX_HIDDEN_BYTES)
    }

    /// As [`Self::forward`], with at most so many bytes of hidden values at once, and those of a token at the least.
    fn forward_within(&self, input: FeedForwardInput, bytes: usize) -> Tensor<3> {
        let [b, k, width] = input.x.dims();
        let rows = (bytes / (EXPANSION * width * input.dtype.size())).max(1);
        // A graph holds them all, whatever the slices.
        if b * k <= rows || input.x.is_autodiff() {
            return self.slice(input);
        }
        let images = (0..b).map(|i| self.image(input.image(i), rows)).collect();
        Tensor::cat(images, 0)
    }

    /// One image, `rows` tokens at a time.
    fn image(&self, input: FeedForwardInput, rows: usize) -> Tensor<3> {
        let k = input.x.dims()[1];
        let (mut parts, mut scattered) = (Vec::new(), None);
        for start in (0..k).step_by(rows) {
            let mut slice = input.tokens(start, rows.min(k - start));
            if let (Some((_, all)), Some(so_far)) = (&mut slice.scatter, scattered.take()) {
                *all = so_far;
            }
            let scatters = slice.scatter.is_some();
            let y = self.slice(slice);
            if scatters { scattered = Some(y) } else { parts.push(y) }
        }
        scattered.unwrap_or_else(|| Tensor::cat(parts, 1))
    }

    fn slice(&self, input: FeedForwardInput) -> Tensor<3> {
        let FeedForwardInput { x, shift, scale, gate, scatter, weight, dtype } = input;
        let h = modulated_layer_norm(x.clone(), None, shift, scale, dtype);
        let h = self.input.forward_gelu(h); // [B, k, 4D]
        let residual = Residual::new(x).gated(gate);
        match (scatter, weight) {
            (Some((selected, all)), _) => {
                self.output.forward_residual(h, residual.indexed(TokenIndexing::Scatter { selected, all }))
            }
            (None, Some(weight)) => residual.reference(self.output.forward(h) * weight),
            (None, None) => self.output.forward_residual(h, residual),
        }
    }
}

impl FeedForwardInput {
    /// Image `i` of the batch.
    fn image(&self, i: usize) -> Self {
        let of = |x: &Tensor<3>| x.clone().narrow(0, i, 1);
        let row = |row: &ModulationRow| ModulationRow { table: of(&row.table), row: row.row };
        Self {
            x: of(&self.x),
            shift: row(&self.shift),
            scale: row(&self.scale),
            gate: row(&self.gate),
            scatter: self.scatter.as_ref().map(|(selected, all)| (of(selected), of(all))),
            weight: self.weight.as_ref().map(of),
            dtype: self.dtype,
        }
    }

    /// Some of its tokens.
    fn tokens(&self, start: usize, count: usize) -> Self {
        let of = |x: &Tensor<3>| x.clone().narrow(1, start, count);
        Self {
            x: of(&self.x),
            scatter: self.scatter.as_ref().map(|(selected, all)| (of(selected), all.clone())),
            weight: self.weight.as_ref().map(of),
            ..self.clone()
        }
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::bundle::Weights;

    const WIDTH: usize = 8;

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
    }

    fn feed_forward(device: &Device) -> FeedForward {
        let mut weights = Weights::new(device);
        for (name, shape) in [
            ("ff.net.0.proj.weight", vec![4 * WIDTH, WIDTH]),
            ("ff.net.0.proj.bias", vec![4 * WIDTH]),
            ("ff.net.2.weight", vec![WIDTH, 4 * WIDTH]),
            ("ff.net.2.bias", vec![WIDTH]),
        ] {
            let values = random([shape.iter().product()], device).into_data().try_to_vec().unwrap();
            weights.insert(name, &shape, values);
        }
        FeedForward::load(&mut weights.scope("ff"), WIDTH).unwrap()
    }

    #[test]
    fn slices_give_what_the_whole_gives() {
        let device = crate::device::cpu();
        let layer = feed_forward(&device);
        let (b, k, n) = (2, 5, 9);
        let table = random([b, 6, WIDTH], &device);
        let row = |row| ModulationRow { table: table.clone(), row };
        let index = Tensor::<1>::from_floats([0.0, 2.0, 3.0, 7.0, 8.0], &device).reshape([1, k, 1]).expand([2, k, 1]);
        let selected = Tensor::cat(vec![index, random([b, k, 1], &device)], 2);
        let dense = FeedForwardInput {
            x: random([b, k, WIDTH], &device),
            shift: row(3),
            scale: row(4),
            gate: row(5),
            scatter: None,
            weight: None,
            dtype: DType::F32,
        };
        let routed = FeedForwardInput { scatter: Some((selected, random([b, n, WIDTH], &device))), ..dense.clone() };
        let weighted = FeedForwardInput { weight: Some(random([b, k, 1], &device)), ..dense.clone() };
        for input in [dense, routed, weighted] {
            let whole = layer.forward(input.clone());
            for rows in [1, 2, 5] {
                let sliced = layer.forward_within(input.clone(), rows * 4 * WIDTH * 4);
                assert_eq!(sliced.dims(), whole.dims());
                let error = (sliced - whole.clone()).abs().max().into_data().try_to_vec::<f32>().unwrap()[0];
                assert!(error < 1e-5, "{rows} tokens at a time: {error}");
            }
        }
    }
}
