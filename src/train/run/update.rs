//! An update of a run's numbers by a gradient, in host memory or on the device that trains them.

use super::Run;
use crate::error::{Error, Result};
use crate::train::checkpoint::RunTensors;
use crate::train::ema;
use crate::train::gradient::Gradient;
use crate::train::muon::{self, Rates};
use crate::train::net::RATIO;
use crate::train::optimizer::clip;
use crate::train::resident::Step;

impl Run<'_> {
    /// Moves parameters and average by a gradient, whose norm it returns.
    pub(super) fn update(&mut self, gradient: Gradient, loss: f64, rate: f64, shape: f64) -> Result<f64> {
        let config = self.config;
        let sound = |norm: f64| match norm.is_finite() && loss.is_finite() {
            true => Ok(norm),
            false => {
                let reason = format!("not a number at step {}: lower the learning rate", self.state.step + 1);
                Err(Error::model("loss", reason))
            }
        };
        let o = &config.optimizer;
        let muon = o.muon.map(|rate| Rates { rate: rate * shape, decay: o.weight_decay });
        let rest = ema::rest(self.state.stage_step, o.ema);
        let RunTensors { values, average, adam } = &mut self.tensors;
        match (gradient, &mut self.resident) {
            (Gradient::Device(parts), Some(resident)) => {
                let gradient = Gradient::vector(parts, values, self.workers.plain());
                let norm = sound(resident.norm(&gradient)?)?;
                adam.count += 1;
                let (count, betas, limit) = (adam.count, o.betas, o.clip);
                resident.update(gradient, norm, Step { rate: rate * shape, shape, count, betas, limit, muon });
                resident.hand_over(values);
                values.refresh(RATIO)?;
                self.objective.constrain(values);
                resident.replace(values, RATIO);
                resident.hand_over(values);
                resident.average(rest);
                Ok(norm)
            }
            (Gradient::Host(mut gradient), None) => {
                let norm = sound(clip(&mut gradient, &self.groups, o.clip))?;
                adam.update(values.values_mut(), &gradient, &self.groups, rate * shape, shape);
                if let Some(rates) = muon {
                    let (pools, device) = (self.workers.pools(), self.workers.plain());
                    let momentum = &mut adam.first;
                    let state = muon::State { values: values.values_mut(), gradient: &gradient, momentum };
                    muon::update(&self.matrices, rates, state, pools, device)?;
                }
                self.objective.constrain(values);
                ema::update(average.values_mut(), values.values(), self.state.stage_step, o.ema);
                Ok(norm)
            }
            _ => Err(Error::internal("a gradient on another device than the parameters")),
        }
    }

    /// Brings `tensors` to what they are on the device.
    pub(super) fn read_back(&mut self) -> Result<()> {
        match &self.resident {
            Some(resident) => resident.read_back(&mut self.tensors),
            None => Ok(()),
        }
    }
}
