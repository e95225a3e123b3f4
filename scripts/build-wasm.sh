#!/usr/bin/env bash
# Builds the browser modules into build/wasm: diffcr_webgpu and diffcr_cpu, each a .js and a _bg.wasm.
#   bash scripts/build-wasm.sh          as compiled: what demo and tests use
#   bash scripts/build-wasm.sh --opt    and through wasm-opt: what the package ships
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
need cc gcc libc6-dev # links the build scripts
eval "$(bash scripts/wasm-toolchain.sh)"

# wasm-bindgen's command line must be of the library's version.
version=$(awk '/^name = "wasm-bindgen"$/ { getline; gsub(/"/, "", $3); print $3 }' Cargo.lock)
bindgen="$cache/wasm-bindgen-$version/bin/wasm-bindgen"
[ -x "$bindgen" ] || cargo install --quiet wasm-bindgen-cli --version "$version" --root "$cache/wasm-bindgen-$version" >&2

# The paths in panic messages say where the source is, not where it was built.
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/=crates/ --remap-path-prefix=$root/="

# build NAME PROFILE FEATURES WASM_OPT_LEVEL
build() {
  local name=$1 profile=$2 features=$3 level=$4
  $WASM_CARGO build $WASM_CARGO_FLAGS --lib --profile "$profile" --target wasm32-unknown-unknown --no-default-features --features "$features"
  "$bindgen" --target web --remove-name-section --out-name "diffcr_$name" --out-dir build/wasm "$CARGO_TARGET_DIR/wasm32-unknown-unknown/$profile/diffcr.wasm"
  if [ "$opt" = --opt ]; then
    # npm's binaryen, with the features that the module names: Debian's mixes up its tables, and all features are more than Chrome has.
    [ -x www/node_modules/.bin/wasm-opt ] || make --no-print-directory www/node_modules/.package-lock.json
    www/node_modules/.bin/wasm-opt "$level" "build/wasm/diffcr_${name}_bg.wasm" -o "build/wasm/diffcr_${name}_bg.wasm"
  fi
}
opt="${1:-}"
mkdir -p build/wasm
# Beyond -O1 the module shrinks, but what is sent of it grows: 1.94 MB in brotli, 2.06 MB with -Os.
build webgpu wasm web,webgpu -O1
build cpu wasm-cpu web,cpu -O3
