#!/usr/bin/env bash
# Walks one route from the legacy server to the new side and back, against `make run`: legacy, shadow, canary, new,
# rollback. Start it in the folder where the demo was started, while the demo runs.
set -euo pipefail
export LC_ALL=C.UTF-8 # for the accents in what is echoed

COMMAND=${COMMAND:-.venv/bin/michiq-proxy}
# The demo's keys and addresses: the commands work on the same store as the running proxy.
set -a
. var/demo.env
set +a

michiq-proxy() {
  printf '\n$ michiq-proxy' && printf ' %s' "${@@Q}" | sed "s/'\([A-Za-z0-9_.,%-]*\)'/\1/g" && printf '\n'
  "$COMMAND" "$@"
}

# A newCase of an organization; says which server made the case.
new_case() {
  local answer
  answer=$(curl --silent --show-error --fail-with-body --max-time 20 --dump-header var/demo/headers \
    -H 'API_KEY: sandbox-api-key' -H 'user_mail: ana@clinica.example' -H "organization: $1" \
    -F 'conversation=Tengo fiebre.' -F 'ehr=@var/demo/ehr.json' "$CONTRACT_TARGET/michiQ/newCase")
  if grep -qi '^Via: 1.1 michiq-proxy' var/demo/headers; then
    echo "newCase of $1: the legacy server made it"
  else
    echo "newCase of $1: the new platform made it"
  fi
  [[ $answer == *'"message":"You are inside llamalitica services"'* || $answer == *'"message": "You'* ]]
}

michiq-proxy mode new_case legacy --reason 'the walk begins' --wait
new_case 'Clínica Norte'

michiq-proxy mode new_case shadow --reason 'see what would differ' --wait
for _ in 1 2 3 4 5; do new_case 'Clínica Norte'; done
request=$(tr -d '\r' <var/demo/headers | sed -n 's/^X-Request-ID: //Ip')
sleep 2 # what was compared is in the store within a second
michiq-proxy explain "$request"
michiq-proxy can-switch new_case || echo "(no, as it should be after 5 requests: a real route waits for its evidence)"

michiq-proxy mode new_case canary --percent 0 --organization 'Clínica Sur' --reason 'nobody yet' --until 2h --wait
new_case 'Clínica Sur'
# Against the evidence, as nobody should: a real route waits for it.
michiq-proxy mode new_case canary --percent 100 --organization 'Clínica Sur' --reason 'one hospital first' --until 2h --despite-evidence --wait
new_case 'Clínica Sur'
new_case 'Clínica Norte'

michiq-proxy mode new_case new --reason 'everybody' --despite-evidence --wait
new_case 'Clínica Norte'

michiq-proxy mode rollback new_case --reason 'the clinic calls at 3 a.m.' --wait
new_case 'Clínica Norte'

michiq-proxy mode history --limit 6
michiq-proxy audit verify
echo "walk complete"
