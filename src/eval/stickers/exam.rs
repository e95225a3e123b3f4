//! The exam of models that draw stickers.

use std::path::Path;
use std::sync::Mutex;

use super::network::ConceptClassifier;
use super::{Answer, Classifier, judge};
use crate::data::random::Random;
use crate::data::stickers::{Art, Pairs, Sticker, describe, render};
use crate::device;
use crate::error::{Error, Result};
use crate::eval::exam::{Exam, Judged};
use crate::eval::features::{Extractor, Statistics};

/// Seed of the held-out stickers; training must not use it. Prompt `i` is of stream `i`, the true pictures are of a second seed.
const HELD_OUT_SEED: u64 = 0x5354_4943_4B45_5253;
const REFERENCE_SEED: u64 = HELD_OUT_SEED + 1;
/// Side of the true pictures.
const SIDE: usize = 128;
/// The least side whose background can be read.
const LEAST_SIDE: usize = 16;

/// Captions of stickers that no training seed draws.
#[derive(Debug)]
pub struct StickerExam {
    prompts: Vec<String>,
    stickers: Vec<Sticker>,
    art: Mutex<Art>,
    eye: Eye,
    reference: Statistics,
}

/// Who looks at pictures.
#[derive(Debug)]
enum Eye {
    /// Names things.
    Trained(Mutex<ConceptClassifier>),
    /// Does not.
    Random(Extractor),
}

impl Eye {
    /// What it answers, without scores where it names nothing.
    fn look(&self, picture: &[f32], side: usize) -> Result<Answer> {
        match self {
            Self::Trained(classifier) => locked(classifier)?.look(picture, side),
            Self::Random(extractor) => Ok(Answer { scores: vec![], features: extractor.features(picture, side)? }),
        }
    }

    fn names_things(&self) -> bool {
        matches!(self, Self::Trained(_))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> Result<std::sync::MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| Error::internal("a judging thread panicked"))
}

impl StickerExam {
    /// `count` prompts, the same for every model: of the pairs of thing and colour that training sees, or of those it never does.
    /// Without the folder of a `classifier` nobody tells what a thing is, and distances are those of a random network.
    ///
    /// # Errors
    /// `InvalidInput` on `prompts` below 2; what the art and the classifier are refused for.
    pub fn new(count: usize, pairs: Pairs, art: &Path, classifier: Option<&Path>) -> Result<Self> {
        if count < 2 {
            return Err(Error::input("prompts", "a distribution needs at least 2"));
        }
        let eye = match classifier {
            Some(dir) => Eye::Trained(Mutex::new(ConceptClassifier::open(dir, &device::cpu())?)),
            None => Eye::Random(Extractor::default()),
        };
        let mut art = Art::open(art)?;
        let others = stickers(REFERENCE_SEED, count, pairs);
        let features = others.map(|s| Ok(eye.look(&render(&s, &mut art, SIDE)?, SIDE)?.features));
        let reference = Statistics::new(&features.collect::<Result<Vec<_>>>()?)?;
        let stickers: Vec<Sticker> = stickers(HELD_OUT_SEED, count, pairs).collect();
        let prompts = stickers.iter().map(|s| s.caption.clone()).collect();
        Ok(Self { prompts, stickers, art: Mutex::new(art), eye, reference })
    }

    fn sticker(&self, i: usize) -> Result<&Sticker> {
        self.stickers.get(i).ok_or_else(|| Error::internal(format!("there is no prompt {i}")))
    }
}

/// Sticker `i` is of stream `i`, so that more prompts begin with the same ones.
fn stickers(seed: u64, count: usize, pairs: Pairs) -> impl Iterator<Item = Sticker> {
    (0..count as u64).map(move |i| describe(&mut Random::new(seed, i), pairs, None, false))
}

impl Exam for StickerExam {
    fn marks(&self) -> &'static [&'static str] {
        &["prompt", "concept", "alone", "color", "background", "visible"]
    }

    fn prompts(&self) -> &[String] {
        &self.prompts
    }

    fn least_side(&self) -> usize {
        LEAST_SIDE
    }

    fn reference(&self) -> &Statistics {
        &self.reference
    }

    fn true_picture(&self, i: usize) -> Result<(Vec<f32>, usize)> {
        Ok((render(self.sticker(i)?, &mut *locked(&self.art)?, SIDE)?, SIDE))
    }

    fn judge(&self, i: usize, picture: &[f32], side: usize) -> Result<Judged> {
        let sticker = self.sticker(i)?;
        let answer = self.eye.look(picture, side)?;
        let v = judge(picture, side, sticker, self.eye.names_things().then_some(&answer))?;
        let alone = v.concept.filter(|_| sticker.things.len() == 1);
        let all = [v.concept, v.color, v.background, Some(v.visible)].into_iter().flatten().all(|hit| hit);
        let marks = vec![Some(all), v.concept, alone, v.color, v.background, Some(v.visible)];
        Ok(Judged { marks, features: answer.features })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stickers::art::INSTALLED;
    use crate::eval::generation::HeldOut;

    /// Runs where `npm ci` was run in `tools/stickers-art`, and says so where it was not.
    #[test]
    fn true_pictures_are_as_asked() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED);
        if !dir.is_dir() {
            eprintln!("the stickers' art is not installed: {} is not there", dir.display());
            return;
        }
        let exam = StickerExam::new(60, Pairs::HeldOut, &dir, None).unwrap();
        let held_out = HeldOut::new(&exam).unwrap();
        let row = &held_out.truth().row;
        let accuracy = &row.accuracy;
        assert_eq!((accuracy.of("concept").asked, accuracy.of("visible").percent()), (0, 100.0));
        assert!(accuracy.prompt().percent() > 90.0, "{accuracy:?}");
        let (seam, sharpness) = row.seam.zip(row.sharpness).unwrap();
        assert!((seam - 1.0).abs() < 1e-9 && (sharpness - 1.0).abs() < 1e-9, "{seam} {sharpness}");
    }
}
