# shellcheck shell=bash
# Making, starting and stopping hosts. Sourced, never run.

# shellcheck source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

host_state() { printf '%s\n' "$state/hosts/$1"; }
host_exists() { [ -e "$(host_state "$1")/address" ]; }
address_of() { cat "$(host_state "$1")/address"; }

all_hosts() {
    local dir
    for dir in "$state"/hosts/*/; do
        if [ -d "$dir" ]; then basename "$dir"; fi
    done | sort -V
}

need_host() { host_exists "$1" || die "no host $1 in the lab; there is: $(all_hosts | tr '\n' ' ')"; }

# leader NAME: the machine's id of the host's own process 1.
leader() {
    local nspawn child
    nspawn=$(pid_of "$1.nspawn") || return 1
    for child in $(pgrep -P "$nspawn"); do
        # NSpid lists the ids from the outermost namespace inwards.
        if grep -q '^NSpid:.*[[:space:]]1$' "/proc/$child/status" 2>/dev/null; then
            printf '%s\n' "$child"
            return
        fi
    done
    return 1
}

# in_host NAME COMMAND...: without ssh, as root, with a host's usual environment.
in_host() {
    local pid
    pid=$(leader "$1") || return 1
    shift
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LOGNAME=root \
        SHELL=/bin/bash LANG=C.UTF-8 TERM="${TERM:-dumb}" nsenter --target "$pid" --all -- "$@"
}

# add_host NAME: h7 has address 10+7; another name takes the first free one from 100 on.
add_host() {
    local address
    if host_exists "$1"; then return; fi
    mkdir -p "$(host_state "$1")"
    address=$(choose_address "$1")
    echo "$address" >"$(host_state "$1")/address"
}

choose_address() {
    local number=${1#h} host
    if [[ $number =~ ^[1-9][0-9]?$ ]] && [ "$number" -lt 90 ]; then
        printf '%s.%s\n' "$net" $((10 + number))
        return
    fi
    for ((host = 100; host < 250; host++)); do
        if ! grep -qsx "$net.$host" "$state"/hosts/*/address; then
            printf '%s.%s\n' "$net" "$host"
            return
        fi
    done
    die "no address left for $1"
}

# What a host keeps when it is reset: its address (given already), its machine-id and its ssh keys.
make_identity() {
    local dir type
    dir=$(host_state "$1")
    if [ -e "$dir/machine-id" ]; then return; fi
    rm -f "$dir"/ssh_host_*
    for type in rsa ecdsa ed25519; do
        ssh-keygen -q -t "$type" -N '' -C "root@$1" -f "$dir/ssh_host_${type}_key"
    done
    tr -d - </proc/sys/kernel/random/uuid >"$dir/machine-id"
}

# make_disk NAME GOLDEN: a bare host's disk, mounted.
make_disk() {
    local name=$1 disk=$cache/hosts/$1 root from user home
    umask 022
    root=$disk/root
    from=$(host_state "$name")
    mkdir -p "$disk"/{upper,work,root,docker,containerd}
    mount_disk "$name" "$2"
    install -m 0600 "$from"/ssh_host_*_key "$root/etc/ssh/"
    install -m 0644 "$from"/ssh_host_*_key.pub "$root/etc/ssh/"
    install -m 0444 "$from/machine-id" "$root/etc/machine-id"
    rm -f "$root"/etc/{hostname,hosts,resolv.conf}
    echo "$name.lab.test" >"$root/etc/hostname"
    printf '127.0.0.1 localhost\n127.0.1.1 %s %s\n' "$name.lab.test" "$name" >"$root/etc/hosts"
    echo "$(address_of "$name")/24 $gateway" >"$root/usr/lib/rprov-lab/address"
    # systemd-resolved's stub address means nothing inside a host.
    if [ -e /run/systemd/resolve/resolv.conf ]; then
        cat /run/systemd/resolve/resolv.conf
    else
        cat /etc/resolv.conf
    fi >"$root/etc/resolv.conf"
    for user in root deploy ops; do
        home=/home/$user
        [ "$user" != root ] || home=/root
        chroot "$root" install -d -m 0700 -o "$user" -g "$user" "$home/.ssh"
        install -m 0600 "$state/id_ed25519.pub" "$root$home/.ssh/authorized_keys"
        chroot "$root" chown "$user:$user" "$home/.ssh/authorized_keys"
    done
    echo "$2" >"$disk/made-from"
}

# ensure_disk NAME GOLDEN: keeps a disk that is complete, makes one otherwise.
ensure_disk() {
    local golden
    if golden=$(cat "$cache/hosts/$1/made-from" 2>/dev/null) && [ -d "$golden" ]; then
        mount_disk "$1" "$golden"
    else
        power_off "$1"
        remove_disk "$1"
        make_disk "$1" "$2"
    fi
}

# Nothing of a lab needs to survive the machine's own crash, so the disks skip every sync.
mount_disk() {
    local disk=$cache/hosts/$1 dirs
    if mountpoint -q "$disk/root"; then return; fi
    rm -rf "$disk/work"
    mkdir "$disk/work"
    dirs=lowerdir=$2,upperdir=$disk/upper,workdir=$disk/work
    mount -t overlay "rprov-$1" -o "$dirs,volatile" "$disk/root" 2>/dev/null ||
        mount -t overlay "rprov-$1" -o "$dirs" "$disk/root" 2>/dev/null ||
        die "no overlay is possible in $cache; set RPROV_LAB_CACHE to a directory on ext4 or xfs"
}

