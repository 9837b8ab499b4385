/** Which I2P identity a stream uses. Equal keys share one SAM session. */
export type SessionKey =
  /** The gateway's own destination, shared by the VPN and by SOCKS. */
  | { readonly kind: 'gateway' }
  /** A destination that the config gives a name. */
  | { readonly kind: 'named'; readonly name: string }
  /** A transient destination of its own; `token` is opaque and never shown. */
  | { readonly kind: 'isolated'; readonly token: string };

export const GATEWAY: SessionKey = { kind: 'gateway' };
