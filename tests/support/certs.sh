#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# certs.sh DIR: a certificate authority for tests, and one certificate for each way in which a
# connection can go right or wrong. P-256 throughout. In DIR afterwards:
#   ca.crt ca.key          the authority           other-ca.crt other-ca.key   a foreign one
#   server.crt .key        localhost, redis.test, 127.0.0.1
#   wrongname.crt .key     a server called other.test
#   expired.crt future.crt (.key)   servers whose time has gone by (2020) or has not come (2090)
#   revoked.crt .key       a server that crl.pem revokes
#   client.crt .key        CN=dev-0001            client2.crt .key    CN=dev-0001, renewed
#   foreign.crt .key       a client that other-ca signed        oldclient.crt .key  expired in 2020
#   crl.pem                revokes `revoked`      crl-old.pem         the same, out of date
#   both-ca.crt            both authorities in one file
set -eu
[ $# = 1 ] || { echo "usage: certs.sh DIR" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
mkdir -p db
: >db/index.txt
echo 01 >db/crlnumber
cat >openssl.cnf <<'CNF'
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unset
[ca]
default_ca = test_ca
[test_ca]
database = db/index.txt
new_certs_dir = db
rand_serial = yes
crlnumber = db/crlnumber
default_md = sha256
default_crl_days = 3650
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[server]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = ${ENV::SAN}
[client]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
CNF
SAN=DNS:unset
export SAN

authority() { # name CN
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -new -x509 -sha256 -key "$1.key" -subj "/CN=$2" -days 36500 -config openssl.cnf \
        -extensions root -out "$1.crt"
}
issue() { # name CN kind authority [start end]
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -new -sha256 -key "$1.key" -subj "/CN=$2" -config openssl.cnf -out "$1.csr"
    openssl ca -batch -notext -config openssl.cnf -extensions "$3" -cert "$4.crt" -keyfile "$4.key" \
        -startdate "${5:-20240101000000Z}" -enddate "${6:-20490101000000Z}" \
        -in "$1.csr" -out "$1.crt" 2>openssl.log || { cat openssl.log >&2; exit 1; }
    rm -f "$1.csr"
}

authority ca "oxbow test CA"
authority other-ca "somebody else's CA"
SAN=DNS:localhost,DNS:redis.test,IP:127.0.0.1
issue server redis.test server ca
issue expired redis.test server ca 20190101000000Z 20200101000000Z
issue future redis.test server ca 20900101000000Z 20910101000000Z
issue revoked redis.test server ca
SAN=DNS:other.test
issue wrongname other.test server ca
issue client dev-0001 client ca
issue client2 dev-0001 client ca
issue foreign dev-0001 client other-ca
issue oldclient dev-0001 client ca 20190101000000Z 20200101000000Z
openssl ca -config openssl.cnf -cert ca.crt -keyfile ca.key -revoke revoked.crt 2>openssl.log
openssl ca -config openssl.cnf -cert ca.crt -keyfile ca.key -gencrl -out crl.pem 2>openssl.log
openssl ca -config openssl.cnf -cert ca.crt -keyfile ca.key -gencrl -crl_lastupdate 20200101000000Z \
    -crl_nextupdate 20200201000000Z -out crl-old.pem 2>openssl.log
cat ca.crt other-ca.crt >both-ca.crt
rm -f openssl.log
