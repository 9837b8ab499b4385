/** Whether this host forwards IPv6. Read, and never changed: that is the operator's decision. */
import { readFileSync } from 'node:fs';

/** The setting that the kernel asks before it forwards (ip-sysctl.rst: conf/all/forwarding). */
const SETTING = '/proc/sys/net/ipv6/conf/all/forwarding';

export function forwardsIpv6(): boolean {
  try {
    return readFileSync(SETTING, 'latin1').trim() !== '0';
  } catch {
    // There is no IPv6 at all.
    return false;
  }
}
