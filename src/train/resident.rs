//! A run's numbers in the memory of the GPU that trains them: parameters, average and moments as flat tensors, and the update of all
//! of them in a few operations. Nothing but the norm of a gradient is read back.
//!
//! The update is that of [`super::optimizer`] and [`super::muon`]; matrices of one shape are made orthogonal together.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::checkpoint::RunTensors;
use super::muon::{MOMENTUM, Matrix, Rates, orthogonal_all};
use super::optimizer::{EPSILON, Group, Rate};
use super::parameters::{Parameters, count_moved, read_vector};
use crate::error::Result;

/// Parameters that an update treats alike.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Class {
    Adam { rate: Rate, weight_decay: f64, clipped: bool },
    Muon,
}

/// A piece of the vector of Muon's steps.
#[derive(Debug, Clone)]
enum Piece {
    /// Parameters that are AdamW's.
    Zero(usize),
    /// Matrix `at` of those with the shape number `shape`, times `factor`.
    Matrix { shape: usize, at: usize, factor: f64 },
}

/// What an update goes by.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The stage's rate at this step.
    pub rate: f64,
    /// Its share of the peak.
    pub shape: f64,
    /// Updates made in this stage, this one among them.
    pub count: u64,
    pub betas: [f64; 2],
    /// Largest norm of the gradient.
    pub limit: f64,
    /// Of Muon.
    pub muon: Option<Rates>,
}

#[derive(Debug)]
pub struct Resident {
    device: Device,
    values: Tensor<1>,
    average: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    classes: Vec<Class>,
    /// Of every parameter.
    class: Tensor<1, Int>,
    /// Of Muon's matrices those of each shape.
    shapes: Vec<([usize; 2], Vec<Matrix>)>,
    pieces: Vec<Piece>,
}

