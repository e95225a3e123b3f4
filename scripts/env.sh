# Sourced by every script: where built things live. One cargo target directory outside the tree serves all checkouts.
cache="${DIFFCR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/diffcr-web}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Cargo tells its own crate's checkouts apart by the age of their files alone: what another one built last may pass for this one's.
if [ -d "$CARGO_TARGET_DIR" ] && [ "$(cat "$CARGO_TARGET_DIR/.checkout" 2>/dev/null)" != "$root" ]; then
  find "$root"/{src,tests} -name '*.rs' -exec touch {} +
  echo "$root" >"$CARGO_TARGET_DIR/.checkout"
fi

# need COMMAND PACKAGE...: installs Debian packages unless the command is there.
need() {
  local command=$1; shift
  command -v "$command" >/dev/null && return
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  { "${as_root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "$@"; } >&2 \
    || { echo "error: $command is missing and could not be installed (Debian: $*)" >&2; exit 1; }
}
