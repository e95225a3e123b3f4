//! `diffcr`: the native binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    diffcr::cli::main()
}
