#!/usr/bin/env bash
# Sizes of what a visitor downloads, and the time from opening the page to the first picture. `make bench` builds first.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
need chromium chromium
need brotli brotli

printf '%-24s %12s %12s %12s\n' file compiled wasm-opt brotli
for name in webgpu cpu; do
  profile=$([ $name = webgpu ] && echo wasm || echo wasm-cpu)
  compiled=$(stat -c %s "$CARGO_TARGET_DIR/wasm32-unknown-unknown/$profile/diffcr.wasm")
  file=build/wasm/diffcr_${name}_bg.wasm
  printf '%-24s %12s %12s %12s\n' "diffcr_$name" "$compiled" "$(stat -c %s "$file")" "$(brotli -c -q 11 "$file" | wc -c)"
done
node tests/bench/first_picture.mjs
