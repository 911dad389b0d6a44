#!/bin/bash
# usage: tests/fuzz/run.sh SECONDS [NAME...]    from anywhere; make fuzz calls it.
# Replays every fuzzer's corpus and, where clang is present, runs it on new inputs for SECONDS each.
# New inputs and crashes go to build/fuzz/NAME; add a crash to the corpus together with its fix.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-30}
[ $# -eq 0 ] || shift
sanitize=address,undefined
flags=(-std=gnu17 -g -O1 -fno-omit-frame-pointer -pthread -D_GNU_SOURCE -DHASH_NONFATAL_OOM=1 -I.
  -isystem /usr/include/libxml2 -isystem "${LLHTTP_INCLUDE:-/usr/share/include/llhttp}"
  -DLLHTTP_STRICT_MODE=1 -fno-sanitize-recover=all)
mapfile -t glib < <(pkg-config --cflags-only-I glib-2.0 | sed "s/-I//g" | tr -s " " "\n" | sed "/^$/d; s/^/-isystem\n/")
flags+=("${glib[@]}")
libs=(-levent_core -levent_extra -levent_pthreads -lcurl -ljansson -lxml2 -lsqlite3 -lpcre2-8 -lcbor -lcrypto -lz -lm -lglib-2.0)
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

# The area (common, lb, scaler, lab) is the first one that the fuzzer's includes name besides common.
area_of() {
  sed -nE 's|^#include "(lb\|scaler\|lab)/.*|\1|p' "$1" | head -n1
}

sources_of() { # sources_of AREA
  find common -name '*.c' -o -name '*.S'
  [ -z "$1" ] || find "$1" -name '*.c' ! -path "$1/main.c"
  if [ "$1" = lb ]; then
    printf '%s\n' "${LLHTTP:-/usr/share/llhttp}"/{llhttp,api,http}.c
  fi
}

build() { # build NAME COMPILER SANITIZERS EXTRA...
  local name=$1 compiler=$2 sanitizers=$3 dir=build/fuzz/$1/obj area objects=()
  shift 3
  area=$(area_of "tests/fuzz/fuzz_$name.c")
  mkdir -p "$dir"
  while read -r source; do
    local object
    object=$dir/$(echo "${source%.*}" | tr / _).o
    objects+=("$object")
    [ "$object" -nt "$source" ] ||
      "$compiler" "${flags[@]}" -w "-fsanitize=$sanitizers" -c "$source" -o "$object"
  done < <(sources_of "$area"; echo "tests/fuzz/fuzz_$name.c"; [ $# -eq 0 ] || printf '%s\n' "$@")
  "$compiler" "${flags[@]}" "-fsanitize=${LINK_SANITIZE:-$sanitizers}" -o "build/fuzz/$name/fuzz" \
    "${objects[@]}" "${libs[@]}"
}

fuzz() { # with clang: libFuzzer
  LINK_SANITIZE=fuzzer,$sanitize build "$1" clang "fuzzer-no-link,$sanitize"
  mkdir -p "build/fuzz/$1/new"
  local dictionary=()
  [ ! -f "tests/fuzz/dict/$1" ] || dictionary=("-dict=tests/fuzz/dict/$1")
  "build/fuzz/$1/fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
    -verbosity=0 -artifact_prefix="build/fuzz/$1/" "${dictionary[@]}" "build/fuzz/$1/new" \
    "tests/fuzz/corpus/$1"
}

replay() { # with any compiler
  build "$1" "${CC:-cc}" "$sanitize" tests/fuzz/replay.c
  find "tests/fuzz/corpus/$1" -type f -print0 | xargs -0 "build/fuzz/$1/fuzz"
}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for file in tests/fuzz/fuzz_*.c; do
    name=${file##*/fuzz_}
    names+=("${name%.c}")
  done
fi
for name in "${names[@]}"; do
  echo "fuzz: $name"
  if command -v clang >/dev/null && [ "$seconds" -gt 0 ]; then
    fuzz "$name"
  else
    replay "$name"
  fi
done
