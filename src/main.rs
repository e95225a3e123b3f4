//! `diffcr`: the native binary.

fn main() {}
