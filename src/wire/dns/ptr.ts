/**
 * DNS as far as an OnionCat asks for it: whose is this address (PTR, RFC 1035 and RFC 3596 section 2.5). One question in,
 * one answer out, from the bytes that came and no others. Never answers an answer, follows no pointer, and says nothing
 * about what was asked before.
 */
import { ADDRESS_LENGTH } from '../i2p/address.ts';
import type { B32 } from '../i2p/destination.ts';

export type DnsOutcome =
  /** No query at all: nobody is told anything. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'answered' | 'unknown' | 'malformed' | 'unsupported'; readonly reply: Buffer };

const HEADER_LENGTH = 12;
/** RFC 1035, section 4.2.1: no message over UDP is longer, since nothing else was agreed. */
const LONGEST_MESSAGE = 512;
/** 32 labels of one digit, `ip6`, `arpa` and the root. */
const REVERSE_NAME_LENGTH = 74;
const REVERSE_SUFFIX = Buffer.from('\x03ip6\x04arpa\0', 'latin1');
const TYPE_PTR = 12;
const CLASS_IN = 1;
/** What OnionCat's own server says. Seconds. */
const TTL = 3600;

const FLAG_RESPONSE = 0x8000;
const FLAG_AUTHORITATIVE = 0x0400;
const FLAG_RECURSION_DESIRED = 0x0100;
const OPCODE_MASK = 0x7800;
const RCODE = { ok: 0, formatError: 1, nameError: 3, notImplemented: 4 } as const;

/** A pointer to the name of the question. */
const NAME_OF_QUESTION = 0xc00c;

/** @param nameOf whose an address (16 bytes) is, among those that we speak about */
export function answerQuery(query: Buffer, nameOf: (address: Buffer) => B32 | undefined): DnsOutcome {
  if (query.length < HEADER_LENGTH || query.length > LONGEST_MESSAGE) return { kind: 'ignored' };
  const flags = query.readUInt16BE(2);
  if ((flags & FLAG_RESPONSE) !== 0) return { kind: 'ignored' };
  if ((flags & OPCODE_MASK) !== 0) return { kind: 'unsupported', reply: header(query, 'notImplemented', 0, 0) };
  const [questions, answers, authorities] = [query.readUInt16BE(4), query.readUInt16BE(6), query.readUInt16BE(8)];
  const end = questions === 1 && answers === 0 && authorities === 0 ? endOfQuestion(query) : undefined;
  if (end === undefined) return { kind: 'malformed', reply: header(query, 'formatError', 0, 0) };
  const question = query.subarray(HEADER_LENGTH, end);
  const name = nameAsked(question, nameOf);
  if (name === undefined) {
    return { kind: 'unknown', reply: Buffer.concat([header(query, 'nameError', 1, 0), question]) };
  }
  return { kind: 'answered', reply: Buffer.concat([header(query, 'ok', 1, 1), question, pointer(name)]) };
}

function nameAsked(question: Buffer, nameOf: (address: Buffer) => B32 | undefined): B32 | undefined {
  const asksForPointer =
    question.length === REVERSE_NAME_LENGTH + 4 &&
    question.readUInt16BE(REVERSE_NAME_LENGTH) === TYPE_PTR &&
    question.readUInt16BE(REVERSE_NAME_LENGTH + 2) === CLASS_IN;
  const address = asksForPointer ? addressIn(question) : undefined;
  return address === undefined ? undefined : nameOf(address);
}

/** Where the one question ends; undefined when it is cut off or does not consist of plain labels. */
function endOfQuestion(query: Buffer): number | undefined {
  for (let at = HEADER_LENGTH; at < query.length; ) {
    const label = query[at] ?? 0;
    // The two highest bits make it a pointer, or something that was never defined.
    if (label > 63) return undefined;
    at += 1 + label;
    if (label === 0) return at + 4 <= query.length && at - HEADER_LENGTH <= 255 ? at + 4 : undefined;
  }
  return undefined;
}

/** The address whose digits are the labels, the lowest first; either case, as DNS has it. */
function addressIn(question: Buffer): Buffer | undefined {
  const digits = ADDRESS_LENGTH * 2;
  const suffix = question
    .subarray(digits * 2, REVERSE_NAME_LENGTH)
    .toString('latin1')
    .toLowerCase();
  if (suffix !== REVERSE_SUFFIX.toString('latin1')) return undefined;
  let text = '';
  for (let index = digits - 1; index >= 0; index -= 1) {
    if (question[index * 2] !== 1) return undefined;
    text += String.fromCharCode(question[index * 2 + 1] ?? 0);
  }
  return /^[0-9a-f]{32}$/i.test(text) ? Buffer.from(text, 'hex') : undefined;
}

function header(query: Buffer, rcode: keyof typeof RCODE, questions: 0 | 1, answers: 0 | 1): Buffer {
  const flags = query.readUInt16BE(2);
  const bytes = Buffer.alloc(HEADER_LENGTH);
  query.copy(bytes, 0, 0, 2);
  const kept = flags & (OPCODE_MASK | FLAG_RECURSION_DESIRED);
  bytes.writeUInt16BE(FLAG_RESPONSE | kept | (answers === 1 ? FLAG_AUTHORITATIVE : 0) | RCODE[rcode], 2);
  bytes.writeUInt16BE(questions, 4);
  bytes.writeUInt16BE(answers, 6);
  return bytes;
}

/** The answer's record: `<52 characters>.b32.i2p`, not compressed, as OnionCat's server writes it. */
function pointer(name: B32): Buffer {
  const labels = [name, 'b32', 'i2p'].map((label) =>
    Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'),
  );
  const target = Buffer.concat([...labels, Buffer.alloc(1)]);
  const record = Buffer.alloc(12);
  record.writeUInt16BE(NAME_OF_QUESTION, 0);
  record.writeUInt16BE(TYPE_PTR, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(TTL, 6);
  record.writeUInt16BE(target.length, 10);
  return Buffer.concat([record, target]);
}
