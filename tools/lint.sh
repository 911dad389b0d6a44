#!/bin/bash
# What make lint runs: format, clang-tidy (one process a file), layering, shell, Python. Prints what is wrong, exits 1 if anything is.
# clang-tidy's verdict "clean" is remembered in build/lint by what it depends on (the file preprocessed, comments
# and all, the settings and the version), so that only what changed is looked at again. NO_TIDY=1 leaves it out.
# The static analyzer stops at LINT_NODES states a function: its own limit, 225000, costs four times as long.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
mapfile -t c < <(git ls-files -co --exclude-standard '*.c')
mapfile -t ch < <(git ls-files -co --exclude-standard '*.[ch]')
mapfile -t py < <(git ls-files -co --exclude-standard '*.py')
mapfile -t sh < <(git ls-files -co --exclude-standard '*.sh' .ci/run)
complain() {
  echo "lint: $*" >&2
  bad=1
}
[ ${#c[@]} -gt 0 ] || complain "no C files found: not a git checkout?"

clang-format --dry-run -Werror "${ch[@]}" || bad=1

# Arrows run one way. Each folder, and all that it may include from; a folder may name only those above it, so there are no cycles.
layers='
common/base:
common/doc:     common/base
common/store:   common/base common/doc
common/http:    common/base common/doc
common/aws:     common/base common/doc common/http
common/config:  common/base common/doc common/aws
lb/routing:     common/base
lb/observe:     common/base lb/routing
lb/proxy:       common/base lb/routing lb/observe
lb/api:         common/base common/doc common/store common/aws lb/routing
lb/control:     common/base common/doc common/store common/http common/aws common/config lb/routing lb/observe lb/proxy lb/api
lb/import:      common/base common/doc common/store common/http common/aws common/config lb/api lb/control
lb:             common/base common/config lb/control lb/import
scaler/engine:  common/base common/doc
scaler/metrics: common/base common/doc
scaler/api:     common/base common/doc common/store common/aws scaler/engine scaler/metrics
scaler/cloud:   common/base common/doc common/store common/http common/aws common/config scaler/engine scaler/metrics scaler/api
scaler/sim:     common/base common/doc common/store common/aws common/config scaler/engine scaler/metrics scaler/api
scaler:         common/base common/doc common/store common/http common/aws common/config scaler/engine scaler/metrics scaler/api scaler/cloud scaler/sim
lab/ec2:        common/base common/doc common/store common/aws
lab/neighbours: common/base common/doc common/store common/http common/aws
lab/runtime:    common/base common/doc lab/ec2
lab:            common/base common/doc common/store common/http common/aws common/config lab/ec2 lab/neighbours lab/runtime
'
declare -A may=()
while IFS=: read -r folder uses; do
  [ -n "$folder" ] || continue
  for use in $uses; do
    [ -n "${may[$use]+x}" ] || complain "layers: $folder names $use, which is not above it"
  done
  may[$folder]=" $folder $uses "
done <<<"$layers"

while IFS=: read -r file line include; do
  folder=${file%/*}
  path=${include#*\"}
  path=${path%%\"*}
  if [ -z "${may[$folder]+x}" ]; then
    complain "$folder has no line in the layers of tools/lint.sh"
  elif [[ $path != */* || $path == *../* || $path == ./* ]]; then
    complain "$file:$line: \"$path\": an include path starts at the root of the tree"
  elif [[ ${may[$folder]} != *" ${path%/*} "* ]]; then
    complain "$file:$line: $folder must not include \"$path\""
  fi
done < <(git grep --untracked -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' -- common lb scaler lab)

# What decides is pure: it opens no socket, waits for nothing, and is handed the time.
pure='event2/|curl/|sqlite3|unistd\.h|poll\.h|sys/(epoll|timerfd|eventfd)\.h|pthread'
git grep --untracked -nE "^#include <($pure)" -- lb/routing scaler/engine scaler/metrics &&
  complain "lb/routing, scaler/engine and scaler/metrics must not include the above: they are pure"
git grep --untracked -nE '\b(clock_now_ms|clock_monotonic_us|clock_gettime|gettimeofday|time|socket|connect|u?sleep|nanosleep)\(' \
  -- lb/routing scaler/engine scaler/metrics &&
  complain "lb/routing, scaler/engine and scaler/metrics must not call the above: they are handed the time"

flags=(-I. -D_GNU_SOURCE -DHASH_NONFATAL_OOM=1 -std=gnu17 -isystem /usr/include/libxml2
  -isystem "${LLHTTP_INCLUDE:-/usr/share/include/llhttp}")
mapfile -t glib < <(pkg-config --cflags-only-I glib-2.0 | sed 's/-I//g' | tr -s ' ' '\n' | sed '/^$/d; s/^/-isystem\n/')
flags+=("${glib[@]}")
analyzer=(-Xclang -analyzer-config -Xclang "max-nodes=${LINT_NODES:-50000}")
# shellcheck disable=SC2317 # called through xargs
tidy() { # tidy SETTINGS FILE FLAGS...
  local settings=$1 file=$2 key out
  shift 2
  key=build/lint/$({ echo "$settings $file"; clang "$@" -E -CC "$file"; } 2>&1 | sha256sum | cut -c1-40)
  [ ! -e "$key" ] || return 0
  if out=$(clang-tidy --quiet --header-filter='^((\./)?|.*/)(common|lb|scaler|lab|tests)/' "$file" -- "$@" 2>&1); then
    touch "$key"
  else
    printf '%s\n' "$out" | grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed '
    return 1
  fi
}
export -f tidy
if [ -z "${NO_TIDY:-}" ]; then
  mkdir -p build/lint
  find build/lint -type f -mtime +30 -delete
  settings=$({ cat .clang-tidy tools/lint.sh; echo "${flags[*]} ${analyzer[*]}"; clang-tidy --version; } | sha256sum)
  # shellcheck disable=SC2016 # expanded by the inner shell
  printf '%s\n' "${c[@]}" |
    xargs -P "$(nproc)" -I{} bash -c 'tidy "$@"' tidy "$settings" {} "${flags[@]}" "${analyzer[@]}" || bad=1
fi
[ ${#sh[@]} -eq 0 ] || shellcheck "${sh[@]}" || bad=1
[ ${#py[@]} -eq 0 ] || black -q --check "${py[@]}" || { black --check "${py[@]}" 2>&1 | grep would; bad=1; }
[ $bad -eq 0 ] && echo "lint: clean"
exit $bad
