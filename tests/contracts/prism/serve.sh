#!/usr/bin/env bash
# Serves an OpenAPI description as a mock on a port of 127.0.0.1 by Prism, which is installed when it isn't yet.
# Usage: serve.sh PORT DESCRIPTION
set -euo pipefail
port=${1:?a port} description=$(realpath "${2:?a description}")
cd "$(dirname "$0")"

if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
  npm ci --no-progress --loglevel=error >&2
  touch node_modules/.package-lock.json
fi
# Not by way of npm: whoever ends this script ends Prism.
exec node node_modules/@stoplight/prism-cli/dist/index.js mock --host 127.0.0.1 --port "$port" "$description"
