//! The exam of models that draw scenes.

use super::exam::{Exam, Judged};
use super::features::{Extractor, Statistics};
use super::judge::judge;
use super::judge::picture::{Picture, SIDE};
use crate::data::random::Random;
use crate::data::scenes::{Request, Scene, describe, render};
use crate::error::{Error, Result};

/// Seed of the held-out scenes; training must not use it. Prompt `i` is of stream `i`, the true pictures are of a second seed.
pub const HELD_OUT_SEED: u64 = 0x4845_4C44_4F55_5421;
const REFERENCE_SEED: u64 = HELD_OUT_SEED + 1;
/// Side of the true pictures.
const TRUE_SIDE: usize = 2 * SIDE;

/// Captions of scenes that no training seed draws.
#[derive(Debug)]
pub struct SceneExam {
    prompts: Vec<String>,
    requests: Vec<Request>,
    extractor: Extractor,
    reference: Statistics,
}

impl SceneExam {
    /// `count` prompts, the same for every model.
    ///
    /// # Errors
    /// `InvalidInput` on `prompts` below 2.
    pub fn new(count: usize) -> Result<Self> {
        if count < 2 {
            return Err(Error::input("prompts", "a distribution needs at least 2"));
        }
        let extractor = Extractor::default();
        let requests: Vec<Request> =
            scenes(HELD_OUT_SEED, count).map(|s| Request::parse(&s.caption)).collect::<Result<_>>()?;
        let features = scenes(REFERENCE_SEED, count).map(|s| extractor.features(&render(&s, SIDE), SIDE));
        let reference = Statistics::new(&features.collect::<Result<Vec<_>>>()?)?;
        let prompts = requests.iter().map(Request::caption).collect();
        Ok(Self { prompts, requests, extractor, reference })
    }
}

impl Exam for SceneExam {
    fn marks(&self) -> &'static [&'static str] {
        // The size is not part of the whole prompt.
        &["prompt", "shape", "color", "place", "size", "background"]
    }

    fn prompts(&self) -> &[String] {
        &self.prompts
    }

    fn least_side(&self) -> usize {
        SIDE
    }

    fn reference(&self) -> &Statistics {
        &self.reference
    }

    fn true_picture(&self, i: usize) -> Result<(Vec<f32>, usize)> {
        Ok((render(&describe(&mut Random::new(HELD_OUT_SEED, i as u64)), TRUE_SIDE), TRUE_SIDE))
    }

    fn judge(&self, i: usize, picture: &[f32], side: usize) -> Result<Judged> {
        let request = self.requests.get(i).ok_or_else(|| Error::internal(format!("there is no prompt {i}")))?;
        let features = self.extractor.features(&Picture::new(picture, side)?.planes(), SIDE)?;
        let v = judge(picture, side, request)?;
        let marks = vec![Some(v.accepted()), Some(v.shape), Some(v.color), v.place, v.size, Some(v.background)];
        Ok(Judged { marks, features })
    }
}

/// Scene `i` is of stream `i`, so that more prompts begin with the same ones.
fn scenes(seed: u64, count: usize) -> impl Iterator<Item = Scene> {
    (0..count as u64).map(move |i| describe(&mut Random::new(seed, i)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::generation::{HeldOut, SAMPLES};

    #[test]
    fn true_pictures_score_full_marks() {
        let exam = SceneExam::new(40).unwrap();
        let held_out = HeldOut::new(&exam).unwrap();
        let outcome = held_out.truth();
        let accuracy = &outcome.row.accuracy;
        assert!(accuracy.prompt().percent() >= 97.0 && accuracy.prompt().asked == 40);
        assert!(accuracy.of("place").asked < 40 && accuracy.of("size").asked < 40);
        assert_eq!((outcome.samples.len(), outcome.side), (SAMPLES, 128));
        assert!(outcome.row.frechet.is_finite());
        let (seam, sharpness) = outcome.row.seam.zip(outcome.row.sharpness).unwrap();
        assert!((seam - 1.0).abs() < 1e-9 && (sharpness - 1.0).abs() < 1e-9, "{seam} {sharpness}");
        assert!(SceneExam::new(1).is_err());
    }
}
