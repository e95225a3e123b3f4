//! Reductions over a row in a fixed order that vectorizes.

const LANES: usize = 16;

/// Sum of `of(index, value)`.
#[inline(always)]
pub fn sum(row: &[f32], of: impl Fn(usize, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let whole = row.len() / LANES * LANES;
    for (c, chunk) in row[..whole].chunks_exact(LANES).enumerate() {
        for (l, (lane, &v)) in lanes.iter_mut().zip(chunk).enumerate() {
            *lane += of(c * LANES + l, v);
        }
    }
    let rest: f32 = row[whole..].iter().enumerate().map(|(i, &v)| of(whole + i, v)).sum();
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
pub fn largest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    lanes.into_iter().chain(rest).fold(f32::NEG_INFINITY, f32::max)
}
