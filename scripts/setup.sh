# Sets up a Debian machine for Slipway: sourced by ./quickstart and ./check, run from the repository's root.
# It installs only what is missing: programs from Debian's packages, Bun and the tools from the npm registry.

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

require_root() {
  [ "$(id -u)" = 0 ] || die "This needs root: mounts, namespaces and cgroups are made. Run it again with sudo."
}

# install_programs PROGRAM:PACKAGE ...
install_programs() {
  local missing=() pair
  for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} = 0 ] && return
  say "Installing ${missing[*]}"
  command -v apt-get >/dev/null || die "Missing: ${missing[*]}. Install them with your package manager and run this again."
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update >/dev/null && apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null; } ||
    die "apt-get could not install: ${missing[*]}"
}

# A package that has come since the last time is not among the modules yet.
packages_linked() {
  local package
  for package in packages/*/package.json; do
    [ -e "node_modules/@slipway/$(basename "$(dirname "$package")")" ] || return 1
  done
}

install_modules() {
  command -v npm >/dev/null || die "npm is missing. Install Node.js with npm (apt-get install npm) and run this again."
  if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ] || ! packages_linked; then
    say "Installing Bun and the development tools from the npm registry"
    [ -e node_modules ] || { mkdir node_modules && touch node_modules/.made-by-setup; }
    # Not `npm ci`: it refuses to work where a mirror lacks the tools' optional packages for other platforms.
    npm install --no-save --no-audit --no-fund --loglevel=error >/dev/null
    touch node_modules/.package-lock.json
  fi
  # The package's own launcher needs an install script, which some npm settings forbid; the executable is here in any case.
  BUN=$(echo "$PWD"/node_modules/@oven/bun-linux-*/bin/bun)
  [ -x "$BUN" ] || BUN="$PWD/node_modules/.bin/bun"
  export BUN PATH="$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin"
  "$BUN" --version >/dev/null || die "Bun does not run on this machine: $BUN"
}

setup() {
  require_root
  install_programs runc:runc ip:iproute2 nft:nftables busybox:busybox-static ps:procps
  install_modules
}

# The executable is made again only when a source is newer than it.
compile() {
  if [ -x dist/slipway ] && [ -z "$(find packages scripts package-lock.json -name node_modules -prune -o -type f -newer dist/slipway -print -quit)" ]; then
    return
  fi
  say "Making dist/slipway"
  "$BUN" scripts/compile.ts
}
