//! What is done to tokens: attention, norms and the router.

use burn::tensor::activation::sigmoid;
use burn::tensor::{DType, Device, Tensor};

use super::cases::Cases;
use super::inputs::{as_f16, selected};
use crate::error::Result;
use crate::kernels::attention::AttentionInput;
use crate::kernels::norm::{ModulatedNorm, modulated_norm_reference, rms_norm_reference};
use crate::kernels::residual::ModulationRow;
use crate::kernels::webgpu::attention::{attention_in, attention_reference};
use crate::kernels::webgpu::compare::{error, floats, ints, noise};
use crate::kernels::webgpu::norm::{modulated_norm_in, rms_norm_in};
use crate::kernels::webgpu::select::select;
use crate::kernels::wgsl::attention::Stream;
use crate::kernels::wgsl::row_reduction::RowReduction;

pub async fn run(cases: &mut Cases<'_>) -> Result<()> {
    heads(cases).await?;
    norms(cases).await?;
    routers(cases).await
}

async fn heads(cases: &mut Cases<'_>) -> Result<()> {
    let device = cases.device;
    for [b, h, n, s, d] in
        [[2, 3, 17, 17, 8], [1, 2, 5, 130, 72], [2, 1, 64, 9, 128], [1, 4, 33, 1, 32], [1, 1, 3, 6, 36]]
    {
        // As heads are split from tokens, so that the memory is not in order.
        let heads = |len: usize, seed: f32| noise([b, len, h, d], seed, device).swap_dims(1, 2);
        let [q, k, v] = [(n, 1.0), (s, 2.0), (s, 3.0)].map(|(len, seed)| move || heads(len, seed));
        let full = || noise([b, h, n, s], 4.0, device) * 3.0;
        let padding = || (noise([b, 1, 1, s], 5.0, device) * 3.0).expand([b, h, n, s]);
        let biases: [(&str, &dyn Fn() -> Option<Tensor<4>>); 3] =
            [("", &|| None), (" bias", &|| Some(full())), (" padding", &|| Some(padding()))];
        for (name, bias) in biases {
            let input = || AttentionInput { query: q(), key: k(), value: v(), bias: bias(), scale: Some(0.37) };
            let halved = || AttentionInput {
                query: as_f16(q()),
                key: as_f16(k()),
                value: as_f16(v()),
                bias: bias(),
                scale: Some(0.37),
            };
            for stream in Stream::ALL {
                // Wide heads compile for many seconds on a CPU: each has the streams that are chosen for it there, and the tile once.
                let chosen = match stream {
                    Stream::Double => d <= 72,
                    Stream::Tile => d <= 72 && (d < 72 || name == " bias"),
                    Stream::Single | Stream::Shared => true,
                };
                if !chosen {
                    continue;
                }
                let name = format!("attention{name}, {stream} {b}x{h}x{n}x{s}x{d}");
                let reference = || attention_reference(input());
                cases.compare(name.clone(), || attention_in(stream, input()), reference).await?;
                if cases.half {
                    let ours = || attention_in(stream, halved());
                    cases.compare(format!("half handed, {name}"), ours, reference).await?;
                }
            }
        }
    }
    Ok(())
}

async fn norms(cases: &mut Cases<'_>) -> Result<()> {
    let device = cases.device;
    for [b, n, d] in [[2, 17, 24], [1, 70, 37], [3, 3, 128]] {
        let x = || noise([b, n, d], 1.0, device) * 5.0 + 2.0;
        let row = |row| ModulationRow { table: noise([b, 6, d], 2.0, device), row };
        for (name, tokens) in [("", None), (" slots", Some(selected(b, n / 2, device)))] {
            let norm = |dtype| ModulatedNorm {
                x: x(),
                selected: tokens.clone(),
                shift: row(1),
                scale: row(4),
                eps: 1e-6,
                dtype,
            };
            let reference = || modulated_norm_reference(norm(DType::F32));
            for reduction in RowReduction::ALL {
                let ours = |dtype| modulated_norm_in(reduction, norm(dtype));
                let name = format!("norm{name}, {reduction} {b}x{n}x{d}");
                cases.compare(name.clone(), || ours(DType::F32), reference).await?;
                if cases.half {
                    cases.compare(format!("half handed, {name}"), || ours(DType::F16), reference).await?;
                }
            }
        }
    }
    for [b, n, d] in [[2, 17, 24], [1, 70, 37]] {
        let (x, weight) = (|| noise([b, n, d], 1.0, device) * 5.0, || noise([d], 2.0, device));
        for reduction in RowReduction::ALL {
            let ours = || rms_norm_in(reduction, x(), weight(), 1e-6);
            let reference = || rms_norm_reference(x(), weight(), 1e-6);
            cases.compare(format!("norm rms, {reduction} {b}x{n}x{d}"), ours, reference).await?;
        }
    }
    Ok(())
}

async fn routers(cases: &mut Cases<'_>) -> Result<()> {
    if !cases.wants("select") {
        return Ok(());
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
        let x = (noise([b, n, d], 7.0, cases.device) * levels).floor() / levels;
        cases.found.push((format!("select {b}x{n}x{d} {k}"), selection_error(x, k, cases.device).await?));
    }
    Ok(())
}

/// The error of the scores, or infinity where what is kept is not what sorting them gives.
async fn selection_error(x: Tensor<3>, k: usize, device: &Device) -> Result<f64> {
    let [b, n, d] = x.dims();
    let router = noise([1, d], 3.0, device);
    let reference = sigmoid((x.clone() * router.clone().unsqueeze()).sum_dim(2)).reshape([b, n]);
    let ours = select(x, router, k, 0.5);
    let (score, index) = (floats(ours.score.clone()).await?, ints(ours.index).await?);
    let tokens = floats(ours.tokens).await?;
    for (image, scores) in score.chunks_exact(n).enumerate() {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]).then(i.cmp(&j)));
        order.truncate(k);
        order.sort_unstable();
        let found = index[image * k..][..k].iter().zip(tokens[2 * image * k..][..2 * k].as_chunks().0);
        let right = |(&token, (&index, entry)): (&usize, (&i32, &[f32; 2]))| {
            index as usize == token && *entry == [token as f32, scores[token] * 0.5]
        };
        if !order.iter().zip(found).all(right) {
            return Ok(f64::INFINITY);
        }
    }
    error(ours.score, reference).await
}
