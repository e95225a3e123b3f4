//! What a model draws in the midst of its training: fixed prompts, fixed noise, one sheet.

use std::path::Path;
use std::rc::Rc;

use super::files::replace;
use crate::bundle::folder::load_folder;
use crate::device;
use crate::error::{Error, Result};
use crate::pipeline::generate::Run;
use crate::pipeline::{GenerateOptions, Pipeline, png};

/// Pictures in a row of the sheet.
const COLUMNS: usize = 4;
/// Steps of each; it is looked at, not measured.
const STEPS: usize = 12;
const GUIDANCE: f64 = 3.0;

/// Draws the prompts with the bundle in `dir`, each from the noise of its number, and writes them as a PNG.
///
/// # Errors
/// `Io` naming a file, and the pipeline's.
pub fn draw(dir: &Path, prompts: &[String], path: &Path) -> Result<()> {
    let pipeline = Rc::new(Pipeline::new(load_folder(dir, &device::cpu(), None)?)?);
    let mut pictures = Vec::with_capacity(prompts.len());
    for (seed, prompt) in (0..).zip(prompts) {
        let options = GenerateOptions {
            prompt: Some(prompt.clone()),
            seed: Some(seed),
            steps: Some(STEPS),
            guidance: Some(GUIDANCE),
            ..GenerateOptions::default()
        };
        let mut run = Run::new(pipeline.clone(), &options, None)?;
        while run.step()?.is_some() {}
        let drawn = pollster::block_on(run.finish())?.pixels;
        let [.., height, width] = drawn.shape[..] else { return Err(Error::internal("a picture has no sides")) };
        if height != width {
            return Err(Error::internal("a picture is not square"));
        }
        pictures.push((width, drawn.data));
    }
    let side = pictures.first().map_or(1, |(side, _)| *side);
    let pictures: Vec<Vec<f32>> = pictures.into_iter().map(|(_, data)| data).collect();
    replace(path, &png::sheet(&pictures, side, COLUMNS.min(pictures.len()))?)
}
