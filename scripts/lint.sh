#!/usr/bin/env bash
# Formatting, lints and licences, native and of both browser modules, Rust and TypeScript; one line counts them.
set -uo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
need cc gcc libc6-dev
eval "$(bash scripts/wasm-toolchain.sh)"
passed=0 failed=0
check() {
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); echo "lint: $name is clean"; else failed=$((failed + 1)); echo "lint: $name FAILED"; fi
}
# clippy of a browser module; Debian's own toolchain, which stands in where rustup cannot help, has none.
wasm() {
  [ "$WASM_CARGO" = cargo ] || { echo "skipped: $WASM_CARGO has no clippy"; return 0; }
  cargo clippy --quiet --lib --profile "$1" --target wasm32-unknown-unknown --no-default-features --features "$2" -- -D warnings
}
# Licences, bans and sources of what may be compiled in, as deny.toml says.
deny() {
  local version=0.20.2
  local tool=$cache/cargo-deny-$version
  [ -x "$tool/bin/cargo-deny" ] || cargo install --quiet --locked cargo-deny --version "$version" --root "$tool" >&2
  "$tool/bin/cargo-deny" --log-level error check licenses bans sources
}
make --no-print-directory www/node_modules/.package-lock.json >&2
check 'cargo fmt' cargo fmt --check
check 'clippy, native' cargo clippy --quiet --release --all-targets -- -D warnings
check 'clippy, WebGPU module' wasm wasm web,webgpu
check 'clippy, CPU module' wasm wasm-cpu web,cpu
check 'CUDA backend' cargo clippy --quiet --release --bin diffcr --features cuda -- -D warnings
check 'cargo deny' deny
check 'ESLint' npm --prefix www run --silent lint
check 'Prettier' npm --prefix www run --silent format:check
echo "test result: lint. $passed passed; $failed failed"
[ "$failed" = 0 ]
