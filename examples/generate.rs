//! A picture natively: `cargo run --release --example generate -- [BUNDLE] [OUT.png]`.

use std::path::PathBuf;
use std::rc::Rc;

use diffcr::bundle::folder::load_folder;
use diffcr::device;
use diffcr::pipeline::{GenerateOptions, Pipeline, Run};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let bundle = arguments.next().unwrap_or_else(|| "www/public/models/scenes-q4".into());
    let out = arguments.next().unwrap_or_else(|| "star.png".into());

    let pipeline = Rc::new(Pipeline::new(load_folder(&bundle, &device::cpu(), None)?)?);
    let options = GenerateOptions {
        prompt: Some("a large red star on a blue background".into()),
        seed: Some(7),
        steps: Some(8),
        guidance: Some(3.0),
        ..Default::default()
    };
    let mut run = Run::new(pipeline, &options, None)?;
    while let Some(report) = run.step()? {
        println!("step {} of {}", report.step, report.total);
    }
    let image = pollster::block_on(run.finish())?.image;
    image::save_buffer(&out, &image.data, image.width as u32, image.height as u32, image::ColorType::Rgba8)?;
    println!("{}", out.display());
    Ok(())
}
