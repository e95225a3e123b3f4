//! NVIDIA's GPUs.

use burn::tensor::Device;
use cudarc::driver::result::{self, device};
use cudarc::driver::sys;

use crate::error::{Error, Result};

/// GPU `index` of those that the driver lists.
///
/// # Errors
/// `NoAdapter` without a driver, and where there is no GPU of that index, naming those found.
pub fn open(index: usize) -> Result<Device> {
    let fault = |reason: String| Error::NoAdapter { reason };
    // SAFETY: it only tries to load the library.
    if !unsafe { sys::is_culib_present() } {
        return Err(fault("there is no CUDA driver".into()));
    }
    let names = names().map_err(|e| fault(format!("CUDA: {e}")))?;
    if index < names.len() {
        return Ok(Device::cuda(index));
    }
    Err(super::absent::absent("CUDA GPU", index, &names))
}

fn names() -> std::result::Result<Vec<String>, result::DriverError> {
    result::init()?;
    (0..device::get_count()?).map(|i| device::get_name(device::get(i)?)).collect()
}
