/** Shell text that gives a namespace a LAN, and a way out of the machine by it. */

export const LAN_INTERFACE = 'lan0';

/** With a neighbour who is known. */
export const LAN = [
  `ip link add ${LAN_INTERFACE} type veth peer name lan1`,
  `ip link set ${LAN_INTERFACE} up; ip link set lan1 up`,
  `ip addr add 2001:db8::1/64 dev ${LAN_INTERFACE} nodad`,
  `ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev ${LAN_INTERFACE} nud permanent`,
  'ip route add default via 2001:db8::2',
].join('; ');
