#!/usr/bin/env bash
# The drivers of GPUs that this machine has not: Mesa of Debian sid and Dawn for Node, unpacked into a folder of the cache. Needs no
# root and installs nothing; 69 MB of packages the first time.
#   bash tools/gpu-check/mesa.sh          sets up, prints the folder
set -euo pipefail
. "$(dirname "$0")/../../scripts/env.sh"
dir=$cache/gpu-check
lib=$dir/root/usr/lib/x86_64-linux-gnu
if [ ! -e "$dir/ready" ]; then
  need dpkg-deb dpkg node nodejs npm npm >&2
  rm -rf "$dir"
  mkdir -p "$dir"/apt/lists/partial "$dir"/apt/archives/partial "$dir"/root
  : >"$dir/apt/status"
  mirror=$(sed -n 's/^URIs: *\(http[^ ]*debian\) *$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} sid main" >"$dir/apt/sources.list"
  cat >"$dir/apt/apt.conf" <<C
Dir::State "$dir/apt"; Dir::State::Lists "$dir/apt/lists"; Dir::State::status "$dir/apt/status"; Dir::Cache "$dir/apt";
Dir::Etc::sourcelist "$dir/apt/sources.list"; Dir::Etc::sourceparts "-"; APT::Architecture "amd64"; Acquire::Languages "none";
APT::Sandbox::User ""; APT::Install-Recommends "false"; Debug::NoLocking "true";
C
  export APT_CONFIG=$dir/apt/apt.conf
  apt-get update -qq >&2
  # With an empty status file apt takes all that these need, libc among it.
  apt-get install -y -qq --download-only mesa-vulkan-drivers mesa-drm-shim libvulkan1 >/dev/null
  for deb in "$dir"/apt/archives/*.deb; do dpkg-deb -x "$deb" "$dir/root"; done
  for icd in "$dir"/root/usr/share/vulkan/icd.d/*.json; do
    sed "s@\"\(lib[a-z_]*\.so\)\"@\"$lib/\1\"@" "$icd" >"$dir/$(basename "$icd")"
  done
  unset APT_CONFIG
  npm install --prefix "$dir/npm" --no-audit --no-fund --loglevel=error webgpu@0.6.2 >&2
  touch "$dir/ready"
fi
echo "$dir"
