//! Every kernel against its twin in plain tensor operations, on the device at hand and on shapes that do not fit its tiles.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::attention::{attention, attention_reference};
use super::linear::{Epilogue, linear, linear_reference};
use super::norm::{modulated_norm, modulated_norm_reference};
use super::select::select;
use crate::error::{Error, Result};

/// The largest error of each kernel, relative to the largest value.
///
/// # Errors
/// `DeviceLost` where a result cannot be read back.
pub async fn self_test(device: &Device) -> Result<Vec<(String, f64)>> {
    let mut found = Vec::new();
    for (i, [b, n, inputs, outputs]) in
        [[2, 17, 24, 37], [1, 3, 7, 5], [3, 33, 128, 66], [1, 1, 4, 1]].into_iter().enumerate()
    {
        let x = || noise([b, n, inputs], 1.0, device);
        let weight = || noise([outputs, inputs], 2.0, device);
        let bias = || (i != 1).then(|| noise([outputs], 3.0, device));
        let residual = || noise([b, n, outputs], 4.0, device);
        let gated = || Epilogue::Residual { residual: residual(), gate: Some(noise([b, 1, outputs], 5.0, device)) };
        let plain = || Epilogue::Residual { residual: residual(), gate: None };
        let epilogues: [(&str, &dyn Fn() -> Epilogue); 4] = [
            ("", &|| Epilogue::None),
            (" gelu", &|| Epilogue::Gelu),
            (" gate residual", &gated),
            (" residual", &plain),
        ];
        for (name, epilogue) in epilogues {
            let ours = linear(x(), weight(), bias(), epilogue());
            let error = error(ours, linear_reference(x(), weight(), bias(), epilogue())).await?;
            found.push((format!("linear{name} {b}x{n}x{inputs}x{outputs}"), error));
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
    for [b, n, d] in [[2, 17, 24], [1, 70, 37], [3, 1, 128]] {
        let x = || noise([b, n, d], 1.0, device) * 5.0 + 2.0;
        // Rows of a table, as the block has them.
        let rows = || noise([b, 6, d], 2.0, device);
        let (shift, scale) = (|| rows().narrow(1, 1, 1), || rows().narrow(1, 4, 1));
        let ours = modulated_norm(x(), shift(), scale(), 1e-6);
        found.push((
            format!("norm {b}x{n}x{d}"),
            error(ours, modulated_norm_reference(x(), shift(), scale(), 1e-6)).await?,
        ));
    }
    for (b, n, k, levels) in
        [(1, 1, 1, 1), (3, 37, 5, 4), (2, 300, 299, 1), (2, 4096, 1229, 50), (1, 1024, 512, 1 << 20)]
    {
        found.push((format!("select {b}x{n} {k}"), selection_error(b, n, k, levels, device).await?));
    }
    Ok(found)
}

/// The share of indices, flags and places that are not those of sorting scores of so many `levels`, which tie often.
async fn selection_error(b: usize, n: usize, k: usize, levels: i32, device: &Device) -> Result<f64> {
    let scores: Vec<f32> =
        values(b * n, 7.0).into_iter().map(|v| (v * levels as f32).floor() / levels as f32).collect();
    let ours = select(Tensor::from_data(TensorData::new(scores.clone(), [b, n]), device), k);
    let (index, kept, place) = (ints(ours.index).await?, ints(ours.kept.int()).await?, ints(ours.place).await?);
    let mut wrong = 0;
    for (row, scores) in scores.chunks_exact(n).enumerate() {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]).then(i.cmp(&j)));
        order.truncate(k);
        order.sort_unstable();
        let (mut wanted_kept, mut wanted_place) = (vec![0; n], vec![0; n]);
        for (p, &i) in order.iter().enumerate() {
            (wanted_kept[i], wanted_place[i]) = (1, p as i32);
        }
        let order: Vec<i32> = order.into_iter().map(|i| i as i32).collect();
        wrong += differences(&order, &index[row * k..][..k]);
        wrong += differences(&wanted_kept, &kept[row * n..][..n]);
        wrong += differences(&wanted_place, &place[row * n..][..n]);
    }
    Ok(wrong as f64 / (b * (k + 2 * n)) as f64)
}

fn differences(a: &[i32], b: &[i32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

/// The largest difference over the largest value; infinite where one is not a number.
async fn error<const D: usize>(ours: Tensor<D>, plain: Tensor<D>) -> Result<f64> {
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

fn noise<const D: usize>(shape: [usize; D], seed: f32, device: &Device) -> Tensor<D> {
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
