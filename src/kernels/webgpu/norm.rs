//! LayerNorm with its modulation, and RMSNorm.

use core::fmt::{self, Display, Formatter};

use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::choices::{Terms, TuneKey, chosen};
use super::launch::{Buffer, Launch, launch};
use crate::kernels::norm::ModulatedNorm;
use crate::kernels::residual::ModulationRow;
use crate::kernels::wgsl::Scalar;
use crate::kernels::wgsl::norm::{ModulatedNormShader, RmsNormShader};
use crate::kernels::wgsl::row_reduction::RowReduction;

/// Norms of rows so wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormKey {
    pub width: usize,
}

impl Display for NormKey {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "norm of {}", self.width)
    }
}

impl TuneKey for NormKey {
    type Variant = RowReduction;

    const KIND: &'static str = "norms";

    fn default_variant(self, software: bool) -> RowReduction {
        if software { RowReduction::PerInvocation } else { RowReduction::PerWorkgroup }
    }

    /// A row to an invocation leaves a GPU idle: there are fewer rows than it has lanes.
    fn candidates(self, terms: Terms) -> Vec<RowReduction> {
        if terms.software { vec![RowReduction::PerWorkgroup] } else { Vec::new() }
    }

    fn accepts_from(self, _: Self, _: RowReduction) -> bool {
        true
    }
}

/// `LN(x) (1 + scale) + shift`.
pub fn modulated_norm(norm: ModulatedNorm) -> Tensor<3> {
    modulated_norm_in(chosen(NormKey { width: norm.x.dims()[2] }), norm)
}

/// [`modulated_norm`] with its rows shared out in the given way.
pub fn modulated_norm_in(reduction: RowReduction, norm: ModulatedNorm) -> Tensor<3> {
    let ModulatedNorm { x, selected, shift, scale, eps, dtype } = norm;
    let [b, n, d] = x.dims();
    let k = selected.as_ref().map_or(n, |selected| selected.dims()[1]);
    let vector = d.is_multiple_of(4);
    let width = if vector { d / 4 } else { d };
    let row = |row: ModulationRow| {
        let rows = row.table.dims()[1];
        (Buffer::packed(row.table), rows * width, row.row * width)
    };
    let (shift, shift_image, shift_at) = row(shift);
    let (scale, scale_image, scale_at) = row(scale);
    let x = Buffer::packed(x);
    let y = x.beside([b, k, d], dtype);
    let eps = (eps as f32).to_bits() as usize;
    let gathered = usize::from(selected.is_some());
    let selected = selected.map_or_else(|| x.clone(), Buffer::packed);
    let words = [b * k, width, d, eps, k, n, gathered, shift_image, shift_at, scale_image, scale_at];
    let groups = reduction.groups(b * k);
    launch(
        ModulatedNormShader { vector, reduction, y: Scalar::of(dtype) },
        Launch { inputs: &[&x, &shift, &scale, &selected], outputs: &[&y], words: &words, groups },
    );
    y.float()
}

/// `weight · x / √(mean(x²) + eps)` of `x` `[B, N, D]`, `weight` `[D]`.
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    rms_norm_in(chosen(NormKey { width: x.dims()[2] }), x, weight, eps)
}

/// [`rms_norm`] with its rows shared out in the given way.
pub fn rms_norm_in(reduction: RowReduction, x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    let [b, n, d] = x.dims();
    let vector = d.is_multiple_of(4);
    let (x, weight) = (Buffer::packed(x), Buffer::packed(weight));
    let y = x.beside([b, n, d], DType::F32);
    let words = [b * n, if vector { d / 4 } else { d }, d, (eps as f32).to_bits() as usize];
    let groups = reduction.groups(b * n);
    launch(
        RmsNormShader { vector, reduction },
        Launch { inputs: &[&x, &weight], outputs: &[&y], words: &words, groups },
    );
    y.float()
}
