//! What both autoencoders check before they are made and before they encode.

use crate::error::{Error, Result};

/// Widths of the outermost and the innermost level.
pub fn check_levels(name: &str, channels: &[usize]) -> Result<(usize, usize)> {
    match (channels.first(), channels.last()) {
        (Some(&first), Some(&last)) => Ok((first, last)),
        _ => Err(Error::model(name, "there must be at least one level")),
    }
}

/// An image that an encoder can take: right channels, whole cells.
pub fn check_image([_, found, height, width]: [usize; 4], channels: usize, scale: usize) -> Result<()> {
    if found != channels {
        return Err(Error::input("image", format!("it has {found} channels, the encoder takes {channels}")));
    }
    if [height, width].iter().any(|&side| side == 0 || !side.is_multiple_of(scale)) {
        return Err(Error::input("image", format!("{width}x{height} pixels are no multiple of {scale}")));
    }
    Ok(())
}

pub fn no_encoder() -> Error {
    Error::input("image", "this bundle has no image encoder")
}
