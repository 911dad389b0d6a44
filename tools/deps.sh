#!/bin/sh
# Installs the Debian packages named that are missing. Asks apt only when there is something to do.
# What is installed to be tested or measured against (nginx, haproxy) must not become a service of this machine: nothing
# is started, now or at the next boot.
set -eu
missing=
for package in "$@"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "deps: this is not Debian (no apt-get). Install the equivalents of:$missing" >&2
  exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps: not root and no sudo. As root, run: apt-get install$missing" >&2
    exit 1
  fi
  sudo=sudo
fi
echo "deps: installing$missing"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '$sudo rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
  $sudo chmod 755 "$policy"
fi
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086 # the list is meant to be split
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
for package in $missing; do
  unit=/lib/systemd/system/$package.service
  if [ -e "$unit" ] && command -v systemctl >/dev/null; then
    $sudo systemctl disable --quiet "$package" || true
  fi
done
