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
    pub fn init(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(device::cpu()),
            Self::Gpu => device::gpu(),
        }
    }
}
