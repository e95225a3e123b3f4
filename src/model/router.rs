//! The router: scores the tokens of a layer, takes the best, and puts what the layer made of them back in place.
//!
//! Everything is of a size known before the step starts, so nothing is read back from the device on the way.

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::bundle::Scope;
use crate::device;
use crate::error::Result;
use crate::kernels::select::{Selected, select};
use crate::kernels::weight::param;

/// One linear map `D → 1` without bias, then a sigmoid.
#[derive(Module, Debug)]
pub struct Router {
    /// `[1, D]`.
    weight: Param<Tensor<2>>,
}

impl Router {
    pub fn load(scope: &mut Scope, width: usize) -> Result<Self> {
        Ok(Self::new(scope.take("weight", [1, width])?))
    }

    /// From a weight `[1, D]`.
    pub fn new(weight: Tensor<2>) -> Self {
        Self { weight: param(weight) }
    }

    /// The `k` tokens of `x` `[B, N, D]` with the highest scores, which times `gain` are their weights; of equal scores the
    /// lower index wins. None where no kernel does it in one go; 1 ≤ k ≤ N.
    pub fn select(&self, x: &Tensor<3>, k: usize, gain: f64) -> Option<Selected> {
        select(x, self.weight.val(), k, gain)
    }

    /// Scores in (0, 1) of the tokens `x` `[B, N, D]`: `[B, N]`.
    pub fn score(&self, x: Tensor<3>) -> Tensor<2> {
        let [b, n, width] = x.dims();
        sigmoid(x.reshape([b * n, width]).matmul(self.weight.val().transpose())).reshape([b, n])
    }
}

/// The tokens a layer runs, of every image of the batch.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Indices of the kept tokens, ascending: `[B, k]`.
    pub index: Tensor<2, Int>,
    /// Where not all are kept.
    rows: Option<Rows>,
}

/// How the values of a selection move.
#[derive(Debug, Clone)]
enum Rows {
    /// Among the tokens of all images in one row, as whole rows.
    Flat {
        /// The kept tokens: `[B · k]`.
        kept: Tensor<1, Int>,
        /// Of every token the row it has after the layer, in the `B · N` rows before it and the `B · k` of the layer after those: `[B · N]`.
        source: Tensor<1, Int>,
    },
    /// Among the tokens of an image: a GPU takes the gradient of that in as many invocations as an image's tokens have numbers.
    Batched {
        /// Of every token its place among the `N` tokens before the layer and the `k` that it made: `[B, N]`.
        source: Tensor<2, Int>,
    },
}

impl Selection {
    /// The `k` tokens with the highest scores `[B, N]`; of equal scores the lower index wins.
    ///
    /// # Panics
    /// Unless 1 ≤ k ≤ N.
    pub fn top(score: Tensor<2>, k: usize) -> Self {
        let [b, n] = score.dims();
        assert!((1..=n).contains(&k), "{k} tokens of {n}");
        let device = score.device();
        if k == n {
            let index = Tensor::<1, Int>::arange(0..n as i64, &device).reshape([1, n]).expand([b, n]);
            return Self { index, rows: None };
        }
        if device::is_host(&device) { top_on_host(score, k) } else { top_on_device(score, k) }
    }

    /// The kept tokens of `x` `[B, N, D]`: `[B, k, D]`.
    pub fn gather(&self, x: Tensor<3>) -> Tensor<3> {
        let Some(rows) = &self.rows else { return x };
        let ([b, n, width], [_, k]) = (x.dims(), self.index.dims());
        match rows {
            Rows::Flat { kept, .. } => x.reshape([b * n, width]).select(0, kept.clone()).reshape([b, k, width]),
            Rows::Batched { .. } => x.gather(1, self.index.clone().unsqueeze_dim::<3>(2).expand([b, k, width])),
        }
    }

    /// The kept values of `x` `[B, N]`: `[B, k]`.
    pub fn gather_scores(&self, x: Tensor<2>) -> Tensor<2> {
        if self.rows.is_none() { x } else { x.gather(1, self.index.clone()) }
    }

    /// `x` `[B, N, D]` with its kept tokens replaced by `tokens` `[B, k, D]`.
    ///
    /// Every row reads either its old value or its new one, so nothing is scattered.
    pub fn merge(&self, x: Tensor<3>, tokens: Tensor<3>) -> Tensor<3> {
        let Some(rows) = &self.rows else { return tokens };
        let ([b, n, width], [_, k, _]) = (x.dims(), tokens.dims());
        match rows {
            Rows::Flat { source, .. } => {
                let both = Tensor::cat(vec![x.reshape([b * n, width]), tokens.reshape([b * k, width])], 0);
                both.select(0, source.clone()).reshape([b, n, width])
            }
            Rows::Batched { source } => {
                let both = Tensor::cat(vec![x, tokens], 1); // [B, N + k, D]
                both.gather(1, source.clone().unsqueeze_dim::<3>(2).expand([b, n, width]))
            }
        }
    }
}

