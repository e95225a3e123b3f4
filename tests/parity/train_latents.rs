//! Training behind an autoencoder against torch: losses, every gradient, and the weights after some steps.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use diffcr::bundle::config::{Prediction, SchedulerConfig, SolverKind, TransformerConfig};
use diffcr::bundle::manifest::Parts;
use diffcr::sampler::schedule::Schedule;
use diffcr::train::gradient::Gradient;
use diffcr::train::net::{Frame, Goal, Net, RATIO, Routing, is_router, is_table};
use diffcr::train::noise::{Caption, MicroBatch, Noisy};
use diffcr::train::optimizer::{AdamW, Group, Rate};
use diffcr::train::parameters::Parameters;
use diffcr::train::vlb::{Bound, Posterior};

use crate::support::{Array, device, error, read};
use crate::transformer::sigma;

const TOLERANCE: f32 = 1e-3;
const STEPS: usize = 20;
const LAMBDA: f64 = 0.3;
const TARGET: f64 = 0.7;

fn alpha() -> TransformerConfig {
    TransformerConfig { sample_size: 128, interpolation_scale: 2.0, size_conditions: true, ..sigma() }
}

struct Case {
    data: BTreeMap<String, Array>,
    frame: Frame,
    schedule: Schedule,
    bound: Option<Bound>,
}

/// Losses of a step: denoising, variance, ratios.
type Found = [f64; 3];

impl Case {
    fn new(name: &str, transformer: TransformerConfig, prediction: Prediction, vlb: bool) -> (Self, Parameters) {
        let data = read(&format!("{name}/train.safetensors"));
        let file = read(&format!("{name}/pipeline/transformer/diffusion_pytorch_model.safetensors"));
        let mut tensors: BTreeMap<_, _> =
            file.into_iter().map(|(name, a)| (format!("transformer.{name}"), (a.shape, a.values))).collect();
        let width = transformer.width();
        for i in 0..transformer.layers {
            let name = format!("transformer.transformer_blocks.{i}.router.weight");
            tensors.insert(name, (vec![1, width], data[&format!("router.{i}")].values.clone()));
        }
        tensors.insert(RATIO.into(), (data["ratio"].shape.clone(), data["ratio"].values.clone()));
        let scheduler = SchedulerConfig { prediction, solver: SolverKind::DpmSolver2M, ..Default::default() };
        let schedule = Schedule::new(&scheduler).unwrap();
        let parts = Parts { transformer, text_encoder: None, tokenizer: None, vae: None, vae_tiny: None, scheduler };
        let routing = Routing { bins: vec![1.0, 0.75, 0.5, 0.25], regions: 2, gain: 1.0, uniform: None, start: 1.0 };
        let frame = Frame {
            parts,
            frozen: Default::default(),
            lora_scale: 1.0,
            routing: Some(routing),
            rounding: None,
            encoding: Default::default(),
        };
        let bound = vlb.then(|| Bound::new(&schedule));
        (Self { data, frame, schedule, bound }, Parameters::new(tensors).unwrap())
    }

    fn micro_batch(&self, region: usize) -> (MicroBatch, Noisy) {
        let of = |name: &str| {
            let values = &self.data[name].values;
            values[region * values.len() / 2..][..values.len() / 2].to_vec()
        };
        let (clean, noise, mask) = (of("latents"), of("noise"), of("mask"));
        let timesteps: Vec<usize> = of("timestep").iter().map(|&t| t as usize).collect();
        let width = self.frame.parts.transformer.caption_channels;
        let context = of("context");
        let rows = context.chunks(context.len() / 2).zip(mask.chunks(mask.len() / 2));
        let captions = rows.map(|(states, mask)| {
            let length = mask.iter().sum::<f32>() as usize;
            Caption::States(states[..length * width].to_vec())
        });
        let picture = clean.len() / 2;
        let (mut latents, mut target) = (vec![], vec![]);
        for ((&t, x), e) in timesteps.iter().zip(clean.chunks(picture)).zip(noise.chunks(picture)) {
            let level = self.schedule.level(t);
            let (signal, sigma) = (level.signal as f32, level.sigma as f32);
            latents.extend(x.iter().zip(e).map(|(x, e)| signal * x + sigma * e));
            target.extend(x.iter().zip(e).map(|(x, e)| match self.frame.parts.scheduler.prediction {
                Prediction::Epsilon => *e,
                Prediction::Sample => *x,
                Prediction::VPrediction => signal * e - sigma * x,
            }));
        }
        let batch = MicroBatch {
            region,
            channels: 4,
            size: 16,
            timesteps,
            images: clean,
            masks: vec![],
            captions: captions.collect(),
            noise: (0, 0),
        };
        (batch, Noisy { latents, target, weights: vec![1.0; 2], emphasis: vec![] })
    }

