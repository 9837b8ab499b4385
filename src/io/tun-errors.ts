/**
 * What the kernel says when a TUN interface cannot be had, told to a person: what happened and what to do about it.
 * Knows the words of native/, does nothing itself.
 */
import { asGateError, GateError } from '../kit/errors.ts';
import { PREFIX_TEXT } from '../wire/i2p/address.ts';
import { isNativeError, type NativeError } from './native.ts';

/** What was wanted of the interface, for the commands in the messages. */
export type Wanted = {
  readonly name: string;
  readonly mtu: number;
};

const CONTAINER_HINT = 'In a container, start it with: --device /dev/net/tun --cap-add NET_ADMIN';

/** Longest name of an interface, in characters (IFNAMSIZ without its end). */
const NAME_LENGTH = 15;
/** RFC 8200 section 5: below 1280 an interface cannot carry IPv6. */
const MTU_RANGE = [1280, 65535] as const;

/** @throws GateError `config` for a name or MTU that no kernel takes */
export function checkWanted({ name, mtu }: Wanted): void {
  // The rules of the kernel's dev_valid_name, and no '%', which would ask it to choose a number.
  if (name.length > NAME_LENGTH || !/^[!-~]+$/.test(name) || /[/:%]/.test(name) || name === '.' || name === '..') {
    throw new GateError(
      'config',
      'tun.name',
      `"${name}" cannot be the name of an interface: 1 to ${NAME_LENGTH} visible ASCII characters are wanted, ` +
        'without "/", ":" and "%".',
    );
  }
  if (!Number.isInteger(mtu) || mtu < MTU_RANGE[0] || mtu > MTU_RANGE[1]) {
    throw new GateError('config', 'tun.mtu', `The MTU must be from ${MTU_RANGE[0]} to ${MTU_RANGE[1]}, not ${mtu}.`);
  }
}

/** @param thrown from the addon, or anything else */
export function tunError(thrown: unknown, wanted: Wanted): GateError {
  if (!isNativeError(thrown)) return asGateError(thrown, `setting up the interface ${wanted.name}`);
  switch (thrown.stage) {
    case 'node':
      return nodeError(thrown);
    case 'attach':
    case 'offload':
      return attachError(thrown, wanted);
    default:
      return configureError(thrown, wanted);
  }
}

function nodeError(error: NativeError): GateError {
  const more = { facts: { errno: error.code }, cause: error };
  switch (error.code) {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return new GateError(
        'local-io',
        'tun.no-device',
        `This machine offers no TUN device (/dev/net/tun: ${error.code}). Load the driver with: modprobe tun. ` +
          CONTAINER_HINT,
        more,
      );
    case 'EPERM':
      return new GateError(
        'permission',
        'tun.permission',
        `Opening /dev/net/tun is forbidden here (EPERM), as in a container without the device. ${CONTAINER_HINT}`,
        more,
      );
    case 'EACCES':
      return new GateError(
        'permission',
        'tun.permission',
        'This user may not open /dev/net/tun (EACCES). Run as root, or let everybody open it, which by itself gives no ' +
          'right to any interface: chmod 0666 /dev/net/tun',
        more,
      );
    default:
      return new GateError('local-io', 'tun.no-device', `Opening /dev/net/tun failed: ${words(error)}.`, more);
  }
}

function attachError(error: NativeError, { name, mtu }: Wanted): GateError {
  const more = { facts: { errno: error.code, stage: error.stage }, cause: error };
  switch (error.code) {
    case 'EPERM':
    case 'EACCES':
      return new GateError(
        'permission',
        'tun.permission',
        `This process may not make or use the interface ${name} (${error.code}). Run as root, give it CAP_NET_ADMIN, ` +
          `or let root prepare the interface for this user: ip tuntap add mode tun user USER name ${name}; ` +
          `ip link set ${name} mtu ${mtu} up`,
        more,
      );
    case 'EBUSY':
      return new GateError(
        'local-io',
        'tun.name-taken',
        `The interface ${name} is in use by another process. Stop that one, or choose another name.`,
        more,
      );
    case 'EINVAL':
    case 'EEXIST':
      return new GateError(
        'local-io',
        'tun.name-taken',
        `There is an interface ${name} already, and it is not a TUN device of one queue, so it is none of garligate's. ` +
          'Choose another name for this one: [vpn] interface.',
        more,
      );
    case 'ENOTTY':
    case 'ENOSYS':
    case 'EOPNOTSUPP':
      return new GateError(
        'unsupported',
        'tun.unsupported',
        `The kernel lacks a feature of TUN devices that is needed (${error.stage}: ${error.code}). Linux 4.18 or newer ` +
          'with CONFIG_TUN is needed.',
        more,
      );
    default:
      return new GateError('local-io', 'tun.attach', `Making the interface ${name} failed: ${words(error)}.`, more);
  }
}

const STEPS: Readonly<Record<string, string>> = {
  link: 'reading the state of the interface',
  mtu: 'setting the MTU',
  queue: 'setting the length of the queue',
  'address-generation': 'switching link-local addresses off',
  up: 'taking the interface up',
  address: 'setting the addresses',
  route: `setting the routes of ${PREFIX_TEXT}`,
  reader: 'starting to read',
};

function configureError(error: NativeError, { name }: Wanted): GateError {
  const step = STEPS[error.stage] ?? error.stage;
  const more = { facts: { errno: error.code, stage: error.stage }, cause: error };
  if (error.code === 'EACCES' && error.stage === 'address') {
    return new GateError(
      'local-io',
      'tun.ipv6-off',
      `IPv6 is switched off for the interface ${name}. Switch it on: sysctl -w net.ipv6.conf.${name}.disable_ipv6=0, and ` +
        'net.ipv6.conf.all.disable_ipv6=0',
      more,
    );
  }
  switch (error.code) {
    case 'EPERM':
    case 'EACCES':
      return new GateError(
        'permission',
        'tun.permission',
        `${name}: ${step} is not allowed to this process (${error.code}). Run as root, give it CAP_NET_ADMIN, or let ` +
          'root prepare the interface completely: MTU, up, addresses, the route and the unreachable route of ' +
          `${PREFIX_TEXT}`,
        more,
      );
    case 'EOPNOTSUPP':
    case 'EAFNOSUPPORT':
    case 'EPFNOSUPPORT':
    case 'EPROTONOSUPPORT':
    case 'ENOSYS':
      return new GateError(
        'unsupported',
        'tun.unsupported',
        `${name}: ${step} is not possible with this kernel (${words(error)}). IPv6 must be switched on, and Linux 4.18 ` +
          'or newer is needed.',
        more,
      );
    default:
      return new GateError('local-io', 'tun.configure', `${name}: ${step} failed: ${words(error)}.`, more);
  }
}

function words(error: NativeError): string {
  return error.detail === '' ? `${error.message} (${error.code})` : `${error.message} (${error.code}: ${error.detail})`;
}

/** Of removing the unreachable route. */
export function removalError(error: unknown): GateError {
  if (!isNativeError(error)) return asGateError(error, 'removing the unreachable route');
  const kind = error.code === 'EPERM' || error.code === 'EACCES' ? 'permission' : 'local-io';
  const advice = kind === 'permission' ? ' Run as root or give the process CAP_NET_ADMIN.' : '';
  const message = `Removing the unreachable route failed: ${error.message} (${error.code}).${advice}`;
  return new GateError(kind, 'tun.unreachable-route', message, { facts: { errno: error.code }, cause: error });
}
