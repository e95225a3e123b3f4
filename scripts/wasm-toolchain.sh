#!/usr/bin/env bash
# Makes `cargo build --target wasm32-unknown-unknown` possible and prints, as shell assignments, what the build needs:
#   eval "$(bash scripts/wasm-toolchain.sh)" && $WASM_CARGO build $WASM_CARGO_FLAGS --target wasm32-unknown-unknown ...
# 1. the target is installed, or rustup can add it: plain cargo;
# 2. otherwise Debian's rustc and its own std sources: the standard library is built once per target directory.
set -euo pipefail
. "$(dirname "$0")/env.sh"
target=wasm32-unknown-unknown
if rustup target list --installed 2>/dev/null | grep -qx "$target" || timeout 120 rustup target add "$target" >&2; then
  echo "WASM_CARGO=cargo WASM_CARGO_FLAGS="
  exit 0
fi
need /usr/bin/rustc rustc-web cargo-web rust-web-src lld-22
cat <<'VARS'
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=/usr/bin/rust-lld
WASM_CARGO=/usr/bin/cargo WASM_CARGO_FLAGS='-Z build-std=std,panic_abort'
VARS