impl Resident {
    /// Moves a run's numbers to `device`; the leaves of `tensors.values` come from there from now on.
    pub fn new(tensors: &mut RunTensors, groups: &[Group], matrices: &[Matrix], device: &Device) -> Self {
        let upload = |values: &[f32]| {
            count_moved(device, values.len());
            Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        let count = tensors.values.values().len();
        let mut classes = vec![];
        let mut class = vec![0i32; count];
        let mut assign = |range: std::ops::Range<usize>, new: Class| {
            let at = classes.iter().position(|known| *known == new).unwrap_or_else(|| {
                classes.push(new);
                classes.len() - 1
            });
            class[range].fill(at as i32);
        };
        for group in groups {
            let Group { range, rate, weight_decay, clipped } = group.clone();
            assign(range, Class::Adam { rate, weight_decay, clipped });
        }
        matrices.iter().for_each(|matrix| assign(matrix.range.clone(), Class::Muon));

        let mut shapes: Vec<([usize; 2], Vec<Matrix>)> = vec![];
        let mut pieces = vec![];
        let mut end = 0;
        let mut sorted = matrices.to_vec();
        sorted.sort_by_key(|matrix| matrix.range.start);
        for matrix in sorted {
            if matrix.range.start > end {
                pieces.push(Piece::Zero(matrix.range.start - end));
            }
            end = matrix.range.end;
            let shape = shapes.iter().position(|(shape, _)| *shape == matrix.shape).unwrap_or_else(|| {
                shapes.push((matrix.shape, vec![]));
                shapes.len() - 1
            });
            pieces.push(Piece::Matrix { shape, at: shapes[shape].1.len(), factor: matrix.factor() });
            shapes[shape].1.push(matrix);
        }
        if end < count {
            pieces.push(Piece::Zero(count - end));
        }
        let resident = Self {
            values: upload(tensors.values.values()),
            average: upload(tensors.average.values()),
            first: upload(&tensors.adam.first),
            second: upload(&tensors.adam.second),
            class: Tensor::from_data(TensorData::new(class, [count]), device),
            device: device.clone(),
            classes,
            shapes,
            pieces,
        };
        tensors.values.set_resident(Some(resident.values.clone()));
        resident
    }

    /// A number for every parameter, by its class.
    fn by_class(&self, number: impl Fn(Class) -> f64) -> Tensor<1> {
        let numbers: Vec<f32> = self.classes.iter().map(|class| number(*class) as f32).collect();
        let table = Tensor::<1>::from_data(TensorData::new(numbers, [self.classes.len()]), &self.device);
        table.select(0, self.class.clone())
    }

    /// The norm of the part of `gradient` that is clipped.
    ///
    /// # Errors
    /// `Internal` where it cannot be read.
    pub fn norm(&self, gradient: &Tensor<1>) -> Result<f64> {
        let counted = gradient.clone() * self.clipped();
        let square = (counted.clone() * counted).sum();
        let square = square.into_data().try_to_vec::<f32>().unwrap_or_default();
        Ok(square.first().map_or(f64::NAN, |square| f64::from(*square).sqrt()))
    }

    fn clipped(&self) -> Tensor<1> {
        self.by_class(|class| if matches!(class, Class::Adam { clipped: true, .. }) { 1.0 } else { 0.0 })
    }

    /// One update by `gradient`, whose norm is `norm`.
    pub fn update(&mut self, gradient: Tensor<1>, norm: f64, step: Step) {
        let [b1, b2] = step.betas;
        let power = step.count.min(1 << 20) as i32;
        let (c1, c2) = (1.0 - b1.powi(power), 1.0 - b2.powi(power));
        let rate_of = |rate| match rate {
            Rate::Stage => step.rate,
            Rate::Own(own) => own * step.shape,
        };
        let adam = |of: fn(f64, f64) -> f64| {
            move |class| match class {
                Class::Adam { rate, weight_decay, .. } => of(rate_of(rate), weight_decay),
                Class::Muon => 0.0,
            }
        };
        let is_muon = |class| class == Class::Muon;
        let gradient = match norm > step.limit {
            true => gradient * (self.clipped() * (step.limit / norm - 1.0) + 1.0),
            false => gradient,
        };
        let (decay, gain) = (
            self.by_class(|class| if is_muon(class) { f64::from(MOMENTUM) } else { b1 }),
            self.by_class(|class| if is_muon(class) { 1.0 } else { 1.0 - b1 }),
        );
        self.first = self.first.clone() * decay + gradient.clone() * gain;
        let gain = self.by_class(|class| if is_muon(class) { 0.0 } else { 1.0 - b2 });
        self.second = self.second.clone() * b2 + gradient.clone() * gradient.clone() * gain;
        let keep = self.by_class(|class| match (class, step.muon) {
            (Class::Muon, Some(muon)) => 1.0 - muon.rate * muon.decay,
            (class, _) => 1.0 - adam(|rate, decay| rate * decay)(class),
        });
        let length = self.by_class(adam(|rate, _| rate)) / c1;
        let root = self.second.clone().sqrt() * (1.0 / c2).sqrt() + EPSILON;
        let mut values = self.values.clone() * keep - self.first.clone() * length / root;
        if let Some(muon) = step.muon.filter(|_| !self.shapes.is_empty()) {
            values = values - self.directions(gradient) * muon.rate;
        }
        self.values = values;
    }

    /// The directions of Muon's steps, as the parameters lie.
    fn directions(&self, gradient: Tensor<1>) -> Tensor<1> {
        let ahead = gradient + self.first.clone() * MOMENTUM;
        let directions = |([output, input], matrices): &([usize; 2], Vec<Matrix>)| {
            let matrix = |m: &Matrix| ahead.clone().slice([m.range.clone()]).reshape([1, *output, *input]);
            orthogonal_all(Tensor::cat(matrices.iter().map(matrix).collect(), 0)) // [n, out, in]
        };
        let directions: Vec<Tensor<3>> = self.shapes.iter().map(directions).collect();
        let piece = |piece: &Piece| match *piece {
            Piece::Zero(count) => Tensor::zeros([count], &self.device),
            Piece::Matrix { shape, at, factor } => {
                let [output, input] = self.shapes[shape].0;
                directions[shape].clone().narrow(0, at, 1).reshape([output * input]) * factor
            }
        };
        Tensor::cat(self.pieces.iter().map(piece).collect(), 0)
    }

    /// Has the leaves of `values` come from what the update made.
    pub fn hand_over(&self, values: &mut Parameters) {
        values.set_resident(Some(self.values.clone()));
    }

    /// Takes the tensor `name` as `values` has it in host memory.
    pub fn replace(&mut self, values: &Parameters, name: &str) {
        if let (Some(range), Some(view)) = (values.range(name), values.get(name)) {
            let new = Tensor::from_data(TensorData::new(view.values.to_vec(), [view.values.len()]), &self.device);
            self.values = self.values.clone().slice_assign([range], new);
        }
    }

    /// Moves the average by a share `rest` of the way to the values.
    pub fn average(&mut self, rest: f64) {
        self.average = self.average.clone() + (self.values.clone() - self.average.clone()) * rest;
    }

    /// Brings what is in host memory to what is here.
    ///
    /// # Errors
    /// `Internal` where it cannot be read.
    pub fn read_back(&self, tensors: &mut RunTensors) -> Result<()> {
        tensors.values.values_mut().copy_from_slice(&read_vector(&self.values)?);
        tensors.average.values_mut().copy_from_slice(&read_vector(&self.average)?);
        tensors.adam.first = read_vector(&self.first)?;
        tensors.adam.second = read_vector(&self.second)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::data::random::Random;
    use crate::device;
    use crate::train::gradient::Gradient;
    use crate::train::optimizer::{AdamW, clip};
    use crate::train::{ema, muon};

    const BETAS: [f64; 2] = [0.9, 0.98];
    const LIMIT: f64 = 1.0;

    fn tensors() -> RunTensors {
        let mut random = Random::new(3, 4);
        let shapes: [(&str, &[usize]); 6] = [
            ("a.bias", &[5]),
            ("b.weight", &[4, 6]),
            ("c.weight", &[6, 4]),
            ("d.table", &[3, 2]),
            ("e.weight", &[4, 6]),
            ("f.ratio", &[7]),
        ];
        let tensor = |(name, shape): (&str, &[usize])| {
            let values = (0..shape.iter().product::<usize>()).map(|_| random.uniform(-1.0, 1.0) as f32).collect();
            (name.to_owned(), (shape.to_vec(), values))
        };
        let values = Parameters::new(shapes.map(tensor).into()).unwrap();
        let adam = AdamW::new(values.values().len(), BETAS);
        RunTensors { average: values.clone(), values, adam }
    }

    /// Fifty updates on a device are those in host memory: AdamW, Muon, clipping and average.
    #[test]
    fn fifty_steps_are_those_of_the_host() {
        let (mut host, mut device_tensors) = (tensors(), tensors());
        let range = |name: &str| host.values.range(name).unwrap();
        let adam = |name: &str, rate, weight_decay, clipped| Group { range: range(name), rate, weight_decay, clipped };
        let groups = [
            adam("a.bias", Rate::Stage, 0.0, true),
            adam("d.table", Rate::Stage, 0.1, true),
            adam("f.ratio", Rate::Own(0.02), 0.0, false),
        ];
        let matrix = |name: &str, shape| Matrix { range: range(name), shape };
        let matrices = [matrix("b.weight", [4, 6]), matrix("c.weight", [6, 4]), matrix("e.weight", [4, 6])];
        let device = device::cpu();
        let mut resident = Resident::new(&mut device_tensors, &groups, &matrices, &device);
        let pools = [crate::train::step::single().unwrap()];
        let mut random = Random::new(5, 6);
        for count in 1..=50 {
            let muon = Some(Rates { rate: 0.02, decay: 0.1 });
            let step = Step { rate: 0.01, shape: 0.9, count, betas: BETAS, limit: LIMIT, muon };
            let mut gradient: Vec<f32> =
                (0..host.values.values().len()).map(|_| random.uniform(-1.0, 1.0) as f32).collect();
            let parts: BTreeMap<String, Tensor<1>> = host
                .values
                .views()
                .map(|v| {
                    let part = gradient[host.values.range(v.name).unwrap()].to_vec();
                    (v.name.to_owned(), Tensor::from_data(TensorData::new(part, [v.values.len()]), &device))
                })
                .collect();

            let flat = Gradient::vector(parts, &device_tensors.values, &device);
            let norm = resident.norm(&flat).unwrap();
            resident.update(flat, norm, step);
            resident.average(ema::rest(count, 0.99));

            let expected = clip(&mut gradient, &groups, LIMIT);
            assert!((norm - expected).abs() < 1e-5 * expected, "{norm} {expected}");
            let RunTensors { values, average, adam } = &mut host;
            adam.update(values.values_mut(), &gradient, &groups, step.rate, step.shape);
            let state = muon::State { values: values.values_mut(), gradient: &gradient, momentum: &mut adam.first };
            muon::update(&matrices, step.muon.unwrap(), state, &pools, &device).unwrap();
            ema::update(average.values_mut(), values.values(), count, 0.99);
        }
        resident.read_back(&mut device_tensors).unwrap();
        let pairs = [
            ("values", host.values.values(), device_tensors.values.values()),
            ("average", host.average.values(), device_tensors.average.values()),
            ("first", &host.adam.first[..], &device_tensors.adam.first[..]),
            ("second", &host.adam.second[..], &device_tensors.adam.second[..]),
        ];
        for (what, host, device) in pairs {
            let off = host.iter().zip(device).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-5, "{what}: {off}");
        }
    }
}
