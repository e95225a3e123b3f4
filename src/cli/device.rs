//! `--device`: where the command line computes.

use burn::tensor::Device;
use clap::ValueEnum;

use crate::device;
use crate::error::Result;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    #[default]
    Cpu,
    /// Needs a build with `--features gpu`.
    Gpu,
}

impl DeviceArg {
    /// Runs at a time: as many as were asked for; else one a core, and 1 on a GPU.
    pub fn threads(self, asked: Option<u32>) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let own = || if self == Self::Cpu { cores() } else { 1 };
        asked.map_or_else(own, |n| n as usize)
    }

    pub fn init(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(device::cpu()),
            Self::Gpu => device::gpu(0),
        }
    }
}
