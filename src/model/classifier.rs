//! A convolutional classifier of pictures, small enough to be trained on a laptop: what judges pictures of known things.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};

use super::conv::{Conv2d, Conv2dConfig};
use super::linear::Linear;
use crate::bundle::Scope;
use crate::error::{Error, Result};

/// Shape of a [`Classifier`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Side of the picture that the network sees; larger ones are averaged down to it.
    pub side: usize,
    /// Channels of the levels; each halves the side.
    pub widths: Vec<usize>,
    /// Residual blocks of the levels.
    pub blocks: Vec<usize>,
    /// What it tells apart, in the order of its scores.
    pub classes: Vec<String>,
}

impl ClassifierConfig {
    /// # Errors
    /// `ModelInvalid` naming the setting that describes no network.
    pub fn check(&self) -> Result<()> {
        let counts = self.widths.iter().all(|w| (1..=4096).contains(w)) && self.blocks.iter().all(|b| *b <= 64);
        if self.widths.is_empty() || self.widths.len() != self.blocks.len() || !counts {
            return Err(Error::model("widths", "and `blocks` must have an entry a level, of 1..4096 and 0..64"));
        }
        let levels = self.widths.len();
        if levels > 8 || !(8..=1024).contains(&self.side) || !self.side.is_multiple_of(1 << levels) {
            return Err(Error::model("side", format!("{} pixels do not halve {levels} times", self.side)));
        }
        if self.classes.len() < 2 {
            return Err(Error::model("classes", "there must be two"));
        }
        Ok(())
    }

    /// Length of a picture's features: mean and largest value of each channel of the last level.
    pub fn features(&self) -> usize {
        2 * self.widths.last().copied().unwrap_or(0)
    }
}

/// Levels of a halving convolution and residual blocks, pooled by mean and maximum, then a linear layer.
#[derive(Module, Debug)]
pub struct Classifier {
    levels: Vec<Level>,
    head: Linear,
    #[module(skip)]
    side: usize,
}

#[derive(Module, Debug)]
struct Level {
    conv: Conv2d,
    blocks: Vec<Residual>,
}

/// `relu(x + conv2(relu(conv1(x))))`.
#[derive(Module, Debug)]
struct Residual {
    conv1: Conv2d,
    conv2: Conv2d,
}

impl Classifier {
    /// # Errors
    /// `ModelInvalid` naming a setting, or a missing or misshapen tensor.
    pub fn load(scope: &mut Scope, config: &ClassifierConfig) -> Result<Self> {
        config.check()?;
        let mut from = 3;
        let mut levels = Vec::new();
        for (n, (&width, &count)) in config.widths.iter().zip(&config.blocks).enumerate() {
            let mut level = scope.enter(format!("levels.{n}"));
            let conv = Conv2d::load(&mut level.enter("conv"), Conv2dConfig::new(from, width, 3).with_stride(2))?;
            let blocks = (0..count).map(|i| Residual::load(&mut level.enter(format!("blocks.{i}")), width));
            levels.push(Level { conv, blocks: blocks.collect::<Result<_>>()? });
            from = width;
        }
        let head = Linear::load(&mut scope.enter("head"), config.features(), config.classes.len(), true)?;
        Ok(Self { levels, head, side: config.side })
    }

    /// Pictures `[B, 3, S, S]` in [-1, 1], of a multiple of the network's side, → features `[B, F]`.
    ///
    /// # Errors
    /// `InvalidInput` on a picture of another shape.
    pub fn features(&self, pictures: Tensor<4>) -> Result<Tensor<2>> {
        let [b, c, h, w] = pictures.dims();
        let side = self.side;
        if c != 3 || h != w || h == 0 || h % side != 0 {
            return Err(Error::input("image", format!("{c} x {h} x {w} is no multiple of 3 x {side} x {side}")));
        }
        let k = h / side;
        let seen = match k {
            1 => pictures,
            _ => pictures.reshape([b * 3 * side, k, side, k]).mean_dim(3).mean_dim(1).reshape([b, 3, side, side]),
        };
        let maps = self.levels.iter().fold(seen, |x, level| {
            let x = relu(level.conv.forward(x)); // [B, width, H/2, W/2]
            level.blocks.iter().fold(x, |x, block| block.forward(x))
        });
        let [_, width, h, w] = maps.dims();
        let cells = maps.reshape([b, width, h * w]);
        let pooled = Tensor::cat(vec![cells.clone().mean_dim(2), cells.max_dim(2)], 1); // [B, 2·width, 1]
        Ok(pooled.reshape([b, 2 * width]))
    }

    /// Features `[B, F]` → scores `[B, classes]`, before the softmax.
    pub fn scores(&self, features: Tensor<2>) -> Tensor<2> {
        self.head.forward(features)
    }
}

impl Residual {
    fn load(scope: &mut Scope, width: usize) -> Result<Self> {
        let shape = Conv2dConfig::new(width, width, 3);
        Ok(Self {
            conv1: Conv2d::load(&mut scope.enter("conv1"), shape)?,
            conv2: Conv2d::load(&mut scope.enter("conv2"), shape)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(x.clone() + self.conv2.forward(relu(self.conv1.forward(x))))
    }
}

/// Whether each of `things` is among the classes of the largest scores, as many as there are things.
pub fn names(scores: &[f32], things: &[usize]) -> bool {
    let rank = |thing: usize| scores.get(thing).map(|own| scores.iter().filter(|s| *s > own).count());
    things.iter().all(|&thing| rank(thing).is_some_and(|rank| rank < things.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_named_where_they_rank_first() {
        let scores = [0.1, 0.9, 0.5, -1.0];
        assert!(names(&scores, &[1]) && names(&scores, &[2, 1]));
        assert!(!names(&scores, &[2]) && !names(&scores, &[1, 0]) && !names(&scores, &[7]));
    }

    #[test]
    fn shapes_that_are_no_network_are_refused() {
        let config = ClassifierConfig {
            side: 64,
            widths: vec![8, 16],
            blocks: vec![0, 1],
            classes: vec!["cat".into(), "dog".into()],
        };
        assert!(config.check().is_ok());
        assert_eq!(config.features(), 32);
        assert!(ClassifierConfig { side: 30, ..config.clone() }.check().is_err());
        assert!(ClassifierConfig { blocks: vec![1], ..config.clone() }.check().is_err());
        assert!(ClassifierConfig { classes: vec![], ..config }.check().is_err());
    }
}
