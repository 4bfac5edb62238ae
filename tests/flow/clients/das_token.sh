#!/usr/bin/env bash
# A DAS office's token with nothing but openssl and curl, as WIPO's guide describes it: ES256,
# iss = sub = client id, the token endpoint as audience, ten seconds, no jti.
# Arguments: token endpoint, client id, private key (PEM). Prints the answer.
set -euo pipefail
endpoint=$1 client=$2 key=$3

encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# The signature of ECDSA as JOSE wants it: both numbers of the DER sequence, 32 bytes each.
joined() {
  openssl asn1parse -inform DER | sed -n 's/.*INTEGER *:\([0-9A-F]*\)$/\1/p' |
    while read -r number; do printf '%64s' "$number" | tr ' ' 0; done |
    sed 's/../\\x&/g' | xargs -0 printf '%b'
}

head=$(printf '{"alg":"ES256","typ":"JWT"}' | encode)
claims=$(printf '{"iss":"%s","sub":"%s","aud":"%s","exp":%d}' \
  "$client" "$client" "$endpoint" $(($(date +%s) + 10)) | encode)
signature=$(printf '%s.%s' "$head" "$claims" | openssl dgst -sha256 -sign "$key" | joined | encode)

curl --silent --show-error "$endpoint" \
  --data-urlencode grant_type=client_credentials \
  --data-urlencode scope=das-api/das-access \
  --data-urlencode client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
  --data-urlencode "client_assertion=$head.$claims.$signature"
