#!/usr/bin/env bash
# The API of crate and package as one static folder, build/docs: rustdoc and TypeDoc, neither with a warning.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
need cc gcc libc6-dev
RUSTDOCFLAGS='-D warnings' cargo doc --release --no-deps --lib
rm -rf build/docs
mkdir -p build/docs
cp -r "$CARGO_TARGET_DIR/doc" build/docs/rust
npm --prefix www run --silent docs
cat >build/docs/index.html <<'HTML'
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>diffcr-web</title>
<h1>diffcr-web</h1>
<ul><li><a href="npm/index.html">The npm package</a></li><li><a href="rust/diffcr/index.html">The Rust crate</a></li></ul>
</html>
HTML
echo build/docs
