#!/usr/bin/env bash
# Formatting and lints, native and of both browser modules, Rust and TypeScript; one line counts them.
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
make --no-print-directory www/node_modules/.package-lock.json >&2
check 'cargo fmt' cargo fmt --check
check 'clippy, native' cargo clippy --quiet --release --all-targets -- -D warnings
check 'clippy, WebGPU module' wasm wasm web,webgpu
check 'clippy, CPU module' wasm wasm-cpu web,cpu
check 'ESLint' npm --prefix www run --silent lint
check 'Prettier' npm --prefix www run --silent format:check
echo "test result: lint. $passed passed; $failed failed"
[ "$failed" = 0 ]
