//! A router in one kernel: scores of all tokens, radix selection of the k-th, then compaction in order.
//!
//! One workgroup an image does all of it. Where scoring is too much for one, and where all tokens are kept, a kernel of many
//! workgroups scores.

use burn::tensor::{DType, Tensor};

use super::launch::{Buffer, Launch, launch};
use crate::kernels::select::Selected;
use crate::kernels::wgsl::select::{ScoreShader, SelectShader, TOKENS};

/// Products of an image up to which the workgroup that selects scores too.
const FEW: usize = 1 << 17;

/// [`crate::kernels::select::select`] on the device.
pub fn select(x: Tensor<3>, router: Tensor<2>, k: usize, gain: f32) -> Selected {
    let [b, n, width] = x.dims();
    let (x, router) = (Buffer::packed(x), Buffer::packed(router));
    let score = x.beside([b, n], DType::F32);
    let index = x.beside([b, k], DType::I32);
    let tokens = x.beside([b, k, 2], DType::F32);
    let gain = gain.to_bits() as usize;
    let (scoring, words) = ([n, width, gain], [n, k, width, gain]);
    let (many, one) = ([n.div_ceil(TOKENS), b, 1], [b, 1, 1]);
    let inputs = &[&x, &router];
    if k == n {
        let outputs = &[&score, &index, &tokens];
        launch(ScoreShader { all: true }, Launch { inputs, outputs, words: &scoring, groups: many });
    } else if n * width > FEW {
        launch(ScoreShader { all: false }, Launch { inputs, outputs: &[&score], words: &scoring, groups: many });
        let outputs = &[&index, &tokens];
        launch(SelectShader { scored: true }, Launch { inputs: &[&score], outputs, words: &words, groups: one });
    } else {
        let outputs = &[&score, &index, &tokens];
        launch(SelectShader { scored: false }, Launch { inputs, outputs, words: &words, groups: one });
    }
    Selected { index: index.int(), score: score.float(), tokens: tokens.float() }
}
