//! Two-dimensional convolution, as checkpoints store it, with the enlargement before it.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::bundle::Scope;
use crate::error::Result;
use crate::kernels::conv::{Conv, Window};

/// Zeros added before and after, for height and for width.
pub type Padding = [(usize, usize); 2];

/// Shape of a [`Conv2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dConfig {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    pub stride: usize,
    pub padding: Padding,
    /// Times that the input is first enlarged, both ways.
    pub upsampling: usize,
    pub bias: bool,
}

impl Conv2dConfig {
    /// Stride 1 and a bias; an odd kernel keeps height and width.
    pub fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        let side = (kernel / 2, kernel / 2);
        Self { in_channels, out_channels, kernel, stride: 1, padding: [side, side], upsampling: 1, bias: true }
    }

    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub fn with_padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    pub fn with_upsampling(self, upsampling: usize) -> Self {
        Self { upsampling, ..self }
    }

    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }
}

/// `y[o] = bias[o] + Σ_i weight[o, i] ⋆ x[i]`.
#[derive(Module, Debug)]
pub struct Conv2d {
    conv: Conv,
}

impl Conv2d {
    /// Takes `weight` and, where the config asks for one, `bias`.
    pub fn load(scope: &mut Scope, config: Conv2dConfig) -> Result<Self> {
        let Conv2dConfig { in_channels, out_channels, kernel, stride, padding, upsampling, bias } = config;
        let shape = [out_channels, in_channels, kernel, kernel];
        let window = Window { side: kernel, stride, padding, doubled: false };
        let take_bias = |scope: &mut Scope| bias.then(|| scope.take("bias", [out_channels])).transpose();
        let conv = match scope.take_half_conv("weight", shape)? {
            Some(weight) => Conv::of_half(weight, take_bias(scope)?, window, upsampling),
            None => {
                let weight = scope.take("weight", shape)?;
                Conv::new(weight, take_bias(scope)?, window, upsampling)
            }
        };
        Ok(Self { conv })
    }

    /// What does it.
    pub fn conv(&self) -> &Conv {
        &self.conv
    }

    /// `[B, in, H, W]` → `[B, out, (H·upsampling + padding - kernel) / stride + 1, …]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.conv.forward(x, None, false)
    }

    /// ReLU of [`Conv2d::forward`].
    pub fn forward_relu(&self, x: Tensor<4>) -> Tensor<4> {
        self.conv.forward(x, None, true)
    }

    /// `onto` plus [`Conv2d::forward`].
    pub fn forward_residual(&self, x: Tensor<4>, onto: Tensor<4>) -> Tensor<4> {
        self.conv.forward(x, Some(onto), false)
    }

    /// ReLU of [`Conv2d::forward_residual`].
    pub fn forward_residual_relu(&self, x: Tensor<4>, onto: Tensor<4>) -> Tensor<4> {
        self.conv.forward(x, Some(onto), true)
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::bundle::Weights;

    fn ones(config: Conv2dConfig) -> Result<Conv2d> {
        let mut weights = Weights::new(&crate::device::cpu());
        let shape = [config.out_channels, config.in_channels, config.kernel, config.kernel];
        weights.insert("c.weight", &shape, vec![1.0; shape.iter().product()]);
        weights.insert("c.bias", &[config.out_channels], vec![0.5; config.out_channels]);
        let conv = Conv2d::load(&mut weights.scope("c"), config)?;
        weights.finish().map(|()| conv)
    }

    fn run(conv: &Conv2d, values: [f32; 16]) -> (Vec<usize>, Vec<f32>) {
        let x = Tensor::<1>::from_data(TensorData::new(values.to_vec(), [16]), &crate::device::cpu());
        let y = conv.forward(x.reshape([1, 1, 4, 4]));
        (y.dims().to_vec(), y.try_to_vec_as::<f32>().unwrap())
    }

    #[test]
    fn pads_right_and_bottom_only_when_told() {
        let conv = ones(Conv2dConfig::new(1, 1, 3).with_stride(2).with_padding([(0, 1), (0, 1)])).unwrap();
        let (shape, values) = run(&conv, std::array::from_fn(|i| i as f32));
        assert_eq!(shape, [1, 1, 2, 2]);
        // Windows start at rows and columns 0 and 2; the last row and column of the second are zeros.
        assert_eq!(values, [45.5, 39.5, 66.5, 50.5]);
    }

    #[test]
    fn keeps_the_size_by_default() {
        let (shape, values) = run(&ones(Conv2dConfig::new(1, 1, 3)).unwrap(), [1.0; 16]);
        assert_eq!(shape, [1, 1, 4, 4]);
        assert_eq!(&values[..6], &[4.5, 6.5, 6.5, 4.5, 6.5, 9.5]);
    }

    #[test]
    fn an_unwanted_bias_is_left_over_and_named() {
        let error = ones(Conv2dConfig::new(1, 1, 3).without_bias()).unwrap_err();
        assert_eq!(error.to_string(), "c.bias: this model has no such tensor");
    }
}
