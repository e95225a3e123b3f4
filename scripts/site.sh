#!/usr/bin/env bash
# The whole demo as one static folder, build/site: page, models and docs, for any host and under any path. `make site` builds what it takes.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf build/site
mkdir -p build/site
cp -r www/dist/. build/site/
cp -r build/docs build/site/docs
: >build/site/.nojekyll # a host that drops files with an underscore in front leaves them
echo build/site
