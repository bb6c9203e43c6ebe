#!/usr/bin/env bash
# One host of floor.sh. On stdin, in any order:
#   file PATH BASE64 | package NAME | image REF | model URL PATH SHA256 | run WORDS-OF-DOCKER-RUN | health URL
# Nothing is looked at first, nothing is routed, nothing is written down for later.
# shellcheck disable=SC2317,SC2329  # `each` calls the functions
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
lines=$(cat)
words() { sed -n "s/^$1 //p" <<< "$lines"; }
each() { # each KIND FUNCTION: the function for all lines of a kind, side by side
  local line pids=()
  while IFS= read -r line; do
    "$2" "$line" < /dev/null &
    pids+=($!)
  done < <(words "$1")
  for line in "${pids[@]}"; do wait "$line"; done
}
place() {
  local path=${1%% *}
  mkdir -p "${path%/*}"
  base64 -d <<< "${1#* }" > "$path"
}
load() {
  local url path sum
  read -r url path sum <<< "$1"
  mkdir -p "${path%/*}"
  python3 -c 'import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as source, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(source, out, 1 << 20)' "$url" "$path"
  echo "$sum  $path" | sha256sum -c --quiet
}
pull() { docker pull -q "$1" > /dev/null; }
start() { eval "docker run -d $1" > /dev/null; }
healthy() {
  python3 -c 'import sys, time, urllib.request
while True:
    try:
        urllib.request.urlopen(sys.argv[1]); break
    except OSError:
        time.sleep(0.1)' "$1"
}
each model load &
weights=$!
each file place
apt-get update -qq
# shellcheck disable=SC2046  # one word a package
apt-get install -y -qq --no-install-recommends $(words package) > /dev/null 2>&1
each image pull
wait "$weights"
each run start
each health healthy
