# shellcheck shell=bash
# What the machine itself serves to the hosts: their network, a container registry and the GitLab
# double. Sourced, never run.

# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

network_up() {
    local out mtu
    out=$(ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
    mtu=$(cat "/sys/class/net/${out:-lo}/mtu")
    [ "$mtu" -le 1500 ] || mtu=1500
    if ! ip link show "$bridge" >/dev/null 2>&1; then
        ip link add "$bridge" type bridge
        ip link set "$bridge" mtu "$mtu"
        ip address add "$gateway/24" dev "$bridge"
    fi
    ip link set "$bridge" up
    if [ ! -e "$run/ip_forward" ]; then cat /proc/sys/net/ipv4/ip_forward >"$run/ip_forward"; fi
    echo 1 >/proc/sys/net/ipv4/ip_forward
    nft -f - <<RULES
table ip rprov_lab
delete table ip rprov_lab
table ip rprov_lab {
    chain nat {
        type nat hook postrouting priority srcnat
        ip saddr $net.0/24 oifname != { "$bridge", "lo" } masquerade
    }
    chain forward {
        type filter hook forward priority mangle
        ip saddr $net.0/24 tcp flags syn tcp option maxseg size set rt mtu
    }
}
RULES
    # Where Docker runs on the machine it drops what it does not know; a table of ours cannot undo that.
    if iptables -S FORWARD 2>/dev/null | grep -qx -- '-P FORWARD DROP'; then
        iptables -C FORWARD -i "$bridge" -j ACCEPT 2>/dev/null || iptables -I FORWARD -i "$bridge" -j ACCEPT
        iptables -C FORWARD -o "$bridge" -j ACCEPT 2>/dev/null || iptables -I FORWARD -o "$bridge" -j ACCEPT
        touch "$run/iptables"
    fi
}

network_down() {
    nft delete table ip rprov_lab 2>/dev/null || true
    if [ -e "$run/iptables" ]; then
        iptables -D FORWARD -i "$bridge" -j ACCEPT 2>/dev/null || true
        iptables -D FORWARD -o "$bridge" -j ACCEPT 2>/dev/null || true
    fi
    ip link delete "$bridge" 2>/dev/null || true
    if [ -e "$run/ip_forward" ]; then cat "$run/ip_forward" >/proc/sys/net/ipv4/ip_forward; fi
    rm -f "$run/ip_forward" "$run/iptables"
}

answers() { curl -s -o /dev/null --noproxy '*' --max-time 2 "http://$1/"; }

registry_up() {
    if pid_of registry >/dev/null; then return; fi
    mkdir -p "$state/registry"
    cat >"$state/registry.yml" <<YAML
version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage:
  filesystem: { rootdirectory: $state/registry }
  delete: { enabled: true }
http: { addr: $registry }
YAML
    daemon registry docker-registry serve "$state/registry.yml"
    wait_for 10 answers "$registry" || die "the registry does not answer; see $state/log/registry.log"
}

registry_has() { curl -sf -o /dev/null --noproxy '*' "http://$registry/v2/$1/manifests/$2"; }

# The stand-ins of what the lab's inventories name.
images_up() {
    local image
    for image in gitlab/gitlab-runner:v17.9.0 gitlab/gitlab-runner:v17.10.0 library/debian:12; do
        registry_has "${image%:*}" "${image##*:}" || "$lab/push-image" "$image" >/dev/null
    done
}

# The double is a crate of this workspace; a lab without it still boots hosts.
find_double() {
    local target=${CARGO_TARGET_DIR:-$lab/../../target}
    local file=$target/debug/gitlab-double release=$target/release/gitlab-double
    [ "$release" -nt "$file" ] && file=$release
    [ -z "${RPROV_GITLAB_DOUBLE:-}" ] || file=$RPROV_GITLAB_DOUBLE
    if [ -x "$file" ]; then realpath "$file"; else command -v gitlab-double; fi
}

double_up() {
    local file
    if pid_of gitlab >/dev/null; then return; fi
    if ! file=$(find_double); then
        say "no gitlab-double yet: build it by \`cargo build -p gitlab-double\`, then run up again"
        return
    fi
    daemon gitlab "$file" --listen "$gitlab" --state "$state/gitlab.json" --log "$state/log/gitlab-requests.jsonl"
    wait_for 10 answers "$gitlab" || say "the GitLab double does not answer; see $state/log/gitlab.log"
}
