/** Which I2P identity a stream uses. Equal keys share one SAM session. */
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
}

export const GATEWAY: SessionKey = { kind: 'gateway' };