remove_disk() {
    local disk=$cache/hosts/$1
    if mountpoint -q "$disk/root"; then umount "$disk/root" || umount -l "$disk/root"; fi
    rm -rf --one-file-system "$disk"
}

power_on() {
    if gone "$1"; then daemon "$1" "$lab/lib/run-host" "$1"; fi
}

# power_off NAME: as if the cable was pulled. The supervisor goes first, so that it starts nothing again.
power_off() {
    local name=$1 pid
    stop "$name" KILL
    if pid=$(leader "$name"); then kill -KILL "$pid" 2>/dev/null || true; fi
    # nspawn ends by itself once its host is gone.
    wait_for 5 gone "$name.nspawn" || true
    stop "$name.nspawn" KILL
    wait_for 5 link_gone "$name" || die "the network link of $name does not go away: ip link show master $bridge"
    find /sys/fs/cgroup/*/"rprov-lab/$name" /sys/fs/cgroup/"rprov-lab/$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

link_gone() { ! ip -o link show master "$bridge" 2>/dev/null | grep -q " vb-$1@"; }

booted() { [[ $(in_host "$1" systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; }

answers_ssh() {
    local banner
    banner=$(timeout 2 bash -c "exec 3<>/dev/tcp/$(address_of "$1")/22 && head -c 4 <&3" 2>/dev/null) && [ "$banner" = SSH- ]
}

failed_in_cgroup() {
    [ -n "$(in_host "$1" systemctl list-units --state=failed --plain --no-legend 2>/dev/null)" ] &&
        in_host "$1" journalctl -b --no-pager 2>/dev/null | grep -q 'status=219/CGROUP'
}

up_and_answering() { booted "$1" && answers_ssh "$1"; }
settled() { gone "$1" || up_and_answering "$1"; }

# await_host NAME: until it runs and its sshd answers; one boot that fails is tried again.
await_host() {
    local try
    for try in 1 2; do
        power_on "$1"
        if wait_for 45 settled "$1" && ! gone "$1" && ! failed_in_cgroup "$1"; then return; fi
        [ "$try" = 2 ] || say "$1 did not boot well, once more"
        power_off "$1"
    done
    say "$1 does not boot; its console is in $state/log/$1.log. Try: $lab/reset $1"
    return 1
}

# for_each COMMAND HOST...: in parallel; fails if one failed.
for_each() {
    local command=$1 host jobs=() job failed=0
    shift
    for host; do
        (
            set -e
            "$command" "$host"
        ) &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do wait "$job" || failed=1; done
    return $failed
}

# write_files: what tests read, from what is there now.
write_files() {
    local host key all
    all=$(all_hosts)
    for host in $all; do
        for key in "$(host_state "$host")"/ssh_host_*_key.pub; do
            printf '%s %s\n' "$(address_of "$host")" "$(cut -d' ' -f1,2 "$key")"
        done
    done >"$state/known_hosts"
    for host in $all; do
        printf 'Host %s\n  HostName %s\n' "$host" "$(address_of "$host")"
    done >"$state/ssh_config"
    printf '%s\n' "Host *" "  User deploy" "  IdentityFile $state/id_ed25519" "  IdentitiesOnly yes" \
        "  UserKnownHostsFile $state/known_hosts" "  StrictHostKeyChecking yes" >>"$state/ssh_config"
    {
        echo "# Where the lab is; for a shell to source."
        echo "LAB_STATE='$state'"
        echo "LAB_HOSTS='$(echo "$all" | tr '\n' ' ' | sed 's/ $//')'"
        for host in $all; do echo "LAB_ADDRESS_$host=$(address_of "$host")"; done
        echo "LAB_SSH_KEY='$state/id_ed25519'"
        echo "LAB_KNOWN_HOSTS='$state/known_hosts'"
        echo "LAB_SSH_CONFIG='$state/ssh_config'"
        echo "LAB_NETWORK=$net.0/24"
        echo "LAB_GATEWAY=$gateway"
        echo "LAB_REGISTRY=$registry"
        echo "LAB_GITLAB_URL=http://$gitlab"
        echo "LAB_GITLAB_STATE='$state/gitlab.json'"
        echo "LAB_GITLAB_LOG='$state/log/gitlab-requests.jsonl'"
    } >"$state/env"
}

print_table() {
    local host power
    printf '%-12s %-16s %-6s %s\n' host address power "(ssh -F $state/ssh_config HOST)"
    for host in $(all_hosts); do
        power=off
        if leader "$host" >/dev/null; then power=on; fi
        printf '%-12s %-16s %s\n' "$host" "$(address_of "$host")" "$power"
    done
    printf '%-12s %s\n' registry "$registry"
    printf '%-12s %s\n' gitlab "http://$gitlab$(gone gitlab && echo ' (not running)')"
    printf '%-12s %s\n' settings "$state/env"
}
