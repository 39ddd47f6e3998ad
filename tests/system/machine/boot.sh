# shellcheck shell=sh
# Boots a writable copy of the root $2 as the machine $1. Runs inside the namespaces of inside.sh,
# so that nothing here is visible outside and nothing has to be unmounted.
#
# $3 is "bpf", without which systemd cannot filter. With a package $4, the root becomes an image that has
# it and was never booted.
#
# The memory file system over /run carries the copy, and hides from the host the lock files that
# systemd-nspawn would otherwise leave there when it is killed.
set -e
name=$1
calls=$3
package=${4:-}
cd "$2"
mount -t tmpfs -o mode=755 "$name" /run
mkdir /run/upper /run/work /run/root
mount -t overlay -o lowerdir=.,upperdir=/run/upper,workdir=/run/work "$name" /run/root ||
    cp -a . /run/root
cd /
if [ -n "$package" ]; then
    cp "$package" /run/root/var/tmp/package.deb
    chroot /run/root dpkg --install /var/tmp/package.deb
    # Nothing is said of this one: what becomes of it shows that presets were applied.
    printf '[Timer]\nOnCalendar=yearly\nUnit=vm4-producer.service\n[Install]\nWantedBy=timers.target\n' \
        >/run/root/usr/lib/systemd/system/without-preset.timer
    rm /run/root/etc/machine-id
fi

# Without the capabilities and the system call bpf, systemd switches IPAddressDeny= off silently.
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --register=no --keep-unit --quiet --directory=/run/root --machine="$name" \
    --boot --private-network --capability=all --console=read-only --resolv-conf=off \
    --timezone=off --link-journal=no \
    --system-call-filter="$calls @keyring @memlock perf_event_open"
