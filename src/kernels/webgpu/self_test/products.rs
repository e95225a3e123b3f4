//! Products with matrices.

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;

use super::cases::Cases;
use super::inputs::{as_f16, selected};
use crate::error::Result;
use crate::kernels::activation::Activation;
use crate::kernels::packed::{PackedMatrix, PackedWords};
use crate::kernels::residual::{ModulationRow, Residual, TokenIndexing};
use crate::kernels::webgpu::compare::{floats, ints, noise, values};
use crate::kernels::webgpu::int8;
use crate::kernels::webgpu::launch::Buffer;
use crate::kernels::webgpu::linear::{linear, linear_in, linear_reference, linear_residual};
use crate::kernels::weight::Weight;
use crate::kernels::wgsl::format::Format;
use crate::kernels::wgsl::gemm::Tile;

pub async fn run(cases: &mut Cases<'_>) -> Result<()> {
    epilogues(cases).await?;
    formats(cases).await?;
    tiles(cases).await
}

async fn epilogues(cases: &mut Cases<'_>) -> Result<()> {
    let device = cases.device;
    for [b, n, inputs, outputs] in
        [[2, 17, 24, 37], [2, 9, 24, 36], [1, 3, 7, 5], [1, 3, 7, 12], [3, 33, 128, 66], [1, 1, 4, 1]]
    {
        let x = || noise([b, n, inputs], 1.0, device);
        let weight = || noise([outputs, inputs], 2.0, device);
        let bias = || (n != 3).then(|| noise([outputs], 3.0, device));
        let shape = format!("{b}x{n}x{inputs}x{outputs}");
        for activation in [Activation::None, Activation::Gelu, Activation::Silu] {
            let ours = || linear(x(), &Weight::new(weight()), bias(), activation);
            let reference = || linear_reference(x(), weight(), bias(), activation);
            cases.compare(format!("linear {activation:?} {shape}"), ours, reference).await?;
        }
        for (name, residual) in residuals([b, n, outputs], device) {
            let expected = residual.clone();
            let reference = || expected.reference(linear_reference(x(), weight(), bias(), Activation::None));
            let ours = || linear_residual(x(), &Weight::new(weight()), bias(), residual.clone());
            cases.compare(format!("linear {name} {shape}"), ours, reference).await?;
            if cases.half && inputs.is_multiple_of(4) {
                let expected = residual.clone();
                let reference = || expected.reference(linear_reference(x(), weight(), bias(), Activation::None));
                let ours = || linear_residual(as_f16(x()), &Weight::new(weight()), bias(), residual);
                cases.compare(format!("half handed, linear {name} {shape}"), ours, reference).await?;
            }
        }
    }
    Ok(())
}

async fn formats(cases: &mut Cases<'_>) -> Result<()> {
    for (format, [b, n, inputs, outputs], group) in [
        (Format::F16, [2, 17, 28, 37], 28),
        (Format::Q8, [2, 17, 64, 37], 32),
        (Format::Q8, [1, 33, 384, 66], 128),
        (Format::Q4, [2, 17, 64, 37], 32),
        (Format::Q4, [1, 33, 384, 66], 128),
    ] {
        let (packed, numbers) = packed(format, [outputs, inputs], group, cases.device);
        cases.compare(format!("unpack {format:?} {outputs}x{inputs}"), || packed.unpack(), || numbers.clone()).await?;
        let x = noise([b, n, inputs], 1.0, cases.device);
        let weight = Weight::Packed(packed.clone());
        let ours = || linear(x.clone(), &weight, None, Activation::Gelu);
        let reference = || linear_reference(x.clone(), numbers.clone(), None, Activation::Gelu);
        cases.compare(format!("linear {format:?} {b}x{n}x{inputs}x{outputs}"), ours, reference).await?;
    }
    Ok(())
}

async fn tiles(cases: &mut Cases<'_>) -> Result<()> {
    let device = cases.device;
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        let shapes = [
            ([2, 64, 37], 32),
            ([70, 72, 130], 8),
            ([9, 384, 66], 128),
            ([70, 192, 132], 64),
            ([3, 64, 8], 32),
            ([770, 32, 772], 32),
        ];
        for ([rows, inputs, outputs], group) in shapes {
            let (weight, numbers) = match format {
                Format::F32 => {
                    let weight = noise([outputs, inputs], 2.0, device);
                    (Weight::new(weight.clone()), weight)
                }
                _ => {
                    let (packed, numbers) = packed(format, [outputs, inputs], group, device);
                    (Weight::Packed(packed), numbers)
                }
            };
            let shape = format!("{format:?} {rows}x{inputs}x{outputs}");
            let (x, bias) = (|| noise([1, rows, inputs], 1.0, device), || Some(noise([outputs], 3.0, device)));
            let ours = |tile, x| linear_in(Some(tile), x, &weight, bias(), Activation::Silu);
            let reference = |x| linear_reference(x, numbers.clone(), bias(), Activation::Silu);
            // One kernel more is enough for tiles that are not low.
            let tall = if cases.half { Tile::Half } else { Tile::Shared };
            let all = Tile::EXACT.into_iter().chain(cases.half.then_some(Tile::Half));
            for tile in all.filter(|tile| rows < 128 || *tile == tall) {
                cases.compare(format!("{tile} {shape}"), || ours(tile, x()), || reference(x())).await?;
                if cases.half {
                    let name = format!("half handed, {tile} {shape}");
                    cases.compare(name, || ours(tile, as_f16(x())), || reference(x())).await?;
                }
            }
            if format.is_scaled() && cases.int8 && cases.wants("int8") {
                let (rounded, wrong) = rounded(&x(), format, group).await?;
                cases.found.push((format!("quantize {format:?} {rows}x{inputs}"), wrong));
                cases.compare(format!("int8 {shape}"), || ours(Tile::Int8, x()), || reference(rounded)).await?;
            }
        }
    }
    Ok(())
}

