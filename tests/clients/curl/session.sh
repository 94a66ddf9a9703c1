#!/usr/bin/env bash
# The session of the legacy document with curl.
# Environment: LEGACY_URL, LEGACY_API_KEY, LEGACY_USER, LEGACY_FILES (a folder).
set -euo pipefail
cd "$LEGACY_FILES"
conversation="Doctora: ¿Qué le pasa, señora Núñez?
Paciente: Tengo fiebre."

call() { # call STEP CURL-ARGUMENTS...: keeps the answer in $answer
  step=$1
  shift
  answer=$(curl -sS --fail-with-body --max-time 60 "$@") || { echo "$step: failed: $answer"; exit 1; }
}
expect() { # expect TEXT: the answer must hold it
  case $answer in *"$1"*) ;; *) echo "$step: failed: no $1 in $answer"; exit 1 ;; esac
}
field() { printf '%s' "$answer" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# Quotes inside of -F, or curl takes the ; of the name for the beginning of an option.
call newCase -H "API_KEY: $LEGACY_API_KEY" -H "user_mail: $LEGACY_USER" -H 'organization: Clínica Norte' \
  -F "conversation=$conversation" \
  -F 'ehr=@ehr.json;type=application/json' \
  -F 'files=@"informe año.pdf";type=application/pdf' \
  -F 'files=@"a;b;c.txt";type=text/plain' "$LEGACY_URL/michiQ/newCase"
expect '"message":"You are inside llamalitica services"'
id=$(field michiq_uuid)
bearer="Authorization: Bearer $(field token)"
echo "newCase: ok $id"

call uploadAudio -H "$bearer" -F 'audioChunk=@grabación.wav;type=audio/wav' "$LEGACY_URL/michiQ/uploadAudio/$id"
expect "Archivo subido exitosamente con UUID: $id"
echo "uploadAudio: ok"

call speechToText -H "$bearer" -H 'Content-Type: application/json' \
  -d '{"audioFile": "grabaciones/grabación.wav"}' "$LEGACY_URL/michiQ/speechToText/$id"
expect '"transcription":"La paciente refiere fiebre y tos seca, según Núñez."'
expect '"totalSpeechTextTime":"00:00:12"'
echo "speechToText: ok"

call query -H "$bearer" -H 'Content-Type: application/json' \
  -d '{"query": "¿Qué temperatura tenía?"}' "$LEGACY_URL/michiQ/query/$id"
expect '38,7'
echo "query: ok"

call doc -H "$bearer" "$LEGACY_URL/michiQ/doc/$id"
expect "\"michiq_uuid\":\"$id\""
expect '"fileExtension":".pdf"'
echo "doc: ok"

call encounters -H "$bearer" "$LEGACY_URL/michiQ/encounters"
expect "\"MichiqUUID\":\"$id\""
expect '"OrganizationID":"Clínica Norte"'
echo "encounters: ok"
