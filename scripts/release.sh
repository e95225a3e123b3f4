#!/usr/bin/env bash
# Prepares a release: sets the version, dates the changelog, packs both npm packages and publishes them without doing it.
#   bash scripts/release.sh VERSION      in a clean checkout; leaves a commit and build/release
# Publishing is left to whoever may: the last lines say how.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
version=${1:?a version, as 0.2.0}
[ -z "$(git status --porcelain)" ] || { echo "error: there are uncommitted changes" >&2; exit 2; }
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || { echo "error: v$version is released already" >&2; exit 2; }
need node nodejs npm
# A version with a suffix is not what `npm install` takes.
case $version in *-*) tag=next ;; *) tag=latest ;; esac

# What fails leaves the checkout as it was.
trap 'git checkout -q -- Cargo.toml Cargo.lock pkg/package.json CHANGELOG.md' ERR
node www/scripts/version.mjs "$version"
make --no-print-directory pkg >&2
node www/scripts/model-package.mjs models/stickers/base build/diffcr-web-stickers diffcr-web-stickers >&2
rm -rf build/release
mkdir -p build/release
for package in pkg build/diffcr-web-stickers; do
  npm pack --silent --pack-destination build/release "./$package" >&2
done
for tarball in build/release/*.tgz; do npm publish --dry-run --access public --tag "$tag" "./$tarball" >&2; done
sed -n "/^## $version /,/^## /{/^## /!p}" CHANGELOG.md >build/release/notes.md
git commit -qam "Release $version"
trap - ERR

ls -l build/release
echo "To publish:"
echo "  git tag -a -m v$version v$version && git push --follow-tags"
for tarball in build/release/*.tgz; do echo "  npm publish --access public --tag $tag $tarball"; done
