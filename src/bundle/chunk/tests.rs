//! Decoding against values worked out by hand, and every fault of a chunk.

use safetensors::tensor::{TensorView, serialize};

use super::*;

fn chunk(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors.iter().map(|(n, d, s, b)| (*n, TensorView::new(*d, s.to_vec(), b).unwrap()));
    serialize(views, None).unwrap()
}

fn piece(name: &str, shape: &[usize], encoding: Encoding, group: Option<usize>) -> Piece {
    let name = name.to_owned();
    Piece { tensor: name.clone(), name, file: "f".into(), start: 0, shape: shape.to_vec(), encoding, group }
}

#[test]
fn every_float_type_decodes() {
    let values = [1.0f32, -2.5, 0.0, 65504.0];
    let f32s: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let f16s: Vec<u8> = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
    let bf16s: Vec<u8> = [1.0f32, -2.5, 0.0].iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
    assert_eq!(floats("x", Dtype::F32, &f32s).unwrap(), values);
    assert_eq!(floats("x", Dtype::F16, &f16s).unwrap(), values);
    assert_eq!(floats("x", Dtype::BF16, &bf16s).unwrap(), values[..3]);
    let error = floats("x", Dtype::I64, &f32s).unwrap_err();
    assert_eq!(error.to_string(), "x: its type is I64, not F32, F16 or BF16");
}

#[test]
fn quantized_values_are_multiplied_out() {
    // Row 0 of q8: 1, -1, 127, -128 | 2, 3, -3, 0 in groups of 8 with scale 0.5.
    let q8: Vec<u8> = [0x80_7F_FF_01u32, 0x00_FD_03_02].iter().flat_map(|w| w.to_le_bytes()).collect();
    // q4: 1, -1, 7, -8, 0, 2, -2, 3 with scale 2.
    let q4: Vec<u8> = 0x3E_20_87_F1u32.to_le_bytes().to_vec();
    let scales = |v: f32| f16::from_f32(v).to_le_bytes();
    let bytes = chunk(&[
        ("a.qweight", Dtype::U32, &[1, 2], &q8),
        ("a.scales", Dtype::F16, &[1, 1], &scales(0.5)),
        ("b.qweight", Dtype::U32, &[1, 1], &q4),
        ("b.scales", Dtype::F16, &[1, 1], &scales(2.0)),
    ]);
    let chunk = Chunk::parse("f", &bytes).unwrap();
    let (a, b) = (piece("a", &[1, 8], Encoding::Q8, Some(8)), piece("b", &[1, 8], Encoding::Q4, Some(8)));
    chunk.check([&a, &b]).unwrap();
    assert_eq!(chunk.decode(&a).unwrap(), [0.5, -0.5, 63.5, -64.0, 1.0, 1.5, -1.5, 0.0]);
    assert_eq!(chunk.decode(&b).unwrap(), [2.0, -2.0, 14.0, -16.0, 0.0, 4.0, -4.0, 6.0]);
    let words = Words { words: vec![0x80_7F_FF_01, 0x00_FD_03_02], scales: vec![f16::from_f32(0.5).to_bits()] };
    assert_eq!(chunk.words(&a).unwrap(), words);
}

#[test]
fn what_does_not_match_the_manifest_is_named() {
    let bytes = chunk(&[("a", Dtype::F32, &[1, 2], &[0; 8]), ("z", Dtype::F32, &[1], &[0; 4])]);
    let chunk = Chunk::parse("f", &bytes).unwrap();
    let check = |name: &str, shape: &[usize], encoding| {
        chunk.check([&piece(name, shape, encoding, None)]).unwrap_err().to_string()
    };
    assert_eq!(check("b", &[1, 2], Encoding::F32), "b: f does not hold it");
    assert_eq!(check("a", &[2, 1], Encoding::F32), "a: its shape in f is [1, 2], the manifest says [2, 1]");
    assert_eq!(check("a", &[1, 2], Encoding::F16), "a: f holds it as F32, the manifest says F16");
    assert_eq!(check("a", &[1, 2], Encoding::F32), "z: f holds it, the manifest does not list it");
}

#[test]
fn damaged_bytes_are_an_error_of_the_file() {
    let good = chunk(&[("a", Dtype::F32, &[2], &[0; 8])]);
    let header = |json: &str, data: usize| {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.bytes());
        bytes.extend(vec![0; data]);
        bytes
    };
    let faults = [
        Vec::new(),
        vec![0; 7],
        vec![0xFF; 64],
        good[..good.len() - 1].to_vec(),
        [good.as_slice(), &[0]].concat(),
        header("nonsense", 8),
        header(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
        header(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,80]}}"#, 8),
        header(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
        header(r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, 8),
        header(r#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#, 8),
    ];
    for (i, bytes) in faults.iter().enumerate() {
        let error = Chunk::parse("f", bytes).expect_err(&format!("fault {i}"));
        assert_eq!(error.code(), "INTEGRITY");
        assert!(error.to_string().starts_with("f: not a safetensors file"), "{error}");
    }
}
