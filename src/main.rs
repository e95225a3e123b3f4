//! `diffcr`: the native binary.

fn main() -> std::process::ExitCode {
    diffcr::cli::main()
}
