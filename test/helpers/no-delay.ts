/** Whether sockets of this process wait to fill segments (Nagle), which Node cannot be asked. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';

/** Gets a port, and sockets as its descriptors from 3 on. perl is part of every Debian. */
const ASK = `use strict;
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
for (my $fd = 3; open(my $socket, '+<&=', $fd); $fd++) {
  my ($near, $far) = (getsockname($socket), getpeername($socket));
  next unless $far && sockaddr_family($far) == AF_INET;
  next unless grep { (sockaddr_in($_))[0] == $ARGV[0] } $near, $far;
  my $value = getsockopt($socket, IPPROTO_TCP, TCP_NODELAY) or die $!;
  print unpack('i', $value) ? "on" : "off", "\\n";
}`;

/** TCP_NODELAY of each connected IPv4 socket of this process that has the port at one of its ends. */
export function noDelayAt(port: number): readonly boolean[] {
  const sockets = readdirSync('/proc/self/fd').filter((fd) => isSocket(`/proc/self/fd/${fd}`));
  const stdio = ['ignore', 'pipe', 'inherit', ...sockets.map(Number)] as const;
  const said = execFileSync('perl', ['-e', ASK, String(port)], { encoding: 'utf8', stdio: [...stdio] });
  return said
    .trim()
    .split('\n')
    .map((value) => value === 'on');
}

function isSocket(link: string): boolean {
  try {
    return readlinkSync(link).startsWith('socket:');
  } catch {
    return false; // That of the directory itself is gone by now.
  }
}
