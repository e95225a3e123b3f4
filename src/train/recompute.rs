//! The gradient of a micro-batch with the graph of one layer at a time (`recompute = "block"`).
//!
//! The layers run without a graph first, and only the tokens that enter each are kept. Then, from the last to the first, a layer runs
//! again with a graph, which takes the gradient of its output to those of its input and of its weights, and is dropped.

use burn::tensor::{Gradients, Tensor};

use super::net::{Frame, Goal, Losses, Net, timesteps};
use super::noise::{MicroBatch, Noisy};
use crate::error::{Error, Result};
use crate::model::attention::KeyValue;
use crate::model::block::Caption;
use crate::model::layer::LayerInput;
use crate::model::transformer::{Captions, Entered};

/// A leaf of a new graph with the values of `tensor`.
fn leaf<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    tensor.clone().inner().autodiff().require_grad()
}

/// `Σ x · gradient`: the scalar whose gradient at `x` is `gradient`.
fn through<const D: usize>(x: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    (x * gradient.autodiff()).sum()
}

/// The gradient of `leaf`, which the loss must have reached.
fn of<const D: usize>(leaf: &Tensor<D>, gradients: &Gradients) -> Result<Tensor<D>> {
    leaf.grad(gradients).ok_or_else(|| Error::internal("a layer's input has no part in the loss"))
}

/// Hands the gradients of the net's leaves to `found`, a part of them at a time, and returns the losses, of which `total` makes what
/// is minimized.
///
/// # Errors
/// As [`Net::losses`], and those of `found`.
pub fn backward(
    net: &Net,
    batch: &MicroBatch,
    noisy: Noisy,
    (frame, goal): (&Frame, Goal),
    total: impl Fn(&Losses) -> Tensor<1>,
    mut found: impl FnMut(&Gradients) -> Result<()>,
) -> Result<Losses> {
    let transformer = net.transformer();
    let captions = net.captions(batch)?;
    let seen = net.latents(batch, &noisy, frame);
    let entered = transformer.enter(seen, &timesteps(batch), &captions)?;

    let grid = Some([batch.size / transformer.config().patch_size; 2]);
    let plain = net.plain();
    let mut inputs = vec![entered.x.clone().inner()]; // [b, N, D] each
    for i in 0..transformer.layers().len() {
        let key_value = of_layer(&captions, i, |t| t.clone().inner());
        let bias = captions.layer(i).bias.map(|bias| bias.clone().inner());
        let caption = Caption { key_value: &key_value, bias: bias.as_ref() };
        let modulation = entered.modulation.blocks.clone().inner();
        let x = inputs[i].clone();
        inputs.push(plain.layer(frame, batch.region, i, LayerInput { x, caption, modulation, grid }));
    }
    drop(plain);

    let last = inputs.pop().ok_or_else(|| Error::internal("a transformer without tokens"))?;
    let (x, embedded) = (leaf(&last), leaf(&entered.modulation.embedded));
    let output = transformer.leave(x.clone(), embedded.clone(), [batch.size; 2]);
    let losses = net.compare(output, batch, noisy, frame, goal);
    let gradients = total(&losses).backward();
    found(&gradients)?;
    let mut gradient = of(&x, &gradients)?; // [b, N, D]
    let embedded = of(&embedded, &gradients)?;
    drop(gradients);

    let mut entrance = through(entered.modulation.embedded.clone(), embedded);
    let mut modulation_gradient: Option<Tensor<3>> = None; // [b, 6, D]
    for (i, layer) in transformer.layers().iter().enumerate().rev() {
        let input = inputs.pop().ok_or_else(|| Error::internal("a layer without its input"))?;
        let (x, modulation) = (leaf(&input), leaf(&entered.modulation.blocks));
        let key_value = of_layer(&captions, i, leaf);
        let caption = Caption { key_value: &key_value, bias: captions.layer(i).bias };
        let layer_input = LayerInput { x: x.clone(), caption, modulation: modulation.clone(), grid };
        let y = net.layer(frame, batch.region, i, layer, layer_input);
        let gradients = through(y, gradient).backward();
        found(&gradients)?;
        gradient = of(&x, &gradients)?;
        let own = of(&modulation, &gradients)?;
        modulation_gradient = Some(match modulation_gradient {
            Some(sum) => sum + own,
            None => own,
        });
        let outside = captions.layer(i).key_value;
        entrance = entrance
            + through(outside.key.clone(), of(&key_value.key, &gradients)?)
            + through(outside.value.clone(), of(&key_value.value, &gradients)?);
    }

    let Entered { x, modulation } = entered;
    let mut entrance = entrance + through(x, gradient);
    if let Some(gradient) = modulation_gradient {
        entrance = entrance + through(modulation.blocks, gradient);
    }
    found(&entrance.backward())?;
    Ok(losses)
}