    fn step(&self, trained: &Parameters) -> (Found, Vec<f32>) {
        let device = device().autodiff();
        let (mut found, mut sum) = ([0.0; 3], vec![0.0; trained.values().len()]);
        for region in 0..2 {
            let (batch, noisy) = self.micro_batch(region);
            let net = Net::new(&self.frame, trained, &device).unwrap();
            let goal = Goal { total: 4, target: TARGET, bound: self.bound.as_ref() };
            let losses = net.losses(&batch, noisy, &self.frame, goal).unwrap();
            let parts = [Some(losses.denoise), losses.vlb, losses.ratio];
            for (found, part) in found.iter_mut().zip(&parts) {
                let value = |t: &Tensor<1>| f64::from(t.clone().inner().try_to_vec_as::<f32>().unwrap()[0]);
                *found += part.as_ref().map_or(0.0, value);
            }
            let [denoise, vlb, ratio] = parts;
            let others = [vlb, ratio.map(|r| r * LAMBDA)];
            let loss = others.into_iter().flatten().fold(denoise.unwrap(), |a, b| a + b);
            let gradients = loss.backward();
            let gradient =
                Gradient::of(trained, net.leaves(), &gradients, &device).unwrap().into_host(trained).unwrap();
            sum.iter_mut().zip(&gradient).for_each(|(a, b)| *a += b);
        }
        (found, sum)
    }
}

fn compare(name: &str, case: &Case, mut trained: Parameters) {
    let worst = |what: &str, values: &[f32], names: &Parameters| {
        let mut worst = (0.0, String::new());
        // A key's bias moves all logits of a query alike: its gradient is zero but for rounding.
        for view in names.views().filter(|view| !view.name.ends_with("to_k.bias")) {
            let reference = &case.data[&format!("{what}.{}", view.name)];
            let flat = Array { shape: vec![reference.values.len()], values: reference.values.clone() };
            let range = names.range(view.name).unwrap();
            let found = TensorData::new(values[range].to_vec(), [flat.values.len()]);
            let found = Tensor::<1>::from_data(found, &Device::flex());
            if flat.values.iter().any(|v| *v != 0.0) {
                let e = error(found, &flat);
                worst = if e > worst.0 { (e, view.name.to_owned()) } else { worst };
            }
        }
        println!("{name}, {what}: {:.2e} at {}", worst.0, worst.1);
        assert!(worst.0 < TOLERANCE, "{name}, {what}: {} at {}", worst.0, worst.1);
    };

    let group = |view: diffcr::train::parameters::View, trained: &Parameters| {
        let decays = view.shape.len() > 1 && !is_table(view.name) || is_router(view.name);
        Group {
            range: trained.range(view.name).unwrap(),
            rate: if view.name == RATIO { Rate::Own(2e-3) } else { Rate::Stage },
            weight_decay: if decays { 0.01 } else { 0.0 },
            clipped: true,
        }
    };
    let groups: Vec<Group> = trained.views().map(|view| group(view, &trained)).collect();
    let mut adam = AdamW::new(trained.values().len(), [0.9, 0.98]);
    for step in 0..STEPS {
        let (found, gradient) = case.step(&trained);
        if step == 0 {
            for (what, found) in ["denoise", "vlb", "ratio_loss"].iter().zip(found) {
                let wanted = f64::from(case.data[*what].values[0]);
                let off = (found - wanted).abs() / wanted.abs().max(1e-9);
                println!("{name}, {what}: {off:.2e}");
                assert!(off < f64::from(TOLERANCE), "{name}, {what}: {found}, not {wanted}");
            }
            worst("grad", &gradient, &trained);
        }
        adam.update(trained.values_mut(), &gradient, &groups, 1e-3, 1.0);
        let range = trained.range(RATIO).unwrap();
        trained.values_mut()[range].iter_mut().for_each(|r| *r = r.clamp(0.25, 1.0));
    }
    worst("after", trained.values(), &trained);
}

#[test]
fn sigma_with_its_variance_trains_as_in_torch() {
    let (case, trained) = Case::new("sigma", sigma(), Prediction::Epsilon, true);
    compare("sigma", &case, trained);
}

#[test]
fn alpha_with_size_conditions_trains_as_in_torch() {
    let (case, trained) = Case::new("alpha", alpha(), Prediction::VPrediction, false);
    compare("alpha", &case, trained);
}

#[test]
fn the_bound_at_the_first_timestep_is_a_likelihood() {
    let data = read("sigma/train.safetensors");
    let device = Device::flex();
    let of = |name: &str| data[&format!("first.{name}")].tensor(&device);
    let posterior = Posterior {
        output: of("output"),
        prediction: Prediction::Epsilon,
        clean: of("clean"),
        noisy: of("noisy"),
        timesteps: &[0, 0],
    };
    let found = Bound::new(&Schedule::new(&SchedulerConfig::default()).unwrap()).of(posterior);
    let e = error(found, &data["first.vlb"]);
    assert!(e < TOLERANCE, "{e}");
}
