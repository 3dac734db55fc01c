# What the scripts of this migration share. Plain values live in variables and pipes only: never in a file, never in an argument.
#
#   BUNDLE          the encrypted env file; default .env.vault.enc
#   SECRETS_DIR     where each secret gets a file KEY.enc; default secrets
#   BUNDLE_DECRYPT, BUNDLE_ENCRYPT, SECRET_DECRYPT, SECRET_ENCRYPT
#                   commands from standard input to standard output; default sops
# shellcheck shell=sh
set -eu
umask 077
bundle=${BUNDLE:-.env.vault.enc}
dir=${SECRETS_DIR:-secrets}
# Keys of the bundle: `+KEY` where this migration made the file, `=KEY` where it was there with the same value.
list=$dir/.from-bundle
: "${BUNDLE_DECRYPT:=sops --decrypt --input-type dotenv --output-type dotenv /dev/stdin}"
: "${BUNDLE_ENCRYPT:=sops --encrypt --input-type dotenv --output-type dotenv /dev/stdin}"
: "${SECRET_DECRYPT:=sops --decrypt --input-type binary --output-type binary /dev/stdin}"
: "${SECRET_ENCRYPT:=sops --encrypt --input-type binary --output-type binary /dev/stdin}"

fail() {
  echo "$*" >&2
  exit 1
}

# The plain value of a secret's file.
secret() {
  sh -c "$SECRET_DECRYPT" <"$1" || fail "$1 cannot be decrypted"
}

# Calls a function with key and value of each line of the bundle.
each() {
  plain=$(sh -c "$BUNDLE_DECRYPT" <"$bundle") || fail "$bundle cannot be decrypted"
  printf '%s\n' "$plain" | while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    key=${line%%=*}
    case $key in '' | [0-9]* | *[!A-Za-z0-9_]*) fail "$bundle has a line that is no KEY=value" ;; esac
    "$1" "$key" "${line#*=}"
  done
}
