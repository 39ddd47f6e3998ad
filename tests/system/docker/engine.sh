# shellcheck shell=sh
# Runs Docker's engine on a writable copy of the Debian $1, as the engine $2 with the cgroup $3. Runs
# inside the namespaces of systemd/machine/inside.sh: what is mounted here is seen nowhere else, is in
# memory, and is gone with the last process.
set -e
root=$1 name=$2 cgroup=$3

# Where the kernel has one hierarchy only, a cgroup with processes can have no containers below it.
mkdir "$cgroup/engine"
while read -r process; do
    # Some have ended since they were listed. Where one stays, no container starts.
    echo "$process" >"$cgroup/engine/cgroup.procs" || true
done <"$cgroup/cgroup.procs"

mount -t tmpfs -o mode=755 "$name" /run
mkdir /run/upper /run/work /run/root /run/docker
mount -t overlay -o "lowerdir=$root,upperdir=/run/upper,workdir=/run/work" "$name" /run/root
mkdir -p /run/root/var/lib/docker /run/root/repository /run/root/outside
# An overlay cannot lie on an overlay, so the engine's own ones go to the memory directly.
mount --bind /run/docker /run/root/var/lib/docker
cd /run/root
mount -t tmpfs -o mode=755 "$name" run
mount -t tmpfs -o mode=1777 "$name" tmp
mount --rbind /dev dev
mount -t proc proc proc
# slirp4netns answers at this address, and asks the host's resolver.
echo nameserver 10.0.2.3 >etc/resolv.conf

# A change of root is not enough: a process that enters a container would be outside of it.
pivot_root . outside
cd /
# A network of its own, without a link or a packet filter rule on the host. slirp4netns gives it a way
# out, as a program of the host that opens connections.
# shellcheck disable=SC2016 # the inner shell expands
unshare --net sh -c '
    mount -t sysfs sysfs /sys
    mount --rbind /outside/sys/fs/cgroup /sys/fs/cgroup
    umount -l /outside
    touch /run/waiting
    while [ ! -s /run/online ]; do sleep 0.02; done
    exec dockerd --host unix:///run/docker.sock --cgroup-parent "/$0"
' "$name" &
engine=$!
while [ ! -e /run/waiting ]; do sleep 0.02; done
slirp4netns --configure --mtu=65520 --disable-host-loopback --ready-fd=3 "$engine" tap0 \
    3>/run/online &
wait "$engine"
