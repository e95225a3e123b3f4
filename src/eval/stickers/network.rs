//! The trained judge: the folder that `train classifier` writes, and its answers.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::{Answer, Classifier};
use crate::bundle::Weights;
use crate::data::stickers::concepts;
use crate::error::{Error, Result};
use crate::files;
use crate::model::classifier::{self, ClassifierConfig};

/// The files of the folder.
pub const CONFIG: &str = "config.json";
pub const WEIGHTS: &str = "model.safetensors";
/// In front of its tensors' names.
pub const PREFIX: &str = "classifier";

/// Shape and values by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// What it tells apart: the things' keys in the icon sets.
pub fn icons() -> Vec<String> {
    concepts().iter().map(|c| c.icon.to_owned()).collect()
}

/// What the files of a folder say.
///
/// # Errors
/// `Io`, or `ModelInvalid` naming the file; a classifier of other things than [`concepts()`] is refused.
pub fn read(dir: &Path) -> Result<(ClassifierConfig, Tensors)> {
    let bytes = |name: &str| files::read(&dir.join(name));
    let config: ClassifierConfig =
        serde_json::from_slice(&bytes(CONFIG)?).map_err(|e| Error::model(CONFIG, e.to_string()))?;
    config.check()?;
    if config.classes != icons() {
        let reason =
            format!("it tells {} things apart that are not the {} of stickers", config.classes.len(), concepts().len());
        return Err(Error::model("classes", reason));
    }
    let bytes = bytes(WEIGHTS)?;
    let invalid = |e: &dyn std::fmt::Display| Error::model(WEIGHTS, e.to_string());
    let mut tensors = Tensors::new();
    for (name, view) in SafeTensors::deserialize(&bytes).map_err(|e| invalid(&e))?.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(Error::model(name, format!("is {:?}, not F32", view.dtype())));
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok((config, tensors))
}

/// A classifier of [`concepts()`].
#[derive(Debug)]
pub struct ConceptClassifier {
    network: classifier::Classifier,
    device: Device,
}

impl ConceptClassifier {
    /// That of a folder.
    ///
    /// # Errors
    /// As [`read`]; `ModelInvalid` naming a tensor.
    pub fn open(dir: &Path, device: &Device) -> Result<Self> {
        let (config, tensors) = read(dir)?;
        let mut weights = Weights::new(device);
        tensors.into_iter().for_each(|(name, (shape, values))| weights.insert(name, &shape, values));
        let network = classifier::Classifier::load(&mut weights.scope(PREFIX), &config)?;
        weights.finish()?;
        Ok(Self { network, device: device.clone() })
    }
}

impl Classifier for ConceptClassifier {
    fn look(&self, image: &[f32], size: usize) -> Result<Answer> {
        let x = TensorData::new(image.to_vec(), [1, 3, size, size]);
        let features = self.network.features(Tensor::from_data(x, &self.device))?;
        let read = |t: Tensor<2>| t.into_data().try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()));
        Ok(Answer { scores: read(self.network.scores(features.clone()))?, features: read(features)? })
    }
}
