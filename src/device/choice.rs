//! The device that a training run names: `cpu`, `vulkan:N` or `cuda:N`.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where a run computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Choice {
    #[default]
    Cpu,
    /// The GPU of that number, by WebGPU's native implementation.
    Vulkan(usize),
    /// The NVIDIA GPU of that number.
    Cuda(usize),
}

impl Choice {
    /// The device.
    ///
    /// # Errors
    /// `NoAdapter` where there is no such GPU, naming those found, or this build has no backend for it.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(super::cpu()),
            Self::Vulkan(index) => super::gpu(index),
            Self::Cuda(index) => super::cuda(index),
        }
    }
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, index) = text.split_once(':').unwrap_or((text, "0"));
        match (kind, index.parse()) {
            ("cpu", _) if !text.contains(':') => Ok(Self::Cpu),
            ("vulkan", Ok(index)) => Ok(Self::Vulkan(index)),
            ("cuda", Ok(index)) => Ok(Self::Cuda(index)),
            _ => Err(Error::input("device", format!("{text:?} is none of cpu, vulkan:N, cuda:N"))),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Vulkan(index) => write!(f, "vulkan:{index}"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl TryFrom<String> for Choice {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Choice> for String {
    fn from(choice: Choice) -> Self {
        choice.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_others_are_refused() {
        for name in ["cpu", "vulkan:1", "cuda:0"] {
            assert_eq!(name.parse::<Choice>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse::<Choice>().unwrap(), Choice::Cuda(0));
        for name in ["", "gpu", "cpu:1", "cuda:x", "cuda:-1", "cuda:0:1"] {
            let error = name.parse::<Choice>().unwrap_err().to_string();
            assert!(error.ends_with("is none of cpu, vulkan:N, cuda:N"), "{error}");
        }
    }
}
