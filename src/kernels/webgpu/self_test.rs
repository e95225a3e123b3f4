//! Every kernel against its twin in plain tensor operations, on the device at hand and on shapes that do not fit its tiles.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};
use half::f16;

use super::attention::{attention, attention_reference};
use super::conv::{Conv, Window, conv_reference};
use super::gemm::Tile;
use super::group_norm::{group_norm, group_norm_reference};
use super::int8;
use super::launch::Buffer;
use super::linear::{Activation, Weight, linear, linear_in, linear_reference, linear_residual};
use super::norm::{modulated_norm, modulated_norm_reference, rms_norm};
use super::packed::{Format, Packed};
use super::select::select;
use crate::device::has_packed_dot;
use crate::error::{Error, Result};
use crate::kernels::{Residual, Row, Slots, Slotted};

/// The largest error of each kernel, relative to the largest value.
///
/// # Errors
/// `DeviceLost` where a result cannot be read back.
pub async fn self_test(device: &Device) -> Result<Vec<(String, f64)>> {
    let mut found = Vec::new();
    for [b, n, inputs, outputs] in [[2, 17, 24, 37], [1, 3, 7, 5], [3, 33, 128, 66], [1, 1, 4, 1]] {
        let x = || noise([b, n, inputs], 1.0, device);
        let weight = || noise([outputs, inputs], 2.0, device);
        let bias = || (n != 3).then(|| noise([outputs], 3.0, device));
        for activation in [Activation::None, Activation::Gelu, Activation::Silu] {
            let ours = linear(x(), Weight::Plain(weight()), bias(), activation);
            let error = error(ours, linear_reference(x(), weight(), bias(), activation)).await?;
            found.push((format!("linear {activation:?} {b}x{n}x{inputs}x{outputs}"), error));
        }
        for (name, residual) in residuals([b, n, outputs], device) {
            let plain = residual.clone().plain(linear_reference(x(), weight(), bias(), Activation::None));
            let ours = linear_residual(x(), Weight::Plain(weight()), bias(), residual);
            found.push((format!("linear {name} {b}x{n}x{inputs}x{outputs}"), error(ours, plain).await?));
        }
    }
    for (format, [b, n, inputs, outputs], group) in [
        (Format::F16, [2, 17, 28, 37], 28),
        (Format::Q8, [2, 17, 64, 37], 32),
        (Format::Q8, [1, 33, 384, 66], 128),
        (Format::Q4, [2, 17, 64, 37], 32),
        (Format::Q4, [1, 33, 384, 66], 128),
    ] {
        let (packed, plain) = packed(format, [outputs, inputs], group, device);
        found.push((format!("unpack {format:?} {outputs}x{inputs}"), error(packed.unpack(), plain.clone()).await?));
        let x = noise([b, n, inputs], 1.0, device);
        let ours = linear(x.clone(), Weight::Packed(packed), None, Activation::Gelu);
        let plain = linear_reference(x, plain, None, Activation::Gelu);
        found.push((format!("linear {format:?} {b}x{n}x{inputs}x{outputs}"), error(ours, plain).await?));
    }
    let half = Buffer::packed(noise([1], 1.0, device)).has_f16();
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        for ([rows, inputs, outputs], group) in [([2, 64, 37], 32), ([70, 72, 130], 8), ([9, 384, 66], 128)] {
            let (weight, numbers) = match format {
                Format::F32 => {
                    let weight = noise([outputs, inputs], 2.0, device);
                    (Weight::Plain(weight.clone()), weight)
                }
                _ => {
                    let (packed, numbers) = packed(format, [outputs, inputs], group, device);
                    (Weight::Packed(packed), numbers)
                }
            };
            let (x, bias) = (noise([1, rows, inputs], 1.0, device), Some(noise([outputs], 3.0, device)));
            let plain = linear_reference(x.clone(), numbers.clone(), bias.clone(), Activation::Silu);
            for tile in Tile::EXACT.into_iter().chain(half.then_some(Tile::Half)) {
                let ours = linear_in(Some(tile), x.clone(), weight.clone(), bias.clone(), Activation::Silu);
                let name = format!("{} {format:?} {rows}x{inputs}x{outputs}", tile.name());
                found.push((name, error(ours, plain.clone()).await?));
            }
            if format.is_scaled() && has_packed_dot() {
                let (rounded, wrong) = rounded(&x, format, group).await?;
                found.push((format!("quantize {format:?} {rows}x{inputs}"), wrong));
                let plain = linear_reference(rounded, numbers, bias.clone(), Activation::Silu);
                let ours = linear_in(Some(Tile::Int8), x, weight, bias, Activation::Silu);
                found.push((format!("int8 {format:?} {rows}x{inputs}x{outputs}"), error(ours, plain).await?));
            }
        }
    }
    for [b, h, n, s, d] in
        [[2, 3, 17, 17, 8], [1, 2, 5, 130, 72], [2, 1, 64, 9, 128], [1, 4, 33, 1, 32], [1, 1, 3, 6, 36]]
    {
        // As heads are split from tokens, so that the memory is not in order.
        let heads = |len: usize, seed: f32| noise([b, len, h, d], seed, device).swap_dims(1, 2);
        let full = || noise([b, h, n, s], 4.0, device) * 3.0;
        let padding = || (noise([b, 1, 1, s], 5.0, device) * 3.0).expand([b, h, n, s]);
        let biases: [(&str, &dyn Fn() -> Option<Tensor<4>>); 3] =
            [("", &|| None), (" bias", &|| Some(full())), (" padding", &|| Some(padding()))];
        for (name, bias) in biases {
            let (q, k, v) = (|| heads(n, 1.0), || heads(s, 2.0), || heads(s, 3.0));
            let ours = attention(q(), k(), v(), bias(), 0.37);
            let error = error(ours, attention_reference(q(), k(), v(), bias(), 0.37)).await?;
            found.push((format!("attention{name} {b}x{h}x{n}x{s}x{d}"), error));
        }
    }
    for [b, n, d] in [[2, 17, 24], [1, 70, 37], [3, 3, 128]] {
        let x = || noise([b, n, d], 1.0, device) * 5.0 + 2.0;
        let row = |row| Row { table: noise([b, 6, d], 2.0, device), row };
        for (name, slots) in [("", None), (" slots", Some(slots(b, n / 2, device)))] {
            let ours = modulated_norm(x(), slots.clone(), row(1), row(4), 1e-6);
            let plain = modulated_norm_reference(x(), slots, row(1), row(4), 1e-6);
            found.push((format!("norm{name} {b}x{n}x{d}"), error(ours, plain).await?));
        }
    }
    for [b, n, d] in [[2, 17, 24], [1, 70, 37]] {
        let (x, weight) = (|| noise([b, n, d], 1.0, device) * 5.0, || noise([d], 2.0, device));
        let plain = crate::kernels::norm::rms_norm(x(), weight(), 1e-6);
        found.push((format!("norm rms {b}x{n}x{d}"), error(rms_norm(x(), weight(), 1e-6), plain).await?));
    }
    for ([b, c, h, w], groups, silu) in
        [([2, 24, 5, 7], 3, true), ([1, 12, 1, 1], 6, false), ([2, 64, 33, 19], 8, true)]
    {
        let map = || noise([b, h, w, c], 1.0, device).permute([0, 3, 1, 2]) * 3.0 + 20.0;
        let (weight, bias) = (|| noise([c], 2.0, device), || noise([c], 3.0, device));
        let ours = group_norm(map(), groups, weight(), bias(), 1e-6, silu);
        let plain = group_norm_reference(map(), groups, weight(), bias(), 1e-6, silu);
        found.push((format!("group norm {b}x{c}x{h}x{w} {groups}"), error(ours, plain).await?));
    }
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
        (" halving", halving, [2, 4, 7, 18], 12),
        (" halving", behind, [1, 48, 18, 7], 9),
        (" doubled", doubled, [2, 20, 5, 9], 70),
        (" doubled", doubled, [1, 130, 6, 5], 3),
        (" point", point, [2, 64, 5, 11], 48),
    ] {
        // In either order of memory.
        let map = || noise([b, inputs, h, w], 1.0, device);
        let turned = || noise([b, w, h, inputs], 1.0, device).permute([0, 3, 2, 1]);
        let weight = || noise([outputs, inputs, window.side, window.side], 2.0, device);
        for (x, bias, add, relu) in
            [(map(), true, false, false), (turned(), false, true, false), (map(), true, true, true)]
        {
            let bias = bias.then(|| noise([outputs], 3.0, device));
            let plain = conv_reference(x.clone(), weight(), bias.clone(), window, None, false);
            let onto = add.then(|| noise(plain.dims(), 4.0, device));
            let plain = conv_reference(x.clone(), weight(), bias.clone(), window, onto.clone(), relu);
            let conv = Conv::new(weight(), bias, window);
            for &way in conv.ways() {
                let ours = conv.forward_in(Some(way), x.clone(), onto.clone(), relu);
                let name = format!("conv {}{name} {b}x{inputs}x{h}x{w} {outputs} {add} {relu}", way.name());
                found.push((name, error(ours, plain.clone()).await?));
            }
        }
    }
    for ([b, n, d], k, levels) in [
        ([1, 1, 1], 1, 1.0),
        ([3, 37, 1], 5, 4.0),
        ([2, 300, 1], 299, 1.0),
        ([2, 37, 24], 37, 1.0),
        ([2, 1025, 130], 700, 1.0),
        ([2, 4096, 1], 1229, 50.0),
        ([2, 1024, 24], 512, 1e6),
    ] {
        let x = (noise([b, n, d], 7.0, device) * levels).floor() / levels;
        found.push((format!("select {b}x{n}x{d} {k}"), selection_error(x, k, device).await?));
    }
    Ok(found)
}

