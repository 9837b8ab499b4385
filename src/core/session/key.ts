/** Which I2P identity somebody goes out with: equal keys share one SAM session, and all that is kept for an identity. */
export type SessionKey =
  /** The gateway's own destination, shared by the VPN and by SOCKS. */
  | { readonly kind: 'gateway' }
  /** A destination that the config gives a name. */
  | { readonly kind: 'named'; readonly name: string }
  | IsolatedKey;

/** A transient destination of its own. */
export interface IsolatedKey {
  readonly kind: 'isolated';
  /** Opaque, and never shown. */
  readonly token: string;
  /** Whose tunnels the session has, where they are not the gateway's: a session has one set only, so these never share. */
  readonly tunnels?: string | undefined;
  /**
   * Set where its owner goes out as the gateway too, so that nothing is given away by going to a peer as the gateway. It is
   * a part of the identity: whoever was promised to be linked with the gateway by nothing shares no destination with somebody
   * who goes to peers as the gateway (docs/adr/0015).
   */
  readonly mayReachPeers?: true | undefined;
}

export const GATEWAY: SessionKey = { kind: 'gateway' };

/**
 * A transient destination that we dial our own from, since routers connect no destination to itself: nobody's identity. It stands
 * only while it is needed.
 */
export const OWN_ECHO = { kind: 'own-echo' } as const;

/** Whose session a stream goes out on. */
export type StreamKey = SessionKey | typeof OWN_ECHO;

/**
 * Peers know us by the gateway's own destination only: whoever goes to them does so under that one, and is linked with it.
 */
export function mayReachPeers(key: SessionKey): boolean {
  switch (key.kind) {
    case 'gateway':
      return true;
    case 'named':
      return false;
    case 'isolated':
      return key.mayReachPeers === true;
    default:
      return key satisfies never;
  }
}

/** The same for keys that are equal in everything, and for no others: what is kept by identity is kept by this. */
export function keyText(key: StreamKey): string {
  switch (key.kind) {
    case 'gateway':
    case 'own-echo':
      return key.kind;
    case 'named':
      return JSON.stringify([key.kind, key.name]);
    case 'isolated':
      return JSON.stringify([key.kind, key.token, key.tunnels ?? null, key.mayReachPeers === true]);
    default:
      return key satisfies never;
  }
}
