#!/usr/bin/env bash
# Dawn for Node, with Mesa's lavapipe under it: prints the node_modules that has it, or fails and says why not.
#   bash scripts/dawn.sh [PACKAGE...]   and these packages beside it
set -euo pipefail
. "$(dirname "$0")/env.sh"
why=$(bash "$root/scripts/lavapipe.sh") || { echo "$why"; exit 1; }
npm install --prefix "$cache/dawn" --no-audit --no-fund --loglevel=error webgpu@0.6.2 "$@" >&2
echo "$cache/dawn/node_modules"
