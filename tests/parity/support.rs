//! Fixtures as tensors and weights, and the one way closeness is measured.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use diffcr::bundle::Weights;
use diffcr::bundle::weights::HostTable;
use safetensors::{Dtype, SafeTensors};

/// A tensor of a fixture, widened to f32.
#[derive(Debug, Clone)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Array {
    pub fn tensor<const D: usize>(&self, device: &Device) -> Tensor<D> {
        let shape: [usize; D] = self.shape.clone().try_into().expect("the fixture's rank");
        Tensor::from_data(TensorData::new(self.values.clone(), shape), device)
    }
}

pub fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// All tensors of a safetensors fixture.
pub fn read(path: &str) -> BTreeMap<String, Array> {
    let bytes = std::fs::read(fixture(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors fixture");
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            let words = view.data().chunks_exact(4).map(|w| [w[0], w[1], w[2], w[3]]);
            let values = match view.dtype() {
                Dtype::F32 => words.map(f32::from_le_bytes).collect(),
                Dtype::I32 => words.map(|w| i32::from_le_bytes(w) as f32).collect(),
                other => panic!("{path}: {name} is {other:?}"),
            };
            (name, Array { shape: view.shape().to_vec(), values })
        })
        .collect()
}

/// The weights of a diffusers part under the names a bundle gives them.
pub fn weights(part: &str, path: &str, device: &Device) -> Weights {
    let mut weights = Weights::new(device);
    for (name, array) in read(path) {
        let name = format!("{part}.{name}");
        if name == "text_encoder.shared.weight" {
            let table = HostTable::whole([array.shape[0], array.shape[1]], array.values);
            weights.insert_host(name, table);
        } else {
            weights.insert(name, &array.shape, array.values);
        }
    }
    weights
}

/// Largest difference over the reference's largest value.
pub fn error<const D: usize>(found: Tensor<D>, reference: &Array) -> f32 {
    assert_eq!(found.dims().to_vec(), reference.shape);
    let found = found.try_to_vec_as::<f32>().expect("f32 values");
    let largest = reference.values.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = found.iter().zip(&reference.values).map(|(a, b)| (a - b).abs()).fold(0f32, |m, d| {
        assert!(d.is_finite(), "a value is not finite");
        m.max(d)
    });
    worst / largest
}

/// The device that training is tested on: the CPU, or what `DIFFCR_TEST_DEVICE` names as a run's file does.
pub fn device() -> Device {
    let name = std::env::var("DIFFCR_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    static OPENED: std::sync::OnceLock<Device> = std::sync::OnceLock::new();
    OPENED.get_or_init(|| name.parse::<diffcr::device::Choice>().unwrap().open().unwrap()).clone()
}