/// Every kind of residual that an output `[B, k, D]` can go to, of 2k + 1 tokens where they are in slots.
fn residuals([b, k, d]: [usize; 3], device: &Device) -> [(&'static str, Residual); 5] {
    let onto = |tokens| Residual::new(noise([b, tokens, d], 4.0, device));
    let gate = || Row { table: noise([b, 6, d], 5.0, device), row: 2 };
    let all = noise([b, 2 * k + 1, d], 6.0, device);
    [
        ("residual", onto(k)),
        ("shared residual", Residual::new(noise([1, k, d], 4.0, device))),
        ("gated residual", onto(k).gated(gate())),
        ("from slots", onto(2 * k + 1).gated(gate()).slotted(Slotted::From(slots(b, k, device)))),
        ("into slots", onto(k).gated(gate()).slotted(Slotted::Into { slots: slots(b, k, device), all })),
    ]
}

/// A matrix of random words, and the numbers that they stand for.
fn packed(format: Format, shape: [usize; 2], group: usize, device: &Device) -> (Packed, Tensor<2>) {
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
    let packed = Packed::new(format, shape, group, words, &scales, device);
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

/// Every other token, with weights: `[B, k, 2]`.
fn slots(b: usize, k: usize, device: &Device) -> Slots {
    let weights = values(b * k, 8.0);
    let data = weights.iter().enumerate().flat_map(|(i, &weight)| [(2 * (i % k) + 1) as f32, weight]).collect();
    Tensor::from_data(TensorData::new(data, [b, k, 2]), device)
}

/// The error of the scores, or infinity where what is kept is not what sorting them gives.
async fn selection_error(x: Tensor<3>, k: usize, device: &Device) -> Result<f64> {
    let [b, n, d] = x.dims();
    let router = noise([1, d], 3.0, device);
    let plain = sigmoid((x.clone() * router.clone().unsqueeze()).sum_dim(2)).reshape([b, n]);
    let ours = select(x, router, k, 0.5);
    let (score, index, slots) = (floats(ours.score.clone()).await?, ints(ours.index).await?, floats(ours.slots).await?);
    for (image, scores) in score.chunks_exact(n).enumerate() {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]).then(i.cmp(&j)));
        order.truncate(k);
        order.sort_unstable();
        let found = index[image * k..][..k].iter().zip(slots[2 * image * k..][..2 * k].as_chunks().0);
        let right = |(&token, (&index, slot)): (&usize, (&i32, &[f32; 2]))| {
            index as usize == token && *slot == [token as f32, scores[token] * 0.5]
        };
        if !order.iter().zip(found).all(right) {
            return Ok(f64::INFINITY);
        }
    }
    error(ours.score, plain).await
}