/// By ranks in plain tensor operations: a token is kept if fewer than k others beat it.
fn top_on_device(score: Tensor<2>, k: usize) -> Selection {
    let [b, n] = score.dims();
    let device = score.device();
    let before = before(n, &device); // [1, N, N]: whether j comes before i
    let mine = score.clone().unsqueeze_dim::<3>(2).expand([b, n, n]); // [B, i, j] = s_i
    let other = score.unsqueeze_dim::<3>(1).expand([b, n, n]); // [B, i, j] = s_j
    let ties = mine.clone().equal(other.clone()).bool_and(before.clone().expand([b, n, n]));
    let beaten = other.greater(mine).bool_or(ties);
    let rank = beaten.int().sum_dim(2).reshape([b, n]); // [B, N]
    let kept = rank.lower_elem(k as i32); // [B, N]

    // A kept token's place is the number of kept tokens before it.
    let kept_before = kept.clone().int().unsqueeze_dim::<3>(1).expand([b, n, n]) * before.int().expand([b, n, n]);
    let place = kept_before.sum_dim(2).reshape([b, n]) * kept.clone().int(); // [B, N]

    // The token at place p is the one kept token whose place is p.
    let places = Tensor::<1, Int>::arange(0..k as i64, &device).reshape([1, k, 1]).expand([b, k, n]);
    let at_place = place.clone().unsqueeze_dim::<3>(1).expand([b, k, n]).equal(places);
    let at_place = at_place.bool_and(kept.clone().unsqueeze_dim::<3>(1).expand([b, k, n]));
    let tokens = Tensor::<1, Int>::arange(0..n as i64, &device).reshape([1, 1, n]).expand([b, k, n]);
    let index = (at_place.int() * tokens).sum_dim(2).reshape([b, k]); // [B, k]

    let old = Tensor::<1, Int>::arange(0..n as i64, &device).reshape([1, n]).expand([b, n]);
    let rows = Rows::Batched { source: old.mask_where(kept, place + n as i32) };
    Selection { index, rows: Some(rows) }
}

/// `[1, N, N]`: whether j < i.
fn before(n: usize, device: &Device) -> Tensor<3, Bool> {
    let i = Tensor::<1, Int>::arange(0..n as i64, device);
    let row = i.clone().reshape([1, n, 1]).expand([1, n, n]);
    let column = i.reshape([1, 1, n]).expand([1, n, n]);
    column.lower(row)
}

/// By sorting, where the scores are in host memory anyway.
fn top_on_host(score: Tensor<2>, k: usize) -> Selection {
    let [b, n] = score.dims();
    let device = score.device();
    let scores = score.into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
    let mut index = Vec::with_capacity(b * k);
    let mut source: Vec<i32> = (0..b * n).map(|i| i as i32).collect();
    for (row, scores) in scores.chunks_exact(n).enumerate() {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]).then(i.cmp(&j)));
        order.truncate(k);
        order.sort_unstable();
        for (p, &i) in order.iter().enumerate() {
            source[row * n + i] = (b * n + row * k + p) as i32;
        }
        index.extend(order.into_iter().map(|i| i as i32));
    }
    let kept = index.iter().enumerate().map(|(i, token)| (i / k * n) as i32 + token).collect();
    let ints = |values: Vec<i32>| {
        let count = values.len();
        Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device)
    };
    let rows = Rows::Flat { kept: ints(kept), source: ints(source) };
    Selection { index: ints(index).reshape([b, k]), rows: Some(rows) }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    fn ints<const D: usize>(tensor: Tensor<D, Int>) -> Vec<i64> {
        tensor.into_data().convert::<i64>().try_to_vec().unwrap()
    }

    /// Scores with many ties: four distinct values over 37 tokens.
    fn scores(b: usize, n: usize) -> Tensor<2> {
        let values: Vec<f32> = (0..b * n).map(|i| (i * 7919 % 101 % 4) as f32 / 4.0).collect();
        Tensor::from_data(TensorData::new(values, [b, n]), &Device::flex())
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        let score = Tensor::from_floats([[0.5, 0.9, 0.5, 0.1, 0.5]], &Device::flex());
        assert_eq!(ints(Selection::top(score, 3).index), [0, 1, 2]);
    }

    #[test]
    fn device_and_host_choose_alike() {
        for k in [1, 5, 36, 37] {
            let (device, host) = (top_on_device(scores(3, 37), k), top_on_host(scores(3, 37), k));
            assert_eq!(ints(device.index.clone()), ints(host.index.clone()), "k = {k}");
            let x = Tensor::<1, Int>::arange(0..3 * 37 * 2, &Device::flex()).float().reshape([3, 37, 2]);
            let moved = |selection: &Selection| {
                let kept = selection.gather(x.clone());
                (kept.to_data(), selection.merge(x.clone(), -kept).to_data())
            };
            assert_eq!(moved(&device), moved(&host), "k = {k}");
        }
    }

    #[test]
    fn merging_what_was_gathered_changes_nothing() {
        let device = Device::flex();
        let values: Vec<f32> = (0..2 * 37 * 3).map(|i| i as f32).collect();
        let x = Tensor::<3>::from_data(TensorData::new(values.clone(), [2, 37, 3]), &device);
        let selection = top_on_device(scores(2, 37), 11);
        let same = selection.merge(x.clone(), selection.gather(x.clone()));
        assert_eq!(same.try_to_vec_as::<f32>().unwrap(), values);
        let moved = selection.merge(x.clone(), selection.gather(x) + 1000.0).try_to_vec_as::<f32>().unwrap();
        assert_eq!(moved.iter().zip(&values).filter(|(a, b)| a != b).count(), 2 * 11 * 3);
    }
}
