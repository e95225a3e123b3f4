#!/usr/bin/env bash
# Prints where make and the scripts build, for plain cargo to share: export CARGO_TARGET_DIR=$(bash scripts/target-dir.sh)
. "$(dirname "$0")/env.sh"
echo "$CARGO_TARGET_DIR"
