#!/usr/bin/env bash
# A PixArt-Sigma of its true size (T5-XXL and XL/2 in q4, SDXL's autoencoder in f16) of random weights, in Chromium: bytes, memory, times.
#   bash scripts/bench-real.sh [TOKENS...]    tokens of the steps that are timed; 256 unless given
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
need chromium chromium
bundle=${REAL_BUNDLE:-build/real/pixart-sigma}
if [ ! -f "$bundle/diffcr.json" ]; then
  diffcr=$(make --no-print-directory cli | tail -1)
  "$diffcr" random tests/bench/pixart-sigma.json --encoding q4 --tokenizer tests/fixtures/scenes/tokenizer/tokenizer.json --out "$bundle"
fi
node tests/bench/real.mjs "$bundle" "$@"
