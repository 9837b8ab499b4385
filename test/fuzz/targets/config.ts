/** Config files: any text is a config or a list of problems, each with a line of the file. */
import { decodeConfig } from '../../../src/config/decode.ts';
import { renderExample } from '../../../src/config/render.ts';
import { inProcess } from '../engine.ts';

const PATHS = { keyFile: '/k', routerDirectory: '/r', controlSocket: '/c' };
const PEER = 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p';

export const target = inProcess({
  name: 'config',
  seeds: [
    Buffer.from(
      renderExample(PATHS)
        .replaceAll(/^# .*\n/gm, '')
        .replaceAll(/^#/gm, '')
        .slice(0, 3_000),
    ),
    Buffer.from(`[[peer]]\nname = "a"\ndestination = "${PEER}"\ncompat = "onioncat4"\ninbound = "unverified"\n`),
    Buffer.from('socks = [{ listen = "unix:/s", mode = "0600", idle_timeout = "0s" }]\n[vpn]\nmtu = 1280\n'),
    Buffer.from('[vpn.queue]\nbytes = "1MiB"\nage = "250ms"\n[tunnels]\ninbound.length = 2\noptions = { a = "b" }\n'),
  ],
  run: (input) => {
    const text = input.toString('utf8');
    const decoded = decodeConfig(text, PATHS);
    if (decoded.kind === 'config') return;
    if (decoded.problems.length === 0) throw new Error('refused without a reason');
    const lines = text.split('\n').length;
    for (const { line } of decoded.problems) if (line < 1 || line > lines) throw new Error(`line ${line} of ${lines}`);
  },
});
