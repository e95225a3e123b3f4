//! The judge of stickers to be trained: a classifier of the things that drawn pictures show.
//!
//! It sees pictures with a little noise, so that it looks at shapes and not at how cleanly they are drawn.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::config::TrainConfig;
use super::gradient::Gradient;
use super::held_out::HeldOut;
use super::objective::{Exported, Moment, Objective};
use super::parameters::{Leaves, Parameters};
use super::progress::Worth;
use super::stage::Stage;
use super::step::{Outcome, Workers, value};
use super::{export, init};
use crate::bundle::Weights;
use crate::convert::progress::Progress;
use crate::data::random::Random;
use crate::data::stickers::concepts;
use crate::data::{Batch, Source};
use crate::error::{Error, Result};
use crate::eval::stickers::network::{PREFIX, WEIGHTS, icons, read};
use crate::model::classifier::{Classifier, ClassifierConfig, names};
use crate::sampler::noise::gaussian;

/// Stream of the run's seed for fresh weights.
const INIT: u64 = 1;
/// Pictures that are looked at together.
const TOGETHER: usize = 16;

/// A classifier and what it is trained for.
#[derive(Debug)]
pub struct Judge<'a> {
    config: &'a TrainConfig,
    network: ClassifierConfig,
    held_out: HeldOut<'a>,
}

impl<'a> Judge<'a> {
    /// A new one, or the one in the folder `config.from`, and its parameters.
    ///
    /// # Errors
    /// `InvalidInput` on a setting; what the folder's files say.
    pub fn new(config: &'a TrainConfig) -> Result<(Self, Parameters)> {
        let (network, tensors) = match &config.from {
            Some(dir) => read(dir)?,
            None => {
                let c = &config.classifier;
                let (widths, blocks) = (c.widths.clone(), c.blocks.clone());
                let network = ClassifierConfig { side: c.side, widths, blocks, classes: icons() };
                network.check().map_err(|e| Error::input("classifier", e.to_string()))?;
                let tensors = init::make(init::classifier(&network), &mut Random::new(config.seed, INIT));
                (network, tensors)
            }
        };
        Ok((Self { config, network, held_out: HeldOut::new(config)? }, Parameters::new(tensors)?))
    }

    /// The network over `trained`, and the leaves of its graph where `device` has autodiff.
    fn network(&self, leaves: &Leaves, trained: &Parameters, device: &Device) -> Result<Classifier> {
        let mut weights = Weights::new(device);
        trained.insert_into(&mut weights, leaves, |_| true);
        let network = Classifier::load(&mut weights.scope(PREFIX), &self.network)?;
        weights.finish()?;
        Ok(network)
    }

    /// Percentage of the pictures whose things are all named.
    fn named(&self, workers: &Workers, weights: &Parameters, pictures: &Batch) -> Result<f64> {
        let picture = pictures.channels * pictures.size * pictures.size;
        let parts: Vec<&[f32]> = pictures.images.chunks(TOGETHER * picture).collect();
        let device = workers.plain();
        let hits = workers.map(parts.len(), |i| {
            let shape = [parts[i].len() / picture, pictures.channels, pictures.size, pictures.size];
            let x = Tensor::<4>::from_data(TensorData::new(parts[i].to_vec(), shape), device);
            let network = self.network(&weights.leaves(device), weights, device)?;
            let scores = network.scores(network.features(x)?).into_data();
            let scores = scores.try_to_vec::<f32>().map_err(|e| Error::internal(e.to_string()))?;
            let labels = pictures.labels.iter().skip(i * TOGETHER);
            Ok(scores.chunks(concepts().len()).zip(labels).filter(|(scores, things)| names(scores, things)).count())
        })?;
        Ok(100.0 * hits.iter().sum::<usize>() as f64 / pictures.labels.len().max(1) as f64)
    }
}

/// `[B, classes]`: each picture's things with equal shares of 1.
fn targets(labels: &[Vec<usize>], classes: usize) -> Vec<f32> {
    let mut rows = vec![0.0; labels.len() * classes];
    for (row, things) in rows.chunks_mut(classes.max(1)).zip(labels) {
        things.iter().for_each(|&thing| row[thing] += 1.0 / things.len() as f32);
    }
    rows
}

impl Objective for Judge<'_> {
    fn granularity(&self) -> usize {
        self.network.side
    }

    fn enter(&mut self, _: &Stage) {}

    fn prepare(&self, source: Box<dyn Source>) -> Result<Box<dyn Source>> {
        Ok(source)
    }

    fn step(&self, workers: &Workers, trained: &Parameters, batch: Batch, at: &Moment) -> Result<Outcome> {
        let (size, channels, micro) = (batch.size, batch.channels, self.config.optimizer.micro_batch);
        let picture = channels * size * size;
        let total = batch.images.len() / picture.max(1);
        if batch.labels.len() != total {
            return Err(Error::internal(format!("{} labels of {total} pictures", batch.labels.len())));
        }
        let parts: Vec<(&[f32], &[Vec<usize>])> =
            batch.images.chunks(micro * picture).zip(batch.labels.chunks(micro)).collect();
        let device = workers.autodiff();
        workers.sum(parts.len(), |i| {
            let (images, labels) = parts[i];
            let leaves = trained.leaves(device);
            let network = self.network(&leaves, trained, device)?;
            let noise = gaussian(self.config.seed, at.noise_stream(i), images.len());
            let scale = self.config.classifier.noise as f32;
            let noisy: Vec<f32> = images.iter().zip(noise).map(|(v, n)| v + scale * n).collect();
            let x = Tensor::<4>::from_data(TensorData::new(noisy, [labels.len(), channels, size, size]), device);
            let scores = network.scores(network.features(x)?); // [b, classes]
            let classes = scores.dims()[1];
            let target = TensorData::new(targets(labels, classes), [labels.len(), classes]);
            let loss = (log_softmax(scores, 1) * Tensor::from_data(target, device)).sum() * (-1.0 / total as f64);
            let found = value(&loss);
            let gradients = loss.backward();
            Ok(Outcome {
                gradient: Gradient::of(trained, &leaves, &gradients, device)?,
                loss: found,
                region_losses: vec![],
            })
        })
    }

    fn validate(&self, workers: &Workers, trained: &Parameters, average: &Parameters) -> Result<Option<Worth>> {
        let Some(pictures) = self.held_out.pictures()? else { return Ok(None) };
        let [current, average] = [trained, average].map(|values| self.named(workers, values, pictures));
        Ok(Some(Worth { current: current?, average: average?, unit: "%".into() }))
    }

    fn export(&self, average: &Parameters, _: &mut dyn Progress) -> Result<Exported> {
        let config = serde_json::to_value(&self.network).map_err(|e| Error::internal(e.to_string()))?;
        export::network(self.config, &config, WEIGHTS, average, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_share_a_pictures_target() {
        assert_eq!(targets(&[vec![1], vec![0, 2]], 3), [0.0, 1.0, 0.0, 0.5, 0.0, 0.5]);
    }
}
