//! Schedules and solvers.