/// Every kind of residual that an output `[B, k, D]` can go to, of 2k + 1 tokens where some are selected.
fn residuals([b, k, d]: [usize; 3], device: &Device) -> [(&'static str, Residual); 5] {
    let onto = |tokens| Residual::new(noise([b, tokens, d], 4.0, device));
    let gate = || ModulationRow { table: noise([b, 6, d], 5.0, device), row: 2 };
    let all = noise([b, 2 * k + 1, d], 6.0, device);
    let scattered = TokenIndexing::Scatter { selected: selected(b, k, device), all };
    let scattered = onto(k).gated(gate()).indexed(scattered);
    [
        ("residual", onto(k)),
        ("shared residual", Residual::new(noise([1, k, d], 4.0, device))),
        ("gated residual", onto(k).gated(gate())),
        ("from slots", onto(2 * k + 1).gated(gate()).indexed(TokenIndexing::Gather(selected(b, k, device)))),
        ("into slots", scattered),
    ]
}

/// A matrix of random words, and the numbers that they stand for.
fn packed(format: Format, shape: [usize; 2], group: usize, device: &Device) -> (PackedMatrix, Tensor<2>) {
    let count = shape[0] * shape[1];
    let bits = 32 / format.per_word() as u32;
    let scales: Vec<f16> = values(count / group, 9.0).into_iter().map(f16::from_f32).collect();
    // Of f16 values, the bits; of the others, integers of any bits.
    let raw: Vec<u32> = match format {
        Format::F16 => values(count, 10.0).into_iter().map(|v| f16::from_f32(v).to_bits().into()).collect(),
        _ => (0..count as u32).map(|i| i.wrapping_mul(2_654_435_761) >> (32 - bits)).collect(),
    };
    let number = |(i, &raw): (usize, &u32)| match format {
        Format::F16 => f16::from_bits(raw as u16).to_f32(),
        _ => ((raw << (32 - bits)) as i32 >> (32 - bits)) as f32 * scales[i / group].to_f32(),
    };
    let numbers: Vec<f32> = raw.iter().enumerate().map(number).collect();
    let word = |values: &[u32]| values.iter().rev().fold(0, |word, &value| word << bits | value);
    let words: Vec<u32> = raw.chunks(format.per_word()).map(word).collect();
    let scales: Vec<u16> = scales.into_iter().map(f16::to_bits).collect();
    let packed = PackedMatrix::upload(PackedWords { format, shape, group, words, scales }, device);
    let packed = packed.unwrap_or_else(|| unreachable!("the shapes of the cases fit"));
    (packed, Tensor::from_data(TensorData::new(numbers, shape), device))
}

/// `x` `[1, rows, in]` as products in 8 bits take it. And how far that is off: beyond half a step of its scale, or the scale from the
/// largest value over 127.
async fn rounded(x: &Tensor<3>, format: Format, group: usize) -> Result<(Tensor<3>, f64)> {
    let [_, rows, inputs] = x.dims();
    let words = int8::quantize(&Buffer::packed(x.clone()), format, [rows, inputs], group).int::<2>();
    let words: Vec<u32> = bytemuck::cast_vec(ints(words).await?);
    let (rounded, scales): (Vec<f32>, Vec<f32>) = int8::dequantized(&words, format, inputs, group).into_iter().unzip();
    let mut worst = 0f64;
    for (i, values) in floats(x.clone()).await?.chunks(group).enumerate() {
        let (most, step) = (values.iter().fold(0f32, |m, v| m.max(v.abs())), scales[i * group]);
        let off = values.iter().zip(&rounded[i * group..]).map(|(v, r)| (v - r).abs() - step / 2.0);
        worst = off.chain([(127.0 * step - most).abs()]).fold(worst, |m, v| m.max(v.into()));
    }
    Ok((Tensor::from_data(TensorData::new(rounded, [1, rows, inputs]), &x.device()), worst))
}
