//! What the products of linear layers and convolutions are rounded to, thread by thread.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

/// Of the operands of linear layers' and convolutions' products, forward and backward. Sums, weights, gradients, norms and attention stay f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    F32,
    /// Three digits; several times faster on AMX. Processors without AMX or AVX-512 BF16 do it in plain arithmetic.
    Bf16,
}

thread_local! {
    static PRODUCTS: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Of the products of this thread.
pub fn products() -> Precision {
    PRODUCTS.get()
}

/// Decides for the products of this thread that are begun from now on.
pub fn set_products(precision: Precision) {
    PRODUCTS.set(precision);
}
