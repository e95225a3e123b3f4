# Every target sets up what it needs: rustup's Rust, Node 20 and apt are enough.
#
#   make demo    build everything, serve the demo page, print its address
#   make test    run every test: lint, native, TypeScript, and in Chromium over WebGPU
#   make faults  run the fault matrix and print its table
#   make lint    formatting, clippy for every build, ESLint, Prettier
#   make docs    rustdoc and TypeDoc into build/docs
#   make site    write the whole demo, page, models and docs, into build/site for any static host
#   make contract  write the TypeScript side of the Rust types
#   make cli     build the native binary; its path is the last line
#   make pkg     fill pkg/dist, the npm package
#   make consumers  run projects of bundlers and frameworks from the packed package
#   make gpu-check  compile the kernels for real GPUs, without one, and compare with docs/gpu.md
#   make release VERSION=0.2.0  set the version, pack both npm packages into build/release, try to publish them
#   make bench   print sizes and times
#   make bench-real  load and run a model of PixArt-Sigma's true size in Chromium: memory and times
#   make clean   remove what was built in the tree (the shared cargo target stays)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# PORT=8080 asks for a port; without it any free one near 8080 is taken.
PORT ?=

.PHONY: demo test faults lint docs contract cli pkg consumers release gpu-check bench bench-real clean app wasm wasm-opt site

demo: app
	cd www && npm run --silent serve -- $(if $(PORT),--port $(PORT))

# A published page links to its docs, and its engines are as small as they get.
site: export SITE = 1
site: wasm-opt docs
	cd www && npm run --silent build
	bash scripts/site.sh

test:
	bash scripts/test.sh

faults:
	. scripts/env.sh && need cc gcc libc6-dev && cargo test --release --test faults -- --nocapture

lint:
	bash scripts/lint.sh

release:
	bash scripts/release.sh $(VERSION)

gpu-check:
	bash scripts/gpu-check.sh

docs: www/node_modules/.package-lock.json
	bash scripts/docs.sh

contract:
	. scripts/env.sh && WRITE_CONTRACT=1 cargo test --release --lib contract

cli:
	. scripts/env.sh && need cc gcc libc6-dev && cargo build --release --bin diffcr >&2 && echo "$$CARGO_TARGET_DIR/release/diffcr"

wasm:
	bash scripts/build-wasm.sh

wasm-opt:
	bash scripts/build-wasm.sh --opt

www/node_modules/.package-lock.json: www/package-lock.json
	cd www && npm ci --no-audit --no-fund --loglevel=error

app: wasm www/node_modules/.package-lock.json
	cd www && npm run --silent build

pkg: wasm-opt www/node_modules/.package-lock.json
	cd www && npm run --silent build:pkg

consumers: pkg
	. scripts/env.sh && need chromium chromium
	node tests/consumers/run.mjs

bench: wasm-opt www/node_modules/.package-lock.json
	cd www && npm run --silent build
	bash scripts/bench.sh

bench-real: wasm www/node_modules/.package-lock.json
	cd www && npm run --silent build:pkg
	bash scripts/bench-real.sh

clean:
	rm -rf build pkg/dist www/dist www/node_modules