/// Keys and values that layer `i` reads of the captions, by `map`.
fn of_layer(captions: &Captions, i: usize, map: impl Fn(&Tensor<4>) -> Tensor<4>) -> KeyValue {
    let KeyValue { key, value } = captions.layer(i).key_value;
    KeyValue { key: map(key), value: map(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::config::{Prediction, SchedulerConfig, SolverKind, TransformerConfig};
    use crate::bundle::manifest::Parts;
    use crate::data::random::Random;
    use crate::device;
    use crate::sampler::schedule::Schedule;
    use crate::train::gradient::Gradient;
    use crate::train::init;
    use crate::train::net::{RATIO, Routing};
    use crate::train::noise::Caption;
    use crate::train::parameters::Parameters;

    const LAYERS: usize = 24;

    fn frame() -> Frame {
        let transformer = TransformerConfig {
            layers: LAYERS,
            heads: 2,
            head_dim: 8,
            in_channels: 4,
            out_channels: 4,
            patch_size: 2,
            caption_channels: 6,
            sample_size: 8,
            interpolation_scale: 1.0,
            size_conditions: false,
            qk_norm: false,
            kv_compression: None,
        };
        let scheduler =
            SchedulerConfig { prediction: Prediction::Epsilon, solver: SolverKind::DpmSolver2M, ..Default::default() };
        let parts = Parts { transformer, text_encoder: None, tokenizer: None, vae: None, vae_tiny: None, scheduler };
        let routing = Routing { bins: vec![1.0, 0.5, 0.25], regions: 2, gain: 1.0, uniform: None, start: 1.0 };
        Frame {
            parts,
            frozen: Default::default(),
            lora_scale: 1.0,
            routing: Some(routing),
            rounding: None,
            encoding: Default::default(),
        }
    }

    #[test]
    fn gradients_are_those_of_the_whole_graph() {
        let frame = frame();
        let mut random = Random::new(3, 0);
        let mut tensors = init::make(init::transformer(&frame.parts.transformer), &mut random);
        tensors.extend(init::make(init::routers(&frame.parts.transformer), &mut random));
        let ratios = (0..2 * LAYERS).map(|i| 0.3 + 0.6 * (i % 7) as f32 / 7.0).collect();
        tensors.insert(RATIO.into(), (vec![2, LAYERS], ratios));
        let trained = Parameters::new(tensors).unwrap();
        let mut normal = |count: usize| (0..count).map(|_| random.gaussian() as f32).collect::<Vec<_>>();
        let batch = MicroBatch {
            region: 1,
            channels: 4,
            size: 8,
            timesteps: vec![20, 400],
            images: normal(2 * 4 * 64),
            masks: vec![],
            captions: vec![Caption::States(normal(3 * 6)), Caption::States(normal(5 * 6))],
            noise: (0, 0),
        };
        let schedule = Schedule::new(&frame.parts.scheduler).unwrap();
        let noisy = batch.noisy(&schedule, Prediction::Epsilon, 4.0).unwrap();
        let goal = Goal { total: 4, target: 0.5, bound: None };
        let total = |losses: &Losses| losses.total(0.3);
        let device = device::cpu().autodiff();

        let net = Net::new(&frame, &trained, &device).unwrap();
        let losses = net.losses(&batch, noisy.clone(), &frame, goal).unwrap();
        let expected = Gradient::of(&trained, net.leaves(), &total(&losses).backward(), &device).unwrap();
        let expected = expected.into_host(&trained).unwrap();
        let mut found = Gradient::zero(&trained, &device);
        let net = Net::new(&frame, &trained, &device).unwrap();
        let add = |gradients: &Gradients| found.add_found(&trained, net.leaves(), gradients);
        backward(&net, &batch, noisy, (&frame, goal), total, add).unwrap();
        let found = found.into_host(&trained).unwrap();

        let largest = expected.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        for view in trained.views() {
            let range = trained.range(view.name).unwrap();
            let (expected, found) = (&expected[range.clone()], &found[range]);
            let most = expected.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
            let error = expected.iter().zip(found).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
            // A bias of keys moves all logits of a row alike: its gradient is rounding.
            let nothing = if view.name.ends_with("to_k.bias") { largest } else { 0.0 };
            assert!(error <= 1e-5 * most.max(nothing), "{}: {error} of {most}", view.name);
            assert!(most > 0.0, "{} learns nothing", view.name);
        }
    }
}
