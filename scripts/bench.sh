#!/usr/bin/env bash
# Sizes of what a visitor downloads, times of pages and steps, and the memory of a large model. `make bench` builds first.
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

# The same networks in our engine and in onnxruntime-web. Torch writes them once; BENCH_PYTHON names a Python that has what make_net.py needs.
diffcr=$(make --no-print-directory cli | tail -1)
nets=build/bench
for name in small xl-block; do
  net=$nets/$name
  if [ ! -f $net/net.json ]; then
    python=${BENCH_PYTHON:-$cache/bench-venv/bin/python}
    if [ ! -x "$python" ]; then
      need python3 python3 python3-venv
      python3 -m venv "$cache/bench-venv"
      "$cache/bench-venv/bin/pip" install --quiet torch diffusers transformers safetensors onnx onnxscript
      python=$cache/bench-venv/bin/python
    fi
    "$python" tests/bench/make_net.py $net $name
  fi
  "$diffcr" convert $net/transformer --out $net/bundle --force --no-probe
  "$diffcr" convert $net/transformer --routers $net/routers.safetensors --out $net/routed --force --no-probe
done
modules=$nets/node_modules
npm install --prefix $nets --no-audit --no-fund --loglevel=error onnxruntime-web@1.30.0 webgpu@0.6.2
for name in small xl-block; do node tests/bench/peers.mjs $name $nets/$name $modules/onnxruntime-web; done

# Memory at the size of PixArt-Sigma XL-2: random weights, made here and deleted after.
need python3 python3
trap 'rm -rf build/bench/xl' EXIT
python3 tests/bench/make_xl.py "$diffcr" build/bench/xl
node tests/bench/memory.mjs XL build/bench/xl

# The same steps on a second WebGPU, and every kernel against plain tensor operations.
if why=$(bash scripts/lavapipe.sh); then
  export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$(mktemp -d)}
  for name in small xl-block; do node tests/bench/dawn.mjs $name $nets/$name $modules; done
  node tests/dawn/self_test.mjs $modules
else
  echo "skipped Dawn in Node: $why"
fi
node tests/bench/plot.mjs docs/speed.svg
