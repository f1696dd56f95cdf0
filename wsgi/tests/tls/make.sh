#!/bin/sh
# Makes the certificates and keys of the TLS tests anew: `sh wsgi/tests/tls/make.sh`, with OpenSSL 3.
#
# They are kept and not made by each test run: a simulation needs the same bytes every time (a signature or a serial
# number of another length is another run), and no test should depend on a program to make them. They are valid until
# 2126, but for those that are meant not to be. Their keys are public, so they protect nothing.
set -eu
cd "$(dirname "$0")/files"
rm -f ./*
days=36500
names="subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
quiet() { "$@" 2>/dev/null; }
sign() { # request, issuer, its key, extensions, certificate
    printf '%s\n' "$4" > extensions
    quiet openssl x509 -req -in "$1" -CA "$2" -CAkey "$3" -set_serial "0x$(printf '%s' "$5" | md5sum | cut -c1-15 | sed s/^/4/)" \
        -days $days -extfile extensions -out "$5"
}

openssl genpkey -algorithm ed25519 -out root-key.pem
openssl req -x509 -new -key root-key.pem -days $days -subj "/CN=handwound test root" -out root.pem
openssl genpkey -algorithm ed25519 -out middle-key.pem
openssl req -new -key middle-key.pem -subj "/CN=handwound test intermediate" -out middle.csr
sign middle.csr root.pem root-key.pem "basicConstraints=critical,CA:true" chain.pem
openssl genpkey -algorithm ed25519 -out key.pem
openssl req -new -key key.pem -subj "/CN=localhost" -out leaf.csr
sign leaf.csr chain.pem middle-key.pem "$names" cert.pem

cat cert.pem chain.pem > full.pem
# A renewed one.
sign leaf.csr chain.pem middle-key.pem "$names,DNS:renewed" renewed.pem
cat chain.pem >> renewed.pem
cat chain.pem cert.pem > leaf-last.pem
cat cert.pem root.pem chain.pem > unordered.pem
cat key.pem full.pem > server.pem
openssl x509 -in cert.pem -outform der -out cert.der
openssl pkey -in key.pem -outform der -out key.der

# Keys in other forms, and certificates for them.
quiet openssl genrsa -traditional -out rsa-key.pem 2048
openssl req -x509 -new -key rsa-key.pem -days $days -subj "/CN=localhost" -addext "$names" -out rsa-cert.pem
quiet openssl ecparam -genkey -name prime256v1 -noout -out ec-key.pem
openssl req -x509 -new -key ec-key.pem -days $days -subj "/CN=localhost" -addext "$names" -out ec-cert.pem
quiet openssl genrsa -out weak-key.pem 1024
openssl req -x509 -new -key weak-key.pem -days $days -subj "/CN=localhost" -out weak-cert.pem
openssl pkey -in key.pem -aes256 -passout pass:secret -out encrypted-key.pem
openssl rsa -in rsa-key.pem -aes256 -passout pass:secret -traditional -out encrypted-rsa-key.pem 2>/dev/null

# Certificates of another time.
cat > ca.cnf <<'CNF'
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
serial = serial
default_md = default
policy = any
x509_extensions = ext
[ext]
subjectAltName = DNS:localhost
[any]
commonName = supplied
CNF
dated() { # first day, last day, certificate
    echo 4A > serial
    : > index.txt
    quiet openssl ca -batch -config ca.cnf -selfsign -keyfile key.pem -in leaf.csr -startdate "$1" -enddate "$2" \
        -notext -out "$3"
}
dated 20200101000000Z 20210101000000Z expired.pem
dated 21200101000000Z 21210101000000Z early.pem
# A certificate of version 1: one without extensions.
quiet openssl x509 -req -in leaf.csr -signkey key.pem -days $days -out version-1.pem
rm -f extensions ca.cnf index.txt* serial* ./4A.pem ./*.csr middle-key.pem root-key.pem
