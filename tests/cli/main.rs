//! The real binary on real files: what it writes, what it refuses, and what it says.

mod bench;
mod convert;
mod documented;
mod example;
mod export;
mod faults;
#[cfg(feature = "gpu")]
mod gpu;
mod inpaint;
mod interrupt;
mod joined;
#[cfg(feature = "train")]
mod latents;
mod parity;
#[cfg(feature = "train")]
mod precision;
mod quantize;
mod refuse;
#[cfg(feature = "train")]
mod scenes;
#[cfg(feature = "train")]
mod six_commands;
mod sources;
#[cfg(feature = "train")]
mod stickers;
mod support;
mod text_encoder;
#[cfg(feature = "train")]
mod train;
mod verify;
mod whole;
