#!/usr/bin/env bash
# The session of the legacy document, with curl alone, against a running `make run`.
# Usage: examples/legacy-session.sh [URL]. Without URL it goes to the demo: of var/demo.env, else of port 8080.
# It ends with "session complete", or at the first answer that is wrong.
set -euo pipefail

url=${1:-${CONTRACT_TARGET:-http://127.0.0.1:8080}}
api_key=${MICHIQ_EXAMPLE_API_KEY:-sandbox-api-key}
here=$(cd "$(dirname "$0")/session" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

call() { # call NAME CURL-ARGUMENTS...: shows the answer, and keeps it in $answer
  local name=$1
  shift
  answer=$(curl -sS --fail-with-body --max-time 60 "$@") || { echo "$name failed: $answer" >&2; exit 1; }
  printf '%-15s %.160s\n' "$name" "$answer"
}
expect() { # expect TEXT: the answer must hold it
  case $answer in *"$1"*) ;; *) echo "the answer lacks: $1" >&2; exit 1 ;; esac
}
field() { printf '%s' "$answer" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

call newCase -H "API_KEY: $api_key" -H 'user_mail: ana@clinica.example' -H 'organization: Clínica Norte' \
  -F 'conversation=Doctor: ¿Qué le pasa? Paciente: Tengo fiebre desde ayer.' \
  -F "ehr=@$here/ehr.json;type=application/json" \
  -F "files=@$here/historial.pdf;type=application/pdf" "$url/michiQ/newCase"
expect '"message":"You are inside llamalitica services"'
id=$(field michiq_uuid)
bearer="Authorization: Bearer $(field token)"

# A recorder's three chunks: only the first one has the container's header.
split -n 3 "$here/consulta.webm" "$work/chunk-"
for chunk in "$work"/chunk-*; do
  call uploadAudio -H "$bearer" -F "audioChunk=@$chunk;filename=consulta.webm;type=audio/webm" \
    "$url/michiQ/uploadAudio/$id"
  expect "Archivo subido exitosamente con UUID: $id"
done

call speechToText -H "$bearer" -H 'Content-Type: application/json' \
  -d '{"audioFile": "grabaciones/consulta.webm"}' "$url/michiQ/speechToText/$id"
expect '"totalSpeechTextTime":"00:00:20"'

# The answer stands on page 40 of 60.
call query -H "$bearer" -H 'Content-Type: application/json' \
  -d '{"query": "¿A qué medicamento tuvo una alergia grave?"}' "$url/michiQ/query/$id"
expect 'penicilina'

# The platform's report comes by webhook, a moment after the case.
for _ in $(seq 50); do
  call doc -H "$bearer" "$url/michiQ/doc/$id"
  case $answer in *'"generated_text":'*) break ;; *) sleep 0.2 ;; esac
done
expect '"generated_text":'

call encounters -H "$bearer" "$url/michiQ/encounters"
expect "\"MichiqUUID\":\"$id\""

call encounter-page -H "$bearer" "$url/app/encounter/$id"
expect '"miniWidget":'

echo "session complete"
