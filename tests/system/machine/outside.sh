# shellcheck shell=sh
# Runs "$@" in namespaces of its own, and removes its cgroup when it is over.
#
# This shell stays outside of the namespaces. Its standard input is the leash: a pipe whose other
# end only the test process holds. inside.sh reads it.
inside=$1 cgroup=$2
shift 2
umask 022
[ "$cgroup" = - ] || mkdir "$cgroup" || exit 1

unshare --mount --pid --fork --kill-child --mount-proc sh -c "$inside" inside "$cgroup" "$@"
code=$?

# The kernel has ended every process by now, but lets go of a cgroup only a moment later. Where the
# host has several hierarchies, systemd-nspawn has made the same cgroup in a second one.
name=${cgroup##*/}
tries=0
while [ "$cgroup" != - ] && [ "$tries" -lt 100 ]; do
    left=$(find /sys/fs/cgroup -depth -type d \
        \( -path "*/$name" -o -path "*/$name/*" \) 2>/dev/null)
    [ -n "$left" ] || break
    echo "$left" | xargs -d '\n' rmdir 2>/dev/null || sleep 0.02
    tries=$((tries + 1))
done
exit "$code"
