//! A prompt becomes a picture.
