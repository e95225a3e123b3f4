//! The two autoencoders: KL and tiny.
