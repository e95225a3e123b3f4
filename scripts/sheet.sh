#!/usr/bin/env bash
# Draws the sheet of eight pictures in the README from the shipped model: docs/scenes.png.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
need montage imagemagick
diffcr=$(make --no-print-directory cli | tail -1)
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
fixture=tests/fixtures/scenes/expected
mapfile -t prompts < <(node -p "JSON.parse(fs.readFileSync('$fixture.json')).prompts.join('\n')")
for i in "${!prompts[@]}"; do
  "$diffcr" --quiet generate www/public/models/scenes --prompt "${prompts[$i]}" --steps 12 --guidance 3 --seed $((i + 1)) \
    --out "$dir/$i.png"
done
mkdir -p docs
montage "$dir"/[0-7].png -tile 4x2 -geometry +6+6 docs/scenes.png
