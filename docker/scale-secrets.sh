#!/bin/sh
# Makes the secrets of docker/compose.scale.yaml in a new folder that only you can enter: docker/scale-secrets.sh FOLDER
set -eu
umask 077
mkdir "$1"
cd "$1"
password() { openssl rand -hex 24; }
cat >env <<END
SECRETS=$PWD
MICHIQ_SECRET_KEYS=$(openssl rand -base64 32 | tr -- +/ -_)
POSTGRES_PASSWORD=$(password)
AWS_ACCESS_KEY_ID=$(openssl rand -hex 10)
AWS_SECRET_ACCESS_KEY=$(password)
END
openssl req -x509 -newkey rsa:2048 -nodes -days 825 -subj /CN=s3 -addext subjectAltName=DNS:s3 \
  -keyout s3.key -out s3.crt 2>/dev/null
# Containers read them under another number; nobody else gets past the folder.
chmod 644 s3.key s3.crt
