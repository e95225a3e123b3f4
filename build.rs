//! What the linker is told of the browser modules.

/// Bytes of a module's stack: networks are put together on it, layer by layer, and tensors of the GPU backend are large. The linker's own 1 MiB is
/// too little for that; a stack that overflows is a trap.
const WASM_STACK: usize = 2 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={WASM_STACK}");
    }
}
