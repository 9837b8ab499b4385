/**
 * The system user that the gateway becomes when root starts it: made where it is missing, by root, after saying so. Knows
 * nothing of the gateway's config.
 */
import { readFileSync } from 'node:fs';
import { collect, findProgram, isRoot, SetUpError } from './command.mjs';

/** The default of `privileges.user`. */
const NAME = 'garligate';

/**
 * Does nothing without root: who is not root becomes nobody else.
 * @throws {SetUpError} when it cannot be made here, with what a person has to type
 */
export async function makeAccount() {
  if (!isRoot() || exists()) return;
  const args = ['--system', '--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin', NAME];
  console.error(`Making the system user ${NAME}, which the gateway becomes instead of staying root.`);
  const found = findProgram('useradd') !== undefined;
  const { ok, output } = found
    ? await collect('useradd', ['--user-group', ...args])
    : { ok: false, output: 'no useradd' };
  // Another command may have been faster.
  if (ok || exists()) return;
  throw new SetUpError(
    `The system user ${NAME} could not be made (${output.trim()}). Please make one with this system's tools, such as ` +
      `adduser, and try again; or set [privileges] user in the config file.`,
  );
}

function exists() {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .some((line) => line.startsWith(`${NAME}:`));
}
