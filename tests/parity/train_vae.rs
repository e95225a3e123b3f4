//! Training an autoencoder against torch: the loss and every gradient.

use diffcr::convert::progress::Unwatched;
use diffcr::data::Batch;
use diffcr::device;
use diffcr::train::autoencoder::Autoencoder;
use diffcr::train::config::{Kind, TrainConfig};
use diffcr::train::controller::Controller;
use diffcr::train::objective::{Moment, Objective};
use diffcr::train::parameters::Parameters;
use diffcr::train::step::Workers;

use crate::support::{Array, error, read};

const TOLERANCE: f32 = 1e-3;

#[test]
fn loss_and_gradients_are_those_of_torch_and_a_folder_keeps_the_weights() {
    let dir = std::env::temp_dir().join(format!("diffcr-train-vae-{}", std::process::id()));
    let data = read("vae/tiny_patch.safetensors");
    let text = format!(
        "out = '{0}/vae'\nwork = '{0}/work'\n[[stage]]\nsize = 16\nbatch = 3\nsteps = 1\nlr = 1e-3\n[autoencoder]\nlatentChannels = 5\n\
         widths = [8, 12, 16]\nencoderBlocks = [1, 1, 2]\ndecoderBlocks = [2, 1, 1]\ncrop = 0\nnoise = 0.0\nedges = 0.7\nmoments = 0.3\n",
        dir.display()
    );
    let config = TrainConfig::parse(&text, Kind::Vae).unwrap();
    let (objective, fresh) = Autoencoder::new(&config).unwrap();
    let shapes = fresh.views().map(|v| (v.name.to_owned(), v.shape.to_vec()));
    let weight = |name: &str| data[&format!("weights.{}", name.trim_start_matches("vae_tiny."))].clone();
    let tensors = shapes.map(|(name, shape)| {
        let Array { shape: found, values } = weight(&name);
        assert_eq!(found, shape, "{name}");
        (name, (shape, values))
    });
    let trained = Parameters::new(tensors.collect()).unwrap();
    assert_eq!(trained.views().count(), data.keys().filter(|name| name.starts_with("weights.")).count());

    let stage = config.stages().unwrap()[0];
    let at = Moment { stage, step: 0, done: 0.0, controller: Controller::new(1.0) };
    let crops = &data["train.crops"];
    let batch = Batch { images: crops.values.clone(), ..Batch::pictures(16) };
    let workers = Workers::new(1, &device::cpu()).unwrap();
    let found = objective.step(&workers, &trained, batch, &at).unwrap();
    let wanted = data["train.loss"].values[0];
    assert!((found.loss as f32 - wanted).abs() < 1e-5, "{} {wanted}", found.loss);
    let gradient = found.gradient.into_host(&trained).unwrap();
    for view in trained.views() {
        let wanted = &data[&format!("train.grad.{}", view.name.trim_start_matches("vae_tiny."))];
        let flat = Array { shape: vec![wanted.values.len()], values: wanted.values.clone() };
        let range = trained.range(view.name).unwrap();
        let e = error(burn::tensor::Tensor::<1>::from_floats(&gradient[range], &device::cpu()), &flat);
        assert!(e < TOLERANCE, "{}: {e}", view.name);
    }

    objective.export(&trained, &mut Unwatched).unwrap();
    let again = TrainConfig { from: Some(config.out.clone()), ..config.clone() };
    assert_eq!(Autoencoder::new(&again).unwrap().1, trained);
    std::fs::remove_dir_all(dir).unwrap();
}
