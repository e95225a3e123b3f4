#!/usr/bin/env bash
# Every test there is, and one line that counts them: lint, native, TypeScript, browser. A suite that cannot start counts as a failure.
#   bash scripts/test.sh [lint|native|gpu|www|browser ...]
set -uo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
log=$(mktemp -d); trap 'rm -rf "$log"' EXIT
passed=0 failed=0

# suite NAME COMMAND...: runs, then counts what cargo's and vitest's closing lines say.
suite() {
  local name=$1 status; shift
  echo "== $name"
  "$@" 2>&1 | tee "$log/$name"; status=${PIPESTATUS[0]}
  sed -i 's/\x1b\[[0-9;]*m//g' "$log/$name"
  local good bad
  good=$(grep -oE '(^test result: .*|^ +Tests +.*)' "$log/$name" | grep -oE '[0-9]+ passed' | awk '{ n += $1 } END { print n + 0 }')
  bad=$(grep -oE '(^test result: .*|^ +Tests +.*)' "$log/$name" | grep -oE '[0-9]+ failed' | awk '{ n += $1 } END { print n + 0 }')
  [ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
  [ "$good" != 0 ] || [ "$bad" != 0 ] || { echo "$name ran no test"; bad=1; }
  passed=$((passed + good)) failed=$((failed + bad))
  echo "== $name: $good passed, $bad failed"
}

lint() { bash scripts/lint.sh; }
art() { [ -d tools/stickers-art/node_modules ] || npm --prefix tools/stickers-art ci --no-audit --no-fund --loglevel=error; }
# The trainer's numbers and pictures on a GPU natively: Mesa's, which computes on the CPU.
gpu() {
  need cc gcc libc6-dev
  bash scripts/lavapipe.sh || return
  local driver; driver=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json | head -1)
  VK_DRIVER_FILES=$driver DIFFCR_TEST_DEVICE=vulkan:0 cargo test --release --features gpu --test parity --test cli -- --test-threads 1 train_latents train_device gpu::
}
native() { need cc gcc libc6-dev; art && cargo test --release --no-fail-fast; }
www() { make --no-print-directory www/node_modules/.package-lock.json && npm --prefix www run --silent test; }
browser() { need chromium chromium && make --no-print-directory app cli && npm --prefix www run --silent test:browser; }

for name in "${@:-lint native gpu www browser}"; do
  for one in $name; do suite "$one" "$one"; done
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
