//! The controller of λ, the weight of the ratio loss: it brings the mean keep ratio to its target and holds it there.
