//! Every variant of every shader is WGSL, needs no more workgroup memory than WebGPU guarantees, and has the workgroup it says.

use std::collections::BTreeSet;

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module};

use super::attention::{AttentionShader, Stream};
use super::cast::CastShader;
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

/// WebGPU's default `maxComputeWorkgroupStorageSize`.
const GUARANTEED_MEMORY: u32 = 16_384;
/// WebGPU's default `maxComputeInvocationsPerWorkgroup`.
const GUARANTEED_INVOCATIONS: u32 = 256;
const SCALARS: [Scalar; 2] = [Scalar::F32, Scalar::F16];

fn parsed(source: &str, name: &str) -> (Module, ModuleInfo) {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
    let info = info.unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    (module, info)
}

/// Validates a variant; its workgroup memory in bytes.
fn check(shader: &impl Shader) -> u32 {
    let (source, name) = (shader.source(), format!("{shader:?}"));
    assert!(!source.contains('$') && !source.contains("//#"), "{name}: something is not filled in\n{source}");
    let (module, _) = parsed(&source, &name);
    let [entry] = module.entry_points.as_slice() else { panic!("{name} has not one entry point") };
    assert_eq!((entry.name.as_str(), entry.workgroup_size), ("main", shader.workgroup()), "{name}");
    assert!(shader.workgroup().iter().product::<u32>() <= GUARANTEED_INVOCATIONS, "{name}");
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).unwrap();
    let shared = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup);
    shared.map(|(_, v)| layouter[v.ty].size.next_multiple_of(16)).sum()
}

fn check_all<S: Shader>(shaders: impl IntoIterator<Item = S>) {
    let mut sources = BTreeSet::new();
    let mut count = 0;
    for shader in shaders {
        let memory = check(&shader);
        assert!(memory <= GUARANTEED_MEMORY, "{shader:?} takes {memory} bytes of a workgroup's memory");
        sources.insert(shader.source());
        count += 1;
    }
    assert!(count > 0 && sources.len() == count, "{count} variants have {} sources", sources.len());
}

#[test]
fn products_in_every_tile_format_and_scalar() {
    let mut variants = Vec::new();
    for weight in Format::ALL {
        for scalars in SCALARS.into_iter().flat_map(|x| SCALARS.map(|y| [x, y])) {
            let shader = |tile, wide| GemmShader { weight, vector: true, wide, tile, height: SIDE, scalars };
            let low = |tile, wide| GemmShader { height: LOW, ..shader(tile, wide) };
            variants.extend([low(Tile::Shared, false), low(Tile::Shared, true), low(Tile::Half, true)]);
            variants.extend([Tile::Direct, Tile::Shared].into_iter().flat_map(|t| [false, true].map(|w| shader(t, w))));
            variants.extend([shader(Tile::Half, true), shader(Tile::Thin, false)]);
        }
    }
    for (x, wide) in SCALARS.into_iter().flat_map(|x| [false, true].map(|wide| (x, wide))) {
        let weight = Format::F32;
        variants.push(GemmShader { weight, vector: false, wide, tile: Tile::Direct, height: SIDE, scalars: [x, x] });
    }
    check_all(variants);
    // Activations are words by then, whatever they were.
    let int8 = |weight| {
        let scalars = SCALARS.into_iter().flat_map(|y| [false, true].map(|wide| (y, wide)));
        scalars.map(move |(y, wide)| GemmShader {
            weight,
            vector: true,
            wide,
            tile: Tile::Int8,
            height: SIDE,
            scalars: [Scalar::F32, y],
        })
    };
    check_all([Format::Q8, Format::Q4].into_iter().flat_map(int8));
}

#[test]
fn quantizing_unpacking_and_casting() {
    check_all([Format::Q8, Format::Q4].into_iter().flat_map(|weight| SCALARS.map(|x| QuantizeShader { weight, x })));
    check_all(Format::ALL.map(|format| UnpackShader { format }));
    check_all(SCALARS.into_iter().flat_map(|from| SCALARS.map(|to| CastShader { from, to })));
}

#[test]
fn attention_of_every_head_stream_and_scalar() {
    for vectors in 1..=32 {
        let scalars = SCALARS.into_iter().flat_map(|query| SCALARS.map(|key| (query, key)));
        let streams = scalars.flat_map(|(query, key)| {
            let stream = move |stream| [false, true].map(|bias| AttentionShader { vectors, stream, bias, query, key });
            Stream::ALL.into_iter().flat_map(stream)
        });
        check_all(streams);
    }
}

#[test]
fn norms_of_rows_and_of_groups() {
    let each = || [false, true].into_iter().flat_map(|vector| RowReduction::ALL.map(|reduction| (vector, reduction)));
    check_all(each().flat_map(|(vector, reduction)| SCALARS.map(|y| ModulatedNormShader { vector, reduction, y })));
    check_all(each().map(|(vector, reduction)| RmsNormShader { vector, reduction }));
    for stage in [Stage::Pieces, Stage::Values] {
        check_all([false, true].map(|vector| GroupNormShader { stage, vector }));
    }
    check_all([GroupNormShader { stage: Stage::Groups, vector: true }]);
}

#[test]
fn convolutions_of_every_window_the_autoencoders_have() {
    let same = Window { side: 3, stride: 1, padding: [(1, 1); 2], doubled: false };
    let windows = [
        same,
        Window { stride: 2, ..same },
        Window { stride: 2, padding: [(0, 1); 2], ..same },
        Window { doubled: true, ..same },
        Window { side: 1, padding: [(0, 0); 2], ..same },
    ];
    check_all(windows.into_iter().flat_map(|window| [false, true].map(|half| SharedConvShader { window, half })));
    for window in windows {
        let mut variants = BTreeSet::new();
        for (vector, columns) in [(false, 4), (false, 8), (true, 4), (true, 8)] {
            for outputs in [1, 3, 4, 5, 8, 16, 32, 64, 130] {
                let conv = SlidingConvShader::new(window, vector, columns, outputs);
                if variants.insert(format!("{conv:?}")) {
                    check(&conv);
                    check(&conv.with_half(true));
                }
            }
        }
    }
}

#[test]
fn routers() {
    check_all([false, true].map(|all| ScoreShader { all }));
    check_all([false, true].map(|scored| SelectShader { scored }));
}

#[test]
fn what_is_no_wgsl_fails() {
    let broken = std::panic::catch_unwind(|| parsed("fn main() { let $x = 1; }", "broken"));
    assert!(broken.is_err());
    let invalid =
        std::panic::catch_unwind(|| parsed("@compute @workgroup_size(1) fn main() { let x: f32 = 1u; }", "invalid"));
    assert!(invalid.is_err());
}
