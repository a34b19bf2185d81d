# shellcheck shell=bash
# What it takes to build: a C compiler and a Rust toolchain. As root on Debian both are installed, and nothing that is
# installed is removed for them; elsewhere one line says what is missing. Sourced at the root of the repository, never run.

# The oldest Rust that this project builds with.
rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)

lacks() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

is_debian_root() { [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

# install_packages NAME...
install_packages() {
    printf 'installing: %s\n' "$*" >&2
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends --no-remove "$@" >/dev/null
}

# at_least WANTED HAVE
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The version of the Rust that is there; nothing where there is none, or rustup has none behind its name.
rust_version() { rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p'; }

has_rust() {
    local have
    have=$(rust_version)
    [ -n "$have" ] && cargo --version >/dev/null 2>&1 && at_least "$rust_wanted" "$have"
}

# Debian's packages of a Rust that is new enough: Debian 12 has one for building browsers, beside an old one.
debian_rust() {
    local suffix version
    apt-get -qq update
    for suffix in '' -web; do
        version=$(apt-cache policy "rustc$suffix" | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
        if [ -n "$version" ] && at_least "$rust_wanted" "$version"; then
            printf '%s %s\n' "rustc$suffix" "cargo$suffix"
            return
        fi
    done
    return 1
}

need_rust() {
    # rustup puts it there, and a shell that was open before does not know.
    command -v cargo >/dev/null || export PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
    if has_rust; then return; fi
    local why packages have
    have=$(rust_version)
    why="there is no Rust here"
    [ -z "$have" ] || why="the Rust here is $have"
    if command -v rustup >/dev/null; then
        printf '%s; rustup gets a stable one\n' "$why" >&2
        if rustup toolchain install stable --profile minimal >&2; then export RUSTUP_TOOLCHAIN=stable; fi
        if has_rust; then return; fi
    elif is_debian_root && packages=$(debian_rust); then
        # shellcheck disable=SC2086 # one word for each package
        install_packages $packages || true
        hash -r
        if has_rust; then return; fi
    fi
    lacks "$why: install Rust $rust_wanted or later, for example by https://rustup.rs, and run this again"
}

need_cc() {
    if command -v cc >/dev/null; then return; fi
    is_debian_root || lacks "there is no C compiler (cc), which Rust links with, and only root may install one:" \
        "sudo apt-get install gcc libc6-dev, or what your system calls them"
    install_packages gcc libc6-dev
}
