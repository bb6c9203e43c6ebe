#!/usr/bin/env bash
# The floor for a cold `hostler up`: the same on bare hosts by hand, all hosts side by side. floor.sh FOLDER
# The folder has one file a host, named as the host, with the lines that floor_host.sh reads.
set -euo pipefail
script=$(< "$(dirname "${BASH_SOURCE[0]}")/floor_host.sh")
pids=()
for list in "$1"/*; do
  # shellcheck disable=SC2029,SC2094  # the script is expanded here on purpose; ssh reads the list
  ssh "$(basename "$list")" "$script" < "$list" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
