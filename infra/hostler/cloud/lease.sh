#!/bin/sh
# Ends this rented host when its lease is over: the power goes off, and with it the instance. Run each minute.
#
# A lease is a number of seconds. They are counted by uptime, a reboot for one minute: no wrong clock, dead network or
# reboot makes it longer. No lease at all is one of half an hour: so is a host born, and so does a purged one end.
#   lease        ID SECONDS|none              written at birth, then by the node agent's `adopt`
#   lease-spent  ID SECONDS BOOT UPTIME       ours, in /run and on the disk, which may be full
STATE=/var/lib/hostler
RUN=/run
PROC=/proc
BIRTH=1800
TICK=60
HUNG=1200 # a shutdown that hangs for so long is no longer waited for

id=birth left=$BIRTH
[ -r $STATE/lease ] && read -r id left <$STATE/lease
[ "$left" = none ] && exit 0
case $left in '' | *[!0-9]*) id=birth left=$BIRTH ;; esac

read -r up _ <$PROC/uptime
up=${up%%.*}
read -r boot <$PROC/sys/kernel/random/boot_id

was='' spent=0 last_boot='' last_up=0
if [ -r $RUN/hostler-lease-spent ]; then
    read -r was spent last_boot last_up <$RUN/hostler-lease-spent
elif [ -r $STATE/lease-spent ]; then
    read -r was spent last_boot last_up <$STATE/lease-spent
fi
case $spent,$last_up in ,* | *, | *[!0-9,]*) was='' ;; esac
if [ "$was" != "$id" ]; then
    spent=0
elif [ "$spent" -ge "$left" ] && [ "$last_boot" != "$boot" ] && [ "$id" != birth ]; then
    spent=$((left > BIRTH ? left - BIRTH : 0)) # it was over, and somebody started it: he has half an hour
elif [ "$last_boot" = "$boot" ] && [ "$up" -ge "$last_up" ]; then
    spent=$((spent + up - last_up))
else
    spent=$((spent + TICK))
fi
for place in $RUN/hostler-lease-spent $STATE/lease-spent; do
    { echo "$id $spent $boot $up" >"$place.new" && mv "$place.new" "$place"; } 2>/dev/null
done

[ "$spent" -lt "$left" ] && exit 0
echo "the lease of $left s is over: powering off"
[ "$spent" -ge $((left + HUNG)) ] && exec systemctl poweroff --force --force
systemctl poweroff || systemctl poweroff --force || systemctl poweroff --force --force
