#!/bin/bash
# usage: bench/run.sh [REQUESTS [CONCURRENCY]]    make bench calls it; default 100000 64.
# ab -k against the bare target, and against one worker of albatross-lb in front of the same target:
# requests per second of both, their ratio, and the load balancer's CPU time per request.
set -eu
cd "$(dirname "$0")/.."
requests=${1:-100000}
concurrency=${2:-64}
bin=${BIN:-build}
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT

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

rate() { # rate URL: requests per second; fails unless every one succeeded
  ab -q -k -n "$requests" -c "$concurrency" "$1" >"$dir/ab.txt" 2>&1
  if ! grep -q '^Failed requests: *0$' "$dir/ab.txt" || grep -q '^Non-2xx' "$dir/ab.txt"; then
    cat "$dir/ab.txt" >&2
    exit 1
  fi
  awk '/^Requests per second/ { print $4 }' "$dir/ab.txt"
}

target_port=$(free_port)
lb_port=$(free_port)
api_port=$(free_port)
"$bin/bench/target" 127.0.0.1 "$target_port" 64 &
pids+=($!)
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
"$bin/albatross-lb" -c "$dir/lb.json" 2>"$dir/lb.log" &
lb=$!
pids+=("$lb")
await_200 "http://127.0.0.1:$target_port/"
await_200 "http://127.0.0.1:$lb_port/"

rate "http://127.0.0.1:$lb_port/" >/dev/null # warm
direct=$(rate "http://127.0.0.1:$target_port/")
before=$(cpu_us "$lb")
through=$(rate "http://127.0.0.1:$lb_port/")
after=$(cpu_us "$lb")

awk -v d="$direct" -v t="$through" -v us="$((after - before))" -v n="$requests" -v c="$concurrency" 'BEGIN {
  printf "ab -k -n %d -c %d\n", n, c
  printf "target directly      %8.0f requests/s\n", d
  printf "through one worker   %8.0f requests/s (%.0f %% of direct)\n", t, 100 * t / d
  printf "load balancer CPU    %8.2f us/request\n", us / n
}'
