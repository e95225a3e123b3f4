//! The kernels of real models, written to a folder for what looks at WGSL without a device: compilers of real GPUs, foremost.
//!
//! `WRITE_WGSL=DIR cargo test --release --lib gallery` writes them.

use std::path::Path;

use super::attention::{AttentionShader, Stream};
use super::conv::{SharedConvShader, SlidingConvShader, Window};
use super::format::Format;
use super::gemm::{GemmShader, LOW, SIDE, Tile};
use super::group_norm::{GroupNormShader, Stage};
use super::norm::{ModulatedNormShader, RmsNormShader};
use super::quantize::QuantizeShader;
use super::row_reduction::RowReduction;
use super::select::{ScoreShader, SelectShader};
use super::unpack::UnpackShader;
use super::{Scalar, Shader};

/// Names and sources of what PixArt-XL/2 and the shipped models run on a GPU, whatever is chosen there.
fn kernels() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |name: String, source: String| all.push((name, source));
    for scalar in [Scalar::F32, Scalar::F16] {
        for weight in Format::ALL {
            let mut tiles = vec![Tile::Shared, Tile::Thin];
            tiles.extend((weight != Format::F32).then_some(Tile::Half));
            tiles.extend(weight.is_scaled().then_some(Tile::Int8));
            for tile in tiles {
                let x = if tile == Tile::Int8 { Scalar::F32 } else { scalar };
                let wide = tile != Tile::Thin;
                let shader = GemmShader { weight, vector: true, wide, tile, height: SIDE, scalars: [x, scalar] };
                add(format!("gemm-{}-{tile}-{scalar}", weight.name()), shader.source());
                if matches!(tile, Tile::Shared | Tile::Half) {
                    let low = GemmShader { height: LOW, ..shader };
                    add(format!("gemm-{}-{tile}-low-{scalar}", weight.name()), low.source());
                }
            }
        }
        for head in [32, 64, 72] {
            for bias in [false, true] {
                let shader =
                    AttentionShader { vectors: head / 4, stream: Stream::Tile, bias, query: scalar, key: scalar };
                add(format!("attention{head}{}-tile-{scalar}", if bias { "-bias" } else { "" }), shader.source());
            }
        }
        let norm = ModulatedNormShader { vector: true, reduction: RowReduction::PerWorkgroup, y: scalar };
        add(format!("norm-{scalar}"), norm.source());
    }
    add("rms-norm".into(), RmsNormShader { vector: true, reduction: RowReduction::PerWorkgroup }.source());
    let same = Window { side: 3, stride: 1, padding: [(1, 1); 2], doubled: false };
    for (name, doubled) in [("conv", false), ("conv-doubled", true)] {
        let window = Window { doubled, ..same };
        add(format!("{name}-shared"), SharedConvShader { window, half: false }.source());
        let slide = SlidingConvShader::new(window, true, 4, 64);
        add(format!("{name}-slide"), slide.source());
        if !doubled {
            add(format!("{name}-shared-half"), SharedConvShader { window, half: true }.source());
            add(format!("{name}-slide-half"), slide.with_half(true).source());
        }
    }
    for weight in [Format::Q8, Format::Q4] {
        add(format!("quantize-{}", weight.name()), QuantizeShader { weight, x: Scalar::F32 }.source());
        add(format!("unpack-{}", weight.name()), UnpackShader { format: weight }.source());
    }
    for (stage, name) in [(Stage::Pieces, "pieces"), (Stage::Groups, "groups"), (Stage::Values, "values")] {
        add(format!("group-norm-{name}"), GroupNormShader { stage, vector: true }.source());
    }
    add("score".into(), ScoreShader { all: true }.source());
    for (scored, name) in [(false, "select-fused"), (true, "select-scored")] {
        add(name.into(), SelectShader { scored }.source());
    }
    all
}

#[test]
fn kernels_have_names_of_their_own() {
    let all = kernels();
    let names: std::collections::BTreeSet<&String> = all.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), all.len());
    if let Some(dir) = std::env::var_os("WRITE_WGSL") {
        std::fs::create_dir_all(&dir).unwrap();
        for (name, source) in all {
            std::fs::write(Path::new(&dir).join(format!("{name}.wgsl")), source).unwrap();
        }
    }
}
