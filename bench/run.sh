#!/bin/bash
# usage: bench/run.sh [REQUESTS [CONCURRENCY [ROUNDS]]]    make bench calls it; default 100000 64 5.
# ab -k -n REQUESTS -c CONCURRENCY against the bare target, against the floor (bench/relay) and against one worker of
# albatross-lb in front of the same target, in rotation, so that a drifting machine hits all alike. Prints for each the median
# of requests/s, of the proxy's CPU time per request (user and system), and the range. Fails if any request failed.
# Then what choosing among 1, 100 and 10,000 rules costs (bench/rules).
# Where there are two cores the proxies run on the first, ab and the target on the second.
set -eu
cd "$(dirname "$0")/.."
requests=${1:-100000}
concurrency=${2:-64}
rounds=${3:-5}
bin=${BIN:-build}
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT

proxy_core=() load_core=()
if [ "$(nproc)" -ge 2 ]; then
  proxy_core=(taskset -c 0)
  load_core=(taskset -c 1)
fi

free_port() {
  /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

cpu_us() { # cpu_us PID: user and system time so far
  awk -v hz="$(getconf CLK_TCK)" '{ printf "%d\n", ($14 + $15) * 1000000 / hz }' "/proc/$1/stat"
}

await_200() { # await_200 URL
  for _ in $(seq 100); do
    [ "$(curl -s -o /dev/null -m 1 -w '%{http_code}' "$1")" = 200 ] && return
    sleep 0.1
  done
  echo "bench: no answer from $1" >&2
  cat "$dir"/*.log >&2
  exit 1
}

rate() { # rate PORT: requests per second; fails unless every one succeeded
  "${load_core[@]}" ab -q -k -n "$requests" -c "$concurrency" "http://127.0.0.1:$1/" >"$dir/ab.txt" 2>&1
  if ! grep -q '^Failed requests: *0$' "$dir/ab.txt" || grep -q '^Non-2xx' "$dir/ab.txt"; then
    cat "$dir/ab.txt" >&2
    exit 1
  fi
  awk '/^Requests per second/ { print $4 }' "$dir/ab.txt"
}

measure() { # measure NAME PORT PID: one line "rate cpu" into NAME's file
  local before after per_second
  before=$(cpu_us "$3")
  per_second=$(rate "$2")
  after=$(cpu_us "$3")
  awk -v r="$per_second" -v us="$((after - before))" -v n="$requests" \
    'BEGIN { printf "%.0f %.2f\n", r, us / n }' >>"$dir/$1.txt"
}

target_port=$(free_port)
relay_port=$(free_port)
lb_port=$(free_port)
api_port=$(free_port)
"${load_core[@]}" "$bin/bench/target" 127.0.0.1 "$target_port" 64 &
target=$!
pids+=("$target")
"${proxy_core[@]}" "$bin/bench/relay" 127.0.0.1 "$relay_port" 127.0.0.1 "$target_port" 2>"$dir/relay.log" &
relay=$!
pids+=("$relay")
cat >"$dir/lb.json" <<EOF
{
  "LoadBalancers": [{"LoadBalancerName": "bench", "ListenAddress": "127.0.0.1", "Listeners": [
    {"Protocol": "HTTP", "Port": $lb_port,
     "DefaultActions": [{"Type": "forward", "TargetGroupArn": "bench"}]}]}],
  "TargetGroups": [{"TargetGroupName": "bench", "TargetType": "ip", "Protocol": "HTTP",
    "Port": $target_port, "HealthCheckIntervalSeconds": 5, "Targets": [{"Id": "127.0.0.1"}]}],
  "Lb": {"Workers": 1, "ApiAddress": "127.0.0.1:$api_port", "StateUrl": "memory:"}
}
EOF
"${proxy_core[@]}" "$bin/albatross-lb" -c "$dir/lb.json" 2>"$dir/lb.log" &
lb=$!
pids+=("$lb")
for port in "$target_port" "$relay_port" "$lb_port"; do
  await_200 "http://127.0.0.1:$port/"
  rate "$port" >/dev/null # warm
done
for _ in $(seq "$rounds"); do
  measure direct "$target_port" "$target"
  measure relay "$relay_port" "$relay"
  measure albatross-lb "$lb_port" "$lb"
done

median() { # median FILE COLUMN
  awk -v c="$2" '{ print $c }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
range() { # range FILE COLUMN
  awk -v c="$2" '{ print $c }' "$1" | sort -n | awk 'NR == 1 { a = $1 } { b = $1 } END { print a ".." b }'
}
printf 'ab -k -n %d -c %d, median (range) of %d rounds\n' "$requests" "$concurrency" "$rounds"
printf '%-14s %10s %-18s %8s %s\n' "" requests/s "" "CPU us" "per request"
for name in direct relay albatross-lb; do
  file="$dir/$name.txt"
  printf '%-14s %10s %-18s %8s %s\n' "$name" "$(median "$file" 1)" "($(range "$file" 1))" \
    "$(median "$file" 2)" "($(range "$file" 2))"
done
awk -v t="$(median "$dir/albatross-lb.txt" 1)" -v d="$(median "$dir/direct.txt" 1)" \
  -v lb="$(median "$dir/albatross-lb.txt" 2)" -v relay="$(median "$dir/relay.txt" 2)" 'BEGIN {
  printf "through one worker: %.0f %% of direct; CPU per request %.2f x relay\n", 100 * t / d, lb / relay }'

echo
"$bin/bench/rules"
