//! Group normalization of feature maps, with the SiLU that follows it: moments of pieces, moments of groups, then the values.

use burn::tensor::{DType, Tensor};

use super::conv::{channels_first, channels_last};
use super::launch::{Buffer, Launch, launch};
use crate::kernels::norm::GroupNormParameters;
use crate::kernels::wgsl::folded;
use crate::kernels::wgsl::group_norm::{GroupNormShader, Stage, WORKGROUP};

/// Pieces that a map is cut into, at most, and pixels of one, at least.
const PIECES: usize = 256;
const PIXELS: usize = 64;

/// Group normalization of `x` `[B, C, H, W]`; then, where asked, SiLU.
pub fn group_norm(x: Tensor<4>, norm: GroupNormParameters, silu: bool) -> Tensor<4> {
    let GroupNormParameters { groups, weight, bias, eps } = norm;
    let [b, c, h, w] = x.dims();
    let (pixels, channels) = (h * w, c / groups);
    let piece = pixels.div_ceil((pixels / PIXELS).clamp(1, PIECES));
    let pieces = pixels.div_ceil(piece);
    let vector = channels.is_multiple_of(4);
    let unit = if vector { 4 } else { 1 };
    let x = Buffer::packed(channels_last(x));
    let (weight, bias) = (Buffer::packed(weight), Buffer::packed(bias));
    let parts = x.beside([b, pieces, groups, 2], DType::F32);
    let moments = x.beside([b, groups, 2], DType::F32);
    let y = x.beside([b, h, w, c], DType::F32);
    let run = |stage, inputs: &[&Buffer], y: &Buffer, count: usize| {
        let eps = (eps as f32).to_bits() as usize;
        let words = [c / unit, groups, channels / unit, channels, pixels, piece, pieces, count, eps, usize::from(silu)];
        let groups = folded(count.div_ceil(WORKGROUP));
        launch(GroupNormShader { stage, vector }, Launch { inputs, outputs: &[y], words: &words, groups });
    };
    run(Stage::Pieces, &[&x], &parts, b * pieces * groups);
    run(Stage::Groups, &[&parts], &moments, b * groups);
    run(Stage::Values, &[&x, &moments, &weight, &bias], &y, b * pixels * c / unit);
    channels_first(y.float())
}
