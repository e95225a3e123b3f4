//! Foreign checkpoints become bundles.
