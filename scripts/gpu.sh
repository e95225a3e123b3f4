#!/usr/bin/env bash
# On a machine with a GPU, in at most 12 minutes: the trainer's numbers on it against those of the CPU, how fast it trains, and what steps of
# PixArt's XL cost there over Vulkan. Figures go to OUT (build/gpu-figures unless given), one file a part.
#   bash scripts/gpu.sh [OUT]
# DIFFCR_GPU and DIFFCR_CUDA are binaries built elsewhere with `--features gpu` and `--features cuda`; where neither is given cargo builds them.
# SMALL=1 takes sizes that an adapter on the CPU finishes. Each part ends at its own limit, and the others go on.
set -uo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
out=${1:-build/gpu-figures}
mkdir -p "$out"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
small=${SMALL:-0}
pick() { if [ "$small" = 1 ]; then echo "$1"; else echo "$2"; fi; }
began=$SECONDS
say() { echo "== [$((SECONDS - began)) s] $*"; }

build() { # FEATURE: a binary of that backend
  cargo build --release --features "$1" --bin diffcr >&2 && cp "$CARGO_TARGET_DIR/release/diffcr" "$work/diffcr-$1" && echo "$work/diffcr-$1"
}
if [ -z "${DIFFCR_GPU:-}${DIFFCR_CUDA:-}" ]; then
  DIFFCR_GPU=$(build gpu) || exit 1
  DIFFCR_CUDA=; command -v nvidia-smi >/dev/null && DIFFCR_CUDA=$(build cuda)
fi
any=${DIFFCR_CUDA:-$DIFFCR_GPU}

# config KIND FROM DEVICE STEPS BATCH LOG SOURCE: a run's file on standard output.
config() {
  local routing=
  [ "$1" = diffcr ] && routing=$'[routing]\nvariant = "lt"\ncompression = 0.3\nramp = 0.1'
  cat <<TOML
out = "$work/$1-$3"
work = "$work/$1-$3-run"
from = "$2"
seed = 41
source = "$7"
device = "$3"
[[stage]]
size = 128
batch = $5
steps = $4
lr = 6e-4
$routing
[optimizer]
muon = 0.006
warmup = 2
microBatch = 256
[progress]
heldOut = 0
checkpointEvery = 100000
logEvery = $6
TOML
}
# train BINARY KIND DEVICE STEPS BATCH LOG SOURCE: loss and images/s of each line of its log.
train() {
  config "$2" models/stickers/base "$3" "$4" "$5" "$6" "$7" >"$work/run.toml"
  rm -rf "$work/$2-$3" "$work/$2-$3-run"
  timeout 150 "$1" train "$2" "$work/run.toml" --quiet || { echo "$2 on $3 FAILED"; return 1; }
  grep '"train"' "$work/$2-$3-run/metrics.jsonl" | sed -E "s/.*\"step\":([0-9]+).*\"loss\":([0-9.e-]+).*\"gradientNorm\":([0-9.e-]+).*\"imagesPerSecond\":([0-9.]+).*/$2 $3 step \1 loss \2 norm \3 images\/s \4/"
}
devices() {
  [ -n "${DIFFCR_GPU:-}" ] && echo "$DIFFCR_GPU vulkan:0"
  [ -n "${DIFFCR_CUDA:-}" ] && echo "$DIFFCR_CUDA cuda:0"
}

say "latents of scenes, by the CPU"
"$any" cache --source scenes --size 128 --seed 5 --count "$(pick 64 4096)" --autoencoder models/stickers/base --out "$work/cache" --quiet || exit 1

say "numbers: three routed steps against the CPU's"
{
  train "$any" diffcr cpu 3 8 1 "$work/cache"
  while read -r binary device; do train "$binary" diffcr "$device" 3 8 1 "$work/cache"; done < <(devices)
} | tee "$out/numbers.txt"

say "training: images a second"
while read -r binary device; do
  for kind in base diffcr; do train "$binary" "$kind" "$device" "$(pick 2 30)" "$(pick 8 512)" "$(pick 1 5)" "$work/cache"; done
done < <(devices) | tee "$out/training.txt"
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  timeout 90 python3 tests/bench/torch_step.py 512 | tee "$out/torch.txt"
fi

if [ -n "${DIFFCR_GPU:-}" ]; then
  say "a model of XL's size over Vulkan: what a step costs"
  if [ "$small" = 1 ]; then bundle=www/public/models/scenes; else
    bundle=$work/xl
    python3 - >"$work/xl.json" <<'PY'
import json
parts = json.load(open("tests/bench/pixart-sigma.json"))
for part in ("textEncoder", "tokenizer"):
    parts.pop(part, None)
print(json.dumps(parts))
PY
    timeout 120 "$DIFFCR_GPU" random "$work/xl.json" --encoding q4 --out "$bundle" --quiet || echo "random FAILED"
  fi
  for side in $(pick 64 "256 512 1024"); do
    echo "$side x $side pixels"
    timeout 120 "$DIFFCR_GPU" bench "$bundle" --device gpu --width "$side" --height "$side" --steps "$(pick 2 8)" --compression 0.3,0.5 || echo "bench FAILED"
  done | tee "$out/steps.txt"
  say "a picture"
  timeout 60 "$DIFFCR_GPU" generate models/stickers/lt --prompt "a glossy blue rocket" --device gpu --seed 3 --out "$out/rocket.png" || echo "generate FAILED"
fi
say "done"
