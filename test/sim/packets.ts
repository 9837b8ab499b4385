/** IPv6 packets for tests: next header 253, which RFC 3692 keeps for experiments. */
export function packet(source: Buffer, destination: Buffer, payload: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = 253;
  header[7] = 64;
  source.copy(header, 8);
  destination.copy(header, 24);
  return Buffer.concat([header, payload]);
}
