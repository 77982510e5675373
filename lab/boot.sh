# Makes the inside of a node, as its process 1: sh boot.sh HOSTNAME DIRECTORY
#
# A node shares the machine's file system, but where an engine and its containers write whatever
# their options say it has places of its own. Its DIRECTORY is at /run/node inside.
set -e
hostname=$1 directory=$2
resolver=$(readlink -f /etc/resolv.conf)

hostname "$hostname"
ip link set lo up

# The control groups, rooted at the node's own.
groups=$(cat /proc/self/cgroup)
mount -t sysfs sysfs /sys
if [ "$groups" = "${groups#0::}" ]; then
  mount -t tmpfs -o mode=755,size=16m cgroup /sys/fs/cgroup
  echo "$groups" | while IFS=: read -r _ controllers _; do
    [ -n "$controllers" ] || continue
    place=/sys/fs/cgroup/${controllers#name=}
    mkdir "$place"
    mount -t cgroup -o "$controllers" cgroup "$place"
  done
else
  # The node's processes are in a group below its own, which can so hand its controllers down.
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
  done
fi

# Its own directories.
mount -t tmpfs -o mode=755,size=64m tmpfs /run
mkdir -p /run/node /run/lock
mount --bind "$directory" /run/node
mount -t tmpfs -o mode=755,size=16m tmpfs /var/lib
mkdir /var/lib/docker
mount --bind /run/node/data /var/lib/docker
[ ! -d /etc/docker ] || mount -t tmpfs -o mode=755,size=1m tmpfs /etc/docker

# Its own names.
for file in hosts resolv.conf; do
  [ -f "/run/node/$file" ] || continue
  place=/etc/$file
  if [ "$file" = resolv.conf ]; then place=$resolver; fi
  [ -e "$place" ] || { mkdir -p "$(dirname "$place")" && touch "$place"; } # it was below /run
  mount --bind "/run/node/$file" "$place"
done

# Image layers are shared by all nodes, so that a node costs neither disk nor page cache for them.
if [ -f /run/node/layers ]; then
  while read -r layer place; do
    mount --bind "$layer" "/var/lib/docker/$place"
    mount -o remount,bind,ro "/var/lib/docker/$place"
  done </run/node/layers
fi

touch /run/node/ready
# Ignored SIGCHLD survives exec: the kernel then reaps orphaned shims on behalf of process 1.
exec env --ignore-signal=CHLD sleep infinity
