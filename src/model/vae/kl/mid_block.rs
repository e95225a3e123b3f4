//! The middle of encoder and decoder: resnet, attention, resnet at the smallest size.

use burn::module::Module;
use burn::tensor::Tensor;

use super::attention::MidAttention;
use super::resnet::Resnet;
use crate::bundle::Scope;
use crate::error::Result;

#[derive(Module, Debug)]
pub struct MidBlock {
    before: Resnet,
    attention: Option<MidAttention>,
    after: Resnet,
}

impl MidBlock {
    pub fn load(scope: &mut Scope, channels: usize, groups: usize, attention: bool) -> Result<Self> {
        let attention = if attention {
            Some(MidAttention::load(&mut scope.enter("attentions").enter(0), channels, groups)?)
        } else {
            None
        };
        Ok(Self {
            before: Resnet::load(&mut scope.enter("resnets").enter(0), channels, channels, groups)?,
            attention,
            after: Resnet::load(&mut scope.enter("resnets").enter(1), channels, channels, groups)?,
        })
    }

    /// `[B, C, H, W]` → the same.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.before.forward(x);
        let x = match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        };
        self.after.forward(x)
    }
}