/// The largest difference over the largest value; infinite where one is not a number.
pub(super) async fn error<const D: usize>(ours: Tensor<D>, plain: Tensor<D>) -> Result<f64> {
    let (ours, plain) = (floats(ours).await?, floats(plain).await?);
    let largest = plain.iter().fold(1e-30f64, |m, &v| m.max(f64::from(v).abs()));
    let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs();
    let worst = ours.iter().zip(&plain).map(difference).fold(0.0, |m, d| {
        if d <= m {
            m
        } else if d.is_nan() {
            f64::INFINITY
        } else {
            d
        }
    });
    Ok(worst / largest)
}

/// Values in (−1, 1) that look like noise.
fn values(count: usize, seed: f32) -> Vec<f32> {
    (0..count).map(|i| ((i as f32 * 0.7311 + seed).sin() * 43.7).fract()).collect()
}

pub(super) fn noise<const D: usize>(shape: [usize; D], seed: f32, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values(shape.iter().product(), seed), shape), device)
}

async fn floats<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>> {
    let data = x.into_data_async().await.map_err(lost)?;
    data.convert::<f32>().try_to_vec().map_err(lost)
}

async fn ints<const D: usize>(x: Tensor<D, Int>) -> Result<Vec<i32>> {
    let data = x.into_data_async().await.map_err(lost)?;
    data.convert::<i32>().try_to_vec().map_err(lost)
}

fn lost(reason: impl core::fmt::Debug) -> Error {
    Error::DeviceLost { reason: format!("{reason:?}") }
}
