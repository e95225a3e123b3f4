#!/usr/bin/env bash
# Installs Mesa's lavapipe, a Vulkan device on the CPU, new enough for Dawn (25 or later; Debian 12 has it in its backports).
# Prints why and fails where that is not possible.
set -uo pipefail
. "$(dirname "$0")/env.sh"
recent() { dpkg --compare-versions "$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null || echo 0)" ge 25; }
fail() { echo "lavapipe is not available: $1"; exit 1; }
recent && exit 0
command -v apt-get >/dev/null || fail "this is no Debian"
as_root=(); [ "$(id -u)" = 0 ] || as_root=(sudo -n)
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
# The mirror is the one that the machine has already.
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" { print $2; exit }' /etc/apt/sources.list 2>/dev/null)
release=()
if [ "$codename" = bookworm ]; then
  [ -n "$mirror" ] || fail "apt has no mirror of Debian"
  release=(-t "$codename-backports")
  echo "deb $mirror $codename-backports main" | "${as_root[@]}" tee "/etc/apt/sources.list.d/$codename-backports.list" >/dev/null || fail "not root"
fi
{ "${as_root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "${release[@]}" mesa-vulkan-drivers libvulkan1; } >&2 ||
  fail "apt could not install mesa-vulkan-drivers"
recent || fail "Mesa $(dpkg-query -W -f '${Version}' mesa-vulkan-drivers) is older than 25"
