//! The strict loader.
pub struct Loader;
