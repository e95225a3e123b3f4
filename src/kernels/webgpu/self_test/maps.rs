//! What is done to the autoencoders' feature maps.

use burn::tensor::{Tensor, TensorData};
use half::f16;

use super::cases::Cases;
use crate::error::Result;
use crate::kernels::norm::{GroupNormParameters, group_norm_reference};
use crate::kernels::webgpu::compare::{floats, noise};
use crate::kernels::webgpu::conv::{ConvReference, TiledConv, conv_reference};
use crate::kernels::webgpu::group_norm::group_norm;
use crate::kernels::webgpu::half_conv::HalfConv;
use crate::kernels::wgsl::conv::Window;

pub async fn run(cases: &mut Cases<'_>) -> Result<()> {
    norms(cases).await?;
    convolutions(cases).await
}

async fn norms(cases: &mut Cases<'_>) -> Result<()> {
    let device = cases.device;
    for ([b, c, h, w], groups, silu) in
        [([2, 24, 5, 7], 3, true), ([1, 12, 1, 1], 6, false), ([2, 64, 33, 19], 8, true)]
    {
        let map = || noise([b, h, w, c], 1.0, device).permute([0, 3, 1, 2]) * 3.0 + 20.0;
        let (weight, bias) = (noise([c], 2.0, device), noise([c], 3.0, device));
        let norm = || GroupNormParameters { groups, weight: weight.clone(), bias: bias.clone(), eps: 1e-6 };
        let ours = || group_norm(map(), norm(), silu);
        let reference = || group_norm_reference(map(), norm(), silu);
        cases.compare(format!("group norm {b}x{c}x{h}x{w} {groups}"), ours, reference).await?;
    }
    Ok(())
}

async fn convolutions(cases: &mut Cases<'_>) -> Result<()> {
    let device = cases.device;
    let same = Window { side: 3, stride: 1, padding: [(1, 1); 2], doubled: false };
    let halving = Window { stride: 2, ..same };
    let behind = Window { padding: [(0, 1); 2], ..halving };
    let doubled = Window { doubled: true, ..same };
    let point = Window { side: 1, padding: [(0, 0); 2], ..same };
    for (name, window, [b, inputs, h, w], outputs) in [
        ("", same, [2, 3, 7, 9], 64),
        ("", same, [1, 48, 5, 17], 130),
        ("", same, [2, 64, 9, 8], 3),
        ("", same, [1, 130, 1, 1], 4),
        ("", same, [1, 48, 6, 11], 72),
        (" doubled", doubled, [1, 20, 4, 7], 16),
        (" halving", halving, [2, 4, 7, 18], 12),
        (" halving", behind, [1, 48, 18, 7], 9),
        (" doubled", doubled, [2, 20, 5, 9], 70),
        (" doubled", doubled, [1, 130, 6, 5], 3),
        (" point", point, [2, 64, 5, 11], 48),
    ] {
        // In either order of memory.
        let map = || noise([b, inputs, h, w], 1.0, device);
        let transposed = || noise([b, w, h, inputs], 1.0, device).permute([0, 3, 2, 1]);
        let weight = || noise([outputs, inputs, window.side, window.side], 2.0, device);
        for (x, bias, add, relu) in
            [(map(), true, false, false), (transposed(), false, true, false), (map(), true, true, true)]
        {
            let bias = || bias.then(|| noise([outputs], 3.0, device));
            let [rows, columns] = window.stops([h, w]);
            let onto = || add.then(|| noise([b, outputs, rows, columns], 4.0, device));
            let stored = || ConvReference { weight: weight(), bias: bias(), window };
            let reference = || conv_reference(stored(), x.clone(), onto(), relu);
            let conv = TiledConv::new(weight(), bias(), window);
            for variant in conv.variants() {
                let ours = || conv.forward_in(variant, x.clone(), onto(), relu);
                let name = format!("conv {variant}{name} {b}x{inputs}x{h}x{w} {outputs} {add} {relu}");
                cases.compare(name, ours, reference).await?;
            }
            let Some((half, rounded)) = half(weight()).await? else { continue };
            let stored = || ConvReference { weight: rounded.clone(), bias: bias(), window };
            let reference = || conv_reference(stored(), x.clone(), onto(), relu);
            let conv = TiledConv::of_half(half, bias(), window);
            for variant in conv.variants() {
                let ours = || conv.forward_in(variant, x.clone(), onto(), relu);
                let name = format!("conv half {variant}{name} {b}x{inputs}x{h}x{w} {outputs} {add} {relu}");
                cases.compare(name, ours, reference).await?;
            }
        }
    }
    Ok(())
}

/// A weight as f16 holds it, where one of its shape can stay so: as it stays, and in numbers.
async fn half(weight: Tensor<4>) -> Result<Option<(HalfConv, Tensor<4>)>> {
    let (shape, device) = (weight.dims(), weight.device());
    let values: Vec<f16> = floats(weight).await?.into_iter().map(f16::from_f32).collect();
    let bits: Vec<u16> = values.iter().map(|value| value.to_bits()).collect();
    let numbers: Vec<f32> = values.iter().map(|value| value.to_f32()).collect();
    let numbers = Tensor::from_data(TensorData::new(numbers, shape), &device);
    Ok(HalfConv::upload(shape, &bits, &device).map(|half| (half, numbers)))
}
