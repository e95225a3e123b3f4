//! The cores of a step: micro-batches are independent graphs, one a core at a time, and their gradients are summed in order.
//!
//! Whole micro-batches side by side keep every core at matrix products of its own, with nothing to wait for inside them, and the
//! sum does not depend on the number of cores.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use burn::tensor::{Device, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::gradient::Gradient;
use crate::device;
use crate::error::{Error, Result};
use crate::kernels::{Precision, flush_denormals, set_products};

/// What a step found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Of the whole loss, by parameter.
    pub gradient: Gradient,
    /// What is logged.
    pub loss: f64,
    /// The same of each region of the timesteps; empty where there are none.
    pub region_losses: Vec<f64>,
}

/// The cores, each with a pool of one thread: what a backend does in parallel then stays on the core that asked.
#[derive(Debug)]
pub struct Workers {
    pools: Vec<ThreadPool>,
    plain: Device,
    autodiff: Device,
}

impl Workers {
    /// As [`Workers::with_precision`], in f32.
    ///
    /// # Errors
    /// `Internal` where no thread can be started.
    pub fn new(threads: usize, device: &Device) -> Result<Self> {
        Self::with_precision(threads, device, Precision::F32)
    }

    /// `threads` of 0 takes one a core; a device that is not the CPU is served by one. `device` is the plain one; graphs get autodiff. `precision` is that of linear layers'
    /// products.
    ///
    /// # Errors
    /// `Internal` where no thread can be started.
    pub fn with_precision(threads: usize, device: &Device, precision: Precision) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = if device::is_host(device) { cores } else { 1 };
        let threads = if threads == 0 || !device::is_host(device) { cores } else { threads };
        let pools = (0..threads).map(|_| pool(precision)).collect::<Result<_>>()?;
        Ok(Self { pools, plain: device.clone(), autodiff: device.clone().autodiff() })
    }

    pub fn pools(&self) -> &[ThreadPool] {
        &self.pools
    }

    /// The device without graphs.
    pub fn plain(&self) -> &Device {
        &self.plain
    }

    /// The device whose tensors remember where they come from.
    pub fn autodiff(&self) -> &Device {
        &self.autodiff
    }

    /// `task(i)` for every `i` below `count`, each on a core of its own, in order.
    ///
    /// # Errors
    /// That of the first task that fails.
    pub fn map<T: Send>(&self, count: usize, task: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
        let mut all = Vec::with_capacity(count);
        self.fold(count, task, |result| all.push(result))?;
        Ok(all)
    }

    /// The sum of the outcomes of `count` micro-batches.
    ///
    /// # Errors
    /// That of the first micro-batch that fails; `Internal` where there is none.
    pub fn sum(&self, count: usize, part: impl Fn(usize) -> Result<Outcome> + Sync) -> Result<Outcome> {
        let mut all: Option<Outcome> = None;
        self.fold(count, part, |outcome| {
            let Some(sum) = &mut all else {
                all = Some(outcome);
                return;
            };
            sum.gradient.add(outcome.gradient);
            sum.loss += outcome.loss;
            sum.region_losses.resize(outcome.region_losses.len(), 0.0);
            sum.region_losses.iter_mut().zip(&outcome.region_losses).for_each(|(a, b)| *a += b);
        })?;
        all.ok_or_else(|| Error::internal("a step without pictures"))
    }

    /// Hands what `task(i)` gives for every `i` below `count` to `add`, in order, as soon as those before it are there.
    ///
    /// Where as many results wait for one before them as there are cores, no further task begins.
    fn fold<T: Send>(
        &self,
        count: usize,
        task: impl Fn(usize) -> Result<T> + Sync,
        add: impl FnMut(T) + Send,
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let sum = Mutex::new(Sum { waiting: BTreeMap::new(), done: 0, fault: None, add });
        let turn = Condvar::new();
        let cores = self.pools.len();
        let work = || {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    break;
                }
                let result = std::panic::catch_unwind(AssertUnwindSafe(|| task(i)));
                let result = result.unwrap_or_else(|_| Err(Error::internal("a worker failed")));
                if result.is_err() {
                    next.store(count, Ordering::Relaxed);
                }
                let Ok(mut held) = sum.lock() else { break };
                held.put(i, result);
                turn.notify_all();
                if turn.wait_while(held, |sum| sum.waiting.len() >= cores).is_err() {
                    break;
                }
            }
        };
        std::thread::scope(|scope| {
            for pool in &self.pools {
                scope.spawn(|| pool.install(work));
            }
        });
        let sum = sum.into_inner().map_err(|_| Error::internal("a worker failed"))?;
        match sum.fault {
            Some(fault) => Err(fault),
            None if sum.done == count => Ok(()),
            None => Err(Error::internal("a micro-batch was not run")),
        }
    }
}

/// What came of the tasks so far.
struct Sum<T, F> {
    /// Results that wait for those of tasks before them.
    waiting: BTreeMap<usize, Result<T>>,
    /// Tasks whose results were handed on.
    done: usize,
    /// Of the first task that failed.
    fault: Option<Error>,
    add: F,
}

impl<T, F: FnMut(T)> Sum<T, F> {
    fn put(&mut self, i: usize, result: Result<T>) {
        self.waiting.insert(i, result);
        while let Some(result) = self.waiting.remove(&self.done) {
            self.done += 1;
            match result {
                Ok(value) if self.fault.is_none() => (self.add)(value),
                Ok(_) => {}
                Err(fault) => self.fault = self.fault.take().or(Some(fault)),
            }
        }
    }
}

/// The one value of a tensor, of a graph or not.
pub fn value(t: &Tensor<1>) -> f64 {
    let values = if t.is_autodiff() { t.clone().inner() } else { t.clone() };
    let values = values.into_data().try_to_vec::<f32>().unwrap_or_default();
    values.first().copied().map_or(f64::NAN, f64::from)
}

/// A pool of one thread: what runs inside it stays on one core.
///
/// # Errors
/// `Internal` where the thread cannot be started.
pub fn single() -> Result<ThreadPool> {
    pool(Precision::F32)
}

fn pool(precision: Precision) -> Result<ThreadPool> {
    let start = move |_| {
        flush_denormals();
        set_products(precision);
    };
    let builder = ThreadPoolBuilder::new().num_threads(1).start_handler(start);
    builder.build().map_err(|e| Error::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device;

    #[test]
    fn results_come_in_order_and_the_first_fault_is_told() {
        let workers = Workers::new(3, &device::cpu()).unwrap();
        let slow = |i: usize| {
            std::thread::sleep(std::time::Duration::from_millis(if i.is_multiple_of(3) { 5 } else { 0 }));
            Ok(i)
        };
        assert_eq!(workers.map(20, slow).unwrap(), (0..20).collect::<Vec<_>>());
        let fault = |i: usize| if i < 7 { Ok(i) } else { Err(Error::internal(format!("task {i}"))) };
        assert!(workers.map(20, fault).unwrap_err().to_string().ends_with("task 7"));
        let panics = |i: usize| {
            assert!(i != 4, "a task");
            Ok(i)
        };
        assert!(workers.map(8, panics).is_err());
        assert!(workers.map(0, slow).unwrap().is_empty());
    }
}
