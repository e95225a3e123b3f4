#!/usr/bin/env bash
# What compilers of real GPUs make of our kernels; no GPU is needed.
#   bash scripts/gpu-check.sh              every device; fails on a spill or a fall
#   bash scripts/gpu-check.sh DEVICE...    those
#   bash scripts/gpu-check.sh --write      writes tools/gpu-check/figures.json and the table of docs/gpu.md
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
need cc gcc libc6-dev
need node nodejs npm
mesa=$(bash tools/gpu-check/mesa.sh | tail -1)
wgsl=$(mktemp -d)
trap 'rm -rf "$wgsl"' EXIT
WRITE_WGSL=$wgsl cargo test --quiet --release --lib gallery >&2
node tools/gpu-check/check.mjs "$mesa" "$wgsl" "$@"
