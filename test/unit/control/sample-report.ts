/** Whole answers of a gateway, for tests of whatever carries or prints one. */
import type { ExposureReport } from '../../../src/control/exposure.ts';
import type { ControlSubject } from '../../../src/control/methods.ts';
import type { PingReport } from '../../../src/control/ping.ts';
import type { ReloadReport } from '../../../src/control/reload.ts';
import type { StatusReport } from '../../../src/control/status.ts';

export function sampleReport(): StatusReport {
  return {
    schema: 1,
    version: '1.2.3',
    uptimeSeconds: 3723,
    router: { kind: 'managed', pid: 77, age: 60, restarts: 2 },
    rights: { user: 'garligate', capabilities: ['CAP_NET_ADMIN'], noNewPrivileges: true },
    identity: {
      b32: 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa',
      address: 'fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163',
      ocat4Address: 'fd60:db4d:ddb5:4698:d27b:e76c:e666:54a0',
    },
    sessions: [{ key: 'gateway', state: 'waiting', age: 5, reason: 'the router is away' }],
    datagrams: [{ state: 'ready', age: 61, users: 2, b32: `${'c'.repeat(51)}a`, drops: { nobody: 1 } }],
    isolated: {
      most: 8,
      atLimit: 'retire-idle',
      inUse: 2,
      idle: 1,
      spare: 0,
      counters: { opened: 5, retiredForRoom: 1, refusedAtLimit: 4 },
    },
    vpn: {
      interface: 'garli0',
      state: 'up',
      mtu: 1500,
      traffic: { readPackets: 45, reads: 3 },
      drops: { foreign: 2, full: 1 },
      restored: 0,
      ownEcho: { state: 'idle' },
    },
    firewall: { state: 'on', restored: 1, drops: { denied: 5 } },
    peers: [
      {
        name: 'alice',
        address: 'fd60:db4d:ddb5:842:1084:2108:4210:8421',
        b32: `${'b'.repeat(51)}a`,
        state: 'up',
        age: 90_061,
        direction: 'out',
        heardAge: 2,
        roundTripMs: 812.4,
        bytesIn: 1536,
        bytesOut: 0,
        packetsIn: 3,
        packetsOut: 0,
        dials: 2,
        deadStreams: 1,
        restarts: 1,
        queue: { packets: 4, bytes: 400, flows: 1, limitPackets: 256, limitBytes: 262_144 },
        underWay: { bytes: 100, limit: 16_384 },
        bigPackets: 'agreed',
        marked: 5,
        drops: { overflow: 1, age: 6 },
        lastError: { text: 'gone\u001b[31m\n', age: 61 },
      },
    ],
    peerTotals: {
      up: 1,
      bytesIn: 1536,
      bytesOut: 0,
      packetsIn: 3,
      packetsOut: 0,
      queuedPackets: 4,
      queuedBytes: 400,
      marked: 5,
      drops: { overflow: 1, age: 6 },
      sessionRebuilds: 2,
    },
    socks: [
      {
        listen: '127.0.0.1:9160',
        clients: 3,
        counters: { accepted: 12, connected: 9, policyRefused: 3, refusedCap: 0 },
        udp: { associations: 2, counters: { sent: 5, received: 4, fragment: 1 } },
        identity: 'gateway',
        meaning: 'sites see it',
      },
    ],
    inbound: { armed: 4, counters: {} },
    flows: { counters: {} },
    datagramPool: {
      most: 8,
      atLimit: 'refuse',
      inUse: 1,
      idle: 0,
      spare: 0,
      counters: { retiredForRoom: 0, refusedAtLimit: 2 },
    },
    dials: { most: 128, taken: 2, counters: { refusedFull: 0, refusedShare: 3 } },
    lookups: { most: 128, taken: 0, counters: {} },
    relay: { active: 3, counters: {} },
    control: { clients: 1, pings: 0, counters: { refusedPings: 2 } },
    health: [{ code: 'session.lost', severity: 'high', text: 'no session', advice: 'look at the router' }],
  };
}

export function sampleExposure(): ExposureReport {
  return {
    schema: 1,
    firewall: 'on',
    networks: ['fd98:1::/48'],
    peers: [
      { name: 'alice', rules: ['icmp', 'tcp/22'], icmp: true, open: ['tcp/22'], filtered: ['tcp/80', 'udp/53'] },
      { name: 'bob', rules: [], icmp: false, open: [], filtered: ['tcp/22', 'tcp/80', 'udp/53'] },
    ],
  };
}

/** A ping that got as far as the peer's gateway. */
export function samplePing(): PingReport {
  return {
    schema: 3,
    peer: 'alice',
    steps: [
      { step: 'sam', outcome: 'ok', ms: 0.4 },
      { step: 'session', outcome: 'ok', ms: 0 },
      { step: 'leaseSet', outcome: 'ok', ms: 12 },
      { step: 'stream', outcome: 'ok', ms: 0 },
      { step: 'gateway', outcome: 'unknown', ms: 0, text: 'an OnionCat answers no keepalives' },
      {
        step: 'ipv6',
        outcome: 'failed',
        ms: 5_000,
        text: 'no\u001b[31m answer',
        code: 'ping.ipv6-silent',
        advice: 'see there',
      },
    ],
  };
}

export function sampleReload(): ReloadReport {
  return {
    schema: 1,
    keys: ['peer', 'log.level'],
    added: ['alice', 'b\u001b[31mob'],
    removed: ['alice', 'old'],
    regulated: ['carol'],
  };
}

export const sampleSubject: ControlSubject = {
  status: sampleReport,
  exposure: sampleExposure,
  ping: async () => samplePing(),
  reload: async () => sampleReload(),
};
