#!/usr/bin/env bash
# Ingests examples/, asks three questions, brings one document in a second version and asks again.
# Usage: examples/demo.sh PATH-OF-RAGSTONE
set -euo pipefail
ragstone="${1:-ragstone}"
here="$(cd "$(dirname "$0")" && pwd)"
data="$(mktemp -d)"
trap 'rm -rf "$data"' EXIT

bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
run() {
  printf '$ ragstone'
  printf ' %q' "$@"
  printf '\n'
  "$ragstone" --data "$data" "$@"
}

say "Five documents in four formats go in."
run ingest "$here/documents"

say "A question about a fact that will change."
run ask "How long is the warranty on a Dipper pump?"

say "A question whose answer is in a PDF."
run ask "How often is the oil of the Dipper 65 changed?"

say "A question that the documents can't answer."
run ask "What does a new Dipper 65 cost?"

say "The warranty changes: the same document in a new version. Only what changed is embedded."
run ingest "$here/updates"
run ask "How long is the warranty on a Dipper pump?"

say "The old revision can still be asked."
run ask "How long is the warranty on a Dipper pump?" --as-of 1
run status
