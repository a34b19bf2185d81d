# shellcheck shell=bash
# Packages and signed repositories of them. Sourced, never run.

# shellcheck source=services.sh
. "$(dirname "${BASH_SOURCE[0]}")/services.sh"

# deb DIRECTORY FILE: makes a package of it. Fast rather than small.
deb() { dpkg-deb --root-owner-group -Zgzip -z1 -b "$1" "$2" >/dev/null; }

# control DIRECTORY NAME VERSION [LINE...]
control() {
    mkdir -p "$1/DEBIAN"
    printf '%s\n' "Package: $2" "Version: $3" "Architecture: amd64" "Maintainer: The lab <lab@lab.test>" "${@:4}" \
        "Description: of the lab" >"$1/DEBIAN/control"
}

# key HOMEDIR NAME
key() {
    gpg --homedir "$1" --batch --quiet --passphrase '' --quick-generate-key "$2" rsa2048 sign never 2>/dev/null
}

# signing_key DIRECTORY: makes a key in its `gnupg`, and puts the public one below its `www`, its print into `fingerprint`.
signing_key() {
    mkdir -p "$1"/{www,gnupg}
    chmod 0700 "$1/gnupg"
    key "$1/gnupg" lab@lab.test
    gpg --homedir "$1/gnupg" --batch --export lab@lab.test >"$1/www/key.gpg"
    gpg --homedir "$1/gnupg" --batch --armor --export lab@lab.test >"$1/www/key.asc"
    gpg --homedir "$1/gnupg" --batch --with-colons --list-keys lab@lab.test |
        awk -F: '$1 == "fpr" { print $10; exit }' >"$1/fingerprint"
}

# release DIRECTORY REPOSITORY COMPONENT LABEL: index and signature, as apt wants them. The directory has the key.
release() {
    local root=$2 index=dists/bookworm/$3/binary-amd64
    mkdir -p "$root/$index"
    (cd "$root" && dpkg-scanpackages -m pool 2>/dev/null >"$index/Packages")
    {
        printf '%s\n' "Origin: lab" "Label: $4" "Suite: bookworm" "Codename: bookworm" \
            "Architectures: amd64" "Components: $3" "Date: $(date -Ru)" "SHA256:"
        (cd "$root/dists/bookworm" && find . -name Packages | sed 's,^\./,,' | while read -r file; do
            printf ' %s %s %s\n' "$(sha256sum <"$file" | cut -d' ' -f1)" "$(stat -c %s "$file")" "$file"
        done)
    } >"$root/dists/bookworm/Release"
    gpg --homedir "$1/gnupg" --batch --quiet --yes -u lab@lab.test --clearsign \
        -o "$root/dists/bookworm/InRelease" "$root/dists/bookworm/Release"
}
